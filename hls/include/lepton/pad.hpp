// Padding: a border of a constant around each frame.
#pragma once

#include "vec.hpp"

namespace lepton {

/// Surrounds each frame with TOP, LEFT, BOTTOM and RIGHT rows or columns of `value`.
///
/// In: H x W pixels of C/LANES words. Out: (TOP+H+BOTTOM) x (LEFT+W+RIGHT) pixels.
/// Cycles a frame: (TOP+H+BOTTOM) * (LEFT+W+RIGHT) * (C/LANES).
template <typename T, unsigned LANES, unsigned C, unsigned H, unsigned W, unsigned TOP, unsigned LEFT, unsigned BOTTOM,
          unsigned RIGHT>
void pad(hls::stream<Vec<T, LANES>>& in, hls::stream<Vec<T, LANES>>& out, T value, unsigned frames) {
    static_assert(C % LANES == 0, "LANES must divide C");
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned row = 0; row < TOP + H + BOTTOM; ++row) {
            for (unsigned col = 0; col < LEFT + W + RIGHT; ++col) {
                for (unsigned g = 0; g < C / LANES; ++g) {
#pragma HLS pipeline II=1
                    // row - TOP is huge above the image: one comparison for both borders.
                    const bool is_image = row - TOP < H && col - LEFT < W;
                    Vec<T, LANES> word = filled<LANES>(value);
                    if (is_image) word = in.read();
                    out.write(word);
                }
            }
        }
    }
}

}  // namespace lepton
