// The memory of a lepton_rom of several words; its parameters and ports.
//
// Yosys maps it on its own: beside logic with longer paths it would not map the words for speed, and then looks for
// what bits of the words share, which takes up to four times the LUTs.
`ifdef YOSYS
(* keep_hierarchy *)
`endif
module lepton_rom_words #(
    parameter integer BITS = 8,
    parameter integer DEPTH = 2,
    parameter ROM_FILE = "",
    parameter ROM_STYLE = "auto",
    parameter integer FIRST = 0,
    parameter integer TAKEN = BITS,
    parameter integer ADDRESS_BITS = $clog2(DEPTH)
) (
    input  logic                    clk,
    input  logic                    enable,
    input  logic [ADDRESS_BITS-1:0] address,
    output logic [       TAKEN-1:0] data
);
    // Only the attribute reads it, and Verilator skips attributes. Yosys calls a ROM in LUTs "logic".
    // verilator lint_off UNUSEDPARAM
    // verilator lint_off WIDTH
    localparam IN_BLOCKS = ROM_STYLE == "block" || (ROM_STYLE == "auto" && DEPTH > 64 && BITS * DEPTH >= 4096);
`ifdef YOSYS
    localparam STYLE = IN_BLOCKS ? "block" : "logic";
`else
    localparam STYLE = IN_BLOCKS ? "block" : "distributed";
`endif
    // verilator lint_on WIDTH
    // verilator lint_on UNUSEDPARAM
    (* rom_style = STYLE *)
    logic [BITS-1:0] memory[0:DEPTH-1];
    logic [TAKEN-1:0] latch;

    initial $readmemh(ROM_FILE, memory);

    always_ff @(posedge clk) begin
        if (enable) begin
            latch <= memory[address][FIRST+:TAKEN];
            data  <= latch;
        end
    end
endmodule
