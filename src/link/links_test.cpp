// Links between processes that are played by one thread, over both of the kernel's loops.
#include "link/links.h"

#include "io/descriptor_channel.h"
#include "link/link_node.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wspool::link {
namespace {

constexpr Peer alice = 101;
constexpr Peer bob = 202;
constexpr Peer carol = 303;

std::string numbered(std::size_t number, std::size_t size) {
    std::string text = std::to_string(number) + ":";
    return text.append(size, static_cast<char>('a' + number % 26));
}

class LinksTest : public testing::TestWithParam<io::LoopChoice> {
  protected:
    LinksTest() { fresh(); }

    struct Process {
        std::unique_ptr<io::Loop> loop;
        std::optional<LinkNode> node;
    };

    static void start(Process& process, const LinkOptions& options) {
        process.node.reset();
        process.loop = std::move(io::make_loop({GetParam(), {}})->loop);
        process.node.emplace(*process.loop, options);
    }

    // Two processes, linked: Alice's peer is Bob.
    void fresh(const LinkOptions& options = {}) {
        start(alice_, options);
        start(bob_, options);
        join(alice_, bob, bob_, alice);
    }

    static void join(Process& one, Peer its_peer, Process& other, Peer others_peer) {
        const auto streams = io::make_socket_pair(io::PairKind::stream).value();
        const auto channels = io::make_socket_pair(io::PairKind::seqpacket).value();
        EXPECT_TRUE(one.node->links().add(its_peer, streams[0], channels[0]));
        EXPECT_TRUE(other.node->links().add(others_peer, streams[1], channels[1]));
    }

    [[nodiscard]] LinkNode& a() { return *alice_.node; }
    [[nodiscard]] LinkNode& b() { return *bob_.node; }

    static bool run_until(const std::function<bool()>& done, std::vector<LinkNode*> nodes) {
        const Instant limit = nodes[0]->loop().now() + std::chrono::seconds(10);
        while (!done()) {
            if (nodes[0]->loop().now() > limit) return false;
            for (LinkNode* node : nodes) node->turn(std::chrono::milliseconds(1));
        }
        return true;
    }
    bool run_until(const std::function<bool()>& done) { return run_until(done, {&a(), &b()}); }

    // What kill -9 leaves: both sockets closed, nothing said, nothing more read.
    void kill_alice() {
        alice_.node.reset();
        // The kernel takes a ring apart in its own time, and its polls hold the sockets open.
        alice_.loop->wait(Instant::min());
        alice_.loop.reset();
    }

