#include "pool/breaker.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace wspool::pool {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr Instant start{};
using State = CircuitBreaker::State;
using Attempt = CircuitBreaker::Attempt;

CircuitBreaker opened_breaker() {
    CircuitBreaker breaker({.failures_max = 1}, 1);
    breaker.failed(*breaker.begin(start), Error{"refused", 111}, start);
    return breaker;
}

TEST(CircuitBreaker, OpensAfterSoManyFailuresInARow) {
    CircuitBreaker breaker({.failures_max = 3}, 1);
    for (int i = 0; i < 2; ++i) breaker.failed(*breaker.begin(start), Error{"refused"}, start);
    EXPECT_EQ(breaker.state(), State::closed);
    ASSERT_TRUE(breaker.begin(start).has_value());
    breaker.succeeded();
    for (int i = 0; i < 2; ++i) breaker.failed(*breaker.begin(start), Error{"refused"}, start);
    EXPECT_EQ(breaker.state(), State::closed) << "a success begins the count anew";
    breaker.failed(*breaker.begin(start), Error{"refused"}, start);
    EXPECT_EQ(breaker.state(), State::open);
}

TEST(CircuitBreaker, FailsFastWithTheLastErrorUntilTheProbe) {
    CircuitBreaker breaker = opened_breaker();
    EXPECT_GE(breaker.next_probe(), start + milliseconds(2500));
    EXPECT_LE(breaker.next_probe(), start + milliseconds(7500));
    EXPECT_FALSE(breaker.begin(breaker.next_probe() - Duration(1)).has_value());
    EXPECT_EQ(breaker.last_error().message, "refused");
    EXPECT_EQ(breaker.last_error().os_code, 111);
    EXPECT_TRUE(breaker.begin(breaker.next_probe()).has_value());
}

TEST(CircuitBreaker, LetsOneProbeThroughAtATime) {
    CircuitBreaker breaker = opened_breaker();
    const Instant later = start + seconds(100);
    const auto probe = breaker.begin(later);
    ASSERT_TRUE(probe.has_value());
    EXPECT_EQ(breaker.state(), State::half_open);
    EXPECT_EQ(breaker.next_probe(), never);
    EXPECT_FALSE(breaker.begin(later + seconds(100)).has_value());
    breaker.failed(*probe, Error{"still refused"}, later);
    EXPECT_EQ(breaker.state(), State::open);
    EXPECT_EQ(breaker.last_error().message, "still refused");
    EXPECT_GE(breaker.next_probe(), later + milliseconds(2500));
}

TEST(CircuitBreaker, AProbeThatSucceedsClosesIt) {
    CircuitBreaker breaker = opened_breaker();
    ASSERT_TRUE(breaker.begin(start + seconds(100)).has_value());
    breaker.succeeded();
    EXPECT_EQ(breaker.state(), State::closed);
    EXPECT_TRUE(breaker.begin(start + seconds(100)).has_value());
}

TEST(CircuitBreaker, AnAbandonedProbeMakesRoomForTheNext) {
    CircuitBreaker breaker = opened_breaker();
    const Instant later = start + seconds(100);
    breaker.abandoned(*breaker.begin(later), later);
    EXPECT_EQ(breaker.state(), State::open);
    EXPECT_TRUE(breaker.begin(later).has_value());
}

TEST(CircuitBreaker, WhatBeganBeforeItOpenedDoesNotMoveTheProbe) {
    CircuitBreaker breaker({.failures_max = 1}, 1);
    const auto early = breaker.begin(start);
    breaker.failed(*breaker.begin(start), Error{"refused"}, start);
    const Instant probe_at = breaker.next_probe();
    breaker.failed(*early, Error{"reset"}, start + seconds(1));
    EXPECT_EQ(breaker.next_probe(), probe_at);
    EXPECT_EQ(breaker.last_error().message, "reset");
}

TEST(CircuitBreaker, WithoutAFailureLimitItNeverOpens) {
    CircuitBreaker breaker({.failures_max = 0}, 1);
    for (int i = 0; i < 100; ++i) {
        const auto attempt = breaker.begin(start);
        ASSERT_TRUE(attempt.has_value());
        breaker.failed(*attempt, Error{"refused"}, start);
    }
}

// Attempts that end in any order, long after others: it is half open exactly while the last probe
// it gave out has not ended, and whenever it is open its probe is in sight.
RC_GTEST_PROP(CircuitBreaker, NeverHasTwoProbesNorGetsStuck, (std::uint64_t seed)) {
    CircuitBreaker breaker({.failures_max = 2}, seed);
    Instant now = start;
    std::vector<Attempt> running;
    std::uint32_t current = 0;
    const auto steps = *rc::gen::inRange(1, 300);
    for (int step = 0; step < steps; ++step) {
        const auto command = *rc::gen::inRange(0, 5);
        if (command == 0) {
            now += milliseconds(*rc::gen::inRange(0, 9000));
        } else if (command == 1 || running.empty()) {
            const auto attempt = breaker.begin(now);
            if (attempt && attempt->probe != 0) {
                RC_ASSERT(current == 0u);
                current = attempt->probe;
            }
            if (attempt) running.push_back(*attempt);
        } else {
            const auto which = *rc::gen::inRange<std::size_t>(0, running.size());
            const Attempt attempt = running[which];
            running.erase(running.begin() + static_cast<std::ptrdiff_t>(which));
            if (command == 2) breaker.succeeded();
            if (command == 3) breaker.failed(attempt, Error{"refused"}, now);
            if (command == 4) breaker.abandoned(attempt, now);
            if (command == 2 || attempt.probe == current) current = 0;
        }
        RC_ASSERT((breaker.state() == State::half_open) == (current != 0));
        RC_ASSERT((breaker.state() == State::open) == (breaker.next_probe() != never));
        if (breaker.state() == State::open)
            RC_ASSERT(breaker.next_probe() <= now + milliseconds(7500));
    }
}

}  // namespace
}  // namespace wspool::pool
