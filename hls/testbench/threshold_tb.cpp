// threshold against a plain count, below and above the 15 levels compared in parallel.
#include <lepton/threshold.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

#include <algorithm>

template <typename TA, typename TO, unsigned LEVELS, unsigned C, unsigned LANES, unsigned PIXELS>
void run(Checker& check, Random& random, long long lowest) {
    const unsigned frames = 3;
    constexpr unsigned WORDS = PIXELS * C / LANES;
    static Vec<TA, LANES> thresholds[(C / LANES) * LEVELS];
    for (unsigned g = 0; g < C / LANES; ++g)
        for (unsigned l = 0; l < LANES; ++l) {
            long long sorted[LEVELS];
            for (auto& t : sorted) t = random.code<TA>();
            std::sort(sorted, sorted + LEVELS);
            for (unsigned k = 0; k < LEVELS; ++k) thresholds[g * LEVELS + k].lane[l] = sorted[k];
        }
    auto x = random_codes<TA>(random, frames * PIXELS * C);
    for (unsigned i = 0; i < x.size(); i += 3)  // meet thresholds exactly, too
        x[i] = thresholds[i % C / LANES * LEVELS + i % LEVELS].lane[i % LANES];
    Array<long long> wanted;
    for (unsigned i = 0; i < x.size(); ++i) {
        long long count = lowest;
        for (unsigned k = 0; k < LEVELS; ++k)
            count += x[i] >= thresholds[i % C / LANES * LEVELS + k].lane[i % LANES] ? 1 : 0;
        wanted.push_back(count);
    }
    hls::stream<Vec<TA, LANES>> in("in");
    hls::stream<Vec<TO, LANES>> out("out");
    send<TA, LANES>(in, x);
    threshold<TA, TO, LEVELS, C, LANES, WORDS>(in, out, thresholds, TO(lowest), frames);
    check.drained(in, "in");
    expect<TO, LANES>(check, out, wanted);
}

int main() {
    Checker check("threshold");
    Random random;
    run<ap_int<12>, ap_uint<1>, 1, 4, 2, 30>(check, random, 0);
    run<ap_int<16>, ap_int<4>, 15, 8, 8, 40>(check, random, -8);
    run<ap_int<16>, ap_int<5>, 16, 8, 2, 40>(check, random, -8);
    run<ap_int<20>, ap_int<8>, 255, 4, 1, 60>(check, random, -128);
    run<ap_int<20>, ap_uint<8>, 200, 4, 4, 60>(check, random, 0);
    run<ap_int<8>, ap_uint<6>, 37, 3, 3, 100>(check, random, 5);
    return check.finish();
}
