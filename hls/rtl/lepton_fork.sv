// Fork: one stream to two consumers.
//
// Computes: out0 = in, out1 = in. A consumer may be up to a word ahead of the other.
// Parameters: BITS of a word.
// One word a cycle. Latency: 1 cycle. Infers: 2 * BITS flip-flops, BITS LUTs.
module lepton_fork #(
    parameter integer BITS = 8
) (
    input  logic            clk,
    input  logic            rst,
    input  logic [BITS-1:0] in_data,
    input  logic            in_valid,
    output logic            in_ready,
    output logic [BITS-1:0] out0_data,
    output logic            out0_valid,
    input  logic            out0_ready,
    output logic [BITS-1:0] out1_data,
    output logic            out1_valid,
    input  logic            out1_ready
);
    logic [BITS-1:0] word;  // offered to both, until both have taken it
    logic [BITS-1:0] spare;
    logic            is_spare;
    logic            is_done;  // nobody waits for `word` any more
    logic            is_next;

    assign out0_data = word;
    assign out1_data = word;
    assign in_ready  = !is_spare;
    assign is_done   = (!out0_valid || out0_ready) && (!out1_valid || out1_ready);
    assign is_next   = in_valid || is_spare;

    always_ff @(posedge clk) begin
        if (!is_spare) spare <= in_data;
        if (is_done) begin
            word       <= is_spare ? spare : in_data;
            out0_valid <= is_next;
            out1_valid <= is_next;
            is_spare   <= 1'b0;
        end else begin
            if (out0_ready) out0_valid <= 1'b0;
            if (out1_ready) out1_valid <= 1'b0;
            is_spare <= is_next;
        end
        if (rst) begin
            out0_valid <= 1'b0;
            out1_valid <= 1'b0;
            is_spare   <= 1'b0;
        end
    end
endmodule
