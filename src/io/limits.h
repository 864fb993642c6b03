// What the process asks of the system for itself: descriptors, and how its allocator treats large
// blocks.
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

// Lets the allocator keep up to 64 MiB of freed memory instead of mapping and unmapping the buffers
// of each large message: 1 MiB echoes cost half the CPU with it (docs/performance.md).
void keep_freed_memory();

}  // namespace wspool::io
