// Weighted sum of two streams (residual additions).
//
// Computes: out = SCALE_A * a + SCALE_B * b + OFFSET, element by element.
// Parameters: A_BITS, A_SIGNED, B_BITS, B_SIGNED of the elements; OUT_BITS (signed; holds the result and both
//   products); LANES; SCALE_A, SCALE_B, which have SCALE_BITS (signed); OFFSET.
// One word a cycle. Latency: 3 + half of SCALE_BITS, rounded up.
// Infers: 2 * LANES multipliers in LUTs (lepton_multiplier: of a constant only the rows that are not zero stay), an
//   adder a lane. Multipliers by constants are cheap in LUTs, and DSP blocks are not.
module lepton_scaled_add #(
    parameter integer A_BITS = 8,
    parameter integer A_SIGNED = 1,
    parameter integer B_BITS = 8,
    parameter integer B_SIGNED = 1,
    parameter integer OUT_BITS = 16,
    parameter integer LANES = 1,
    parameter integer SCALE_BITS = 2,
    parameter signed [63:0] SCALE_A = 1,
    parameter signed [63:0] SCALE_B = 1,
    parameter signed [63:0] OFFSET = 0
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
    localparam integer ROWS = (SCALE_BITS + 1) / 2;  // cycles of a multiplier
    localparam integer SIGNED_A = A_BITS + (A_SIGNED != 0 ? 0 : 1);
    localparam integer SIGNED_B = B_BITS + (B_SIGNED != 0 ? 0 : 1);

    logic                      step;
    logic                      take;
    logic                      is_a;
    logic                      is_b;
    logic                      is_sum;
    logic [          ROWS-1:0] scaling;  // bit k: a pair is in row k of the multipliers
    logic                      can_write;
    logic [  LANES*A_BITS-1:0] a;
    logic [  LANES*B_BITS-1:0] b;
    logic [LANES*OUT_BITS-1:0] sums;

    assign step = can_write || !is_sum;
    assign take = step && is_a && is_b;

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
        .take_a    (take),
        .b_data    (b),
        .is_b      (is_b),
        .take_b    (take)
    );

    always_ff @(posedge clk) begin
        if (step) begin
            scaling <= ROWS'({scaling, is_a && is_b});
            is_sum  <= scaling[ROWS-1];
        end
        if (rst) begin
            scaling <= '0;
            is_sum  <= 1'b0;
        end
    end

    generate
        genvar l;
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            logic [ROWS*SIGNED_A-1:0] x_line;  // the input as it was up to ROWS-1 cycles ago
            logic [ROWS*SIGNED_B-1:0] y_line;
            logic signed [SIGNED_A+SCALE_BITS-1:0] scaled_x;
            logic signed [SIGNED_B+SCALE_BITS-1:0] scaled_y;
            logic is_unused;

            assign x_line[SIGNED_A-1:0] = SIGNED_A'({A_SIGNED != 0 && a[l*A_BITS+A_BITS-1], a[l*A_BITS+:A_BITS]});
            assign y_line[SIGNED_B-1:0] = SIGNED_B'({B_SIGNED != 0 && b[l*B_BITS+B_BITS-1], b[l*B_BITS+:B_BITS]});
            assign is_unused            = &{scaled_x, scaled_y};

            if (ROWS > 1) begin : g_delay
                logic [(ROWS-1)*SIGNED_A-1:0] old_x;
                logic [(ROWS-1)*SIGNED_B-1:0] old_y;
                always_ff @(posedge clk) begin
                    if (step) begin
                        old_x <= x_line[(ROWS-1)*SIGNED_A-1:0];
                        old_y <= y_line[(ROWS-1)*SIGNED_B-1:0];
                    end
                end
                assign x_line[ROWS*SIGNED_A-1:SIGNED_A] = old_x;
                assign y_line[ROWS*SIGNED_B-1:SIGNED_B] = old_y;
            end

            lepton_multiplier #(
                .A_BITS(SIGNED_A),
                .B_BITS(SCALE_BITS)
            ) u_x (
                .clk    (clk),
                .enable (step),
                .a_line (x_line),
                .b      (SCALE_A[SCALE_BITS-1:0]),
                .product(scaled_x)
            );
            lepton_multiplier #(
                .A_BITS(SIGNED_B),
                .B_BITS(SCALE_BITS)
            ) u_y (
                .clk    (clk),
                .enable (step),
                .a_line (y_line),
                .b      (SCALE_B[SCALE_BITS-1:0]),
                .product(scaled_y)
            );

            always_ff @(posedge clk) begin
                if (step) begin
                    sums[l*OUT_BITS+:OUT_BITS] <= OUT_BITS'(scaled_x) + OUT_BITS'(scaled_y) + OUT_BITS'(OFFSET);
                end
            end
        end
    endgenerate

    lepton_skid #(
        .BITS(LANES * OUT_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (sums),
        .in_valid (is_sum),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
