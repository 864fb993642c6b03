// The one place that reads the monotonic clock. Everything else is given the time.
#pragma once

#include "base/time.h"

namespace wspool::io {

[[nodiscard]] Instant read_clock();

}  // namespace wspool::io
