// Multi-threshold: sums to codes by a sorted table.
//
// Computes: out = LOWEST + how many thresholds of the element's channel are at or below it. The CHANNELS/LANES
//   channel groups come round in turn.
// Parameters: X_BITS, X_SIGNED; OUT_BITS; LEVELS thresholds a channel, ascending; CHANNELS, LANES (one table for all
//   channels: CHANNELS = LANES); LOWEST; ROM_FILE; ROM_STYLE "auto", "block", "distributed".
// Up to 15 levels: all are compared at once. ROM_FILE is a file of one word a channel group: threshold k of lane l
//   at (k*LANES + l)*X_BITS. Latency: 5 cycles.
// More: a pipelined binary search of STAGES = log2(LEVELS + 1), rounded up, with a memory for each stage. Stage s
//   reads the file named ROM_FILE, "_", two decimal digits of s, ".mem", of one word for each channel group and
//   position p below 2^s: lane l at l*X_BITS holds threshold (2*p + 1) * 2^(STAGES-1-s) - 1 (anything where
//   there is no such). Latency: 3 * STAGES + 2 cycles.
// One word a cycle. Infers: LEVELS*LANES comparators, or STAGES*LANES comparators and ROMs.
module lepton_threshold #(
    parameter integer X_BITS = 20,
    parameter integer X_SIGNED = 1,
    parameter integer OUT_BITS = 4,
    parameter integer LEVELS = 15,
    parameter integer CHANNELS = 1,
    parameter integer LANES = 1,
    parameter signed [63:0] LOWEST = 0,
    parameter ROM_FILE = "",
    parameter ROM_STYLE = "auto"
) (
    input  logic                      clk,
    input  logic                      rst,
    input  logic [  LANES*X_BITS-1:0] in_data,
    input  logic                      in_valid,
    output logic                      in_ready,
    output logic [LANES*OUT_BITS-1:0] out_data,
    output logic                      out_valid,
    input  logic                      out_ready
);
    localparam integer GROUPS = CHANNELS / LANES;
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer STAGES = $clog2(LEVELS + 1);
    localparam integer IS_PARALLEL = LEVELS <= 15 ? 1 : 0;
    localparam integer CODE = IS_PARALLEL != 0 ? 4 : 3 * STAGES + 1;  // stage that holds the code

    logic step;
    logic issue;
    logic can_write;
    logic is_last_group;
    logic is_unused;
    logic [CODE:1] valid;
    logic [GROUP_BITS-1:0] group;
    logic [LANES*OUT_BITS-1:0] codes;

    assign is_unused = is_last_group;
    assign in_ready  = step;
    assign issue     = step && in_valid;
    assign step      = can_write || !valid[CODE];

    always_ff @(posedge clk) begin
        if (step) valid <= {valid[CODE-1:1], issue};
        if (rst) valid <= '0;
    end

    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group (
        .clk  (clk),
        .rst  (rst),
        .step (issue),
        .last (is_last_group),
        .count(group)
    );

    generate
        genvar l, k, s;
        if (IS_PARALLEL != 0) begin : g_parallel
            // Stages: 1, 2 input and thresholds, 3 comparisons, 4 code.
            logic [       LANES*X_BITS-1:0] taken;
            logic [       LANES*X_BITS-1:0] inputs;
            logic [LEVELS*LANES*X_BITS-1:0] thresholds;

            lepton_rom #(
                .BITS     (LEVELS * LANES * X_BITS),
                .DEPTH    (GROUPS),
                .ROM_FILE (ROM_FILE),
                .ROM_STYLE(ROM_STYLE)
            ) u_thresholds (
                .clk    (clk),
                .enable (step),
                .address(group),
                .data   (thresholds)
            );

            always_ff @(posedge clk) begin
                if (step) begin
                    taken  <= in_data;
                    inputs <= taken;
                end
            end

            for (l = 0; l < LANES; l = l + 1) begin : g_lane
                logic [LEVELS-1:0] reached;
                logic [STAGES-1:0] count;

                for (k = 0; k < LEVELS; k = k + 1) begin : g_level
                    logic is_reached;
                    if (X_SIGNED != 0) begin : g_signed
                        assign is_reached = $signed(inputs[l*X_BITS+:X_BITS])
                            >= $signed(thresholds[(k*LANES+l)*X_BITS+:X_BITS]);
                    end else begin : g_unsigned
                        assign is_reached = inputs[l*X_BITS+:X_BITS]
                            >= thresholds[(k*LANES+l)*X_BITS+:X_BITS];
                    end
                    always_ff @(posedge clk) if (step) reached[k] <= is_reached;
                end

                always_comb begin
                    count = '0;
                    for (integer i = 0; i < LEVELS; i = i + 1) count = count + STAGES'(reached[i]);
                end

                always_ff @(posedge clk) begin
                    if (step) codes[l*OUT_BITS+:OUT_BITS] <= OUT_BITS'(LOWEST) + OUT_BITS'(count);
                end
            end
        end else begin : g_search
            // Stage s of the search takes three registers: two of its memory, and the comparison. What lies
            // between the stages s-1 and s is part s of these.
            logic [(STAGES+1)*GROUP_BITS-1:0] groups;
            logic is_unused_groups;
            assign groups[GROUP_BITS-1:0] = group;
            assign is_unused_groups       = &groups[STAGES*GROUP_BITS+:GROUP_BITS];

            for (s = 0; s < STAGES; s = s + 1) begin : g_group
                logic [GROUP_BITS-1:0] group_1;
                logic [GROUP_BITS-1:0] group_2;
                logic [GROUP_BITS-1:0] group_3;
                assign groups[(s+1)*GROUP_BITS+:GROUP_BITS] = group_3;
                always_ff @(posedge clk) begin
                    if (step) begin
                        group_1 <= groups[s*GROUP_BITS+:GROUP_BITS];
                        group_2 <= group_1;
                        group_3 <= group_2;
                    end
                end
            end

            for (l = 0; l < LANES; l = l + 1) begin : g_lane
                logic [(STAGES+1)*X_BITS-1:0] inputs;
                logic [(STAGES+1)*STAGES-1:0] counts;  // found so far
                assign inputs[X_BITS-1:0] = in_data[l*X_BITS+:X_BITS];
                logic is_unused_inputs;
                assign counts[STAGES-1:0] = '0;
                assign is_unused_inputs   = &inputs[STAGES*X_BITS+:X_BITS];

                for (s = 0; s < STAGES; s = s + 1) begin : g_stage
                    localparam integer DEPTH = GROUPS << s;
                    localparam integer DEPTH_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
                    localparam integer BIT = STAGES - 1 - s;  // of the count, decided here
                    logic [     X_BITS-1:0] x_1;
                    logic [     X_BITS-1:0] x_2;
                    logic [     X_BITS-1:0] x_3;
                    logic [     STAGES-1:0] count_0;
                    logic [     STAGES-1:0] count_1;
                    logic [     STAGES-1:0] count_2;
                    logic [     STAGES-1:0] count_3;
                    logic [     STAGES-1:0] tried;
                    logic [ DEPTH_BITS-1:0] address;
                    logic [     X_BITS-1:0] word;
                    logic                   is_reached;
                    logic                   is_level;  // there is such a threshold

                    assign count_0 = counts[s*STAGES+:STAGES];

                    if (DEPTH == 1) begin : g_one
                        assign address = 1'b0;
                    end else if (s == 0) begin : g_first
                        assign address = group;
                    end else if (GROUPS == 1) begin : g_shared
                        assign address = count_0[STAGES-1-:s];
                    end else begin : g_each
                        assign address = {groups[s*GROUP_BITS+:GROUP_BITS], count_0[STAGES-1-:s]};
                    end

                    lepton_rom #(
                        .BITS     (LANES * X_BITS),
                        .DEPTH    (DEPTH),
                        .ROM_FILE ({ROM_FILE, "_", 8'(48 + s / 10), 8'(48 + s % 10), ".mem"}),
                        .ROM_STYLE(ROM_STYLE),
                        .FIRST    (l * X_BITS),
                        .TAKEN    (X_BITS)
                    ) u_thresholds (
                        .clk    (clk),
                        .enable (step),
                        .address(address),
                        .data   (word)
                    );

                    assign tried = count_2 | (STAGES'(1) << BIT);
                    if (LEVELS + 1 == 1 << STAGES) begin : g_all
                        assign is_level = 1'b1;
                    end else begin : g_some
                        assign is_level = tried <= STAGES'(LEVELS);
                    end
                    if (X_SIGNED != 0) begin : g_signed
                        assign is_reached = $signed(x_2) >= $signed(word);
                    end else begin : g_unsigned
                        assign is_reached = x_2 >= word;
                    end

                    always_ff @(posedge clk) begin
                        if (step) begin
                            x_1     <= inputs[s*X_BITS+:X_BITS];
                            x_2     <= x_1;
                            x_3     <= x_2;
                            count_1 <= count_0;
                            count_2 <= count_1;
                            count_3 <= is_reached && is_level ? tried : count_2;
                        end
                    end
                    assign inputs[(s+1)*X_BITS+:X_BITS] = x_3;
                    assign counts[(s+1)*STAGES+:STAGES] = count_3;
                end

                always_ff @(posedge clk) begin
                    if (step) begin
                        codes[l*OUT_BITS+:OUT_BITS]
                            <= OUT_BITS'(LOWEST) + OUT_BITS'(counts[STAGES*STAGES+:STAGES]);
                    end
                end
            end
        end
    endgenerate

    lepton_skid #(
        .BITS(LANES * OUT_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (codes),
        .in_valid (valid[CODE]),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
