// Sliding windows: turns an image into the stream of patches that a convolution or a pool consumes.
#pragma once

#include "counter.hpp"
#include "vec.hpp"

namespace lepton {
namespace detail {

/// Both window orders; see `sliding_window` below.
template <bool CHANNELWISE, typename T, unsigned LANES, unsigned C, unsigned H, unsigned W, unsigned KH, unsigned KW,
          unsigned SH, unsigned SW, unsigned DH, unsigned DW>
void window(hls::stream<Vec<T, LANES>>& in, hls::stream<Vec<T, LANES>>& out, unsigned frames) {
    static_assert(C % LANES == 0, "LANES must divide C");
    constexpr unsigned GROUPS = C / LANES;
    constexpr unsigned REACH_H = (KH - 1) * DH + 1;  // rows and columns one window spans
    constexpr unsigned REACH_W = (KW - 1) * DW + 1;
    static_assert(REACH_H <= H && REACH_W <= W, "the window is larger than the image");
    constexpr unsigned OUT_H = (H - REACH_H) / SH + 1;
    constexpr unsigned OUT_W = (W - REACH_W) / SW + 1;
    constexpr unsigned USED_H = (OUT_H - 1) * SH + REACH_H;  // rows below are read and dropped

    // A frame is one filling phase (reads the rows of the first output row) and OUT_H writing phases;
    // each writes one output row while it reads the rows that the next one adds. So the buffer holds
    // the rows of a window and, unless there is a single output row, one stride more.
    constexpr unsigned ROWS = OUT_H == 1 ? REACH_H : REACH_H + SH;
    constexpr unsigned ROW_WORDS = W * GROUPS;
    constexpr unsigned FILL_READS = REACH_H * ROW_WORDS;
    constexpr unsigned NEXT_READS = SH * ROW_WORDS;
    constexpr unsigned LAST_READS = (H - USED_H) * ROW_WORDS;
    constexpr unsigned WRITES = OUT_W * KH * KW * GROUPS;
    // A word must have reached the memory before it is used. On rows of fewer than 8 words it might
    // still be in the pipeline when the phase changes: then every phase lasts 8 cycles longer.
    constexpr unsigned SETTLE = OUT_W * GROUPS < 8 ? 8 : 0;
    constexpr unsigned FILL_STEPS = FILL_READS + SETTLE;
    constexpr unsigned STEPS = (WRITES > NEXT_READS ? WRITES : NEXT_READS) + SETTLE;

    Vec<T, LANES> rows[ROWS][ROW_WORDS];
#pragma HLS aggregate variable=rows compact=bit
#pragma HLS bind_storage variable=rows type=ram_s2p
#pragma HLS dependence variable=rows type=inter dependent=false

    Counter<OUT_H> phase = 0;  // 0 fills, phase p writes output row p-1
    Counter<(FILL_STEPS > STEPS ? FILL_STEPS : STEPS)> steps_left = FILL_STEPS;
    Counter<(FILL_READS > NEXT_READS ? FILL_READS : NEXT_READS)> reads_left = FILL_READS;
    Counter<WRITES> writes_left = 0;
    Counter<H> in_row = 0;
    Counter<ROWS> in_slot = 0;
    Counter<ROW_WORDS> in_word = 0;
    Counter<ROWS> first_slot = 0;  // where the first row of the current output row is kept
    Counter<OUT_W> ow = 0;
    Counter<KH> kh = 0;
    Counter<KW> kw = 0;
    Counter<GROUPS> g = 0;

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned step = 0; step < FILL_STEPS + OUT_H * STEPS; ++step) {
#pragma HLS pipeline II=1
            if (reads_left != 0) {
                --reads_left;
                const Vec<T, LANES> word = in.read();
                if (in_row < USED_H) rows[unsigned(in_slot)][unsigned(in_word)] = word;
                if (wraps(in_word, ROW_WORDS)) {
                    wraps(in_slot, ROWS);
                    wraps(in_row, H);
                }
            }
            if (writes_left != 0) {
                --writes_left;
                const unsigned row = unsigned(first_slot) + unsigned(kh) * DH;
                const unsigned slot = row < ROWS ? row : row - ROWS;
                const unsigned col = unsigned(ow) * SW + unsigned(kw) * DW;
                out.write(rows[slot][col * GROUPS + unsigned(g)]);
                if (CHANNELWISE) {
                    if (wraps(kw, KW) && wraps(kh, KH) && wraps(g, GROUPS)) wraps(ow, OUT_W);
                } else {
                    if (wraps(g, GROUPS) && wraps(kw, KW) && wraps(kh, KH)) wraps(ow, OUT_W);
                }
            }
            if (--steps_left == 0) {
                const unsigned next_slot = unsigned(first_slot) + SH;
                if (phase != 0) first_slot = next_slot < ROWS ? next_slot : next_slot - ROWS;
                if (phase == OUT_H) {  // the next frame starts afresh
                    phase = 0;
                    steps_left = FILL_STEPS;
                    reads_left = FILL_READS;
                    in_slot = 0;
                    first_slot = 0;
                } else {
                    ++phase;
                    steps_left = STEPS;
                    reads_left = phase == OUT_H ? LAST_READS : NEXT_READS;
                    writes_left = WRITES;
                }
            }
        }
    }
}

}  // namespace detail

