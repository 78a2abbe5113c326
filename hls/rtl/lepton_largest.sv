// Pipelined tree: the largest of COUNT numbers and its place, one set a cycle; of equal ones the first.
//
// Parameters: COUNT numbers of BITS bits, signed; number i at in[i*BITS +: BITS]. FIRST is added to places.
//   PLACE_BITS of a place. STAGES is derived from COUNT, or more.
// Latency: STAGES cycles of `enable`. Infers: COUNT - 1 comparators with registers.
module lepton_largest #(
    parameter integer COUNT = 4,
    parameter integer BITS = 8,
    parameter integer PLACE_BITS = 2,
    parameter integer FIRST = 0,
    parameter integer STAGES = $clog2(COUNT)
) (
    input  logic                         clk,
    input  logic                         enable,
    input  logic        [COUNT*BITS-1:0] in,
    output logic signed [      BITS-1:0] largest,
    output logic        [PLACE_BITS-1:0] place
);
    generate
        if (STAGES == 0) begin : g_wire
            logic is_unused;
            assign is_unused = &{clk, enable};
            assign largest   = in;
            assign place     = PLACE_BITS'(FIRST);
        end else begin : g_stage
            localparam integer RIGHT = COUNT / 2;
            localparam integer LEFT = COUNT - RIGHT;
            logic signed [      BITS-1:0] left;
            logic        [PLACE_BITS-1:0] left_place;

            lepton_largest #(
                .COUNT     (LEFT),
                .BITS      (BITS),
                .PLACE_BITS(PLACE_BITS),
                .FIRST     (FIRST),
                .STAGES    (STAGES - 1)
            ) u_left (
                .clk    (clk),
                .enable (enable),
                .in     (in[LEFT*BITS-1:0]),
                .largest(left),
                .place  (left_place)
            );

            if (RIGHT == 0) begin : g_delay
                always_ff @(posedge clk) begin
                    if (enable) begin
                        largest <= left;
                        place   <= left_place;
                    end
                end
            end else begin : g_compare
                logic signed [      BITS-1:0] right;
                logic        [PLACE_BITS-1:0] right_place;

                lepton_largest #(
                    .COUNT     (RIGHT),
                    .BITS      (BITS),
                    .PLACE_BITS(PLACE_BITS),
                    .FIRST     (FIRST + LEFT),
                    .STAGES    (STAGES - 1)
                ) u_right (
                    .clk    (clk),
                    .enable (enable),
                    .in     (in[COUNT*BITS-1:LEFT*BITS]),
                    .largest(right),
                    .place  (right_place)
                );

                always_ff @(posedge clk) begin
                    if (enable) begin
                        largest <= right > left ? right : left;
                        place   <= right > left ? right_place : left_place;
                    end
                end
            end
        end
    endgenerate
endmodule
