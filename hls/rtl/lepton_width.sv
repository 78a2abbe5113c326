// Width conversion: the same elements in words of another length.
//
// Computes: words of IN_LANES elements to words of OUT_LANES, in order. Both divide the frame.
// Parameters: X_BITS of an element, IN_LANES, OUT_LANES.
// Cycles: ELEMENTS / min(IN_LANES, OUT_LANES). Latency: 1 cycle from the word that completes an output; a
//   gearbox 2.
// Infers: IN a multiple of OUT: a shift register of IN elements and two words of OUT; OUT a multiple of IN:
//   a shift register of OUT elements and one word of OUT; otherwise a gearbox: IN + OUT elements with a
//   multiplexer in front of each.
module lepton_width #(
    parameter integer X_BITS = 8,
    parameter integer IN_LANES = 4,
    parameter integer OUT_LANES = 2
) (
    input  logic                        clk,
    input  logic                        rst,
    input  logic [ IN_LANES*X_BITS-1:0] in_data,
    input  logic                        in_valid,
    output logic                        in_ready,
    output logic [OUT_LANES*X_BITS-1:0] out_data,
    output logic                        out_valid,
    input  logic                        out_ready
);
    localparam integer IN_BITS = IN_LANES * X_BITS;
    localparam integer OUT_BITS = OUT_LANES * X_BITS;

    // Greatest common divisor of the two lane counts.
    function automatic integer common(input integer a, input integer b);
        integer larger;
        integer smaller;
        integer rest;
        begin
            larger  = a;
            smaller = b;
            while (smaller != 0) begin
                rest    = larger % smaller;
                larger  = smaller;
                smaller = rest;
            end
            common = larger;
        end
    endfunction

    generate
        if (IN_LANES == OUT_LANES) begin : g_same
            lepton_skid #(
                .BITS(IN_BITS)
            ) u_out (
                .clk      (clk),
                .rst      (rst),
                .in_data  (in_data),
                .in_valid (in_valid),
                .in_ready (in_ready),
                .out_data (out_data),
                .out_valid(out_valid),
                .out_ready(out_ready)
            );
        end else if (IN_LANES % OUT_LANES == 0) begin : g_narrow
            localparam integer PIECES = IN_LANES / OUT_LANES;
            localparam integer REST = IN_BITS - OUT_BITS;
            localparam integer PIECE_BITS = $clog2(PIECES);
            logic                  step;
            logic                  send;
            logic                  is_first;
            logic                  is_last;
            logic [PIECE_BITS-1:0] piece;
            logic [      REST-1:0] held;  // pieces that have not gone out
            logic                  is_unused;

            assign is_unused = is_last;
            assign is_first  = piece == '0;
            assign in_ready  = step && is_first;
            assign send      = in_valid || !is_first;

            lepton_counter #(
                .LIMIT(PIECES)
            ) u_piece (
                .clk  (clk),
                .rst  (rst),
                .step (step && send),
                .last (is_last),
                .count(piece)
            );

            always_ff @(posedge clk) begin
                if (step) held <= is_first ? in_data[IN_BITS-1:OUT_BITS] : held >> OUT_BITS;
            end

            lepton_skid #(
                .BITS(OUT_BITS)
            ) u_out (
                .clk      (clk),
                .rst      (rst),
                .in_data  (is_first ? in_data[OUT_BITS-1:0] : held[OUT_BITS-1:0]),
                .in_valid (send),
                .in_ready (step),
                .out_data (out_data),
                .out_valid(out_valid),
                .out_ready(out_ready)
            );
        end else if (OUT_LANES % IN_LANES == 0) begin : g_widen
            localparam integer PIECES = OUT_LANES / IN_LANES;
            localparam integer REST = OUT_BITS - IN_BITS;
            localparam integer PIECE_BITS = $clog2(PIECES);
            logic                  can_write;
            logic                  take;
            logic                  is_last;
            logic [PIECE_BITS-1:0] piece;
            logic [      REST-1:0] held;  // pieces that have come, the latest on top
            logic [  OUT_BITS-1:0] whole;
            logic                  is_unused;

            assign is_unused = &piece;
            assign in_ready  = can_write || !is_last;
            assign take      = in_valid && in_ready;
            assign whole     = {in_data, held};

            lepton_counter #(
                .LIMIT(PIECES)
            ) u_piece (
                .clk  (clk),
                .rst  (rst),
                .step (take),
                .last (is_last),
                .count(piece)
            );

            always_ff @(posedge clk) if (take) held <= whole[OUT_BITS-1:IN_BITS];

            lepton_skid #(
                .BITS(OUT_BITS),
                .FULL(0)
            ) u_out (
                .clk      (clk),
                .rst      (rst),
                .in_data  (whole),
                .in_valid (in_valid && is_last),
                .in_ready (can_write),
                .out_data (out_data),
                .out_valid(out_valid),
                .out_ready(out_ready)
            );
        end else begin : g_gearbox
            // All counts are in units of the common divisor.
            localparam integer UNIT = common(IN_LANES, OUT_LANES);
            localparam integer IN_UNITS = IN_LANES / UNIT;
            localparam integer OUT_UNITS = OUT_LANES / UNIT;
            localparam integer MOST = IN_UNITS + OUT_UNITS - 1;
            localparam integer COUNT_BITS = $clog2(MOST + 1);
            localparam integer HELD_BITS = MOST * UNIT * X_BITS;
            logic                  step;
            logic                  is_word;  // `held` starts with a whole output word
            logic                  take;
            logic                  send;
            logic [COUNT_BITS-1:0] count;  // units held
            logic [COUNT_BITS-1:0] left;  // of them, once a word has gone out
            logic [ HELD_BITS-1:0] held;
            logic [ HELD_BITS-1:0] rest;
            logic [ HELD_BITS-1:0] added;

            assign is_word  = count >= COUNT_BITS'(OUT_UNITS);
            assign send     = step && is_word;
            assign left     = send ? count - COUNT_BITS'(OUT_UNITS) : count;
            assign in_ready = left <= COUNT_BITS'(MOST - IN_UNITS);
            assign take     = in_valid && in_ready;
            assign rest     = send ? held >> OUT_BITS : held;

            always_comb begin
                added = rest;
                for (integer place = 0; place <= MOST - IN_UNITS; place = place + 1) begin
                    if (left == COUNT_BITS'(place)) added[place*UNIT*X_BITS+:IN_BITS] = in_data;
                end
            end

            always_ff @(posedge clk) begin
                held  <= take ? added : rest;
                count <= take ? left + COUNT_BITS'(IN_UNITS) : left;
                if (rst) count <= '0;
            end

            lepton_skid #(
                .BITS(OUT_BITS)
            ) u_out (
                .clk      (clk),
                .rst      (rst),
                .in_data  (held[OUT_BITS-1:0]),
                .in_valid (is_word),
                .in_ready (step),
                .out_data (out_data),
                .out_valid(out_valid),
                .out_ready(out_ready)
            );
        end
    endgenerate
endmodule
