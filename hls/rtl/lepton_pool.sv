// Pooling over windows in channelwise order: maxima or sums.
//
// Computes: out = the largest of TAPS words, lane by lane (IS_MAX = 1), or OFFSET plus their sum (IS_MAX = 0).
// Parameters: PE lanes; TAPS; X_BITS, X_SIGNED; OUT_BITS of a sum (of a maximum: X_BITS); IS_MAX; OFFSET.
// Cycles: TAPS an output word. Latency: 2 cycles from the last of them.
// Infers: PE comparators or adders, PE registers of OUT_BITS.
module lepton_pool #(
    parameter integer PE = 1,
    parameter integer TAPS = 4,
    parameter integer X_BITS = 8,
    parameter integer X_SIGNED = 1,
    parameter integer OUT_BITS = 8,
    parameter integer IS_MAX = 1,
    parameter signed [63:0] OFFSET = 0
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic [  PE*X_BITS-1:0] in_data,
    input  logic                   in_valid,
    output logic                   in_ready,
    output logic [PE*OUT_BITS-1:0] out_data,
    output logic                   out_valid,
    input  logic                   out_ready
);
    localparam integer TAP_BITS = TAPS > 1 ? $clog2(TAPS) : 1;
    logic                   step;
    logic                   take;
    logic                   can_write;
    logic                   is_first;
    logic                   is_last;
    logic                   is_result;
    logic [   TAP_BITS-1:0] tap;
    logic [PE*OUT_BITS-1:0] result;

    assign in_ready = step;
    assign take     = step && in_valid;
    assign step     = can_write || !is_result;
    assign is_first = tap == '0;

    lepton_counter #(
        .LIMIT(TAPS)
    ) u_tap (
        .clk  (clk),
        .rst  (rst),
        .step (take),
        .last (is_last),
        .count(tap)
    );

    always_ff @(posedge clk) begin
        if (step) is_result <= in_valid && is_last;
        if (rst) is_result <= 1'b0;
    end

    generate
        genvar p;
        for (p = 0; p < PE; p = p + 1) begin : g_lane
            logic signed [OUT_BITS:0] x;  // one bit more, so that it is signed either way
            logic signed [OUT_BITS:0] best;

            if (X_SIGNED != 0) begin : g_signed
                assign x    = (OUT_BITS + 1)'($signed(in_data[p*X_BITS+:X_BITS]));
                assign best = (OUT_BITS + 1)'($signed(result[p*OUT_BITS+:OUT_BITS]));
            end else begin : g_unsigned
                assign x    = (OUT_BITS + 1)'({1'b0, in_data[p*X_BITS+:X_BITS]});
                assign best = {1'b0, result[p*OUT_BITS+:OUT_BITS]};
            end

            if (IS_MAX != 0) begin : g_max
                always_ff @(posedge clk) begin
                    if (take && (is_first || x > best)) result[p*OUT_BITS+:OUT_BITS] <= x[OUT_BITS-1:0];
                end
            end else begin : g_sum
                logic is_unused;
                assign is_unused = &{x[OUT_BITS], best[OUT_BITS]};

                always_ff @(posedge clk) begin
                    if (take) begin
                        result[p*OUT_BITS+:OUT_BITS] <=
                            (is_first ? OUT_BITS'(OFFSET) : best[OUT_BITS-1:0]) + x[OUT_BITS-1:0];
                    end
                end
            end
        end
    endgenerate

    lepton_skid #(
        .BITS(PE * OUT_BITS),
        .FULL(TAPS == 1 ? 1 : 0)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (result),
        .in_valid (is_result),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
