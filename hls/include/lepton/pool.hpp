// Pooling: over windows (channelwise window order) and over whole frames (plain stream order).
#pragma once

#include "numeric.hpp"
#include "vec.hpp"

namespace lepton {

/// Largest of TAPS values, for each channel of PIXELS pixels a frame.
///
/// In: for each pixel and channel group, TAPS words (`sliding_window_channelwise`). Out: C/PE words a
/// pixel. Cycles a frame: PIXELS * (C/PE) * TAPS.
///
/// C: channels; PE: channels a cycle, divides C; TAPS: window height times width.
template <typename T, unsigned C, unsigned PE, unsigned TAPS, unsigned PIXELS>
void max_pool(hls::stream<Vec<T, PE>>& in, hls::stream<Vec<T, PE>>& out, unsigned frames) {
    static_assert(C % PE == 0, "PE must divide C");
    T largest[PE];
#pragma HLS array_partition variable=largest complete

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned result = 0; result < PIXELS * (C / PE); ++result) {
            for (unsigned tap = 0; tap < TAPS; ++tap) {
#pragma HLS pipeline II=1
                const Vec<T, PE> x = in.read();
                Vec<T, PE> word;
                for (unsigned l = 0; l < PE; ++l) {
#pragma HLS unroll
                    if (tap == 0 || x.lane[l] > largest[l]) largest[l] = x.lane[l];
                    word.lane[l] = largest[l];
                }
                if (tap == TAPS - 1) out.write(word);
            }
        }
    }
}

/// `offset` plus the sum of TAPS values, for each channel of PIXELS pixels a frame (average pooling
/// once requantised; `offset` takes the zero point in).
///
/// Streams, cycles and parameters as `max_pool`; TA must hold every partial sum.
template <typename TI, typename TA, unsigned C, unsigned PE, unsigned TAPS, unsigned PIXELS>
void sum_pool(hls::stream<Vec<TI, PE>>& in, hls::stream<Vec<TA, PE>>& out, TA offset, unsigned frames) {
    static_assert(C % PE == 0, "PE must divide C");
    using Accumulator = typename Native<TA>::type;
    Accumulator sum[PE];
#pragma HLS array_partition variable=sum complete

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned result = 0; result < PIXELS * (C / PE); ++result) {
            for (unsigned tap = 0; tap < TAPS; ++tap) {
#pragma HLS pipeline II=1
                const Vec<TI, PE> x = in.read();
                Vec<TA, PE> word;
                for (unsigned l = 0; l < PE; ++l) {
#pragma HLS unroll
                    const Accumulator before = tap == 0 ? Accumulator(offset) : sum[l];
                    sum[l] = before + Accumulator(x.lane[l]);
                    word.lane[l] = sum[l];
                }
                if (tap == TAPS - 1) out.write(word);
            }
        }
    }
}

/// Largest value of each channel over a whole frame.
///
/// In: PIXELS pixels of C/PE words, plain stream order. Out: C/PE words a frame, written while the last
/// pixel is read. Cycles a frame: PIXELS * (C/PE).
template <typename T, unsigned C, unsigned PE, unsigned PIXELS>
void global_max(hls::stream<Vec<T, PE>>& in, hls::stream<Vec<T, PE>>& out, unsigned frames) {
    static_assert(C % PE == 0, "PE must divide C");
    constexpr unsigned GROUPS = C / PE;
    Vec<T, PE> largest[GROUPS];
#pragma HLS aggregate variable=largest compact=bit
#pragma HLS bind_storage variable=largest type=ram_s2p impl=lutram
    // A group comes round after all the others.
#pragma HLS dependence variable=largest type=inter direction=RAW dependent=true distance=GROUPS

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned pixel = 0; pixel < PIXELS; ++pixel) {
            for (unsigned g = 0; g < GROUPS; ++g) {
#pragma HLS pipeline II=1
                Vec<T, PE> word = in.read();
                if (pixel != 0) {
                    const Vec<T, PE> before = largest[g];
                    for (unsigned l = 0; l < PE; ++l) {
#pragma HLS unroll
                        if (before.lane[l] > word.lane[l]) word.lane[l] = before.lane[l];
                    }
                }
                largest[g] = word;
                if (pixel == PIXELS - 1) out.write(word);
            }
        }
    }
}

/// `offset` plus the sum of each channel over a whole frame (global average pooling once requantised).
///
/// Streams and cycles as `global_max`; TA must hold every partial sum.
template <typename TI, typename TA, unsigned C, unsigned PE, unsigned PIXELS>
void global_sum(hls::stream<Vec<TI, PE>>& in, hls::stream<Vec<TA, PE>>& out, TA offset, unsigned frames) {
    static_assert(C % PE == 0, "PE must divide C");
    constexpr unsigned GROUPS = C / PE;
    using Accumulator = typename Native<TA>::type;
    Vec<TA, PE> sums[GROUPS];
#pragma HLS aggregate variable=sums compact=bit
#pragma HLS bind_storage variable=sums type=ram_s2p impl=lutram
    // A group comes round after all the others.
#pragma HLS dependence variable=sums type=inter direction=RAW dependent=true distance=GROUPS

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned pixel = 0; pixel < PIXELS; ++pixel) {
            for (unsigned g = 0; g < GROUPS; ++g) {
#pragma HLS pipeline II=1
                const Vec<TI, PE> x = in.read();
                Vec<TA, PE> word = filled<PE>(offset);
                if (pixel != 0) word = sums[g];
                for (unsigned l = 0; l < PE; ++l) {
#pragma HLS unroll
                    word.lane[l] = Accumulator(word.lane[l]) + Accumulator(x.lane[l]);
                }
                sums[g] = word;
                if (pixel == PIXELS - 1) out.write(word);
            }
        }
    }
}

}  // namespace lepton
