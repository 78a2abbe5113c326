// What is proven of lepton_fork: each reader gets every word, and waits for the other one only while that one
// refuses a word that this one has had. Latency 1; ready exactly while neither lacks two words.
module fork_proof #(
    parameter integer BITS = 2
) (
    input logic clk
);
    (* anyseq *) logic            rst;
    (* anyseq *) logic            watch;
    (* anyseq *) logic [BITS-1:0] in_data;
    (* anyseq *) logic            in_valid;
    (* anyseq *) logic            out0_ready;
    (* anyseq *) logic            out1_ready;
    (* hierconn *) logic [BITS-1:0] \u_dut.spare ;
    logic            is_running = 1'b0;
    logic            in_ready;
    logic [BITS-1:0] out0_data;
    logic            out0_valid;
    logic [BITS-1:0] out1_data;
    logic            out1_valid;
    logic [    15:0] held0;
    logic [    15:0] held1;

    always_ff @(posedge clk) is_running <= 1'b1;
    always_comb starts_with_reset : assume (is_running || rst);

    lepton_fork #(.BITS(BITS)) u_dut (.*);
    stream_link #(
        .X_BITS(BITS)
    ) u_link0 (
        .out_data  (out0_data),
        .out_valid (out0_valid),
        .out_ready (out0_ready),
        .is_behind (out1_valid && !out1_ready),
        .held      (held0),
        .watch_lane('0),
        .is_not_due(1'b0),
        .is_spare  (!in_ready),
        .spare     (\u_dut.spare ),
        .num_stored('0),
        .stored    ('0),
        .*
    );
    stream_link #(
        .X_BITS(BITS)
    ) u_link1 (
        .out_data  (out1_data),
        .out_valid (out1_valid),
        .out_ready (out1_ready),
        .is_behind (out0_valid && !out0_ready),
        .held      (held1),
        .watch_lane('0),
        .is_not_due(1'b0),
        .is_spare  (!in_ready),
        .spare     (\u_dut.spare ),
        .num_stored('0),
        .stored    ('0),
        .*
    );

    always_comb begin
        if (is_running) begin
            ready_while_room : assert (in_ready == (held0 < 16'd2 && held1 < 16'd2));
            lemma_spare_is_behind_a_word : assert (in_ready || out0_valid || out1_valid);
        end
        one_is_ahead : cover (is_running && held0 == 16'd2 && held1 == 16'd1);
    end
endmodule
