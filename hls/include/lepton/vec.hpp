// Words of streams and of weight memories.
#pragma once

#include <ap_int.h>
#include <hls_stream.h>

namespace lepton {

/// One word of a stream: N neighbouring channels of one pixel.
template <typename T, unsigned N> struct Vec {
    T lane[N];
};

/// One word of a weight memory: SIMD columns of PE rows of a matrix.
template <typename T, unsigned PE, unsigned SIMD> struct Tile {
    T at[PE][SIMD];
};

/// A word with `value` in every lane.
template <unsigned N, typename T> Vec<T, N> filled(T value) {
#pragma HLS inline
    Vec<T, N> word;
    for (unsigned l = 0; l < N; ++l) {
#pragma HLS unroll
        word.lane[l] = value;
    }
    return word;
}

}  // namespace lepton
