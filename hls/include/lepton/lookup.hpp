// Table lookup: any function of one code.
#pragma once

#include "counter.hpp"
#include "numeric.hpp"
#include "vec.hpp"

namespace lepton {

/// out = table[x - lowest], in the lane's own column of the table.
///
/// In, out: WORDS words a frame; the C/LANES channel groups come round in turn. Entry e of a group is
/// `table[group * ENTRIES + e]`. One table for all channels: say C = LANES. Cycles a frame: WORDS.
/// Every lane has an address of its own: the caller binds the table to `rom_np` memory.
///
/// `lowest`: the code of entry 0; every input code lies in lowest .. lowest + ENTRIES - 1.
template <typename TI, typename TO, unsigned ENTRIES, unsigned C, unsigned LANES, unsigned WORDS>
void lookup(hls::stream<Vec<TI, LANES>>& in, hls::stream<Vec<TO, LANES>>& out,
            const Vec<TO, LANES> (&table)[(C / LANES) * ENTRIES], TI lowest, unsigned frames) {
    static_assert(C % LANES == 0 && WORDS % (C / LANES) == 0, "a frame is a whole number of channel groups");
    Counter<C / LANES> g = 0;
    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned i = 0; i < WORDS; ++i) {
#pragma HLS pipeline II=1
            const Vec<TI, LANES> x = in.read();
            Vec<TO, LANES> y;
            for (unsigned l = 0; l < LANES; ++l) {
#pragma HLS unroll
                const ap_uint<bits_of(ENTRIES - 1) + 1> entry = difference(x.lane[l], lowest);
                y.lane[l] = table[unsigned(g) * ENTRIES + unsigned(entry)].lane[l];
            }
            out.write(y);
            wraps(g, C / LANES);
        }
    }
}

}  // namespace lepton
