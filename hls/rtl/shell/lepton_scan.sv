// A wide bus through four pins, one cycle of the bus at a time: for chips with fewer pins than a design has ports.
//
// A host shifts in a value for every input, steps, and shifts out what every output was in that step.
//
// Computes: in each cycle with `shift`, `serial_in` enters the input register at bit 0 and pushes the others up: first
//   comes the value of `handshakes`, then that of `data`, each from its highest bit. `data` always shows the register;
//   `handshakes` (VALID and READY of streams) shows it for one cycle a step and is 0 else, so that each step moves each
//   stream by a word at most. What `outputs` is in that cycle is kept, and leaves through `serial_out` from its highest
//   bit: that one shows at once, the next after a cycle with `shift`.
// Parameters: bits of DATA, of HANDSHAKES and of OUTPUTS, all at least 1.
// Pins are registered. Latency: 2 cycles from `step` to the handshakes, 3 to `serial_out`. `step` is for one cycle, and
//   not while shifting. Infers: DATA + 2 * HANDSHAKES + OUTPUTS flip-flops, OUTPUTS multiplexers.
module lepton_scan #(
    parameter integer DATA = 8,
    parameter integer HANDSHAKES = 1,
    parameter integer OUTPUTS = 8
) (
    input  logic                  clk,
    input  logic                  rst,
    input  logic                  shift,
    input  logic                  step,
    input  logic                  serial_in,
    output logic                  serial_out,
    output logic [      DATA-1:0] data,
    output logic [HANDSHAKES-1:0] handshakes,
    input  logic [   OUTPUTS-1:0] outputs
);
    logic                  is_shift;
    logic                  is_step;
    logic                  is_active;  // the step's cycle
    logic                  bit_in;
    logic [HANDSHAKES-1:0] armed;
    logic [   OUTPUTS-1:0] kept;

    assign serial_out = kept[OUTPUTS-1];

    always_ff @(posedge clk) begin
        is_shift   <= shift;
        is_step    <= step;
        bit_in     <= serial_in;
        is_active  <= is_step;
        handshakes <= is_step ? armed : '0;
        if (is_shift) {armed, data} <= (DATA + HANDSHAKES)'({armed, data, bit_in});
        if (is_active) kept <= outputs;
        else if (is_shift) kept <= kept << 1;
        if (rst) begin
            is_shift   <= 1'b0;
            is_step    <= 1'b0;
            is_active  <= 1'b0;
            handshakes <= '0;
        end
    end
endmodule
