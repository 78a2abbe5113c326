// From a stream inside the design to an AXI4-Stream port.
//
// Computes: the inverse of lepton_axis_in: element l in bytes l*BYTES to l*BYTES + BYTES - 1 of TDATA,
//   little endian, extended by its sign if X_SIGNED. TLAST marks the last word of each frame; TKEEP is
//   all ones. `frame_done` is high in the cycle in which a frame's last word leaves.
// Parameters: LANES elements in a word, X_BITS each, X_SIGNED, in BYTES bytes (1, 2, 4, 8); WORDS a frame.
// One word a cycle. Latency: 1 cycle. Infers: 2 * LANES * X_BITS flip-flops and a counter.
module lepton_axis_out #(
    parameter integer LANES = 1,
    parameter integer X_BITS = 8,
    parameter integer X_SIGNED = 1,
    parameter integer BYTES = 1,
    parameter integer WORDS = 1
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic [ LANES*X_BITS-1:0] in_data,
    input  logic                     in_valid,
    output logic                     in_ready,
    output logic [8*BYTES*LANES-1:0] axis_tdata,
    output logic [  BYTES*LANES-1:0] axis_tkeep,
    output logic                     axis_tlast,
    output logic                     axis_tvalid,
    input  logic                     axis_tready,
    output logic                     frame_done
);
    localparam integer WORD_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
    logic                    is_last;
    logic [   WORD_BITS-1:0] index;
    logic [LANES*X_BITS-1:0] word;
    logic                    is_unused;

    assign is_unused  = &index;
    assign axis_tkeep = '1;
    assign frame_done = axis_tvalid && axis_tready && axis_tlast;

    lepton_counter #(
        .LIMIT(WORDS)
    ) u_word (
        .clk  (clk),
        .rst  (rst),
        .step (in_valid && in_ready),
        .last (is_last),
        .count(index)
    );
    lepton_skid #(
        .BITS(LANES * X_BITS + 1)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  ({is_last, in_data}),
        .in_valid (in_valid),
        .in_ready (in_ready),
        .out_data ({axis_tlast, word}),
        .out_valid(axis_tvalid),
        .out_ready(axis_tready)
    );

    generate
        genvar l;
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            if (X_SIGNED != 0) begin : g_signed
                logic signed [X_BITS-1:0] x;
                assign x = word[l*X_BITS+:X_BITS];
                assign axis_tdata[l*8*BYTES+:8*BYTES] = (8 * BYTES)'(x);
            end else begin : g_unsigned
                assign axis_tdata[l*8*BYTES+:8*BYTES] = (8 * BYTES)'(word[l*X_BITS+:X_BITS]);
            end
        end
    endgenerate
endmodule
