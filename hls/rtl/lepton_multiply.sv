// Product of two streams, element by element.
//
// Computes: out = (a - ZERO_A) * (b - ZERO_B): lepton_multiply_channels with a new factor for every word.
// Parameters: A_BITS, A_SIGNED, B_BITS, B_SIGNED of the elements; OUT_BITS (signed; holds the product); LANES;
//   ZERO_A, ZERO_B; USE_DSP "yes" or "no".
// One word a cycle. Latency: 5 cycles. Infers: LANES multipliers with registered inputs and outputs.
module lepton_multiply #(
    parameter integer A_BITS = 8,
    parameter integer A_SIGNED = 1,
    parameter integer B_BITS = 8,
    parameter integer B_SIGNED = 1,
    parameter integer OUT_BITS = 18,
    parameter integer LANES = 1,
    parameter signed [63:0] ZERO_A = 0,
    parameter signed [63:0] ZERO_B = 0,
    parameter USE_DSP = "yes"
) (
    input  logic                      clk,
    input  logic                      rst,
    input  logic [  LANES*A_BITS-1:0] a_data,
    input  logic                      a_valid,
    output logic                      a_ready,
    input  logic [  LANES*B_BITS-1:0] b_data,
    input  logic                      b_valid,
    output logic                      b_ready,
    output logic [LANES*OUT_BITS-1:0] out_data,
    output logic                      out_valid,
    input  logic                      out_ready
);
    lepton_multiply_channels #(
        .A_BITS  (A_BITS),
        .A_SIGNED(A_SIGNED),
        .B_BITS  (B_BITS),
        .B_SIGNED(B_SIGNED),
        .OUT_BITS(OUT_BITS),
        .CHANNELS(LANES),
        .LANES   (LANES),
        .PIXELS  (1),
        .ZERO_A  (ZERO_A),
        .ZERO_B  (ZERO_B),
        .USE_DSP (USE_DSP)
    ) u_multiply (
        .clk      (clk),
        .rst      (rst),
        .a_data   (a_data),
        .a_valid  (a_valid),
        .a_ready  (a_ready),
        .b_data   (b_data),
        .b_valid  (b_valid),
        .b_ready  (b_ready),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
