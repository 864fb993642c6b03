#include "hub/exchange_world.h"

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

struct PlantedFault {
    const char* name;
    bool Plant::*flag;
    // Of the seeds below; policies and crashes as the fault needs them.
    std::optional<DuplicateId> policy;
};

class ExchangePlants : public testing::TestWithParam<PlantedFault> {};

// In a process of its own: a fault may show in an assertion of the exchange first.
bool is_found(const WorldOptions& options, std::uint64_t seed, bool says_what) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        if (!says_what) (void)std::freopen("/dev/null", "w", stderr);
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
        WorldOptions options = options_for(seed);
        options.plant.*GetParam().flag = true;
        if (const char* e = std::getenv("W_WORKERS")) options.workers = std::strtoull(e, nullptr, 10);
        if (const char* e = std::getenv("W_GROUPS")) options.groups = std::strtoull(e, nullptr, 10);
        if (const char* e = std::getenv("W_CRASHES")) options.crashes = std::strtoull(e, nullptr, 10);
        if (const char* e = std::getenv("W_FREEZES")) options.freezes = e[0] == '1';
        if (const char* e = std::getenv("W_WINDOW")) options.window_records = std::strtoull(e, nullptr, 10);
        if (const char* e = std::getenv("W_STEPS")) options.steps = std::strtoull(e, nullptr, 10);
        if (GetParam().policy) options.duplicate_id = *GetParam().policy;
        if (is_found(options, seed, found == 0)) ++found;
    }
    std::printf("%s: found in %lu of %lu seeds\n", GetParam().name, found, count);
    EXPECT_GT(found, 0u);
}

INSTANTIATE_TEST_SUITE_P(
    Each,
    ExchangePlants,
    testing::Values(PlantedFault{"NORESEND", &Plant::no_resend, {}},
                    PlantedFault{"NOSTAR", &Plant::no_star, {}},
                    PlantedFault{"EARLYJOIN", &Plant::early_join, {}},
                    PlantedFault{"NOBARRIER", &Plant::no_barrier, {}},
                    PlantedFault{"WINDOW", &Plant::window, {}},
                    PlantedFault{"NOTAIL", &Plant::no_tail, {}},
                    PlantedFault{"SAMEEPOCH", &Plant::same_epoch, {}},
                    PlantedFault{"GRANTEARLY", &Plant::grant_early, DuplicateId::replace},
                    PlantedFault{"LEAVELOST", &Plant::leave_lost, DuplicateId::replace},
                    PlantedFault{"EVICTONE", &Plant::evict_one, DuplicateId::replace},
                    PlantedFault{"NOCHECK", &Plant::no_check, DuplicateId::reject},
                    PlantedFault{"EARLYCREDIT", &Plant::early_credit, {}},
                    PlantedFault{"ACKBLOCKS", &Plant::ack_blocks, {}},
                    PlantedFault{"OPENACK", &Plant::open_ack, {}}),
    [](const auto& of) { return std::string(of.param.name); });

}  // namespace
}  // namespace wspool::hub
