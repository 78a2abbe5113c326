// From an AXI4-Stream port to a stream inside the design.
//
// Computes: element l of a word is bytes l*BYTES to l*BYTES + BYTES - 1 of TDATA, little endian, its
//   lowest X_BITS bits. TLAST, TKEEP and TSTRB are not wanted: the frame length is known.
// Parameters: LANES elements in a word, X_BITS each, in BYTES bytes (1, 2, 4, 8); WORDS a frame.
//   IS_GATED = 1: only `frames` frames are taken after each pulse of `start` (lepton_axilite gives
//   both); 0: words are always taken, and `start` and `frames` are ignored.
// One word a cycle. Latency: 1 cycle. Infers: 2 * LANES * X_BITS flip-flops, counters if gated.
module lepton_axis_in #(
    parameter integer LANES = 1,
    parameter integer X_BITS = 8,
    parameter integer BYTES = 1,
    parameter integer WORDS = 1,
    parameter integer IS_GATED = 0
) (
    input  logic                     clk,
    input  logic                     rst,
    input  logic                     start,
    input  logic [             31:0] frames,
    input  logic [8*BYTES*LANES-1:0] axis_tdata,
    input  logic                     axis_tvalid,
    output logic                     axis_tready,
    output logic [ LANES*X_BITS-1:0] out_data,
    output logic                     out_valid,
    input  logic                     out_ready
);
    logic [LANES*X_BITS-1:0] word;
    logic                    is_open;
    logic                    can_write;

    assign axis_tready = can_write && is_open;

    generate
        genvar l;
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            assign word[l*X_BITS+:X_BITS] = axis_tdata[l*8*BYTES+:X_BITS];
        end

        if (X_BITS < 8 * BYTES) begin : g_dropped
            logic is_unused;
            assign is_unused = &axis_tdata;
        end

        if (IS_GATED != 0) begin : g_gated
            localparam integer WORD_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
            logic                 is_last;
            logic [         31:0] left;  // frames
            logic [WORD_BITS-1:0] index;
            logic                 is_unused;

            assign is_open   = left != '0;
            assign is_unused = &index;

            lepton_counter #(
                .LIMIT(WORDS)
            ) u_word (
                .clk  (clk),
                .rst  (rst),
                .step (axis_tvalid && axis_tready),
                .last (is_last),
                .count(index)
            );

            always_ff @(posedge clk) begin
                if (start) left <= frames;
                else if (axis_tvalid && axis_tready && is_last) left <= left - 1'b1;
                if (rst) left <= '0;
            end
        end else begin : g_open
            logic is_unused;
            assign is_unused = &{start, frames};
            assign is_open   = 1'b1;
        end
    endgenerate

    lepton_skid #(
        .BITS(LANES * X_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (word),
        .in_valid (axis_tvalid && is_open),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
