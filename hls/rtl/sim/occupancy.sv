// For benchmarks/fifos.py: how full FIFOs and line buffers become. At the end of a simulation each prints
// "occupancy <instance> <most words at once> <words that fit> <bits of a word>".

// verilator lint_off DECLFILENAME
module lepton_occupancy #(
    parameter integer DEPTH = 2,
    parameter integer BITS = 1
) (
    input logic clk,
    input logic rst,
    input logic enter,
    input logic leave
);
    integer count;
    integer most;

    always_ff @(posedge clk) begin
        if (rst) begin
            count <= 0;
            most  <= 0;
        end else begin
            count <= count + (enter ? 1 : 0) - (leave ? 1 : 0);
            if (count > most) most <= count;
        end
    end
    final $display("occupancy %m %0d %0d %0d", most, DEPTH, BITS);
endmodule

module lepton_line_occupancy #(
    parameter integer DEPTH = 2,
    parameter integer BITS = 1
) (
    input logic clk,
    input logic rst,
    input integer ahead
);
    integer most;

    always_ff @(posedge clk) most <= rst ? 0 : ahead > most ? ahead : most;
    final $display("occupancy %m %0d %0d %0d", most, DEPTH, BITS);
endmodule

bind lepton_fifo lepton_occupancy #(
    .DEPTH(DEPTH),
    .BITS (BITS)
) u_occupancy (
    .clk  (clk),
    .rst  (rst),
    .enter(in_valid && in_ready),
    .leave(out_valid && out_ready)
);

bind lepton_window lepton_line_occupancy #(
    .DEPTH(DEPTH),
    .BITS (LANES * X_BITS)
) u_occupancy (
    .clk  (clk),
    .rst  (rst),
    .ahead(32'(ahead))
);
