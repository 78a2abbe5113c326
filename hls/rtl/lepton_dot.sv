// Pipelined dot product of SIMD inputs and weights, a new one every cycle.
//
// Computes: dot = sum over lanes of x * w.
// Parameters: SIMD lanes; X_BITS, X_SIGNED of an input; W_BITS of a weight (signed); USE_DSP "yes" or "no";
//   PRODUCT_BITS that hold every product that occurs ("no" only). All others are derived: leave them.
// "yes": chains of up to four DSP blocks, in which each adds its product to its neighbour's sum, and an adder
//   tree over the chains. "no": LUT multipliers (lepton_multiplier, over the narrower factor's digits) and an
//   adder tree.
// `line` holds the inputs as they are now and as they were 1 .. LINE-1 cycles of `enable` ago: lane s of copy k
//   at (k*SIMD + s)*X_BITS. All dot products of the same inputs share it.
// Latency in cycles of `enable`: "yes": CHAIN + 1 (1 where CHAIN is 1), "no": ROWS; and log2(CHAINS). The result has
// DOT_BITS bits.
module lepton_dot #(
    parameter integer SIMD = 4,
    parameter integer X_BITS = 8,
    parameter integer X_SIGNED = 1,
    parameter integer W_BITS = 8,
    parameter USE_DSP = "yes",
    parameter integer PRODUCT_BITS = X_BITS + W_BITS,
    parameter integer IS_DSP = USE_DSP == "no" ? 0 : 1,
    parameter integer S_BITS = X_BITS + (X_SIGNED != 0 ? 0 : 1),
    parameter integer ROWS = S_BITS + W_BITS <= 6 ? 1 : S_BITS < W_BITS ? (S_BITS + 1) / 2 : (W_BITS + 1) / 2,
    parameter integer CHAIN = IS_DSP == 0 ? 1 : SIMD < 4 ? SIMD : 4,
    parameter integer CHAINS = (SIMD + CHAIN - 1) / CHAIN,
    parameter integer LINE = IS_DSP == 0 ? ROWS : CHAIN,
    parameter integer SUM_BITS = IS_DSP == 0 ? PRODUCT_BITS : X_BITS + W_BITS + $clog2(CHAIN),
    parameter integer DOT_BITS = SUM_BITS + $clog2(CHAINS)
) (
    input  logic                                 clk,
    input  logic                                 enable,
    input  logic        [  LINE*SIMD*X_BITS-1:0] line,
    input  logic        [       SIMD*W_BITS-1:0] weights,
    output logic signed [          DOT_BITS-1:0] dot
);
    localparam integer P_BITS = X_BITS + W_BITS;
    logic [CHAINS*SUM_BITS-1:0] sums;

    generate
        genvar s, k;
        if (IS_DSP == 0) begin : g_lut
            for (s = 0; s < SIMD; s = s + 1) begin : g_lane
                logic [              W_BITS-1:0] w;
                logic [         ROWS*S_BITS-1:0] x_line;
                logic signed [S_BITS+W_BITS-1:0] product;
                logic                            is_unused;

                assign w                           = weights[s*W_BITS+:W_BITS];
                assign sums[s*SUM_BITS+:SUM_BITS] = product[SUM_BITS-1:0];
                assign is_unused                   = &{product, x_line};

                for (k = 0; k < ROWS; k = k + 1) begin : g_copy
                    if (X_SIGNED != 0) begin : g_signed
                        assign x_line[k*S_BITS+:S_BITS] = line[(k*SIMD+s)*X_BITS+:X_BITS];
                    end else begin : g_unsigned
                        assign x_line[k*S_BITS+:S_BITS] = {1'b0, line[(k*SIMD+s)*X_BITS+:X_BITS]};
                    end
                end

                if (S_BITS < W_BITS) begin : g_by_input
                    logic [ROWS*W_BITS-1:0] w_line;

                    assign w_line[W_BITS-1:0] = w;
                    if (ROWS > 1) begin : g_delay
                        logic [(ROWS-1)*W_BITS-1:0] old;
                        always_ff @(posedge clk) if (enable) old <= w_line[(ROWS-1)*W_BITS-1:0];
                        assign w_line[ROWS*W_BITS-1:W_BITS] = old;
                    end
                    lepton_multiplier #(
                        .A_BITS(W_BITS),
                        .B_BITS(S_BITS)
                    ) u_multiplier (
                        .clk    (clk),
                        .enable (enable),
                        .a_line (w_line),
                        .b      (x_line[S_BITS-1:0]),
                        .product(product)
                    );
                end else begin : g_by_weight
                    lepton_multiplier #(
                        .A_BITS(S_BITS),
                        .B_BITS(W_BITS)
                    ) u_multiplier (
                        .clk    (clk),
                        .enable (enable),
                        .a_line (x_line),
                        .b      (w),
                        .product(product)
                    );
                end
            end
        end else begin : g_dsp
            for (s = 0; s < SIMD; s = s + 1) begin : g_lane
                localparam integer PLACE = s % CHAIN;  // in its chain: as many cycles late
                // No bit more than the sum so far needs: Yosys 0.70 takes registers into the block, but for a
                // repeated sign bit, which then comes a cycle late.
                localparam integer PART_BITS = P_BITS + $clog2(PLACE + 1);
                logic        [       X_BITS-1:0] x;
                logic        [       W_BITS-1:0] w;
                (* use_dsp = "yes" *)
                logic signed [       P_BITS-1:0] product;
                logic signed [    PART_BITS-1:0] sum;

                assign x = line[(PLACE*SIMD+s)*X_BITS+:X_BITS];

                if (PLACE == 0) begin : g_now
                    assign w = weights[s*W_BITS+:W_BITS];
                end else begin : g_late
                    logic [(PLACE+1)*W_BITS-1:0] w_line;
                    logic [    PLACE*W_BITS-1:0] old;
                    assign w_line = {old, weights[s*W_BITS+:W_BITS]};
                    assign w      = w_line[PLACE*W_BITS+:W_BITS];
                    always_ff @(posedge clk) if (enable) old <= w_line[PLACE*W_BITS-1:0];
                end

                if (X_SIGNED != 0) begin : g_signed
                    always_ff @(posedge clk) if (enable) product <= $signed(x) * $signed(w);
                end else begin : g_unsigned
                    always_ff @(posedge clk) if (enable) product <= P_BITS'($signed({1'b0, x}) * $signed(w));
                end

                if (CHAIN == 1) begin : g_alone
                    assign sum = product;
                end else if (PLACE == 0) begin : g_first
                    always_ff @(posedge clk) if (enable) sum <= product;
                end else begin : g_next
                    always_ff @(posedge clk) begin
                        if (enable) sum <= PART_BITS'($signed(g_lane[s-1].sum)) + PART_BITS'(product);
                    end
                end

                if (PLACE == CHAIN - 1) begin : g_end
                    assign sums[s/CHAIN*SUM_BITS+:SUM_BITS] = SUM_BITS'(sum);
                end else if (s == SIMD - 1) begin : g_short
                    // A shorter chain waits for the others.
                    logic [(CHAIN-PLACE)*PART_BITS-1:0] wait_line;
                    logic [(CHAIN-PLACE-1)*PART_BITS-1:0] old;
                    logic signed [PART_BITS-1:0] late;
                    assign wait_line                         = {old, sum};
                    assign late                              = wait_line[(CHAIN-PLACE-1)*PART_BITS+:PART_BITS];
                    assign sums[s/CHAIN*SUM_BITS+:SUM_BITS] = SUM_BITS'(late);
                    always_ff @(posedge clk) if (enable) old <= wait_line[(CHAIN-PLACE-1)*PART_BITS-1:0];
                end
            end

            if (CHAIN > 1) begin : g_skewed
                logic is_unused;
                assign is_unused = &line;
            end
        end
    endgenerate

    lepton_sum #(
        .COUNT(CHAINS),
        .BITS (SUM_BITS)
    ) u_sum (
        .clk   (clk),
        .enable(enable),
        .in    (sums),
        .sum   (dot)
    );
endmodule
