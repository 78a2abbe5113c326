// Sliding windows, several taps a word: a line buffer and registers that hold a whole window.
//
// Computes: what lepton_window computes with IS_CHANNELWISE = 0, in words of TAPS neighbouring taps: for each of
//   OUT_H x OUT_W windows its taps by kernel row and kernel column, all channels of each. In: HEIGHT x WIDTH pixels, a
//   pixel a word. No padding (lepton_pad). The whole frame is read, also what no window covers.
// Parameters: X_BITS, LANES, CHANNELS, HEIGHT, WIDTH, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W, DILATION_H, DILATION_W;
//   TAPS divides KERNEL_H * KERNEL_W; LANES = CHANNELS, but any divisor for a kernel of one tap, which drops pixels;
//   RAM_STYLE "auto", "block", "distributed".
//
// How: each pixel that is taken joins the pixels above it, which the line buffer holds, to a column; columns shift
//   through the registers. Where a window is complete, the registers rest while its words go out. The line buffer is
//   read a pixel ahead, so that a column costs one cycle.
//
// Cycles a frame: a cycle for each pixel, and PIECES instead where it completes a window, PIECES = KERNEL_H*KERNEL_W/TAPS:
//   (HEIGHT*WIDTH - OUT_H*OUT_W + OUT_H*OUT_W*PIECES) * (CHANNELS/LANES), also from frame to frame.
// Latency: 2 cycles from a window's last pixel to its first word, 3 if it has several words.
// Infers: simple dual-port RAM of WIDTH words of REACH_H-1 pixels (registers for less than 3 columns); registers for
//   KERNEL_H*(REACH_W-1) + REACH_H pixels, and two of the input; a word and a PIECES-fold multiplexer if it has several
//   words. Of one word, the window's own registers are the output.
module lepton_window_taps #(
    parameter integer X_BITS = 8,
    parameter integer LANES = 1,
    parameter integer CHANNELS = 1,
    parameter integer HEIGHT = 4,
    parameter integer WIDTH = 4,
    parameter integer KERNEL_H = 3,
    parameter integer KERNEL_W = 3,
    parameter integer STRIDE_H = 1,
    parameter integer STRIDE_W = 1,
    parameter integer DILATION_H = 1,
    parameter integer DILATION_W = 1,
    parameter integer TAPS = 3,
    parameter RAM_STYLE = "auto"
) (
    input  logic                         clk,
    input  logic                         rst,
    input  logic [     LANES*X_BITS-1:0] in_data,
    input  logic                         in_valid,
    output logic                         in_ready,
    output logic [TAPS*LANES*X_BITS-1:0] out_data,
    output logic                         out_valid,
    input  logic                         out_ready
);
    localparam integer PIXEL = LANES * X_BITS;
    localparam integer GROUPS = CHANNELS / LANES;
    localparam integer REACH_H = (KERNEL_H - 1) * DILATION_H + 1;
    localparam integer REACH_W = (KERNEL_W - 1) * DILATION_W + 1;
    localparam integer PIECES = KERNEL_H * KERNEL_W / TAPS;

    logic             take;  // a pixel joins the window
    logic             step;  // the window may shift
    logic             is_pixel;
    logic             is_window;  // the registers hold a complete window
    logic [PIXEL-1:0] pixel;

    // The register that breaks the path of `ready` is on this side, where words are narrow.
    lepton_skid #(
        .BITS(PIXEL)
    ) u_in (
        .clk      (clk),
        .rst      (rst),
        .in_data  (in_data),
        .in_valid (in_valid),
        .in_ready (in_ready),
        .out_data (pixel),
        .out_valid(is_pixel),
        .out_ready(step)
    );

    assign take = is_pixel && step;

    // -- where the pixel is ---------------------------------------------------------------------------
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer COL_BITS = WIDTH > 1 ? $clog2(WIDTH) : 1;
    localparam integer ROW_BITS = HEIGHT > 1 ? $clog2(HEIGHT) : 1;
    logic                  is_last_group;
    logic                  is_last_col;
    logic                  is_last_row;
    logic                  is_end_col;  // the pixel is in the last column of a window
    logic                  is_end_row;
    logic [GROUP_BITS-1:0] group;
    logic [  COL_BITS-1:0] col;
    logic [  ROW_BITS-1:0] row;
    logic                  is_unused;

    assign is_unused = &{group, row};

    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group (
        .clk  (clk),
        .rst  (rst),
        .step (take),
        .last (is_last_group),
        .count(group)
    );
    lepton_counter #(
        .LIMIT(WIDTH)
    ) u_col (
        .clk  (clk),
        .rst  (rst),
        .step (take && is_last_group),
        .last (is_last_col),
        .count(col)
    );
    lepton_counter #(
        .LIMIT(HEIGHT)
    ) u_row (
        .clk  (clk),
        .rst  (rst),
        .step (take && is_last_group && is_last_col),
        .last (is_last_row),
        .count(row)
    );

    // Columns until one that ends a window, and rows.
    localparam integer WAIT_W_BITS = $clog2((REACH_W > STRIDE_W ? REACH_W : STRIDE_W) + 1);
    localparam integer WAIT_H_BITS = $clog2((REACH_H > STRIDE_H ? REACH_H : STRIDE_H) + 1);
    logic [WAIT_W_BITS-1:0] wait_cols;
    logic [WAIT_H_BITS-1:0] wait_rows;

    assign is_end_col = wait_cols == '0;
    assign is_end_row = wait_rows == '0;

    always_ff @(posedge clk) begin
        if (take && is_last_group) begin
            if (is_last_col) wait_cols <= WAIT_W_BITS'(REACH_W - 1);
            else wait_cols <= is_end_col ? WAIT_W_BITS'(STRIDE_W - 1) : wait_cols - 1'b1;
        end
        if (take && is_last_group && is_last_col) begin
            if (is_last_row) wait_rows <= WAIT_H_BITS'(REACH_H - 1);
            else wait_rows <= is_end_row ? WAIT_H_BITS'(STRIDE_H - 1) : wait_rows - 1'b1;
        end
        if (rst) begin
            wait_cols <= WAIT_W_BITS'(REACH_W - 1);
            wait_rows <= WAIT_H_BITS'(REACH_H - 1);
        end
    end

    always_ff @(posedge clk) begin
        if (step) is_window <= is_pixel && is_end_col && is_end_row;
        if (rst) is_window <= 1'b0;
    end

    // -- the newest column: the last pixel taken, and those above it ------------------------------------
    logic [REACH_H*PIXEL-1:0] column;  // the lowest pixel first

    generate
        if (REACH_H == 1) begin : g_row
            logic is_unused_col;
            assign is_unused_col = &col;

            always_ff @(posedge clk) if (take) column <= pixel;
        end else if (WIDTH < 3) begin : g_registers
            localparam integer KEPT = (REACH_H - 1) * WIDTH + 1;
            logic [KEPT*PIXEL-1:0] pixels;  // the latest first
            logic                  is_unused_col;

            assign is_unused_col = &col;

            always_ff @(posedge clk) if (take) pixels <= {pixels[(KEPT-1)*PIXEL-1:0], pixel};

            genvar r;
            for (r = 0; r < REACH_H; r = r + 1) begin : g_pixel
                assign column[r*PIXEL+:PIXEL] = pixels[r*WIDTH*PIXEL+:PIXEL];
            end
        end else begin : g_lines
            // While a pixel is taken, what is above the next one is read, and the column before it is
            // written back, a row further up: never at the same address, for there are three columns.
            logic [COL_BITS-1:0] place;
            logic [COL_BITS-1:0] write_place;

            always_ff @(posedge clk) begin
                if (take) begin
                    column[PIXEL-1:0] <= pixel;
                    place             <= col;
                    write_place       <= place;
                end
                if (rst) begin
                    place       <= COL_BITS'(WIDTH - 1);
                    write_place <= COL_BITS'(WIDTH - 2);
                end
            end

            lepton_ram #(
                .BITS     ((REACH_H - 1) * PIXEL),
                .DEPTH    (WIDTH),
                .RAM_STYLE(RAM_STYLE)
            ) u_lines (
                .clk          (clk),
                .write        (take),
                .write_address(write_place),
                .write_data   (column[(REACH_H-1)*PIXEL-1:0]),
                .enable       (take),
                .address      (col),
                .data         (column[REACH_H*PIXEL-1:PIXEL])
            );
        end
    endgenerate

    // -- the window: for each kernel row the pixels of the latest columns -------------------------------
    logic [KERNEL_H*KERNEL_W*PIXEL-1:0] window;

    generate
        genvar kh;
        genvar kw;
        for (kh = 0; kh < KERNEL_H; kh = kh + 1) begin : g_kernel_row
            logic [REACH_W*PIXEL-1:0] pixels;  // the latest first

            assign pixels[PIXEL-1:0] = column[(KERNEL_H-1-kh)*DILATION_H*PIXEL+:PIXEL];
            if (REACH_W > 1) begin : g_shift
                always_ff @(posedge clk) begin
                    if (take) pixels[REACH_W*PIXEL-1:PIXEL] <= pixels[(REACH_W-1)*PIXEL-1:0];
                end
            end
            for (kw = 0; kw < KERNEL_W; kw = kw + 1) begin : g_tap
                assign window[(kh*KERNEL_W+kw)*PIXEL+:PIXEL] = pixels[(KERNEL_W-1-kw)*DILATION_W*PIXEL+:PIXEL];
            end
        end
    endgenerate

    // -- the way out ------------------------------------------------------------------------------------
    generate
        if (PIECES == 1) begin : g_whole
            assign step      = out_ready || !is_window;
            assign out_data  = window;
            assign out_valid = is_window;
        end else begin : g_pieces
            localparam integer WORD = TAPS * PIXEL;
            logic              can_write;
            logic [PIECES-1:0] piece;  // which one is next, one bit each
            logic [  WORD-1:0] word;

            assign can_write = out_ready || !out_valid;
            assign step      = !is_window || (can_write && piece[PIECES-1]);

            always_ff @(posedge clk) begin
                if (is_window && can_write) piece <= {piece[PIECES-2:0], piece[PIECES-1]};
                if (rst) piece <= PIECES'(1);
            end

            always_comb begin
                word = '0;
                for (integer p = 0; p < PIECES; p = p + 1) begin
                    word = word | ({WORD{piece[p]}} & window[p*WORD+:WORD]);
                end
            end

            always_ff @(posedge clk) begin
                if (can_write) begin
                    out_data  <= word;
                    out_valid <= is_window;
                end
                if (rst) out_valid <= 1'b0;
            end
        end
    endgenerate
endmodule
