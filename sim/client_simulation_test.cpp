#include "sim/client_simulation.h"

#include "sim/simulation.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace wspool::sim {
namespace {

ClientReport simulate(std::uint64_t seed, ClientPlantKind plant = ClientPlantKind::none) {
    ClientSimulationOptions options;
    options.plant = plant;
    return ClientSimulation(seed, options).run();
}

TEST(ClientSimulation, AThousandSeedsHold) {
    announce_seed_on_abort();
    ClientReport sum;
    for (std::uint64_t seed = 1; seed <= 1000; ++seed) {
        const ClientReport report = simulate(seed);
        ASSERT_EQ(report.violation, "")
            << "seed " << seed << "\nreplay: ./dev sim --client --seed " << seed << " --trace";
        sum.granted += report.granted;
        sum.delivered += report.delivered;
        sum.replied += report.replied;
        sum.revoked += report.revoked;
        sum.resumed += report.resumed;
        sum.pushes += report.pushes;
        sum.connects += report.connects;
        sum.turns += report.turns;
        sum.subscriptions += report.subscriptions;
        for (std::size_t i = 0; i < sum.errors.size(); ++i) sum.errors[i] += report.errors[i];
        for (std::size_t i = 0; i < sum.ends.size(); ++i) sum.ends[i] += report.ends[i];
    }
    std::printf("%llu leases, %llu texts delivered, %llu connects, %llu turns\n",
                static_cast<unsigned long long>(sum.granted),
                static_cast<unsigned long long>(sum.delivered),
                static_cast<unsigned long long>(sum.connects),
                static_cast<unsigned long long>(sum.turns));
    // Seeds that do not come where it is dangerous prove nothing.
    EXPECT_GT(sum.granted, 20'000u);
    EXPECT_GT(sum.delivered, 50'000u);
    EXPECT_GT(sum.replied, 1'000u);
    EXPECT_GT(sum.revoked, 1'000u);
    EXPECT_GT(sum.resumed, 200u);
    EXPECT_GT(sum.pushes, 1'000u);
    EXPECT_GT(sum.subscriptions, 1'000u);
    for (std::size_t i = 0; i < sum.errors.size(); ++i) {
        const auto error = static_cast<client::ErrorCode>(i);
        if (error == client::ErrorCode::none || error == client::ErrorCode::invalid ||
            error == client::ErrorCode::cancelled) {
            continue;
        }
        EXPECT_GT(sum.errors[i], 0u) << client::name(error) << " never happened";
    }
    for (std::size_t i = 0; i < sum.ends.size(); ++i) {
        const auto end = static_cast<pool::SlotEnd>(i);
        // The core never takes a connection out of its pool, resizes or resets one.
        if (end == pool::SlotEnd::detached || end == pool::SlotEnd::reset ||
            end == pool::SlotEnd::surplus) {
            continue;
        }
        EXPECT_GT(sum.ends[i], 0u) << pool::name(end) << " never happened";
    }
}

TEST(ClientSimulation, OneSeedGivesOneHistory) {
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
        const ClientReport first = simulate(seed);
        const ClientReport second = simulate(seed);
        EXPECT_EQ(first.hash, second.hash) << "seed " << seed;
        EXPECT_EQ(first.lines, second.lines);
        EXPECT_EQ(first.turns, second.turns);
    }
    EXPECT_NE(simulate(1).hash, simulate(2).hash);
}

// A hundred connections are lost at once: the worlds that are drawn as crowds.
TEST(ClientSimulation, AHerdComesBackSpread) {
    for (std::uint64_t seed = 50; seed <= 500; seed += 50) {
        const ClientReport report = simulate(seed);
        EXPECT_EQ(report.violation, "") << "seed " << seed;
        EXPECT_GE(report.subscriptions, 100u);
        EXPECT_GT(report.herd, 0u);
        EXPECT_LT(report.herd, 100u) << "all of them within 100 ms";
    }
}

struct Planted {
    const char* name;
    ClientPlantKind kind;
};

void PrintTo(const Planted& planted, std::ostream* out) {
    *out << planted.name;
}

std::string planted_name(const testing::TestParamInfo<Planted>& planted) {
    return planted.param.name;
}

class ClientFault : public testing::TestWithParam<Planted> {};

// A checker that cannot fail checks nothing: each fault is noticed wherever it strikes.
TEST_P(ClientFault, IsNoticedWheneverItStrikes) {
    int strikes = 0;
    for (std::uint64_t seed = 1; strikes < 15 && seed <= 150; ++seed) {
        const ClientReport report = simulate(seed, GetParam().kind);
        if (!report.has_planted) {
            EXPECT_EQ(report.violation, "") << "seed " << seed << " without a fault";
            continue;
        }
        ++strikes;
        EXPECT_NE(report.violation, "") << "seed " << seed << ": nobody noticed";
    }
    EXPECT_GE(strikes, 5) << "the fault hardly ever strikes";
}

INSTANTIATE_TEST_SUITE_P(
    Kinds,
    ClientFault,
    testing::Values(Planted{"LoseRelease", ClientPlantKind::lose_release},
                    Planted{"LoseCancel", ClientPlantKind::lose_cancel},
                    Planted{"LoseGrant", ClientPlantKind::lose_grant},
                    Planted{"DoubleGrant", ClientPlantKind::double_grant},
                    Planted{"SwapReplies", ClientPlantKind::swap_replies},
                    Planted{"StaleRevocation", ClientPlantKind::stale_revocation},
                    Planted{"LoseUnsubscribe", ClientPlantKind::lose_unsubscribe},
                    Planted{"ReplayTwice", ClientPlantKind::replay_twice},
                    Planted{"LoseMessage", ClientPlantKind::lose_message},
                    Planted{"DoubleMessage", ClientPlantKind::double_message},
                    Planted{"ChangeMessage", ClientPlantKind::change_message},
                    Planted{"LoseTimers", ClientPlantKind::lose_timers},
                    Planted{"KeepDescriptor", ClientPlantKind::keep_descriptor},
                    Planted{"LendTwice", ClientPlantKind::lend_twice}),
    planted_name);

// Options that the core does not keep to: noticed in many seeds, as not each comes to the bound.
class ClientBound : public testing::TestWithParam<Planted> {};

TEST_P(ClientBound, IsNoticedInMany) {
    int noticed = 0;
    for (std::uint64_t seed = 1; seed <= 400 && noticed < 5; ++seed) {
        if (!simulate(seed, GetParam().kind).violation.empty()) ++noticed;
    }
    EXPECT_EQ(noticed, 5);
}

INSTANTIATE_TEST_SUITE_P(Kinds,
                         ClientBound,
                         testing::Values(Planted{"NoConnectDeadline",
                                                 ClientPlantKind::no_connect_deadline},
                                         Planted{"NoBackoff", ClientPlantKind::no_backoff},
                                         Planted{"TooMany", ClientPlantKind::too_many}),
                         planted_name);

}  // namespace
}  // namespace wspool::sim
