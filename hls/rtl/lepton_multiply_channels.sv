// Product of a stream with one factor a channel (squeeze and excite).
//
// Computes: out[pixel][c] = (a[pixel][c] - ZERO_A) * (b[c] - ZERO_B). In: PIXELS pixels of CHANNELS/LANES words in
//   `a`; CHANNELS/LANES words a frame in `b`, read beside the first pixel and kept.
// Parameters: A_BITS, A_SIGNED, B_BITS, B_SIGNED of the elements; OUT_BITS (signed; holds the product); CHANNELS,
//   LANES, PIXELS; ZERO_A, ZERO_B; USE_DSP "yes" or "no"; RAM_STYLE "auto", "block", "distributed".
// Cycles a frame: PIXELS * (CHANNELS/LANES). Latency: 5 cycles.
// Infers: LANES multipliers with registered inputs and outputs; RAM of CHANNELS values if PIXELS > 1.
module lepton_multiply_channels #(
    parameter integer A_BITS = 8,
    parameter integer A_SIGNED = 1,
    parameter integer B_BITS = 8,
    parameter integer B_SIGNED = 1,
    parameter integer OUT_BITS = 18,
    parameter integer CHANNELS = 1,
    parameter integer LANES = 1,
    parameter integer PIXELS = 1,
    parameter signed [63:0] ZERO_A = 0,
    parameter signed [63:0] ZERO_B = 0,
    // Only the attribute below reads it, and Verilator skips attributes.
    // verilator lint_off UNUSEDPARAM
    parameter USE_DSP = "yes",
    // verilator lint_on UNUSEDPARAM
    parameter RAM_STYLE = "auto"
) (
    input  logic                      clk,
    input  logic                      rst,
    input  logic [  LANES*A_BITS-1:0] a_data,
    input  logic                      a_valid,
    output logic                      a_ready,
    input  logic [  LANES*B_BITS-1:0] b_data,
    input  logic                      b_valid,
    output logic                      b_ready,
    output logic [LANES*OUT_BITS-1:0] out_data,
    output logic                      out_valid,
    input  logic                      out_ready
);
    localparam integer GROUPS = CHANNELS / LANES;
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer PIXEL_BITS = PIXELS > 1 ? $clog2(PIXELS) : 1;
    logic                      step;
    logic                      issue;
    logic                      is_a;
    logic                      is_b;
    logic                      is_first;  // pixel
    logic                      is_last_group;
    logic                      is_last_pixel;
    logic                      can_write;
    logic [    GROUP_BITS-1:0] group;
    logic [    PIXEL_BITS-1:0] pixel;
    logic [  LANES*A_BITS-1:0] a;
    logic [  LANES*B_BITS-1:0] b;
    logic                      is_unused;

    // Stages: 1 the words, 2 differences, 3 products.
    logic [               3:1] valid;
    logic [  LANES*A_BITS-1:0] a_1;
    logic [  LANES*B_BITS-1:0] b_1;
    logic [LANES*OUT_BITS-1:0] products;

    assign is_unused = &{is_last_pixel, group};
    assign is_first  = pixel == '0;
    assign step      = can_write || !valid[3];
    assign issue     = step && is_a && (is_b || !is_first);

    lepton_join #(
        .A_BITS(LANES * A_BITS),
        .B_BITS(LANES * B_BITS)
    ) u_join (
        .clk       (clk),
        .rst       (rst),
        .in_a_data (a_data),
        .in_a_valid(a_valid),
        .in_a_ready(a_ready),
        .in_b_data (b_data),
        .in_b_valid(b_valid),
        .in_b_ready(b_ready),
        .a_data    (a),
        .is_a      (is_a),
        .take_a    (issue),
        .b_data    (b),
        .is_b      (is_b),
        .take_b    (issue && is_first)
    );
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
        .LIMIT(PIXELS)
    ) u_pixel (
        .clk  (clk),
        .rst  (rst),
        .step (issue && is_last_group),
        .last (is_last_pixel),
        .count(pixel)
    );

    generate
        if (PIXELS == 1) begin : g_once
            always_ff @(posedge clk) if (step) b_1 <= b;
        end else begin : g_replay
            logic [LANES*B_BITS-1:0] fresh;
            logic [LANES*B_BITS-1:0] kept;
            logic                    is_fresh;

            lepton_ram #(
                .BITS     (LANES * B_BITS),
                .DEPTH    (GROUPS),
                .RAM_STYLE(RAM_STYLE),
                .LATENCY  (1)
            ) u_kept (
                .clk          (clk),
                .write        (issue && is_first),
                .write_address(group),
                .write_data   (b),
                .enable       (step),
                .address      (group),
                .data         (kept)
            );

            assign b_1 = is_fresh ? fresh : kept;

            always_ff @(posedge clk) begin
                if (step) begin
                    fresh    <= b;
                    is_fresh <= is_first;
                end
            end
        end
    endgenerate

    always_ff @(posedge clk) begin
        if (step) begin
            valid <= {valid[2:1], issue};
            a_1   <= a;
        end
        if (rst) valid <= '0;
    end

    generate
        genvar l;
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            // No bit more than the product needs, for Yosys 0.70 takes the register into the DSP block, but for
            // a repeated sign bit, which then comes a cycle late.
            localparam integer ALL_BITS = A_BITS + B_BITS + 2;
            localparam integer P_BITS = ALL_BITS < OUT_BITS ? ALL_BITS : OUT_BITS;
            logic signed [A_BITS:0] x;
            logic signed [B_BITS:0] y;
            logic signed [A_BITS:0] difference_x;
            logic signed [B_BITS:0] difference_y;
            (* use_dsp = USE_DSP *)
            logic signed [P_BITS-1:0] product;

            if (A_SIGNED != 0) begin : g_a_signed
                assign x = (A_BITS + 1)'($signed(a_1[l*A_BITS+:A_BITS]));
            end else begin : g_a_unsigned
                assign x = {1'b0, a_1[l*A_BITS+:A_BITS]};
            end
            if (B_SIGNED != 0) begin : g_b_signed
                assign y = (B_BITS + 1)'($signed(b_1[l*B_BITS+:B_BITS]));
            end else begin : g_b_unsigned
                assign y = {1'b0, b_1[l*B_BITS+:B_BITS]};
            end

            assign products[l*OUT_BITS+:OUT_BITS] = OUT_BITS'(product);

            always_ff @(posedge clk) begin
                if (step) begin
                    difference_x <= x - (A_BITS + 1)'(ZERO_A);
                    difference_y <= y - (B_BITS + 1)'(ZERO_B);
                    product      <= P_BITS'(difference_x) * P_BITS'(difference_y);
                end
            end
        end
    endgenerate

    lepton_skid #(
        .BITS(LANES * OUT_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (products),
        .in_valid (valid[3]),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
