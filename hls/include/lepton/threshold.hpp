// Multi-threshold: accumulators to codes by a sorted table.
#pragma once

#include "counter.hpp"
#include "numeric.hpp"
#include "vec.hpp"

namespace lepton {

namespace detail {

/// How many of `LEVELS` ascending thresholds, from `first` on, lie at or below x, for lane `l`.
template <unsigned LEVELS, typename TA, unsigned LANES>
unsigned count_reached(const Vec<TA, LANES>* thresholds, unsigned first, unsigned l, TA x) {
#pragma HLS inline
    constexpr unsigned MOST_IN_PARALLEL = 15;
    unsigned count = 0;
    if (LEVELS <= MOST_IN_PARALLEL) {
        for (unsigned k = 0; k < LEVELS; ++k) {
#pragma HLS unroll
            count += x >= thresholds[first + k].lane[l] ? 1 : 0;
        }
    } else {
        constexpr unsigned STAGES = bits_of(LEVELS);
        for (unsigned stage = 0; stage < STAGES; ++stage) {
#pragma HLS unroll
            const unsigned tried = count + (1u << (STAGES - 1 - stage));
            if (tried <= LEVELS && x >= thresholds[first + tried - 1].lane[l]) count = tried;
        }
    }
    return count;
}

}  // namespace detail

/// out = lowest + how many thresholds of the lane's channel are at or below the accumulator.
///
/// In, out: WORDS words a frame; the C/LANES channel groups come round in turn. Threshold k of a group
/// is `thresholds[group * LEVELS + k]`, ascending in k. One table for all channels: say C = LANES.
/// Cycles a frame: WORDS.
///
/// Up to 15 levels are compared at once (the caller partitions the table cyclically by LEVELS); more
/// take a binary search of log2(LEVELS) pipeline stages, each with a read port of its own (the caller
/// binds the table to `rom_np` memory).
template <typename TA, typename TO, unsigned LEVELS, unsigned C, unsigned LANES, unsigned WORDS>
void threshold(hls::stream<Vec<TA, LANES>>& in, hls::stream<Vec<TO, LANES>>& out,
               const Vec<TA, LANES> (&thresholds)[(C / LANES) * LEVELS], TO lowest, unsigned frames) {
    static_assert(C % LANES == 0 && WORDS % (C / LANES) == 0, "a frame is a whole number of channel groups");
    Counter<C / LANES> g = 0;
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned i = 0; i < WORDS; ++i) {
#pragma HLS pipeline II=1
            const Vec<TA, LANES> x = in.read();
            Vec<TO, LANES> y;
            for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                y.lane[l] = lowest + detail::count_reached<LEVELS>(thresholds, unsigned(g) * LEVELS, l, x.lane[l]);
            }
            out.write(y);
            wraps(g, C / LANES);
        }
    }
}

}  // namespace lepton
