// What is proven of lepton_width, in each of its four forms. Latency 1, gearbox 2, from the word that completes
// an output; ready exactly while a word fits (a gearbox: beside a word that is still to move to the output).
module width_proof #(
    parameter integer X_BITS = 1,
    parameter integer IN_LANES = 4,
    parameter integer OUT_LANES = 2
) (
    input logic clk
);
    localparam integer IN_BITS = IN_LANES * X_BITS;
    localparam integer OUT_BITS = OUT_LANES * X_BITS;
    localparam integer UNIT = common(IN_LANES, OUT_LANES);
    localparam integer IS_GEARBOX = UNIT != IN_LANES && UNIT != OUT_LANES ? 1 : 0;
    // Elements that fit before the output register, and in all.
    localparam integer STORED = IS_GEARBOX != 0 ? IN_LANES + OUT_LANES - UNIT :
        IN_LANES > OUT_LANES ? IN_LANES - OUT_LANES :
        IN_LANES < OUT_LANES ? OUT_LANES - IN_LANES : 1;
    localparam integer CAPACITY = IS_GEARBOX != 0 ? 2 * OUT_LANES + STORED :
        IN_LANES >= OUT_LANES ? OUT_LANES + IN_LANES : 2 * OUT_LANES - IN_LANES;
    (* anyseq *) logic                        rst;
    (* anyseq *) logic                        watch;
    (* anyseq *) logic [                15:0] watch_lane;
    (* anyseq *) logic [ IN_LANES*X_BITS-1:0] in_data;
    (* anyseq *) logic                        in_valid;
    (* anyseq *) logic                        out_ready;
    logic                        is_running = 1'b0;
    logic                        in_ready;
    logic [OUT_LANES*X_BITS-1:0] out_data;
    logic                        out_valid;
    logic [                15:0] held;
    logic                        is_spare;
    logic [        OUT_BITS-1:0] spare;
    logic [                15:0] num_stored;
    logic [   STORED*X_BITS-1:0] stored;
    logic [                15:0] room_lost;
    // For Yosys each `else if` is a scope of its own, genblk1.
    (* hierconn *) logic [OUT_BITS-1:0] \u_dut.g_same.u_out.g_full.spare ;
    (* hierconn *) logic \u_dut.genblk1.genblk1.g_gearbox.u_out.g_full.is_spare ;
    (* hierconn *) logic [OUT_BITS-1:0] \u_dut.genblk1.genblk1.g_gearbox.u_out.g_full.spare ;
    (* hierconn *) logic [$clog2((IN_LANES+OUT_LANES)/UNIT)-1:0] \u_dut.genblk1.genblk1.g_gearbox.count ;
    (* hierconn *) logic [STORED*X_BITS-1:0] \u_dut.genblk1.genblk1.g_gearbox.held ;
    (* hierconn *) logic \u_dut.genblk1.g_narrow.u_out.g_full.is_spare ;
    (* hierconn *) logic [OUT_BITS-1:0] \u_dut.genblk1.g_narrow.u_out.g_full.spare ;
    (* hierconn *) logic [$clog2(IN_LANES/OUT_LANES)-1:0] \u_dut.genblk1.g_narrow.piece ;
    (* hierconn *) logic [STORED*X_BITS-1:0] \u_dut.genblk1.g_narrow.held ;
    (* hierconn *) logic [$clog2(OUT_LANES/IN_LANES)-1:0] \u_dut.genblk1.genblk1.g_widen.piece ;
    (* hierconn *) logic [STORED*X_BITS-1:0] \u_dut.genblk1.genblk1.g_widen.held ;

    always_ff @(posedge clk) is_running <= 1'b1;
    always_comb starts_with_reset : assume (is_running || rst);

    lepton_width #(
        .X_BITS   (X_BITS),
        .IN_LANES (IN_LANES),
        .OUT_LANES(OUT_LANES)
    ) u_dut (.*);

    stream_link #(
        .X_BITS   (X_BITS),
        .IN_LANES (IN_LANES),
        .OUT_LANES(OUT_LANES),
        .CAPACITY (CAPACITY),
        .LATENCY  (1 + IS_GEARBOX),
        .STORED   (STORED)
    ) u_link (
        .is_behind (1'b0),
        .is_not_due(1'b0),
        .*
    );

    assign room_lost = IS_GEARBOX != 0 && !out_valid ? 16'(OUT_LANES) : '0;
    always_comb begin
        if (is_running) ready_while_room : assert (in_ready == (held + room_lost <= 16'(CAPACITY - IN_LANES)));
    end

    // What is in the registers, each form in its way.
    if (IN_LANES == OUT_LANES) begin : g_same
        assign is_spare   = !in_ready;
        assign spare      = \u_dut.g_same.u_out.g_full.spare ;
        assign num_stored = '0;
        assign stored     = '0;
    end else if (IS_GEARBOX != 0) begin : g_gearbox
        assign is_spare   = \u_dut.genblk1.genblk1.g_gearbox.u_out.g_full.is_spare ;
        assign spare      = \u_dut.genblk1.genblk1.g_gearbox.u_out.g_full.spare ;
        assign num_stored = 16'(\u_dut.genblk1.genblk1.g_gearbox.count ) * 16'(UNIT);
        assign stored     = \u_dut.genblk1.genblk1.g_gearbox.held ;
        always_comb if (is_running) lemma_spare_is_behind_a_word : assert (out_valid || !is_spare);
    end else if (IN_LANES > OUT_LANES) begin : g_narrow
        localparam integer PIECES = IN_LANES / OUT_LANES;
        assign is_spare   = \u_dut.genblk1.g_narrow.u_out.g_full.is_spare ;
        assign spare      = \u_dut.genblk1.g_narrow.u_out.g_full.spare ;
        assign num_stored = \u_dut.genblk1.g_narrow.piece == '0 ? '0 :
            16'(IN_LANES) - 16'(\u_dut.genblk1.g_narrow.piece ) * 16'(OUT_LANES);
        assign stored     = \u_dut.genblk1.g_narrow.held ;
        always_comb if (is_running) begin
            lemma_counts_pieces : assert (16'(\u_dut.genblk1.g_narrow.piece ) < 16'(PIECES));
            lemma_spare_is_behind_a_word : assert (out_valid || !is_spare && num_stored == '0);
        end
    end else begin : g_widen
        localparam integer PIECES = OUT_LANES / IN_LANES;
        assign is_spare   = 1'b0;
        assign spare      = '0;
        assign num_stored = 16'(\u_dut.genblk1.genblk1.g_widen.piece ) * 16'(IN_LANES);
        // The latest piece is on top.
        assign stored     = \u_dut.genblk1.genblk1.g_widen.held >> (16'(STORED) - num_stored) * 16'(X_BITS);
        always_comb if (is_running) begin
            lemma_counts_pieces : assert (16'(\u_dut.genblk1.genblk1.g_widen.piece ) < 16'(PIECES));
        end
    end

    // Greatest common divisor.
    function automatic integer common(input integer a, input integer b);
        begin
            common = a;
            while (a % common != 0 || b % common != 0) common = common - 1;
        end
    endfunction
endmodule
