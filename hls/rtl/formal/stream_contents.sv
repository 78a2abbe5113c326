// Lemma for an induction: the elements inside are where they should be.
//
// In the order in which they leave: the word offered, `spare` if there is one, then `num_stored` elements of
// `stored`, element e at bits [e*X_BITS +: X_BITS].
module stream_contents #(
    parameter integer X_BITS = 8,
    parameter integer LANES = 1,
    parameter integer STORED = 1
) (
    input logic                     is_running,
    input logic [             15:0] held,
    input logic                     is_watched,
    input logic [             15:0] ahead,
    input logic [       X_BITS-1:0] watched,
    input logic                     out_valid,
    input logic                     is_spare,
    input logic [ LANES*X_BITS-1:0] spare,
    input logic [             15:0] num_stored,
    input logic [STORED*X_BITS-1:0] stored
);
    logic [15:0] offered;
    logic [15:0] spared;

    assign offered = out_valid ? 16'(LANES) : '0;
    assign spared  = is_spare ? 16'(LANES) : '0;

    always_comb begin
        if (is_running) begin
            lemma_is_counted : assert (held == offered + spared + num_stored);
            lemma_is_within : assert (num_stored <= 16'(STORED));
        end
    end

    logic [ LANES-1:0] is_wrong_in_spare;
    logic [STORED-1:0] is_wrong_in_store;
    for (genvar lane = 0; lane < LANES; lane = lane + 1) begin : g_spare
        assign is_wrong_in_spare[lane] = is_watched && is_spare && ahead == offered + 16'(lane) &&
            spare[lane*X_BITS+:X_BITS] != watched;
    end
    for (genvar place = 0; place < STORED; place = place + 1) begin : g_stored
        assign is_wrong_in_store[place] = is_watched && ahead == offered + spared + 16'(place) &&
            stored[place*X_BITS+:X_BITS] != watched;
    end
    always_comb begin
        if (is_running) begin
            lemma_is_in_spare : assert (is_wrong_in_spare == '0);
            lemma_is_in_store : assert (is_wrong_in_store == '0);
        end
    end
endmodule
