// repeat_nearest and insert_zeros against plain loops.
#include <lepton/stretch.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename T, unsigned LANES, unsigned C, unsigned H, unsigned W, unsigned SH, unsigned SW>
void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    const T value = random.code<T>();
    const auto x = random_codes<T>(random, frames * H * W * C);
    Array<T> repeated, spread;
    for (unsigned f = 0; f < frames; ++f) {
        for (unsigned row = 0; row < H * SH; ++row)
            for (unsigned col = 0; col < W * SW; ++col)
                for (unsigned c = 0; c < C; ++c) repeated.push_back(x[((f * H + row / SH) * W + col / SW) * C + c]);
        for (unsigned row = 0; row < (H - 1) * SH + 1; ++row)
            for (unsigned col = 0; col < (W - 1) * SW + 1; ++col)
                for (unsigned c = 0; c < C; ++c) {
                    const bool is_pixel = row % SH == 0 && col % SW == 0;
                    spread.push_back(is_pixel ? x[((f * H + row / SH) * W + col / SW) * C + c] : value);
                }
    }
    hls::stream<Vec<T, LANES>> in("in"), out("out");
    send<T, LANES>(in, x);
    repeat_nearest<T, LANES, C, H, W, SH, SW>(in, out, frames);
    check.drained(in, "in");
    expect<T, LANES>(check, out, repeated);
    send<T, LANES>(in, x);
    insert_zeros<T, LANES, C, H, W, SH, SW>(in, out, value, frames);
    check.drained(in, "in");
    expect<T, LANES>(check, out, spread);
}

int main() {
    Checker check("stretch");
    Random random;
    run<ap_int<8>, 4, 8, 5, 6, 2, 2>(check, random);
    run<ap_int<8>, 3, 3, 4, 3, 3, 1>(check, random);
    run<ap_uint<4>, 1, 2, 3, 5, 1, 4>(check, random);
    run<ap_int<8>, 2, 2, 1, 1, 2, 3>(check, random);
    run<ap_int<8>, 2, 2, 3, 3, 1, 1>(check, random);
    return check.finish();
}
