// Padding: a border of a constant around each frame.
//
// Computes: TOP, LEFT, BOTTOM and RIGHT rows or columns of VALUE around HEIGHT x WIDTH pixels of
//   CHANNELS/LANES words.
// Parameters: X_BITS, LANES, CHANNELS, HEIGHT, WIDTH, TOP, LEFT, BOTTOM, RIGHT, VALUE; IS_EAGER = 1 writes the border
//   above a frame before its first word is there, which hides it behind a slow writer; 0 waits for that word,
//   so that nothing is written but for frames that come.
// Cycles a frame: (TOP+HEIGHT+BOTTOM) * (LEFT+WIDTH+RIGHT) * (CHANNELS/LANES). Latency: 1 cycle.
// Infers: counters, 2 * LANES * X_BITS flip-flops.
module lepton_pad #(
    parameter integer X_BITS = 8,
    parameter integer LANES = 1,
    parameter integer CHANNELS = 1,
    parameter integer HEIGHT = 4,
    parameter integer WIDTH = 4,
    parameter integer TOP = 1,
    parameter integer LEFT = 1,
    parameter integer BOTTOM = 1,
    parameter integer RIGHT = 1,
    parameter signed [63:0] VALUE = 0,
    parameter integer IS_EAGER = 1
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
    localparam integer OUT_H = TOP + HEIGHT + BOTTOM;
    localparam integer OUT_W = LEFT + WIDTH + RIGHT;
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer ROW_BITS = OUT_H > 1 ? $clog2(OUT_H) : 1;
    localparam integer COL_BITS = OUT_W > 1 ? $clog2(OUT_W) : 1;
    localparam logic [X_BITS-1:0] FILL = X_BITS'(VALUE);

    logic                  step;
    logic                  send;
    logic                  is_image;
    logic                  is_waiting;  // for the first word of a frame
    logic                  is_first;  // word of a frame
    logic                  is_row;  // of the image
    logic                  is_col;
    logic                  is_last_group;
    logic                  is_last_col;
    logic                  is_last_row;
    logic [GROUP_BITS-1:0] group;
    logic [  COL_BITS-1:0] col;
    logic [  ROW_BITS-1:0] row;
    logic                  is_unused;

    assign is_unused = &group;

    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group (
        .clk  (clk),
        .rst  (rst),
        .step (send && step),
        .last (is_last_group),
        .count(group)
    );
    lepton_counter #(
        .LIMIT(OUT_W)
    ) u_col (
        .clk  (clk),
        .rst  (rst),
        .step (send && step && is_last_group),
        .last (is_last_col),
        .count(col)
    );
    lepton_counter #(
        .LIMIT(OUT_H)
    ) u_row (
        .clk  (clk),
        .rst  (rst),
        .step (send && step && is_last_group && is_last_col),
        .last (is_last_row),
        .count(row)
    );

    // Where the counters stand is told by registers that move with them.
    always_ff @(posedge clk) begin
        if (send && step) begin
            is_first <= is_last_group && is_last_col && is_last_row;
            if (is_last_group) begin
                if (is_last_col) is_col <= LEFT == 0;
                else if (col == COL_BITS'(LEFT - 1)) is_col <= 1'b1;
                else if (col == COL_BITS'(LEFT + WIDTH - 1)) is_col <= 1'b0;
            end
            if (is_last_group && is_last_col) begin
                if (is_last_row) is_row <= TOP == 0;
                else if (row == ROW_BITS'(TOP - 1)) is_row <= 1'b1;
                else if (row == ROW_BITS'(TOP + HEIGHT - 1)) is_row <= 1'b0;
            end
        end
        if (rst) begin
            is_first <= 1'b1;
            is_col   <= LEFT == 0;
            is_row   <= TOP == 0;
        end
    end

    assign is_image = is_row && is_col;
    assign is_waiting = IS_EAGER == 0 && is_first;
    assign in_ready = step && is_image;
    assign send     = in_valid || !(is_image || is_waiting);

    lepton_skid #(
        .BITS(LANES * X_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (is_image ? in_data : {LANES{FILL}}),
        .in_valid (send),
        .in_ready (step),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
