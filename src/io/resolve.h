// Host names, for command line tools: asks the system's resolver, and blocks while it does.
#pragma once

#include "base/result.h"
#include "io/address.h"

#include <cstdint>
#include <string>
#include <vector>

namespace wspool::io {

// The addresses of `host` (a name or a numeric address, IPv6 with or without brackets), in the
// order in which they should be tried; at least one.
[[nodiscard]] Result<std::vector<Address>> resolve(const std::string& host, std::uint16_t port);

}  // namespace wspool::io
