// Health: how connections are spread over the workers, for the line that is logged every
// health.interval. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace wspool::master {

struct Health {
    std::uint64_t connections = 0;    // in all
    double average = 0;               // per worker
    double deviation = 0;             // of the worker farthest from the average, as a part of it
    std::vector<std::size_t> uneven;  // workers beyond the threshold, in order
};

// A worker is uneven when it is off the average by more than 30 %, and by more connections than
// chance makes of small numbers.
[[nodiscard]] Health examine(std::span<const std::uint64_t> connections_per_worker);

}  // namespace wspool::master
