// Layer: levels
// 3 thresholds, 2 channels at 1 pixels.
// lanes 1; 2 cycles a frame
#pragma once

#include "lepton/threshold.hpp"

namespace layers {
namespace levels {

// 3 ascending thresholds for each channel: 6 words of 20 bits.
static const lepton::Vec<ap_int<20>, 1> thresholds[6] = {
    {{-2}},
    {{5}},
    {{12}},
    {{19}},
    {{26}},
    {{33}},
};

inline void run(hls::stream<lepton::Vec<ap_int<20>, 1>>& in,
                hls::stream<lepton::Vec<ap_uint<2>, 1>>& out, unsigned frames) {
#pragma HLS array_partition variable=thresholds type=cyclic factor=3
    lepton::threshold<ap_int<20>, ap_uint<2>, 3, 2, 1, 2>(
        in, out, thresholds, 0, frames);
}

}  // namespace levels
}  // namespace layers
