// Registered product of two narrow factors, from a table that holds every product.
//
// Computes: product = a * b, both signed.
// Parameters: A_BITS, B_BITS, at most 6 together: then a bit of the product is one 6-input LUT. LUTs of this table
//   and of Booth's rows (lepton_multiplier), by Yosys 0.70 for xc7: 2x2 4 and 4, 3x2 5 and 5, 3x3 6 and 9, 4x2 6
//   and 6; beyond, 4x3 10 and 11, 5x2 8 and 7, 4x4 19 and 12. Tables need neither carry chains nor a second row.
// Latency: 1 cycle of `enable`. Infers: A_BITS + B_BITS LUTs and registers.
module lepton_product_table #(
    parameter integer A_BITS = 3,
    parameter integer B_BITS = 3
) (
    input  logic                            clk,
    input  logic                            enable,
    input  logic        [       A_BITS-1:0] a,
    input  logic        [       B_BITS-1:0] b,
    output logic signed [A_BITS+B_BITS-1:0] product
);
    localparam integer BITS = A_BITS + B_BITS;
    localparam integer PAIRS = 1 << BITS;
    localparam logic [PAIRS*BITS-1:0] PRODUCTS = products(PAIRS);

    // The products of `count` pairs, that of {a, b} at {a, b}*BITS.
    function automatic logic [PAIRS*BITS-1:0] products(input integer count);
        products = '0;
        for (integer i = 0; i < count; i = i + 1) begin
            products[i*BITS+:BITS] = BITS'($signed(i[BITS-1:B_BITS])) * BITS'($signed(i[B_BITS-1:0]));
        end
    endfunction

    always_ff @(posedge clk) if (enable) product <= PRODUCTS[{a, b}*BITS+:BITS];
endmodule
