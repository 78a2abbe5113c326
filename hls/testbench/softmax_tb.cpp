// softmax against the definition in plain integers.
#include <lepton/softmax.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename TI, typename TO, unsigned C, unsigned LANES, unsigned PIXELS, unsigned ENTRIES>
void run(Checker& check, Random& random, unsigned numerator, unsigned denominator, int zero_point, long long lowest,
         long long highest) {
    const unsigned frames = 3;
    static ap_uint<32> exp_table[ENTRIES];
    unsigned long long e = (1u << 24) - 1;
    for (auto& entry : exp_table) {
        entry = e;
        e = e * 29 / 32;
    }
    const auto x = random_codes<TI>(random, frames * PIXELS * C);
    Array<long long> wanted;
    for (unsigned pixel = 0; pixel < frames * PIXELS; ++pixel) {
        long long largest = x[pixel * C];
        for (unsigned c = 1; c < C; ++c)
            if (static_cast<long long>(x[pixel * C + c]) > largest) largest = x[pixel * C + c];
        unsigned long long exps[C], sum = 0;
        for (unsigned c = 0; c < C; ++c) {
            exps[c] = exp_table[largest - static_cast<long long>(x[pixel * C + c])];
            sum += exps[c];
        }
        for (unsigned c = 0; c < C; ++c) {
            const unsigned long long divisor = sum * denominator;
            const long long code =
                static_cast<long long>((2 * exps[c] * numerator + divisor) / (2 * divisor)) + zero_point;
            wanted.push_back(code < lowest ? lowest : code > highest ? highest : code);
        }
    }
    hls::stream<Vec<TI, LANES>> in("in");
    hls::stream<Vec<TO, LANES>> out("out");
    send<TI, LANES>(in, x);
    softmax<TI, TO, C, LANES, PIXELS, ENTRIES>(in, out, exp_table, numerator, denominator, zero_point, TO(lowest),
                                               TO(highest), frames);
    check.drained(in, "in");
    expect<TO, LANES>(check, out, wanted);
}

int main() {
    Checker check("softmax");
    Random random;
    run<ap_int<8>, ap_int<8>, 10, 1, 20, 256>(check, random, 256, 1, -128, -128, 127);
    run<ap_int<8>, ap_uint<8>, 12, 4, 20, 256>(check, random, 32767, 128, 0, 0, 255);
    run<ap_uint<4>, ap_uint<8>, 100, 10, 4, 16>(check, random, 32767, 3, 5, 0, 255);
    run<ap_int<4>, ap_int<4>, 3, 3, 50, 16>(check, random, 100, 32767, 1, -8, 7);
    run<ap_int<8>, ap_int<16>, 4096, 2, 1, 256>(check, random, 32767, 1, -32768, -32768, 32767);
    return check.finish();
}
