// The four pools against plain loops.
#include <lepton/pool.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename T, typename TA, unsigned C, unsigned PE, unsigned TAPS, unsigned PIXELS>
void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    constexpr unsigned GROUPS = C / PE;
    const TA offset = -37;
    {
        const auto x = random_codes<T>(random, frames * PIXELS * C * TAPS);
        Array<long long> largest, sums;
        for (unsigned result = 0; result < frames * PIXELS * GROUPS; ++result)
            for (unsigned l = 0; l < PE; ++l) {
                long long most = x[result * TAPS * PE + l];
                long long sum = offset;
                for (unsigned tap = 0; tap < TAPS; ++tap) {
                    const long long value = x[(result * TAPS + tap) * PE + l];
                    if (value > most) most = value;
                    sum += value;
                }
                largest.push_back(most);
                sums.push_back(sum);
            }
        hls::stream<Vec<T, PE>> in("in"), maxima("maxima");
        hls::stream<Vec<TA, PE>> out("out");
        send<T, PE>(in, x);
        max_pool<T, C, PE, TAPS, PIXELS>(in, maxima, frames);
        check.drained(in, "in");
        expect<T, PE>(check, maxima, largest);
        send<T, PE>(in, x);
        sum_pool<T, TA, C, PE, TAPS, PIXELS>(in, out, offset, frames);
        check.drained(in, "in");
        expect<TA, PE>(check, out, sums);
    }
    {
        const auto x = random_codes<T>(random, frames * PIXELS * C);
        Array<long long> largest, sums;
        for (unsigned f = 0; f < frames; ++f)
            for (unsigned c = 0; c < C; ++c) {
                long long most = x[f * PIXELS * C + c];
                long long sum = offset;
                for (unsigned pixel = 0; pixel < PIXELS; ++pixel) {
                    const long long value = x[(f * PIXELS + pixel) * C + c];
                    if (value > most) most = value;
                    sum += value;
                }
                largest.push_back(most);
                sums.push_back(sum);
            }
        hls::stream<Vec<T, PE>> in("in"), maxima("maxima");
        hls::stream<Vec<TA, PE>> out("out");
        send<T, PE>(in, x);
        global_max<T, C, PE, PIXELS>(in, maxima, frames);
        check.drained(in, "in");
        expect<T, PE>(check, maxima, largest);
        send<T, PE>(in, x);
        global_sum<T, TA, C, PE, PIXELS>(in, out, offset, frames);
        check.drained(in, "in");
        expect<TA, PE>(check, out, sums);
    }
}

int main() {
    Checker check("pool");
    Random random;
    run<ap_int<8>, ap_int<16>, 16, 8, 4, 16>(check, random);
    run<ap_uint<8>, ap_int<20>, 6, 1, 9, 25>(check, random);
    run<ap_int<4>, ap_int<10>, 5, 5, 3, 6>(check, random);
    run<ap_int<16>, ap_int<36>, 12, 3, 1, 1>(check, random);
    return check.finish();
}
