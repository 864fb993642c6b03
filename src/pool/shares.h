// Shares: how many seats each priority may count on, from the weights that a person gave.
#pragma once

#include "pool/priority.h"

#include <cstdint>

namespace wspool::pool {

// Any weights; only their ratio counts. These make 10, 20, 40 and 30 of 100.
inline constexpr PerPriority<std::uint32_t> default_shares = {10, 20, 40, 30};

// Largest remainder, ties to the higher class: the sum is seats_max, not less as with rounding
// down. A class with a share gets at least one seat as long as there are as many seats as such
// classes. All zero when no class has a share.
[[nodiscard]] PerPriority<std::uint32_t> nominal_seats(std::uint32_t seats_max,
                                                       const PerPriority<std::uint32_t>& shares);

}  // namespace wspool::pool
