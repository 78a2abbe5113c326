// pad against a plain loop.
#include <lepton/pad.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename T, unsigned LANES, unsigned C, unsigned H, unsigned W, unsigned TOP, unsigned LEFT, unsigned BOTTOM,
          unsigned RIGHT>
void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    const T value = random.code<T>();
    const auto x = random_codes<T>(random, frames * H * W * C);
    Array<T> wanted;
    for (unsigned f = 0; f < frames; ++f)
        for (unsigned row = 0; row < TOP + H + BOTTOM; ++row)
            for (unsigned col = 0; col < LEFT + W + RIGHT; ++col)
                for (unsigned c = 0; c < C; ++c) {
                    const int h = int(row) - int(TOP), w = int(col) - int(LEFT);
                    const bool is_image = h >= 0 && h < int(H) && w >= 0 && w < int(W);
                    wanted.push_back(is_image ? x[((f * H + h) * W + w) * C + c] : value);
                }
    hls::stream<Vec<T, LANES>> in("in"), out("out");
    send<T, LANES>(in, x);
    pad<T, LANES, C, H, W, TOP, LEFT, BOTTOM, RIGHT>(in, out, value, frames);
    check.drained(in, "in");
    expect<T, LANES>(check, out, wanted);
}

int main() {
    Checker check("pad");
    Random random;
    run<ap_int<8>, 4, 8, 5, 6, 1, 1, 1, 1>(check, random);
    run<ap_int<8>, 3, 3, 4, 4, 0, 0, 1, 1>(check, random);
    run<ap_uint<4>, 1, 2, 3, 5, 3, 0, 0, 2>(check, random);
    run<ap_int<8>, 2, 2, 1, 1, 0, 0, 0, 0>(check, random);
    return check.finish();
}
