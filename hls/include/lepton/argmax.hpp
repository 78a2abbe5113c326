// Index of the largest channel.
#pragma once

#include "vec.hpp"

namespace lepton {

/// For each pixel, the index of the largest of its C channels; of equal ones the first.
///
/// In: PIXELS pixels of C/LANES words. Out: one word of one lane a pixel.
/// Cycles a frame: PIXELS * (C/LANES). TO (unsigned) must hold C - 1.
template <typename T, typename TO, unsigned C, unsigned LANES, unsigned PIXELS>
void argmax(hls::stream<Vec<T, LANES>>& in, hls::stream<Vec<TO, 1>>& out, unsigned frames) {
    static_assert(C % LANES == 0, "LANES must divide C");
    T best = 0;
    TO best_channel = 0;
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned pixel = 0; pixel < PIXELS; ++pixel) {
            for (unsigned g = 0; g < C / LANES; ++g) {
#pragma HLS pipeline II=1
                const Vec<T, LANES> x = in.read();
                for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                    if ((g == 0 && l == 0) || x.lane[l] > best) {
                        best = x.lane[l];
                        best_channel = g * LANES + l;
                    }
                }
                if (g == C / LANES - 1) {
                    Vec<TO, 1> word;
                    word.lane[0] = best_channel;
                    out.write(word);
                }
            }
        }
    }
}

}  // namespace lepton
