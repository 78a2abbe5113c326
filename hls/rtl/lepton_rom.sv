// Constants: a memory that is filled from a file and read once a cycle.
//
// Parameters: BITS of a word, DEPTH words; ROM_FILE for $readmemh, word 0 first; ROM_STYLE "auto", "block" or
//   "distributed"; LATENCY 1 (the memory's own register) or 2 (and an output register, which block RAM
//   wants for speed). ADDRESS_BITS is derived: leave it.
// `enable` moves all registers. A single word is a constant and has no registers at all.
// Infers: block RAM or LUTs, as ROM_STYLE says.
module lepton_rom #(
    parameter integer BITS = 8,
    parameter integer DEPTH = 2,
    parameter ROM_FILE = "",
    parameter ROM_STYLE = "auto",
    parameter integer LATENCY = 2,
    parameter integer ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                    clk,
    input  logic                    enable,
    input  logic [ADDRESS_BITS-1:0] address,
    output logic [        BITS-1:0] data
);
    // Yosys calls a ROM in LUTs "logic".
`ifdef YOSYS
    localparam STYLE = ROM_STYLE == "distributed" ? "logic" : ROM_STYLE;
`else
    // Only the attribute reads it, and Verilator skips attributes.
    // verilator lint_off UNUSEDPARAM
    localparam STYLE = ROM_STYLE;
    // verilator lint_on UNUSEDPARAM
`endif
    (* rom_style = STYLE *)
    logic [BITS-1:0] memory[0:DEPTH-1];

    initial $readmemh(ROM_FILE, memory);

    generate
        if (DEPTH == 1) begin : g_constant
            logic is_unused;
            assign is_unused = &{clk, enable, address};
            assign data      = memory[0];
        end else begin : g_memory
            logic [BITS-1:0] latch;

            always_ff @(posedge clk) if (enable) latch <= memory[address];

            if (LATENCY == 1) begin : g_direct
                assign data = latch;
            end else begin : g_registered
                always_ff @(posedge clk) if (enable) data <= latch;
            end
        end
    endgenerate
endmodule
