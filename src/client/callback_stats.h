// From the core's figures to those of the library.
#pragma once

#include "client/core_values.h"

#include <wspool/stats.h>

namespace wspool::client {

[[nodiscard]] api::Stats public_stats(const CoreStats& stats);

}  // namespace wspool::client
