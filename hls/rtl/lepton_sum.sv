// Pipelined adder tree: the sum of COUNT numbers, one set a cycle.
//
// Parameters: COUNT numbers of BITS bits, number i at in[i*BITS +: BITS]; the sum has BITS + STAGES bits.
//   SIGNED: numbers and sum are in two's complement, else unsigned. STAGES is derived from COUNT, or more.
// Latency: STAGES cycles of `enable`. Infers: COUNT - 1 adders, each with its register.
module lepton_sum #(
    parameter integer COUNT  = 4,
    parameter integer BITS   = 8,
    parameter integer SIGNED = 1,
    parameter integer STAGES = $clog2(COUNT)
) (
    input  logic                          clk,
    input  logic                          enable,
    input  logic        [ COUNT*BITS-1:0] in,
    output logic signed [BITS+STAGES-1:0] sum
);
    generate
        if (STAGES == 0) begin : g_wire
            logic is_unused;
            assign is_unused = &{clk, enable};
            assign sum       = in;
        end else if (COUNT == 1) begin : g_delay
            logic signed [BITS+STAGES-2:0] shorter;
            lepton_sum #(
                .COUNT (1),
                .BITS  (BITS),
                .SIGNED(SIGNED),
                .STAGES(STAGES - 1)
            ) u_shorter (
                .clk   (clk),
                .enable(enable),
                .in    (in),
                .sum   (shorter)
            );
            always_ff @(posedge clk) begin
                if (enable) sum <= {SIGNED != 0 && shorter[BITS+STAGES-2], shorter};
            end
        end else begin : g_add
            localparam integer RIGHT = COUNT / 2;
            localparam integer LEFT = COUNT - RIGHT;
            logic signed [BITS+STAGES-2:0] left;
            logic signed [BITS+STAGES-2:0] right;
            lepton_sum #(
                .COUNT (LEFT),
                .BITS  (BITS),
                .SIGNED(SIGNED),
                .STAGES(STAGES - 1)
            ) u_left (
                .clk   (clk),
                .enable(enable),
                .in    (in[LEFT*BITS-1:0]),
                .sum   (left)
            );
            lepton_sum #(
                .COUNT (RIGHT),
                .BITS  (BITS),
                .SIGNED(SIGNED),
                .STAGES(STAGES - 1)
            ) u_right (
                .clk   (clk),
                .enable(enable),
                .in    (in[COUNT*BITS-1:LEFT*BITS]),
                .sum   (right)
            );
            always_ff @(posedge clk) begin
                if (enable) begin
                    sum <= {SIGNED != 0 && left[BITS+STAGES-2], left}
                        + {SIGNED != 0 && right[BITS+STAGES-2], right};
                end
            end
        end
    endgenerate
endmodule
