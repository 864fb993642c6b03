#include "pool/shares.h"

#include <algorithm>
#include <numeric>

namespace wspool::pool {

PerPriority<std::uint32_t> nominal_seats(std::uint32_t seats_max,
                                         const PerPriority<std::uint32_t>& shares) {
    PerPriority<std::uint32_t> seats{};
    const std::uint64_t total = std::accumulate(shares.begin(), shares.end(), std::uint64_t{0});
    if (total == 0) return seats;
    PerPriority<std::uint64_t> remainder{};
    std::uint32_t left = seats_max;
    for (std::size_t c = 0; c < priority_count; ++c) {
        const std::uint64_t product = std::uint64_t{seats_max} * shares[c];
        seats[c] = static_cast<std::uint32_t>(product / total);
        remainder[c] = product % total;
        left -= seats[c];
    }
    for (; left > 0; --left) {
        const auto largest = std::max_element(remainder.begin(), remainder.end());  // the first
        ++seats[static_cast<std::size_t>(largest - remainder.begin())];
        *largest = 0;
    }
    const auto with_share =
        priority_count - static_cast<std::size_t>(std::count(shares.begin(), shares.end(), 0u));
    if (seats_max < with_share) return seats;
    for (std::size_t c = 0; c < priority_count; ++c) {
        if (shares[c] == 0 || seats[c] > 0) continue;
        --*std::max_element(seats.rbegin(), seats.rend());  // of equals, the lowest
        ++seats[c];
    }
    return seats;
}

}  // namespace wspool::pool
