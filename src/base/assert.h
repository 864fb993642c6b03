// Assertions, on in every build: a broken invariant aborts the process. A worker is a process so
// that this is affordable (docs/decisions/0004). Never assert on what a peer, the kernel or a
// person said.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace wspool {

[[noreturn]] inline void assertion_failed(const char* condition, const char* file, int line) {
    std::fprintf(stderr, "wspool: broken invariant: %s (%s:%d)\n", condition, file, line);
    std::abort();
}

}  // namespace wspool

#define WSPOOL_ASSERT(condition)        \
    (__builtin_expect(!!(condition), 1) \
         ? static_cast<void>(0)         \
         : ::wspool::assertion_failed(#condition, __FILE__, __LINE__))

#define WSPOOL_UNREACHABLE() ::wspool::assertion_failed("unreachable", __FILE__, __LINE__)

// For checks that cost more than O(1): debug and sanitizer builds, and the simulator.
#if defined(WSPOOL_SLOW_CHECKS)
#define WSPOOL_ASSERT_SLOW(condition) WSPOOL_ASSERT(condition)
#else
#define WSPOOL_ASSERT_SLOW(condition) static_cast<void>(sizeof(!(condition)))
#endif
