// What is proven of lepton_fifo, in each of its three forms: latency 1, 2 or 3; ready exactly while fewer than
// DEPTH words are inside.
module fifo_proof #(
    parameter integer BITS = 2,
    parameter integer DEPTH = 2
) (
    input logic clk
);
    localparam integer IS_SMALL = (DEPTH <= 64 || BITS * DEPTH < 4096) ? 1 : 0;
    localparam integer PLACE_BITS = $clog2(DEPTH);
    localparam integer COUNT_BITS = $clog2(DEPTH + 1);
    (* anyseq *) logic            rst;
    (* anyseq *) logic            watch;
    (* anyseq *) logic [BITS-1:0] in_data;
    (* anyseq *) logic            in_valid;
    (* anyseq *) logic            out_ready;
    logic            is_running = 1'b0;
    logic            in_ready;
    logic [BITS-1:0] out_data;
    logic            out_valid;
    logic [    15:0] held;
    logic            is_watched;
    logic [    15:0] ahead;
    logic [BITS-1:0] watched;
    (* hierconn *) logic [BITS-1:0] \u_dut.g_registers.u_words.g_full.spare ;
    (* hierconn *) logic [PLACE_BITS-1:0] \u_dut.g_memory.write_place ;
    (* hierconn *) logic [PLACE_BITS-1:0] \u_dut.g_memory.read_place ;
    (* hierconn *) logic \u_dut.g_memory.read ;
    (* hierconn *) logic [COUNT_BITS-1:0] \u_dut.g_memory.count ;
    (* hierconn *) logic [COUNT_BITS-1:0] \u_dut.g_memory.stored ;
    (* hierconn *) logic [BITS-1:0] \u_dut.g_memory.latch ;
    (* hierconn *) logic \u_dut.g_memory.g_two_stages.is_latched ;
    (* hierconn *) logic [PLACE_BITS-1:0] \u_dut.g_memory.proof_place ;
    (* hierconn *) logic [BITS-1:0] \u_dut.g_memory.proof_word ;

    always_ff @(posedge clk) is_running <= 1'b1;
    always_comb starts_with_reset : assume (is_running || rst);

    lepton_fifo #(
        .BITS (BITS),
        .DEPTH(DEPTH)
    ) u_dut (.*);

    stream_order #(
        .X_BITS  (BITS),
        .CAPACITY(DEPTH)
    ) u_order (
        .watch_lane('0),
        .*
    );
    stream_progress #(
        .LATENCY(DEPTH == 2 ? 1 : IS_SMALL != 0 ? 2 : 3)
    ) u_progress (
        .is_behind (1'b0),
        .is_not_due(1'b0),
        .*
    );
    stream_held #(
        .BITS(BITS)
    ) u_held (.*);

    always_comb begin
        if (is_running) ready_while_room : assert (in_ready == (held < 16'(DEPTH)));
    end

    if (DEPTH == 2) begin : g_registers
        stream_contents #(
            .X_BITS(BITS)
        ) u_contents (
            .is_spare  (!in_ready),
            .spare     (\u_dut.g_registers.u_words.g_full.spare ),
            .num_stored('0),
            .stored    ('0),
            .*
        );
    end else begin : g_memory
        logic        is_latched;  // in a register between the memory and the output
        logic [15:0] passed;  // words that have left the memory
        logic [15:0] stored;
        logic [15:0] next_place;  // where the word after the last one goes
        logic [15:0] watched_place;
        logic        is_stored;  // the watched word is in the memory
        logic        is_collision;  // a place is read while it is written

        assign is_collision = in_valid && in_ready && \u_dut.g_memory.read &&
            \u_dut.g_memory.write_place == \u_dut.g_memory.read_place ;
        assign is_latched = IS_SMALL != 0 ? 1'b0 : \u_dut.g_memory.g_two_stages.is_latched ;
        assign passed     = 16'(out_valid) + 16'(is_latched);
        assign stored     = 16'(\u_dut.g_memory.stored );
        assign is_stored  = is_watched && ahead >= passed;

        assign next_place    = wrapped(16'(\u_dut.g_memory.read_place ) + stored);
        assign watched_place = wrapped(16'(\u_dut.g_memory.read_place ) + ahead - passed);
        assign \u_dut.g_memory.proof_place = PLACE_BITS'(watched_place);

        always_comb begin
            if (is_running) begin
                lemma_is_counted : assert (held == stored + passed && held == 16'(\u_dut.g_memory.count ));
                lemma_reads_in_memory : assert (16'(\u_dut.g_memory.read_place ) < 16'(DEPTH));
                lemma_writes_behind : assert (16'(\u_dut.g_memory.write_place ) == next_place);
                no_collision : assert (!is_collision);
                lemma_is_in_memory : assert (!is_stored || \u_dut.g_memory.proof_word == watched);
                lemma_is_in_latch :
                assert (!is_watched || !is_latched || ahead != 16'(out_valid) ||
                        \u_dut.g_memory.latch == watched);
            end
        end
    end

    function automatic logic [15:0] wrapped(input logic [15:0] place);
        wrapped = place >= 16'(DEPTH) ? place - 16'(DEPTH) : place;
    endfunction
endmodule
