// Products of columns and weights: affine maps, and the gradient of their weights.
#pragma once

#include <algorithm>
#include <type_traits>

#include "columns.h"

constexpr int TILE = VECTOR_BYTES == 64 ? 8 : 4; // columns whose sums stay in registers
constexpr int PAIR = 2; // vectors of a column beside them; a block is a multiple of PAIR * LANES

// out[n] = bias[n] + sum over k of weight[k][n] * in[k], each a column, for a tile of outputs and all scenarios; length:
// of a row of the weight.
template <class T, int N>
inline void affine_tile(const T* in, const int32_t* in_ids, T* out, const int32_t* out_ids, const T* weight,
                        int64_t length, const T* bias, int64_t inputs, int64_t block, bool add) {
    using V = Vector<T>;
    for (int64_t s = 0; s < block; s += PAIR * LANES<T>) {
        V sum[N][PAIR];
        for (int n = 0; n < N; ++n)
            for (int v = 0; v < PAIR; ++v) sum[n][v] = V{} + (bias ? bias[n] : T(0));
        for (int64_t k = 0; k < inputs; ++k) {
            const V* x = reinterpret_cast<const V*>(in + in_ids[k] * block + s);
            const T* w = weight + k * length;
            for (int n = 0; n < N; ++n)
                for (int v = 0; v < PAIR; ++v) sum[n][v] += x[v] * w[n];
        }
        for (int n = 0; n < N; ++n) {
            V* y = reinterpret_cast<V*>(out + out_ids[n] * block + s);
            for (int v = 0; v < PAIR; ++v) y[v] = add ? y[v] + sum[n][v] : sum[n][v];
        }
    }
}

template <class T>
void affine(const T* in, const int32_t* in_ids, T* out, const int32_t* out_ids, const T* weight, int64_t length,
            const T* bias, int64_t inputs, int64_t outputs, int64_t block, bool add) {
    int64_t n = 0;
    for (; n + TILE <= outputs; n += TILE)
        affine_tile<T, TILE>(in, in_ids, out, out_ids + n, weight + n, length, bias ? bias + n : bias, inputs, block, add);
    for (; n + 2 <= outputs; n += 2)
        affine_tile<T, 2>(in, in_ids, out, out_ids + n, weight + n, length, bias ? bias + n : bias, inputs, block, add);
    for (; n < outputs; ++n)
        affine_tile<T, 1>(in, in_ids, out, out_ids + n, weight + n, length, bias ? bias + n : bias, inputs, block, add);
}

template <class T> inline T total(const Vector<T>& lanes) {
    T sum = 0;
    for (int lane = 0; lane < LANES<T>; ++lane) sum += lanes[lane];
    return sum;
}

// Exchanges, between two vectors, the lanes that differ in one bit of their number: transposing takes one such step a bit.
template <class T, int BIT> inline void exchange(Vector<T>& a, Vector<T>& b) {
    using Index = std::conditional_t<sizeof(T) == 4, int32_t, int64_t>;
    Vector<Index> low, high;
    for (int lane = 0; lane < LANES<T>; ++lane) {
        low[lane] = lane & BIT ? LANES<T> + lane - BIT : lane;
        high[lane] = lane & BIT ? LANES<T> + lane : lane + BIT;
    }
#if defined(__clang__)
    const Vector<T> first = a, second = b;
    for (int lane = 0; lane < LANES<T>; ++lane) {
        a[lane] = lane & BIT ? second[lane - BIT] : first[lane];
        b[lane] = lane & BIT ? second[lane] : first[lane + BIT];
    }
#else
    const Vector<T> first = a;
    a = __builtin_shuffle(first, b, low);
    b = __builtin_shuffle(first, b, high);
#endif
}

template <class T, int BIT> inline void transpose_from(Vector<T>* rows) {
    for (int i = 0; i < LANES<T>; ++i)
        if (!(i & BIT)) exchange<T, BIT>(rows[i], rows[i + BIT]);
    if constexpr (BIT > 1) transpose_from<T, BIT / 2>(rows);
}

// turned[scenario][n] = column ids[n], of `count` columns; what fills the last vector is 0.
template <class T>
inline void turn(const T* columns, const int32_t* ids, int64_t count, int64_t block, T* turned) {
    using V = Vector<T>;
    const int64_t width = (count + LANES<T> - 1) / LANES<T> * LANES<T>;
    for (int64_t n = 0; n < width; n += LANES<T>)
        for (int64_t s = 0; s < block; s += LANES<T>) {
            V square[LANES<T>];
            for (int i = 0; i < LANES<T>; ++i)
                square[i] = n + i < count ? *reinterpret_cast<const V*>(columns + ids[n + i] * block + s) : V{};
            transpose_from<T, LANES<T> / 2>(square);
            for (int i = 0; i < LANES<T>; ++i) *reinterpret_cast<V*>(turned + (s + i) * width + n) = square[i];
        }
}

