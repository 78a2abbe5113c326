// Delay line: out is what `in` was CYCLES cycles of `enable` ago; 0 after reset.
//
// Parameters: BITS; CYCLES >= 0. Infers: BITS * CYCLES flip-flops.
module lepton_delay #(
    parameter integer BITS   = 1,
    parameter integer CYCLES = 1
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            enable,
    input  logic [BITS-1:0] in,
    output logic [BITS-1:0] out
);
    generate
        if (CYCLES == 0) begin : g_wire
            logic is_unused;
            assign is_unused = &{clk, rst, enable};
            assign out       = in;
        end else begin : g_line
            logic [(CYCLES+1)*BITS-1:0] line;

            assign line[BITS-1:0] = in;
            assign out            = line[CYCLES*BITS+:BITS];

            always_ff @(posedge clk) begin
                if (enable) line[(CYCLES+1)*BITS-1:BITS] <= line[CYCLES*BITS-1:0];
                if (rst) line[(CYCLES+1)*BITS-1:BITS] <= '0;
            end
        end
    endgenerate
endmodule
