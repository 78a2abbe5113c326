// What is proven of lepton_concat: WORDS_A words of `a` leave, then WORDS_B of `b`, and so on, each in order.
// Latency 1; the side whose turn it is finds it ready exactly while a register is free, the other one never.
module concat_proof #(
    parameter integer BITS = 2,
    parameter integer WORDS_A = 1,
    parameter integer WORDS_B = 1
) (
    input logic clk
);
    localparam integer WORDS = WORDS_A + WORDS_B;
    (* anyseq *) logic            rst;
    (* anyseq *) logic            watch;
    (* anyseq *) logic [BITS-1:0] a_data;
    (* anyseq *) logic            a_valid;
    (* anyseq *) logic [BITS-1:0] b_data;
    (* anyseq *) logic            b_valid;
    (* anyseq *) logic            out_ready;
    (* hierconn *) logic [$clog2(WORDS)-1:0] \u_dut.index ;
    (* hierconn *) logic \u_dut.u_out.g_full.is_spare ;
    (* hierconn *) logic [BITS-1:0] \u_dut.u_out.g_full.spare ;
    logic            is_running = 1'b0;
    logic            a_ready;
    logic            b_ready;
    logic [BITS-1:0] out_data;
    logic            out_valid;
    logic [    15:0] held_a;
    logic [    15:0] held_b;
    logic [    15:0] held;
    logic [    15:0] in_index;  // of the next word to come, in its block
    logic [    15:0] out_index;  // of the next word to leave
    logic            is_in_a;
    logic            is_out_a;
    logic            is_spare_a;
    logic            is_spare;

    assign held       = held_a + held_b;
    assign is_in_a    = in_index < 16'(WORDS_A);
    assign is_out_a   = out_index < 16'(WORDS_A);
    assign is_spare_a = after(out_index) < 16'(WORDS_A);
    assign is_spare   = \u_dut.u_out.g_full.is_spare ;

    always_ff @(posedge clk) begin
        is_running <= 1'b1;
        if (a_valid && a_ready || b_valid && b_ready) in_index <= after(in_index);
        if (out_valid && out_ready) out_index <= after(out_index);
        if (rst) begin
            in_index  <= '0;
            out_index <= '0;
        end
    end
    always_comb starts_with_reset : assume (is_running || rst);

    lepton_concat #(
        .BITS   (BITS),
        .WORDS_A(WORDS_A),
        .WORDS_B(WORDS_B)
    ) u_dut (.*);
    stream_link #(
        .X_BITS  (BITS),
        .CAPACITY(WORDS_A > 1 ? 2 : 1)
    ) u_link_a (
        .in_data   (a_data),
        .in_valid  (a_valid),
        .in_ready  (a_ready),
        .out_valid (out_valid && is_out_a),
        .is_behind (out_valid && !is_out_a),
        .is_not_due(!is_in_a || held_b != 16'd0),
        .is_spare  (is_spare && is_spare_a),
        .held      (held_a),
        .watch_lane('0),
        .spare     (\u_dut.u_out.g_full.spare ),
        .num_stored('0),
        .stored    ('0),
        .*
    );
    stream_link #(
        .X_BITS  (BITS),
        .CAPACITY(WORDS_B > 1 ? 2 : 1)
    ) u_link_b (
        .in_data   (b_data),
        .in_valid  (b_valid),
        .in_ready  (b_ready),
        .out_valid (out_valid && !is_out_a),
        .is_behind (out_valid && is_out_a),
        .is_not_due(is_in_a || held_a != 16'd0),
        .is_spare  (is_spare && !is_spare_a),
        .held      (held_b),
        .watch_lane('0),
        .spare     (\u_dut.u_out.g_full.spare ),
        .num_stored('0),
        .stored    ('0),
        .*
    );

    always_comb begin
        if (is_running) begin
            a_ready_while_room : assert (a_ready == (is_in_a && held < 16'd2));
            b_ready_while_room : assert (b_ready == (!is_in_a && held < 16'd2));
            lemma_counts_words : assert (in_index < 16'(WORDS) && 16'(\u_dut.index ) == in_index);
            lemma_leaves_as_it_came :
            assert (in_index == (held == '0 ? out_index : held == 16'd1 ? after(out_index) : after(after(out_index))));
            lemma_spare_is_behind_a_word : assert (out_valid || !is_spare);
        end
        one_of_each : cover (is_running && held_a != '0 && held_b != '0);
    end

    function automatic logic [15:0] after(input logic [15:0] place);
        after = place == 16'(WORDS - 1) ? '0 : place + 16'd1;
    endfunction
endmodule
