// Concatenation of two streams, block by block.
#pragma once

#include "vec.hpp"

namespace lepton {

/// BLOCKS times a frame: WORDS_A words of `a`, then WORDS_B words of `b`.
///
/// Channels: one block a pixel. Rows: one block a frame. Cycles a frame: BLOCKS * (WORDS_A + WORDS_B).
template <typename T, unsigned LANES, unsigned BLOCKS, unsigned WORDS_A, unsigned WORDS_B>
void concat(hls::stream<Vec<T, LANES>>& a, hls::stream<Vec<T, LANES>>& b, hls::stream<Vec<T, LANES>>& out,
            unsigned frames) {
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned block = 0; block < BLOCKS; ++block) {
            for (unsigned i = 0; i < WORDS_A + WORDS_B; ++i) {
#pragma HLS pipeline II=1
                Vec<T, LANES> word;
                if (i < WORDS_A) {
                    word = a.read();
                } else {
                    word = b.read();
                }
                out.write(word);
            }
        }
    }
}

}  // namespace lepton
