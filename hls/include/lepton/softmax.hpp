// Softmax on codes, in exact integers.
#pragma once

#include "numeric.hpp"
#include "vec.hpp"

namespace lepton {

/// Softmax over the C channels of each pixel. With m the largest channel, e = exp_table[m - x] and S
/// the sum of e over the channels,
///     out = clamp(zero_point + round(e * numerator / (S * denominator)), lowest, highest),
/// halves rounded up. exp_table holds exp(-d * input scale) at a fixed scale; numerator/denominator is
/// the reciprocal of the output scale.
///
/// In, out: PIXELS pixels of C/LANES words. A pixel passes three times: its largest channel, the sum,
/// the quotients (LANES pipelined 64-bit dividers).
/// Cycles a frame: PIXELS * 3 * (C/LANES).
///
/// Ranges, so that 64 bits hold every term: entries below 2^24, numerator and denominator from 1 to
/// 2^15 - 1, C up to 4096. exp_table[0] is not 0. A difference beyond the table reads its last entry.
template <typename TI, typename TO, unsigned C, unsigned LANES, unsigned PIXELS, unsigned ENTRIES>
void softmax(hls::stream<Vec<TI, LANES>>& in, hls::stream<Vec<TO, LANES>>& out,
             const ap_uint<32> (&exp_table)[ENTRIES], ap_uint<32> numerator, ap_uint<32> denominator,
             ap_int<32> zero_point, TO lowest, TO highest, unsigned frames) {
    static_assert(C % LANES == 0, "LANES must divide C");
    static_assert(C <= 4096, "the terms of the quotient would exceed 64 bits");
    constexpr unsigned GROUPS = C / LANES;
    enum Pass { LARGEST, SUM, QUOTIENT, PASSES };

    Vec<TI, LANES> kept[GROUPS];
#pragma HLS aggregate variable=kept compact=bit
#pragma HLS dependence variable=kept type=inter direction=RAW dependent=true distance=GROUPS
    Vec<ap_uint<32>, LANES> exps[GROUPS];
#pragma HLS aggregate variable=exps compact=bit
#pragma HLS dependence variable=exps type=inter direction=RAW dependent=true distance=GROUPS
    TI largest = 0;
    ap_uint<64> sum = 0;

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned pixel = 0; pixel < PIXELS; ++pixel) {
            for (unsigned pass = 0; pass < PASSES; ++pass) {
                for (unsigned g = 0; g < GROUPS; ++g) {
#pragma HLS pipeline II=1
                    if (pass == LARGEST) {
                        const Vec<TI, LANES> x = in.read();
                        kept[g] = x;
                        for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                            if ((g == 0 && l == 0) || x.lane[l] > largest) largest = x.lane[l];
                        }
                    } else if (pass == SUM) {
                        const Vec<TI, LANES> x = kept[g];
                        Vec<ap_uint<32>, LANES> e;
                        ap_uint<64> word_sum = 0;
                        for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                            const ap_uint<32> below = difference(largest, x.lane[l]);
                            e.lane[l] = exp_table[below < ENTRIES ? static_cast<unsigned>(below) : ENTRIES - 1];
                            word_sum += e.lane[l];
                        }
                        exps[g] = e;
                        sum = g == 0 ? word_sum : ap_uint<64>(sum + word_sum);
                    } else {
                        const ap_uint<64> divisor = product<ap_uint<64>>(sum, denominator);
                        Vec<TO, LANES> y;
                        for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                            const ap_uint<64> scaled = product<ap_uint<64>>(exps[g].lane[l], numerator);
                            const ap_uint<64> twice = 2 * scaled + divisor;
                            const ap_uint<64> quotient = twice / ap_uint<64>(2 * divisor);
                            const ap_int<48> rounded = quotient;
                            const ap_int<48> code = rounded + ap_int<48>(zero_point);
                            y.lane[l] = clamp<TO>(typename Wide<ap_int<48>>::type(code), lowest, highest);
                        }
                        out.write(y);
                    }
                }
            }
        }
    }
}

}  // namespace lepton
