// Layer: fc
// 1 products of 3x2 weights with a vector, 1 rows x 2 columns at once.
// pe 1, simd 2, dsp 0, bram 0; 3 cycles a frame
#pragma once

#include "lepton/mvu.hpp"

namespace layers {
namespace fc {

// 3 rows of 2 weights, as PE x SIMD tiles: 3 words of 8 bits.
static const lepton::Tile<ap_int<4>, 1, 2> weights[3] = {
    {{{4, 7}}},
    {{{-2, 2}}},
    {{{7, 2}}},
};

// start of 3 sums: 3 words of 20 bits.
static const lepton::Vec<ap_int<20>, 1> bias[3] = {
    {{-33}},
    {{0}},
    {{-27}},
};

inline void run(hls::stream<lepton::Vec<ap_uint<4>, 2>>& in,
                hls::stream<lepton::Vec<ap_int<20>, 1>>& out, unsigned frames) {
#pragma HLS bind_storage variable=weights type=rom_1p impl=lutram
    lepton::matrix_vector<ap_uint<4>, ap_int<4>, ap_int<20>, 3, 2, 1, 2, 1, false>(
        in, out, weights, bias, frames);
}

}  // namespace fc
}  // namespace layers
