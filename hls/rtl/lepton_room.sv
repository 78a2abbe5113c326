// Room for words on their way to a FIFO: lets no more in than it holds, so that what lies between never stalls.
//
// `enter` says that a word sets out, and `leave` that one is taken from the FIFO. `is_room`, a register, says that
// a word may set out: fewer than DEPTH are under way or in the FIFO, which has room for DEPTH.
// Parameters: DEPTH. Infers: log2(DEPTH) + 1 flip-flops.
module lepton_room #(
    parameter integer DEPTH = 2
) (
    input  logic clk,
    input  logic rst,
    input  logic enter,
    input  logic leave,
    output logic is_room
);
    localparam integer COUNT_BITS = $clog2(DEPTH + 1);
    logic [COUNT_BITS-1:0] count;

    always_ff @(posedge clk) begin
        if (enter != leave) count <= enter ? count + 1'b1 : count - 1'b1;
        if (enter && !leave) is_room <= count != COUNT_BITS'(DEPTH - 1);
        else if (leave) is_room <= 1'b1;
        if (rst) begin
            count   <= '0;
            is_room <= 1'b1;
        end
    end
endmodule
