// lookup against plain indexing.
#include <lepton/lookup.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename TI, typename TO, unsigned ENTRIES, unsigned C, unsigned LANES, unsigned PIXELS>
void run(Checker& check, Random& random, long long lowest) {
    const unsigned frames = 3;
    constexpr unsigned WORDS = PIXELS * C / LANES;
    static Vec<TO, LANES> table[(C / LANES) * ENTRIES];
    for (auto& word : table)
        for (auto& entry : word.lane) entry = random.code<TO>();
    Array<TI> x(frames * PIXELS * C);
    Array<TO> wanted;
    for (unsigned i = 0; i < x.size(); ++i) {
        const long long entry = random.between(0, ENTRIES - 1);
        x[i] = lowest + entry;
        wanted.push_back(table[i % C / LANES * ENTRIES + entry].lane[i % LANES]);
    }
    hls::stream<Vec<TI, LANES>> in("in");
    hls::stream<Vec<TO, LANES>> out("out");
    send<TI, LANES>(in, x);
    lookup<TI, TO, ENTRIES, C, LANES, WORDS>(in, out, table, TI(lowest), frames);
    check.drained(in, "in");
    expect<TO, LANES>(check, out, wanted);
}

int main() {
    Checker check("lookup");
    Random random;
    run<ap_int<8>, ap_int<8>, 256, 4, 4, 100>(check, random, -128);
    run<ap_uint<8>, ap_int<16>, 256, 6, 2, 100>(check, random, 0);
    run<ap_int<4>, ap_uint<8>, 11, 8, 1, 20>(check, random, -5);
    run<ap_int<16>, ap_int<8>, 1000, 2, 2, 400>(check, random, -700);
    return check.finish();
}
