// Simulation speed of convolutions (sliding window + matrix-vector unit), by folding. Prints GMAC per
// second of CPU time; not a test.
#include <lepton/mvu.hpp>
#include <lepton/window.hpp>

#include <ctime>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename TI, typename TW, typename TA, unsigned H, unsigned CI, unsigned CO, unsigned PE, unsigned SIMD>
void measure(const char* types) {
    constexpr unsigned KERNEL = 3;
    constexpr unsigned OUT = H - KERNEL + 1;
    constexpr unsigned COLS = KERNEL * KERNEL * CI;
    static Tile<TW, PE, SIMD> weights[(CO / PE) * (COLS / SIMD)];
    static Vec<TA, PE> bias[CO / PE];
    Random random;
    for (auto& tile : weights)
        for (auto& row : tile.at)
            for (auto& w : row) w = random.code<TW>();
    for (auto& word : bias) word = filled<PE>(TA(3));

    const double macs_a_frame = double(OUT) * OUT * COLS * CO;
    const unsigned frames = unsigned(2e8 / macs_a_frame) + 1;
    const auto image = random_codes<TI>(random, H * H * CI);
    hls::stream<Vec<TI, SIMD>> in("in"), windows("windows");
    hls::stream<Vec<TA, PE>> out("out");
    double window_s = 0;
    double mvu_s = 0;
    long long sum = 0;
    for (unsigned f = 0; f < frames; ++f) {
        send<TI, SIMD>(in, image);
        const std::clock_t start = std::clock();
        sliding_window<TI, SIMD, CI, H, H, KERNEL, KERNEL, 1, 1, 1, 1>(in, windows, 1);
        const std::clock_t middle = std::clock();
        matrix_vector<TI, TW, TA, CO, COLS, PE, SIMD, OUT * OUT>(windows, out, weights, bias, 1);
        const std::clock_t end = std::clock();
        window_s += double(middle - start) / CLOCKS_PER_SEC;
        mvu_s += double(end - middle) / CLOCKS_PER_SEC;
        while (!out.empty()) sum += out.read().lane[0];
    }
    const double gmac = macs_a_frame * frames / 1e9;
    std::printf("%-10s H %2u CI %3u CO %3u PE %2u SIMD %2u: %6.2f GMAC/s, mvu alone %6.2f (sum %lld)\n", types, H, CI,
                CO, PE, SIMD, gmac / (window_s + mvu_s), gmac / mvu_s, sum);
}

int main() {
    using S8 = ap_int<8>;
    measure<S8, S8, ap_int<24>, 34, 3, 16, 16, 3>("int8");
    measure<S8, S8, ap_int<24>, 34, 16, 16, 16, 16>("int8");
    measure<S8, S8, ap_int<20>, 34, 16, 16, 8, 8>("int8");
    measure<S8, S8, ap_int<24>, 18, 32, 32, 16, 16>("int8");
    measure<S8, S8, ap_int<24>, 18, 32, 32, 8, 8>("int8");
    measure<S8, S8, ap_int<24>, 18, 32, 32, 4, 8>("int8");
    measure<S8, S8, ap_int<24>, 18, 32, 32, 4, 4>("int8");
    measure<S8, S8, ap_int<24>, 18, 32, 32, 2, 4>("int8");
    measure<S8, S8, ap_int<24>, 18, 32, 32, 2, 2>("int8");
    measure<S8, S8, ap_int<24>, 18, 32, 32, 4, 1>("int8");
    measure<S8, S8, ap_int<24>, 18, 32, 32, 1, 8>("int8");
    measure<S8, S8, ap_int<24>, 18, 32, 32, 1, 1>("int8");
    measure<S8, S8, ap_int<24>, 10, 64, 64, 16, 32>("int8");
    measure<S8, S8, ap_int<24>, 10, 64, 64, 32, 32>("int8");
    measure<ap_uint<8>, S8, ap_int<24>, 18, 32, 32, 8, 8>("uint8xint8");
    measure<ap_uint<4>, ap_int<4>, ap_int<16>, 18, 32, 32, 8, 8>("uint4xint4");
    return 0;
}
