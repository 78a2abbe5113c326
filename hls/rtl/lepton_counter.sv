// One counter of a loop nest: runs from 0 to LIMIT - 1 and round again.
//
// `step` moves it; `last` says that it stands at LIMIT - 1, so that the next outer counter is due:
// its `step` is this one's `step && last`. BITS is derived: leave it.
module lepton_counter #(
    parameter integer LIMIT = 2,
    parameter integer BITS  = LIMIT > 1 ? $clog2(LIMIT) : 1
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            step,
    output logic            last,
    output logic [BITS-1:0] count
);
    generate
        if (LIMIT == 1) begin : g_one
            logic is_unused;
            assign is_unused = &{clk, rst, step};
            assign count     = 1'b0;
            assign last      = 1'b1;
        end else begin : g_many
            assign last = count == BITS'(LIMIT - 1);

            always_ff @(posedge clk) begin
                if (step) count <= last ? '0 : count + 1'b1;
                if (rst) count <= '0;
            end
        end
    endgenerate
endmodule