// sums[k][n] += sum over rows and scenarios of in[k] * turned[n] for a tile of k and VECTORS vectors of n, the last of
// which counts up to `most` outputs.
template <class T, int K, int VECTORS>
inline void outer_tile(const T* in, const int32_t* in_ids, const T* turned, int64_t rows, int64_t inputs, int64_t width,
                       int64_t block, T* sums, int64_t outputs, int64_t most) {
    using V = Vector<T>;
    V sum[K][VECTORS] = {};
    for (int64_t r = 0; r < rows; ++r) {
        const T* x[K];
        for (int k = 0; k < K; ++k) x[k] = in + in_ids[r * inputs + k] * block;
        const T* given = turned + r * block * width;
        for (int64_t s = 0; s < block; ++s, given += width) {
            V g[VECTORS];
            for (int v = 0; v < VECTORS; ++v) g[v] = *reinterpret_cast<const V*>(given + v * LANES<T>);
            for (int k = 0; k < K; ++k)
                for (int v = 0; v < VECTORS; ++v) sum[k][v] += g[v] * x[k][s];
        }
    }
    for (int k = 0; k < K; ++k)
        for (int v = 0; v < VECTORS; ++v) {
            T* to = sums + k * outputs + v * LANES<T>;
            const int64_t lanes = std::min<int64_t>(LANES<T>, most - v * LANES<T>);
            if (lanes == LANES<T>) {
                V whole;
                std::memcpy(&whole, to, sizeof whole);
                whole += sum[k][v];
                std::memcpy(to, &whole, sizeof whole);
            } else {
                for (int64_t lane = 0; lane < lanes; ++lane) to[lane] += sum[k][v][lane];
            }
        }
}

template <class T, int K>
inline void outer_columns(const T* in, const int32_t* in_ids, const T* turned, int64_t rows, int64_t inputs,
                          int64_t outputs, int64_t width, int64_t block, T* sums) {
    int64_t n = 0;
    for (; n + LANES<T> < width; n += 2 * LANES<T>)
        outer_tile<T, K, 2>(in, in_ids, turned + n, rows, inputs, width, block, sums + n, outputs, outputs - n);
    for (; n < width; n += LANES<T>)
        outer_tile<T, K, 1>(in, in_ids, turned + n, rows, inputs, width, block, sums + n, outputs, outputs - n);
}

// Few outputs would leave most of a vector empty: each is one product of columns with each input.
template <class T, int K>
inline void dot_tile(const T* in, const int32_t* in_ids, const T* given, const int32_t* given_ids, int64_t rows,
                     int64_t inputs, int64_t outputs, int64_t n, int64_t block, T* sums) {
    using V = Vector<T>;
    V sum[K] = {};
    for (int64_t r = 0; r < rows; ++r) {
        const T* g = given + given_ids[r * outputs + n] * block;
        const T* x[K];
        for (int k = 0; k < K; ++k) x[k] = in + in_ids[r * inputs + k] * block;
        for (int64_t s = 0; s < block; s += LANES<T>)
            for (int k = 0; k < K; ++k)
                sum[k] += *reinterpret_cast<const V*>(x[k] + s) * *reinterpret_cast<const V*>(g + s);
    }
    for (int k = 0; k < K; ++k) sums[k * outputs] += total<T>(sum[k]);
}

constexpr int FEW = 3; // outputs that are taken one by one

// sums[k][n] += sum over rows and scenarios of in[k] * given[n], and of given[n] for the bias, where there is one.
// scratch: room for rows * block * outputs, rounded up to whole vectors.
template <class T>
void outer(const T* in, const int32_t* in_ids, const T* given, const int32_t* given_ids, int64_t rows, int64_t inputs,
           int64_t outputs, int64_t block, T* sums, T* bias, T* scratch) {
    if (outputs <= FEW) {
        for (int64_t n = 0; n < outputs; ++n) {
            Vector<T> sum = {};
            for (int64_t r = 0; bias && r < rows; ++r)
                for (int64_t s = 0; s < block; s += LANES<T>)
                    sum += *reinterpret_cast<const Vector<T>*>(given + given_ids[r * outputs + n] * block + s);
            if (bias) bias[n] += total<T>(sum);
            int64_t k = 0;
            for (; k + 4 <= inputs; k += 4)
                dot_tile<T, 4>(in, in_ids + k, given, given_ids, rows, inputs, outputs, n, block, sums + k * outputs + n);
            for (; k < inputs; ++k)
                dot_tile<T, 1>(in, in_ids + k, given, given_ids, rows, inputs, outputs, n, block, sums + k * outputs + n);
        }
        return;
    }
    const int64_t width = (outputs + LANES<T> - 1) / LANES<T> * LANES<T>;
    for (int64_t r = 0; r < rows; ++r) turn(given, given_ids + r * outputs, outputs, block, scratch + r * block * width);
    for (int64_t n = 0; bias && n < outputs; n += LANES<T>) {
        Vector<T> sum = {};
        for (int64_t s = 0; s < rows * block; ++s) sum += *reinterpret_cast<const Vector<T>*>(scratch + s * width + n);
        for (int64_t lane = 0; lane < std::min<int64_t>(LANES<T>, outputs - n); ++lane) bias[n + lane] += sum[lane];
    }
    int64_t k = 0;
    for (; k + TILE <= inputs; k += TILE)
        outer_columns<T, TILE>(in, in_ids + k, scratch, rows, inputs, outputs, width, block, sums + k * outputs);
    for (; k + 2 <= inputs; k += 2)
        outer_columns<T, 2>(in, in_ids + k, scratch, rows, inputs, outputs, width, block, sums + k * outputs);
    for (; k < inputs; ++k)
        outer_columns<T, 1>(in, in_ids + k, scratch, rows, inputs, outputs, width, block, sums + k * outputs);
}
