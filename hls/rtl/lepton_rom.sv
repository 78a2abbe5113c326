// Constants: a memory that is filled from a file and read once a cycle.
//
// Parameters: BITS of a word, DEPTH words; ROM_FILE for $readmemh, word 0 first; ROM_STYLE "block", "distributed" or
//   "auto": block RAM from 4096 bits and 65 words on. Of a word TAKEN bits are read, from bit FIRST on.
//   ADDRESS_BITS is derived: leave it.
// `enable` moves all registers. A single word is a constant and has no registers at all.
// Latency: 2 cycles of `enable`: the memory's own register, and an output register, which block RAM wants for speed.
// Infers: block RAM or LUTs, as ROM_STYLE says.
module lepton_rom #(
    parameter integer BITS = 8,
    parameter integer DEPTH = 2,
    parameter ROM_FILE = "",
    parameter ROM_STYLE = "auto",
    parameter integer FIRST = 0,
    parameter integer TAKEN = BITS,
    parameter integer ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                    clk,
    input  logic                    enable,
    input  logic [ADDRESS_BITS-1:0] address,
    output logic [       TAKEN-1:0] data
);
    generate
        if (DEPTH == 1) begin : g_constant
            logic            is_unused;
            logic [BITS-1:0] memory[0:0];

            initial $readmemh(ROM_FILE, memory);
            assign is_unused = &{clk, enable, address};
            assign data      = memory[0][FIRST+:TAKEN];
        end else begin : g_memory
            lepton_rom_words #(
                .BITS        (BITS),
                .DEPTH       (DEPTH),
                .ROM_FILE    (ROM_FILE),
                .ROM_STYLE   (ROM_STYLE),
                .FIRST       (FIRST),
                .TAKEN       (TAKEN),
                .ADDRESS_BITS(ADDRESS_BITS)
            ) u_words (
                .clk    (clk),
                .enable (enable),
                .address(address),
                .data   (data)
            );
        end
    endgenerate
endmodule
