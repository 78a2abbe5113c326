// tiny: a streaming accelerator.
//
// Every layer is an instance of its own; all work at the same time on what streams through them.
// The modules are in kernels/, their constants in memory/. Run tools in this folder.
// Planned: 288 cycles a frame, set by block_conv.
module tiny (
    input logic ap_clk,
    input logic ap_rst_n,
    input logic [5:0] s_axi_control_AWADDR,
    input logic s_axi_control_AWVALID,
    output logic s_axi_control_AWREADY,
    input logic [31:0] s_axi_control_WDATA,
    input logic [3:0] s_axi_control_WSTRB,
    input logic s_axi_control_WVALID,
    output logic s_axi_control_WREADY,
    output logic [1:0] s_axi_control_BRESP,
    output logic s_axi_control_BVALID,
    input logic s_axi_control_BREADY,
    input logic [5:0] s_axi_control_ARADDR,
    input logic s_axi_control_ARVALID,
    output logic s_axi_control_ARREADY,
    output logic [31:0] s_axi_control_RDATA,
    output logic [1:0] s_axi_control_RRESP,
    output logic s_axi_control_RVALID,
    input logic s_axi_control_RREADY,
    input logic [63:0] image_in0_TDATA,
    input logic image_in0_TVALID,
    output logic image_in0_TREADY,
    input logic [15:0] side_in1_TDATA,
    input logic side_in1_TVALID,
    output logic side_in1_TREADY,
    output logic [15:0] lookup_out0_TDATA,
    output logic lookup_out0_TVALID,
    input logic lookup_out0_TREADY,
    output logic [1:0] lookup_out0_TKEEP,
    output logic lookup_out0_TLAST,
    output logic [7:0] best_out1_TDATA,
    output logic best_out1_TVALID,
    input logic best_out1_TREADY,
    output logic best_out1_TKEEP,
    output logic best_out1_TLAST
);
    localparam logic [31:0] DESIGN_ID = 32'h00001e97;

    logic clk;
    logic rst;
    logic start;
    logic [31:0] frames;
    logic [1:0] frame_done;

    assign clk = ap_clk;
    always_ff @(posedge clk) rst <= !ap_rst_n;

    // Registers: see kernels/lepton_axilite.sv.
    lepton_axilite #(
        .DESIGN_ID(DESIGN_ID),
        .OUTPUTS(2),
        .ADDRESS_BITS(6)
    ) u_registers (
        .clk(clk),
        .rst(rst),
        .s_axi_awaddr(s_axi_control_AWADDR),
        .s_axi_awvalid(s_axi_control_AWVALID),
        .s_axi_awready(s_axi_control_AWREADY),
        .s_axi_wdata(s_axi_control_WDATA),
        .s_axi_wstrb(s_axi_control_WSTRB),
        .s_axi_wvalid(s_axi_control_WVALID),
        .s_axi_wready(s_axi_control_WREADY),
        .s_axi_bresp(s_axi_control_BRESP),
        .s_axi_bvalid(s_axi_control_BVALID),
        .s_axi_bready(s_axi_control_BREADY),
        .s_axi_araddr(s_axi_control_ARADDR),
        .s_axi_arvalid(s_axi_control_ARVALID),
        .s_axi_arready(s_axi_control_ARREADY),
        .s_axi_rdata(s_axi_control_RDATA),
        .s_axi_rresp(s_axi_control_RRESP),
        .s_axi_rvalid(s_axi_control_RVALID),
        .s_axi_rready(s_axi_control_RREADY),
        .start(start),
        .frames(frames),
        .frame_done(frame_done)
    );

    // -- streams, with the FIFO of each -----------------------------------------------------

    // 4 words a frame, 8 x ap_uint<4> each
    logic [31:0] image_in0_reader_out__in_data;
    logic image_in0_reader_out__in_valid;
    logic image_in0_reader_out__in_ready;
    logic [31:0] image_in0_reader_out__out_data;
    logic image_in0_reader_out__out_valid;
    logic image_in0_reader_out__out_ready;
    lepton_fifo #(
        .BITS(32),
        .DEPTH(2)
    ) u_image_in0_reader_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(image_in0_reader_out__in_data),
        .in_valid(image_in0_reader_out__in_valid),
        .in_ready(image_in0_reader_out__in_ready),
        .out_data(image_in0_reader_out__out_data),
        .out_valid(image_in0_reader_out__out_valid),
        .out_ready(image_in0_reader_out__out_ready)
    );

    // 4 words a frame, 8 x ap_uint<4> each
    logic [31:0] image_in0_reader_fork_a__in_data;
    logic image_in0_reader_fork_a__in_valid;
    logic image_in0_reader_fork_a__in_ready;
    logic [31:0] image_in0_reader_fork_a__out_data;
    logic image_in0_reader_fork_a__out_valid;
    logic image_in0_reader_fork_a__out_ready;
    lepton_fifo #(
        .BITS(32),
        .DEPTH(2)
    ) u_image_in0_reader_fork_a_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(image_in0_reader_fork_a__in_data),
        .in_valid(image_in0_reader_fork_a__in_valid),
        .in_ready(image_in0_reader_fork_a__in_ready),
        .out_data(image_in0_reader_fork_a__out_data),
        .out_valid(image_in0_reader_fork_a__out_valid),
        .out_ready(image_in0_reader_fork_a__out_ready)
    );

    // 4 words a frame, 8 x ap_uint<4> each
    logic [31:0] image_in0_reader_fork_b__in_data;
    logic image_in0_reader_fork_b__in_valid;
    logic image_in0_reader_fork_b__in_ready;
    logic [31:0] image_in0_reader_fork_b__out_data;
    logic image_in0_reader_fork_b__out_valid;
    logic image_in0_reader_fork_b__out_ready;
    lepton_fifo #(
        .BITS(32),
        .DEPTH(2)
    ) u_image_in0_reader_fork_b_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(image_in0_reader_fork_b__in_data),
        .in_valid(image_in0_reader_fork_b__in_valid),
        .in_ready(image_in0_reader_fork_b__in_ready),
        .out_data(image_in0_reader_fork_b__out_data),
        .out_valid(image_in0_reader_fork_b__out_valid),
        .out_ready(image_in0_reader_fork_b__out_ready)
    );

    // 1 words a frame, 2 x ap_uint<4> each
    logic [7:0] side_in1_reader_out__in_data;
    logic side_in1_reader_out__in_valid;
    logic side_in1_reader_out__in_ready;
    logic [7:0] side_in1_reader_out__out_data;
    logic side_in1_reader_out__out_valid;
    logic side_in1_reader_out__out_ready;
    lepton_fifo #(
        .BITS(8),
        .DEPTH(2)
    ) u_side_in1_reader_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(side_in1_reader_out__in_data),
        .in_valid(side_in1_reader_out__in_valid),
        .in_ready(side_in1_reader_out__in_ready),
        .out_data(side_in1_reader_out__out_data),
        .out_valid(side_in1_reader_out__out_valid),
        .out_ready(side_in1_reader_out__out_ready)
    );

    // 16 words a frame, 2 x ap_uint<4> each
    logic [7:0] image_in0_reader_fork_a_x2__in_data;
    logic image_in0_reader_fork_a_x2__in_valid;
    logic image_in0_reader_fork_a_x2__in_ready;
    logic [7:0] image_in0_reader_fork_a_x2__out_data;
    logic image_in0_reader_fork_a_x2__out_valid;
    logic image_in0_reader_fork_a_x2__out_ready;
    lepton_fifo #(
        .BITS(8),
        .DEPTH(4)
    ) u_image_in0_reader_fork_a_x2_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(image_in0_reader_fork_a_x2__in_data),
        .in_valid(image_in0_reader_fork_a_x2__in_valid),
        .in_ready(image_in0_reader_fork_a_x2__in_ready),
        .out_data(image_in0_reader_fork_a_x2__out_data),
        .out_valid(image_in0_reader_fork_a_x2__out_valid),
        .out_ready(image_in0_reader_fork_a_x2__out_ready)
    );

    // 36 words a frame, 2 x ap_uint<4> each
    logic [7:0] block_conv_pad_out__in_data;
    logic block_conv_pad_out__in_valid;
    logic block_conv_pad_out__in_ready;
    logic [7:0] block_conv_pad_out__out_data;
    logic block_conv_pad_out__out_valid;
    logic block_conv_pad_out__out_ready;
    lepton_fifo #(
        .BITS(8),
        .DEPTH(2)
    ) u_block_conv_pad_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(block_conv_pad_out__in_data),
        .in_valid(block_conv_pad_out__in_valid),
        .in_ready(block_conv_pad_out__in_ready),
        .out_data(block_conv_pad_out__out_data),
        .out_valid(block_conv_pad_out__out_valid),
        .out_ready(block_conv_pad_out__out_ready)
    );

    // 144 words a frame, 2 x ap_uint<4> each
    logic [7:0] block_conv_window_out__in_data;
    logic block_conv_window_out__in_valid;
    logic block_conv_window_out__in_ready;
    logic [7:0] block_conv_window_out__out_data;
    logic block_conv_window_out__out_valid;
    logic block_conv_window_out__out_ready;
    lepton_fifo #(
        .BITS(8),
        .DEPTH(6)
    ) u_block_conv_window_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(block_conv_window_out__in_data),
        .in_valid(block_conv_window_out__in_valid),
        .in_ready(block_conv_window_out__in_ready),
        .out_data(block_conv_window_out__out_data),
        .out_valid(block_conv_window_out__out_valid),
        .out_ready(block_conv_window_out__out_ready)
    );

    // 32 words a frame, 1 x ap_int<20> each
    logic [19:0] block_conv_out__in_data;
    logic block_conv_out__in_valid;
    logic block_conv_out__in_ready;
    logic [19:0] block_conv_out__out_data;
    logic block_conv_out__out_valid;
    logic block_conv_out__out_ready;
    lepton_fifo #(
        .BITS(20),
        .DEPTH(2)
    ) u_block_conv_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(block_conv_out__in_data),
        .in_valid(block_conv_out__in_valid),
        .in_ready(block_conv_out__in_ready),
        .out_data(block_conv_out__out_data),
        .out_valid(block_conv_out__out_valid),
        .out_ready(block_conv_out__out_ready)
    );

    // 32 words a frame, 1 x ap_uint<4> each
    logic [3:0] block_conv_q_out__in_data;
    logic block_conv_q_out__in_valid;
    logic block_conv_q_out__in_ready;
    logic [3:0] block_conv_q_out__out_data;
    logic block_conv_q_out__out_valid;
    logic block_conv_q_out__out_ready;
    lepton_fifo #(
        .BITS(4),
        .DEPTH(7)
    ) u_block_conv_q_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(block_conv_q_out__in_data),
        .in_valid(block_conv_q_out__in_valid),
        .in_ready(block_conv_q_out__in_ready),
        .out_data(block_conv_q_out__out_data),
        .out_valid(block_conv_q_out__out_valid),
        .out_ready(block_conv_q_out__out_ready)
    );

    // 32 words a frame, 1 x ap_uint<4> each
    logic [3:0] image_in0_reader_fork_b_x1__in_data;
    logic image_in0_reader_fork_b_x1__in_valid;
    logic image_in0_reader_fork_b_x1__in_ready;
    logic [3:0] image_in0_reader_fork_b_x1__out_data;
    logic image_in0_reader_fork_b_x1__out_valid;
    logic image_in0_reader_fork_b_x1__out_ready;
    lepton_fifo #(
        .BITS(4),
        .DEPTH(21)
    ) u_image_in0_reader_fork_b_x1_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(image_in0_reader_fork_b_x1__in_data),
        .in_valid(image_in0_reader_fork_b_x1__in_valid),
        .in_ready(image_in0_reader_fork_b_x1__in_ready),
        .out_data(image_in0_reader_fork_b_x1__out_data),
        .out_valid(image_in0_reader_fork_b_x1__out_valid),
        .out_ready(image_in0_reader_fork_b_x1__out_ready)
    );

    // 32 words a frame, 1 x ap_int<12> each
    logic [11:0] block_add_out__in_data;
    logic block_add_out__in_valid;
    logic block_add_out__in_ready;
    logic [11:0] block_add_out__out_data;
    logic block_add_out__out_valid;
    logic block_add_out__out_ready;
    lepton_fifo #(
        .BITS(12),
        .DEPTH(7)
    ) u_block_add_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(block_add_out__in_data),
        .in_valid(block_add_out__in_valid),
        .in_ready(block_add_out__in_ready),
        .out_data(block_add_out__out_data),
        .out_valid(block_add_out__out_valid),
        .out_ready(block_add_out__out_ready)
    );

    // 32 words a frame, 1 x ap_uint<4> each
    logic [3:0] block_add_q_out__in_data;
    logic block_add_q_out__in_valid;
    logic block_add_q_out__in_ready;
    logic [3:0] block_add_q_out__out_data;
    logic block_add_q_out__out_valid;
    logic block_add_q_out__out_ready;
    lepton_fifo #(
        .BITS(4),
        .DEPTH(7)
    ) u_block_add_q_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(block_add_q_out__in_data),
        .in_valid(block_add_q_out__in_valid),
        .in_ready(block_add_q_out__in_ready),
        .out_data(block_add_q_out__out_data),
        .out_valid(block_add_q_out__out_valid),
        .out_ready(block_add_q_out__out_ready)
    );

    // 72 words a frame, 1 x ap_uint<4> each
    logic [3:0] depthwise_pad_out__in_data;
    logic depthwise_pad_out__in_valid;
    logic depthwise_pad_out__in_ready;
    logic [3:0] depthwise_pad_out__out_data;
    logic depthwise_pad_out__out_valid;
    logic depthwise_pad_out__out_ready;
    lepton_fifo #(
        .BITS(4),
        .DEPTH(2)
    ) u_depthwise_pad_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(depthwise_pad_out__in_data),
        .in_valid(depthwise_pad_out__in_valid),
        .in_ready(depthwise_pad_out__in_ready),
        .out_data(depthwise_pad_out__out_data),
        .out_valid(depthwise_pad_out__out_valid),
        .out_ready(depthwise_pad_out__out_ready)
    );

    // 288 words a frame, 1 x ap_uint<4> each
    logic [3:0] depthwise_window_out__in_data;
    logic depthwise_window_out__in_valid;
    logic depthwise_window_out__in_ready;
    logic [3:0] depthwise_window_out__out_data;
    logic depthwise_window_out__out_valid;
    logic depthwise_window_out__out_ready;
    lepton_fifo #(
        .BITS(4),
        .DEPTH(6)
    ) u_depthwise_window_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(depthwise_window_out__in_data),
        .in_valid(depthwise_window_out__in_valid),
        .in_ready(depthwise_window_out__in_ready),
        .out_data(depthwise_window_out__out_data),
        .out_valid(depthwise_window_out__out_valid),
        .out_ready(depthwise_window_out__out_ready)
    );

    // 32 words a frame, 1 x ap_int<20> each
    logic [19:0] depthwise_out__in_data;
    logic depthwise_out__in_valid;
    logic depthwise_out__in_ready;
    logic [19:0] depthwise_out__out_data;
    logic depthwise_out__out_valid;
    logic depthwise_out__out_ready;
    lepton_fifo #(
        .BITS(20),
        .DEPTH(2)
    ) u_depthwise_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(depthwise_out__in_data),
        .in_valid(depthwise_out__in_valid),
        .in_ready(depthwise_out__in_ready),
        .out_data(depthwise_out__out_data),
        .out_valid(depthwise_out__out_valid),
        .out_ready(depthwise_out__out_ready)
    );

    // 32 words a frame, 1 x ap_uint<4> each
    logic [3:0] depthwise_q_out__in_data;
    logic depthwise_q_out__in_valid;
    logic depthwise_q_out__in_ready;
    logic [3:0] depthwise_q_out__out_data;
    logic depthwise_q_out__out_valid;
    logic depthwise_q_out__out_ready;
    lepton_fifo #(
        .BITS(4),
        .DEPTH(2)
    ) u_depthwise_q_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(depthwise_q_out__in_data),
        .in_valid(depthwise_q_out__in_valid),
        .in_ready(depthwise_q_out__in_ready),
        .out_data(depthwise_q_out__out_data),
        .out_valid(depthwise_q_out__out_valid),
        .out_ready(depthwise_q_out__out_ready)
    );

    // 16 words a frame, 2 x ap_uint<4> each
    logic [7:0] depthwise_q_out_x2__in_data;
    logic depthwise_q_out_x2__in_valid;
    logic depthwise_q_out_x2__in_ready;
    logic [7:0] depthwise_q_out_x2__out_data;
    logic depthwise_q_out_x2__out_valid;
    logic depthwise_q_out_x2__out_ready;
    lepton_fifo #(
        .BITS(8),
        .DEPTH(15)
    ) u_depthwise_q_out_x2_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(depthwise_q_out_x2__in_data),
        .in_valid(depthwise_q_out_x2__in_valid),
        .in_ready(depthwise_q_out_x2__in_ready),
        .out_data(depthwise_q_out_x2__out_data),
        .out_valid(depthwise_q_out_x2__out_valid),
        .out_ready(depthwise_q_out_x2__out_ready)
    );

    // 1 words a frame, 2 x ap_int<20> each
    logic [39:0] pool_out__in_data;
    logic pool_out__in_valid;
    logic pool_out__in_ready;
    logic [39:0] pool_out__out_data;
    logic pool_out__out_valid;
    logic pool_out__out_ready;
    lepton_fifo #(
        .BITS(40),
        .DEPTH(2)
    ) u_pool_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(pool_out__in_data),
        .in_valid(pool_out__in_valid),
        .in_ready(pool_out__in_ready),
        .out_data(pool_out__out_data),
        .out_valid(pool_out__out_valid),
        .out_ready(pool_out__out_ready)
    );

    // 1 words a frame, 2 x ap_uint<2> each
    logic [3:0] levels_out__in_data;
    logic levels_out__in_valid;
    logic levels_out__in_ready;
    logic [3:0] levels_out__out_data;
    logic levels_out__out_valid;
    logic levels_out__out_ready;
    lepton_fifo #(
        .BITS(4),
        .DEPTH(2)
    ) u_levels_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(levels_out__in_data),
        .in_valid(levels_out__in_valid),
        .in_ready(levels_out__in_ready),
        .out_data(levels_out__out_data),
        .out_valid(levels_out__out_valid),
        .out_ready(levels_out__out_ready)
    );

    // 1 words a frame, 2 x ap_int<8> each
    logic [15:0] lookup_out__in_data;
    logic lookup_out__in_valid;
    logic lookup_out__in_ready;
    logic [15:0] lookup_out__out_data;
    logic lookup_out__out_valid;
    logic lookup_out__out_ready;
    lepton_fifo #(
        .BITS(16),
        .DEPTH(2)
    ) u_lookup_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(lookup_out__in_data),
        .in_valid(lookup_out__in_valid),
        .in_ready(lookup_out__in_ready),
        .out_data(lookup_out__out_data),
        .out_valid(lookup_out__out_valid),
        .out_ready(lookup_out__out_ready)
    );

    // 3 words a frame, 1 x ap_int<20> each
    logic [19:0] fc_out__in_data;
    logic fc_out__in_valid;
    logic fc_out__in_ready;
    logic [19:0] fc_out__out_data;
    logic fc_out__out_valid;
    logic fc_out__out_ready;
    lepton_fifo #(
        .BITS(20),
        .DEPTH(3)
    ) u_fc_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(fc_out__in_data),
        .in_valid(fc_out__in_valid),
        .in_ready(fc_out__in_ready),
        .out_data(fc_out__out_data),
        .out_valid(fc_out__out_valid),
        .out_ready(fc_out__out_ready)
    );

    // 1 words a frame, 1 x ap_uint<2> each
    logic [1:0] best_out__in_data;
    logic best_out__in_valid;
    logic best_out__in_ready;
    logic [1:0] best_out__out_data;
    logic best_out__out_valid;
    logic best_out__out_ready;
    lepton_fifo #(
        .BITS(2),
        .DEPTH(2)
    ) u_best_out_fifo (
        .clk(clk),
        .rst(rst),
        .in_data(best_out__in_data),
        .in_valid(best_out__in_valid),
        .in_ready(best_out__in_ready),
        .out_data(best_out__out_data),
        .out_valid(best_out__out_valid),
        .out_ready(best_out__out_ready)
    );

    // -- actors -----------------------------------------------------------------------------

    // image_in0: 32 elements of 1 byte(s), 64-bit AXI-Stream; lanes 8; 4 cycles a frame
    lepton_axis_in #(
        .LANES(8),
        .X_BITS(4),
        .BYTES(1),
        .WORDS(4),
        .IS_GATED(1)
    ) u_image_in0_reader (
        .clk(clk),
        .rst(rst),
        .axis_tdata(image_in0_TDATA),
        .axis_tvalid(image_in0_TVALID),
        .axis_tready(image_in0_TREADY),
        .out_data(image_in0_reader_out__in_data),
        .out_valid(image_in0_reader_out__in_valid),
        .out_ready(image_in0_reader_out__in_ready),
        .start(start),
        .frames(frames)
    );

    // image_in0: two copies of 32 elements; lanes 8; 4 cycles a frame
    lepton_fork #(
        .BITS(32)
    ) u_image_in0_reader_fork (
        .clk(clk),
        .rst(rst),
        .in_data(image_in0_reader_out__out_data),
        .in_valid(image_in0_reader_out__out_valid),
        .in_ready(image_in0_reader_out__out_ready),
        .out0_data(image_in0_reader_fork_a__in_data),
        .out0_valid(image_in0_reader_fork_a__in_valid),
        .out0_ready(image_in0_reader_fork_a__in_ready),
        .out1_data(image_in0_reader_fork_b__in_data),
        .out1_valid(image_in0_reader_fork_b__in_valid),
        .out1_ready(image_in0_reader_fork_b__in_ready)
    );

    // side_in1: 2 elements of 1 byte(s), 16-bit AXI-Stream; lanes 2; 1 cycles a frame
    lepton_axis_in #(
        .LANES(2),
        .X_BITS(4),
        .BYTES(1),
        .WORDS(1),
        .IS_GATED(1)
    ) u_side_in1_reader (
        .clk(clk),
        .rst(rst),
        .axis_tdata(side_in1_TDATA),
        .axis_tvalid(side_in1_TVALID),
        .axis_tready(side_in1_TREADY),
        .out_data(side_in1_reader_out__in_data),
        .out_valid(side_in1_reader_out__in_valid),
        .out_ready(side_in1_reader_out__in_ready),
        .start(start),
        .frames(frames)
    );

    // block/conv: words of 8 elements to words of 2; from 8, to 2; 16 cycles a frame
    lepton_width #(
        .X_BITS(4),
        .IN_LANES(8),
        .OUT_LANES(2)
    ) u_block_conv_pad_width (
        .clk(clk),
        .rst(rst),
        .in_data(image_in0_reader_fork_a__out_data),
        .in_valid(image_in0_reader_fork_a__out_valid),
        .in_ready(image_in0_reader_fork_a__out_ready),
        .out_data(image_in0_reader_fork_a_x2__in_data),
        .out_valid(image_in0_reader_fork_a_x2__in_valid),
        .out_ready(image_in0_reader_fork_a_x2__in_ready)
    );

    // block/conv: border of 3 around 4x4x2; lanes 2; 36 cycles a frame
    lepton_pad #(
        .X_BITS(4),
        .LANES(2),
        .CHANNELS(2),
        .HEIGHT(4),
        .WIDTH(4),
        .TOP(1),
        .LEFT(1),
        .BOTTOM(1),
        .RIGHT(1),
        .VALUE(64'sd3),
        .IS_EAGER(0)
    ) u_block_conv_pad (
        .clk(clk),
        .rst(rst),
        .in_data(image_in0_reader_fork_a_x2__out_data),
        .in_valid(image_in0_reader_fork_a_x2__out_valid),
        .in_ready(image_in0_reader_fork_a_x2__out_ready),
        .out_data(block_conv_pad_out__in_data),
        .out_valid(block_conv_pad_out__in_valid),
        .out_ready(block_conv_pad_out__in_ready)
    );

    // block/conv: 3x3 windows of 6x6x2, strides 1x1: 4x4 windows; lanes 2, line_bram 0, taps 1; 144 cycles a frame
    lepton_window #(
        .X_BITS(4),
        .LANES(2),
        .CHANNELS(2),
        .HEIGHT(6),
        .WIDTH(6),
        .IS_CHANNELWISE(0),
        .SPARE(7),
        .RAM_STYLE("distributed"),
        .KERNEL_H(3),
        .KERNEL_W(3),
        .STRIDE_H(1),
        .STRIDE_W(1),
        .DILATION_H(1),
        .DILATION_W(1)
    ) u_block_conv_window (
        .clk(clk),
        .rst(rst),
        .in_data(block_conv_pad_out__out_data),
        .in_valid(block_conv_pad_out__out_valid),
        .in_ready(block_conv_pad_out__out_ready),
        .out_data(block_conv_window_out__in_data),
        .out_valid(block_conv_window_out__in_valid),
        .out_ready(block_conv_window_out__in_ready)
    );

    // block/conv: 16 products of 2x18 weights with a vector, 1 rows x 2 columns at once; pe 1, simd 2, dsp 0, bram 0; 288 cycles a frame
    lepton_mvu #(
        .ROWS(2),
        .COLS(18),
        .PE(1),
        .SIMD(2),
        .X_BITS(4),
        .X_SIGNED(0),
        .W_BITS(4),
        .OUT_BITS(20),
        .USE_DSP("no"),
        .ROM_STYLE("distributed"),
        .WEIGHTS_FILE("memory/block_conv_weights.mem"),
        .BIAS_FILE("memory/block_conv_bias.mem")
    ) u_block_conv (
        .clk(clk),
        .rst(rst),
        .in_data(block_conv_window_out__out_data),
        .in_valid(block_conv_window_out__out_valid),
        .in_ready(block_conv_window_out__out_ready),
        .out_data(block_conv_out__in_data),
        .out_valid(block_conv_out__in_valid),
        .out_ready(block_conv_out__in_ready)
    );

    // block/conv_q: 20-bit sums to codes 0..15 by multiplier and shift 5, 2 channels at 16 pixels; lanes 1; 32 cycles a frame
    lepton_requantize #(
        .X_BITS(20),
        .X_SIGNED(1),
        .OUT_BITS(4),
        .CHANNELS(1),
        .LANES(1),
        .M_BITS(3),
        .SUM_BITS(22),
        .SHIFT(5),
        .IS_HALF_EVEN(0),
        .IS_UNIT(0),
        .LOWEST(64'sd0),
        .HIGHEST(64'sd15),
        .MULTIPLIER_FILE("memory/block_conv_q_multiplier.mem"),
        .ADDEND_FILE("memory/block_conv_q_addend.mem")
    ) u_block_conv_q (
        .clk(clk),
        .rst(rst),
        .in_data(block_conv_out__out_data),
        .in_valid(block_conv_out__out_valid),
        .in_ready(block_conv_out__out_ready),
        .out_data(block_conv_q_out__in_data),
        .out_valid(block_conv_q_out__in_valid),
        .out_ready(block_conv_q_out__in_ready)
    );

    // block/add: words of 8 elements to words of 1; from 8, to 1; 32 cycles a frame
    lepton_width #(
        .X_BITS(4),
        .IN_LANES(8),
        .OUT_LANES(1)
    ) u_block_add_width (
        .clk(clk),
        .rst(rst),
        .in_data(image_in0_reader_fork_b__out_data),
        .in_valid(image_in0_reader_fork_b__out_valid),
        .in_ready(image_in0_reader_fork_b__out_ready),
        .out_data(image_in0_reader_fork_b_x1__in_data),
        .out_valid(image_in0_reader_fork_b_x1__in_valid),
        .out_ready(image_in0_reader_fork_b_x1__in_ready)
    );

    // block/add: 3 * a + -2 * b for 32 elements; lanes 1; 32 cycles a frame
    lepton_scaled_add #(
        .A_BITS(4),
        .A_SIGNED(0),
        .B_BITS(4),
        .B_SIGNED(0),
        .OUT_BITS(12),
        .LANES(1),
        .SCALE_BITS(3),
        .SCALE_A(64'sd3),
        .SCALE_B(-64'sd2),
        .OFFSET(-64'sd3)
    ) u_block_add (
        .clk(clk),
        .rst(rst),
        .a_data(block_conv_q_out__out_data),
        .a_valid(block_conv_q_out__out_valid),
        .a_ready(block_conv_q_out__out_ready),
        .b_data(image_in0_reader_fork_b_x1__out_data),
        .b_valid(image_in0_reader_fork_b_x1__out_valid),
        .b_ready(image_in0_reader_fork_b_x1__out_ready),
        .out_data(block_add_out__in_data),
        .out_valid(block_add_out__in_valid),
        .out_ready(block_add_out__in_ready)
    );

    // block/add_q: 12-bit sums to codes 0..15 by multiplier and shift 3, 2 channels at 16 pixels; lanes 1; 32 cycles a frame
    lepton_requantize #(
        .X_BITS(12),
        .X_SIGNED(1),
        .OUT_BITS(4),
        .CHANNELS(1),
        .LANES(1),
        .M_BITS(3),
        .SUM_BITS(14),
        .SHIFT(3),
        .IS_HALF_EVEN(0),
        .IS_UNIT(0),
        .LOWEST(64'sd0),
        .HIGHEST(64'sd15),
        .MULTIPLIER_FILE("memory/block_add_q_multiplier.mem"),
        .ADDEND_FILE("memory/block_add_q_addend.mem")
    ) u_block_add_q (
        .clk(clk),
        .rst(rst),
        .in_data(block_add_out__out_data),
        .in_valid(block_add_out__out_valid),
        .in_ready(block_add_out__out_ready),
        .out_data(block_add_q_out__in_data),
        .out_valid(block_add_q_out__in_valid),
        .out_ready(block_add_q_out__in_ready)
    );

    // depthwise: border of 3 around 4x4x2; lanes 1; 72 cycles a frame
    lepton_pad #(
        .X_BITS(4),
        .LANES(1),
        .CHANNELS(2),
        .HEIGHT(4),
        .WIDTH(4),
        .TOP(1),
        .LEFT(1),
        .BOTTOM(1),
        .RIGHT(1),
        .VALUE(64'sd3),
        .IS_EAGER(0)
    ) u_depthwise_pad (
        .clk(clk),
        .rst(rst),
        .in_data(block_add_q_out__out_data),
        .in_valid(block_add_q_out__out_valid),
        .in_ready(block_add_q_out__out_ready),
        .out_data(depthwise_pad_out__in_data),
        .out_valid(depthwise_pad_out__in_valid),
        .out_ready(depthwise_pad_out__in_ready)
    );

    // depthwise: 3x3 windows of 6x6x2, strides 1x1: 4x4 windows; lanes 1, line_bram 0; 288 cycles a frame
    lepton_window #(
        .X_BITS(4),
        .LANES(1),
        .CHANNELS(2),
        .HEIGHT(6),
        .WIDTH(6),
        .IS_CHANNELWISE(1),
        .SPARE(30),
        .RAM_STYLE("distributed"),
        .KERNEL_H(3),
        .KERNEL_W(3),
        .STRIDE_H(1),
        .STRIDE_W(1),
        .DILATION_H(1),
        .DILATION_W(1)
    ) u_depthwise_window (
        .clk(clk),
        .rst(rst),
        .in_data(depthwise_pad_out__out_data),
        .in_valid(depthwise_pad_out__out_valid),
        .in_ready(depthwise_pad_out__out_ready),
        .out_data(depthwise_window_out__in_data),
        .out_valid(depthwise_window_out__in_valid),
        .out_ready(depthwise_window_out__in_ready)
    );

    // depthwise: depthwise sums of 9 taps for 2 channels at 16 pixels, 1 channels at once; pe 1, dsp 0, bram 0; 288 cycles a frame
    lepton_depthwise #(
        .CHANNELS(2),
        .PE(1),
        .TAPS(9),
        .X_BITS(4),
        .X_SIGNED(0),
        .W_BITS(4),
        .OUT_BITS(20),
        .USE_DSP("no"),
        .ROM_STYLE("distributed"),
        .WEIGHTS_FILE("memory/depthwise_weights.mem"),
        .BIAS_FILE("memory/depthwise_bias.mem")
    ) u_depthwise (
        .clk(clk),
        .rst(rst),
        .in_data(depthwise_window_out__out_data),
        .in_valid(depthwise_window_out__out_valid),
        .in_ready(depthwise_window_out__out_ready),
        .out_data(depthwise_out__in_data),
        .out_valid(depthwise_out__in_valid),
        .out_ready(depthwise_out__in_ready)
    );

    // depthwise_q: 20-bit sums to codes 0..15 by multiplier and shift 5, 2 channels at 16 pixels; lanes 1; 32 cycles a frame
    lepton_requantize #(
        .X_BITS(20),
        .X_SIGNED(1),
        .OUT_BITS(4),
        .CHANNELS(1),
        .LANES(1),
        .M_BITS(3),
        .SUM_BITS(22),
        .SHIFT(5),
        .IS_HALF_EVEN(0),
        .IS_UNIT(0),
        .LOWEST(64'sd0),
        .HIGHEST(64'sd15),
        .MULTIPLIER_FILE("memory/depthwise_q_multiplier.mem"),
        .ADDEND_FILE("memory/depthwise_q_addend.mem")
    ) u_depthwise_q (
        .clk(clk),
        .rst(rst),
        .in_data(depthwise_out__out_data),
        .in_valid(depthwise_out__out_valid),
        .in_ready(depthwise_out__out_ready),
        .out_data(depthwise_q_out__in_data),
        .out_valid(depthwise_q_out__in_valid),
        .out_ready(depthwise_q_out__in_ready)
    );

    // pool: words of 1 elements to words of 2; from 1, to 2; 32 cycles a frame
    lepton_width #(
        .X_BITS(4),
        .IN_LANES(1),
        .OUT_LANES(2)
    ) u_pool_width (
        .clk(clk),
        .rst(rst),
        .in_data(depthwise_q_out__out_data),
        .in_valid(depthwise_q_out__out_valid),
        .in_ready(depthwise_q_out__out_ready),
        .out_data(depthwise_q_out_x2__in_data),
        .out_valid(depthwise_q_out_x2__in_valid),
        .out_ready(depthwise_q_out_x2__in_ready)
    );

    // pool: sum of 16 taps for 2 channels at 1 pixels; pe 2; 16 cycles a frame
    lepton_global_pool #(
        .X_BITS(4),
        .X_SIGNED(0),
        .OUT_BITS(20),
        .PE(2),
        .IS_MAX(0),
        .OFFSET(-64'sd48),
        .CHANNELS(2),
        .PIXELS(16)
    ) u_pool (
        .clk(clk),
        .rst(rst),
        .in_data(depthwise_q_out_x2__out_data),
        .in_valid(depthwise_q_out_x2__out_valid),
        .in_ready(depthwise_q_out_x2__out_ready),
        .out_data(pool_out__in_data),
        .out_valid(pool_out__in_valid),
        .out_ready(pool_out__in_ready)
    );

    // levels: 3 thresholds, 2 channels at 1 pixels; lanes 2; 1 cycles a frame
    lepton_threshold #(
        .X_BITS(20),
        .X_SIGNED(1),
        .OUT_BITS(2),
        .CHANNELS(2),
        .LANES(2),
        .LEVELS(3),
        .LOWEST(64'sd0),
        .ROM_FILE("memory/levels_thresholds.mem")
    ) u_levels (
        .clk(clk),
        .rst(rst),
        .in_data(pool_out__out_data),
        .in_valid(pool_out__out_valid),
        .in_ready(pool_out__out_ready),
        .out_data(levels_out__in_data),
        .out_valid(levels_out__in_valid),
        .out_ready(levels_out__in_ready)
    );

    // lookup: table of 4 codes, 2 channels at 1 pixels; lanes 2; 1 cycles a frame
    lepton_lookup #(
        .X_BITS(2),
        .X_SIGNED(0),
        .OUT_BITS(8),
        .CHANNELS(2),
        .LANES(2),
        .ENTRIES(4),
        .FIRST(64'sd0),
        .ROM_FILE("memory/lookup_table.mem")
    ) u_lookup (
        .clk(clk),
        .rst(rst),
        .in_data(levels_out__out_data),
        .in_valid(levels_out__out_valid),
        .in_ready(levels_out__out_ready),
        .out_data(lookup_out__in_data),
        .out_valid(lookup_out__in_valid),
        .out_ready(lookup_out__in_ready)
    );

    // fc: 1 products of 3x2 weights with a vector, 1 rows x 2 columns at once; pe 1, simd 2, dsp 0, bram 0; 3 cycles a frame
    lepton_mvu #(
        .ROWS(3),
        .COLS(2),
        .PE(1),
        .SIMD(2),
        .X_BITS(4),
        .X_SIGNED(0),
        .W_BITS(4),
        .OUT_BITS(20),
        .USE_DSP("no"),
        .ROM_STYLE("distributed"),
        .WEIGHTS_FILE("memory/fc_weights.mem"),
        .BIAS_FILE("memory/fc_bias.mem")
    ) u_fc (
        .clk(clk),
        .rst(rst),
        .in_data(side_in1_reader_out__out_data),
        .in_valid(side_in1_reader_out__out_valid),
        .in_ready(side_in1_reader_out__out_ready),
        .out_data(fc_out__in_data),
        .out_valid(fc_out__in_valid),
        .out_ready(fc_out__in_ready)
    );

    // best: index of the largest of 3 channels at 1 pixels; lanes 1; 3 cycles a frame
    lepton_argmax #(
        .X_BITS(20),
        .X_SIGNED(1),
        .OUT_BITS(2),
        .CHANNELS(3),
        .LANES(1)
    ) u_best (
        .clk(clk),
        .rst(rst),
        .in_data(fc_out__out_data),
        .in_valid(fc_out__out_valid),
        .in_ready(fc_out__out_ready),
        .out_data(best_out__in_data),
        .out_valid(best_out__in_valid),
        .out_ready(best_out__in_ready)
    );

    // lookup_out0: 2 elements of 1 byte(s), 16-bit AXI-Stream; lanes 2; 1 cycles a frame
    lepton_axis_out #(
        .LANES(2),
        .X_BITS(8),
        .BYTES(1),
        .WORDS(1),
        .X_SIGNED(1)
    ) u_lookup_out0_writer (
        .clk(clk),
        .rst(rst),
        .in_data(lookup_out__out_data),
        .in_valid(lookup_out__out_valid),
        .in_ready(lookup_out__out_ready),
        .axis_tdata(lookup_out0_TDATA),
        .axis_tvalid(lookup_out0_TVALID),
        .axis_tready(lookup_out0_TREADY),
        .axis_tkeep(lookup_out0_TKEEP),
        .axis_tlast(lookup_out0_TLAST),
        .frame_done(frame_done[0])
    );

    // best_out1: 1 elements of 1 byte(s), 8-bit AXI-Stream; lanes 1; 1 cycles a frame
    lepton_axis_out #(
        .LANES(1),
        .X_BITS(2),
        .BYTES(1),
        .WORDS(1),
        .X_SIGNED(0)
    ) u_best_out1_writer (
        .clk(clk),
        .rst(rst),
        .in_data(best_out__out_data),
        .in_valid(best_out__out_valid),
        .in_ready(best_out__out_ready),
        .axis_tdata(best_out1_TDATA),
        .axis_tvalid(best_out1_TVALID),
        .axis_tready(best_out1_TREADY),
        .axis_tkeep(best_out1_TKEEP),
        .axis_tlast(best_out1_TLAST),
        .frame_done(frame_done[1])
    );
endmodule
