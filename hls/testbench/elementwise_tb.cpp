// scaled_add, multiply and multiply_channels against plain loops.
#include <lepton/elementwise.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename TA_, typename TB_, typename TO, unsigned LANES, unsigned C, unsigned PIXELS>
void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    constexpr unsigned WORDS = PIXELS * C / LANES;
    const auto a = random_codes<TA_>(random, frames * PIXELS * C);
    const auto b = random_codes<TB_>(random, frames * PIXELS * C);
    const auto b_channels = random_codes<TB_>(random, frames * C);
    const TO scale_a = 5, scale_b = -3, offset = 11;
    const TA_ zero_a = random.code<TA_>();
    const TB_ zero_b = random.code<TB_>();
    Array<long long> sums, products, channel_products;
    for (unsigned i = 0; i < a.size(); ++i) {
        const long long x = a[i], y = b[i], y_channel = b_channels[i / (PIXELS * C) * C + i % C];
        const long long x0 = zero_a, y0 = zero_b;
        sums.push_back(5 * x - 3 * y + 11);
        products.push_back((x - x0) * (y - y0));
        channel_products.push_back((x - x0) * (y_channel - y0));
    }
    hls::stream<Vec<TA_, LANES>> in_a("a");
    hls::stream<Vec<TB_, LANES>> in_b("b");
    hls::stream<Vec<TO, LANES>> out("out");

    send<TA_, LANES>(in_a, a);
    send<TB_, LANES>(in_b, b);
    scaled_add<TA_, TB_, TO, LANES, WORDS>(in_a, in_b, out, scale_a, scale_b, offset, frames);
    expect<TO, LANES>(check, out, sums);

    send<TA_, LANES>(in_a, a);
    send<TB_, LANES>(in_b, b);
    multiply<TA_, TB_, TO, LANES, WORDS>(in_a, in_b, out, zero_a, zero_b, frames);
    expect<TO, LANES>(check, out, products);

    send<TA_, LANES>(in_a, a);
    send<TB_, LANES>(in_b, b_channels);
    multiply_channels<TA_, TB_, TO, LANES, C, PIXELS>(in_a, in_b, out, zero_a, zero_b, frames);
    expect<TO, LANES>(check, out, channel_products);

    check.drained(in_a, "a");
    check.drained(in_b, "b");
}

int main() {
    Checker check("elementwise");
    Random random;
    run<ap_int<8>, ap_int<8>, ap_int<18>, 4, 16, 6>(check, random);
    run<ap_int<8>, ap_uint<8>, ap_int<20>, 1, 3, 5>(check, random);
    run<ap_uint<4>, ap_int<5>, ap_int<12>, 6, 6, 4>(check, random);
    run<ap_int<16>, ap_int<16>, ap_int<34>, 2, 8, 3>(check, random);
    return check.finish();
}
