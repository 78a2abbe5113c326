// Checks that a word that is offered stays, unchanged, until it is taken.
module stream_held #(
    parameter integer BITS = 8
) (
    input logic            clk,
    input logic            rst,
    input logic            is_running,  // the first reset has been
    input logic [BITS-1:0] out_data,
    input logic            out_valid,
    input logic            out_ready
);
    logic            was_refused = 1'b0;
    logic [BITS-1:0] last;

    always_ff @(posedge clk) begin
        was_refused <= is_running && !rst && out_valid && !out_ready;
        last        <= out_data;
    end

    always_comb begin
        if (was_refused) begin
            stays : assert (out_valid);
            stays_unchanged : assert (out_data == last);
        end
        refused_then_taken : cover (was_refused && out_valid && out_ready);
    end
endmodule
