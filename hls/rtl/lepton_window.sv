// Sliding windows: turns an image into the stream of patches that a convolution or a pool consumes.
//
// Computes: for each of OUT_H x OUT_W windows the words under it. IS_CHANNELWISE = 0: by kernel row, kernel
//   column, channel group (matrix-vector unit); 1: by channel group, kernel row, kernel column (depthwise,
//   pools). In: HEIGHT x WIDTH pixels of CHANNELS/LANES words. No padding (lepton_pad). The whole frame is
//   read, also what no window covers.
// Parameters: X_BITS, LANES, CHANNELS, HEIGHT, WIDTH, KERNEL_H, KERNEL_W, STRIDE_H, STRIDE_W, DILATION_H,
//   DILATION_W, IS_CHANNELWISE; SPARE words of buffer beyond those that a window spans, to read ahead; two in all at
//   least; RAM_STYLE "auto", "block", "distributed".
//
// How: the image goes round a circular buffer. `ahead` counts the words stored since the first word of
// the current window: a window starts once all of it is there, and a word is taken while there is
// room, so reading and writing go on at once, also across rows and frames. A window that is done moves
// the start on by what the next one skips; when `ahead` goes below zero that is not even there yet.
// Buffer: SPAN (first to last word of a window) + SPARE words.
//
// Cycles a frame, with spare words for what the next window skips: at most fill + OUT_H * row, fill = REACH_H * WIDTH * GROUPS, row = the larger of
//   OUT_W*KERNEL_H*KERNEL_W*GROUPS (writes) and STRIDE_H*WIDTH*GROUPS (reads); less as frames overlap.
// Latency: 4 cycles from a window's last word to its first output.
// Infers: simple dual-port RAM of SPAN + SPARE words, some counters, two words of registers.
module lepton_window #(
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
    parameter integer IS_CHANNELWISE = 0,
    parameter integer SPARE = 4,
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
    localparam integer REACH_H = (KERNEL_H - 1) * DILATION_H + 1;
    localparam integer REACH_W = (KERNEL_W - 1) * DILATION_W + 1;
    localparam integer OUT_H = (HEIGHT - REACH_H) / STRIDE_H + 1;
    localparam integer OUT_W = (WIDTH - REACH_W) / STRIDE_W + 1;
    localparam integer ROW = WIDTH * GROUPS;  // words of a row

    // Words from the start of a window to the start of the next, in the row, at its end, and at the
    // end of the frame.
    localparam integer NEXT_COL = STRIDE_W * GROUPS;
    localparam integer NEXT_ROW = STRIDE_H * ROW - (OUT_W - 1) * NEXT_COL;
    localparam integer NEXT_FRAME = HEIGHT * ROW - (OUT_H - 1) * STRIDE_H * ROW - (OUT_W - 1) * NEXT_COL;

    localparam integer SPAN = ((REACH_H - 1) * WIDTH + REACH_W) * GROUPS;
    localparam integer DEPTH = SPAN + SPARE;
    localparam integer PLACE_BITS = $clog2(DEPTH);

    // `ahead` lies between minus the longest way to a next window and DEPTH.
    localparam integer IN_ROW = NEXT_COL > NEXT_FRAME ? NEXT_COL : NEXT_FRAME;
    localparam integer LONGEST = OUT_H > 1 && NEXT_ROW > IN_ROW ? NEXT_ROW : IN_ROW;
    localparam integer AHEAD_BITS = $clog2((DEPTH > LONGEST ? DEPTH : LONGEST) + 1) + 1;

    logic step;
    logic issue;  // a word is read from the buffer
    logic store;  // a word is written to it

    // -- where we are: kernel position and channel group in a window, window in the frame -----------
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer KERNEL_H_BITS = KERNEL_H > 1 ? $clog2(KERNEL_H) : 1;
    localparam integer KERNEL_W_BITS = KERNEL_W > 1 ? $clog2(KERNEL_W) : 1;
    localparam integer OUT_H_BITS = OUT_H > 1 ? $clog2(OUT_H) : 1;
    localparam integer OUT_W_BITS = OUT_W > 1 ? $clog2(OUT_W) : 1;
    logic                     is_last_group;
    logic                     is_last_kh;
    logic                     is_last_kw;
    logic                     is_last_tap;
    logic                     is_last_word;
    logic                     is_last_col;
    logic                     is_last_row;
    logic                     is_first_word;
    logic [   GROUP_BITS-1:0] group;
    logic [KERNEL_H_BITS-1:0] kh;
    logic [KERNEL_W_BITS-1:0] kw;
    logic [   OUT_H_BITS-1:0] out_row;
    logic [   OUT_W_BITS-1:0] out_col;
    logic                     is_unused;

    assign is_unused     = &{out_row, out_col};
    assign is_last_tap   = is_last_kw && is_last_kh;
    assign is_last_word  = is_last_tap && is_last_group;
    assign is_first_word = group == '0 && kh == '0 && kw == '0;

    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group (
        .clk  (clk),
        .rst  (rst),
        .step (issue && (IS_CHANNELWISE == 0 || is_last_tap)),
        .last (is_last_group),
        .count(group)
    );
    lepton_counter #(
        .LIMIT(KERNEL_W)
    ) u_kw (
        .clk  (clk),
        .rst  (rst),
        .step (issue && (IS_CHANNELWISE != 0 || is_last_group)),
        .last (is_last_kw),
        .count(kw)
    );
    lepton_counter #(
        .LIMIT(KERNEL_H)
    ) u_kh (
        .clk  (clk),
        .rst  (rst),
        .step (issue && (IS_CHANNELWISE != 0 || is_last_group) && is_last_kw),
        .last (is_last_kh),
        .count(kh)
    );
    lepton_counter #(
        .LIMIT(OUT_W)
    ) u_out_col (
        .clk  (clk),
        .rst  (rst),
        .step (issue && is_last_word),
        .last (is_last_col),
        .count(out_col)
    );
    lepton_counter #(
        .LIMIT(OUT_H)
    ) u_out_row (
        .clk  (clk),
        .rst  (rst),
        .step (issue && is_last_word && is_last_col),
        .last (is_last_row),
        .count(out_row)
    );

    // -- how much is there --------------------------------------------------------------------------
    logic signed [AHEAD_BITS-1:0] ahead;
    logic signed [AHEAD_BITS-1:0] skipped;
    logic                         is_window;

    assign in_ready  = ahead < AHEAD_BITS'(DEPTH);
    assign store     = in_valid && in_ready;
    assign is_window = !is_first_word || ahead >= AHEAD_BITS'(SPAN);
    assign issue     = step && is_window;

    always_comb begin
        if (!is_last_word) skipped = '0;
        else if (!is_last_col) skipped = AHEAD_BITS'(NEXT_COL);
        else if (!is_last_row) skipped = AHEAD_BITS'(NEXT_ROW);
        else skipped = AHEAD_BITS'(NEXT_FRAME);
    end

    always_ff @(posedge clk) begin
        ahead <= ahead + (store ? AHEAD_BITS'(1) : '0) - (issue ? skipped : '0);
        if (rst) ahead <= '0;
    end

    // -- addresses: all steps are constants, modulo DEPTH ---------------------------------------------
    // From one word of a window to the next: the next group, kernel column, kernel row, or (channelwise)
    // back to the first position of the next group; and from a window's last word to the next window.
    localparam integer COL_STEP = DILATION_W * GROUPS;
    localparam integer ROW_STEP = DILATION_H * ROW - (KERNEL_W - 1) * COL_STEP;
    localparam integer TO_LAST_TAP = (KERNEL_H - 1) * DILATION_H * ROW + (KERNEL_W - 1) * COL_STEP;
    localparam integer TO_LAST_WORD = TO_LAST_TAP + GROUPS - 1;
    localparam integer BACK = IS_CHANNELWISE != 0 ? 0 : GROUPS - 1;  // to group 0, within a pixel
    localparam integer BY_GROUP = IS_CHANNELWISE != 0 ? 1 - TO_LAST_TAP : 1;

    logic [PLACE_BITS-1:0] place;  // of the next word to read
    logic [PLACE_BITS-1:0] write_place;
    logic [PLACE_BITS-1:0] move;
    logic [  PLACE_BITS:0] moved;
    logic [  PLACE_BITS:0] wrapped;
    logic                  is_last_write;

    // Verilog's % keeps the sign.
    `define LEPTON_MODULO(steps) PLACE_BITS'((((steps) % DEPTH) + DEPTH) % DEPTH)

    always_comb begin
        if (is_last_word) begin
            if (!is_last_col) move = `LEPTON_MODULO(NEXT_COL - TO_LAST_WORD);
            else if (!is_last_row) move = `LEPTON_MODULO(NEXT_ROW - TO_LAST_WORD);
            else move = `LEPTON_MODULO(NEXT_FRAME - TO_LAST_WORD);
        end else if (IS_CHANNELWISE != 0 ? is_last_tap : !is_last_group) begin
            move = `LEPTON_MODULO(BY_GROUP);
        end else if (!is_last_kw) begin
            move = `LEPTON_MODULO(COL_STEP - BACK);
        end else begin
            move = `LEPTON_MODULO(ROW_STEP - BACK);
        end
    end

    `undef LEPTON_MODULO

    assign moved   = {1'b0, place} + {1'b0, move};
    assign wrapped = moved - (PLACE_BITS + 1)'(DEPTH);

    always_ff @(posedge clk) begin
        if (issue) place <= wrapped[PLACE_BITS] ? moved[PLACE_BITS-1:0] : wrapped[PLACE_BITS-1:0];
        if (rst) place <= '0;
    end

    lepton_counter #(
        .LIMIT(DEPTH)
    ) u_write_place (
        .clk  (clk),
        .rst  (rst),
        .step (store),
        .last (is_last_write),
        .count(write_place)
    );

    // -- the buffer and the way out ---------------------------------------------------------------------
    logic [LANES*X_BITS-1:0] word;
    logic                    is_latched;
    logic                    is_word;
    logic                    can_write;
    logic                    is_unused_write;

    assign is_unused_write = is_last_write;
    assign step            = can_write || !is_word;

    lepton_ram #(
        .BITS     (LANES * X_BITS),
        .DEPTH    (DEPTH),
        .RAM_STYLE(RAM_STYLE)
    ) u_buffer (
        .clk          (clk),
        .write        (store),
        .write_address(write_place),
        .write_data   (in_data),
        .enable       (step),
        .address      (place),
        .data         (word)
    );

    always_ff @(posedge clk) begin
        if (step) begin
            is_latched <= issue;
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
