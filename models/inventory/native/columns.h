// Arithmetic on columns: a column holds one quantity of `block` scenarios side by side, so that every loop below runs
// along scenarios and fills the machine's vectors whatever the width of the policy.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
constexpr int VECTOR_BYTES = 64;
#elif defined(__AVX__)
constexpr int VECTOR_BYTES = 32;
#else
constexpr int VECTOR_BYTES = 16;
#endif

template <class T> using Vector __attribute__((vector_size(VECTOR_BYTES), may_alias)) = T;
template <class T> constexpr int LANES = VECTOR_BYTES / sizeof(T);

// exp, log and log1p within 2 ulp in float, without branches, so that they run along vectors (the reductions of Cephes);
// in double the C library is exact enough to be the judge of the rest.
inline double exponential(double x) { return std::exp(x); }
inline double logarithm(double x) { return std::log(x); }
inline double log_one_plus(double x) { return std::log1p(x); }

template <class F, class Bits> inline F exponential_of(F x) { // of a float or of a vector of them
    constexpr float whole = 12582912.0f + 127.0f; // from 1.5 * 2^23 on, a float's last bits are a whole number's
    x = x < -87.0f ? F{} - 87.0f : x;
    x = x > 88.0f ? F{} + 88.0f : x;
    const F shifted = x * 1.44269504f + whole;
    const F n = shifted - whole;
    const F r = x - n * 0.693359375f + n * 2.12194440e-4f;
    F p = r * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    Bits bits;
    std::memcpy(&bits, &shifted, sizeof bits);
    bits <<= 23; // n + 127 becomes the exponent of 2^n
    F power;
    std::memcpy(&power, &bits, sizeof power);
    return p * power;
}

inline float exponential(float x) { return exponential_of<float, uint32_t>(x); }
inline Vector<float> exponential(Vector<float> x) { return exponential_of<Vector<float>, Vector<uint32_t>>(x); }
inline Vector<double> exponential(Vector<double> x) {
    for (int lane = 0; lane < LANES<double>; ++lane) x[lane] = std::exp(x[lane]);
    return x;
}

inline float logarithm(float x) {
    int32_t bits;
    std::memcpy(&bits, &x, sizeof bits);
    int32_t exponent = ((bits - 0x3f3504f3) >> 23);
    bits -= exponent << 23;
    float m, e = static_cast<float>(exponent);
    std::memcpy(&m, &bits, sizeof m);
    m -= 1.0f;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float z = m * m;
    float y = p * m * z - 2.12194440e-4f * e - 0.5f * z;
    float result = m + y + 0.693359375f * e;
    return x > 0.0f ? result : x == 0.0f ? -INFINITY : NAN;
}

inline float log_one_plus(float x) { // for x in [0, 1]; Kahan's correction keeps small x exact
    float w = 1.0f + x;
    float d = w - 1.0f;
    return d == 0.0f ? x : logarithm(w) * (x / (d == 0.0f ? 1.0f : d));
}

template <class F> inline F sigmoid(F x) { return 1.0f / (1.0f + exponential(-x)); } // of a number or of a vector

template <class T> inline T softplus(T x) { // as torch: a straight line beyond 20
    T soft = (x > T(0) ? x : T(0)) + log_one_plus(exponential(x > T(0) ? -x : x));
    return x > T(20) ? x : soft;
}

// Loops over `count` columns; a stride of 0 repeats one column. What runs on in memory is one loop.
template <class T, class F> inline void columns1(T* out, const T* a, int64_t sa, int64_t count, int64_t block, F f) {
    if (sa == 1) block *= count, count = 1;
    for (int64_t c = 0; c < count; ++c)
#pragma GCC ivdep
        for (int64_t i = 0; i < block; ++i) out[c * block + i] = f(a[c * sa * block + i]);
}

// The same for what the compiler makes no good vectors of by itself: f takes and gives them.
template <class T, class F> inline void vectors1(T* out, const T* a, int64_t sa, int64_t count, int64_t block, F f) {
    for (int64_t c = 0; c < count; ++c)
        for (int64_t i = 0; i < block; i += LANES<T>)
            *reinterpret_cast<Vector<T>*>(out + c * block + i) =
                f(*reinterpret_cast<const Vector<T>*>(a + c * sa * block + i));
}

template <class T, class F>
inline void columns2(T* out, const T* a, int64_t sa, const T* b, int64_t sb, int64_t count, int64_t block, F f) {
    if (sa == 1 && sb == 1) block *= count, count = 1;
    for (int64_t c = 0; c < count; ++c)
#pragma GCC ivdep
        for (int64_t i = 0; i < block; ++i) out[c * block + i] = f(a[c * sa * block + i], b[c * sb * block + i]);
}

// Adds f(gradient of the result, x, y) to the gradient of an operand.
template <class T, class F>
inline void spread(T* into, int64_t si, const T* given, const T* x, int64_t sx, const T* y, int64_t sy, int64_t count,
                   int64_t block, F f) {
    if (si == 1 && sx == 1 && sy == 1) block *= count, count = 1;
    for (int64_t c = 0; c < count; ++c) {
        T* to = into + c * si * block;
        const T *g = given + c * block, *p = x + c * sx * block, *q = y + c * sy * block;
#pragma GCC ivdep
        for (int64_t i = 0; i < block; ++i) to[i] += f(g[i], p[i], q[i]);
    }
}
