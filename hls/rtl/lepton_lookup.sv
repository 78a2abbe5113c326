// Table lookup: any function of one code.
//
// Computes: out = table[in - FIRST], in the element's own channel. The CHANNELS/LANES channel groups come round in
//   turn; every code lies in FIRST to FIRST + ENTRIES - 1.
// Parameters: X_BITS, X_SIGNED; OUT_BITS; ENTRIES; CHANNELS, LANES (one table for all channels: CHANNELS = LANES);
//   FIRST; ROM_FILE: word group*ENTRIES + entry, lane l at l*OUT_BITS; ROM_STYLE "auto", "block", "distributed".
// One word a cycle. Latency: 4 cycles. Infers: a ROM for each lane, since each has an address of its own.
module lepton_lookup #(
    parameter integer X_BITS = 8,
    parameter integer X_SIGNED = 1,
    parameter integer OUT_BITS = 8,
    parameter integer ENTRIES = 256,
    parameter integer CHANNELS = 1,
    parameter integer LANES = 1,
    parameter signed [63:0] FIRST = -64'sd128,
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
    localparam integer DEPTH = GROUPS * ENTRIES;
    localparam integer DEPTH_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
    localparam integer GROUP_BITS = GROUPS > 1 ? $clog2(GROUPS) : 1;
    localparam integer SUM_BITS = (DEPTH_BITS > X_BITS ? DEPTH_BITS : X_BITS) + 2;
    logic                      step;
    logic                      can_write;
    logic                      is_last_group;
    logic [               3:1] valid;  // stages: 1 addresses, 2, 3 the memory
    logic [    GROUP_BITS-1:0] group;
    logic [    DEPTH_BITS-1:0] base;  // group * ENTRIES
    logic [LANES*OUT_BITS-1:0] words;
    logic                      is_unused;

    assign is_unused = &group;
    assign in_ready  = step;
    assign step      = can_write || !valid[3];

    lepton_counter #(
        .LIMIT(GROUPS)
    ) u_group (
        .clk  (clk),
        .rst  (rst),
        .step (step && in_valid),
        .last (is_last_group),
        .count(group)
    );

    always_ff @(posedge clk) begin
        if (step) valid <= {valid[2:1], in_valid};
        if (step && in_valid) base <= is_last_group ? '0 : base + DEPTH_BITS'(ENTRIES);
        if (rst) begin
            valid <= '0;
            base  <= '0;
        end
    end

    generate
        genvar l;
        for (l = 0; l < LANES; l = l + 1) begin : g_lane
            logic [     SUM_BITS-1:0] x;
            logic [     SUM_BITS-1:0] entry;
            logic [   DEPTH_BITS-1:0] address;
            logic                     is_unused_bits;

            if (X_SIGNED != 0) begin : g_signed
                assign x = SUM_BITS'($signed(in_data[l*X_BITS+:X_BITS]));
            end else begin : g_unsigned
                assign x = SUM_BITS'(in_data[l*X_BITS+:X_BITS]);
            end
            assign entry          = x - SUM_BITS'(FIRST) + SUM_BITS'(base);
            assign is_unused_bits = &entry[SUM_BITS-1:DEPTH_BITS];

            always_ff @(posedge clk) if (step) address <= entry[DEPTH_BITS-1:0];

            lepton_rom #(
                .BITS     (LANES * OUT_BITS),
                .DEPTH    (DEPTH),
                .ROM_FILE (ROM_FILE),
                .ROM_STYLE(ROM_STYLE),
                .FIRST    (l * OUT_BITS),
                .TAKEN    (OUT_BITS)
            ) u_table (
                .clk    (clk),
                .enable (step),
                .address(address),
                .data   (words[l*OUT_BITS+:OUT_BITS])
            );
        end
    endgenerate

    lepton_skid #(
        .BITS(LANES * OUT_BITS)
    ) u_out (
        .clk      (clk),
        .rst      (rst),
        .in_data  (words),
        .in_valid (valid[3]),
        .in_ready (can_write),
        .out_data (out_data),
        .out_valid(out_valid),
        .out_ready(out_ready)
    );
endmodule
