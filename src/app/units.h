// Sizes and durations as people write them: "64KiB", "25s". A number without a unit is refused,
// because what was meant cannot be known.
//
// Sizes: B, KiB, MiB, GiB (powers of 1024) and KB, MB, GB (powers of 1000). Durations: ns, us, ms,
// s, m, h. Whole numbers only. parse(format(x)) == x for every x.
#pragma once

#include "base/result.h"
#include "base/time.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace wspool::app {

[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::string format_size(std::uint64_t bytes);

[[nodiscard]] Result<Duration> parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(Duration duration);

// Decimal digits only: no sign, no space, no overflow.
[[nodiscard]] Result<std::uint64_t> parse_count(std::string_view text);

}  // namespace wspool::app
