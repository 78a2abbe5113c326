// Between the AXI4-Stream ports of the design and the streams inside it.
#pragma once

#include <ap_axi_sdata.h>

#include "vec.hpp"

namespace lepton {

/// Unpacks AXI words: element l of a word is its bytes l*BYTES to l*BYTES + BYTES-1, little endian.
///
/// In, out: WORDS words a frame. TLAST, TKEEP and TSTRB of the input are ignored: the frame length is
/// known. Cycles a frame: WORDS.
///
/// BYTES: 1, 2, 4 or 8 an element; AXIS_WIDTH: bits of an AXI word, 8 * LANES * BYTES, at most 64.
template <typename T, unsigned LANES, unsigned BYTES, unsigned AXIS_WIDTH, unsigned WORDS>
void axis_to_stream(hls::stream<ap_axiu<AXIS_WIDTH, 0, 0, 0>>& in, hls::stream<Vec<T, LANES>>& out, unsigned frames) {
    static_assert(AXIS_WIDTH == 8 * LANES * BYTES && AXIS_WIDTH <= 64, "an AXI word is LANES elements, up to 64 bits");
    static_assert(unsigned(T::width) <= 8 * BYTES, "an element does not fit its bytes");
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned i = 0; i < WORDS; ++i) {
#pragma HLS pipeline II=1
            const ap_axiu<AXIS_WIDTH, 0, 0, 0> packed = in.read();
            Vec<T, LANES> word;
            for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                word.lane[l] = T(packed.data >> (8 * BYTES * l));
            }
            out.write(word);
        }
    }
}

/// The inverse of `axis_to_stream`: packs elements, sign-extended if T is signed. TLAST marks the last
/// word of each frame; TKEEP and TSTRB are all ones. Cycles a frame: WORDS.
template <typename T, unsigned LANES, unsigned BYTES, unsigned AXIS_WIDTH, unsigned WORDS>
void stream_to_axis(hls::stream<Vec<T, LANES>>& in, hls::stream<ap_axiu<AXIS_WIDTH, 0, 0, 0>>& out, unsigned frames) {
    static_assert(AXIS_WIDTH == 8 * LANES * BYTES && AXIS_WIDTH <= 64, "an AXI word is LANES elements, up to 64 bits");
    static_assert(unsigned(T::width) <= 8 * BYTES, "an element does not fit its bytes");
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned i = 0; i < WORDS; ++i) {
#pragma HLS pipeline II=1
            const Vec<T, LANES> word = in.read();
            ap_uint<AXIS_WIDTH> data = 0;
            for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                const ap_uint<8 * BYTES> element = word.lane[l];
                data |= ap_uint<AXIS_WIDTH>(ap_uint<AXIS_WIDTH>(element) << (8 * BYTES * l));
            }
            ap_axiu<AXIS_WIDTH, 0, 0, 0> packed;
            packed.data = data;
            packed.keep = -1;
            packed.strb = -1;
            packed.last = i == WORDS - 1 ? 1 : 0;
            out.write(packed);
        }
    }
}

}  // namespace lepton
