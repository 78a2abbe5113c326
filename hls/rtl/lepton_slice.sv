// Slice: keeps a range of words of every block.
//
// Computes: of each block of WORDS words, passes words BEGIN to END - 1 on and drops the others.
// Parameters: BITS of a word; WORDS of a block; BEGIN, END.
// Cycles: WORDS a block. Latency: 1 cycle. Infers: 2 * BITS flip-flops, a counter.
module lepton_slice #(
    parameter integer BITS = 8,
    parameter integer WORDS = 2,
    parameter integer BEGIN = 0,
    parameter integer END = 1
) (
    input  logic            clk,
    input  logic            rst,
    input  logic [BITS-1:0] in_data,
    input  logic            in_valid,
    output logic            in_ready,
    output logic [BITS-1:0] out_data,
    output logic            out_valid,
    input  logic            out_ready
);
    localparam integer WORD_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
    logic                 is_kept;
    logic                 is_last;
    logic [WORD_BITS-1:0] index;
    logic                 is_unused;

    // With one bit more than the counter has, index - BEGIN is huge before BEGIN: one comparison for both
    // ends.
    assign is_kept   = {1'b0, index} - (WORD_BITS + 1)'(BEGIN) < (WORD_BITS + 1)'(END - BEGIN);
    assign is_unused = is_last;

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
        .BITS(BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (in_data),
        .in_valid (in_valid && is_kept),
        .in_ready (in_ready),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
