#include "hub/exchange_world.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace wspool::hub {
namespace {

WorldOptions options_for(std::uint64_t seed) {
    WorldOptions options;
    Prng random(seed * 7919 + 1);
    options.workers = 1 + (random.below(4));
    options.groups = 1 + (random.below(4));
    options.ids = 2 + (random.below(4));
    options.crashes = (random.below(6));
    options.duplicate_id = static_cast<DuplicateId>(random.below(3));
    options.history = random.chance(0.3) ? 0 : 8;
    options.window_records = 2 + static_cast<std::uint32_t>(random.below(8));
    return options;
}

TEST(ExchangeSimulation, NothingIsLostDoubledOrReordered) {
    std::uint64_t deliveries = 0;
    std::uint64_t recovered = 0;
    std::uint64_t openings = 0;
    const char* only = std::getenv("WSPOOL_SEED");
    const std::uint64_t first = only == nullptr ? 0 : std::strtoull(only, nullptr, 10);
    const std::uint64_t count = only == nullptr ? 1000 : 1;
    for (std::uint64_t seed = first; seed < first + count; ++seed) {
        RecordProperty("seed", std::to_string(seed));
        World world(options_for(seed), seed);
        world.run();
        ASSERT_EQ(world.fault, "") << "seed " << seed;
        deliveries += world.deliveries;
        recovered += world.recovered;
        openings += world.openings;
    }
    std::printf(
        "%lu deliveries, %lu recovered joins, %lu homes opened\n", deliveries, recovered, openings);
    if (only == nullptr) {
        EXPECT_GT(recovered, 100u);
    }
}

}  // namespace
}  // namespace wspool::hub
