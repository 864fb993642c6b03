#include "io/limits.h"

#include <malloc.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

namespace wspool::io {

Result<DescriptorLimit> raise_descriptor_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        const int error = errno;
        return fail(std::string("the limit of open files cannot be read: ") + std::strerror(error),
                    error);
    }
    const std::uint64_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) {
        const int error = errno;
        return fail("the limit of open files cannot be raised from " + std::to_string(before) +
                        " to " + std::to_string(limit.rlim_max) + ": " + std::strerror(error),
                    error);
    }
    return DescriptorLimit{before, limit.rlim_cur};
}

void keep_freed_memory() {
    constexpr int mapped_size_min = 32 * 1024 * 1024;  // the largest the allocator accepts
    constexpr int kept_size_max = 64 * 1024 * 1024;
    static_cast<void>(mallopt(M_MMAP_THRESHOLD, mapped_size_min));
    static_cast<void>(mallopt(M_TRIM_THRESHOLD, kept_size_max));
}

}  // namespace wspool::io
