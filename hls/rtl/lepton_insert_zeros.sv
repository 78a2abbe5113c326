// Pixels set apart (transposed convolution).
//
// Computes: the pixels of HEIGHT x WIDTH moved FACTOR_H rows and FACTOR_W columns apart, with VALUE between them:
//   (HEIGHT-1)*FACTOR_H + 1 x (WIDTH-1)*FACTOR_W + 1 pixels of CHANNELS/LANES words.
// Parameters: X_BITS, LANES, CHANNELS, HEIGHT, WIDTH, FACTOR_H, FACTOR_W, VALUE.
// Cycles a frame: ((HEIGHT-1)*FACTOR_H + 1) * ((WIDTH-1)*FACTOR_W + 1) * (CHANNELS/LANES). Latency: 1 cycle.
// Infers: counters, 2 * LANES * X_BITS flip-flops.
module lepton_insert_zeros #(
    parameter integer X_BITS = 8,
    parameter integer LANES = 1,
    parameter integer CHANNELS = 1,
    parameter integer HEIGHT = 4,
    parameter integer WIDTH = 4,
    parameter integer FACTOR_H = 2,
    parameter integer FACTOR_W = 2,
    parameter signed [63:0] VALUE = 0
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic [LANES*X_BITS-1:0] in_data,
    input  logic                    in_valid,
    output logic                    in_ready,
    output logic [LANES*X_BITS-1:0] out_data,
    output logic                    out_valid,
    input  logic                    out_ready
);
    localparam integer GROUPS = CHANNELS / LANES;
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer ROW_BITS = HEIGHT > 1 ? $clog2(HEIGHT) : 1;
    localparam integer COL_BITS = WIDTH > 1 ? $clog2(WIDTH) : 1;
    localparam integer BELOW_BITS = FACTOR_H > 1 ? $clog2(FACTOR_H) : 1;
    localparam integer RIGHT_BITS = FACTOR_W > 1 ? $clog2(FACTOR_W) : 1;
    localparam logic [X_BITS-1:0] FILL = X_BITS'(VALUE);
    logic                  step;
    logic                  send;
    logic                  is_pixel;
    logic                  next_col;
    logic                  next_row;
    logic                  is_last_group;
    logic                  is_last_right;
    logic                  is_last_below;
    logic                  is_last_col;
    logic                  is_last_row;
    logic                  is_row_end;
    logic                  is_frame_end;
    logic [GROUP_BITS-1:0] group;
    logic [RIGHT_BITS-1:0] right;  // columns since the last column of pixels
    logic [BELOW_BITS-1:0] below;  // rows since the last row of pixels
    logic [  COL_BITS-1:0] col;  // of the input
    logic [  ROW_BITS-1:0] row;
    logic                  is_unused;

    assign is_unused    = &{group, col, row};
    assign is_pixel     = below == '0 && right == '0;
    assign in_ready     = step && is_pixel;
    assign send         = in_valid || !is_pixel;
    assign next_col     = step && send && is_last_group;
    // The last column and row of pixels have nothing after them.
    assign is_row_end   = is_last_col && right == '0;
    assign is_frame_end = is_last_row && below == '0;
    assign next_row     = next_col && is_row_end;

    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group (
        .clk  (clk),
        .rst  (rst),
        .step (step && send),
        .last (is_last_group),
        .count(group)
    );
    lepton_counter #(
        .LIMIT(FACTOR_W)
    ) u_right (
        .clk  (clk),
        .rst  (rst),
        .step (next_col && !is_row_end),
        .last (is_last_right),
        .count(right)
    );
    lepton_counter #(
        .LIMIT(WIDTH)
    ) u_col (
        .clk  (clk),
        .rst  (rst),
        .step (next_row || (next_col && is_last_right)),
        .last (is_last_col),
        .count(col)
    );
    lepton_counter #(
        .LIMIT(FACTOR_H)
    ) u_below (
        .clk  (clk),
        .rst  (rst),
        .step (next_row && !is_frame_end),
        .last (is_last_below),
        .count(below)
    );
    lepton_counter #(
        .LIMIT(HEIGHT)
    ) u_row (
        .clk  (clk),
        .rst  (rst),
        .step (next_row && (is_frame_end || is_last_below)),
        .last (is_last_row),
        .count(row)
    );

    lepton_skid #(
        .BITS(LANES * X_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (is_pixel ? in_data : {LANES{FILL}}),
        .in_valid (send),
        .in_ready (step),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
