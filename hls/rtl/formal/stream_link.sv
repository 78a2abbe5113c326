// All that is checked between one input and one output: order, progress, and that offered words stay.
//
// `is_spare` to `stored`: what the registers hold, for `stream_contents`. The other ports: see the checkers.
module stream_link #(
    parameter integer X_BITS = 8,
    parameter integer IN_LANES = 1,
    parameter integer OUT_LANES = 1,
    parameter integer CAPACITY = 2,
    parameter integer LATENCY = 1,
    parameter integer STORED = 1
) (
    input  logic                        clk,
    input  logic                        rst,
    input  logic                        is_running,
    input  logic                        watch,
    input  logic [                15:0] watch_lane,
    input  logic [ IN_LANES*X_BITS-1:0] in_data,
    input  logic                        in_valid,
    input  logic                        in_ready,
    input  logic [OUT_LANES*X_BITS-1:0] out_data,
    input  logic                        out_valid,
    input  logic                        out_ready,
    input  logic                        is_behind,
    input  logic                        is_not_due,
    input  logic                        is_spare,
    input  logic [OUT_LANES*X_BITS-1:0] spare,
    input  logic [                15:0] num_stored,
    input  logic [   STORED*X_BITS-1:0] stored,
    output logic [                15:0] held
);
    logic              is_watched;
    logic [      15:0] ahead;
    logic [X_BITS-1:0] watched;

    stream_order #(
        .X_BITS   (X_BITS),
        .IN_LANES (IN_LANES),
        .OUT_LANES(OUT_LANES),
        .CAPACITY (CAPACITY)
    ) u_order (.*);
    stream_progress #(
        .OUT_LANES(OUT_LANES),
        .LATENCY  (LATENCY)
    ) u_progress (.*);
    stream_held #(
        .BITS(OUT_LANES * X_BITS)
    ) u_held (.*);
    stream_contents #(
        .X_BITS(X_BITS),
        .LANES (OUT_LANES),
        .STORED(STORED)
    ) u_contents (.*);
endmodule
