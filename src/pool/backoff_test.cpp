#include "pool/backoff.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace wspool::pool {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant start{};

RC_GTEST_PROP(Backoff, DrawsBetweenTheFloorAndACeilingThatGrowsToItsBound, (std::uint64_t seed)) {
    BackoffOptions options;
    options.min_delay = milliseconds(*rc::gen::inRange(0, 100));
    options.initial_delay = options.min_delay + milliseconds(*rc::gen::inRange(0, 1000));
    options.max_delay = options.initial_delay + milliseconds(*rc::gen::inRange(0, 60'000));
    options.multiplier = 1 + *rc::gen::inRange(0, 300) / 100.0;
    options.max_attempts = unlimited_attempts;
    Backoff backoff(options, seed);
    double ceiling = static_cast<double>(options.initial_delay.count());
    for (int attempt = 0; attempt < 100; ++attempt) {
        const auto delay = backoff.next_delay();
        RC_ASSERT(delay.has_value());
        RC_ASSERT(*delay >= options.min_delay);
        RC_ASSERT(static_cast<double>(delay->count()) <= ceiling + 1);
        ceiling =
            std::min(ceiling * options.multiplier, static_cast<double>(options.max_delay.count()));
    }
}

TEST(Backoff, DelaysAreSpreadEvenlyUpToTheCeiling) {
    BackoffOptions options;
    options.min_delay = Duration::zero();
    std::vector<int> tenths(10);
    constexpr int clients = 100'000;
    for (int client = 0; client < clients; ++client) {
        Backoff backoff(options, static_cast<std::uint64_t>(client));
        const auto tenth = *backoff.next_delay() / (options.initial_delay / 10);
        ++tenths[static_cast<std::size_t>(std::min<std::int64_t>(tenth, 9))];
    }
    for (const int count : tenths) EXPECT_NEAR(count, clients / 10, 600);  // six deviations
}

TEST(Backoff, WithoutJitterItIsTheCeiling) {
    Backoff backoff({.max_delay = seconds(6), .jitter = Jitter::none}, 1);
    EXPECT_EQ(backoff.next_delay(), seconds(1));
    EXPECT_EQ(backoff.next_delay(), seconds(2));
    EXPECT_EQ(backoff.next_delay(), seconds(4));
    EXPECT_EQ(backoff.next_delay(), seconds(6));
    EXPECT_EQ(backoff.next_delay(), seconds(6));
}

TEST(Backoff, OneSeedGivesOneSequence) {
    Backoff one({}, 7);
    Backoff same({}, 7);
    Backoff other({}, 8);
    const auto delay = one.next_delay();
    EXPECT_EQ(delay, same.next_delay());
    EXPECT_NE(delay, other.next_delay());
}

TEST(Backoff, NoAttemptsMeansNoneAndUnlimitedMeansUnlimited) {
    Backoff none({.max_attempts = 0}, 1);
    EXPECT_FALSE(none.next_delay().has_value());
    Backoff two({.max_attempts = 2}, 1);
    EXPECT_TRUE(two.next_delay().has_value());
    EXPECT_TRUE(two.next_delay().has_value());
    EXPECT_FALSE(two.next_delay().has_value());
    Backoff unlimited({.max_attempts = unlimited_attempts}, 1);
    for (int i = 0; i < 10'000; ++i) ASSERT_TRUE(unlimited.next_delay().has_value());
}

TEST(Backoff, OptionsThatCannotBeMeantAreRefused) {
    EXPECT_TRUE(check(BackoffOptions{}));
    EXPECT_FALSE(check(BackoffOptions{.initial_delay = seconds(2), .max_delay = seconds(1)}));
    EXPECT_FALSE(check(BackoffOptions{.multiplier = 0.5}));
    EXPECT_FALSE(check(BackoffOptions{.stable_after = seconds(-1)}));
    EXPECT_FALSE(check(BackoffOptions{.min_delay = seconds(-1)}));
}

// mattermost-webapp#10960, phoenix#4045: everybody who lost the server comes back in step.
TEST(FaultsOfTheField, F29ALostServerIsNotMetByAHerd) {
    constexpr int clients = 10'000;
    const Duration window = milliseconds(100);
    const BackoffOptions options{.max_attempts = unlimited_attempts};
    // Each comes back, is refused, and comes back again, five times.
    std::vector<int> connects(1000);
    for (int client = 0; client < clients; ++client) {
        Backoff backoff(options, static_cast<std::uint64_t>(client));
        Duration at{};
        for (int attempt = 0; attempt < 5; ++attempt) {
            at += *backoff.next_delay();
            const auto slot = static_cast<std::size_t>(at / window);
            ASSERT_LT(slot, connects.size());
            ++connects[slot];
        }
    }
    // The first round is a tenth in each window of its second; where it ends, the second round has
    // come up to half as much.
    EXPECT_LT(*std::max_element(connects.begin(), connects.end()), clients * 17 / 100);
    // From the fourth second on they are spread over many more.
    EXPECT_LT(*std::max_element(connects.begin() + 40, connects.end()), clients * 4 / 100);
}

// JsSIP#148; IXWebSocket: the attempts start anew with each connection that opens.
TEST(FaultsOfTheField, F30AnImmediateCloseDoesNotResetTheAttempts) {
    BackoffOptions options{.jitter = Jitter::none, .max_attempts = 4};
    Backoff backoff(options, 1);
    Instant now = start;
    for (int attempt = 1; attempt <= 4; ++attempt) {
        const auto delay = backoff.next_delay();
        ASSERT_TRUE(delay.has_value());
        EXPECT_EQ(*delay, seconds(1 << (attempt - 1)));
        now += *delay;
        backoff.opened(now);
        now += milliseconds(4999);
        backoff.lost(now);
        EXPECT_EQ(backoff.attempts(), static_cast<std::uint32_t>(attempt));
    }
    EXPECT_FALSE(backoff.next_delay().has_value());
    backoff.lost(now + seconds(100));  // no connection was open since
    EXPECT_FALSE(backoff.next_delay().has_value());
    backoff.opened(now);
    backoff.lost(now + seconds(5));
    EXPECT_EQ(backoff.next_delay(), seconds(1));
}

// partysocket 1.1.13: after giving up, a manual reconnect did nothing for ever.
TEST(FaultsOfTheField, F32AResetWorksAfterGivingUp) {
    Backoff backoff({.max_attempts = 1}, 1);
    EXPECT_TRUE(backoff.next_delay().has_value());
    EXPECT_FALSE(backoff.next_delay().has_value());
    backoff.reset();
    EXPECT_TRUE(backoff.next_delay().has_value());
}

}  // namespace
}  // namespace wspool::pool
