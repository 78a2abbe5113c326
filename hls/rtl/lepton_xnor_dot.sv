// Pipelined dot product of signs: how many of SIMD inputs have the sign of their weight, a new count every cycle.
//
// Computes: count = number of lanes with x = w. As a dot product of -1 and +1 (the bits 0 and 1) that is
//   2*count - SIMD; the caller shifts, and its bias holds the constant.
// Parameters: SIMD lanes. All others are derived: leave them.
// Stages: three lanes to a count of two bits (two 6-input LUTs, the comparison in them), three counts to one of
//   four bits (four LUTs), and an adder tree. Latency in cycles of `enable`: 1, one more where SIMD > 3, and
//   log2(NINES).
// Infers: 1.11 LUTs a lane, and the adders of NINES numbers of 4 bits; no multiplier.
module lepton_xnor_dot #(
    parameter integer SIMD = 9,
    parameter integer TRIPLES = (SIMD + 2) / 3,
    parameter integer NINES = (TRIPLES + 2) / 3,
    parameter integer COUNT_BITS = TRIPLES == 1 ? 2 : 4 + $clog2(NINES)
) (
    input  logic                  clk,
    input  logic                  enable,
    input  logic [      SIMD-1:0] x,
    input  logic [      SIMD-1:0] weights,
    output logic [COUNT_BITS-1:0] count
);
    logic [SIMD-1:0] equal;
    logic [3*TRIPLES-1:0] same;  // and lanes that count nothing
    logic [2*TRIPLES-1:0] twos;  // counts of three lanes

    assign equal = x ~^ weights;
    assign same  = (3 * TRIPLES)'(equal);

    generate
        genvar i;
        for (i = 0; i < TRIPLES; i = i + 1) begin : g_triple
            logic a, b, c;
            assign {c, b, a} = same[3*i+:3];
            always_ff @(posedge clk) if (enable) twos[2*i+:2] <= {a & b | a & c | b & c, a ^ b ^ c};
        end

        if (TRIPLES == 1) begin : g_short
            assign count = twos;
        end else begin : g_long
            logic [6*NINES-1:0] padded;
            logic [4*NINES-1:0] fours;  // counts of nine lanes

            assign padded = (6 * NINES)'(twos);

            for (i = 0; i < NINES; i = i + 1) begin : g_nine
                // The ones of three counts give a bit and a carry; with the twos there are four bits to count.
                logic [1:0] a, b, c;
                logic carry, all, odd, some;
                assign {c, b, a} = padded[6*i+:6];
                assign carry     = a[0] & b[0] | a[0] & c[0] | b[0] & c[0];
                assign odd       = a[1] ^ b[1] ^ c[1] ^ carry;
                assign all       = a[1] & b[1] & c[1] & carry;
                assign some      = (a[1] | b[1]) & (c[1] | carry) | a[1] & b[1] | c[1] & carry;
                always_ff @(posedge clk) begin
                    if (enable) fours[4*i+:4] <= {all, some & ~all, odd, a[0] ^ b[0] ^ c[0]};
                end
            end

            lepton_sum #(
                .COUNT (NINES),
                .BITS  (4),
                .SIGNED(0)
            ) u_sum (
                .clk   (clk),
                .enable(enable),
                .in    (fours),
                .sum   (count)
            );
        end
    endgenerate
endmodule
