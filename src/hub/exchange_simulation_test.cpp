#include "hub/exchange_test_world.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>

namespace wspool::hub {
namespace {

WorldOptions options_for(std::uint64_t seed) {
    WorldOptions options;
    Prng random(seed * 7919 + 1);
    options.workers = random.chance(0.1) ? 1 : 2 + random.below(3);
    options.groups = 1 + random.below(4);
    options.ids = 2 + random.below(4);
    options.crashes = random.chance(0.2) ? 0 : random.below(20);
    options.duplicate_id = static_cast<DuplicateId>(random.below(3));
    options.history = random.chance(0.3) ? 0 : 8;
    options.window_records = 2 + static_cast<std::uint32_t>(random.below(8));
    return options;
}

// Homes that die as soon as they have opened, and links that are slow.
WorldOptions deaths_in_a_row(WorldOptions options) {
    options.workers = 3;
    options.groups = 3;
    options.crashes = 40;
    options.second_death = 20;
    options.lag = 0.3;
    options.link_capacity = 3;
    return options;
}

// Nobody dies; receivers are slow, and windows small.
WorldOptions slow_receivers(WorldOptions options) {
    options.workers = 3;
    options.groups = 2;
    options.crashes = 0;
    options.window_records = 2;
    options.steps = 4000;
    options.lag = 0.3;
    return options;
}

WorldOptions replacing(WorldOptions options) {
    options.duplicate_id = DuplicateId::replace;
    return options;
}

WorldOptions rejecting(WorldOptions options) {
    options.duplicate_id = DuplicateId::reject;
    return options;
}

WorldOptions any(WorldOptions options) {
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
        const WorldOptions options = options_for(seed);
        World world(seed % 4 == 3 ? deaths_in_a_row(options) : options, seed);
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

struct PlantedFault {
    const char* name;
    bool Plant::*flag;
    WorldOptions (*adapt)(WorldOptions);  // to what the fault needs
};

class ExchangePlants : public testing::TestWithParam<PlantedFault> {};

// In a process of its own: a fault may show in an assertion of the exchange first.
bool is_found(const WorldOptions& options, std::uint64_t seed, bool says_what) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        if (!says_what) {
            [[maybe_unused]] auto* const quiet = std::freopen("/dev/null", "w", stderr);
        }
        World world(options, seed);
        world.run();
        if (!world.fault.empty() && says_what) {
            std::fprintf(stderr, "seed %lu: %s\n", seed, world.fault.c_str());
        }
        _exit(world.fault.empty() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status != 0;
}

TEST_P(ExchangePlants, AreFound) {
    const char* asked = std::getenv("WSPOOL_SEEDS");
    const std::uint64_t count = asked == nullptr ? 200 : std::strtoull(asked, nullptr, 10);
    std::uint64_t found = 0;
    for (std::uint64_t seed = 0; seed < count; ++seed) {
        WorldOptions options = GetParam().adapt(options_for(seed));
        options.plant.*GetParam().flag = true;
        if (is_found(options, seed, found == 0)) ++found;
    }
    std::printf("%s: found in %lu of %lu seeds\n", GetParam().name, found, count);
    EXPECT_GT(found, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Each,
    ExchangePlants,
    testing::Values(PlantedFault{"NORESEND", &Plant::no_resend, any},
                    PlantedFault{"NOSTAR", &Plant::no_star, deaths_in_a_row},
                    PlantedFault{"EARLYJOIN", &Plant::early_join, deaths_in_a_row},
                    PlantedFault{"NOBARRIER", &Plant::no_barrier, any},
                    PlantedFault{"WINDOW", &Plant::window, any},
                    PlantedFault{"NOTAIL", &Plant::no_tail, any},
                    PlantedFault{"SAMEEPOCH", &Plant::same_epoch, any},
                    PlantedFault{"GRANTEARLY", &Plant::grant_early, replacing},
                    PlantedFault{"LEAVELOST", &Plant::leave_lost, replacing},
                    PlantedFault{"NOCHECK", &Plant::no_check, rejecting},
                    PlantedFault{"EARLYCREDIT", &Plant::early_credit, slow_receivers},
                    PlantedFault{"ACKBLOCKS", &Plant::ack_blocks, any},
                    PlantedFault{"OPENACK", &Plant::open_ack, deaths_in_a_row}),
    [](const auto& of) { return std::string(of.param.name); });

}  // namespace
}  // namespace wspool::hub
