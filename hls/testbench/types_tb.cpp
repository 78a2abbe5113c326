// The simulation types themselves: wrapping, conversion, and a stream that refuses to be read when empty.
#include <lepton/numeric.hpp>
#include <lepton/vec.hpp>

#include <stdexcept>

#include "testing.hpp"

using namespace lepton;
using namespace testing;

template <int W> void wrapping(Checker& check, Random& random) {
    for (unsigned i = 0; i < 200; ++i) {
        const long long x = static_cast<long long>(random.bits());
        const unsigned long long shifted = static_cast<unsigned long long>(x) << (64 - W);
        check.equal(static_cast<long long>(ap_int<W>(x)), static_cast<long long>(shifted) >> (64 - W), "signed", W);
        check.equal(static_cast<long long>(static_cast<unsigned long long>(ap_uint<W>(x))),
                    static_cast<long long>(shifted >> (64 - W)), "unsigned", W);
        check.equal(static_cast<long long>(ap_int<W>(ap_uint<W>(x))), static_cast<long long>(ap_int<W>(x)),
                    "sign change", W);
    }
}

int main() {
    Checker check("types");
    Random random;
    wrapping<1>(check, random);
    wrapping<2>(check, random);
    wrapping<7>(check, random);
    wrapping<8>(check, random);
    wrapping<9>(check, random);
    wrapping<16>(check, random);
    wrapping<20>(check, random);
    wrapping<31>(check, random);
    wrapping<32>(check, random);
    wrapping<33>(check, random);
    wrapping<63>(check, random);
    wrapping<64>(check, random);

    ap_int<4> small = 7;
    small += 1;
    check.equal(small, -8, "a sum wraps", 0);
    small -= 1;
    check.equal(small, 7, "a difference wraps", 0);
    check.equal(product<ap_int<40>>(ap_int<20>(-524288), ap_int<20>(524287)), -524288LL * 524287LL, "exact product", 0);
    check.equal(clamp<ap_uint<8>>(-3LL, 0, 255), 0, "clamp", 0);
    check.equal(clamp<ap_uint<8>>(300LL, 0, 255), 255, "clamp", 0);

    // Initialiser layout of generated weight memories.
    static const Tile<ap_int<8>, 2, 3> rom[2] = {
        {{{1, -2, 3}, {4, -5, 6}}},
        {{{-7, 8, -9}, {10, -11, 12}}},
    };
    check.equal(rom[1].at[0][2], -9, "rom", 0);
    check.equal(rom[0].at[1][1], -5, "rom", 1);

#ifdef LEPTON_SIM_AP_INT
    hls::stream<int> stream("branch");
    for (int i = 0; i < 1000; ++i) stream.write(i);
    for (int i = 0; i < 900; ++i) check.equal(stream.read(), i, "stream", i);
    for (int i = 1000; i < 5000; ++i) stream.write(i);
    check.equal(static_cast<long long>(stream.size()), 4100, "left over", 0);
    for (int i = 900; i < 5000; ++i) check.equal(stream.read(), i, "stream", i);
    bool refused = false;
    try {
        stream.read();
    } catch (const std::runtime_error& error) {
        refused = std::string(error.what()).find("'branch'") != std::string::npos;
    }
    check.equal(refused, true, "reading an empty stream is refused by name", 0);
#endif
    return check.finish();
}
