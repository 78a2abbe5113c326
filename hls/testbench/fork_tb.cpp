// fork copies its input twice.
#include <lepton/fork.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename T, unsigned LANES, unsigned WORDS> void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    const auto x = random_codes<T>(random, frames * WORDS * LANES);
    hls::stream<Vec<T, LANES>> in("in"), out0("out0"), out1("out1");
    send<T, LANES>(in, x);
    lepton::fork<T, LANES, WORDS>(in, out0, out1, frames);
    check.drained(in, "in");
    expect<T, LANES>(check, out0, x);
    expect<T, LANES>(check, out1, x);
}

int main() {
    Checker check("fork");
    Random random;
    run<ap_int<8>, 4, 50>(check, random);
    run<ap_uint<3>, 1, 7>(check, random);
    run<ap_int<64>, 3, 1>(check, random);
    return check.finish();
}
