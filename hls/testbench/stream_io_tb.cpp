// axis_to_stream and stream_to_axis against byte by byte packing.
#include <lepton/stream_io.hpp>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <typename T, unsigned LANES, unsigned BYTES, unsigned WORDS> void run(Checker& check, Random& random) {
    const unsigned frames = 3;
    constexpr unsigned AXIS_WIDTH = 8 * LANES * BYTES;
    const auto x = random_codes<T>(random, frames * WORDS * LANES);
    Array<unsigned long long> packed;
    for (unsigned i = 0; i < x.size(); i += LANES) {
        unsigned long long data = 0;
        for (unsigned byte = 0; byte < LANES * BYTES; ++byte) {
            const long long value = x[i + byte / BYTES];
            data |= static_cast<unsigned long long>((value >> (8 * (byte % BYTES))) & 0xFF) << (8 * byte);
        }
        packed.push_back(data);
    }
    hls::stream<ap_axiu<AXIS_WIDTH, 0, 0, 0>> axis("axis");
    hls::stream<Vec<T, LANES>> words("words");
    send<T, LANES>(words, x);
    stream_to_axis<T, LANES, BYTES, AXIS_WIDTH, WORDS>(words, axis, frames);
    check.drained(words, "words");
    check.equal(axis.size(), packed.size(), "size", 0);
    Array<ap_axiu<AXIS_WIDTH, 0, 0, 0>> sent;
    for (unsigned i = 0; i < packed.size() && !axis.empty(); ++i) {
        const auto word = axis.read();
        const unsigned all_ones = (1u << (AXIS_WIDTH / 8)) - 1;
        check.equal(static_cast<unsigned long long>(word.data), packed[i], "data", i);
        check.equal(static_cast<unsigned>(word.keep), all_ones, "keep", i);
        check.equal(static_cast<unsigned>(word.strb), all_ones, "strb", i);
        check.equal(static_cast<unsigned>(word.last), i % WORDS == WORDS - 1 ? 1 : 0, "last", i);
        sent.push_back(word);
    }
    for (const auto& word : sent) axis.write(word);
    axis_to_stream<T, LANES, BYTES, AXIS_WIDTH, WORDS>(axis, words, frames);
    check.drained(axis, "axis");
    expect<T, LANES>(check, words, x);
}

int main() {
    Checker check("stream_io");
    Random random;
    run<ap_int<8>, 8, 1, 20>(check, random);
    run<ap_int<5>, 4, 1, 20>(check, random);
    run<ap_uint<8>, 1, 1, 20>(check, random);
    run<ap_int<13>, 2, 2, 20>(check, random);
    run<ap_uint<16>, 4, 2, 20>(check, random);
    run<ap_int<24>, 2, 4, 20>(check, random);
    run<ap_int<32>, 1, 4, 1>(check, random);
    run<ap_int<40>, 1, 8, 20>(check, random);
    run<ap_uint<1>, 8, 1, 20>(check, random);
    return check.finish();
}
