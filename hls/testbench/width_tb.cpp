// convert_width keeps the elements in order, for multiples and for any other pair.
#include <lepton/width.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename T, unsigned FROM, unsigned TO, unsigned ELEMENTS> void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    const auto x = random_codes<T>(random, frames * ELEMENTS);
    hls::stream<Vec<T, FROM>> in("in");
    hls::stream<Vec<T, TO>> out("out");
    send<T, FROM>(in, x);
    convert_width<T, FROM, TO, ELEMENTS>(in, out, frames);
    check.drained(in, "in");
    expect<T, TO>(check, out, x);
}

int main() {
    Checker check("width");
    Random random;
    run<ap_int<8>, 4, 4, 40>(check, random);
    run<ap_int<8>, 16, 4, 64>(check, random);
    run<ap_int<8>, 1, 8, 64>(check, random);
    run<ap_uint<4>, 3, 16, 96>(check, random);
    run<ap_uint<4>, 16, 3, 96>(check, random);
    run<ap_int<16>, 4, 6, 24>(check, random);
    run<ap_int<16>, 6, 4, 24>(check, random);
    run<ap_int<8>, 5, 7, 35>(check, random);
    run<ap_int<8>, 7, 5, 70>(check, random);
    return check.finish();
}
