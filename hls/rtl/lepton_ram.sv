// Memory with one write port and one read port, for line buffers and vectors that are read again.
//
// A word written at one clock edge can be read from the next cycle on. No word is read while it is
// written: the kernels see to that, and `no_rw_check` tells the tools.
// Parameters: BITS of a word, DEPTH words; RAM_STYLE "block", "distributed" or "auto": block RAM from 4096
//   bits and 65 words on; LATENCY 1 or 2 of reads, moved by `enable`. ADDRESS_BITS is derived: leave it.
// LEPTON_NO_LUT_RAM is to be defined for fabrics without memory in LUTs: the tools choose.
// Infers: block RAM (simple dual port) or LUT RAM.
module lepton_ram #(
    parameter integer BITS = 8,
    parameter integer DEPTH = 2,
    parameter RAM_STYLE = "auto",
    parameter integer LATENCY = 2,
    parameter integer ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  logic                    clk,
    input  logic                    write,
    input  logic [ADDRESS_BITS-1:0] write_address,
    input  logic [        BITS-1:0] write_data,
    input  logic                    enable,
    input  logic [ADDRESS_BITS-1:0] address,
    output logic [        BITS-1:0] data
);
    // Only the attribute reads it, and Verilator skips attributes.
    // verilator lint_off UNUSEDPARAM
    // verilator lint_off WIDTH
    localparam IN_BLOCKS = RAM_STYLE == "block" || (RAM_STYLE == "auto" && DEPTH > 64 && BITS * DEPTH >= 4096);
`ifdef LEPTON_NO_LUT_RAM
    localparam STYLE = "auto";
`else
    localparam STYLE = IN_BLOCKS ? "block" : "distributed";
`endif
    // verilator lint_on WIDTH
    // verilator lint_on UNUSEDPARAM
    logic [BITS-1:0] latch;

    generate
        if (DEPTH == 1) begin : g_register
            logic is_unused;
            assign is_unused = &{write_address, address};
            logic [BITS-1:0] word;

            always_ff @(posedge clk) begin
                if (write) word <= write_data;
                if (enable) latch <= word;
            end
        end else begin : g_memory
            (* ram_style = STYLE, no_rw_check *)
            logic [BITS-1:0] memory[0:DEPTH-1];

            always_ff @(posedge clk) begin
                if (write) memory[write_address] <= write_data;
                if (enable) latch <= memory[address];
            end
        end
        if (LATENCY == 1) begin : g_direct
            assign data = latch;
        end else begin : g_registered
            always_ff @(posedge clk) if (enable) data <= latch;
        end
    endgenerate
endmodule
