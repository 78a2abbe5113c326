// What the testbenches share: random codes, streams filled from plain arrays, and the verdict.
#pragma once

#include <lepton/vec.hpp>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace testing {

/// Counts comparisons and mismatches; the first mismatches are printed.
class Checker {
public:
    explicit Checker(const char* kernel) : kernel_(kernel) {}

    void equal(long long found, long long wanted, const char* what, std::size_t index) {
        ++compared_;
        if (found == wanted) return;
        if (++wrong_ <= 5)
            std::printf("%s: %s[%zu] is %lld, wanted %lld\n", kernel_, what, index, found, wanted);
    }
    template <typename Stream> void drained(Stream& stream, const char* what) {  // the vendor's size() is not const
        equal(static_cast<long long>(stream.size()), 0, what, 0);
    }
    /// Prints the verdict; the exit status of the testbench.
    int finish() const {
        std::printf("%s: %zu values compared, %zu wrong\n", kernel_, compared_, wrong_);
        return wrong_ == 0 && compared_ > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    }

private:
    const char* kernel_;
    std::size_t compared_ = 0;
    std::size_t wrong_ = 0;
};

/// Repeatable random numbers (a 64-bit xorshift generator).
class Random {
public:
    std::uint64_t bits() {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return state_ * 0x2545F4914F6CDD1DULL;
    }
    /// An integer in low..high.
    long long between(long long low, long long high) {
        const std::uint64_t span = static_cast<std::uint64_t>(high - low) + 1;
        return low + static_cast<long long>((bits() >> 8) % span);
    }
    /// Any value of T.
    template <typename T> T code() { return T(static_cast<long long>(bits())); }

private:
    std::uint64_t state_ = 0x9E3779B97F4A7C15ULL;
};

template <typename T> using Array = std::vector<T>;

template <typename T> Array<T> random_codes(Random& random, std::size_t size) {
    Array<T> values(size);
    for (auto& value : values) value = random.code<T>();
    return values;
}

/// Writes `values` to `stream`, N a word.
template <typename T, unsigned N> void send(hls::stream<lepton::Vec<T, N>>& stream, const Array<T>& values) {
    for (std::size_t i = 0; i < values.size(); i += N) {
        lepton::Vec<T, N> word;
        for (unsigned l = 0; l < N; ++l) word.lane[l] = values[i + l];
        stream.write(word);
    }
}

/// Reads as many values as `wanted` has, compares them and checks that nothing is left.
template <typename T, unsigned N, typename W>
void expect(Checker& check, hls::stream<lepton::Vec<T, N>>& stream, const Array<W>& wanted) {
    check.equal(static_cast<long long>(stream.size() * N), static_cast<long long>(wanted.size()), "size", 0);
    for (std::size_t i = 0; i < wanted.size() && !stream.empty(); i += N) {
        const lepton::Vec<T, N> word = stream.read();
        for (unsigned l = 0; l < N; ++l)
            check.equal(static_cast<long long>(word.lane[l]), static_cast<long long>(wanted[i + l]), "value", i + l);
    }
}

}  // namespace testing
