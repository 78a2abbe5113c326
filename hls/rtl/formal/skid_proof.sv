// What is proven of lepton_skid: latency 1; ready exactly while a register is free.
module skid_proof #(
    parameter integer BITS = 2,
    parameter integer FULL = 1
) (
    input logic clk
);
    (* anyseq *) logic            rst;
    (* anyseq *) logic            watch;
    (* anyseq *) logic [BITS-1:0] in_data;
    (* anyseq *) logic            in_valid;
    (* anyseq *) logic            out_ready;
    (* hierconn *) logic [BITS-1:0] \u_dut.g_full.spare ;
    logic            is_running = 1'b0;
    logic            in_ready;
    logic [BITS-1:0] out_data;
    logic            out_valid;
    logic [    15:0] held;

    always_ff @(posedge clk) is_running <= 1'b1;
    always_comb starts_with_reset : assume (is_running || rst);

    lepton_skid #(
        .BITS(BITS),
        .FULL(FULL)
    ) u_dut (.*);
    stream_link #(
        .X_BITS  (BITS),
        .CAPACITY(1 + FULL)
    ) u_link (
        .watch_lane('0),
        .is_behind (1'b0),
        .is_not_due(1'b0),
        .is_spare  (FULL != 0 && !in_ready),
        .spare     (\u_dut.g_full.spare ),
        .num_stored('0),
        .stored    ('0),
        .*
    );

    always_comb begin
        if (is_running) ready_while_room : assert (in_ready == (held < 16'(1 + FULL)));
    end
endmodule
