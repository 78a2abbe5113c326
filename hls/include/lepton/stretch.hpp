// Stretching a frame by whole factors: nearest upsampling, and zeros between pixels.
#pragma once

#include "counter.hpp"
#include "vec.hpp"

namespace lepton {

/// Repeats every pixel SW times in its row, and every row SH times.
///
/// In: H x W pixels of C/LANES words. Out: H*SH x W*SW pixels. Memory: one row, or one pixel if SH is 1.
/// Cycles a frame: H * SH * W * SW * (C/LANES).
template <typename T, unsigned LANES, unsigned C, unsigned H, unsigned W, unsigned SH, unsigned SW>
void repeat_nearest(hls::stream<Vec<T, LANES>>& in, hls::stream<Vec<T, LANES>>& out, unsigned frames) {
    static_assert(C % LANES == 0, "LANES must divide C");
    constexpr unsigned GROUPS = C / LANES;
    constexpr unsigned KEPT_PIXELS = SH == 1 ? 1 : W;
    Vec<T, LANES> kept[KEPT_PIXELS * GROUPS];
#pragma HLS aggregate variable=kept compact=bit
    // A word is used again after the other words of its pixel, at the earliest.
#pragma HLS dependence variable=kept type=inter direction=RAW dependent=true distance=GROUPS

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned row = 0; row < H; ++row) {
            for (unsigned row_copy = 0; row_copy < SH; ++row_copy) {
                for (unsigned col = 0; col < W; ++col) {
                    for (unsigned col_copy = 0; col_copy < SW; ++col_copy) {
                        for (unsigned g = 0; g < GROUPS; ++g) {
#pragma HLS pipeline II=1
                            const unsigned place = (SH == 1 ? 0 : col) * GROUPS + g;
                            Vec<T, LANES> word;
                            if (row_copy == 0 && col_copy == 0) {
                                word = in.read();
                                kept[place] = word;
                            } else {
                                word = kept[place];
                            }
                            out.write(word);
                        }
                    }
                }
            }
        }
    }
}

/// Moves the pixels SH rows and SW columns apart, with `value` between them (transposed convolution).
///
/// In: H x W pixels of C/LANES words. Out: (H-1)*SH+1 x (W-1)*SW+1 pixels.
/// Cycles a frame: ((H-1)*SH+1) * ((W-1)*SW+1) * (C/LANES).
template <typename T, unsigned LANES, unsigned C, unsigned H, unsigned W, unsigned SH, unsigned SW>
void insert_zeros(hls::stream<Vec<T, LANES>>& in, hls::stream<Vec<T, LANES>>& out, T value, unsigned frames) {
    static_assert(C % LANES == 0, "LANES must divide C");
    constexpr unsigned GROUPS = C / LANES;
    constexpr unsigned OUT_H = (H - 1) * SH + 1;
    constexpr unsigned OUT_W = (W - 1) * SW + 1;
    Counter<SH> below = 0;  // rows since the last row of pixels
    Counter<SW> right = 0;  // columns since the last column of pixels

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned row = 0; row < OUT_H; ++row) {
            for (unsigned col = 0; col < OUT_W; ++col) {
                for (unsigned g = 0; g < GROUPS; ++g) {
#pragma HLS pipeline II=1
                    Vec<T, LANES> word = filled<LANES>(value);
                    if (below == 0 && right == 0) word = in.read();
                    out.write(word);
                    if (g == GROUPS - 1) {
                        if (col == OUT_W - 1) {
                            right = 0;
                            if (row == OUT_H - 1) {
                                below = 0;
                            } else {
                                wraps(below, SH);
                            }
                        } else {
                            wraps(right, SW);
                        }
                    }
                }
            }
        }
    }
}

}  // namespace lepton
