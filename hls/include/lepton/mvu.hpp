// Matrix-vector unit: fully connected layers, and convolutions behind a sliding window.
#pragma once

#include "numeric.hpp"
#include "packed_dot.hpp"
#include "vec.hpp"

namespace lepton {

/// out = weights * in + bias, for VECTORS vectors a frame.
///
/// In: vectors of COLS elements, COLS/SIMD words each. Out: vectors of ROWS elements, ROWS/PE words.
/// Row r is computed by lane r % PE in row group r / PE; the weight word of (row group, column group)
/// is `weights[row_group * (COLS/SIMD) + column_group]`. The input vector is kept while row group 0
/// reads it, and replayed for the other row groups.
///
/// Cycles a frame: VECTORS * (ROWS/PE) * (COLS/SIMD).
///
/// TI, TW, TA: input, weight and accumulator types; TA must hold every partial sum.
/// ROWS, COLS: matrix shape. PE, SIMD: rows and columns computed in a cycle; they divide ROWS and COLS.
/// DSP: multiply in DSP blocks, else in look-up tables. PRODUCTS: how; Negation and EqualSigns are for weights
/// that are signs, and want a bias that holds what they leave out.
/// FIELDS: rows that share a DSP block, with FIELD_BITS and CHAIN as in packed_dot.hpp, which also says
/// what is stored as weights where it is more than 1.
template <typename TI, typename TW, typename TA, unsigned ROWS, unsigned COLS, unsigned PE, unsigned SIMD,
          unsigned VECTORS, bool DSP = true, typename PRODUCTS = Multiplier<DSP>, unsigned FIELDS = 1,
          unsigned FIELD_BITS = 0, unsigned CHAIN = 1>
void matrix_vector(hls::stream<Vec<TI, SIMD>>& in, hls::stream<Vec<TA, PE>>& out,
                   const Tile<TW, PE, SIMD> (&weights)[(ROWS / PE) * (COLS / SIMD)],
                   const Vec<TA, PE> (&bias)[ROWS / PE], unsigned frames) {
    static_assert(ROWS % PE == 0 && COLS % SIMD == 0, "PE must divide ROWS and SIMD must divide COLS");
    constexpr unsigned ROW_GROUPS = ROWS / PE;
    constexpr unsigned COL_GROUPS = COLS / SIMD;
    using Accumulator = typename Native<TA>::type;

#pragma HLS aggregate variable=weights compact=bit
#pragma HLS aggregate variable=bias compact=bit
    Vec<TI, SIMD> kept[COL_GROUPS];
#pragma HLS aggregate variable=kept compact=bit
    // A word is used again after a whole row group; with one column group `kept` is a register.
#pragma HLS dependence variable=kept type=inter direction=RAW dependent=true distance=COL_GROUPS
    Accumulator sum[PE];
#pragma HLS array_partition variable=sum complete

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned v = 0; v < VECTORS; ++v) {
            for (unsigned row = 0; row < ROW_GROUPS; ++row) {
                for (unsigned col = 0; col < COL_GROUPS; ++col) {
#pragma HLS pipeline II=1
                    Vec<TI, SIMD> x;
                    if (row == 0) {
                        x = in.read();
                        kept[col] = x;
                    } else {
                        x = kept[col];
                    }
                    const Tile<TW, PE, SIMD>& tile = weights[row * COL_GROUPS + col];
                    Accumulator dots[PE];
#pragma HLS array_partition variable=dots complete
                    Dots<PRODUCTS, FIELDS, FIELD_BITS, CHAIN>::of(tile, x, dots);
                    for (unsigned p = 0; p < PE; ++p) {
#pragma HLS unroll
                        const Accumulator before = col == 0 ? Accumulator(bias[row].lane[p]) : sum[p];
                        sum[p] = before + dots[p];
                    }
                    if (col == COL_GROUPS - 1) {
                        Vec<TA, PE> result;
                        for (unsigned p = 0; p < PE; ++p) {
#pragma HLS unroll
                            result.lane[p] = sum[p];
                        }
                        out.write(result);
                    }
                }
            }
        }
    }
}

}  // namespace lepton
