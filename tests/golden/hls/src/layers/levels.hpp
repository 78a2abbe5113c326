// Layer: levels
// 3 thresholds, 2 channels at 1 pixels.
// lanes 2; 1 cycles a frame
#pragma once

#include "lepton/threshold.hpp"

namespace layers {
namespace levels {

// 3 ascending thresholds for each channel: 3 words of 40 bits.
static const lepton::Vec<ap_int<20>, 2> thresholds[3] = {
    {{-2, 19}},
    {{5, 26}},
    {{12, 33}},
};

inline void run(hls::stream<lepton::Vec<ap_int<20>, 2>>& in,
                hls::stream<lepton::Vec<ap_uint<2>, 2>>& out, unsigned frames) {
#pragma HLS array_partition variable=thresholds type=cyclic factor=3
    lepton::threshold<ap_int<20>, ap_uint<2>, 3, 2, 2, 1>(
        in, out, thresholds, 0, frames);
}

}  // namespace levels
}  // namespace layers
