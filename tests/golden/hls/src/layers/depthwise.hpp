// Layer: depthwise
// depthwise sums of 9 taps for 2 channels at 16 pixels, 1 channels at once.
// pe 1, dsp 0, bram 0; 288 cycles a frame
#pragma once

#include "lepton/depthwise.hpp"

namespace layers {
namespace depthwise {

// 2 channels of 9 taps: 18 words of 4 bits.
static const lepton::Vec<ap_int<4>, 1> weights[18] = {
    {{-7}},
    {{-4}},
    {{-1}},
    {{-2}},
    {{-2}},
    {{-8}},
    {{-8}},
    {{-7}},
    {{-8}},
    {{2}},
    {{0}},
    {{2}},
    {{-4}},
    {{1}},
    {{4}},
    {{-2}},
    {{-1}},
    {{7}},
};

// start of 2 sums: 2 words of 20 bits.
static const lepton::Vec<ap_int<20>, 1> bias[2] = {
    {{141}},
    {{-27}},
};

inline void run(hls::stream<lepton::Vec<ap_uint<4>, 1>>& in,
                hls::stream<lepton::Vec<ap_int<20>, 1>>& out, unsigned frames) {
#pragma HLS bind_storage variable=weights type=rom_1p impl=lutram
    lepton::depthwise<ap_uint<4>, ap_int<4>, ap_int<20>, 2, 1, 9, 16, false>(
        in, out, weights, bias, frames);
}

}  // namespace depthwise
}  // namespace layers
