// matrix_vector against a plain loop, at several shapes, foldings and widths.
#include <lepton/mvu.hpp>

#include <type_traits>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

/// PRODUCTS as in matrix_vector, where the weights are signs. The bias then makes up for what these leave out.
template <typename TI, typename TW, typename TA, unsigned ROWS, unsigned COLS, unsigned PE, unsigned SIMD,
          unsigned VECTORS, typename PRODUCTS = Multiplier<true>, unsigned FIELDS = 1, unsigned FIELD_BITS = 0,
          unsigned CHAIN = 1>
void run(Checker& check, Random& random) {
    constexpr bool ARE_BIPOLAR = std::is_same<PRODUCTS, EqualSigns>::value;
    constexpr bool ARE_SIGNS = ARE_BIPOLAR || std::is_same<PRODUCTS, Negation>::value;
    const unsigned frames = 3;
    static Tile<TW, PE, SIMD> weights[(ROWS / PE) * (COLS / SIMD)];
    static Vec<TA, PE> bias[ROWS / PE];
    auto weight = [&](unsigned r, unsigned c) -> TW& {
        return weights[r / PE * (COLS / SIMD) + c / SIMD].at[r % PE][c % SIMD];
    };
    for (unsigned r = 0; r < ROWS; ++r) {
        bias[r / PE].lane[r % PE] = random.between(-40, 40);
        for (unsigned c = 0; c < COLS; ++c) {
            weight(r, c) = random.code<TW>();
            // Of the lowest weight nothing can be borrowed.
            if (FIELDS > 1 && weight(r, c) == -(1 << (TW::width - 1))) weight(r, c) = 0;
        }
    }
    const auto x = random_codes<TI>(random, frames * VECTORS * COLS);
    Array<long long> wanted;
    for (unsigned v = 0; v < frames * VECTORS; ++v)
        for (unsigned r = 0; r < ROWS; ++r) {
            long long sum = bias[r / PE].lane[r % PE];
            for (unsigned c = 0; c < COLS; ++c) {
                const long long w = static_cast<long long>(weight(r, c));
                const long long code = static_cast<long long>(x[v * COLS + c]);
                if (ARE_SIGNS) sum += (2 * w - 1) * (ARE_BIPOLAR ? 2 * code - 1 : code);
                else sum += w * code;
            }
            wanted.push_back(sum);
        }
    // Of rows that share a factor, one that is stored as negative borrows from the next.
    for (unsigned r = 1; r < ROWS; ++r)
        for (unsigned c = 0; r % FIELDS != 0 && c < COLS; ++c) weight(r, c) -= weight(r - 1, c) < 0;
    for (unsigned r = 0; ARE_SIGNS && r < ROWS; ++r)
        for (unsigned c = 0; c < COLS; ++c) {
            const long long left_out = ARE_BIPOLAR ? -1 : weight(r, c) == 0 ? 1 : 0;
            bias[r / PE].lane[r % PE] = static_cast<long long>(bias[r / PE].lane[r % PE]) + left_out;
        }

    hls::stream<Vec<TI, SIMD>> in("in");
    hls::stream<Vec<TA, PE>> out("out");
    send<TI, SIMD>(in, x);
    matrix_vector<TI, TW, TA, ROWS, COLS, PE, SIMD, VECTORS, true, PRODUCTS, FIELDS, FIELD_BITS, CHAIN>(
        in, out, weights, bias, frames);
    check.drained(in, "in");
    expect<TA, PE>(check, out, wanted);
}

int main() {
    Checker check("mvu");
    Random random;
    run<ap_int<8>, ap_int<8>, ap_int<24>, 16, 144, 16, 16, 5>(check, random);
    run<ap_int<8>, ap_int<8>, ap_int<22>, 16, 27, 16, 3, 5>(check, random);
    run<ap_int<8>, ap_int<8>, ap_int<24>, 32, 144, 8, 8, 5>(check, random);
    run<ap_uint<8>, ap_int<4>, ap_int<20>, 12, 36, 4, 6, 3>(check, random);
    run<ap_uint<8>, ap_uint<8>, ap_int<24>, 12, 32, 2, 16, 3>(check, random);
    run<ap_int<4>, ap_int<4>, ap_int<14>, 10, 30, 1, 1, 3>(check, random);
    run<ap_int<8>, ap_int<3>, ap_int<18>, 10, 30, 5, 30, 3>(check, random);
    run<ap_uint<1>, ap_int<2>, ap_int<8>, 6, 7, 3, 7, 4>(check, random);
    run<ap_int<16>, ap_int<16>, ap_int<40>, 6, 20, 2, 4, 2>(check, random);
    run<ap_int<8>, ap_int<8>, ap_int<18>, 1, 1, 1, 1, 4>(check, random);
    run<ap_int<8>, ap_int<8>, ap_int<20>, 8, 22, 4, 11, 3, Multiplier<true>, 2, 17, 3>(check, random);
    run<ap_uint<8>, ap_int<8>, ap_int<20>, 6, 10, 2, 5, 3, Multiplier<true>, 2, 17, 2>(check, random);
    run<ap_uint<3>, ap_int<2>, ap_int<12>, 8, 14, 4, 14, 3, Multiplier<true>, 4, 7, 4>(check, random);
    run<ap_uint<1>, ap_uint<1>, ap_int<9>, 8, 30, 4, 10, 3, EqualSigns>(check, random);
    run<ap_int<2>, ap_uint<1>, ap_int<9>, 6, 21, 2, 7, 3, Negation>(check, random);
    run<ap_uint<3>, ap_uint<1>, ap_int<10>, 6, 20, 3, 1, 3, Negation>(check, random);
    run<ap_int<8>, ap_uint<1>, ap_int<14>, 4, 12, 1, 12, 3, Negation>(check, random);
    return check.finish();
}
