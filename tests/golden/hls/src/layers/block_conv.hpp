// Layer: block/conv
// 16 products of 2x18 weights with a vector, 2 rows x 1 columns at once.
// pe 2, simd 1, dsp 1; 288 cycles a frame
#pragma once

#include "lepton/mvu.hpp"

namespace layers {
namespace block_conv {

// 2 rows of 18 weights, as PE x SIMD tiles: 18 words of 8 bits.
static const lepton::Tile<ap_int<4>, 2, 1> weights[18] = {
    {{{5}, {0}}},
    {{{2}, {6}}},
    {{{0}, {-4}}},
    {{{-4}, {5}}},
    {{{-4}, {2}}},
    {{{-8}, {-8}}},
    {{{-7}, {-2}}},
    {{{-8}, {5}}},
    {{{-6}, {0}}},
    {{{5}, {-8}}},
    {{{2}, {4}}},
    {{{6}, {3}}},
    {{{0}, {5}}},
    {{{1}, {-6}}},
    {{{7}, {-7}}},
    {{{3}, {5}}},
    {{{2}, {-8}}},
    {{{0}, {0}}},
};

// start of 2 sums: 1 words of 40 bits.
static const lepton::Vec<ap_int<20>, 2> bias[1] = {
    {{12, 24}},
};

inline void run(hls::stream<lepton::Vec<ap_uint<4>, 1>>& in,
                hls::stream<lepton::Vec<ap_int<20>, 2>>& out, unsigned frames) {
    lepton::matrix_vector<ap_uint<4>, ap_int<4>, ap_int<20>, 2, 18, 2, 1, 16, true>(
        in, out, weights, bias, frames);
}

}  // namespace block_conv
}  // namespace layers
