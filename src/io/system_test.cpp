// Entropy, signals, limits and the clock: the small doors to the kernel.
#include "io/clock.h"
#include "io/entropy.h"
#include "io/limits.h"
#include "io/loop.h"
#include "io/signals.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <csignal>
#include <set>

namespace wspool::io {
namespace {

TEST(SystemEntropy, NeverRepeatsAndFillsAnySize) {
    SystemEntropy entropy;
    std::set<std::uint64_t> seen;
    for (int i = 0; i < 10'000; ++i) seen.insert(entropy.next_u64());
    EXPECT_EQ(seen.size(), 10'000u);
    for (const std::size_t size : {0u, 1u, 511u, 512u, 513u, 5000u}) {
        std::vector<std::byte> bytes(size);
        entropy.fill(bytes);
        const auto zeros = std::count(bytes.begin(), bytes.end(), std::byte{0});
        EXPECT_LE(zeros, static_cast<long>(size / 16 + 4));
    }
}

TEST(SystemEntropy, AllByteValuesAreAboutEquallyFrequent) {
    SystemEntropy entropy;
    std::array<int, 256> counts{};
    for (int i = 0; i < 32 * 1024; ++i) {
        for (const std::uint8_t byte :
             std::bit_cast<std::array<std::uint8_t, 8>>(entropy.next_u64())) {
            ++counts[byte];
        }
    }
    for (const int count : counts) {  // 1024 expected, deviation 32
        EXPECT_GT(count, 1024 - 8 * 32);
        EXPECT_LT(count, 1024 + 8 * 32);
    }
}

TEST(Clock, DoesNotRunBackwards) {
    Instant last = read_clock();
    for (int i = 0; i < 1000; ++i) {
        const Instant now = read_clock();
        ASSERT_GE(now, last);
        last = now;
    }
}

TEST(Signals, ABlockedSignalIsReportedThroughTheLoop) {
    for (const LoopChoice choice : {LoopChoice::automatic, LoopChoice::epoll}) {
        auto signals = Signals::block({SIGUSR1, SIGTERM});
        ASSERT_TRUE(signals);
        EXPECT_EQ(signals->next(), std::nullopt);
        auto chosen = make_loop({choice});
        ASSERT_TRUE(chosen);
        ASSERT_TRUE(chosen->loop->watch(signals->fd(), 5));
        ::raise(SIGUSR1);
        chosen->loop->wait(chosen->loop->now() + std::chrono::seconds(10));
        Event event{};
        ASSERT_TRUE(chosen->loop->next_event(event));
        EXPECT_EQ(event.kind, EventKind::readable);
        EXPECT_EQ(event.owner, 5u);
        EXPECT_EQ(signals->next(), SIGUSR1);
        EXPECT_EQ(signals->next(), std::nullopt);
    }
}

TEST(Signals, ASignalThatDoesNotExistIsAnError) {
    EXPECT_FALSE(Signals::block({12345}));
}

TEST(Limits, TheSoftLimitOfDescriptorsBecomesTheHardOne) {
    rlimit original{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &original), 0);
    rlimit lower = original;
    lower.rlim_cur = 128;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
    const auto raised = raise_descriptor_limit();
    ASSERT_TRUE(raised);
    EXPECT_EQ(raised->before, 128u);
    EXPECT_EQ(raised->now, original.rlim_max);
    rlimit now{};
    getrlimit(RLIMIT_NOFILE, &now);
    EXPECT_EQ(now.rlim_cur, original.rlim_max);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &original), 0);
}

}  // namespace
}  // namespace wspool::io
