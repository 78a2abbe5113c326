// The accelerator's top function.
//
// AXI-Stream ports (channels last, row-major, little endian):
//   image_in0: 32 elements a frame, ap_uint<4> in 1 byte(s) each, 8 a word
//   side_in1: 2 elements a frame, ap_uint<4> in 1 byte(s) each, 2 a word
//   lookup_out0: 2 elements a frame, ap_int<8> in 1 byte(s) each, 2 a word
//   best_out1: 1 elements a frame, ap_uint<2> in 1 byte(s) each, 1 a word
// AXI-Lite registers: control, frames (frames to process at one start), design_id (read only).
#ifndef TINY_HPP
#define TINY_HPP

#include <ap_axi_sdata.h>
#include <ap_int.h>
#include <hls_stream.h>

void tiny(hls::stream<ap_axiu<64, 0, 0, 0>>& image_in0, hls::stream<ap_axiu<16, 0, 0, 0>>& side_in1,
        hls::stream<ap_axiu<16, 0, 0, 0>>& lookup_out0, hls::stream<ap_axiu<8, 0, 0, 0>>& best_out1,
        unsigned frames, unsigned& design_id);

#endif  // TINY_HPP
