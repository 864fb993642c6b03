#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace wspool::sim {
namespace {

Report simulate(std::uint64_t seed, PlantKind plant = PlantKind::none) {
    SimulationOptions options;
    options.plant = plant;
    return Simulation(seed, options).run();
}

// Of what is not drawn here: tokens, rates, queues for seats (sim/seats_simulation_test.cpp), a
// control process; and what the master counts.
bool is_of_other_tests(metrics::CloseReason reason) {
    using enum metrics::CloseReason;
    return reason == worker_lost || reason == token_expired || reason == rate ||
           reason == preempted || reason == capacity || reason == disconnected;
}

TEST(Simulation, AThousandSeedsHold) {
    announce_seed_on_abort();
    std::size_t deliveries = 0;
    std::size_t sessions = 0;
    metrics::PerReason<metrics::CloseReason> closed{};
    metrics::PerReason<metrics::RejectReason> rejected{};
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        const Report report = simulate(seed);
        ASSERT_EQ(report.violation, "") << "seed " << seed << ": " << report.violation
                                        << "\nreplay: ./dev sim --seed " << seed << " --trace";
        deliveries += report.deliveries;
        sessions += report.sessions;
        for (std::size_t i = 0; i < closed.size(); ++i) {
            closed[i] += report.counters.connections_closed[i];
        }
        for (std::size_t i = 0; i < rejected.size(); ++i) {
            rejected[i] += report.counters.connections_rejected[i];
        }
        if (seed % 100 == 0) {
            std::printf("%llu seeds, %zu clients, %zu deliveries\n",
                        static_cast<unsigned long long>(seed),
                        sessions,
                        deliveries);
            std::fflush(stdout);
        }
    }
    // Seeds that do not come where it is dangerous prove nothing.
    EXPECT_GT(deliveries, 100'000u);
    for (std::size_t i = 0; i < closed.size(); ++i) {
        const auto reason = static_cast<metrics::CloseReason>(i);
        if (is_of_other_tests(reason)) continue;
        EXPECT_GT(closed[i], 0u) << metrics::name(reason) << " never happened";
    }
    for (const auto reason : {metrics::RejectReason::malformed,
                              metrics::RejectReason::header_size,
                              metrics::RejectReason::body,
                              metrics::RejectReason::upgrade,
                              metrics::RejectReason::version,
                              metrics::RejectReason::bad_name,
                              metrics::RejectReason::bad_priority,
                              metrics::RejectReason::duplicate_id,
                              metrics::RejectReason::timeout,
                              metrics::RejectReason::capacity,
                              metrics::RejectReason::descriptors,
                              metrics::RejectReason::draining,
                              metrics::RejectReason::peer_lost}) {
        EXPECT_GT(rejected[static_cast<std::size_t>(reason)], 0u)
            << metrics::name(reason) << " never happened";
    }
}

TEST(Simulation, OneSeedGivesOneHistory) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const Report first = simulate(seed);
        const Report second = simulate(seed);
        EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
        EXPECT_EQ(first.lines, second.lines);
        EXPECT_EQ(first.turns, second.turns);
    }
    EXPECT_NE(simulate(1).hash, simulate(2).hash);
}

struct Planted {
    const char* name;
    PlantKind kind;
};

void PrintTo(const Planted& planted, std::ostream* out) {
    *out << planted.name;
}

std::string planted_name(const testing::TestParamInfo<Planted>& planted) {
    return planted.param.name;
}

class PlantedFault : public testing::TestWithParam<Planted> {};

// A checker that cannot fail checks nothing: each fault is noticed wherever it strikes.
TEST_P(PlantedFault, IsNoticedWheneverItStrikes) {
    int strikes = 0;
    for (std::uint64_t seed = 1; strikes < 25 && seed <= 400; ++seed) {
        const Report report = simulate(seed, GetParam().kind);
        if (!report.has_planted) {
            EXPECT_EQ(report.violation, "") << "seed " << seed << " without a fault";
            continue;
        }
        ++strikes;
        EXPECT_NE(report.violation, "") << "seed " << seed << ": nobody noticed";
    }
    EXPECT_GE(strikes, 5) << "the fault hardly ever strikes";
}

INSTANTIATE_TEST_SUITE_P(Kinds,
                         PlantedFault,
                         testing::Values(Planted{"DropBroadcast", PlantKind::drop_broadcast},
                                         Planted{"DoubleBroadcast", PlantKind::double_broadcast},
                                         Planted{"SwapBroadcasts", PlantKind::swap_broadcasts},
                                         Planted{"ChangeByte", PlantKind::change_byte},
                                         Planted{"LeakBroadcast", PlantKind::leak_broadcast},
                                         Planted{"DropDirect", PlantKind::drop_direct},
                                         Planted{"DoubleDirect", PlantKind::double_direct},
                                         Planted{"DropAnswer", PlantKind::drop_answer},
                                         Planted{"SwapAnswers", PlantKind::swap_answers},
                                         Planted{"DropEcho", PlantKind::drop_echo},
                                         Planted{"LoseCloseFrame", PlantKind::lose_close_frame},
                                         Planted{"ChangeCloseCode", PlantKind::change_close_code}),
                         planted_name);

}  // namespace
}  // namespace wspool::sim
