// sliding_window and sliding_window_channelwise against plain loops.
#include <lepton/window.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <bool CHANNELWISE, typename T, unsigned LANES, unsigned C, unsigned H, unsigned W, unsigned KH, unsigned KW,
          unsigned SH, unsigned SW, unsigned DH, unsigned DW>
void run_order(Checker& check, Random& random) {
    const unsigned frames = 3;
    const auto image = random_codes<T>(random, frames * H * W * C);
    Array<T> wanted;
    auto word = [&](unsigned f, unsigned oh, unsigned ow, unsigned kh, unsigned kw, unsigned g) {
        for (unsigned l = 0; l < LANES; ++l)
            wanted.push_back(image[((f * H + oh * SH + kh * DH) * W + ow * SW + kw * DW) * C + g * LANES + l]);
    };
    for (unsigned f = 0; f < frames; ++f)
        for (unsigned oh = 0; oh * SH + (KH - 1) * DH < H; ++oh)
            for (unsigned ow = 0; ow * SW + (KW - 1) * DW < W; ++ow) {
                if (CHANNELWISE) {
                    for (unsigned g = 0; g < C / LANES; ++g)
                        for (unsigned kh = 0; kh < KH; ++kh)
                            for (unsigned kw = 0; kw < KW; ++kw) word(f, oh, ow, kh, kw, g);
                } else {
                    for (unsigned kh = 0; kh < KH; ++kh)
                        for (unsigned kw = 0; kw < KW; ++kw)
                            for (unsigned g = 0; g < C / LANES; ++g) word(f, oh, ow, kh, kw, g);
                }
            }
    hls::stream<Vec<T, LANES>> in("in"), out("out");
    send<T, LANES>(in, image);
    if (CHANNELWISE) {
        sliding_window_channelwise<T, LANES, C, H, W, KH, KW, SH, SW, DH, DW>(in, out, frames);
    } else {
        sliding_window<T, LANES, C, H, W, KH, KW, SH, SW, DH, DW>(in, out, frames);
    }
    check.drained(in, "in");
    expect<T, LANES>(check, out, wanted);
}

template <typename T, unsigned LANES, unsigned C, unsigned H, unsigned W, unsigned KH, unsigned KW, unsigned SH,
          unsigned SW, unsigned DH, unsigned DW>
void run(Checker& check, Random& random) {
    run_order<false, T, LANES, C, H, W, KH, KW, SH, SW, DH, DW>(check, random);
    run_order<true, T, LANES, C, H, W, KH, KW, SH, SW, DH, DW>(check, random);
}

template <typename T, unsigned C, unsigned H, unsigned W, unsigned KH, unsigned KW, unsigned SH, unsigned SW, unsigned DH,
          unsigned DW, unsigned TAPS>
void run_taps(Checker& check, Random& random) {
    const unsigned frames = 3;
    const auto image = random_codes<T>(random, frames * H * W * C);
    Array<T> wanted;
    for (unsigned f = 0; f < frames; ++f)
        for (unsigned oh = 0; oh * SH + (KH - 1) * DH < H; ++oh)
            for (unsigned ow = 0; ow * SW + (KW - 1) * DW < W; ++ow)
                for (unsigned tap = 0; tap < KH * KW; ++tap)
                    for (unsigned c = 0; c < C; ++c)
                        wanted.push_back(
                            image[((f * H + oh * SH + tap / KW * DH) * W + ow * SW + tap % KW * DW) * C + c]);
    hls::stream<Vec<T, C>> in("in");
    hls::stream<Vec<T, TAPS * C>> out("out");
    send<T, C>(in, image);
    sliding_window_taps<T, C, H, W, KH, KW, SH, SW, DH, DW, TAPS>(in, out, frames);
    check.drained(in, "in");
    expect<T, TAPS * C>(check, out, wanted);
}

int main() {
    Checker check("window");
    Random random;
    run<ap_int<8>, 4, 8, 10, 10, 3, 3, 1, 1, 1, 1>(check, random);
    run<ap_int<8>, 3, 3, 9, 12, 3, 3, 2, 2, 1, 1>(check, random);
    run<ap_int<8>, 1, 2, 8, 7, 1, 1, 2, 2, 1, 1>(check, random);   // subsampling with unused edges
    run<ap_int<8>, 2, 4, 9, 8, 1, 1, 3, 3, 1, 1>(check, random);
    run<ap_int<8>, 2, 2, 5, 5, 1, 1, 1, 1, 1, 1>(check, random);   // the identity
    run<ap_uint<4>, 2, 6, 11, 9, 3, 2, 2, 3, 2, 3>(check, random);  // dilated
    run<ap_int<16>, 5, 5, 12, 6, 2, 2, 5, 2, 1, 1>(check, random);  // stride above the window, rows unused
    run<ap_int<8>, 4, 4, 7, 7, 7, 7, 1, 1, 1, 1>(check, random);   // one window
    run<ap_int<8>, 4, 4, 9, 9, 7, 7, 4, 4, 1, 1>(check, random);   // one window, edges unused
    run<ap_int<8>, 2, 2, 1, 32, 1, 5, 1, 1, 1, 2>(check, random);  // one-dimensional
    run<ap_int<8>, 1, 1, 32, 1, 5, 1, 2, 1, 3, 1>(check, random);
    run<ap_uint<1>, 8, 8, 2, 2, 2, 2, 2, 2, 1, 1>(check, random);
    run_taps<ap_int<8>, 3, 8, 7, 3, 3, 1, 1, 1, 1, 3>(check, random);
    run_taps<ap_int<8>, 1, 9, 10, 5, 5, 1, 1, 1, 1, 25>(check, random);
    run_taps<ap_int<8>, 2, 9, 8, 3, 2, 2, 2, 1, 1, 6>(check, random);
    run_taps<ap_uint<4>, 2, 11, 9, 3, 2, 2, 3, 2, 3, 2>(check, random);  // dilated
    run_taps<ap_int<16>, 1, 12, 6, 2, 2, 5, 2, 1, 1, 4>(check, random);  // stride above the window
    run_taps<ap_int<8>, 2, 1, 12, 1, 5, 1, 1, 1, 2, 5>(check, random);   // one-dimensional
    run_taps<ap_uint<1>, 4, 2, 2, 2, 2, 2, 2, 1, 1, 2>(check, random);
    return check.finish();
}
