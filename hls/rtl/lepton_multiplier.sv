// Pipelined multiplier in LUTs: Booth's radix-4 rows, each of which is one carry chain.
//
// Computes: product = a * b, both signed. Digit j of b (bits 2j+1, 2j, 2j-1) adds -2, -1, 0, 1 or 2 times a, shifted
// by 2j bits. What selects the multiple is a function of five bits, so that it shares a 6-input LUT with
// the adder: about (A_BITS + 2) * ROWS LUTs.
// Parameters: A_BITS, B_BITS; make b the narrower one. ROWS is derived: leave it.
// `a_line` holds a as it is now, and as it was 1 .. ROWS-1 cycles of `enable` ago: copy j at j*A_BITS. Many
//   multipliers share it.
// Factors of at most 6 bits together are multiplied by lepton_product_table, as one row.
// Latency: ROWS cycles of `enable`.
module lepton_multiplier #(
    parameter integer A_BITS = 8,
    parameter integer B_BITS = 8,
    parameter integer ROWS   = A_BITS + B_BITS <= 6 ? 1 : (B_BITS + 1) / 2
) (
    input  logic                            clk,
    input  logic                            enable,
    input  logic        [  ROWS*A_BITS-1:0] a_line,
    input  logic        [       B_BITS-1:0] b,
    output logic signed [A_BITS+B_BITS-1:0] product
);
    generate
        genvar j;
        if (A_BITS + B_BITS <= 6) begin : g_table
            lepton_product_table #(
                .A_BITS(A_BITS),
                .B_BITS(B_BITS)
            ) u_table (
                .clk    (clk),
                .enable (enable),
                .a      (a_line),
                .b      (b),
                .product(product)
            );
        end else begin : g_booth
            localparam integer SUM_BITS = A_BITS + 2;
            localparam integer DIGITS_BITS = 2 * ROWS + 1;

            // Before row j: the digits that are left, the running sum over 4^j, and the product's bits below it.
            logic [  ROWS*DIGITS_BITS-1:0] digits;
            logic [     ROWS*SUM_BITS-1:0] sums;
            logic [(ROWS+1)*2*ROWS-1:0] lows;
            logic signed [2*ROWS-1:0] wide_b;
            logic is_unused;

            assign wide_b                  = (2 * ROWS)'($signed(b));
            assign digits[DIGITS_BITS-1:0] = {wide_b, 1'b0};
            assign sums[SUM_BITS-1:0]      = '0;
            assign lows[2*ROWS-1:0]        = '0;

            for (j = 0; j < ROWS; j = j + 1) begin : g_row
                logic signed [   A_BITS-1:0] a;
                logic        [ SUM_BITS-1:0] once;
                logic        [ SUM_BITS-1:0] chosen;
                logic        [ SUM_BITS-1:0] sum;
                logic        [   SUM_BITS:0] next;  // and a bit below, whose carry completes a negation
                logic        [          2:0] digit;
                logic                        is_once;
                logic                        is_twice;
                logic                        is_negative;
                logic        [DIGITS_BITS-1:0] left;
                logic        [ SUM_BITS-1:0] held;
                logic        [   2*ROWS-1:0] low;
                logic                        is_unused_bits;

                assign left           = digits[j*DIGITS_BITS+:DIGITS_BITS];
                assign digit          = left[2:0];
                assign is_once        = digit[1] ^ digit[0];
                assign is_twice       = digit == 3'b011 || digit == 3'b100;
                assign is_negative    = digit[2] && digit != 3'b111;
                assign a              = a_line[j*A_BITS+:A_BITS];
                assign once           = SUM_BITS'(a);
                assign chosen         = (({SUM_BITS{is_once}} & once) | ({SUM_BITS{is_twice}} & (once << 1)))
                    ^ {SUM_BITS{is_negative}};
                assign sum            = sums[j*SUM_BITS+:SUM_BITS];
                assign next           = {sum, 1'b1} + {chosen, is_negative};
                assign is_unused_bits = &{next[0], left};

                always_ff @(posedge clk) begin
                    if (enable) begin
                        held <= next[SUM_BITS:1];
                        low  <= lows[j*2*ROWS+:2*ROWS];
                    end
                end

                if (j < ROWS - 1) begin : g_next
                    logic [DIGITS_BITS-1:0] rest;
                    always_ff @(posedge clk) if (enable) rest <= left >> 2;
                    assign digits[(j+1)*DIGITS_BITS+:DIGITS_BITS] = rest;
                    assign sums[(j+1)*SUM_BITS+:SUM_BITS] = {{2{held[SUM_BITS-1]}}, held[SUM_BITS-1:2]};
                    assign lows[(j+1)*2*ROWS+:2*ROWS] = low | ((2 * ROWS)'(held[1:0]) << (2 * j));
                end else begin : g_last
                    logic [SUM_BITS+2*ROWS-1:0] whole;
                    assign whole                      = ((SUM_BITS + 2 * ROWS)'(held) << (2 * j))
                        | (SUM_BITS + 2 * ROWS)'(low);
                    assign product                    = whole[A_BITS+B_BITS-1:0];
                    assign lows[(j+1)*2*ROWS+:2*ROWS] = low;
                    assign is_unused                  = &{whole, lows[(j+1)*2*ROWS+:2*ROWS]};
                end
            end
        end
    endgenerate
endmodule
