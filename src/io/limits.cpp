#include "io/limits.h"

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

}  // namespace wspool::io
