// Dot products of an input word with the rows of a tile: a multiplier for each product, or for several.
#pragma once

#include "numeric.hpp"
#include "vec.hpp"

namespace lepton {

/// dots[p] = sum over lanes of tile[p] * x, where FIELDS rows share each DSP block.
///
/// A block multiplies the input by sum over f of w[f] * 2^(f * FIELD_BITS). CHAIN blocks add each other's
/// results, so that every field of FIELD_BITS bits holds a sum of its own. Half of a field's range, added
/// at the start, makes all fields but the top one non-negative: none borrows from the field above.
///
/// `tile` holds w[f], less 1 where what is stored for row f-1 is negative: that is the upper part of the
/// packed factor, whose lower parts are then sign extended.
///
/// FIELD_BITS hold the sum of any CHAIN products as a signed number. TW is signed.
template <typename PRODUCTS, unsigned FIELDS, unsigned FIELD_BITS, unsigned CHAIN> struct Dots {
    template <typename R, typename TW, typename TI, unsigned PE, unsigned SIMD>
    static void of(const Tile<TW, PE, SIMD>& tile, const Vec<TI, SIMD>& x, R (&dots)[PE]) {
#pragma HLS inline
        static_assert(PE % FIELDS == 0, "FIELDS must divide PE");
        constexpr unsigned TOP = (FIELDS - 1) * FIELD_BITS;
        constexpr long long RANGE = 1LL << FIELD_BITS;
        using Factor = ap_int<TOP + TW::width>;
        using Sum = typename Wide<ap_int<48>>::type;

        for (unsigned p = 0; p < PE; ++p) {
#pragma HLS unroll
            dots[p] = 0;
        }
        for (unsigned row = 0; row < PE; row += FIELDS) {
#pragma HLS unroll
            for (unsigned first = 0; first < SIMD; first += CHAIN) {
#pragma HLS unroll
                Sum sum = 0;
                for (unsigned f = 0; f < FIELDS - 1; ++f) {
#pragma HLS unroll
                    sum = sum * RANGE + RANGE / 2;
                }
                for (unsigned s = first; s < first + CHAIN && s < SIMD; ++s) {
#pragma HLS unroll
                    Sum factor = tile.at[row + FIELDS - 1][s];
                    for (unsigned f = FIELDS - 1; f > 0; --f) {
#pragma HLS unroll
                        factor = factor * RANGE + (Sum(tile.at[row + f - 1][s]) & Sum(RANGE - 1));
                    }
                    sum += PRODUCTS::template times<Sum>(Factor(factor), x.lane[s]);
                }
                for (unsigned f = 0; f < FIELDS - 1; ++f) {
#pragma HLS unroll
                    dots[row + f] += R(((sum >> (f * FIELD_BITS)) & Sum(RANGE - 1)) - Sum(RANGE / 2));
                }
                dots[row + FIELDS - 1] += R(sum >> TOP);
            }
        }
    }
};

/// The same with a multiplier for each product, or what takes its place.
template <typename PRODUCTS, unsigned FIELD_BITS, unsigned CHAIN> struct Dots<PRODUCTS, 1, FIELD_BITS, CHAIN> {
    template <typename R, typename TW, typename TI, unsigned PE, unsigned SIMD>
    static void of(const Tile<TW, PE, SIMD>& tile, const Vec<TI, SIMD>& x, R (&dots)[PE]) {
#pragma HLS inline
        for (unsigned p = 0; p < PE; ++p) {
#pragma HLS unroll
            dots[p] = 0;
            for (unsigned s = 0; s < SIMD; ++s) {
#pragma HLS unroll
                dots[p] += PRODUCTS::template times<R>(tile.at[p][s], x.lane[s]);
            }
        }
    }
};

}  // namespace lepton
