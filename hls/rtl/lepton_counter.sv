// One counter of a loop nest: runs from 0 to LIMIT - 1 and round again.
//
// `step` moves it; `last`, a register, says that it stands at LIMIT - 1, so that the next outer counter is due:
// its `step` is this one's `step && last`. BITS is derived: leave it.
// Infers: BITS + 1 flip-flops, and a LUT for each up to SMALL bits, else a carry chain.
module lepton_counter #(
    parameter integer LIMIT = 2,
    parameter integer BITS  = LIMIT > 1 ? $clog2(LIMIT) : 1
) (
    input  logic            clk,
    input  logic            rst,
    input  logic            step,
    output logic            last,
    output logic [BITS-1:0] count
);
    generate
        if (LIMIT == 1) begin : g_one
            logic is_unused;
            assign is_unused = &{clk, rst, step};
            assign count     = 1'b0;
            assign last      = 1'b1;
        end else begin : g_many
            // A carry chain for so few bits is slower than a LUT for each, but synthesis may take one.
            localparam integer SMALL = 6;
            logic [BITS-1:0] next;

            if (BITS <= SMALL) begin : g_luts
                genvar i;
                assign next[0] = !count[0];
                for (i = 1; i < BITS; i = i + 1) begin : g_bit
                    assign next[i] = count[i] ^ (&count[i-1:0]);
                end
            end else begin : g_chain
                assign next = count + 1'b1;
            end

            always_ff @(posedge clk) begin
                if (step) begin
                    count <= last ? '0 : next;
                    last  <= !last && count == BITS'(LIMIT - 2);
                end
                if (rst) begin
                    count <= '0;
                    last  <= 1'b0;
                end
            end
`ifdef FORMAL
            // What the proofs of the modules that count with this one need to know.
            logic is_running = 1'b0;
            always_ff @(posedge clk) is_running <= 1'b1;
            always_comb begin
                if (is_running) begin
                    lemma_last_is_last : assert (last == (count == BITS'(LIMIT - 1)));
                    lemma_count_is_within : assert (count <= BITS'(LIMIT - 1));
                end
            end
`endif
        end
    endgenerate
endmodule
