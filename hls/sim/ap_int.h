// Fast stand-in for the vendor header of the same name: `ap_int<W>` and `ap_uint<W>` for W in 1..64.
//
// A code is kept in the smallest native integer that holds it, so a vector of `ap_int<8>` is a plain
// byte array and the C++ compiler can use SIMD instructions on it. Two rules differ from the vendor's
// class and the kernels respect them:
//   * arithmetic happens in the native types the operands convert to (int, long long, ...), it does not
//     widen by itself: see `lepton/numeric.hpp`;
//   * a value wraps to W bits when it is stored, never in the middle of an expression.
// There is no slicing, no bit reference, no string constructor: kernels do not use them.
#pragma once

#define LEPTON_SIM_AP_INT 1

#include <cstdint>
#include <type_traits>

namespace lepton_sim {

template <int BITS, bool SIGNED> struct Native;
template <> struct Native<8, true> { using type = std::int8_t; };
template <> struct Native<16, true> { using type = std::int16_t; };
template <> struct Native<32, true> { using type = std::int32_t; };
template <> struct Native<64, true> { using type = std::int64_t; };
template <> struct Native<8, false> { using type = std::uint8_t; };
template <> struct Native<16, false> { using type = std::uint16_t; };
template <> struct Native<32, false> { using type = std::uint32_t; };
template <> struct Native<64, false> { using type = std::uint64_t; };

/// Smallest native width that holds `width` bits.
constexpr int native_bits(int width) {
    return width <= 8 ? 8 : width <= 16 ? 16 : width <= 32 ? 32 : 64;
}

template <int W, bool SIGNED> class Integer {
    static_assert(W >= 1 && W <= 64, "the simulation types hold 1 to 64 bits");

public:
    using Storage = typename Native<native_bits(W), SIGNED>::type;
    enum { width = W, is_signed = SIGNED };

    Integer() = default;  // uninitialised, as in the vendor's class

    // One constructor per promoted type, not a template, and a constant that needs no call: both halve
    // the time to compile a ROM of 100,000 entries.
    constexpr Integer(int x) : value_(is_native ? static_cast<Storage>(x) : wrap(x)) {}
    constexpr Integer(unsigned x) : value_(wrap(x)) {}
    constexpr Integer(long x) : value_(wrap(x)) {}
    constexpr Integer(unsigned long x) : value_(wrap(x)) {}
    constexpr Integer(long long x) : value_(wrap(x)) {}
    constexpr Integer(unsigned long long x) : value_(wrap(x)) {}
    template <int W2, bool S2>
    constexpr Integer(const Integer<W2, S2>& x)
        : value_(wrap(static_cast<typename Integer<W2, S2>::Storage>(x))) {}

    constexpr operator Storage() const { return value_; }

    template <typename U> Integer& operator+=(const U& x) { return *this = Integer(value_ + x); }
    template <typename U> Integer& operator-=(const U& x) { return *this = Integer(value_ - x); }
    template <typename U> Integer& operator*=(const U& x) { return *this = Integer(value_ * x); }
    template <typename U> Integer& operator&=(const U& x) { return *this = Integer(value_ & x); }
    template <typename U> Integer& operator|=(const U& x) { return *this = Integer(value_ | x); }
    template <typename U> Integer& operator^=(const U& x) { return *this = Integer(value_ ^ x); }
    Integer& operator<<=(int n) { return *this = Integer(value_ << n); }
    Integer& operator>>=(int n) { return *this = Integer(value_ >> n); }
    Integer& operator++() { return *this = Integer(value_ + 1); }
    Integer& operator--() { return *this = Integer(value_ - 1); }
    Integer operator++(int) { const Integer old = *this; ++*this; return old; }
    Integer operator--(int) { const Integer old = *this; --*this; return old; }

private:
    // Wrapping is done in the narrowest arithmetic that is right, so that loops over codes vectorise.
    using Bits = typename Native<(W <= 32 ? 32 : 64), false>::type;
    using Value = typename Native<(W <= 32 ? 32 : 64), SIGNED>::type;
    enum { unused = (W <= 32 ? 32 : 64) - W, is_native = W == native_bits(W) };

    template <typename U> static constexpr Storage wrap(U x) {
        return is_native
                   ? static_cast<Storage>(x)
                   : static_cast<Storage>(static_cast<Value>(static_cast<Bits>(x) << unused) >> unused);
    }

    Storage value_;
};

}  // namespace lepton_sim

template <int W> using ap_int = lepton_sim::Integer<W, true>;
template <int W> using ap_uint = lepton_sim::Integer<W, false>;