/// Patches for a convolution: for each output pixel, for each kernel row, kernel column and channel
/// group, the word there. No padding (see `pad`). The whole frame is read, also rows and columns that
/// no window covers.
///
/// In: H x W pixels of C/LANES words. Out: OUT_H x OUT_W pixels of KH*KW*C/LANES words, where
/// OUT_H = (H - ((KH-1)*DH+1)) / SH + 1 and OUT_W likewise.
///
/// Memory: (KH-1)*DH+1 + SH rows of W*C/LANES words (without the SH when OUT_H is 1).
/// Cycles a frame: fill + OUT_H * row, with G = C/LANES, settle = 8 if OUT_W*G < 8 else 0,
/// fill = ((KH-1)*DH+1)*W*G + settle, row = max(OUT_W*KH*KW*G, SH*W*G) + settle.
///
/// KH, KW: kernel; SH, SW: stride; DH, DW: dilation (vertical, horizontal).
template <typename T, unsigned LANES, unsigned C, unsigned H, unsigned W, unsigned KH, unsigned KW, unsigned SH,
          unsigned SW, unsigned DH, unsigned DW>
void sliding_window(hls::stream<Vec<T, LANES>>& in, hls::stream<Vec<T, LANES>>& out, unsigned frames) {
#pragma HLS inline
    detail::window<false, T, LANES, C, H, W, KH, KW, SH, SW, DH, DW>(in, out, frames);
}

/// Patches for depthwise convolution and pooling: for each output pixel, for each channel group, the
/// words of that group by kernel row and column. Otherwise as `sliding_window`.
template <typename T, unsigned LANES, unsigned C, unsigned H, unsigned W, unsigned KH, unsigned KW, unsigned SH,
          unsigned SW, unsigned DH, unsigned DW>
void sliding_window_channelwise(hls::stream<Vec<T, LANES>>& in, hls::stream<Vec<T, LANES>>& out, unsigned frames) {
#pragma HLS inline
    detail::window<true, T, LANES, C, H, W, KH, KW, SH, SW, DH, DW>(in, out, frames);
}

/// Patches for a convolution in words of TAPS neighbouring taps, all channels of each: the elements of
/// `sliding_window` with LANES = C, in the same order, TAPS * C of them in a word. TAPS divides KH * KW.
///
/// Each pixel that comes joins those above it, which the line memory holds, to a column; columns shift
/// through a window of registers. Where that is complete, its words go out.
///
/// Memory: (KH-1)*DH rows of W words, and a window of registers.
/// Cycles a frame: H*W + OUT_H*OUT_W * (KH*KW/TAPS - 1).
template <typename T, unsigned C, unsigned H, unsigned W, unsigned KH, unsigned KW, unsigned SH, unsigned SW, unsigned DH,
          unsigned DW, unsigned TAPS>
void sliding_window_taps(hls::stream<Vec<T, C>>& in, hls::stream<Vec<T, TAPS * C>>& out, unsigned frames) {
    static_assert(KH * KW % TAPS == 0, "TAPS must divide the window");
    constexpr unsigned REACH_H = (KH - 1) * DH + 1;  // rows and columns one window spans
    constexpr unsigned REACH_W = (KW - 1) * DW + 1;
    static_assert(REACH_H <= H && REACH_W <= W, "the window is larger than the image");
    constexpr unsigned OUT_H = (H - REACH_H) / SH + 1;
    constexpr unsigned OUT_W = (W - REACH_W) / SW + 1;
    constexpr unsigned PIECES = KH * KW / TAPS;
    constexpr unsigned STEPS = H * W + OUT_H * OUT_W * (PIECES - 1);

    Vec<Vec<T, C>, REACH_H> lines[W];  // the latest REACH_H pixels of each column, the latest first
#pragma HLS aggregate variable=lines compact=bit
#pragma HLS dependence variable=lines type=inter direction=RAW distance=W dependent=true
    Vec<T, C> window[REACH_H][REACH_W] = {};
#pragma HLS array_partition variable=window type=complete dim=0

    Counter<PIECES> piece = 0;
    Counter<H> row = 0;
    Counter<W> col = 0;
    bool is_window = false;

    for (unsigned frame = 0; frame < frames; ++frame) {
        for (unsigned step = 0; step < STEPS; ++step) {
#pragma HLS pipeline II=1
            if (piece == 0) {
                const Vec<Vec<T, C>, REACH_H> above = lines[unsigned(col)];
                Vec<Vec<T, C>, REACH_H> column;
                column.lane[0] = in.read();
                for (unsigned r = 1; r < REACH_H; ++r) {
#pragma HLS unroll
                    column.lane[r] = above.lane[r - 1];
                }
                lines[unsigned(col)] = column;
                for (unsigned r = 0; r < REACH_H; ++r) {
#pragma HLS unroll
                    for (unsigned c = 0; c + 1 < REACH_W; ++c) {
#pragma HLS unroll
                        window[r][c] = window[r][c + 1];
                    }
                    window[r][REACH_W - 1] = column.lane[REACH_H - 1 - r];
                }
                const unsigned end_row = unsigned(row) + 1, end_col = unsigned(col) + 1;
                is_window = end_row >= REACH_H && (end_row - REACH_H) % SH == 0 && end_col >= REACH_W &&
                            (end_col - REACH_W) % SW == 0;
                if (wraps(col, W)) wraps(row, H);
            }
            if (is_window) {
                Vec<T, TAPS * C> word;
                for (unsigned t = 0; t < TAPS; ++t) {
#pragma HLS unroll
                    const unsigned tap = unsigned(piece) * TAPS + t;
                    const Vec<T, C> pixel = window[tap / KW * DH][tap % KW * DW];
                    for (unsigned c = 0; c < C; ++c) {
#pragma HLS unroll
                        word.lane[t * C + c] = pixel.lane[c];
                    }
                }
                out.write(word);
                wraps(piece, PIECES);
            }
        }
    }
}

}  // namespace lepton
