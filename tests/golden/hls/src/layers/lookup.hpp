// Layer: lookup
// table of 4 codes, 2 channels at 1 pixels.
// lanes 2; 1 cycles a frame
#pragma once

#include "lepton/lookup.hpp"

namespace layers {
namespace lookup {

// 4 entries for each channel: 4 words of 16 bits.
static const lepton::Vec<ap_int<8>, 2> table[4] = {
    {{0, 0}},
    {{5, 5}},
    {{10, 10}},
    {{15, 15}},
};

inline void run(hls::stream<lepton::Vec<ap_uint<2>, 2>>& in,
                hls::stream<lepton::Vec<ap_int<8>, 2>>& out, unsigned frames) {
#pragma HLS bind_storage variable=table type=rom_np
    lepton::lookup<ap_uint<2>, ap_int<8>, 4, 2, 2, 1>(
        in, out, table, 0, frames);
}

}  // namespace lookup
}  // namespace layers
