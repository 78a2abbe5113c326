// Layer: block/conv_q
// 20-bit sums to codes 0..15 by multiplier and shift 5, 2 channels at 16 pixels.
// lanes 1; 32 cycles a frame
#pragma once

#include "lepton/requantize.hpp"

namespace layers {
namespace block_conv_q {

// codes per unit, times 2^shift: 1 words of 3 bits.
static const lepton::Vec<ap_int<3>, 1> multiplier[1] = {
    {{3}},
};

// zero point and rounding half: 1 words of 22 bits.
static const lepton::Vec<ap_int<22>, 1> addend[1] = {
    {{224}},
};

inline void run(hls::stream<lepton::Vec<ap_int<20>, 1>>& in,
                hls::stream<lepton::Vec<ap_uint<4>, 1>>& out, unsigned frames) {
    lepton::requantize<ap_int<20>, ap_int<3>, ap_int<22>, ap_uint<4>, 5, 1, 1, 32>(
        in, out, multiplier, addend, 0, 15, frames);
}

}  // namespace block_conv_q
}  // namespace layers
