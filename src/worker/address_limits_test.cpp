#include "worker/address_limits.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>

namespace wspool::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = AddressLimits::Verdict;

constexpr Instant start{seconds(1'000)};
constexpr HashKey key{1, 2};

TEST(AddressLimits, an_address_has_so_many_connections_and_others_are_not_concerned) {
    AddressLimits limits({.connections_max = 2}, key);
    for (std::uint32_t i = 0; i < 2; ++i) {
        EXPECT_EQ(limits.knock("a", start), Verdict::welcome);
        limits.enter(i, "a", start);
    }
    EXPECT_EQ(limits.knock("a", start), Verdict::too_many);
    EXPECT_EQ(limits.knock("b", start), Verdict::welcome);
    limits.leave(0);
    limits.leave(0);
    EXPECT_EQ(limits.knock("a", start), Verdict::welcome);
}

TEST(AddressLimits, an_address_connects_so_often_after_a_burst_of_two_seconds) {
    AddressLimits limits({.connects_per_second = 3}, key);
    for (int i = 0; i < 6; ++i) EXPECT_EQ(limits.knock("a", start), Verdict::welcome);
    EXPECT_EQ(limits.knock("a", start), Verdict::too_fast);
    EXPECT_EQ(limits.knock("a", start + milliseconds(300)), Verdict::too_fast);
    EXPECT_EQ(limits.knock("a", start + milliseconds(350)), Verdict::welcome);
    EXPECT_EQ(limits.knock("b", start), Verdict::welcome);
}

TEST(AddressLimits, what_has_no_address_is_not_limited) {
    AddressLimits limits({.connections_max = 1, .connects_per_second = 1}, key);
    for (std::uint32_t i = 0; i < 10; ++i) {
        EXPECT_EQ(limits.knock("", start), Verdict::welcome);
        limits.enter(i, "", start);
    }
    EXPECT_EQ(limits.size(), 0u);
}

TEST(AddressLimits, the_table_is_bounded_whoever_comes_from_however_many_addresses) {
    AddressLimits limits({.connections_max = 9, .connects_per_second = 1, .idle_max = 2'000}, key);
    limits.enter(0, "stays", start);
    std::size_t most = 0;
    for (int i = 0; i < 100'000; ++i) {
        (void)limits.knock("address " + std::to_string(i), start);
        most = std::max(most, limits.size());
    }
    EXPECT_LE(most, 5'000u);
    limits.leave(0);
}

RC_GTEST_PROP(AddressLimits, counts_are_those_of_who_is_here, ()) {
    AddressLimits limits({.connections_max = 3, .connects_per_second = 2, .idle_max = 4}, key);
    std::map<std::uint32_t, std::string> here;
    Instant now = start;
    const auto steps = *rc::gen::inRange(1, 300);
    for (int step = 0; step < steps; ++step) {
        now += milliseconds(*rc::gen::inRange(0, 1'500));
        const auto index = *rc::gen::inRange<std::uint32_t>(0, 20);
        if (here.erase(index) == 1) {
            limits.leave(index);
            continue;
        }
        const std::string block(1, static_cast<char>('a' + *rc::gen::inRange(0, 5)));
        const auto count = std::count_if(
            here.begin(), here.end(), [&](const auto& one) { return one.second == block; });
        const Verdict verdict = limits.knock(block, now);
        RC_ASSERT((verdict == Verdict::too_many) == (count >= 3));
        if (verdict != Verdict::welcome) continue;
        limits.enter(index, block, now);
        here[index] = block;
    }
}

}  // namespace
}  // namespace wspool::worker
