// Meeting point of two streams: holds a word of each until both are there.
//
// Helper of the kernels that read two streams. `a_data` and `b_data` are registers; `is_a` and `is_b` say
// that they hold a word; `take_a` and `take_b` consume it (only where there is one). The ready signals
// depend on registers only, provided that `take_a` and `take_b` do.
module lepton_join #(
    parameter integer A_BITS = 8,
    parameter integer B_BITS = 8
) (
    input  logic              clk,
    input  logic              rst,
    input  logic [A_BITS-1:0] in_a_data,
    input  logic              in_a_valid,
    output logic              in_a_ready,
    input  logic [B_BITS-1:0] in_b_data,
    input  logic              in_b_valid,
    output logic              in_b_ready,
    output logic [A_BITS-1:0] a_data,
    output logic              is_a,
    input  logic              take_a,
    output logic [B_BITS-1:0] b_data,
    output logic              is_b,
    input  logic              take_b
);
    assign in_a_ready = !is_a || take_a;
    assign in_b_ready = !is_b || take_b;

    always_ff @(posedge clk) begin
        if (in_a_ready) begin
            a_data <= in_a_data;
            is_a   <= in_a_valid;
        end
        if (in_b_ready) begin
            b_data <= in_b_data;
            is_b   <= in_b_valid;
        end
        if (rst) begin
            is_a <= 1'b0;
            is_b <= 1'b0;
        end
    end
endmodule
