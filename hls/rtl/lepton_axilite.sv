// AXI4-Lite registers of a design.
//
// Registers (32 bits, byte addresses; the first ones lie where Vitis HLS puts them):
//   0x00 control      bit 0 start (write 1; reads 1 until done), bit 1 done (cleared by reading), bit 2 idle,
//                     bit 3 ready (as done)
//   0x10 frames       frames to process at one start
//   0x18 design_id    constant
//   0x1c              bit 0: design_id is valid; always 1
//   0x20, 0x24        cycles from the last start to its end, low and high word; counting while it runs
//   0x28, 0x2c        cycles from the last start to the end of the first frame
//   0x30              frames that have left since the last start, at the slowest output
// All else reads 0. WSTRB is obeyed for `frames`; start is in byte 0. Responses are always OKAY.
//
// `start` is high for one cycle, with `frames` beside it: lepton_axis_in takes both. `frame_done` has a bit an output,
// high for one cycle as a frame's last word leaves (lepton_axis_out): a start is done when each output has
// sent all frames. A start of 0 frames is done at once. A write of start while it runs is ignored.
// Parameters: OUTPUTS; DESIGN_ID; ADDRESS_BITS of the bus, at least 6.
// A read takes 2 cycles, a write 3; reads and writes are independent.
module lepton_axilite #(
    parameter integer OUTPUTS = 1,
    parameter [31:0] DESIGN_ID = 32'h0,
    parameter integer ADDRESS_BITS = 6
) (
    input  logic                    clk,
    input  logic                    rst,
    input  logic [ADDRESS_BITS-1:0] s_axi_awaddr,
    input  logic                    s_axi_awvalid,
    output logic                    s_axi_awready,
    input  logic [            31:0] s_axi_wdata,
    input  logic [             3:0] s_axi_wstrb,
    input  logic                    s_axi_wvalid,
    output logic                    s_axi_wready,
    output logic [             1:0] s_axi_bresp,
    output logic                    s_axi_bvalid,
    input  logic                    s_axi_bready,
    input  logic [ADDRESS_BITS-1:0] s_axi_araddr,
    input  logic                    s_axi_arvalid,
    output logic                    s_axi_arready,
    output logic [            31:0] s_axi_rdata,
    output logic [             1:0] s_axi_rresp,
    output logic                    s_axi_rvalid,
    input  logic                    s_axi_rready,
    output logic                    start,
    output logic [            31:0] frames,
    input  logic [     OUTPUTS-1:0] frame_done
);
    localparam logic [3:0] CONTROL = 4'h0;
    localparam logic [3:0] FRAMES = 4'h4;
    localparam logic [3:0] ID = 4'h6;
    localparam logic [3:0] ID_VALID = 4'h7;
    localparam logic [3:0] CYCLES_LOW = 4'h8;
    localparam logic [3:0] CYCLES_HIGH = 4'h9;
    localparam logic [3:0] FIRST_LOW = 4'ha;
    localparam logic [3:0] FIRST_HIGH = 4'hb;
    localparam logic [3:0] FRAMES_DONE = 4'hc;

    logic        is_running;
    logic        is_done;
    logic        is_address;  // of a write, held in `address`
    logic        is_data;
    logic        is_write;  // both are there
    logic [ 3:0] address;  // of a 32-bit word
    logic [31:0] data;
    logic [ 3:0] strobes;
    logic        is_read;
    logic        is_started;
    logic        is_first;  // no frame has left yet
    logic [63:0] cycles;
    logic [63:0] first_cycles;
    logic [31:0] written;  // frames, once the write is done
    logic [31:0] read;
    logic [31:0] least;  // frames that have left the slowest output
    logic        is_unused;

    assign is_unused     = &{s_axi_awaddr, s_axi_araddr};
    assign s_axi_bresp   = 2'b00;
    assign s_axi_rresp   = 2'b00;
    assign is_write      = is_address && is_data && !s_axi_bvalid;
    assign is_read       = s_axi_arvalid && s_axi_arready;
    assign s_axi_awready = !is_address;
    assign s_axi_wready  = !is_data;
    assign s_axi_arready = !s_axi_rvalid;
    assign is_started    = is_write && address == CONTROL && strobes[0] && data[0] && !is_running;

    // Frames that have left each output; the slowest one counts.
    logic [32*OUTPUTS-1:0] counts;

    always_ff @(posedge clk) begin
        for (integer o = 0; o < OUTPUTS; o = o + 1) begin
            if (start) counts[32*o+:32] <= '0;
            else if (frame_done[o]) counts[32*o+:32] <= counts[32*o+:32] + 1'b1;
        end
        if (rst) counts <= '0;
    end

    always_comb begin
        least = counts[31:0];
        for (integer o = 1; o < OUTPUTS; o = o + 1) begin
            if (counts[32*o+:32] < least) least = counts[32*o+:32];
        end
    end

    always_ff @(posedge clk) begin
        start <= is_started;
        if (is_started) begin
            is_running   <= 1'b1;
            is_first     <= 1'b1;
            cycles       <= '0;
            first_cycles <= '0;
        end else if (is_running && !start) begin
            if (least >= frames) begin
                is_running <= 1'b0;
                is_done    <= 1'b1;
            end else begin
                cycles <= cycles + 1'b1;
            end
            if (is_first) begin
                if (least != '0) is_first <= 1'b0;
                else first_cycles <= first_cycles + 1'b1;
            end
        end
        if (is_read && s_axi_araddr[5:2] == CONTROL && is_done) is_done <= 1'b0;
        if (is_write && address == FRAMES && !is_running) frames <= written;
        if (rst) begin
            start      <= 1'b0;
            is_running <= 1'b0;
            is_done    <= 1'b0;
            is_first   <= 1'b0;
            frames     <= '0;
        end
    end

    always_comb begin
        written = frames;
        for (integer i = 0; i < 4; i = i + 1) begin
            if (strobes[i]) written[8*i+:8] = data[8*i+:8];
        end
        case (s_axi_araddr[5:2])
            CONTROL:     read = {28'b0, is_done, !is_running, is_done, is_running};
            FRAMES:      read = frames;
            ID:          read = DESIGN_ID;
            ID_VALID:    read = 32'd1;
            CYCLES_LOW:  read = cycles[31:0];
            CYCLES_HIGH: read = cycles[63:32];
            FIRST_LOW:   read = first_cycles[31:0];
            FIRST_HIGH:  read = first_cycles[63:32];
            FRAMES_DONE: read = least;
            default:     read = 32'd0;
        endcase
    end

    always_ff @(posedge clk) begin
        if (!is_address) address <= s_axi_awaddr[5:2];
        if (!is_data) begin
            data    <= s_axi_wdata;
            strobes <= s_axi_wstrb;
        end
        is_address <= is_address ? !is_write : s_axi_awvalid;
        is_data    <= is_data ? !is_write : s_axi_wvalid;
        if (s_axi_bvalid) s_axi_bvalid <= !s_axi_bready;
        else s_axi_bvalid <= is_write;
        if (s_axi_rvalid) begin
            s_axi_rvalid <= !s_axi_rready;
        end else begin
            s_axi_rvalid <= is_read;
            s_axi_rdata  <= read;
        end
        if (rst) begin
            is_address   <= 1'b0;
            is_data      <= 1'b0;
            s_axi_bvalid <= 1'b0;
            s_axi_rvalid <= 1'b0;
        end
    end
endmodule
