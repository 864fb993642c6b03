#include "master/health.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace wspool::master {

namespace {

constexpr double threshold = 0.3;
// The kernel spreads connections by a hash: with an average of 100 a third of the workers is off by
// more than 10, and hardly any by 50.
constexpr double difference_min = 50;

}  // namespace

Health examine(std::span<const std::uint64_t> connections_per_worker) {
    Health health;
    health.connections = std::accumulate(
        connections_per_worker.begin(), connections_per_worker.end(), std::uint64_t{0});
    if (connections_per_worker.empty() || health.connections == 0) return health;
    health.average = static_cast<double>(health.connections) /
                     static_cast<double>(connections_per_worker.size());
    for (std::size_t worker = 0; worker < connections_per_worker.size(); ++worker) {
        const double difference =
            std::abs(static_cast<double>(connections_per_worker[worker]) - health.average);
        health.deviation = std::max(health.deviation, difference / health.average);
        if (difference > threshold * health.average && difference > difference_min) {
            health.uneven.push_back(worker);
        }
    }
    return health;
}

}  // namespace wspool::master
