// concat against a plain loop.
#include <lepton/concat.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename T, unsigned LANES, unsigned BLOCKS, unsigned WORDS_A, unsigned WORDS_B>
void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    const auto a = random_codes<T>(random, frames * BLOCKS * WORDS_A * LANES);
    const auto b = random_codes<T>(random, frames * BLOCKS * WORDS_B * LANES);
    Array<T> wanted;
    for (unsigned block = 0; block < frames * BLOCKS; ++block) {
        for (unsigned i = 0; i < WORDS_A * LANES; ++i) wanted.push_back(a[block * WORDS_A * LANES + i]);
        for (unsigned i = 0; i < WORDS_B * LANES; ++i) wanted.push_back(b[block * WORDS_B * LANES + i]);
    }
    hls::stream<Vec<T, LANES>> in_a("a"), in_b("b"), out("out");
    send<T, LANES>(in_a, a);
    send<T, LANES>(in_b, b);
    concat<T, LANES, BLOCKS, WORDS_A, WORDS_B>(in_a, in_b, out, frames);
    check.drained(in_a, "a");
    check.drained(in_b, "b");
    expect<T, LANES>(check, out, wanted);
}

int main() {
    Checker check("concat");
    Random random;
    run<ap_int<8>, 4, 9, 2, 3>(check, random);
    run<ap_uint<4>, 1, 1, 10, 1>(check, random);
    run<ap_int<16>, 2, 25, 1, 1>(check, random);
    return check.finish();
}
