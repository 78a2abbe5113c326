// Counters that are exactly as wide as they need to be in hardware.
#pragma once

#include <ap_int.h>

namespace lepton {

/// Bits of the smallest unsigned integer that holds `value`.
constexpr unsigned bits_of(unsigned value) {
    return value == 0 ? 0 : 1 + bits_of(value / 2);
}

/// Holds 0 to LIMIT. A plain integer in simulation, where width costs nothing.
#ifdef LEPTON_SIM_AP_INT
template <unsigned LIMIT> using Counter = unsigned;
#else
template <unsigned LIMIT> using Counter = ap_uint<bits_of(LIMIT) + (LIMIT == 0 ? 1 : 0)>;
#endif

/// Advances a counter of a loop nest that runs from 0 to limit - 1; true when it has come round to 0,
/// so that the next outer counter is due: `wraps(inner, I) && wraps(outer, O)`.
template <typename COUNTER> bool wraps(COUNTER& counter, unsigned limit) {
#pragma HLS inline
    const bool last = counter == limit - 1;
    if (last) {
        counter = 0;
    } else {
        ++counter;
    }
    return last;
}

}  // namespace lepton
