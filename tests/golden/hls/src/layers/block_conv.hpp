// Layer: block/conv
// 16 products of 2x18 weights with a vector, 1 rows x 2 columns at once.
// pe 1, simd 2, dsp 0, bram 0; 288 cycles a frame
#pragma once

#include "lepton/mvu.hpp"

namespace layers {
namespace block_conv {

// 2 rows of 18 weights, as PE x SIMD tiles: 18 words of 8 bits.
static const lepton::Tile<ap_int<4>, 1, 2> weights[18] = {
    {{{5, 2}}},
    {{{0, -4}}},
    {{{-4, -8}}},
    {{{-7, -8}}},
    {{{-6, 5}}},
    {{{2, 6}}},
    {{{0, 1}}},
    {{{7, 3}}},
    {{{2, 0}}},
    {{{0, 6}}},
    {{{-4, 5}}},
    {{{2, -8}}},
    {{{-2, 5}}},
    {{{0, -8}}},
    {{{4, 3}}},
    {{{5, -6}}},
    {{{-7, 5}}},
    {{{-8, 0}}},
};

// start of 2 sums: 2 words of 20 bits.
static const lepton::Vec<ap_int<20>, 1> bias[2] = {
    {{12}},
    {{24}},
};

inline void run(hls::stream<lepton::Vec<ap_uint<4>, 2>>& in,
                hls::stream<lepton::Vec<ap_int<20>, 1>>& out, unsigned frames) {
#pragma HLS bind_storage variable=weights type=rom_1p impl=lutram
    lepton::matrix_vector<ap_uint<4>, ap_int<4>, ap_int<20>, 2, 18, 1, 2, 16, false>(
        in, out, weights, bias, frames);
}

}  // namespace block_conv
}  // namespace layers
