// Requantisation: sums to codes by an integer multiplier, an addend and a shift.
//
// Computes: out = clamp((multiplier * in + addend) >> SHIFT, LOWEST, HIGHEST), the shift rounding down; with
//   IS_HALF_EVEN = 1 to the nearest integer, halves to the even one (SHIFT >= 1). The CHANNELS/LANES channel
//   groups come round in turn.
// Parameters: X_BITS, X_SIGNED; M_BITS of a multiplier (signed); SUM_BITS of an addend, which hold the whole sum
//   (signed); OUT_BITS; SHIFT; CHANNELS, LANES (one multiplier for all channels: CHANNELS = LANES);
//   LOWEST, HIGHEST; IS_HALF_EVEN; IS_UNIT where all multipliers are 1: nothing is multiplied; MULTIPLIER_FILE, ADDEND_FILE: a word a channel group, lane l at l*M_BITS and
//   l*SUM_BITS; USE_DSP "yes" or "no"; DSP_WIDE, DSP_NARROW: bits of the two signed factors of a DSP block (25 and 18
//   on AMD parts, 18 and 18 on ECP5 and Gowin, 16 and 16 on iCE40); ROM_STYLE "auto", "block", "distributed".
// One word a cycle. Latency: 5 cycles + log2(partial products + 1), rounded up, and 1 more with
//   IS_HALF_EVEN: 6 or 7 where the factors fit a DSP block.
// Infers: for each lane a multiplier with registered inputs and output, in pieces that fit a DSP block each, adders,
//   two comparators; ROMs (constants where there is one group).
module lepton_requantize #(
    parameter integer X_BITS = 20,
    parameter integer X_SIGNED = 1,
    parameter integer M_BITS = 16,
    parameter integer SUM_BITS = 37,
    parameter integer OUT_BITS = 8,
    parameter integer SHIFT = 16,
    parameter integer CHANNELS = 1,
    parameter integer LANES = 1,
    parameter signed [63:0] LOWEST = -64'sd128,
    parameter signed [63:0] HIGHEST = 127,
    parameter integer IS_HALF_EVEN = 0,
    parameter integer IS_UNIT = 0,
    parameter MULTIPLIER_FILE = "",
    parameter ADDEND_FILE = "",
    // Only the attribute below reads it, and Verilator skips attributes.
    // verilator lint_off UNUSEDPARAM
    parameter USE_DSP = "yes",
    // verilator lint_on UNUSEDPARAM
    parameter integer DSP_WIDE = 25,
    parameter integer DSP_NARROW = 18,
    parameter ROM_STYLE = "auto"
) (
    input  logic                      clk,
    input  logic                      rst,
    input  logic [  LANES*X_BITS-1:0] in_data,
    input  logic                      in_valid,
    output logic                      in_ready,
    output logic [LANES*OUT_BITS-1:0] out_data,
    output logic                      out_valid,
    input  logic                      out_ready
);
    localparam integer GROUPS = CHANNELS / LANES;
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;

    // Both factors, as signed numbers, are cut into unsigned pieces and a signed rest that fit a DSP block
    // whichever way takes fewer.
    localparam integer A_BITS = X_BITS + (X_SIGNED != 0 ? 0 : 1);
    localparam integer WIDE = DSP_WIDE - 1;  // bits of an unsigned piece
    localparam integer NARROW = DSP_NARROW - 1;
    localparam integer A_BY_WIDE = A_BITS <= 2 ? 1 : (A_BITS - 2) / WIDE + 1;
    localparam integer A_BY_NARROW = A_BITS <= 2 ? 1 : (A_BITS - 2) / NARROW + 1;
    localparam integer M_BY_WIDE = M_BITS <= 2 ? 1 : (M_BITS - 2) / WIDE + 1;
    localparam integer M_BY_NARROW = M_BITS <= 2 ? 1 : (M_BITS - 2) / NARROW + 1;
    localparam integer IS_A_WIDE = A_BY_WIDE * M_BY_NARROW <= A_BY_NARROW * M_BY_WIDE ? 1 : 0;
    localparam integer CUT_A = IS_A_WIDE != 0 ? WIDE : NARROW;
    localparam integer CUT_M = IS_A_WIDE != 0 ? NARROW : WIDE;
    localparam integer PARTS_A = IS_UNIT != 0 ? 1 : IS_A_WIDE != 0 ? A_BY_WIDE : A_BY_NARROW;
    localparam integer PARTS_M = IS_UNIT != 0 ? 1 : IS_A_WIDE != 0 ? M_BY_NARROW : M_BY_WIDE;
    localparam integer TERMS = PARTS_A * PARTS_M + 1;  // with the addend
    localparam integer TREE = $clog2(TERMS);
    localparam integer TOTAL = 3 + TREE;  // stage that holds the sum
    localparam integer CODE = IS_HALF_EVEN != 0 ? TOTAL + 2 : TOTAL + 1;  // stage that holds the code

    localparam integer WIDE_BITS = SUM_BITS > SHIFT ? SUM_BITS : SHIFT + 1;
    localparam integer DOWN_BITS = WIDE_BITS - SHIFT;
    localparam integer CLAMP_BITS = (DOWN_BITS > OUT_BITS ? DOWN_BITS : OUT_BITS) + 1;
    localparam logic signed [CLAMP_BITS-1:0] LOW = CLAMP_BITS'(LOWEST);
    localparam logic signed [CLAMP_BITS-1:0] HIGH = CLAMP_BITS'(HIGHEST);

    logic step;
    logic issue;
    logic can_write;
    logic [CODE:1] valid;

    assign in_ready = step;
    assign issue    = step && in_valid;
    assign step     = can_write || !valid[CODE];

    always_ff @(posedge clk) begin
        if (step) valid <= {valid[CODE-1:1], issue};
        if (rst) valid <= '0;
    end

    // Stages 1 and 2: input and parameters.
    logic [  LANES*X_BITS-1:0] taken;
    logic [  LANES*X_BITS-1:0] inputs;
    logic [  LANES*M_BITS-1:0] multipliers;
    logic [LANES*SUM_BITS-1:0] addends;
    logic [LANES*SUM_BITS-1:0] addends_3;
    logic [    GROUP_BITS-1:0] group;
    logic                      is_last_group;
    logic                      is_unused;

    assign is_unused = is_last_group;

    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group (
        .clk  (clk),
        .rst  (rst),
        .step (issue),
        .last (is_last_group),
        .count(group)
    );
    lepton_rom #(
        .BITS     (LANES * M_BITS),
        .DEPTH    (GROUPS),
        .ROM_FILE (MULTIPLIER_FILE),
        .ROM_STYLE(ROM_STYLE)
    ) u_multiplier (
        .clk    (clk),
        .enable (step),
        .address(group),
        .data   (multipliers)
    );
    lepton_rom #(
        .BITS     (LANES * SUM_BITS),
        .DEPTH    (GROUPS),
        .ROM_FILE (ADDEND_FILE),
        .ROM_STYLE(ROM_STYLE)
    ) u_addend (
        .clk    (clk),
        .enable (step),
        .address(group),
        .data   (addends)
    );

    generate
        if (GROUPS == 1) begin : g_constant
            assign addends_3 = addends;
        end else begin : g_delay
            always_ff @(posedge clk) if (step) addends_3 <= addends;
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (step) begin
            taken  <= in_data;
            inputs <= taken;
        end
    end

    logic [LANES*OUT_BITS-1:0] codes;

    generate
        genvar l, i, j;
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            logic signed [           A_BITS-1:0] a;
            logic signed [           M_BITS-1:0] m;
            logic        [   TERMS*SUM_BITS-1:0] terms;
            logic signed [    SUM_BITS+TREE-1:0] sum;
            logic signed [         SUM_BITS-1:0] exact;
            logic signed [        WIDE_BITS-1:0] total;
            logic signed [        DOWN_BITS-1:0] down;
            logic signed [       CLAMP_BITS-1:0] rounded;
            logic                                is_unused_sum;

            if (X_SIGNED != 0) begin : g_signed
                assign a = inputs[l*X_BITS+:X_BITS];
            end else begin : g_unsigned
                assign a = {1'b0, inputs[l*X_BITS+:X_BITS]};
            end
            assign m = multipliers[l*M_BITS+:M_BITS];

            for (i = 0; i < PARTS_A; i = i + 1) begin : g_a
                localparam integer LEFT_A = A_BITS - i * CUT_A;
                localparam integer BITS_A = i < PARTS_A - 1 ? CUT_A + 1 : LEFT_A;
                logic signed [BITS_A-1:0] part_a;

                if (i < PARTS_A - 1) begin : g_piece
                    assign part_a = {1'b0, a[i*CUT_A+:CUT_A]};
                end else begin : g_rest
                    assign part_a = a[A_BITS-1:i*CUT_A];
                end

                for (j = 0; j < PARTS_M; j = j + 1) begin : g_m
                    localparam integer LEFT_M = M_BITS - j * CUT_M;
                    localparam integer BITS_M = j < PARTS_M - 1 ? CUT_M + 1 : LEFT_M;
                    localparam integer PLACE = i * CUT_A + j * CUT_M;
                    logic signed [BITS_M-1:0] part_m;
                    (* use_dsp = USE_DSP *)
                    logic signed [BITS_A+BITS_M-1:0] product;
                    logic is_unused_product;  // its upper bits, where the sum is known to be small

                    assign is_unused_product = &product;

                    if (j < PARTS_M - 1) begin : g_piece
                        assign part_m = {1'b0, m[j*CUT_M+:CUT_M]};
                    end else begin : g_rest
                        assign part_m = m[M_BITS-1:j*CUT_M];
                    end

                    if (IS_UNIT != 0) begin : g_unit
                        logic is_unused_factor;
                        assign is_unused_factor = &part_m;
                        always_ff @(posedge clk) if (step) product <= (BITS_A + BITS_M)'(part_a);
                    end else begin : g_product
                        always_ff @(posedge clk) if (step) product <= part_a * part_m;
                    end

                    assign terms[(i*PARTS_M+j)*SUM_BITS+:SUM_BITS] = SUM_BITS'(product) <<< PLACE;
                end
            end
            assign terms[(TERMS-1)*SUM_BITS+:SUM_BITS] = addends_3[l*SUM_BITS+:SUM_BITS];

            lepton_sum #(
                .COUNT(TERMS),
                .BITS (SUM_BITS)
            ) u_sum (
                .clk   (clk),
                .enable(step),
                .in    (terms),
                .sum   (sum)
            );

            assign is_unused_sum = &sum[SUM_BITS+TREE-1:SUM_BITS];
            assign exact         = sum[SUM_BITS-1:0];
            assign total         = WIDE_BITS'(exact);
            assign down          = total[WIDE_BITS-1:SHIFT];

            if (IS_HALF_EVEN != 0) begin : g_half_even
                logic is_half;  // at least
                logic is_more;  // than half, or half above an odd number
                logic signed [CLAMP_BITS-1:0] nearest;

                assign is_half = total[SHIFT-1];
                if (SHIFT > 1) begin : g_rest
                    assign is_more = |total[SHIFT-2:0] || down[0];
                end else begin : g_no_rest
                    assign is_more = down[0];
                end
                always_ff @(posedge clk) begin
                    if (step) nearest <= CLAMP_BITS'(down) + CLAMP_BITS'({1'b0, is_half && is_more});
                end
                assign rounded = nearest;
            end else begin : g_floor
                if (SHIFT > 0) begin : g_dropped
                    logic is_unused_rest;
                    assign is_unused_rest = &total[SHIFT-1:0];
                end
                assign rounded = CLAMP_BITS'(down);
            end

            always_ff @(posedge clk) begin
                if (step) begin
                    codes[l*OUT_BITS+:OUT_BITS] <= rounded < LOW ? LOW[OUT_BITS-1:0]
                        : rounded > HIGH ? HIGH[OUT_BITS-1:0] : rounded[OUT_BITS-1:0];
                end
            end
        end
    endgenerate

    lepton_skid #(
        .BITS(LANES * OUT_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (codes),
        .in_valid (valid[CODE]),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
