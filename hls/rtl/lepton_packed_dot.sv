// Pipelined dot products of the same SIMD inputs with FIELDS rows of weights: a DSP block makes FIELDS products.
//
// Computes: dots[f] = sum over lanes of x * w[f]. A block multiplies x by sum over f of w[f] * 2^(f*FIELD_BITS), and
//   the blocks of a chain add each other's results, so that every field of FIELD_BITS bits holds a sum of its own.
//   Half of a field's range, added at the start of a chain, makes all fields but the top one non-negative: none
//   borrows from the field above, and taking it back inverts a bit.
// Parameters: SIMD lanes; X_BITS, X_SIGNED of an input; W_BITS of a stored weight (signed); FIELDS rows, 2 or more;
//   FIELD_BITS from a field to the next, which hold the sum of any CHAIN products as a signed number; CHAIN blocks
//   in a row, at most SIMD. All others are derived: leave them.
// `weights` holds row f, lane s at (f*SIMD + s)*W_BITS: w[f], less 1 where what is stored for row f-1 is negative.
//   That is the upper part of the packed factor, whose lower parts are then sign extended.
// `line` holds the inputs as they are now and as they were 1 .. CHAIN-1 cycles of `enable` ago: lane s of copy k at
//   (k*SIMD + s)*X_BITS. All dot products of the same inputs share it.
// Latency: CHAIN + 1 + log2(CHAINS) cycles of `enable`. Dot product f is at f*DOT_BITS.
module lepton_packed_dot #(
    parameter integer SIMD = 4,
    parameter integer X_BITS = 8,
    parameter integer X_SIGNED = 1,
    parameter integer W_BITS = 8,
    parameter integer FIELDS = 2,
    parameter integer FIELD_BITS = 17,
    parameter integer CHAIN = 3,
    parameter integer CHAINS = (SIMD + CHAIN - 1) / CHAIN,
    parameter integer SUM_BITS = X_BITS + W_BITS + $clog2(CHAIN),
    parameter integer DOT_BITS = SUM_BITS + $clog2(CHAINS)
) (
    input  logic                          clk,
    input  logic                          enable,
    input  logic [ CHAIN*SIMD*X_BITS-1:0] line,
    input  logic [FIELDS*SIMD*W_BITS-1:0] weights,
    output logic [   FIELDS*DOT_BITS-1:0] dots
);
    localparam integer LANE_BITS = FIELDS * W_BITS;
    localparam integer TOP = (FIELDS - 1) * FIELD_BITS;
    localparam integer FACTOR_BITS = TOP + W_BITS;
    localparam integer M_BITS = FACTOR_BITS + X_BITS;
    localparam integer P_BITS = TOP + SUM_BITS;
    localparam logic signed [M_BITS-1:0] HALVES = M_BITS'({(FIELDS - 1) {1'b1, {(FIELD_BITS - 1) {1'b0}}}});

    logic [CHAINS*P_BITS-1:0] packed_sums;

    generate
        genvar s, f, c;
        for (s = 0; s < SIMD; s = s + 1) begin : g_lane
            // In its chain, of which a shorter one starts later: as many cycles late.
            localparam integer PLACE = s % CHAIN + (s / CHAIN == CHAINS - 1 ? CHAINS * CHAIN - SIMD : 0);
            // No bit more than the sum so far needs: Yosys 0.70 takes a register into the block, but for a
            // repeated sign bit.
            localparam integer PART_BITS = M_BITS + $clog2(s % CHAIN + 1);
            logic        [     X_BITS-1:0] x;
            logic        [  LANE_BITS-1:0] now;
            logic        [  LANE_BITS-1:0] w;
            logic signed [FACTOR_BITS-1:0] factor;
            (* use_dsp = "yes" *)
            logic signed [     M_BITS-1:0] product;
            logic signed [  PART_BITS-1:0] sum;

            assign x = line[(PLACE*SIMD+s)*X_BITS+:X_BITS];

            for (f = 0; f < FIELDS; f = f + 1) begin : g_field
                assign now[f*W_BITS+:W_BITS] = weights[(f*SIMD+s)*W_BITS+:W_BITS];
                if (f < FIELDS - 1) begin : g_low
                    assign factor[f*FIELD_BITS+:FIELD_BITS] = FIELD_BITS'($signed(w[f*W_BITS+:W_BITS]));
                end else begin : g_top
                    assign factor[TOP+:W_BITS] = w[f*W_BITS+:W_BITS];
                end
            end

            if (PLACE == 0) begin : g_now
                assign w = now;
            end else begin : g_late
                logic [(PLACE+1)*LANE_BITS-1:0] w_line;
                logic [    PLACE*LANE_BITS-1:0] old;
                assign w_line = {old, now};
                assign w      = w_line[PLACE*LANE_BITS+:LANE_BITS];
                always_ff @(posedge clk) if (enable) old <= w_line[PLACE*LANE_BITS-1:0];
            end

            if (X_SIGNED != 0) begin : g_signed
                always_ff @(posedge clk) if (enable) product <= $signed(x) * factor;
            end else begin : g_unsigned
                always_ff @(posedge clk) if (enable) product <= M_BITS'($signed({1'b0, x}) * factor);
            end

            if (s % CHAIN == 0) begin : g_first
                always_ff @(posedge clk) if (enable) sum <= product + HALVES;
            end else begin : g_next
                always_ff @(posedge clk) begin
                    if (enable) sum <= PART_BITS'($signed(g_lane[s-1].sum)) + PART_BITS'(product);
                end
            end

            if (PLACE == CHAIN - 1) begin : g_end
                assign packed_sums[s/CHAIN*P_BITS+:P_BITS] = P_BITS'(sum);
            end
        end

        for (f = 0; f < FIELDS; f = f + 1) begin : g_row
            logic        [CHAINS*SUM_BITS-1:0] sums;
            logic signed [       DOT_BITS-1:0] dot;

            for (c = 0; c < CHAINS; c = c + 1) begin : g_chain
                if (f < FIELDS - 1) begin : g_low
                    logic [FIELD_BITS-1:0] field;
                    assign field = packed_sums[c*P_BITS+f*FIELD_BITS+:FIELD_BITS];
                    if (FIELD_BITS < SUM_BITS) begin : g_extend
                        assign sums[c*SUM_BITS+:SUM_BITS] =
                            SUM_BITS'($signed({!field[FIELD_BITS-1], field[FIELD_BITS-2:0]}));
                    end else begin : g_cut
                        logic is_unused;
                        assign sums[c*SUM_BITS+:SUM_BITS] =
                            SUM_BITS'({!field[FIELD_BITS-1], field[FIELD_BITS-2:0]});
                        assign is_unused = &field;
                    end
                end else begin : g_top
                    assign sums[c*SUM_BITS+:SUM_BITS] = packed_sums[c*P_BITS+TOP+:SUM_BITS];
                end
            end

            lepton_sum #(
                .COUNT(CHAINS),
                .BITS (SUM_BITS)
            ) u_sum (
                .clk   (clk),
                .enable(enable),
                .in    (sums),
                .sum   (dot)
            );
            assign dots[f*DOT_BITS+:DOT_BITS] = dot;
        end

        if (CHAIN > 1) begin : g_skewed
            logic is_unused;
            assign is_unused = &line;
        end
    endgenerate
endmodule
