#include "io/resolver.h"

#include "io/loop.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>

namespace wspool::io {

namespace {

Address v4(const std::string& host, std::uint16_t port = 80) {
    return {Address::Family::ipv4, host, port};
}

Address v6(const std::string& host, std::uint16_t port = 80) {
    return {Address::Family::ipv6, host, port};
}

// A lookup that hangs for "hung" until let go, and knows one name.
class Gate {
  public:
    static Result<std::vector<Address>> lookup(const std::string& host, std::uint16_t port) {
        std::unique_lock lock(mutex);
        ++begun;
        changed.notify_all();
        if (host == "hung") changed.wait(lock, [] { return is_open; });
        ++done;
        changed.notify_all();
        if (host == "nobody") return fail("nobody has no address");
        return std::vector<Address>{v4("10.0.0.1", port)};
    }
    static void reset() {
        const std::lock_guard lock(mutex);
        is_open = false;
        begun = 0;
        done = 0;
    }
    static void let_go() {
        const std::lock_guard lock(mutex);
        is_open = true;
        changed.notify_all();
    }
    static void wait_begun(int count) {
        std::unique_lock lock(mutex);
        changed.wait(lock, [count] { return begun >= count; });
    }
    static void wait_idle() {
        std::unique_lock lock(mutex);
        changed.wait(lock, [] { return done == begun; });
    }
    static inline std::mutex mutex;
    static inline std::condition_variable changed;
    static inline bool is_open = false;
    static inline int begun = 0;
    static inline int done = 0;
};

class ResolverTest : public testing::Test {
  protected:
    void SetUp() override {
        Gate::reset();
        resolver_ = Resolver::make(&Gate::lookup).value();
    }
    void TearDown() override {
        resolver_.reset();
        Gate::let_go();
        Gate::wait_idle();  // a thread that was left alone is done with what all tests share
    }

    [[nodiscard]] bool is_readable(int timeout_ms = 0) const {
        pollfd entry{resolver_->fd(), POLLIN, 0};
        return ::poll(&entry, 1, timeout_ms) == 1;
    }

