// Slice: keeps a range of words of every block.
#pragma once

#include "vec.hpp"

namespace lepton {

/// Of each block of BLOCK_WORDS words, passes words BEGIN to END-1 on and drops the others.
///
/// In: BLOCKS * BLOCK_WORDS words a frame. Out: BLOCKS * (END - BEGIN).
/// Cycles a frame: BLOCKS * BLOCK_WORDS.
template <typename T, unsigned LANES, unsigned BLOCKS, unsigned BLOCK_WORDS, unsigned BEGIN, unsigned END>
void slice(hls::stream<Vec<T, LANES>>& in, hls::stream<Vec<T, LANES>>& out, unsigned frames) {
    static_assert(BEGIN < END && END <= BLOCK_WORDS, "the kept range lies inside the block");
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned block = 0; block < BLOCKS; ++block) {
            for (unsigned i = 0; i < BLOCK_WORDS; ++i) {
#pragma HLS pipeline II=1
                const Vec<T, LANES> word = in.read();
                // i - BEGIN is huge before BEGIN: one comparison for both ends.
                if (i - BEGIN < END - BEGIN) out.write(word);
            }
        }
    }
}

}  // namespace lepton
