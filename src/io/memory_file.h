// Files that lie in memory and have no name: for text that a process hands to others with a
// descriptor, where the channel's messages are too small.
#pragma once

#include "base/result.h"
#include "io/descriptor.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace wspool::io {

[[nodiscard]] Result<Descriptor> make_memory_file(std::string_view content);
// All of it, wherever others have read to; an error beyond `size_max` bytes.
[[nodiscard]] Result<std::string> read_memory_file(const Descriptor& file, std::size_t size_max);

}  // namespace wspool::io
