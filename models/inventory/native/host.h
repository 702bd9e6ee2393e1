// What the machine asks of its host: memory, a clock, and that it flushes denormals to 0.
#pragma once

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>

#include "columns.h"

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(__SSE__)
#include <immintrin.h>
struct FlushDenormals { // they are a hundred times slower, and nothing here is that small
    unsigned before = _mm_getcsr();
    FlushDenormals() { _mm_setcsr(before | 0x8040); }
    ~FlushDenormals() { _mm_setcsr(before); }
};
#else
struct FlushDenormals {
    ~FlushDenormals() {}
};
#endif

inline int64_t now() { return std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count(); }

inline int64_t ticks() { // a clock that costs a tenth of an instruction's time and not as much as the instruction
#if defined(__SSE__)
    return int64_t(__rdtsc());
#else
    return now();
#endif
}

template <class T> class Aligned { // memory that nothing was written to yet
  public:
    void resize(int64_t count) {
        const size_t page = 2 << 20, wanted = count * sizeof(T), size = (wanted / page + 1) * page;
        const bool large = wanted > 4 * page;
        memory.reset(std::aligned_alloc(large ? page : VECTOR_BYTES, size));
        if (!memory) throw std::bad_alloc();
#if defined(__linux__)
        if (large) madvise(memory.get(), size, MADV_HUGEPAGE); // large networks: fewer faults and misses of addresses
#endif
        first = static_cast<T*>(memory.get());
    }
    T* operator+(int64_t at) const { return first + at; }
    T& operator[](int64_t at) const { return first[at]; }

  private:
    struct Free {
        void operator()(void* taken) const { std::free(taken); }
    };
    std::unique_ptr<void, Free> memory;
    T* first = nullptr;
};
