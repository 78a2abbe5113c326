// slice against a plain loop.
#include <lepton/slice.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename T, unsigned LANES, unsigned BLOCKS, unsigned BLOCK_WORDS, unsigned BEGIN, unsigned END>
void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    const auto x = random_codes<T>(random, frames * BLOCKS * BLOCK_WORDS * LANES);
    Array<T> wanted;
    for (unsigned block = 0; block < frames * BLOCKS; ++block)
        for (unsigned i = BEGIN * LANES; i < END * LANES; ++i) wanted.push_back(x[block * BLOCK_WORDS * LANES + i]);
    hls::stream<Vec<T, LANES>> in("in"), out("out");
    send<T, LANES>(in, x);
    slice<T, LANES, BLOCKS, BLOCK_WORDS, BEGIN, END>(in, out, frames);
    check.drained(in, "in");
    expect<T, LANES>(check, out, wanted);
}

int main() {
    Checker check("slice");
    Random random;
    run<ap_int<8>, 4, 9, 5, 1, 3>(check, random);
    run<ap_int<8>, 1, 4, 6, 0, 2>(check, random);
    run<ap_uint<2>, 2, 4, 6, 5, 6>(check, random);
    run<ap_int<8>, 2, 3, 4, 0, 4>(check, random);
    return check.finish();
}
