// tiny: a streaming accelerator
// for PYNQ-Z2 at 100 MHz.
//
// Every layer is an actor of its own; all work at the same time on what streams through them.
// Planned: 288 cycles a frame, set by block_conv.
#include "tiny.hpp"

#include "lepton/argmax.hpp"
#include "lepton/elementwise.hpp"
#include "lepton/fork.hpp"
#include "lepton/pad.hpp"
#include "lepton/pool.hpp"
#include "lepton/stream_io.hpp"
#include "lepton/width.hpp"
#include "lepton/window.hpp"
#include "layers/block_conv.hpp"
#include "layers/block_conv_q.hpp"
#include "layers/block_add_q.hpp"
#include "layers/depthwise.hpp"
#include "layers/depthwise_q.hpp"
#include "layers/levels.hpp"
#include "layers/lookup.hpp"
#include "layers/fc.hpp"

static void accelerator(hls::stream<ap_axiu<64, 0, 0, 0>>& image_in0,
                        hls::stream<ap_axiu<16, 0, 0, 0>>& side_in1,
                        hls::stream<ap_axiu<16, 0, 0, 0>>& lookup_out0,
                        hls::stream<ap_axiu<8, 0, 0, 0>>& best_out1, unsigned frames) {
#pragma HLS dataflow
    hls::stream<lepton::Vec<ap_uint<4>, 8>> image_in0_reader_out("image_in0_reader_out");  // 4 words a frame
#pragma HLS stream variable=image_in0_reader_out depth=2
#pragma HLS aggregate variable=image_in0_reader_out compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 8>> image_in0_reader_fork_a("image_in0_reader_fork_a");  // 4 words a frame
#pragma HLS stream variable=image_in0_reader_fork_a depth=2
#pragma HLS aggregate variable=image_in0_reader_fork_a compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 8>> image_in0_reader_fork_b("image_in0_reader_fork_b");  // 4 words a frame
#pragma HLS stream variable=image_in0_reader_fork_b depth=2
#pragma HLS aggregate variable=image_in0_reader_fork_b compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 2>> side_in1_reader_out("side_in1_reader_out");  // 1 words a frame
#pragma HLS stream variable=side_in1_reader_out depth=2
#pragma HLS aggregate variable=side_in1_reader_out compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 2>> image_in0_reader_fork_a_x2("image_in0_reader_fork_a_x2");  // 16 words a frame
#pragma HLS stream variable=image_in0_reader_fork_a_x2 depth=4
#pragma HLS aggregate variable=image_in0_reader_fork_a_x2 compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 2>> block_conv_pad_out("block_conv_pad_out");  // 36 words a frame
#pragma HLS stream variable=block_conv_pad_out depth=2
#pragma HLS aggregate variable=block_conv_pad_out compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 2>> block_conv_window_out("block_conv_window_out");  // 144 words a frame
#pragma HLS stream variable=block_conv_window_out depth=6
#pragma HLS aggregate variable=block_conv_window_out compact=bit
    hls::stream<lepton::Vec<ap_int<20>, 1>> block_conv_out("block_conv_out");  // 32 words a frame
#pragma HLS stream variable=block_conv_out depth=2
#pragma HLS aggregate variable=block_conv_out compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 1>> block_conv_q_out("block_conv_q_out");  // 32 words a frame
#pragma HLS stream variable=block_conv_q_out depth=24
#pragma HLS aggregate variable=block_conv_q_out compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 1>> image_in0_reader_fork_b_x1("image_in0_reader_fork_b_x1");  // 32 words a frame
#pragma HLS stream variable=image_in0_reader_fork_b_x1 depth=40
#pragma HLS aggregate variable=image_in0_reader_fork_b_x1 compact=bit
    hls::stream<lepton::Vec<ap_int<12>, 1>> block_add_out("block_add_out");  // 32 words a frame
#pragma HLS stream variable=block_add_out depth=7
#pragma HLS aggregate variable=block_add_out compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 1>> block_add_q_out("block_add_q_out");  // 32 words a frame
#pragma HLS stream variable=block_add_q_out depth=7
#pragma HLS aggregate variable=block_add_q_out compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 1>> depthwise_pad_out("depthwise_pad_out");  // 72 words a frame
#pragma HLS stream variable=depthwise_pad_out depth=2
#pragma HLS aggregate variable=depthwise_pad_out compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 1>> depthwise_window_out("depthwise_window_out");  // 288 words a frame
#pragma HLS stream variable=depthwise_window_out depth=6
#pragma HLS aggregate variable=depthwise_window_out compact=bit
    hls::stream<lepton::Vec<ap_int<20>, 1>> depthwise_out("depthwise_out");  // 32 words a frame
#pragma HLS stream variable=depthwise_out depth=2
#pragma HLS aggregate variable=depthwise_out compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 1>> depthwise_q_out("depthwise_q_out");  // 32 words a frame
#pragma HLS stream variable=depthwise_q_out depth=2
#pragma HLS aggregate variable=depthwise_q_out compact=bit
    hls::stream<lepton::Vec<ap_uint<4>, 2>> depthwise_q_out_x2("depthwise_q_out_x2");  // 16 words a frame
#pragma HLS stream variable=depthwise_q_out_x2 depth=15
#pragma HLS aggregate variable=depthwise_q_out_x2 compact=bit
    hls::stream<lepton::Vec<ap_int<20>, 2>> pool_out("pool_out");  // 1 words a frame
#pragma HLS stream variable=pool_out depth=2
#pragma HLS aggregate variable=pool_out compact=bit
    hls::stream<lepton::Vec<ap_uint<2>, 2>> levels_out("levels_out");  // 1 words a frame
#pragma HLS stream variable=levels_out depth=2
#pragma HLS aggregate variable=levels_out compact=bit
    hls::stream<lepton::Vec<ap_int<8>, 2>> lookup_out("lookup_out");  // 1 words a frame
#pragma HLS stream variable=lookup_out depth=2
#pragma HLS aggregate variable=lookup_out compact=bit
    hls::stream<lepton::Vec<ap_int<20>, 1>> fc_out("fc_out");  // 3 words a frame
#pragma HLS stream variable=fc_out depth=3
#pragma HLS aggregate variable=fc_out compact=bit
    hls::stream<lepton::Vec<ap_uint<2>, 1>> best_out("best_out");  // 1 words a frame
#pragma HLS stream variable=best_out depth=2
#pragma HLS aggregate variable=best_out compact=bit

    // image_in0: 32 elements of 1 byte(s), 64-bit AXI-Stream; lanes 8; 4 cycles a frame
    lepton::axis_to_stream<ap_uint<4>, 8, 1, 64, 4>(image_in0, image_in0_reader_out, frames);
    // image_in0: two copies of 32 elements; lanes 8; 4 cycles a frame
    lepton::fork<ap_uint<4>, 8, 4>(image_in0_reader_out, image_in0_reader_fork_a, image_in0_reader_fork_b, frames);
    // side_in1: 2 elements of 1 byte(s), 16-bit AXI-Stream; lanes 2; 1 cycles a frame
    lepton::axis_to_stream<ap_uint<4>, 2, 1, 16, 1>(side_in1, side_in1_reader_out, frames);
    // block/conv: words of 8 elements to words of 2; from 8, to 2; 16 cycles a frame
    lepton::convert_width<ap_uint<4>, 8, 2, 32>(image_in0_reader_fork_a, image_in0_reader_fork_a_x2, frames);
    // block/conv: border of 3 around 4x4x2; lanes 2; 36 cycles a frame
    lepton::pad<ap_uint<4>, 2, 2, 4, 4, 1, 1, 1, 1>(image_in0_reader_fork_a_x2, block_conv_pad_out, 3, frames);
    // block/conv: 3x3 windows of 6x6x2, strides 1x1: 4x4 windows; lanes 2, line_bram 0, taps 1; 144 cycles a frame
    lepton::sliding_window<ap_uint<4>, 2, 2, 6, 6, 3, 3, 1, 1, 1, 1, lepton::Storage::distributed>(block_conv_pad_out, block_conv_window_out, frames);
    // block/conv: 16 products of 2x18 weights with a vector, 1 rows x 2 columns at once; pe 1, simd 2, dsp 0, bram 0; 288 cycles a frame
    layers::block_conv::run(block_conv_window_out, block_conv_out, frames);
    // block/conv_q: 20-bit sums to codes 0..15 by multiplier and shift 5, 2 channels at 16 pixels; lanes 1; 32 cycles a frame
    layers::block_conv_q::run(block_conv_out, block_conv_q_out, frames);
    // block/add: words of 8 elements to words of 1; from 8, to 1; 32 cycles a frame
    lepton::convert_width<ap_uint<4>, 8, 1, 32>(image_in0_reader_fork_b, image_in0_reader_fork_b_x1, frames);
    // block/add: 3 * a + -2 * b for 32 elements; lanes 1; 32 cycles a frame
    lepton::scaled_add<ap_uint<4>, ap_uint<4>, ap_int<12>, 1, 32>(block_conv_q_out, image_in0_reader_fork_b_x1, block_add_out, 3, -2, -3, frames);
    // block/add_q: 12-bit sums to codes 0..15 by multiplier and shift 3, 2 channels at 16 pixels; lanes 1; 32 cycles a frame
    layers::block_add_q::run(block_add_out, block_add_q_out, frames);
    // depthwise: border of 3 around 4x4x2; lanes 1; 72 cycles a frame
    lepton::pad<ap_uint<4>, 1, 2, 4, 4, 1, 1, 1, 1>(block_add_q_out, depthwise_pad_out, 3, frames);
    // depthwise: 3x3 windows of 6x6x2, strides 1x1: 4x4 windows; lanes 1, line_bram 0; 288 cycles a frame
    lepton::sliding_window_channelwise<ap_uint<4>, 1, 2, 6, 6, 3, 3, 1, 1, 1, 1, lepton::Storage::distributed>(depthwise_pad_out, depthwise_window_out, frames);
    // depthwise: depthwise sums of 9 taps for 2 channels at 16 pixels, 1 channels at once; pe 1, dsp 0, bram 0; 288 cycles a frame
    layers::depthwise::run(depthwise_window_out, depthwise_out, frames);
    // depthwise_q: 20-bit sums to codes 0..15 by multiplier and shift 5, 2 channels at 16 pixels; lanes 1; 32 cycles a frame
    layers::depthwise_q::run(depthwise_out, depthwise_q_out, frames);
    // pool: words of 1 elements to words of 2; from 1, to 2; 32 cycles a frame
    lepton::convert_width<ap_uint<4>, 1, 2, 32>(depthwise_q_out, depthwise_q_out_x2, frames);
    // pool: sum of 16 taps for 2 channels at 1 pixels; pe 2; 16 cycles a frame
    lepton::global_sum<ap_uint<4>, ap_int<20>, 2, 2, 16>(depthwise_q_out_x2, pool_out, -48, frames);
    // levels: 3 thresholds, 2 channels at 1 pixels; lanes 2; 1 cycles a frame
    layers::levels::run(pool_out, levels_out, frames);
    // lookup: table of 4 codes, 2 channels at 1 pixels; lanes 2; 1 cycles a frame
    layers::lookup::run(levels_out, lookup_out, frames);
    // fc: 1 products of 3x2 weights with a vector, 1 rows x 2 columns at once; pe 1, simd 2, dsp 0, bram 0; 3 cycles a frame
    layers::fc::run(side_in1_reader_out, fc_out, frames);
    // best: index of the largest of 3 channels at 1 pixels; lanes 1; 3 cycles a frame
    lepton::argmax<ap_int<20>, ap_uint<2>, 3, 1, 1>(fc_out, best_out, frames);
    // lookup_out0: 2 elements of 1 byte(s), 16-bit AXI-Stream; lanes 2; 1 cycles a frame
    lepton::stream_to_axis<ap_int<8>, 2, 1, 16, 1>(lookup_out, lookup_out0, frames);
    // best_out1: 1 elements of 1 byte(s), 8-bit AXI-Stream; lanes 1; 1 cycles a frame
    lepton::stream_to_axis<ap_uint<2>, 1, 1, 8, 1>(best_out, best_out1, frames);
}

void tiny(hls::stream<ap_axiu<64, 0, 0, 0>>& image_in0, hls::stream<ap_axiu<16, 0, 0, 0>>& side_in1,
        hls::stream<ap_axiu<16, 0, 0, 0>>& lookup_out0, hls::stream<ap_axiu<8, 0, 0, 0>>& best_out1,
        unsigned frames, unsigned& design_id) {
#pragma HLS interface axis port=image_in0
#pragma HLS interface axis port=side_in1
#pragma HLS interface axis port=lookup_out0
#pragma HLS interface axis port=best_out1
#pragma HLS interface s_axilite port=frames
#pragma HLS interface s_axilite port=design_id
#pragma HLS interface s_axilite port=return
    design_id = 0x1eafc0deu;
    accelerator(image_in0, side_in1, lookup_out0, best_out1, frames);
}
