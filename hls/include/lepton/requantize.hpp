// Requantisation: accumulators to codes by an integer multiplier, an addend and a shift.
#pragma once

#include "counter.hpp"
#include "numeric.hpp"
#include "vec.hpp"

namespace lepton {

/// out = clamp((multiplier * acc + addend) >> SHIFT, lowest, highest), the shift rounding down; an
/// addend that includes 2^(SHIFT-1) rounds half up.
///
/// In, out: WORDS words a frame; the C/LANES channel groups come round in turn. One multiplier for all
/// channels: say C = LANES. Cycles a frame: WORDS.
///
/// TA, TM, TB, TO: accumulator, multiplier, addend and output types; TB (signed) must hold the whole sum.
template <typename TA, typename TM, typename TB, typename TO, unsigned SHIFT, unsigned C, unsigned LANES,
          unsigned WORDS>
void requantize(hls::stream<Vec<TA, LANES>>& in, hls::stream<Vec<TO, LANES>>& out,
                const Vec<TM, LANES> (&multiplier)[C / LANES], const Vec<TB, LANES> (&addend)[C / LANES], TO lowest,
                TO highest, unsigned frames) {
    static_assert(C % LANES == 0 && WORDS % (C / LANES) == 0, "a frame is a whole number of channel groups");
    static_assert(SHIFT < 64, "the sum has at most 64 bits");
#pragma HLS aggregate variable=multiplier compact=bit
#pragma HLS aggregate variable=addend compact=bit
    Counter<C / LANES> g = 0;
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned i = 0; i < WORDS; ++i) {
#pragma HLS pipeline II=1
            const Vec<TA, LANES> x = in.read();
            Vec<TO, LANES> y;
            for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                using Sum = typename Wide<TB>::type;
                const TB total = product<TB>(multiplier[unsigned(g)].lane[l], x.lane[l]) + addend[unsigned(g)].lane[l];
                const Sum sum = total;
                const Sum shifted = sum >> SHIFT;
                y.lane[l] = clamp<TO>(shifted, lowest, highest);
            }
            out.write(y);
            wraps(g, C / LANES);
        }
    }
}

/// As `requantize`, but (multiplier * acc + addend) / 2^SHIFT is rounded to the nearest integer, and
/// halves to the even one.
template <typename TA, typename TM, typename TB, typename TO, unsigned SHIFT, unsigned C, unsigned LANES,
          unsigned WORDS>
void requantize_half_even(hls::stream<Vec<TA, LANES>>& in, hls::stream<Vec<TO, LANES>>& out,
                          const Vec<TM, LANES> (&multiplier)[C / LANES], const Vec<TB, LANES> (&addend)[C / LANES],
                          TO lowest, TO highest, unsigned frames) {
    static_assert(C % LANES == 0 && WORDS % (C / LANES) == 0, "a frame is a whole number of channel groups");
    static_assert(SHIFT >= 1 && SHIFT < 64, "rounding needs at least one bit to drop");
#pragma HLS aggregate variable=multiplier compact=bit
#pragma HLS aggregate variable=addend compact=bit
    const ap_uint<SHIFT> half = ap_uint<SHIFT>(1) << (SHIFT - 1);
    Counter<C / LANES> g = 0;
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned i = 0; i < WORDS; ++i) {
#pragma HLS pipeline II=1
            const Vec<TA, LANES> x = in.read();
            Vec<TO, LANES> y;
            for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                using Sum = typename Wide<TB>::type;
                const TB total = product<TB>(multiplier[unsigned(g)].lane[l], x.lane[l]) + addend[unsigned(g)].lane[l];
                const Sum sum = total;
                const ap_uint<SHIFT> dropped = sum;
                const Sum down = sum >> SHIFT;
                const ap_uint<1> is_odd = down;
                const bool up = dropped > half || (dropped == half && is_odd == 1);
                const Sum rounded = up ? Sum(down + 1) : down;
                y.lane[l] = clamp<TO>(rounded, lowest, highest);
            }
            out.write(y);
            wraps(g, C / LANES);
        }
    }
}

}  // namespace lepton
