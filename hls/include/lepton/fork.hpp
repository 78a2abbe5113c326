// Fork: one stream to two consumers.
#pragma once

#include "vec.hpp"

namespace lepton {

/// Copies every word of `in` to both outputs.
///
/// In, out: WORDS words a frame. Cycles a frame: WORDS.
template <typename T, unsigned LANES, unsigned WORDS>
void fork(hls::stream<Vec<T, LANES>>& in, hls::stream<Vec<T, LANES>>& out0, hls::stream<Vec<T, LANES>>& out1,
          unsigned frames) {
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned i = 0; i < WORDS; ++i) {
#pragma HLS pipeline II=1
            const Vec<T, LANES> word = in.read();
            out0.write(word);
            out1.write(word);
        }
    }
}

}  // namespace lepton