    Process alice_, bob_;
};

TEST_P(LinksTest, RecordsArriveWholeAndInOrderBothWays) {
    const bool holds = rc::check([&] {
        fresh();
        const auto sizes = *rc::gen::container<std::vector<std::size_t>>(
            rc::gen::weightedOneOf<std::size_t>({{20, rc::gen::inRange<std::size_t>(0, 300)},
                                                 {1, rc::gen::inRange<std::size_t>(0, 900'000)}}));
        std::vector<std::string> sent;
        for (std::size_t i = 0; i < sizes.size(); ++i) {
            sent.push_back(numbered(i, sizes[i]));
            a().say(bob, sent[i]);
            b().say(alice, sent[i]);
            if (sizes[i] % 3 == 0) a().turn();
            if (sizes[i] % 5 == 0) b().turn();
        }
        RC_ASSERT(run_until([&] {
            return a().heard(bob).records.size() == sent.size() &&
                   b().heard(alice).records.size() == sent.size();
        }));
        RC_ASSERT(a().heard(bob).records == sent);
        RC_ASSERT(b().heard(alice).records == sent);
        a().turn();
        RC_ASSERT(a().links().figures().queued == 0u);
        RC_ASSERT(a().links().figures().records_out == sent.size());
        RC_ASSERT(b().links().figures().records_in == sent.size());
        RC_ASSERT(a().links().figures().bytes_out == b().links().figures().bytes_in);
    });
    EXPECT_TRUE(holds);
}

TEST_P(LinksTest, WhatOneSendDoesNotTakeFollowsWithoutAnEvent) {
    const std::string large(3'000'000, 'x');
    a().say(bob, large);
    a().turn();
    EXPECT_TRUE(a().links().queued(bob) > 0);
    ASSERT_TRUE(run_until([&] { return b().heard(alice).records.size() == 1; }));
    EXPECT_EQ(b().heard(alice).records[0], large);
    EXPECT_LE(b().links().memory(), 256u * 1024);
}

TEST_P(LinksTest, ADescriptorArrivesWithItsMessageAndIsTheReceivers) {
    const auto ends = io::make_socket_pair(io::PairKind::stream).value();
    for (int i = 0; i < 100; ++i) {
        ASSERT_EQ(a().links().send_descriptor(bob, ends[0], as_bytes(std::to_string(i))),
                  io::ChannelSend::sent);
    }
    ASSERT_TRUE(run_until([&] { return b().heard(alice).descriptors.size() == 100; }));
    for (std::size_t i = 0; i < 100; ++i) {
        EXPECT_EQ(b().heard(alice).messages[i], std::to_string(i));
        EXPECT_GE(b().heard(alice).descriptors[i], 0);
        bob_.loop->discard(b().heard(alice).descriptors[i]);
    }
    for (const int fd : ends) bob_.loop->discard(fd);
    EXPECT_EQ(a().links().figures().descriptors_out, 100u);
    EXPECT_EQ(b().links().figures().descriptors_in, 100u);
}

// R2, R3: records and descriptors, although what Bob had sent lay unread.
TEST_P(LinksTest, WhatADeadPeerHadWrittenIsReadAndTheUnfinishedRestIsNot) {
    const auto ends = io::make_socket_pair(io::PairKind::stream).value();
    b().say(alice, "never read");
    b().turn();
    a().say(bob, "first");
    a().say(bob, std::string(100'000, 'x'));
    a().turn();
    // Not read in one turn, and as for the stream, Alice leaves something of Bob's unread.
    for (int i = 0; i < 40; ++i) {
        ASSERT_EQ(a().links().send_descriptor(bob, ends[0], as_bytes(std::to_string(i))),
                  io::ChannelSend::sent);
    }
    ASSERT_EQ(b().links().send_descriptor(alice, ends[0], as_bytes("x")), io::ChannelSend::sent);
    // More than is sent at once: the death cuts it.
    a().say(bob, std::string(io::send_size_max * 2, 'y'));
    a().turn();
    ASSERT_TRUE(b().heard(alice).records.empty());
    kill_alice();
    ASSERT_TRUE(run_until([&] { return !b().heard(alice).ends.empty(); }, {&b()}));
    Heard& heard = b().heard(alice);
    ASSERT_EQ(heard.records.size(), 2u);
    EXPECT_EQ(heard.records[0], "first");
    EXPECT_EQ(heard.records[1], std::string(100'000, 'x'));
    EXPECT_EQ(heard.descriptors.size(), 40u);
    EXPECT_EQ(heard.ends.size(), 1u);
    EXPECT_FALSE(heard.spoke_after_its_end);
    EXPECT_FALSE(b().links().has(alice));
    EXPECT_EQ(b().links().figures().queued, 0u);
    for (const int fd : heard.descriptors) bob_.loop->discard(fd);
    for (const int fd : ends) bob_.loop->discard(fd);
}

TEST_P(LinksTest, AFailedWriteOnlyStopsWriting) {
    for (int i = 0; i < 10; ++i) a().say(bob, numbered(static_cast<std::size_t>(i), 20'000));
    a().turn();
    a().turn();
    kill_alice();
    // Bob writes before he reads: the write fails, and he goes on reading.
    b().say(alice, "in vain");
    ASSERT_TRUE(run_until([&] { return !b().heard(alice).ends.empty(); }, {&b()}));
    EXPECT_EQ(b().heard(alice).records.size(), 10u);
    EXPECT_EQ(b().links().figures().bytes_lost, make_record("in vain").size());
    b().say(alice, "later still");
    b().turn();
    EXPECT_GT(b().links().figures().bytes_lost, make_record("later still").size());
}

TEST_P(LinksTest, ABadRecordEndsTheLinkWithASentenceBehindTheGoodOnes) {
    LinkOptions options;
    options.record_size_max = 1000;
    fresh(options);
    a().say(bob, "good");
    a().turn();
    a().say(bob, std::string(2000, 'x'));
    a().say(bob, "never read");
    ASSERT_TRUE(run_until([&] { return !b().heard(alice).ends.empty(); }));
    EXPECT_EQ(b().heard(alice).records, std::vector<std::string>{"good"});
    EXPECT_NE(b().heard(alice).ends[0].find("2008 bytes"), std::string::npos)
        << b().heard(alice).ends[0];
    ASSERT_TRUE(run_until([&] { return !a().heard(bob).ends.empty(); }));
    EXPECT_EQ(b().links().figures().links, 0u);
}

TEST_P(LinksTest, APeerThatTakesNothingIsEndedAtTheBoundAndMemoryFollowsTheBytes) {
    LinkOptions options;
    options.queue_size_max = 4'000'000;
    fresh(options);
    std::size_t most = 0;
    for (int i = 0; i < 100'000 && a().heard(bob).ends.empty(); ++i) {
        a().say(bob, std::string(500, 'x'));
        a().turn();
        most = std::max(most, a().links().memory());
    }
    ASSERT_EQ(a().heard(bob).ends.size(), 1u);
    EXPECT_NE(a().heard(bob).ends[0].find("does not take"), std::string::npos);
    EXPECT_LE(most, 10'000'000u);
    EXPECT_GE(a().links().figures().queued_peak, options.queue_size_max);
    EXPECT_EQ(a().links().figures().queued, 0u);
    EXPECT_EQ(a().links().memory(), 0u);
}

TEST_P(LinksTest, APeerWithMuchToSayHoldsNobodyUp) {
    Process third;
    start(third, {});
    join(third, bob, bob_, carol);
    for (int i = 0; i < 40; ++i) a().say(bob, std::string(1'000'000, 'x'));
    for (int i = 0; i < 5; ++i) {
        a().turn();
        b().turn();
    }
    third.node->say(bob, "brief");
    third.node->turn();
    third.node->turn();
    for (int i = 0; i < 3 && b().heard(carol).records.empty(); ++i) {
        a().turn();
        b().turn();
    }
    EXPECT_EQ(b().heard(carol).records, std::vector<std::string>{"brief"});
    EXPECT_LT(b().heard(alice).records.size(), 40u);
}

TEST_P(LinksTest, AReplacementIsNotTouchedByItsPredecessorsEnd) {
    a().say(bob, "old");
    a().turn();
    Process replacement;
    start(replacement, {});
    join(replacement, bob, bob_, carol);
    replacement.node->say(bob, "new");
    kill_alice();
    ASSERT_TRUE(
        run_until([&] { return !b().heard(alice).ends.empty(); }, {&b(), &*replacement.node}));
    EXPECT_TRUE(b().links().has(carol));
    ASSERT_TRUE(run_until([&] { return b().heard(carol).records.size() == 1; },
                          {&b(), &*replacement.node}));
    EXPECT_TRUE(b().heard(carol).ends.empty());
}

TEST_P(LinksTest, ARemovedPeerIsToldOfNoMoreThoughItsPlaceIsTakenAtOnce) {
    a().say(bob, "unheard");
    a().turn();
    a().turn();
    b().links().remove(alice);
    Process other;
    start(other, {});
    join(other, bob, bob_, carol);
    other.node->say(bob, "heard");
    ASSERT_TRUE(
        run_until([&] { return !b().heard(carol).records.empty(); }, {&b(), &*other.node, &a()}));
    EXPECT_TRUE(b().heard(alice).records.empty() && b().heard(alice).ends.empty());
    ASSERT_TRUE(run_until([&] { return !a().heard(bob).ends.empty(); }));
}

TEST_P(LinksTest, WhatIsNoSocketIsAnErrorAndNotKept) {
    const auto channels = io::make_socket_pair(io::PairKind::seqpacket).value();
    EXPECT_FALSE(b().links().add(carol, channels[0], channels[1]));
    EXPECT_FALSE(b().links().has(carol));
    EXPECT_EQ(b().links().figures().links, 1u);
}

INSTANTIATE_TEST_SUITE_P(Loops,
                         LinksTest,
                         testing::Values(io::LoopChoice::uring, io::LoopChoice::epoll),
                         [](const auto& choice) {
                             return choice.param == io::LoopChoice::uring ? "uring" : "epoll";
                         });

}  // namespace
}  // namespace wspool::link
