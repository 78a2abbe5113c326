// Checks that the elements of one stream leave in another: none lost, none twice, in order.
//
// It counts the elements inside. In an arbitrary cycle (`watch`) it picks an arbitrary lane of the word that
// comes in and counts how many elements leave before that one; the element that leaves in its place must be
// equal. As this holds for any choice, element n that leaves is element n that came, for all n. With IN_LANES
// = OUT_LANES = 1 an element is a word.
// CAPACITY: most elements inside. `held`, `is_watched`, `ahead` and `watched` are for lemmas about the
// registers inside, which an induction needs.
module stream_order #(
    parameter integer X_BITS = 8,
    parameter integer IN_LANES = 1,
    parameter integer OUT_LANES = 1,
    parameter integer CAPACITY = 2
) (
    input  logic                        clk,
    input  logic                        rst,
    input  logic                        is_running,  // the first reset has been
    input  logic                        watch,
    input  logic [                15:0] watch_lane,
    input  logic [ IN_LANES*X_BITS-1:0] in_data,
    input  logic                        in_valid,
    input  logic                        in_ready,
    input  logic [OUT_LANES*X_BITS-1:0] out_data,
    input  logic                        out_valid,
    input  logic                        out_ready,
    output logic [                15:0] held,  // elements inside
    output logic                        is_watched,  // one of them is watched,
    output logic [                15:0] ahead,  // so many leave before it,
    output logic [          X_BITS-1:0] watched  // and this is its value
);
    logic        take;
    logic        give;
    logic [15:0] rest;  // elements that stay inside

    assign take = in_valid && in_ready;
    assign give = out_valid && out_ready;
    assign rest = give ? held - 16'(OUT_LANES) : held;

    always_ff @(posedge clk) begin
        held <= take ? rest + 16'(IN_LANES) : rest;
        if (is_watched && give) begin
            is_watched <= ahead >= 16'(OUT_LANES);
            ahead      <= ahead - 16'(OUT_LANES);
        end
        if (!is_watched && take && watch && watch_lane < 16'(IN_LANES)) begin
            is_watched <= 1'b1;
            ahead      <= rest + watch_lane;
            watched    <= in_data[watch_lane*X_BITS+:X_BITS];
        end
        if (rst) begin
            held       <= '0;
            is_watched <= 1'b0;
        end
    end

    always_comb begin
        if (is_running) begin
            fits : assert (held <= 16'(CAPACITY));
            leaves_only_what_came : assert (!out_valid || held >= 16'(OUT_LANES));
            lemma_is_inside : assert (!is_watched || ahead < held);
        end
        is_full : cover (is_running && held == 16'(CAPACITY));
    end

    logic [OUT_LANES-1:0] is_here;  // the lane that holds the watched element
    logic [OUT_LANES-1:0] is_wrong;
    for (genvar lane = 0; lane < OUT_LANES; lane = lane + 1) begin : g_lane
        assign is_here[lane]  = is_running && is_watched && out_valid && ahead == 16'(lane);
        assign is_wrong[lane] = is_here[lane] && out_data[lane*X_BITS+:X_BITS] != watched;
        always_comb cover (is_here[lane] && out_ready);
    end
    always_comb leaves_in_order : assert (is_wrong == '0);

    logic was_full;
    always_ff @(posedge clk) was_full <= !rst && (was_full || held == 16'(CAPACITY));
    always_comb is_empty_again : cover (is_running && was_full && held == '0);
endmodule
