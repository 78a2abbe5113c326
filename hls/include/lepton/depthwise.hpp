// Depthwise convolution behind a channelwise sliding window.
#pragma once

#include "numeric.hpp"
#include "vec.hpp"

namespace lepton {

/// out[c] = bias[c] + sum over taps of weights[c][tap] * in[c][tap], PIXELS pixels a frame.
///
/// In: for each pixel and channel group, TAPS words (`sliding_window_channelwise`). Out: C/PE words a
/// pixel. Lane l of `weights[group * TAPS + tap]` belongs to channel group*PE + l.
///
/// Cycles a frame: PIXELS * (C/PE) * TAPS.
///
/// TI, TW, TA: input, weight and accumulator types; TA must hold every partial sum.
/// C: channels; PE: channels a cycle, divides C; TAPS: kernel height times width.
/// DSP: multiply in DSP blocks, else in look-up tables.
template <typename TI, typename TW, typename TA, unsigned C, unsigned PE, unsigned TAPS, unsigned PIXELS,
          bool DSP = true>
void depthwise(hls::stream<Vec<TI, PE>>& in, hls::stream<Vec<TA, PE>>& out,
               const Vec<TW, PE> (&weights)[(C / PE) * TAPS], const Vec<TA, PE> (&bias)[C / PE], unsigned frames) {
    static_assert(C % PE == 0, "PE must divide C");
    constexpr unsigned GROUPS = C / PE;
    using Accumulator = typename Native<TA>::type;

#pragma HLS aggregate variable=weights compact=bit
#pragma HLS aggregate variable=bias compact=bit
    Accumulator sum[PE];
#pragma HLS array_partition variable=sum complete

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned pixel = 0; pixel < PIXELS; ++pixel) {
            for (unsigned g = 0; g < GROUPS; ++g) {
                for (unsigned tap = 0; tap < TAPS; ++tap) {
#pragma HLS pipeline II=1
                    const Vec<TI, PE> x = in.read();
                    const Vec<TW, PE>& w = weights[g * TAPS + tap];
                    Vec<TA, PE> result;
                    for (unsigned l = 0; l < PE; ++l) {
#pragma HLS unroll
                        const Accumulator before = tap == 0 ? Accumulator(bias[g].lane[l]) : sum[l];
                        sum[l] = before + Multiplier<DSP>::template times<Accumulator>(w.lane[l], x.lane[l]);
                        result.lane[l] = sum[l];
                    }
                    if (tap == TAPS - 1) out.write(result);
                }
            }
        }
    }
}

}  // namespace lepton
