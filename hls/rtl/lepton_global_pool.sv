// Pooling over whole frames in plain stream order: maxima or sums of each channel.
//
// Computes: out[c] = the largest of PIXELS values of channel c (IS_MAX = 1), or OFFSET plus their sum (0). The
//   CHANNELS/PE output words of a frame leave while its last pixel comes.
// Parameters: CHANNELS; PE of them in a word; PIXELS a frame; X_BITS, X_SIGNED; OUT_BITS of a sum (of a maximum:
//   X_BITS); IS_MAX; OFFSET; RAM_STYLE "auto", "block", "distributed".
// Cycles a frame: PIXELS * (CHANNELS/PE). Latency: 3 cycles.
// Infers: PE comparators or adders; RAM of CHANNELS values of OUT_BITS (a register where there is one group).
module lepton_global_pool #(
    parameter integer CHANNELS = 4,
    parameter integer PE = 1,
    parameter integer PIXELS = 16,
    parameter integer X_BITS = 8,
    parameter integer X_SIGNED = 1,
    parameter integer OUT_BITS = 12,
    parameter integer IS_MAX = 0,
    parameter signed [63:0] OFFSET = 0,
    parameter RAM_STYLE = "auto"
) (
    input  logic                   clk,
    input  logic                   rst,
    input  logic [  PE*X_BITS-1:0] in_data,
    input  logic                   in_valid,
    output logic                   in_ready,
    output logic [PE*OUT_BITS-1:0] out_data,
    output logic                   out_valid,
    input  logic                   out_ready
);
    localparam integer GROUPS = CHANNELS / PE;
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer PIXEL_BITS = PIXELS > 1 ? $clog2(PIXELS) : 1;
    logic                   step;
    logic                   take;
    logic                   can_write;
    logic                   is_last_group;
    logic                   is_last_pixel;
    logic [ GROUP_BITS-1:0] group;
    logic [ PIXEL_BITS-1:0] pixel;

    // Stage 1: the word and what its group had before; stage 2: what it has now.
    logic                   is_taken;
    logic                   is_first_1;
    logic                   is_last_1;
    logic                   is_result;
    logic [ GROUP_BITS-1:0] group_1;
    logic [  PE*X_BITS-1:0] taken;
    logic [PE*OUT_BITS-1:0] kept;
    logic [PE*OUT_BITS-1:0] merged;
    logic [PE*OUT_BITS-1:0] result;

    assign in_ready = step;
    assign take     = step && in_valid;
    assign step     = can_write || !is_result;

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
        .LIMIT(PIXELS)
    ) u_pixel (
        .clk  (clk),
        .rst  (rst),
        .step (take && is_last_group),
        .last (is_last_pixel),
        .count(pixel)
    );

    always_ff @(posedge clk) begin
        if (step) begin
            is_taken   <= in_valid;
            is_first_1 <= pixel == '0;
            is_last_1  <= is_last_pixel;
            group_1    <= group;
            taken      <= in_data;
            is_result  <= is_taken && is_last_1;
            if (is_taken) result <= merged;
        end
        if (rst) begin
            is_taken  <= 1'b0;
            is_result <= 1'b0;
        end
    end

    generate
        if (GROUPS == 1) begin : g_register
            logic is_unused;
            assign is_unused = &group_1;
            assign kept      = result;
        end else begin : g_memory
            lepton_ram #(
                .BITS     (PE * OUT_BITS),
                .DEPTH    (GROUPS),
                .RAM_STYLE(RAM_STYLE),
                .LATENCY  (1)
            ) u_kept (
                .clk          (clk),
                .write        (step && is_taken),
                .write_address(group_1),
                .write_data   (merged),
                .enable       (step),
                .address      (group),
                .data         (kept)
            );
        end

        genvar p;
        for (p = 0; p < PE; p = p + 1) begin : g_lane
            logic signed [OUT_BITS:0] x;  // one bit more, so that it is signed either way
            logic signed [OUT_BITS:0] best;

            if (X_SIGNED != 0) begin : g_signed
                assign x    = (OUT_BITS + 1)'($signed(taken[p*X_BITS+:X_BITS]));
                assign best = (OUT_BITS + 1)'($signed(kept[p*OUT_BITS+:OUT_BITS]));
            end else begin : g_unsigned
                assign x    = (OUT_BITS + 1)'({1'b0, taken[p*X_BITS+:X_BITS]});
                assign best = {1'b0, kept[p*OUT_BITS+:OUT_BITS]};
            end

            if (IS_MAX != 0) begin : g_max
                assign merged[p*OUT_BITS+:OUT_BITS] =
                    is_first_1 || x > best ? x[OUT_BITS-1:0] : best[OUT_BITS-1:0];
            end else begin : g_sum
                logic is_unused;
                assign is_unused = &{x[OUT_BITS], best[OUT_BITS]};
                assign merged[p*OUT_BITS+:OUT_BITS] =
                    (is_first_1 ? OUT_BITS'(OFFSET) : best[OUT_BITS-1:0]) + x[OUT_BITS-1:0];
            end
        end
    endgenerate

    lepton_skid #(
        .BITS(PE * OUT_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (result),
        .in_valid (is_result),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
