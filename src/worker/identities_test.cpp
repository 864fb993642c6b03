#include "worker/identities.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

namespace wspool::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr WallTime noon{seconds(1'800'000'000)};
constexpr Instant start{seconds(1'000)};

auth::Permissions joining(std::vector<std::string> patterns) {
    return {std::move(patterns), std::nullopt};
}

TEST(Identities, equal_permissions_are_held_once) {
    Identities identities(start);
    identities.set_wall_clock(noon, start);
    for (std::uint32_t i = 0; i < 300; ++i)
        identities.add(i, noon + seconds(60), joining({i % 2 == 0 ? "a" : "b"}), start);
    identities.add(300, noon + seconds(60), {}, start);
    EXPECT_EQ(identities.permission_count(), 2u);
    EXPECT_TRUE(identities.may_join(0, "a"));
    EXPECT_FALSE(identities.may_join(1, "a"));
    EXPECT_TRUE(identities.may_join(300, "a"));
    EXPECT_TRUE(identities.may_publish(0, "b"));
    for (std::uint32_t i = 0; i < 301; ++i) identities.remove(i);
    EXPECT_EQ(identities.permission_count(), 0u);
    EXPECT_EQ(identities.next_deadline(), never);
}

TEST(Identities, permissions_with_the_same_letters_differ) {
    Identities identities(start);
    identities.set_wall_clock(noon, start);
    identities.add(0, noon + seconds(60), joining({"a", "b"}), start);
    identities.add(1, noon + seconds(60), joining({"a1:b"}), start);
    identities.add(2, noon + seconds(60), {std::nullopt, {{"a", "b"}}}, start);
    identities.add(3, noon + seconds(60), joining({}), start);
    EXPECT_EQ(identities.permission_count(), 4u);
    EXPECT_FALSE(identities.may_join(3, "a"));
}

TEST(Identities, a_clock_that_was_set_back_lets_clients_stay_until_it_is_time_again) {
    Identities identities(start);
    identities.set_wall_clock(noon, start);
    identities.add(0, noon + seconds(10), {}, start);
    identities.set_wall_clock(noon - seconds(60), start);
    std::vector<std::uint32_t> expired;
    identities.expire(start + seconds(20), expired);
    EXPECT_TRUE(expired.empty());
    identities.expire(start + seconds(71), expired);
    EXPECT_EQ(expired.size(), 1u);
}

// Whoever comes and goes: each is ended when its time has come, within two ticks, and not before.
RC_GTEST_PROP(Identities, end_when_their_tokens_do, ()) {
    Identities identities(start);
    identities.set_wall_clock(noon, start);
    Instant now = start;
    std::map<std::uint32_t, WallTime> here;
    const auto steps = *rc::gen::inRange(1, 200);
    for (int step = 0; step < steps; ++step) {
        const auto index = *rc::gen::inRange<std::uint32_t>(0, 300);
        if (here.erase(index) == 1) {
            identities.remove(index);
        } else {
            const WallTime expires =
                identities.wall_time(now) + milliseconds(*rc::gen::inRange(1, 400'000));
            identities.add(index, expires, {}, now);
            here[index] = expires;
        }
        const Instant deadline = identities.next_deadline();
        RC_ASSERT(here.empty() == (deadline == never));
        now += milliseconds(*rc::gen::inRange(0, 20'000));
        std::vector<std::uint32_t> expired;
        identities.expire(now, expired);
        for (const std::uint32_t gone : expired) {
            RC_ASSERT(here.at(gone) <= identities.wall_time(now));
            here.erase(gone);
            identities.remove(gone);
        }
        for (const auto& [stays, expires] : here)
            RC_ASSERT(expires + milliseconds(512) > identities.wall_time(now));
        RC_ASSERT(identities.size() == here.size());
    }
}

TEST(Identities, a_deadline_is_never_later_than_the_first_expiry_by_more_than_two_ticks) {
    Identities identities(start);
    identities.set_wall_clock(noon, start);
    identities.add(7, noon + seconds(3), {}, start);
    EXPECT_GT(identities.next_deadline(), start);
    EXPECT_LE(identities.next_deadline(), start + seconds(3) + milliseconds(512));
}

}  // namespace
}  // namespace wspool::worker