    // The next answer, waited for at the descriptor, as a loop would.
    [[nodiscard]] Resolution answer() {
        Resolution resolution;
        EXPECT_TRUE(is_readable(10'000));
        EXPECT_TRUE(resolver_->next(resolution));
        return resolution;
    }

    std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, AnswersWithTheAddressesOfANameAndTheCallersTag) {
    const ResolveId id = resolver_->start("somebody", 443, 17).value();
    const Resolution resolution = answer();
    EXPECT_EQ(resolution.id, id);
    EXPECT_EQ(resolution.tag, 17u);
    EXPECT_EQ(resolution.addresses.value(), std::vector{v4("10.0.0.1", 443)});
    EXPECT_FALSE(is_readable());
}

TEST_F(ResolverTest, AnUnknownNameIsAnAnswerWithASentence) {
    ASSERT_TRUE(resolver_->start("nobody", 80, 0));
    const Resolution resolution = answer();
    ASSERT_FALSE(resolution.addresses);
    EXPECT_EQ(resolution.addresses.error().message, "nobody has no address");
}

TEST_F(ResolverTest, NumericAddressesAreAnsweredAtOnceWhateverHangs) {
    ASSERT_TRUE(resolver_->start("hung", 80, 0));
    Gate::wait_begun(1);
    for (const char* host : {"127.0.0.1", "::1", "[::1]"}) {
        ASSERT_TRUE(resolver_->start(host, 80, 0));
        ASSERT_TRUE(is_readable());
        Resolution resolution;
        ASSERT_TRUE(resolver_->next(resolution));
        EXPECT_EQ(resolution.addresses.value(),
                  std::vector{host[0] == '1' ? v4("127.0.0.1") : v6("::1")});
    }
    EXPECT_FALSE(is_readable());
}

TEST_F(ResolverTest, ACancelledRequestIsNotAnsweredWhereverItIs) {
    const ResolveId looked_up = resolver_->start("hung", 80, 1).value();
    Gate::wait_begun(1);
    const ResolveId queued = resolver_->start("queued", 80, 2).value();
    const ResolveId answered = resolver_->start("127.0.0.1", 80, 3).value();
    ASSERT_TRUE(resolver_->start("kept", 80, 4));
    resolver_->cancel(looked_up);
    resolver_->cancel(queued);
    resolver_->cancel(answered);
    EXPECT_FALSE(is_readable());
    Gate::let_go();
    EXPECT_EQ(answer().tag, 4u);
    resolver_->cancel(looked_up);
    Resolution none;
    EXPECT_FALSE(resolver_->next(none));
    EXPECT_EQ(Gate::done, 2);
}

TEST_F(ResolverTest, AnswersComeInTheOrderAsked) {
    for (std::uint64_t tag = 0; tag < 100; ++tag) {
        ASSERT_TRUE(resolver_->start("name" + std::to_string(tag), 80, tag));
    }
    for (std::uint64_t tag = 0; tag < 100; ++tag) EXPECT_EQ(answer().tag, tag);
}

TEST_F(ResolverTest, MoreThanTheBoundIsRefusedWithASentenceAndPullingMakesRoom) {
    ASSERT_TRUE(resolver_->start("hung", 80, 0));
    Gate::wait_begun(1);
    for (std::size_t i = 1; i < Resolver::requests_max; ++i) {
        ASSERT_TRUE(resolver_->start("127.0.0.1", 80, i));
    }
    const auto refused = resolver_->start("127.0.0.1", 80, 0);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("1024 names wait already"), std::string::npos);
    Resolution resolution;
    ASSERT_TRUE(resolver_->next(resolution));
    EXPECT_TRUE(resolver_->start("127.0.0.1", 80, 0));
}

TEST_F(ResolverTest, TheEndDoesNotWaitForALookupThatHangs) {
    ASSERT_TRUE(resolver_->start("hung", 80, 0));
    Gate::wait_begun(1);
    resolver_.reset();  // returns, though nobody has let go
    EXPECT_EQ(Gate::done, 0);
    Gate::let_go();
    Gate::wait_idle();
}

TEST_F(ResolverTest, WhatWaitsBehindAHungLookupIsNotBegunAfterTheEnd) {
    ASSERT_TRUE(resolver_->start("hung", 80, 0));
    ASSERT_TRUE(resolver_->start("behind", 80, 0));
    Gate::wait_begun(1);
    resolver_.reset();
    Gate::let_go();
    Gate::wait_idle();
    EXPECT_EQ(Gate::begun, 1);
}

TEST(SystemResolver, TheLoopIsWokenByTheAnswerForLocalhost) {
    for (const LoopChoice choice : {LoopChoice::automatic, LoopChoice::epoll}) {
        auto resolver = Resolver::make().value();
        auto loop = std::move(make_loop({choice})->loop);
        ASSERT_TRUE(loop->watch(resolver->fd(), 5));
        ASSERT_TRUE(resolver->start("localhost", 8080, 1));
        Event event{};
        loop->wait(loop->now() + std::chrono::seconds(10));
        ASSERT_TRUE(loop->next_event(event));
        EXPECT_EQ(event.owner, 5u);
        Resolution resolution;
        ASSERT_TRUE(resolver->next(resolution));
        for (const Address& address : resolution.addresses.value()) {
            EXPECT_TRUE(is_loopback(address));
            EXPECT_EQ(address.port, 8080);
        }
    }
}

RC_GTEST_PROP(InterleaveFamilies,
              KeepsEveryAddressTheOrderWithinAFamilyAndAlternatesWhileBothAreLeft,
              (const std::vector<bool>& families)) {
    std::vector<Address> given;
    for (std::size_t i = 0; i < families.size(); ++i) {
        const auto port = static_cast<std::uint16_t>(i);
        given.push_back(families[i] ? v4("1.1.1.1", port) : v6("::1", port));
    }
    const std::vector<Address> got = interleave_families(given);
    RC_ASSERT(got.size() == given.size());
    if (given.empty()) return;
    RC_ASSERT(got.front() == given.front());
    for (const auto family : {Address::Family::ipv4, Address::Family::ipv6}) {
        std::vector<Address> before;
        std::vector<Address> after;
        const auto is_of = [family](const Address& a) { return a.family == family; };
        std::copy_if(given.begin(), given.end(), std::back_inserter(before), is_of);
        std::copy_if(got.begin(), got.end(), std::back_inserter(after), is_of);
        RC_ASSERT(before == after);
    }
    const auto fours = static_cast<std::size_t>(std::count(families.begin(), families.end(), true));
    const std::size_t pairs = std::min(fours, families.size() - fours);
    for (std::size_t i = 1; i < 2 * pairs; ++i) RC_ASSERT(got[i].family != got[i - 1].family);
}

}  // namespace

}  // namespace wspool::io
