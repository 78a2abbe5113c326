// First in, first out: holds up to DEPTH words.
//
// Computes: out = in, in order. `in_ready` depends on a count only; `out_*` are registers.
// Parameters: BITS of a word; DEPTH >= 2, the output register included; RAM_STYLE "block", "distributed" or
//   "auto": block RAM where it is large; as in lepton_ram.
// One word a cycle. Latency: DEPTH 2: 1 cycle; up to 64 words, or below 4,096 bits: 2 cycles; else 3.
// Infers: DEPTH 2: two registers. Small: LUT RAM and one register. Large: block RAM with its output
//   register, which makes three stages hold a word each; all count towards DEPTH.
module lepton_fifo #(
    parameter integer BITS = 8,
    parameter integer DEPTH = 2,
    parameter RAM_STYLE = "auto"
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
    // Only the attribute reads it, and Verilator skips attributes.
    // verilator lint_off UNUSEDPARAM
    // verilator lint_off WIDTH
    localparam IN_BLOCKS = RAM_STYLE == "block" || (RAM_STYLE == "auto" && DEPTH > 64 && BITS * DEPTH >= 4096);
`ifdef LEPTON_NO_LUT_RAM
    localparam STYLE = "auto";
`else
    localparam STYLE = IN_BLOCKS ? "block" : "distributed";
`endif
    // verilator lint_on WIDTH
    // verilator lint_on UNUSEDPARAM

    generate
        if (DEPTH <= 2) begin : g_registers
            lepton_skid #(
                .BITS(BITS)
            ) u_words (
                .clk      (clk),
                .rst      (rst),
                .in_data  (in_data),
                .in_valid (in_valid),
                .in_ready (in_ready),
                .out_data (out_data),
                .out_valid(out_valid),
                .out_ready(out_ready)
            );
        end else begin : g_memory
            localparam integer IS_SMALL = (DEPTH <= 64 || BITS * DEPTH < 4096) ? 1 : 0;
            localparam integer PLACE_BITS = $clog2(DEPTH);
            localparam integer COUNT_BITS = $clog2(DEPTH + 1);
            logic                  write;
            logic                  take;  // a word leaves
            logic                  read;  // a word leaves the memory
            logic                  is_space;  // fewer than DEPTH words are here
            logic                  is_stored;  // the memory holds a word
            logic [PLACE_BITS-1:0] write_place;
            logic [PLACE_BITS-1:0] read_place;
            logic [COUNT_BITS-1:0] count;  // words here
            logic [COUNT_BITS-1:0] stored;  // words in the memory
            logic [      BITS-1:0] latch;

            (* ram_style = STYLE, no_rw_check *)
            logic [BITS-1:0] memory[0:DEPTH-1];

            assign in_ready  = is_space;
            assign write     = in_valid && is_space;
            assign take      = out_valid && out_ready;
            assign is_stored = stored != '0;

`ifdef FORMAL
            // formal/fifo_proof.sv looks at one word of the memory.
            logic [PLACE_BITS-1:0] proof_place;
            logic [      BITS-1:0] proof_word;
            assign proof_word = memory[proof_place];
`endif

            always_ff @(posedge clk) begin
                if (write) memory[write_place] <= in_data;
                if (read) latch <= memory[read_place];

                if (write) write_place <= write_place == PLACE_BITS'(DEPTH - 1) ? '0 : write_place + 1'b1;
                if (read) read_place <= read_place == PLACE_BITS'(DEPTH - 1) ? '0 : read_place + 1'b1;
                if (write != take) count <= write ? count + 1'b1 : count - 1'b1;
                if (write && !take) is_space <= count != COUNT_BITS'(DEPTH - 1);
                else if (take) is_space <= 1'b1;
                if (write != read) stored <= write ? stored + 1'b1 : stored - 1'b1;
                if (rst) begin
                    write_place <= '0;
                    read_place  <= '0;
                    count       <= '0;
                    stored      <= '0;
                    is_space    <= 1'b1;
                end
            end

            if (IS_SMALL != 0) begin : g_one_stage
                assign out_data = latch;
                assign read     = is_stored && (!out_valid || out_ready);

                always_ff @(posedge clk) begin
                    if (!out_valid || out_ready) out_valid <= is_stored;
                    if (rst) out_valid <= 1'b0;
                end
            end else begin : g_two_stages
                logic is_latched;
                logic move;  // from the memory's latch to the output register

                assign move = is_latched && (!out_valid || out_ready);
                assign read = is_stored && (!is_latched || move);

                always_ff @(posedge clk) begin
                    if (move) out_data <= latch;
                    if (!out_valid || out_ready) out_valid <= is_latched;
                    if (!is_latched || move) is_latched <= is_stored;
                    if (rst) begin
                        out_valid  <= 1'b0;
                        is_latched <= 1'b0;
                    end
                end
            end
        end
    endgenerate
endmodule
