// The one place that reads clocks. Everything else is given the time.
#pragma once

#include "base/time.h"

namespace wspool::io {

[[nodiscard]] Instant read_clock();
[[nodiscard]] WallTime read_wall_clock();

}  // namespace wspool::io
