// Whole workers that die: the simulation with a master, its seeds, and what it finds of faults.
#include "sim/simulation.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace wspool::sim {
namespace {

SimulationOptions with_workers() {
    SimulationOptions options;
    options.has_workers = true;
    return options;
}

Report simulate(std::uint64_t seed) {
    return Simulation(seed, with_workers()).run();
}

TEST(WorkersSimulation, AThousandSeedsHold) {
    announce_seed_on_abort();
    std::size_t deliveries = 0;
    std::size_t recovered = 0;
    std::size_t unrecovered = 0;
    std::uint64_t deaths = 0;
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        const Report report = simulate(seed);
        ASSERT_EQ(report.violation, "")
            << "seed " << seed << ": " << report.violation
            << "\nreplay: ./dev sim --workers --seed " << seed << " --trace";
        deliveries += report.deliveries;
        deaths += report.deaths;
        recovered += report.recovered;
        unrecovered += report.unrecovered;
    }
    std::printf("%zu deliveries, %llu deaths, %zu returns recovered, %zu told that they were not\n",
                deliveries,
                static_cast<unsigned long long>(deaths),
                recovered,
                unrecovered);
    // Seeds that do not come where it is dangerous prove nothing.
    EXPECT_GT(deliveries, 100'000u);
    EXPECT_GT(deaths, 3'000u);
    EXPECT_GT(recovered, 300u);
    EXPECT_GT(unrecovered, 300u);
}

TEST(WorkersSimulation, OneSeedGivesOneHistory) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const Report first = simulate(seed);
        const Report second = simulate(seed);
        EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
        EXPECT_EQ(first.lines, second.lines);
        EXPECT_EQ(first.turns, second.turns);
    }
    EXPECT_NE(simulate(1).hash, simulate(2).hash);
}

// ---- faults between a worker and its client

struct Planted {
    const char* name;
    PlantKind kind;
};

class WorkersPlants : public testing::TestWithParam<Planted> {};

TEST_P(WorkersPlants, AreNoticedWheneverTheyStrike) {
    SimulationOptions options = with_workers();
    options.plant = GetParam().kind;
    int strikes = 0;
    for (std::uint64_t seed = 1; strikes < 10 && seed <= 200; ++seed) {
        const Report report = Simulation(seed, options).run();
        if (!report.has_planted) continue;
        ++strikes;
        EXPECT_NE(report.violation, "") << "seed " << seed << ": nobody noticed";
    }
    EXPECT_GE(strikes, 5) << "the fault hardly ever strikes";
}

INSTANTIATE_TEST_SUITE_P(Kinds,
                         WorkersPlants,
                         testing::Values(Planted{"DropBroadcast", PlantKind::drop_broadcast},
                                         Planted{"DoubleBroadcast", PlantKind::double_broadcast},
                                         Planted{"SwapBroadcasts", PlantKind::swap_broadcasts},
                                         Planted{"ChangeByte", PlantKind::change_byte},
                                         Planted{"LeakBroadcast", PlantKind::leak_broadcast},
                                         Planted{"DropDirect", PlantKind::drop_direct},
                                         Planted{"DoubleDirect", PlantKind::double_direct},
                                         Planted{"DropAnswer", PlantKind::drop_answer},
                                         Planted{"DropEcho", PlantKind::drop_echo},
                                         Planted{"LoseCloseFrame", PlantKind::lose_close_frame},
                                         Planted{"ChangeCloseCode", PlantKind::change_close_code}),
                         [](const auto& of) { return std::string(of.param.name); });

// ---- faults in the protocol between workers: those that clients see often enough

struct Fault {
    const char* name;
    bool hub::Plant::*flag;
};

class WorkersFaults : public testing::TestWithParam<Fault> {};

// In a process of its own: a fault may show in an assertion of the exchange first.
bool is_found(const SimulationOptions& options, std::uint64_t seed, bool says_what) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
        if (!says_what) {
            [[maybe_unused]] auto* const quiet = std::freopen("/dev/null", "w", stderr);
        }
        const Report report = Simulation(seed, options).run();
        if (!report.violation.empty() && says_what) {
            std::fprintf(stderr,
                         "seed %llu: %s\n",
                         static_cast<unsigned long long>(seed),
                         report.violation.c_str());
        }
        _exit(report.violation.empty() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return status != 0;
}

TEST_P(WorkersFaults, AreFound) {
    const char* asked = std::getenv("WSPOOL_SEEDS");
    const std::uint64_t count = asked == nullptr ? 60 : std::strtoull(asked, nullptr, 10);
    SimulationOptions options = with_workers();
    options.fault.*GetParam().flag = true;
    std::uint64_t found = 0;
    for (std::uint64_t seed = 1; seed <= count; ++seed) {
        if (is_found(options, seed, found == 0)) ++found;
    }
    std::printf("%s: found in %llu of %llu seeds\n",
                GetParam().name,
                static_cast<unsigned long long>(found),
                static_cast<unsigned long long>(count));
    EXPECT_GT(found, 0u);
}

INSTANTIATE_TEST_SUITE_P(Each,
                         WorkersFaults,
                         testing::Values(Fault{"NORESEND", &hub::Plant::no_resend},
                                         Fault{"NOBARRIER", &hub::Plant::no_barrier},
                                         Fault{"WINDOW", &hub::Plant::window},
                                         Fault{"NOTAIL", &hub::Plant::no_tail},
                                         Fault{"SAMEEPOCH", &hub::Plant::same_epoch},
                                         Fault{"GRANTEARLY", &hub::Plant::grant_early},
                                         Fault{"EARLYCREDIT", &hub::Plant::early_credit},
                                         Fault{"ACKBLOCKS", &hub::Plant::ack_blocks}),
                         [](const auto& of) { return std::string(of.param.name); });

}  // namespace
}  // namespace wspool::sim
