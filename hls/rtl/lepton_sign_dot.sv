// Pipelined sum of SIMD inputs, each as it is or complemented by its weight's sign, a new one every cycle.
//
// Computes: dot = sum over lanes of (w = 1 ? x : ~x). Since ~x = -x - 1, that is the dot product with weights of
//   -1 and +1 (the bits 0 and 1), less the number of negative weights, which the caller's bias holds.
// Parameters: SIMD lanes; X_BITS, X_SIGNED of an input. All others are derived: leave them.
// Stages: inputs of two bits are complemented and added in pairs by three 6-input LUTs; wider ones in the first
//   adders. Then an adder tree. Latency in cycles of `enable`: log2(SIMD), at least 1.
// Infers: SIMD - 1 adders and no multiplier.
module lepton_sign_dot #(
    parameter integer SIMD = 4,
    parameter integer X_BITS = 2,
    parameter integer X_SIGNED = 1,
    parameter integer S_BITS = X_BITS + (X_SIGNED != 0 ? 0 : 1),
    parameter integer DOT_BITS = S_BITS + $clog2(SIMD)
) (
    input  logic                       clk,
    input  logic                       enable,
    input  logic [    SIMD*X_BITS-1:0] x,
    input  logic [           SIMD-1:0] weights,
    output logic signed [DOT_BITS-1:0] dot
);
    localparam integer PAIRS = (SIMD + 1) / 2;
    logic [2*PAIRS*S_BITS-1:0] terms;

    generate
        genvar s;
        for (s = 0; s < 2 * PAIRS; s = s + 1) begin : g_lane
            if (s == SIMD) begin : g_none
                assign terms[s*S_BITS+:S_BITS] = '0;
            end else begin : g_term
                logic [S_BITS-1:0] wide;
                if (X_SIGNED != 0) begin : g_signed
                    assign wide = x[s*X_BITS+:X_BITS];
                end else begin : g_unsigned
                    assign wide = {1'b0, x[s*X_BITS+:X_BITS]};
                end
                assign terms[s*S_BITS+:S_BITS] = wide ^ {S_BITS{~weights[s]}};
            end
        end

        if (SIMD == 1) begin : g_one
            logic is_unused;
            assign is_unused = &terms;
            always_ff @(posedge clk) if (enable) dot <= terms[S_BITS-1:0];
        end else if (S_BITS == 2) begin : g_pairs
            logic [3*PAIRS-1:0] sums;

            for (s = 0; s < PAIRS; s = s + 1) begin : g_pair
                logic [1:0] a, b;
                logic carry;
                assign {b, a} = terms[4*s+:4];
                assign carry  = a[0] & b[0];
                always_ff @(posedge clk) begin
                    if (enable) begin
                        sums[3*s+:3] <= {a[1] == b[1] ? a[1] : ~carry, a[1] ^ b[1] ^ carry, a[0] ^ b[0]};
                    end
                end
            end

            lepton_sum #(
                .COUNT(PAIRS),
                .BITS (3)
            ) u_sum (
                .clk   (clk),
                .enable(enable),
                .in    (sums),
                .sum   (dot)
            );
        end else begin : g_tree
            if (SIMD % 2 != 0) begin : g_odd
                logic is_unused;
                assign is_unused = &terms[2*PAIRS*S_BITS-1:SIMD*S_BITS];
            end

            lepton_sum #(
                .COUNT(SIMD),
                .BITS (S_BITS)
            ) u_sum (
                .clk   (clk),
                .enable(enable),
                .in    (terms[SIMD*S_BITS-1:0]),
                .sum   (dot)
            );
        end
    endgenerate
endmodule
