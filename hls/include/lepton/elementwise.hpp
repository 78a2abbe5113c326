// Element by element arithmetic on two streams.
#pragma once

#include "numeric.hpp"
#include "vec.hpp"

namespace lepton {

/// out = scale_a * a + scale_b * b + offset (residual additions; the scales bring both inputs to one
/// grid, the offset folds the zero points).
///
/// In, out: WORDS words a frame. Cycles a frame: WORDS.
/// TO must hold the result and each product.
template <typename TA_, typename TB_, typename TO, unsigned LANES, unsigned WORDS>
void scaled_add(hls::stream<Vec<TA_, LANES>>& a, hls::stream<Vec<TB_, LANES>>& b, hls::stream<Vec<TO, LANES>>& out,
                TO scale_a, TO scale_b, TO offset, unsigned frames) {
    using Sum = typename Native<TO>::type;
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned i = 0; i < WORDS; ++i) {
#pragma HLS pipeline II=1
            const Vec<TA_, LANES> x = a.read();
            const Vec<TB_, LANES> y = b.read();
            Vec<TO, LANES> z;
            for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                const Sum scaled_x = product<Sum>(scale_a, x.lane[l]);
                const Sum scaled_y = product<Sum>(scale_b, y.lane[l]);
                z.lane[l] = scaled_x + scaled_y + Sum(offset);
            }
            out.write(z);
        }
    }
}

/// out = (a - zero_a) * (b - zero_b).
///
/// In, out: WORDS words a frame. Cycles a frame: WORDS. TO must hold the product.
template <typename TA_, typename TB_, typename TO, unsigned LANES, unsigned WORDS>
void multiply(hls::stream<Vec<TA_, LANES>>& a, hls::stream<Vec<TB_, LANES>>& b, hls::stream<Vec<TO, LANES>>& out,
              TA_ zero_a, TB_ zero_b, unsigned frames) {
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned i = 0; i < WORDS; ++i) {
#pragma HLS pipeline II=1
            const Vec<TA_, LANES> x = a.read();
            const Vec<TB_, LANES> y = b.read();
            Vec<TO, LANES> z;
            for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                z.lane[l] = TO(difference(x.lane[l], zero_a) * difference(y.lane[l], zero_b));
            }
            out.write(z);
        }
    }
}

/// out[pixel][c] = (a[pixel][c] - zero_a) * (b[c] - zero_b): one factor a channel (squeeze and excite).
///
/// In: PIXELS pixels of C/LANES words in `a`; C/LANES words a frame in `b`, read beside the first pixel
/// and kept. Out: as `a`. Cycles a frame: PIXELS * (C/LANES). TO must hold the product.
template <typename TA_, typename TB_, typename TO, unsigned LANES, unsigned C, unsigned PIXELS>
void multiply_channels(hls::stream<Vec<TA_, LANES>>& a, hls::stream<Vec<TB_, LANES>>& b,
                       hls::stream<Vec<TO, LANES>>& out, TA_ zero_a, TB_ zero_b, unsigned frames) {
    static_assert(C % LANES == 0, "LANES must divide C");
    constexpr unsigned GROUPS = C / LANES;
    Vec<TB_, LANES> factors[GROUPS];
#pragma HLS aggregate variable=factors compact=bit
    // A factor is used again after all the others.
#pragma HLS dependence variable=factors type=inter direction=RAW dependent=true distance=GROUPS

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned pixel = 0; pixel < PIXELS; ++pixel) {
            for (unsigned g = 0; g < GROUPS; ++g) {
#pragma HLS pipeline II=1
                const Vec<TA_, LANES> x = a.read();
                Vec<TB_, LANES> y;
                if (pixel == 0) {
                    y = b.read();
                    factors[g] = y;
                } else {
                    y = factors[g];
                }
                Vec<TO, LANES> z;
                for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                    z.lane[l] = TO(difference(x.lane[l], zero_a) * difference(y.lane[l], zero_b));
                }
                out.write(z);
            }
        }
    }
}

}  // namespace lepton
