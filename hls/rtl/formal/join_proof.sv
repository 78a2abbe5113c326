// What is proven of lepton_join: each side is a register of its own, ready while it is free or being freed. The
// other side does not matter to it.
module join_proof #(
    parameter integer A_BITS = 2,
    parameter integer B_BITS = 2
) (
    input logic clk
);
    (* anyseq *) logic              rst;
    (* anyseq *) logic              watch;
    (* anyseq *) logic [A_BITS-1:0] in_a_data;
    (* anyseq *) logic              in_a_valid;
    (* anyseq *) logic [B_BITS-1:0] in_b_data;
    (* anyseq *) logic              in_b_valid;
    (* anyseq *) logic              take_a;
    (* anyseq *) logic              take_b;
    logic              is_running = 1'b0;
    logic              in_a_ready;
    logic              in_b_ready;
    logic [A_BITS-1:0] a_data;
    logic              is_a;
    logic [B_BITS-1:0] b_data;
    logic              is_b;
    logic [      15:0] held_a;
    logic [      15:0] held_b;

    always_ff @(posedge clk) is_running <= 1'b1;
    always_comb starts_with_reset : assume (is_running || rst);

    lepton_join #(
        .A_BITS(A_BITS),
        .B_BITS(B_BITS)
    ) u_dut (.*);
    stream_link #(
        .X_BITS  (A_BITS),
        .CAPACITY(1)
    ) u_link_a (
        .in_data   (in_a_data),
        .in_valid  (in_a_valid),
        .in_ready  (in_a_ready),
        .out_data  (a_data),
        .out_valid (is_a),
        .out_ready (take_a),
        .held      (held_a),
        .watch_lane('0),
        .is_behind (1'b0),
        .is_not_due(1'b0),
        .is_spare  (1'b0),
        .spare     ('0),
        .num_stored('0),
        .stored    ('0),
        .*
    );
    stream_link #(
        .X_BITS  (B_BITS),
        .CAPACITY(1)
    ) u_link_b (
        .in_data   (in_b_data),
        .in_valid  (in_b_valid),
        .in_ready  (in_b_ready),
        .out_data  (b_data),
        .out_valid (is_b),
        .out_ready (take_b),
        .held      (held_b),
        .watch_lane('0),
        .is_behind (1'b0),
        .is_not_due(1'b0),
        .is_spare  (1'b0),
        .spare     ('0),
        .num_stored('0),
        .stored    ('0),
        .*
    );

    always_comb begin
        if (is_running) begin
            a_ready_while_room : assert (in_a_ready == (held_a == '0 || take_a));
            b_ready_while_room : assert (in_b_ready == (held_b == '0 || take_b));
        end
        one_waits : cover (is_running && held_a != '0 && held_b == '0);
    end
endmodule
