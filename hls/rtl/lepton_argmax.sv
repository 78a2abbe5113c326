// Index of the largest channel.
//
// Computes: for each pixel of CHANNELS/LANES words the index of its largest channel; of equal ones the first. Out:
//   one word of one element a pixel.
// Parameters: X_BITS, X_SIGNED; OUT_BITS (unsigned; holds CHANNELS - 1); CHANNELS, LANES.
// Cycles: CHANNELS/LANES a pixel. Latency: 2 + log2(LANES) cycles from a pixel's last word.
// Infers: LANES comparators with registers.
module lepton_argmax #(
    parameter integer X_BITS = 8,
    parameter integer X_SIGNED = 1,
    parameter integer OUT_BITS = 4,
    parameter integer CHANNELS = 10,
    parameter integer LANES = 1
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic [LANES*X_BITS-1:0] in_data,
    input  logic                    in_valid,
    output logic                    in_ready,
    output logic [    OUT_BITS-1:0] out_data,
    output logic                    out_valid,
    input  logic                    out_ready
);
    localparam integer GROUPS = CHANNELS / LANES;
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer TREE = $clog2(LANES);
    localparam integer S_BITS = X_BITS + 1;  // signed either way
    logic                      step;
    logic                      can_write;
    logic                      is_last_group;
    logic                      is_first;
    logic                      is_result;
    logic                      is_word;  // that leaves the tree
    logic                      is_last_word;
    logic [    GROUP_BITS-1:0] group;
    logic [  LANES*S_BITS-1:0] numbers;
    logic signed [ S_BITS-1:0] largest;
    logic signed [ S_BITS-1:0] best;
    logic [      OUT_BITS-1:0] place;
    logic [      OUT_BITS-1:0] base;  // channels of the words before
    logic [      OUT_BITS-1:0] best_place;
    logic                      is_unused;

    assign is_unused = &group;
    assign in_ready  = step;
    assign step      = can_write || !is_result;

    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group (
        .clk  (clk),
        .rst  (rst),
        .step (step && in_valid),
        .last (is_last_group),
        .count(group)
    );

    generate
        genvar l;
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            if (X_SIGNED != 0) begin : g_signed
                assign numbers[l*S_BITS+:S_BITS] = S_BITS'($signed(in_data[l*X_BITS+:X_BITS]));
            end else begin : g_unsigned
                assign numbers[l*S_BITS+:S_BITS] = {1'b0, in_data[l*X_BITS+:X_BITS]};
            end
        end

        if (TREE == 0) begin : g_at_once
            assign is_word      = in_valid;
            assign is_last_word = is_last_group;
        end else begin : g_later
            logic [TREE:0] valid;
            logic [TREE:0] last;
            assign valid[0]     = in_valid;
            assign last[0]      = is_last_group;
            assign is_word      = valid[TREE];
            assign is_last_word = last[TREE];
            always_ff @(posedge clk) begin
                if (step) begin
                    valid[TREE:1] <= valid[TREE-1:0];
                    last[TREE:1]  <= last[TREE-1:0];
                end
                if (rst) valid[TREE:1] <= '0;
            end
        end
    endgenerate

    lepton_largest #(
        .COUNT     (LANES),
        .BITS      (S_BITS),
        .PLACE_BITS(OUT_BITS)
    ) u_largest (
        .clk    (clk),
        .enable (step),
        .in     (numbers),
        .largest(largest),
        .place  (place)
    );

    always_ff @(posedge clk) begin
        if (step) begin
            is_result <= is_word && is_last_word;
            if (is_word) begin
                is_first <= is_last_word;
                base     <= is_last_word ? '0 : base + OUT_BITS'(LANES);
                if (is_first || largest > best) begin
                    best       <= largest;
                    best_place <= base + place;
                end
            end
        end
        if (rst) begin
            is_result <= 1'b0;
            is_first  <= 1'b1;
            base      <= '0;
        end
    end

    lepton_skid #(
        .BITS(OUT_BITS),
        .FULL(GROUPS == 1 ? 1 : 0)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (best_place),
        .in_valid (is_result),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
