// Concatenation of two streams, block by block.
//
// Computes: WORDS_A words of `a`, then WORDS_B words of `b`, and so on. Channels: a block is a pixel; rows: a block
//   is a frame.
// Parameters: BITS of a word; WORDS_A, WORDS_B of a block.
// Cycles: WORDS_A + WORDS_B a block. Latency: 1 cycle. Infers: 2 * BITS flip-flops, BITS multiplexers, a counter.
module lepton_concat #(
    parameter integer BITS = 8,
    parameter integer WORDS_A = 1,
    parameter integer WORDS_B = 1
) (
    input  logic            clk,
    input  logic            rst,
    input  logic [BITS-1:0] a_data,
    input  logic            a_valid,
    output logic            a_ready,
    input  logic [BITS-1:0] b_data,
    input  logic            b_valid,
    output logic            b_ready,
    output logic [BITS-1:0] out_data,
    output logic            out_valid,
    input  logic            out_ready
);
    localparam integer WORDS = WORDS_A + WORDS_B;
    localparam integer WORD_BITS = $clog2(WORDS);
    logic                 step;
    logic                 is_a;
    logic                 is_word;
    logic                 is_last;
    logic [WORD_BITS-1:0] index;
    logic                 is_unused;

    assign is_unused = is_last;
    assign is_a      = index < WORD_BITS'(WORDS_A);
    assign is_word   = is_a ? a_valid : b_valid;
    assign a_ready   = step && is_a;
    assign b_ready   = step && !is_a;

    lepton_counter #(
        .LIMIT(WORDS)
    ) u_word (
        .clk  (clk),
        .rst  (rst),
        .step (step && is_word),
        .last (is_last),
        .count(index)
    );
    lepton_skid #(
        .BITS(BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (is_a ? a_data : b_data),
        .in_valid (is_word),
        .in_ready (step),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
