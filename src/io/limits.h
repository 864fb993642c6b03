// The process's limits that bound how many connections it can hold.
#pragma once

#include "base/result.h"

#include <cstdint>

namespace wspool::io {

struct DescriptorLimit {
    std::uint64_t before = 0;  // the soft limit as we found it
    std::uint64_t now = 0;     // the soft limit, now equal to the hard one
};

// Raises the soft limit of open files to the hard one.
[[nodiscard]] Result<DescriptorLimit> raise_descriptor_limit();

}  // namespace wspool::io
