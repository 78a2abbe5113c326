// Matrix-vector unit: fully connected layers, and convolutions behind a sliding window.
//
// Computes: out = weights * in + bias for every vector of COLS elements. In: COLS/SIMD words; out: ROWS/PE
//   words. Row r is lane r % PE of row group r / PE. While row group 0 reads the vector it is kept, and
//   replayed for the others.
// Parameters: ROWS, COLS of the matrix; PE rows and SIMD columns a cycle, which divide them; X_BITS, X_SIGNED of
//   an input; W_BITS of a weight (signed); OUT_BITS of a sum (signed; holds every result).
//   PRODUCT_BITS that hold every product that occurs, where LUTs multiply.
//   W_SIGNS 1: the weights are -1 and +1, kept as the bits 0 and 1 (W_BITS 1); the bias then holds the number of
//   negative weights of its row besides. X_BIPOLAR 1 (with W_SIGNS 1 and X_BITS 1): the inputs 0 and 1 stand for -1
//   and +1; the bias then holds -COLS besides.
//   WEIGHTS_FILE: word row_group*(COLS/SIMD) + col_group, weight [pe][simd] at (pe*SIMD + simd)*W_BITS.
//   BIAS_FILE: ROWS/PE words, lane l at l*OUT_BITS.
//   USE_DSP "yes" or "no": multiply in DSP blocks or in LUTs. ROM_STYLE of the weights, RAM_STYLE of the
//   kept vector: "auto", "block" or "distributed".
//   FIELDS rows share each DSP block where it is more than 1 (USE_DSP "yes"; it divides PE): FIELD_BITS and CHAIN
//   as in lepton_packed_dot, and row r of WEIGHTS_FILE is field r % FIELDS as that wants it.
// Cycles: (ROWS/PE) * (COLS/SIMD) a vector. Latency: 5 + that of lepton_dot (DSP: 1 where SIMD is 1, else
//   CHAIN + 1 + log2(SIMD/CHAIN), CHAIN = min(SIMD, 4); LUT: half the bits of the narrower factor + log2(SIMD)),
//   lepton_packed_dot, lepton_sign_dot or lepton_xnor_dot from a row group's last word, 1 less where COLS = SIMD.
// Infers: PE*SIMD multipliers (PE*SIMD/FIELDS DSP blocks in chains of up to four, or LUTs), PE adder trees and
//   accumulators (in the DSP block where SIMD and FIELDS are 1), ROM of ROWS*COLS weights and of ROWS biases, RAM of
//   COLS inputs.
module lepton_mvu #(
    parameter integer ROWS = 4,
    parameter integer COLS = 4,
    parameter integer PE = 2,
    parameter integer SIMD = 2,
    parameter integer X_BITS = 8,
    parameter integer X_SIGNED = 1,
    parameter integer W_BITS = 8,
    parameter integer OUT_BITS = 20,
    parameter integer PRODUCT_BITS = X_BITS + W_BITS,
    parameter integer W_SIGNS = 0,
    parameter integer X_BIPOLAR = 0,
    parameter WEIGHTS_FILE = "",
    parameter BIAS_FILE = "",
    // Only the attribute below reads it, and Verilator skips attributes.
    // verilator lint_off UNUSEDPARAM
    parameter USE_DSP = "yes",
    // verilator lint_on UNUSEDPARAM
    parameter integer FIELDS = 1,
    // Where FIELDS is 1, only the next one is used, as derived.
    // verilator lint_off UNUSEDPARAM
    parameter integer FIELD_BITS = 1,
    // verilator lint_on UNUSEDPARAM
    parameter integer CHAIN = USE_DSP == "no" ? 1 : SIMD < 4 ? SIMD : 4,
    parameter ROM_STYLE = "auto",
    parameter RAM_STYLE = "auto"
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic [SIMD*X_BITS-1:0] in_data,
    input  logic                   in_valid,
    output logic                   in_ready,
    output logic [PE*OUT_BITS-1:0] out_data,
    output logic                   out_valid,
    input  logic                   out_ready
);
    localparam integer ROW_GROUPS = ROWS / PE;
    localparam integer COL_GROUPS = COLS / SIMD;
    localparam integer FOLDS = ROW_GROUPS * COL_GROUPS;
    localparam integer COL_BITS = COL_GROUPS > 1 ? $clog2(COL_GROUPS) : 1;
    localparam integer ROW_BITS = ROW_GROUPS > 1 ? $clog2(ROW_GROUPS) : 1;
    localparam integer FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;

    // How lepton_dot, or what takes its place, works, from its own parameters.
    localparam integer IS_DSP = USE_DSP == "no" || W_SIGNS != 0 ? 0 : 1;
    localparam integer S_BITS = X_BITS + (X_SIGNED != 0 ? 0 : 1);
    localparam integer LUT_ROWS = W_SIGNS != 0 || S_BITS + W_BITS <= 6 ? 1
        : S_BITS < W_BITS ? (S_BITS + 1) / 2 : (W_BITS + 1) / 2;
    localparam integer LINKS = IS_DSP == 0 ? 1 : CHAIN;
    localparam integer CHAINS = (SIMD + LINKS - 1) / LINKS;
    localparam integer LINE = IS_DSP == 0 ? LUT_ROWS : LINKS;
    localparam integer NINES = (SIMD + 8) / 9;
    localparam integer COUNT_CYCLES = 1 + (SIMD > 3 ? 1 : 0) + $clog2(NINES);
    localparam integer COUNT_BITS = SIMD <= 3 ? 2 : 4 + $clog2(NINES);
    localparam integer DSP_CYCLES = LINKS == 1 && FIELDS == 1 ? 1 : LINKS + 1;
    localparam integer DOT_CYCLES = X_BIPOLAR != 0 ? COUNT_CYCLES
        : W_SIGNS != 0 ? (SIMD == 1 ? 1 : $clog2(SIMD))
        : (IS_DSP == 0 ? LUT_ROWS : DSP_CYCLES) + $clog2(CHAINS);
    localparam integer DOT_BITS = X_BIPOLAR != 0 ? COUNT_BITS + 2 : W_SIGNS != 0 ? S_BITS + $clog2(SIMD)
        : (IS_DSP == 0 ? PRODUCT_BITS : X_BITS + W_BITS + $clog2(LINKS)) + $clog2(CHAINS);

    // Stage k is what the k-th register after the input holds: 1, 2 inputs and weights, DOT their dot
    // product, ACC the accumulator.
    localparam integer DOT = 2 + DOT_CYCLES;
    localparam integer ACC = COL_GROUPS > 1 ? DOT + 1 : DOT;

    // Only the attribute reads it, and Verilator skips attributes.
    // verilator lint_off UNUSEDPARAM
    localparam ACC_DSP = FIELDS > 1 ? "no" : USE_DSP;
    // verilator lint_on UNUSEDPARAM

    logic step;  // the pipeline moves
    logic issue;  // a word enters it

    // Where we are in the matrix.
    logic is_first_row;
    logic is_last_col;
    logic is_last_row;
    logic is_last_fold;
    logic [COL_BITS-1:0] col;
    logic [ROW_BITS-1:0] row;
    logic [FOLD_BITS-1:0] fold;
    logic [ACC:1] valid;  // what moves beside the data: bit k belongs to stage k
    logic [ACC:1] first;  // of a sum
    logic [ACC:1] last;
    logic is_unused;

    assign is_first_row = row == '0;
    assign in_ready     = step && is_first_row;
    assign issue        = step && (in_valid || !is_first_row);
    assign is_unused    = &{is_last_row, is_last_fold, first};

    lepton_counter #(
        .LIMIT(COL_GROUPS)
    ) u_col (
        .clk  (clk),
        .rst  (rst),
        .step (issue),
        .last (is_last_col),
        .count(col)
    );
    lepton_counter #(
        .LIMIT(ROW_GROUPS)
    ) u_row (
        .clk  (clk),
        .rst  (rst),
        .step (issue && is_last_col),
        .last (is_last_row),
        .count(row)
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

    // Stages 1 and 2: weights and inputs.
    logic [PE*SIMD*W_BITS-1:0] weights;
    logic [   SIMD*X_BITS-1:0] inputs;

    lepton_rom #(
        .BITS     (PE * SIMD * W_BITS),
        .DEPTH    (FOLDS),
        .ROM_FILE (WEIGHTS_FILE),
        .ROM_STYLE(ROM_STYLE)
    ) u_weights (
        .clk    (clk),
        .enable (step),
        .address(fold),
        .data   (weights)
    );

    generate
        if (ROW_GROUPS == 1) begin : g_once
            logic [SIMD*X_BITS-1:0] taken;

            always_ff @(posedge clk) begin
                if (step) begin
                    taken  <= in_data;
                    inputs <= taken;
                end
            end
        end else begin : g_replay
            logic [SIMD*X_BITS-1:0] taken;
            logic [SIMD*X_BITS-1:0] kept;
            logic                   is_taken;

            lepton_ram #(
                .BITS     (SIMD * X_BITS),
                .DEPTH    (COL_GROUPS),
                .RAM_STYLE(RAM_STYLE),
                .LATENCY  (1)
            ) u_kept (
                .clk          (clk),
                .write        (issue && is_first_row),
                .write_address(col),
                .write_data   (in_data),
                .enable       (step),
                .address      (col),
                .data         (kept)
            );

            always_ff @(posedge clk) begin
                if (step) begin
                    taken    <= in_data;
                    is_taken <= is_first_row;
                    inputs   <= is_taken ? taken : kept;
                end
            end
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (step) begin
            valid <= {valid[ACC-1:1], issue};
            first <= {first[ACC-1:1], col == '0};
            last  <= {last[ACC-1:1], is_last_col};
        end
        if (rst) valid <= '0;
    end

    // The inputs, and what they were in the cycles before.
    logic [LINE*SIMD*X_BITS-1:0] line;

    assign line[SIMD*X_BITS-1:0] = inputs;

    generate
        if (LINE > 1) begin : g_line
            logic [(LINE-1)*SIMD*X_BITS-1:0] old;
            assign line[LINE*SIMD*X_BITS-1:SIMD*X_BITS] = old;
            always_ff @(posedge clk) if (step) old <= line[(LINE-1)*SIMD*X_BITS-1:0];
        end
    endgenerate

    // Biases, read two stages ahead of the sum that they join.
    logic [PE*OUT_BITS-1:0] bias;
    logic [   ROW_BITS-1:0] bias_row;
    logic                   is_last_bias;
    logic                   is_unused_bias;

    assign is_unused_bias = is_last_bias;

    lepton_counter #(
        .LIMIT(ROW_GROUPS)
    ) u_bias_row (
        .clk  (clk),
        .rst  (rst),
        .step (step && valid[ACC-2] && last[ACC-2]),
        .last (is_last_bias),
        .count(bias_row)
    );
    lepton_rom #(
        .BITS (PE * OUT_BITS),
        .DEPTH(ROW_GROUPS),
        .ROM_FILE(BIAS_FILE)
    ) u_bias (
        .clk    (clk),
        .enable (step),
        .address(bias_row),
        .data   (bias)
    );

    logic [PE*DOT_BITS-1:0] dots;
    logic [PE*OUT_BITS-1:0] result;
    logic                   is_result;

    generate
        genvar p;
        for (p = 0; p < PE; p = p + 1) begin : g_row
            logic signed [DOT_BITS-1:0] dot;
            logic signed [OUT_BITS-1:0] wide_dot;
            logic signed [OUT_BITS-1:0] total;
            logic                       is_unused_dot;

            if (X_BIPOLAR != 0) begin : g_equal
                logic [COUNT_BITS-1:0] count;

                lepton_xnor_dot #(
                    .SIMD(SIMD)
                ) u_count (
                    .clk    (clk),
                    .enable (step),
                    .x      (line),
                    .weights(weights[p*SIMD+:SIMD]),
                    .count  (count)
                );
                assign dots[p*DOT_BITS+:DOT_BITS] = {1'b0, count, 1'b0};
            end else if (W_SIGNS != 0) begin : g_negate
                lepton_sign_dot #(
                    .SIMD    (SIMD),
                    .X_BITS  (X_BITS),
                    .X_SIGNED(X_SIGNED)
                ) u_dot (
                    .clk    (clk),
                    .enable (step),
                    .x      (line),
                    .weights(weights[p*SIMD+:SIMD]),
                    .dot    (dots[p*DOT_BITS+:DOT_BITS])
                );
            end else if (FIELDS == 1) begin : g_dot
                lepton_dot #(
                    .SIMD    (SIMD),
                    .X_BITS  (X_BITS),
                    .X_SIGNED(X_SIGNED),
                    .W_BITS  (W_BITS),
                    .USE_DSP (USE_DSP),
                    .PRODUCT_BITS(PRODUCT_BITS)
                ) u_dot (
                    .clk    (clk),
                    .enable (step),
                    .line   (line),
                    .weights(weights[p*SIMD*W_BITS+:SIMD*W_BITS]),
                    .dot    (dots[p*DOT_BITS+:DOT_BITS])
                );
            end else if (p % FIELDS == 0) begin : g_packed
                lepton_packed_dot #(
                    .SIMD      (SIMD),
                    .X_BITS    (X_BITS),
                    .X_SIGNED  (X_SIGNED),
                    .W_BITS    (W_BITS),
                    .FIELDS    (FIELDS),
                    .FIELD_BITS(FIELD_BITS),
                    .CHAIN     (CHAIN)
                ) u_dots (
                    .clk    (clk),
                    .enable (step),
                    .line   (line),
                    .weights(weights[p*SIMD*W_BITS+:FIELDS*SIMD*W_BITS]),
                    .dots   (dots[p*DOT_BITS+:FIELDS*DOT_BITS])
                );
            end

            assign dot           = dots[p*DOT_BITS+:DOT_BITS];
            assign wide_dot      = OUT_BITS'(dot);
            assign is_unused_dot = &dot;  // its upper bits, where the sums are known to be small

            if (COL_GROUPS == 1) begin : g_complete
                assign total = wide_dot;
            end else begin : g_accumulate
                // Behind several fields an accumulator would take a block of its own.
                (* use_dsp = ACC_DSP *)
                logic signed [OUT_BITS-1:0] acc;

                always_ff @(posedge clk) begin
                    if (step && valid[DOT]) acc <= (first[DOT] ? '0 : acc) + wide_dot;
                end
                assign total = acc;
            end

            always_ff @(posedge clk) begin
                if (step) result[p*OUT_BITS+:OUT_BITS] <= total + bias[p*OUT_BITS+:OUT_BITS];
            end
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (step) is_result <= valid[ACC] && last[ACC];
        if (rst) is_result <= 1'b0;
    end

    logic can_write;

    assign step = can_write || !is_result;

    lepton_skid #(
        .BITS(PE * OUT_BITS),
        .FULL(COL_GROUPS == 1 ? 1 : 0)
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
