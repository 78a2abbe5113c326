// depthwise against a plain loop.
#include <lepton/depthwise.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename TI, typename TW, typename TA, unsigned C, unsigned PE, unsigned TAPS, unsigned PIXELS>
void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    static Vec<TW, PE> weights[(C / PE) * TAPS];
    static Vec<TA, PE> bias[C / PE];
    for (auto& word : weights)
        for (auto& w : word.lane) w = random.code<TW>();
    for (auto& word : bias)
        for (auto& b : word.lane) b = random.between(-20, 20);
    const auto x = random_codes<TI>(random, frames * PIXELS * C * TAPS);
    Array<long long> wanted;
    for (unsigned pixel = 0; pixel < frames * PIXELS; ++pixel)
        for (unsigned g = 0; g < C / PE; ++g)
            for (unsigned l = 0; l < PE; ++l) {
                long long sum = bias[g].lane[l];
                for (unsigned tap = 0; tap < TAPS; ++tap)
                    sum += static_cast<long long>(weights[g * TAPS + tap].lane[l]) *
                           static_cast<long long>(x[((pixel * (C / PE) + g) * TAPS + tap) * PE + l]);
                wanted.push_back(sum);
            }
    hls::stream<Vec<TI, PE>> in("in");
    hls::stream<Vec<TA, PE>> out("out");
    send<TI, PE>(in, x);
    depthwise<TI, TW, TA, C, PE, TAPS, PIXELS>(in, out, weights, bias, frames);
    check.drained(in, "in");
    expect<TA, PE>(check, out, wanted);
}

int main() {
    Checker check("depthwise");
    Random random;
    run<ap_int<8>, ap_int<8>, ap_int<20>, 16, 8, 9, 7>(check, random);
    run<ap_uint<8>, ap_int<8>, ap_int<21>, 6, 1, 9, 5>(check, random);
    run<ap_uint<4>, ap_int<4>, ap_int<13>, 5, 5, 25, 4>(check, random);
    run<ap_int<8>, ap_int<8>, ap_int<17>, 4, 2, 1, 3>(check, random);
    run<ap_int<16>, ap_int<16>, ap_int<36>, 4, 4, 9, 3>(check, random);
    return check.finish();
}
