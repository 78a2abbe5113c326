// Weighted sum of two streams (residual additions).
//
// Computes: out = SCALE_A * a + SCALE_B * b + OFFSET, element by element.
// Parameters: A_BITS, A_SIGNED, B_BITS, B_SIGNED of the elements; OUT_BITS (signed; holds the result and both
//   products); LANES; SCALE_A, SCALE_B, OFFSET.
// One word a cycle. Latency: 4 cycles. Infers: 2 * LANES multipliers by constants, 2 * LANES adders.
module lepton_scaled_add #(
    parameter integer A_BITS = 8,
    parameter integer A_SIGNED = 1,
    parameter integer B_BITS = 8,
    parameter integer B_SIGNED = 1,
    parameter integer OUT_BITS = 16,
    parameter integer LANES = 1,
    parameter signed [63:0] SCALE_A = 1,
    parameter signed [63:0] SCALE_B = 1,
    parameter signed [63:0] OFFSET = 0,
    // Only the attribute below reads it, and Verilator skips attributes.
    // verilator lint_off UNUSEDPARAM
    parameter USE_DSP = "no"
    // verilator lint_on UNUSEDPARAM
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
    logic                      step;
    logic                      take;
    logic                      is_a;
    logic                      is_b;
    logic                      is_scaled;
    logic                      is_sum;
    logic                      can_write;
    logic [  LANES*A_BITS-1:0] a;
    logic [  LANES*B_BITS-1:0] b;
    logic [LANES*OUT_BITS-1:0] sums;

    assign step = can_write || !is_sum;
    assign take = step && is_a && is_b;

    lepton_join #(
        .A_BITS(LANES * A_BITS),
        .B_BITS(LANES * B_BITS)
    ) u_join (
        .clk       (clk),
        .rst       (rst),
        .in_a_data (a_data),
        .in_a_valid(a_valid),
        .in_a_ready(a_ready),
        .in_b_data (b_data),
        .in_b_valid(b_valid),
        .in_b_ready(b_ready),
        .a_data    (a),
        .is_a      (is_a),
        .take_a    (take),
        .b_data    (b),
        .is_b      (is_b),
        .take_b    (take)
    );

    always_ff @(posedge clk) begin
        if (step) begin
            is_scaled <= is_a && is_b;
            is_sum    <= is_scaled;
        end
        if (rst) begin
            is_scaled <= 1'b0;
            is_sum    <= 1'b0;
        end
    end

    generate
        genvar l;
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            logic signed [OUT_BITS-1:0] x;
            logic signed [OUT_BITS-1:0] y;
            (* use_dsp = USE_DSP *)
            logic signed [OUT_BITS-1:0] scaled_x;
            (* use_dsp = USE_DSP *)
            logic signed [OUT_BITS-1:0] scaled_y;

            if (A_SIGNED != 0) begin : g_a_signed
                assign x = OUT_BITS'($signed(a[l*A_BITS+:A_BITS]));
            end else begin : g_a_unsigned
                assign x = OUT_BITS'({1'b0, a[l*A_BITS+:A_BITS]});
            end
            if (B_SIGNED != 0) begin : g_b_signed
                assign y = OUT_BITS'($signed(b[l*B_BITS+:B_BITS]));
            end else begin : g_b_unsigned
                assign y = OUT_BITS'({1'b0, b[l*B_BITS+:B_BITS]});
            end

            always_ff @(posedge clk) begin
                if (step) begin
                    scaled_x <= x * OUT_BITS'(SCALE_A);
                    scaled_y <= y * OUT_BITS'(SCALE_B);
                    sums[l*OUT_BITS+:OUT_BITS] <= scaled_x + scaled_y + OUT_BITS'(OFFSET);
                end
            end
        end
    endgenerate

    lepton_skid #(
        .BITS(LANES * OUT_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (sums),
        .in_valid (is_sum),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
