// Arithmetic that means the same under the vendor's `ap_int` (operators widen) and under the simulation
// types (operators work in native integers): kernels say here where a result must be exact.
#pragma once

#include <ap_int.h>

#include <type_traits>

namespace lepton {

#ifdef LEPTON_SIM_AP_INT

/// Type of a local accumulator of declared type T: T itself in hardware; in simulation the native
/// integer of 32 or 64 bits that holds it, which wraps to T once, when the result is written. It is
/// unsigned, since partial sums of raw codes may leave T, and only unsigned arithmetic may wrap.
template <typename T> struct Native {
    using type = T;
};
template <int W, bool S> struct Native<lepton_sim::Integer<W, S>> {
    using type = typename lepton_sim::Native<(W <= 32 ? 32 : 64), false>::type;
};

/// Like Native, but always 64 bits in simulation: for sums that are shifted or compared across types.
template <typename T> struct Wide {
    using type = typename std::conditional<T::is_signed, long long, unsigned long long>::type;
};

/// a * b as an R; R must hold the product.
template <typename R, typename A, typename B> R product(const A& a, const B& b) {
    // As an int where that holds it: the C++ compiler has vector instructions for these products.
    constexpr bool is_int = int(A::width) + int(B::width) <= 31;
    using Exact = typename std::conditional<is_int, int, typename Native<R>::type>::type;
    return static_cast<R>(static_cast<Exact>(a) * static_cast<Exact>(b));
}

/// a - b, exact and signed (operands of at most 63 bits).
template <typename A, typename B> long long difference(const A& a, const B& b) {
    return static_cast<long long>(a) - static_cast<long long>(b);
}

#else

template <typename T> struct Native {
    using type = T;
};
template <typename T> struct Wide {
    using type = T;
};

template <typename R, typename A, typename B> R product(const A& a, const B& b) {
#pragma HLS inline
    return R(a * b);
}

template <typename A, typename B> auto difference(const A& a, const B& b) -> decltype(a - b) {
#pragma HLS inline
    return a - b;
}

#endif

/// Products in the kind of fabric that the plan gave them: DSP blocks, or look-up tables.
template <bool DSP> struct Multiplier {
    template <typename R, typename A, typename B> static R times(const A& a, const B& b) {
#pragma HLS inline
        const R exact = product<R>(a, b);
#pragma HLS bind_op variable=exact op=mul impl=dsp
        return exact;
    }
};
template <> struct Multiplier<false> {
    template <typename R, typename A, typename B> static R times(const A& a, const B& b) {
#pragma HLS inline
        const R exact = product<R>(a, b);
#pragma HLS bind_op variable=exact op=mul impl=fabric
        return exact;
    }
};

/// Products with weights of -1 and +1, kept as the bits 0 and 1: the input, or its complement. As ~x = -x - 1,
/// they are less by one for each negative weight.
struct Negation {
    template <typename R, typename W, typename X> static R times(const W& w, const X& x) {
#pragma HLS inline
        const R wide = static_cast<R>(x);
        return w != 0 ? wide : static_cast<R>(~wide);
    }
};

/// Products of -1 and +1, both kept as the bits 0 and 1: 2 where the bits are equal, which is 1 more.
struct EqualSigns {
    template <typename R, typename W, typename X> static R times(const W& w, const X& x) {
#pragma HLS inline
        return static_cast<R>(w == x ? 2 : 0);
    }
};

/// `value` limited to lowest..highest; V may be wider than T or of other signedness.
template <typename T, typename V> T clamp(const V& value, const T& lowest, const T& highest) {
#pragma HLS inline
    if (value < lowest) return lowest;
    if (value > highest) return highest;
    return T(value);
}

}  // namespace lepton
