// Softmax on codes, in exact integers.
//
// Computes, over the CHANNELS of each pixel: with m the largest, e = table[m - in] (the last entry for anything
//   beyond the table) and S the sum of e,
//     out = clamp(ZERO_POINT + round(e * NUMERATOR / (S * DENOMINATOR)), LOWEST, HIGHEST), halves up.
// Parameters: X_BITS, X_SIGNED; OUT_BITS; CHANNELS, LANES; ENTRIES of the table, EXP_BITS each (unsigned; entry 0
//   is not 0, and none is larger than it); NUMERATOR, DENOMINATOR (from 1 to 2^15 - 1); ZERO_POINT; LOWEST,
//   HIGHEST; ROM_FILE: one entry a word; ROM_STYLE, RAM_STYLE "auto", "block", "distributed".
//
// How: three parts work on three pixels at once, with FIFOs between them: the largest channel; exponentials and
// their sum; quotients. No part ever stalls: a word enters one when there is room for what comes of it. A
// quotient is at most NUMERATOR/DENOMINATOR + 1/2, so that a restoring divider needs only as many stages as
// that has bits.
// Cycles: CHANNELS/LANES a pixel. Latency from a pixel's first word to its first output: 2 * CHANNELS/LANES + 12 +
//   2 * log2(LANES) + bits of the quotient.
// Infers: LANES ROMs, LANES dividers of a subtractor a bit of the quotient, two FIFOs of a pixel each, and one
//   of results.
module lepton_softmax #(
    parameter integer X_BITS = 8,
    parameter integer X_SIGNED = 1,
    parameter integer OUT_BITS = 8,
    parameter integer CHANNELS = 10,
    parameter integer LANES = 1,
    parameter integer ENTRIES = 256,
    parameter integer EXP_BITS = 24,
    parameter integer NUMERATOR = 256,
    parameter integer DENOMINATOR = 1,
    parameter signed [63:0] ZERO_POINT = -64'sd128,
    parameter signed [63:0] LOWEST = -64'sd128,
    parameter signed [63:0] HIGHEST = 127,
    parameter ROM_FILE = "",
    parameter ROM_STYLE = "auto",
    parameter RAM_STYLE = "auto"
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
    localparam integer TREE = $clog2(LANES);
    localparam integer S_BITS = X_BITS + 1;
    // A pixel waits for its own result: so many words, and what is on its way through the tree.
    localparam integer KEPT = GROUPS + TREE + 12;
    localparam integer PIXELS_KEPT = KEPT / GROUPS + 3;
    localparam integer EXPS_KEPT = KEPT + 3;  // with those that are being looked up

    // -- part 1: the largest channel of each pixel; the words wait for it -----------------------------
    logic                     is_x;
    logic                     take_x;
    logic                     is_max;
    logic                     take_max;
    logic                     is_space;
    logic [ LANES*X_BITS-1:0] x;
    logic signed [S_BITS-1:0] largest;
    logic signed [S_BITS-1:0] word_largest;
    logic signed [S_BITS-1:0] best;
    logic [ LANES*S_BITS-1:0] numbers;
    logic                     is_last_in;
    logic                     is_word_largest;
    logic                     is_last_largest;
    logic                     is_first_largest;
    logic                     is_best;
    logic [   GROUP_BITS-1:0] in_group;
    logic                     place;
    logic                     is_max_space;

    assign in_ready = is_space;

    lepton_fifo #(
        .BITS     (LANES * X_BITS),
        .DEPTH    (KEPT),
        .RAM_STYLE(RAM_STYLE)
    ) u_x (
        .clk      (clk),
        .rst      (rst),
        .in_data  (in_data),
        .in_valid (in_valid),
        .in_ready (is_space),
        .out_data (x),
        .out_valid(is_x),
        .out_ready(take_x)
    );
    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_in_group (
        .clk  (clk),
        .rst  (rst),
        .step (in_valid && is_space),
        .last (is_last_in),
        .count(in_group)
    );
    lepton_delay #(
        .BITS  (2),
        .CYCLES(TREE)
    ) u_flags (
        .clk   (clk),
        .rst   (rst),
        .enable(1'b1),
        .in    ({in_valid && is_space, is_last_in}),
        .out   ({is_word_largest, is_last_largest})
    );
    lepton_largest #(
        .COUNT     (LANES),
        .BITS      (S_BITS),
        .PLACE_BITS(1)
    ) u_largest (
        .clk    (clk),
        .enable (1'b1),
        .in     (numbers),
        .largest(word_largest),
        .place  (place)
    );

    always_ff @(posedge clk) begin
        is_best <= is_word_largest && is_last_largest;
        if (is_word_largest) begin
            is_first_largest <= is_last_largest;
            if (is_first_largest || word_largest > best) best <= word_largest;
        end
        if (rst) begin
            is_best          <= 1'b0;
            is_first_largest <= 1'b1;
        end
    end

    // Never full: a pixel in here has words in the FIFO above.
    lepton_fifo #(
        .BITS (S_BITS),
        .DEPTH(PIXELS_KEPT)
    ) u_max (
        .clk      (clk),
        .rst      (rst),
        .in_data  (best),
        .in_valid (is_best),
        .in_ready (is_max_space),
        .out_data (largest),
        .out_valid(is_max),
        .out_ready(take_max)
    );

    // -- part 2: exponentials, and their sum ------------------------------------------------------------
    localparam integer ENTRY_BITS = ENTRIES > 1 ? $clog2(ENTRIES) : 1;
    localparam integer WORD_SUM_BITS = EXP_BITS + 1 + TREE;
    localparam integer SUM_BITS = EXP_BITS + $clog2(CHANNELS);
    logic                         is_room_2;
    logic                         issue_2;
    logic                         is_last_2;
    logic                         is_last_exp;
    logic                         is_exp_space;  // always
    logic                         is_exp;
    logic                         take_exp;
    logic                         is_sum;
    logic                         take_sum;
    logic                         is_sum_space;
    logic [                  3:1] valid_2;
    logic [                  3:1] last_2;
    logic [       GROUP_BITS-1:0] group_2;
    logic [   LANES*EXP_BITS-1:0] exps;
    logic [LANES*(EXP_BITS+1)-1:0] addends;
    logic [   LANES*EXP_BITS-1:0] e;
    logic [    WORD_SUM_BITS-1:0] word_sum;
    logic                         is_word_sum;
    logic                         is_last_sum;
    logic                         is_first_sum;
    logic                         is_total;
    logic [         SUM_BITS-1:0] total;
    logic [         SUM_BITS-1:0] sum;

    assign issue_2  = is_room_2 && is_x && is_max;
    assign take_x   = issue_2;
    assign take_max = issue_2 && is_last_2;

    lepton_room #(
        .DEPTH(EXPS_KEPT)
    ) u_room_2 (
        .clk    (clk),
        .rst    (rst),
        .enter  (issue_2),
        .leave  (take_exp),
        .is_room(is_room_2)
    );
    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group_2 (
        .clk  (clk),
        .rst  (rst),
        .step (issue_2),
        .last (is_last_2),
        .count(group_2)
    );

    always_ff @(posedge clk) begin
        valid_2 <= {valid_2[2:1], issue_2};
        last_2  <= {last_2[2:1], is_last_2};
        if (rst) valid_2 <= '0;
    end

    generate
        genvar l;
        for (l = 0; l < LANES; l = l + 1) begin : g_exp
            logic signed [   S_BITS-1:0] number;
            logic        [   X_BITS-1:0] below;  // the largest
            logic        [ENTRY_BITS-1:0] entry;
            logic                         is_unused;

            if (X_SIGNED != 0) begin : g_signed
                assign numbers[l*S_BITS+:S_BITS] = S_BITS'($signed(in_data[l*X_BITS+:X_BITS]));
                assign number                    = S_BITS'($signed(x[l*X_BITS+:X_BITS]));
            end else begin : g_unsigned
                assign numbers[l*S_BITS+:S_BITS] = {1'b0, in_data[l*X_BITS+:X_BITS]};
                assign number                    = {1'b0, x[l*X_BITS+:X_BITS]};
            end
            assign {is_unused, below} = largest - number;

            if ((1 << X_BITS) > ENTRIES) begin : g_limited
                always_ff @(posedge clk) begin
                    entry <= below < X_BITS'(ENTRIES) ? ENTRY_BITS'(below) : ENTRY_BITS'(ENTRIES - 1);
                end
            end else begin : g_direct
                always_ff @(posedge clk) entry <= ENTRY_BITS'(below);
            end

            lepton_rom #(
                .BITS     (EXP_BITS),
                .DEPTH    (ENTRIES),
                .ROM_FILE (ROM_FILE),
                .ROM_STYLE(ROM_STYLE)
            ) u_table (
                .clk    (clk),
                .enable (1'b1),
                .address(entry),
                .data   (exps[l*EXP_BITS+:EXP_BITS])
            );

            assign addends[l*(EXP_BITS+1)+:EXP_BITS+1] = {1'b0, exps[l*EXP_BITS+:EXP_BITS]};
        end
    endgenerate

    lepton_fifo #(
        .BITS     (LANES * EXP_BITS),
        .DEPTH    (EXPS_KEPT),
        .RAM_STYLE(RAM_STYLE)
    ) u_exp (
        .clk      (clk),
        .rst      (rst),
        .in_data  (exps),
        .in_valid (valid_2[3]),
        .in_ready (is_exp_space),
        .out_data (e),
        .out_valid(is_exp),
        .out_ready(take_exp)
    );
    lepton_sum #(
        .COUNT(LANES),
        .BITS (EXP_BITS + 1)
    ) u_word_sum (
        .clk   (clk),
        .enable(1'b1),
        .in    (addends),
        .sum   (word_sum)
    );
    lepton_delay #(
        .BITS  (2),
        .CYCLES(TREE)
    ) u_sum_flags (
        .clk   (clk),
        .rst   (rst),
        .enable(1'b1),
        .in    ({valid_2[3], last_2[3]}),
        .out   ({is_word_sum, is_last_sum})
    );

    always_ff @(posedge clk) begin
        is_total <= is_word_sum && is_last_sum;
        if (is_word_sum) begin
            is_first_sum <= is_last_sum;
            total        <= (is_first_sum ? '0 : total) + SUM_BITS'(word_sum[WORD_SUM_BITS-2:0]);
        end
        if (rst) begin
            is_total     <= 1'b0;
            is_first_sum <= 1'b1;
        end
    end

    // Never full: a pixel in here has words in the FIFO above.
    lepton_fifo #(
        .BITS (SUM_BITS),
        .DEPTH(PIXELS_KEPT)
    ) u_sum (
        .clk      (clk),
        .rst      (rst),
        .in_data  (total),
        .in_valid (is_total),
        .in_ready (is_sum_space),
        .out_data (sum),
        .out_valid(is_sum),
        .out_ready(take_sum)
    );

    // -- part 3: quotients --------------------------------------------------------------------------------
    // (2 * e * NUMERATOR + divisor) / (2 * divisor), divisor = sum * DENOMINATOR.
    localparam integer SCALED_BITS = EXP_BITS + $clog2(NUMERATOR + 1);
    localparam integer DIVISOR_BITS = SUM_BITS + $clog2(DENOMINATOR + 1);
    localparam integer Q_BITS = $clog2(NUMERATOR / DENOMINATOR + 2);
    localparam integer REST_BITS = (SCALED_BITS + 1 > DIVISOR_BITS ? SCALED_BITS + 1 : DIVISOR_BITS) + 1;
    localparam integer TRIAL_BITS = DIVISOR_BITS + Q_BITS > REST_BITS ? DIVISOR_BITS + Q_BITS : REST_BITS;
    localparam integer CODE_BITS = (Q_BITS > OUT_BITS + 1 ? Q_BITS : OUT_BITS + 1) + 2;
    localparam integer CODE = 3 + Q_BITS;  // stages: 1 products, 2 dividend, then a bit each, code
    localparam integer CODES_KEPT = CODE + 6;  // from when a word enters until its room is free again
    localparam logic signed [CODE_BITS-1:0] LOW = CODE_BITS'(LOWEST);
    localparam logic signed [CODE_BITS-1:0] HIGH = CODE_BITS'(HIGHEST);
    logic                      is_room_3;
    logic                      issue_3;
    logic                      is_last_3;
    logic                      is_code_space;  // always
    logic [            CODE:1] valid_3;
    logic [    GROUP_BITS-1:0] group_3;
    logic [  DIVISOR_BITS-1:0] divisor_1;
    logic [(Q_BITS+1)*DIVISOR_BITS-1:0] divisors;  // at the entry of each stage of the divider
    logic [LANES*OUT_BITS-1:0] codes;
    logic                      is_unused_flags;

    assign is_unused_flags = &{is_sum_space, is_max_space, is_exp_space, is_code_space, place, in_group, group_2, group_3,
                               word_sum[WORD_SUM_BITS-1], is_last_exp,
                               divisors[Q_BITS*DIVISOR_BITS+:DIVISOR_BITS]};
    assign is_last_exp     = last_2[3];
    assign issue_3         = is_room_3 && is_exp && is_sum;
    assign take_exp        = issue_3;
    assign take_sum        = issue_3 && is_last_3;

    lepton_room #(
        .DEPTH(CODES_KEPT)
    ) u_room_3 (
        .clk    (clk),
        .rst    (rst),
        .enter  (issue_3),
        .leave  (out_valid && out_ready),
        .is_room(is_room_3)
    );
    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group_3 (
        .clk  (clk),
        .rst  (rst),
        .step (issue_3),
        .last (is_last_3),
        .count(group_3)
    );

    always_ff @(posedge clk) begin
        valid_3                    <= {valid_3[CODE-1:1], issue_3};
        divisor_1                  <= DIVISOR_BITS'(sum) * DIVISOR_BITS'(DENOMINATOR);
        divisors[DIVISOR_BITS-1:0] <= divisor_1;
        if (rst) valid_3 <= '0;
    end

    generate
        genvar s;
        for (s = 0; s < Q_BITS; s = s + 1) begin : g_divisor
            always_ff @(posedge clk) begin
                divisors[(s+1)*DIVISOR_BITS+:DIVISOR_BITS] <= divisors[s*DIVISOR_BITS+:DIVISOR_BITS];
            end
        end

        for (l = 0; l < LANES; l = l + 1) begin : g_quotient
            logic [         SCALED_BITS-1:0] scaled;
            logic [(Q_BITS+1)*REST_BITS-1:0] rests;
            logic [   (Q_BITS+1)*Q_BITS-1:0] quotients;
            logic signed [    CODE_BITS-1:0] code;

            logic is_unused_rest;
            assign quotients[Q_BITS-1:0] = '0;
            assign is_unused_rest        = &rests[Q_BITS*REST_BITS+:REST_BITS];

            always_ff @(posedge clk) begin
                scaled               <= SCALED_BITS'(e[l*EXP_BITS+:EXP_BITS]) * SCALED_BITS'(NUMERATOR);
                rests[REST_BITS-1:0] <= REST_BITS'({scaled, 1'b0}) + REST_BITS'(divisor_1);
            end

            for (s = 0; s < Q_BITS; s = s + 1) begin : g_bit
                localparam integer BIT = Q_BITS - 1 - s;
                logic [ TRIAL_BITS-1:0] trial;  // 2 * divisor * 2^BIT
                logic [ TRIAL_BITS-1:0] rest;
                logic [   TRIAL_BITS:0] less;
                logic [     Q_BITS-1:0] quotient;
                logic                   is_unused;

                assign trial     = TRIAL_BITS'({divisors[s*DIVISOR_BITS+:DIVISOR_BITS], 1'b0}) << BIT;
                assign rest      = TRIAL_BITS'(rests[s*REST_BITS+:REST_BITS]);
                assign less      = {1'b0, rest} - {1'b0, trial};
                assign quotient  = quotients[s*Q_BITS+:Q_BITS];
                assign is_unused = &less;

                always_ff @(posedge clk) begin
                    rests[(s+1)*REST_BITS+:REST_BITS] <=
                        less[TRIAL_BITS] ? rest[REST_BITS-1:0] : less[REST_BITS-1:0];
                    quotients[(s+1)*Q_BITS+:Q_BITS] <=
                        less[TRIAL_BITS] ? quotient : quotient | (Q_BITS'(1) << BIT);
                end
            end

            assign code = CODE_BITS'({1'b0, quotients[Q_BITS*Q_BITS+:Q_BITS]}) + CODE_BITS'(ZERO_POINT);

            always_ff @(posedge clk) begin
                codes[l*OUT_BITS+:OUT_BITS] <= code < LOW ? LOW[OUT_BITS-1:0]
                    : code > HIGH ? HIGH[OUT_BITS-1:0] : code[OUT_BITS-1:0];
            end
        end
    endgenerate

    lepton_fifo #(
        .BITS     (LANES * OUT_BITS),
        .DEPTH    (CODES_KEPT),
        .RAM_STYLE("distributed")
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (codes),
        .in_valid (valid_3[CODE]),
        .in_ready (is_code_space),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
