// Width conversion: the same elements in words of another length.
#pragma once

#include "counter.hpp"
#include "vec.hpp"

namespace lepton {

namespace detail {

/// FROM a multiple of TO: a word is read, then shifted out in pieces.
template <typename T, unsigned FROM, unsigned TO, unsigned ELEMENTS> struct NarrowWidth {
    static void run(hls::stream<Vec<T, FROM>>& in, hls::stream<Vec<T, TO>>& out, unsigned frames) {
#pragma HLS inline
        T held[FROM];
#pragma HLS array_partition variable=held complete
        for (unsigned frame = 0; frame < frames; ++frame) {
            for (unsigned i = 0; i < ELEMENTS / FROM; ++i) {
                for (unsigned piece = 0; piece < FROM / TO; ++piece) {
#pragma HLS pipeline II=1
                    if (piece == 0) {
                        const Vec<T, FROM> whole = in.read();
                        for (unsigned l = 0; l < FROM; ++l) {
#pragma HLS unroll
                            held[l] = whole.lane[l];
                        }
                    }
                    Vec<T, TO> word;
                    for (unsigned l = 0; l < TO; ++l) {
#pragma HLS unroll
                        word.lane[l] = held[l];
                    }
                    for (unsigned l = 0; l + TO < FROM; ++l) {
#pragma HLS unroll
                        held[l] = held[l + TO];
                    }
                    out.write(word);
                }
            }
        }
    }
};

/// TO a multiple of FROM: words are shifted in from the top until one is complete.
template <typename T, unsigned FROM, unsigned TO, unsigned ELEMENTS> struct WidenWidth {
    static void run(hls::stream<Vec<T, FROM>>& in, hls::stream<Vec<T, TO>>& out, unsigned frames) {
#pragma HLS inline
        T held[TO] = {};
#pragma HLS array_partition variable=held complete
        for (unsigned frame = 0; frame < frames; ++frame) {
            for (unsigned i = 0; i < ELEMENTS / TO; ++i) {
                for (unsigned piece = 0; piece < TO / FROM; ++piece) {
#pragma HLS pipeline II=1
                    const Vec<T, FROM> word = in.read();
                    for (unsigned l = 0; l + FROM < TO; ++l) {
#pragma HLS unroll
                        held[l] = held[l + FROM];
                    }
                    for (unsigned l = 0; l < FROM; ++l) {
#pragma HLS unroll
                        held[TO - FROM + l] = word.lane[l];
                    }
                    if (piece == TO / FROM - 1) {
                        Vec<T, TO> whole;
                        for (unsigned l = 0; l < TO; ++l) {
#pragma HLS unroll
                            whole.lane[l] = held[l];
                        }
                        out.write(whole);
                    }
                }
            }
        }
    }
};

/// Any other pair: a gearbox. Each step reads if fewer than TO elements are held, then writes if there
/// are TO. So the narrow side moves a word every cycle, and at most FROM + TO - 1 elements are held.
template <typename T, unsigned FROM, unsigned TO, unsigned ELEMENTS> struct Gearbox {
    static void run(hls::stream<Vec<T, FROM>>& in, hls::stream<Vec<T, TO>>& out, unsigned frames) {
#pragma HLS inline
        constexpr unsigned STEPS = ELEMENTS / (FROM < TO ? FROM : TO);
        T held[FROM + TO] = {};
#pragma HLS array_partition variable=held complete
        Counter<FROM + TO> count = 0;
        for (unsigned frame = 0; frame < frames; ++frame) {
            for (unsigned i = 0; i < STEPS; ++i) {
#pragma HLS pipeline II=1
                if (count < TO) {
                    const Vec<T, FROM> word = in.read();
                    for (unsigned l = 0; l < FROM; ++l) {
#pragma HLS unroll
                        held[unsigned(count) + l] = word.lane[l];
                    }
                    count += FROM;
                }
                if (count >= TO) {
                    Vec<T, TO> word;
                    for (unsigned l = 0; l < TO; ++l) {
#pragma HLS unroll
                        word.lane[l] = held[l];
                    }
                    for (unsigned l = 0; l < FROM; ++l) {
#pragma HLS unroll
                        held[l] = held[l + TO];
                    }
                    count -= TO;
                    out.write(word);
                }
            }
        }
    }
};

template <typename T, unsigned FROM, unsigned TO, unsigned ELEMENTS, bool NARROWS, bool WIDENS> struct WidthChoice
    : Gearbox<T, FROM, TO, ELEMENTS> {};
template <typename T, unsigned FROM, unsigned TO, unsigned ELEMENTS, bool WIDENS>
struct WidthChoice<T, FROM, TO, ELEMENTS, true, WIDENS> : NarrowWidth<T, FROM, TO, ELEMENTS> {};
template <typename T, unsigned FROM, unsigned TO, unsigned ELEMENTS>
struct WidthChoice<T, FROM, TO, ELEMENTS, false, true> : WidenWidth<T, FROM, TO, ELEMENTS> {};

}  // namespace detail

/// Re-groups ELEMENTS elements a frame from words of FROM into words of TO, in order.
///
/// Any FROM and TO that divide ELEMENTS; a multiple costs a shift register, other pairs a gearbox with
/// a multiplexer in front of every element. Cycles a frame: ELEMENTS / min(FROM, TO).
template <typename T, unsigned FROM, unsigned TO, unsigned ELEMENTS>
void convert_width(hls::stream<Vec<T, FROM>>& in, hls::stream<Vec<T, TO>>& out, unsigned frames) {
    static_assert(ELEMENTS % FROM == 0 && ELEMENTS % TO == 0, "a frame is a whole number of words on both sides");
    detail::WidthChoice<T, FROM, TO, ELEMENTS, FROM % TO == 0, TO % FROM == 0>::run(in, out, frames);
}

}  // namespace lepton
