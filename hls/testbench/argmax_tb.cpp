// argmax against a plain loop, with many ties.
#include <lepton/argmax.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename T, typename TO, unsigned C, unsigned LANES, unsigned PIXELS>
void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    const auto x = random_codes<T>(random, frames * PIXELS * C);
    Array<long long> wanted;
    for (unsigned pixel = 0; pixel < frames * PIXELS; ++pixel) {
        unsigned best = 0;
        for (unsigned c = 1; c < C; ++c)
            if (x[pixel * C + c] > x[pixel * C + best]) best = c;
        wanted.push_back(best);
    }
    hls::stream<Vec<T, LANES>> in("in");
    hls::stream<Vec<TO, 1>> out("out");
    send<T, LANES>(in, x);
    argmax<T, TO, C, LANES, PIXELS>(in, out, frames);
    check.drained(in, "in");
    expect<TO, 1>(check, out, wanted);
}

int main() {
    Checker check("argmax");
    Random random;
    run<ap_int<8>, ap_uint<4>, 10, 1, 20>(check, random);
    run<ap_int<3>, ap_uint<6>, 40, 8, 20>(check, random);
    run<ap_uint<2>, ap_uint<3>, 6, 6, 20>(check, random);
    run<ap_int<24>, ap_uint<10>, 1000, 4, 2>(check, random);
    run<ap_int<8>, ap_uint<1>, 1, 1, 5>(check, random);
    return check.finish();
}
