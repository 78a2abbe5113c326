// Depthwise convolution behind a channelwise sliding window.
//
// Computes: out[c] = bias[c] + sum over taps of weights[c][tap] * in[c][tap]. In: TAPS words for each pixel and
//   channel group (lepton_window, IS_CHANNELWISE = 1); out: one word for each.
// Parameters: CHANNELS; PE of them a cycle, which divide them; TAPS; X_BITS, X_SIGNED; W_BITS of a weight (signed);
//   OUT_BITS of a sum (signed). WEIGHTS_FILE: word group*TAPS + tap, lane l at l*W_BITS; BIAS_FILE: a word a
//   group, lane l at l*OUT_BITS. USE_DSP "yes" or "no"; ROM_STYLE "auto", "block", "distributed".
// Cycles: TAPS a channel group. Latency: 6 cycles from a group's last word, 5 where TAPS is 1; in LUTs more by
//   half the bits of the narrower factor, less 1.
// Infers: PE multipliers with registered inputs and outputs and PE accumulators (a DSP block for both, or
//   lepton_multiplier and an adder); ROM of CHANNELS*TAPS weights and of CHANNELS biases.
module lepton_depthwise #(
    parameter integer CHANNELS = 4,
    parameter integer PE = 2,
    parameter integer TAPS = 9,
    parameter integer X_BITS = 8,
    parameter integer X_SIGNED = 1,
    parameter integer W_BITS = 8,
    parameter integer OUT_BITS = 20,
    parameter WEIGHTS_FILE = "",
    parameter BIAS_FILE = "",
    // Only the attribute below reads it, and Verilator skips attributes.
    // verilator lint_off UNUSEDPARAM
    parameter USE_DSP = "yes",
    // verilator lint_on UNUSEDPARAM
    parameter ROM_STYLE = "auto"
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
    localparam integer GROUPS = CHANNELS / PE;
    localparam integer FOLDS = GROUPS * TAPS;
    localparam integer TAP_BITS = TAPS > 1 ? $clog2(TAPS) : 1;
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;

    // How lepton_dot works, from its own parameters.
    localparam integer IS_DSP = USE_DSP == "no" ? 0 : 1;
    localparam integer S_BITS = X_BITS + (X_SIGNED != 0 ? 0 : 1);
    localparam integer LUT_ROWS = S_BITS + W_BITS <= 6 ? 1
        : S_BITS < W_BITS ? (S_BITS + 1) / 2 : (W_BITS + 1) / 2;
    localparam integer LINE = IS_DSP == 0 ? LUT_ROWS : 1;
    localparam integer DOT_BITS = X_BITS + W_BITS;

    // Stages: 1, 2 inputs and weights, DOT products, ACC the accumulator.
    localparam integer DOT = 2 + LINE;
    localparam integer ACC = TAPS > 1 ? DOT + 1 : DOT;

    logic step;
    logic issue;
    logic is_last_tap;
    logic is_last_fold;
    logic is_last_bias;
    logic can_write;
    logic is_result;
    logic is_unused;
    logic [  TAP_BITS-1:0] tap;
    logic [ FOLD_BITS-1:0] fold;
    logic [GROUP_BITS-1:0] bias_group;
    logic [ACC:1] valid;  // what moves beside the data: bit k belongs to stage k
    logic [ACC:1] first;  // of a sum
    logic [ACC:1] last;

    assign is_unused = &{is_last_fold, is_last_bias, first};
    assign in_ready  = step;
    assign issue     = step && in_valid;
    assign step      = can_write || !is_result;

    lepton_counter #(
        .LIMIT(TAPS)
    ) u_tap (
        .clk  (clk),
        .rst  (rst),
        .step (issue),
        .last (is_last_tap),
        .count(tap)
    );
    lepton_counter #(
        .LIMIT(FOLDS)
    ) u_fold (
        .clk  (clk),
        .rst  (rst),
        .step (issue),
        .last (is_last_fold),
        .count(fold)
    );

    always_ff @(posedge clk) begin
        if (step) begin
            valid     <= {valid[ACC-1:1], issue};
            first     <= {first[ACC-1:1], tap == '0};
            last      <= {last[ACC-1:1], is_last_tap};
            is_result <= valid[ACC] && last[ACC];
        end
        if (rst) begin
            valid     <= '0;
            is_result <= 1'b0;
        end
    end

    logic [PE*W_BITS-1:0] weights;
    logic [PE*X_BITS-1:0] taken;
    logic [PE*X_BITS-1:0] inputs;

    lepton_rom #(
        .BITS     (PE * W_BITS),
        .DEPTH    (FOLDS),
        .ROM_FILE (WEIGHTS_FILE),
        .ROM_STYLE(ROM_STYLE)
    ) u_weights (
        .clk    (clk),
        .enable (step),
        .address(fold),
        .data   (weights)
    );

    always_ff @(posedge clk) begin
        if (step) begin
            taken  <= in_data;
            inputs <= taken;
        end
    end

    // Biases, read two stages ahead of the sum that they join.
    logic [PE*OUT_BITS-1:0] bias;

    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_bias_group (
        .clk  (clk),
        .rst  (rst),
        .step (step && valid[ACC-2] && last[ACC-2]),
        .last (is_last_bias),
        .count(bias_group)
    );
    lepton_rom #(
        .BITS    (PE * OUT_BITS),
        .DEPTH   (GROUPS),
        .ROM_FILE(BIAS_FILE)
    ) u_bias (
        .clk    (clk),
        .enable (step),
        .address(bias_group),
        .data   (bias)
    );

    logic [PE*OUT_BITS-1:0] result;

    generate
        genvar p;
        for (p = 0; p < PE; p = p + 1) begin : g_lane
            logic        [LINE*X_BITS-1:0] line;
            logic signed [   DOT_BITS-1:0] product;
            logic signed [   OUT_BITS-1:0] total;
            logic                          is_unused_product;

            assign line[X_BITS-1:0]  = inputs[p*X_BITS+:X_BITS];
            assign is_unused_product = &product;  // its upper bits, where the sums are known to be small

            if (LINE > 1) begin : g_line
                logic [(LINE-1)*X_BITS-1:0] old;
                assign line[LINE*X_BITS-1:X_BITS] = old;
                always_ff @(posedge clk) if (step) old <= line[(LINE-1)*X_BITS-1:0];
            end

            lepton_dot #(
                .SIMD    (1),
                .X_BITS  (X_BITS),
                .X_SIGNED(X_SIGNED),
                .W_BITS  (W_BITS),
                .USE_DSP (USE_DSP)
            ) u_product (
                .clk    (clk),
                .enable (step),
                .line   (line),
                .weights(weights[p*W_BITS+:W_BITS]),
                .dot    (product)
            );

            if (TAPS == 1) begin : g_complete
                assign total = OUT_BITS'(product);
            end else begin : g_accumulate
                (* use_dsp = USE_DSP *)
                logic signed [OUT_BITS-1:0] acc;

                always_ff @(posedge clk) begin
                    if (step && valid[DOT]) acc <= (first[DOT] ? '0 : acc) + OUT_BITS'(product);
                end
                assign total = acc;
            end

            always_ff @(posedge clk) begin
                if (step) result[p*OUT_BITS+:OUT_BITS] <= total + bias[p*OUT_BITS+:OUT_BITS];
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
