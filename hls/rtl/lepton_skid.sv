// Elastic output register: breaks both the forward and the backward path of a stream.
//
// Computes: out = in, in order. `in_ready` is a register, `out_*` are registers.
// Parameters: BITS of a word; FULL = 1 takes a word every cycle (two registers), FULL = 0 every second
//   cycle (one register), for writers that are slower anyway.
// Latency: 1 cycle. Infers: BITS * (1 + FULL) + 1 + 2 * FULL flip-flops, BITS LUTs if FULL.
module lepton_skid #(
    parameter integer BITS = 8,
    parameter integer FULL = 1
) (
    input  logic            clk,
    input  logic            rst,
    input  logic [BITS-1:0] in_data,
    input  logic            in_valid,
    output logic            in_ready,
    output logic [BITS-1:0] out_data,
    output logic            out_valid,
    input  logic            out_ready
);
    generate
        if (FULL != 0) begin : g_full
            logic [BITS-1:0] spare;
            // `spare` holds a word that came while `out` was held. `in_ready` is the opposite, but a register of
            // its own: many bits hang on this one, and long paths of the kernels begin at that.
            logic            is_spare;

            always_ff @(posedge clk) begin
                if (!is_spare) spare <= in_data;
                if (out_ready || !out_valid) begin
                    out_data  <= is_spare ? spare : in_data;
                    out_valid <= in_valid || is_spare;
                    is_spare  <= 1'b0;
                    in_ready  <= 1'b1;
                end else begin
                    is_spare <= in_valid || is_spare;
                    in_ready <= !in_valid && in_ready;
                end
                if (rst) begin
                    out_valid <= 1'b0;
                    is_spare  <= 1'b0;
                    in_ready  <= 1'b1;
                end
            end
`ifdef FORMAL
            // What the proofs of this module and of those that contain it need to know.
            logic is_running = 1'b0;
            always_ff @(posedge clk) is_running <= 1'b1;
            always_comb begin
                if (is_running) lemma_spare_is_not_ready : assert (in_ready == !is_spare);
            end
`endif
        end else begin : g_half
            assign in_ready = !out_valid;

            always_ff @(posedge clk) begin
                if (!out_valid) out_data <= in_data;
                out_valid <= out_valid ? !out_ready : in_valid;
                if (rst) out_valid <= 1'b0;
            end
        end
    endgenerate
endmodule
