// Nearest upsampling by whole factors.
//
// Computes: every pixel FACTOR_W times in its row, every row FACTOR_H times. In: HEIGHT x WIDTH pixels (HEIGHT
//   itself does not matter) of CHANNELS/LANES words.
// Parameters: X_BITS, LANES, CHANNELS, WIDTH, FACTOR_H, FACTOR_W; RAM_STYLE "auto", "block", "distributed".
// Cycles: FACTOR_H * WIDTH * FACTOR_W * (CHANNELS/LANES) a row of the input. Latency: 3 cycles.
// Infers: RAM of one row, or of one pixel if FACTOR_H is 1.
module lepton_repeat_nearest #(
    parameter integer X_BITS = 8,
    parameter integer LANES = 1,
    parameter integer CHANNELS = 1,
    parameter integer WIDTH = 4,
    parameter integer FACTOR_H = 2,
    parameter integer FACTOR_W = 2,
    parameter RAM_STYLE = "auto"
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
    // With one row factor the columns need not be told apart: a row is as good as a pixel.
    localparam integer COLS = FACTOR_H == 1 ? 1 : WIDTH;
    localparam integer DEPTH = COLS * GROUPS;
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer COL_BITS = COLS > 1 ? $clog2(COLS) : 1;
    localparam integer COPY_H_BITS = FACTOR_H > 1 ? $clog2(FACTOR_H) : 1;
    localparam integer COPY_W_BITS = FACTOR_W > 1 ? $clog2(FACTOR_W) : 1;
    localparam integer PLACE_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
    logic                   step;
    logic                   issue;
    logic                   is_new;
    logic                   is_last_group;
    logic                   is_last_copy_w;
    logic                   is_last_col;
    logic                   is_last_copy_h;
    logic [ GROUP_BITS-1:0] group;
    logic [COPY_W_BITS-1:0] copy_w;
    logic [   COL_BITS-1:0] col;
    logic [COPY_H_BITS-1:0] copy_h;
    logic [ PLACE_BITS-1:0] place;  // col * GROUPS + group
    logic                   is_unused;

    assign is_unused = &{group, col, is_last_copy_h};
    assign is_new    = copy_h == '0 && copy_w == '0;
    assign in_ready  = step && is_new;
    assign issue     = step && (in_valid || !is_new);

    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group (
        .clk  (clk),
        .rst  (rst),
        .step (issue),
        .last (is_last_group),
        .count(group)
    );
    lepton_counter #(
        .LIMIT(FACTOR_W)
    ) u_copy_w (
        .clk  (clk),
        .rst  (rst),
        .step (issue && is_last_group),
        .last (is_last_copy_w),
        .count(copy_w)
    );
    lepton_counter #(
        .LIMIT(COLS)
    ) u_col (
        .clk  (clk),
        .rst  (rst),
        .step (issue && is_last_group && is_last_copy_w),
        .last (is_last_col),
        .count(col)
    );
    lepton_counter #(
        .LIMIT(FACTOR_H)
    ) u_copy_h (
        .clk  (clk),
        .rst  (rst),
        .step (issue && is_last_group && is_last_copy_w && is_last_col),
        .last (is_last_copy_h),
        .count(copy_h)
    );

    always_ff @(posedge clk) begin
        if (issue) begin
            if (is_last_group && !is_last_copy_w) place <= place - PLACE_BITS'(GROUPS - 1);
            else if (is_last_group && is_last_col) place <= '0;
            else place <= place + 1'b1;
        end
        if (rst) place <= '0;
    end

    logic [LANES*X_BITS-1:0] fresh;
    logic [LANES*X_BITS-1:0] kept;
    logic [LANES*X_BITS-1:0] word;
    logic                    is_fresh;
    logic                    is_latched;
    logic                    is_word;
    logic                    can_write;

    assign step = can_write || !is_word;

    lepton_ram #(
        .BITS     (LANES * X_BITS),
        .DEPTH    (DEPTH),
        .RAM_STYLE(RAM_STYLE),
        .LATENCY  (1)
    ) u_kept (
        .clk          (clk),
        .write        (issue && is_new),
        .write_address(place),
        .write_data   (in_data),
        .enable       (step),
        .address      (place),
        .data         (kept)
    );

    always_ff @(posedge clk) begin
        if (step) begin
            fresh      <= in_data;
            is_fresh   <= is_new;
            is_latched <= issue;
            word       <= is_fresh ? fresh : kept;
            is_word    <= is_latched;
        end
        if (rst) begin
            is_latched <= 1'b0;
            is_word    <= 1'b0;
        end
    end

    lepton_skid #(
        .BITS(LANES * X_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (word),
        .in_valid (is_word),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
