#include "worker/throttle.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace wspool::worker {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Verdict = Throttle::Verdict;

constexpr Instant start{seconds(1'000)};

ThrottleOptions one_class(RateClass only) {
    return {.classes = {std::move(only)}};
}

// Sends a message whenever it may, until `end` or its closing; returns how many passed.
std::size_t send_all_the_time(Throttle& throttle, std::size_t bytes, Instant& now, Instant end) {
    std::size_t count = 0;
    std::vector<std::uint32_t> released;
    while (now < end) {
        const Verdict verdict = throttle.spend(0, bytes, now);
        if (verdict == Verdict::close) break;
        ++count;
        if (verdict == Verdict::go_on) continue;
        released.clear();
        while (released.empty()) {
            now = throttle.next_deadline();
            throttle.release(now, released);
        }
    }
    return count;
}

TEST(Throttle, who_sends_all_the_time_gets_the_rate_and_is_closed_in_the_end) {
    Throttle throttle(one_class({.messages_per_second = 100}), start);
    throttle.enter(0, 0, start);
    Instant now = start;
    const std::size_t passed = send_all_the_time(throttle, 10, now, start + seconds(60));
    EXPECT_GE(now, start + seconds(5));
    EXPECT_LE(now, start + seconds(6));
    EXPECT_NEAR(static_cast<double>(passed), 200 + 500, 60);
}

TEST(Throttle, bytes_count_as_messages_do_and_a_huge_one_passes_alone) {
    Throttle throttle(one_class({.bytes_per_second = 1'000}), start);
    throttle.enter(0, 0, start);
    EXPECT_EQ(throttle.spend(0, 2'000, start), Verdict::go_on);
    EXPECT_EQ(throttle.spend(0, 3'000, start), Verdict::hold);
    EXPECT_LE(throttle.next_deadline(), start + seconds(3) + milliseconds(16));
    std::vector<std::uint32_t> released;
    throttle.release(start + milliseconds(2'900), released);
    EXPECT_TRUE(released.empty());
    throttle.release(start + milliseconds(3'020), released);
    EXPECT_EQ(released.size(), 1u);
}

TEST(Throttle, who_sends_bursts_and_rests_stays) {
    Throttle throttle(one_class({.messages_per_second = 10}), start);
    throttle.enter(0, 0, start);
    Instant now = start;
    std::vector<std::uint32_t> released;
    for (int burst = 0; burst < 20; ++burst) {
        for (int i = 0; i < 19; ++i) ASSERT_NE(throttle.spend(0, 1, now), Verdict::close) << burst;
        now += seconds(3);
        throttle.release(now, released);
    }
}

TEST(Throttle, who_has_left_is_not_released) {
    Throttle throttle(one_class({.messages_per_second = 1}), start);
    throttle.enter(0, 0, start);
    while (throttle.spend(0, 1, start) != Verdict::hold) {
    }
    throttle.leave(0);
    EXPECT_EQ(throttle.next_deadline(), never);
    throttle.enter(0, 0, start);
    EXPECT_EQ(throttle.spend(0, 1, start), Verdict::go_on);
}

TEST(Throttle, each_class_has_rates_of_its_own) {
    const ThrottleOptions options{.classes = {{"", 1, 0}, {"feed", 100, 0}, {"unlimited", 0, 0}}};
    ASSERT_TRUE(options.is_on());
    EXPECT_EQ(options.find("feed"), 1u);
    EXPECT_EQ(options.find("unlimited"), 2u);
    EXPECT_EQ(options.find("nobody knows"), 0u);
    Throttle throttle(options, start);
    for (std::uint8_t i = 0; i < 3; ++i) throttle.enter(i, i, start);
    const auto passed_at_once = [&](std::uint32_t index) {
        int count = 0;
        while (count < 1'000 && throttle.spend(index, 1, start) == Verdict::go_on) ++count;
        return count;
    };
    EXPECT_EQ(passed_at_once(0), 2);
    EXPECT_EQ(passed_at_once(1), 200);
    EXPECT_EQ(passed_at_once(2), 1'000);
}

RC_GTEST_PROP(Throttle, nobody_gets_more_than_the_rate_and_a_burst, ()) {
    const auto rate = *rc::gen::inRange<std::uint64_t>(1, 1'000);
    const auto bytes = *rc::gen::inRange<std::size_t>(1, 10'000);
    const auto byte_rate = *rc::gen::inRange<std::uint64_t>(1'000, 100'000);
    Throttle throttle({{{"", rate, byte_rate}}, seconds(1'000)}, start);
    throttle.enter(0, 0, start);
    Instant now = start;
    const std::size_t passed = send_all_the_time(throttle, bytes, now, start + seconds(10));
    const double time = std::chrono::duration<double>(now - start).count();
    // One more than the bucket holds: what leads into debt is served.
    RC_ASSERT(static_cast<double>(passed) <= static_cast<double>(rate) * (time + 2) + 2);
    RC_ASSERT(static_cast<double>(passed * bytes) <=
              static_cast<double>(byte_rate) * (time + 2) + static_cast<double>(2 * bytes));
}

}  // namespace
}  // namespace wspool::worker
