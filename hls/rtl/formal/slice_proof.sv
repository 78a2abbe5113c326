// What is proven of lepton_slice: words BEGIN to END - 1 of each block leave, in order, and no other word.
// Latency 1; ready exactly while a register is free.
module slice_proof #(
    parameter integer BITS = 2,
    parameter integer WORDS = 2,
    parameter integer BEGIN = 0,
    parameter integer END = 1
) (
    input logic clk
);
    localparam integer WORD_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
    (* anyseq *) logic            rst;
    (* anyseq *) logic            watch;
    (* anyseq *) logic [BITS-1:0] in_data;
    (* anyseq *) logic            in_valid;
    (* anyseq *) logic            out_ready;
    (* hierconn *) logic [WORD_BITS-1:0] \u_dut.index ;
    (* hierconn *) logic [BITS-1:0] \u_dut.u_out.g_full.spare ;
    logic            is_running = 1'b0;
    logic            in_ready;
    logic [BITS-1:0] out_data;
    logic            out_valid;
    logic [    15:0] held;
    logic [    15:0] index;  // of the next word in its block
    logic            is_kept;

    assign is_kept = index >= 16'(BEGIN) && index < 16'(END);

    always_ff @(posedge clk) begin
        is_running <= 1'b1;
        if (in_valid && in_ready) index <= index == 16'(WORDS - 1) ? '0 : index + 16'd1;
        if (rst) index <= '0;
    end
    always_comb starts_with_reset : assume (is_running || rst);

    lepton_slice #(
        .BITS (BITS),
        .WORDS(WORDS),
        .BEGIN(BEGIN),
        .END  (END)
    ) u_dut (.*);
    stream_link #(
        .X_BITS(BITS)
    ) u_link (
        .in_valid  (in_valid && is_kept),
        .watch_lane('0),
        .is_behind (1'b0),
        .is_not_due(1'b0),
        .is_spare  (!in_ready),
        .spare     (\u_dut.u_out.g_full.spare ),
        .num_stored('0),
        .stored    ('0),
        .*
    );

    always_comb begin
        if (is_running) begin
            ready_while_room : assert (in_ready == (held < 16'd2));
            lemma_counts_words : assert (index < 16'(WORDS) && 16'(\u_dut.index ) == index);
        end
        second_block : cover (is_running && index == '0 && held != '0);
    end
endmodule
