// Stand-in for the vendor header of the same name: the AXI4-Stream word without side channels.
//
// Works with either `ap_int.h` (the vendor's or ours): put the directory of the wanted one first on
// the include path.
#pragma once

#include <ap_int.h>

/// One AXI4-Stream transfer: `D` data bits, one keep and one strobe bit a byte, and TLAST.
template <int D, int U, int TI, int TD> struct ap_axiu {
    static_assert(D % 8 == 0, "an AXI4-Stream word is a whole number of bytes");
    static_assert(U == 0 && TI == 0 && TD == 0, "TUSER, TID and TDEST are not simulated");

    ap_uint<D> data;
    ap_uint<D / 8> keep;
    ap_uint<D / 8> strb;
    ap_uint<1> last;
};
