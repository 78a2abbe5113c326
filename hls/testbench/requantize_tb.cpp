// requantize and requantize_half_even against plain loops.
#include <lepton/requantize.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename TA, typename TM, typename TB, typename TO, unsigned SHIFT, unsigned C, unsigned LANES,
          unsigned PIXELS>
void run(Checker& check, Random& random, long long lowest, long long highest) {
    const unsigned frames = 3;
    constexpr unsigned WORDS = PIXELS * C / LANES;
    static Vec<TM, LANES> multiplier[C / LANES];
    static Vec<TB, LANES> addend[C / LANES];
    for (auto& word : multiplier)
        for (auto& m : word.lane) m = random.code<TM>();
    for (auto& word : addend)
        for (auto& a : word.lane) a = random.between(-1000, 1000);
    auto x = random_codes<TA>(random, frames * PIXELS * C);
    // Half of the values small, so that not all results are clamped and halves occur.
    for (unsigned i = 0; i < x.size(); i += 2) x[i] = random.between(-64, 63);
    Array<long long> down, even;
    for (unsigned i = 0; i < x.size(); ++i) {
        const unsigned g = i % C / LANES, l = i % LANES;
        const long long m = multiplier[g].lane[l], b = addend[g].lane[l], acc = x[i];
        const long long sum = m * acc + b;
        const long long unit = 1LL << SHIFT;
        long long quotient = sum / unit, rest = sum % unit;
        if (rest < 0) {
            rest += unit;
            --quotient;
        }
        auto limited = [&](long long value) { return value < lowest ? lowest : value > highest ? highest : value; };
        down.push_back(limited(quotient));
        const bool up = 2 * rest > unit || (2 * rest == unit && quotient % 2 != 0);
        even.push_back(limited(quotient + (up ? 1 : 0)));
    }
    hls::stream<Vec<TA, LANES>> in("in");
    hls::stream<Vec<TO, LANES>> out("out");
    send<TA, LANES>(in, x);
    requantize<TA, TM, TB, TO, SHIFT, C, LANES, WORDS>(in, out, multiplier, addend, TO(lowest), TO(highest), frames);
    check.drained(in, "in");
    expect<TO, LANES>(check, out, down);
    send<TA, LANES>(in, x);
    requantize_half_even<TA, TM, TB, TO, SHIFT, C, LANES, WORDS>(in, out, multiplier, addend, TO(lowest), TO(highest),
                                                                 frames);
    check.drained(in, "in");
    expect<TO, LANES>(check, out, even);
}

int main() {
    Checker check("requantize");
    Random random;
    run<ap_int<20>, ap_int<16>, ap_int<38>, ap_int<8>, 14, 16, 8, 50>(check, random, -128, 127);
    run<ap_int<24>, ap_uint<24>, ap_int<50>, ap_int<8>, 24, 4, 4, 50>(check, random, -100, 127);
    run<ap_int<16>, ap_uint<8>, ap_int<26>, ap_uint<8>, 6, 6, 1, 50>(check, random, 0, 255);
    run<ap_int<12>, ap_uint<3>, ap_int<17>, ap_uint<4>, 3, 6, 3, 200>(check, random, 0, 15);
    run<ap_int<10>, ap_uint<1>, ap_int<13>, ap_int<9>, 1, 2, 2, 300>(check, random, -256, 255);
    run<ap_int<30>, ap_int<31>, ap_int<63>, ap_int<16>, 33, 8, 2, 50>(check, random, -32768, 32767);
    return check.finish();
}
