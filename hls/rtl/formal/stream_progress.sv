// Checks that nothing stays inside for ever.
//
// LATENCY cycles after a whole output word has come in, a word is offered, and the next one follows without a
// gap; no input is refused unless a whole output word is inside. As the elements inside are bounded, a reader
// that goes on reading gets everything, and no writer is locked out.
// `is_behind`, `is_not_due`: excuses, where another stream comes first at the output, at the input.
module stream_progress #(
    parameter integer OUT_LANES = 1,
    parameter integer LATENCY = 1
) (
    input logic        clk,
    input logic        rst,
    input logic        is_running,  // the first reset has been
    input logic        is_behind,
    input logic        is_not_due,
    input logic [15:0] held,  // elements inside
    input logic        in_ready,
    input logic        out_valid
);
    logic        was_behind;
    logic        is_waiting;
    logic [15:0] waited;  // cycles in a row in which a word inside was not offered

    assign is_waiting = held >= 16'(OUT_LANES) && !out_valid && !was_behind;

    always_ff @(posedge clk) begin
        was_behind <= is_behind;
        waited     <= is_waiting ? waited + 16'd1 : '0;
        if (rst) waited <= '0;
    end

    always_comb begin
        if (is_running) begin
            is_offered : assert (!is_waiting || waited < 16'(LATENCY - 1));
            is_let_in : assert (in_ready || is_not_due || held >= 16'(OUT_LANES));
        end
    end
endmodule
