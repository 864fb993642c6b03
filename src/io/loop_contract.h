// The contract of io/loop.h as tests: one suite that every loop passes. A test program includes
// this in one file, and names its loops there or in others (io/loop_bed.h):
//
//   INSTANTIATE_TEST_SUITE_P(Epoll, LoopContract, testing::Values(LoopBedFactory{"epoll",
//   &make_bed}),
//                            loop_bed_name);
//
// Both ends of every conversation go through the loop under test, so that a simulated network
// passes the same tests as the kernel's. Tests only.
#pragma once

#include "io/loop_bed.h"
#include "io/loop_descriptor_contract.h"

#include <rapidcheck.h>

namespace wspool::io {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LoopContract);

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LoopResetContract);

// ---- connections

TEST_P(LoopContract, ConnectsAndAcceptsAndBothEndsKnowTheAddresses) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    EXPECT_EQ(loop().peer_address(client->id).value(), driver().listen_address);
    EXPECT_EQ(loop().local_address(server->id).value(), driver().listen_address);
    EXPECT_EQ(driver().unknown_events, 0);
}

TEST_P(LoopContract, AConnectToNobodyFailsOnceWithAReason) {
    Side* client = driver().connect(bed().dead_address());
    ASSERT_NE(client, nullptr);
    ASSERT_TRUE(driver().until([&] { return !client->failures.empty(); }));
    driver().idle();
    EXPECT_EQ(client->failures.size(), 1u);
    EXPECT_NE(client->failures[0], 0);
    EXPECT_EQ(client->connects, 0);
    EXPECT_EQ(client->ends, 0);
}

TEST_P(LoopContract, ATurnAcceptsNoMoreThanItsBoundAndTheRestFollowsWithoutBlocking) {
    const std::size_t count = static_cast<std::size_t>(accepts_max) * 2 + 20;
    for (std::size_t i = 0; i < count; ++i) {
        ASSERT_NE(driver().connect(driver().listen_address), nullptr);
    }
    std::size_t most = 0;
    const Instant before = loop().now();
    ASSERT_TRUE(driver().until([&] {
        most = std::max(most, driver().accepted_in_turn);
        return driver().accepted.size() == count;
    }));
    EXPECT_LE(most, static_cast<std::size_t>(accepts_max));
    EXPECT_LT(loop().now() - before, std::chrono::seconds(5));
}

TEST_P(LoopContract, APausedListenerAcceptsOnlyWhenResumed) {
    loop().pause(driver().listener);
    Side* client = driver().connect(driver().listen_address);
    ASSERT_NE(client, nullptr);
    if (bed().connects_unaccepted()) {
        ASSERT_TRUE(driver().until([&] { return client->connects == 1; }));
    }
    driver().idle();
    EXPECT_TRUE(driver().accepted.empty());
    loop().resume(driver().listener);
    EXPECT_TRUE(driver().until([&] { return driver().accepted.size() == 1; }));
}

TEST_P(LoopContract, AClosedListenerTakesNobody) {
    loop().close(driver().listener);
    driver().idle();
    Side* client = driver().connect(driver().listen_address);
    ASSERT_NE(client, nullptr);
    EXPECT_TRUE(driver().until([&] { return !client->failures.empty(); }));
    EXPECT_TRUE(driver().accepted.empty());
}

// ---- receiving

TEST_P(LoopContract, BytesArriveInOrderBothWays) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    const std::string there = pattern(1'000'000, 1);
    const std::string back = pattern(700'000, 2);
    driver().write(*client, there);
    driver().write(*server, back);
    ASSERT_TRUE(driver().until([c = client, s = server, &there, &back] {
        return s->received.size() >= there.size() && c->received.size() >= back.size();
    }));
    EXPECT_TRUE(server->received == there);
    EXPECT_TRUE(client->received == back);
    EXPECT_LE(server->receive_largest, receive_max);
}

TEST_P(LoopContract, PiecesAreSentAsTheirConcatenation) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    const std::vector<ByteView> pieces = {as_bytes("one "),
                                          as_bytes(""),
                                          as_bytes("two "),
                                          as_bytes("three "),
                                          as_bytes("4 "),
                                          as_bytes("5 "),
                                          as_bytes("6 "),
                                          as_bytes("7")};
    ASSERT_EQ(pieces.size(), send_pieces_max);
    loop().send(client->id, pieces);
    const std::string whole = "one two three 4 5 6 7";
    ASSERT_TRUE(driver().until([&, s = server] { return s->received.size() >= whole.size(); }));
    EXPECT_EQ(server->received, whole);
}

TEST_P(LoopContract, DataAndTheEndTogetherAreBothSeen) {
    for (int round = 0; round < 300; ++round) {
        const auto [client, server] = driver().pair();
        ASSERT_NE(client, nullptr);
        Prng prng(static_cast<std::uint64_t>(round));
        const std::string text = pattern(1 + prng.below(round % 3 == 0 ? 100'000 : 200));
        driver().write(*client, text);
        if (prng.chance(0.3)) driver().turn(Duration::zero());
        if (prng.chance(0.5)) {
            driver().shutdown_write(*client);
        } else {
            driver().close(*client);
        }
        ASSERT_TRUE(driver().until([s = server] { return s->ends > 0; })) << "round " << round;
        ASSERT_TRUE(server->received == text) << "round " << round;
        ASSERT_EQ(server->ends, 1);
        if (client->open) driver().close(*client);
        driver().close(*server);
    }
    driver().idle();
    EXPECT_EQ(driver().unknown_events, 0);
}

TEST_P(LoopContract, AStreamThatEndedMayStillSend) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    driver().shutdown_write(*client);
    ASSERT_TRUE(driver().until([s = server] { return s->ends == 1; }));
    driver().write(*server, "answer");
    driver().turn(Duration::zero());
    driver().close(*server);
    ASSERT_TRUE(driver().until([c = client] { return c->ends == 1; }));
    EXPECT_EQ(client->received, "answer");
    EXPECT_FALSE(client->received_after_end);
}

TEST_P(LoopContract, WhatArrivesDuringAPauseComesAfterResumingWithoutANewPacket) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    for (int round = 0; round < 20; ++round) {
        loop().pause(server->id);
        const std::size_t before = server->received.size();
        driver().write(*client, "round");
        ASSERT_TRUE(driver().until([c = client] { return c->is_flushed(); }));
        driver().idle(3);
        ASSERT_EQ(server->received.size(), before);
        loop().resume(server->id);
        ASSERT_TRUE(driver().until([&, s = server] { return s->received.size() == before + 5; }));
    }
}

TEST_P(LoopContract, APauseInTheMiddleOfMuchDataLosesNothing) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    const std::string text = pattern(3'000'000);
    driver().write(*client, text);
    for (int i = 0; server->received.size() < text.size(); ++i) {
        const std::size_t before = server->received.size();
        ASSERT_TRUE(driver().until([&, s = server] { return s->received.size() > before; }));
        loop().pause(server->id);
        const std::size_t at_pause = server->received.size();
        driver().turn(Duration::zero());
        driver().turn(Duration::zero());
        ASSERT_EQ(server->received.size(), at_pause);
        loop().resume(server->id);
    }
    EXPECT_TRUE(server->received == text);
}

TEST_P(LoopContract, APausedStreamLearnsOfTheEndWhenResumed) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    loop().pause(server->id);
    driver().write(*client, "last words");
    driver().close(*client);
    driver().idle();
    EXPECT_EQ(server->ends, 0);
    EXPECT_EQ(server->received, "");
    loop().resume(server->id);
    ASSERT_TRUE(driver().until([s = server] { return s->ends == 1; }));
    EXPECT_EQ(server->received, "last words");
}

TEST_P(LoopResetContract, APausedStreamLearnsOfAReset) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    loop().pause(server->id);
    driver().idle(2);
    driver().close(*client, CloseMode::reset);
    ASSERT_TRUE(driver().until([s = server] { return !s->failures.empty(); }));
    driver().idle();
    EXPECT_EQ(server->failures.size(), 1u);
    EXPECT_EQ(server->ends, 0);
}

// ---- sending

TEST_P(LoopContract, ABlockedStreamSendsTheRestInOrderOnceWritable) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    ASSERT_TRUE(block(*client, *server));
    EXPECT_TRUE(client->send_errors.empty());
    const std::size_t taken = client->taken;
    driver().idle();
    EXPECT_EQ(client->taken, taken);
    loop().resume(server->id);
    ASSERT_TRUE(driver().until(
        [c = client, s = server] { return s->received.size() >= c->outbox.size(); }));
    EXPECT_GE(client->writables, 1);
    EXPECT_TRUE(server->received == client->outbox);
}

TEST_P(LoopContract, BlockedStreamsDoNotHoldUpOthers) {
    auto all = pairs(6);
    ASSERT_TRUE(block(*all[0].client, *all[0].server));
    ASSERT_TRUE(block(*all[1].client, *all[1].server));
    for (std::size_t i = 2; i < all.size(); ++i) driver().write(*all[i].client, "through");
    ASSERT_TRUE(driver().until([&] {
        return std::all_of(all.begin() + 2, all.end(), [](const Pair& p) {
            return p.server->received == "through";
        });
    }));
}

TEST_P(LoopContract, ADeadPeerInABatchDoesNotStopTheOthers) {
    for (int round = 0; round < 20; ++round) {
        auto all = pairs(5);
        driver().close(*all[2].server, CloseMode::reset);
        driver().turn(Duration::zero());
        for (Pair& p : all) driver().write(*p.client, "to all");
        ASSERT_TRUE(driver().until([&] {
            return std::all_of(all.begin(), all.end(), [&](const Pair& p) {
                return &p == &all[2] || p.server->received == "to all";
            });
        }));
        Side& lonely = *all[2].client;
        ASSERT_TRUE(driver().until(
            [&] { return !lonely.failures.empty() || !lonely.send_errors.empty(); }));
        for (Pair& p : all) {
            driver().close(*p.client);
            if (p.server->open) driver().close(*p.server);
        }
    }
    EXPECT_EQ(driver().unknown_events, 0);
}

TEST_P(LoopContract, ManySendsOfOneTurnAllLeaveWithTheNextWait) {
    auto all = pairs(100);
    for (int round = 0; round < 5; ++round) {
        for (Pair& p : all) driver().write(*p.server, pattern(100));
        driver().turn(Duration::zero());
        for (Pair& p : all) ASSERT_TRUE(p.server->is_flushed());
    }
    ASSERT_TRUE(driver().until([&] {
        return std::all_of(
            all.begin(), all.end(), [](const Pair& p) { return p.client->received.size() == 500; });
    }));
}

// ---- closing

TEST_P(LoopContract, AGracefulCloseDeliversWhatWasSentBeforeIt) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    const std::string text = pattern(20'000);
    driver().write(*server, text);
    driver().close(*server);
    ASSERT_TRUE(driver().until([c = client] { return c->ends == 1; }));
    EXPECT_TRUE(client->received == text);
    EXPECT_TRUE(client->failures.empty());
}

TEST_P(LoopResetContract, AResetIsSeenAsAFailureAndOnlyOnce) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    driver().close(*server, CloseMode::reset);
    ASSERT_TRUE(driver().until([c = client] { return !c->failures.empty(); }));
    driver().idle();
    EXPECT_EQ(client->failures.size(), 1u);
    EXPECT_EQ(client->ends, 0);
}

TEST_P(LoopContract, NothingFollowsAClose) {
    for (int round = 0; round < 50; ++round) {
        const auto [client, server] = driver().pair();
        ASSERT_NE(client, nullptr);
        driver().write(*client, "racing");
        driver().turn(Duration::zero(), round % 2 == 0 ? 0 : SIZE_MAX);
        driver().write(*client, "more");
        driver().write(*server, "answer");
        driver().close(*server);
        driver().turn(Duration::zero());
        driver().close(*client, round % 3 == 0 ? CloseMode::reset : CloseMode::graceful);
        driver().turn(Duration::zero());
    }
    driver().idle();
    EXPECT_EQ(driver().unknown_events, 0);
}

TEST_P(LoopContract, AStaleIdIsRecognisedAndHarmsNobody) {
    auto first = driver().pair();
    ASSERT_NE(first.client, nullptr);
    const StreamId stale = first.server->id;
    driver().close(*first.server);
    driver().close(*first.client);
    driver().idle(2);
    auto second = driver().pair();
    ASSERT_NE(second.client, nullptr);
    loop().set_owner(stale, 999);
    loop().pause(stale);
    loop().shutdown_write(stale);
    const ByteView piece = as_bytes("lost");
    loop().send(stale, {&piece, 1});
    loop().close(stale, CloseMode::reset);
    EXPECT_FALSE(loop().local_address(stale));
    EXPECT_FALSE(loop().peer_address(stale));
    driver().write(*second.client, "there");
    driver().write(*second.server, "back");
    ASSERT_TRUE(driver().until(
        [&] { return second.client->received == "back" && second.server->received == "there"; }));
    EXPECT_EQ(driver().unknown_events, 0);
    EXPECT_TRUE(second.client->failures.empty() && second.server->failures.empty());
}

// ---- turns and time

TEST_P(LoopContract, AWaitEndsAtItsDeadlineAndNotBefore) {
    driver().idle(2);
    for (const Duration span : {Duration(300'000), Duration(1'000'000), Duration(4'999'999)}) {
        const Instant deadline = loop().now() + span;
        loop().wait(deadline);
        EXPECT_GE(loop().now(), deadline);
        EXPECT_LT(loop().now(), deadline + std::chrono::seconds(2));
    }
}

TEST_P(LoopContract, ADeadlineInThePastDoesNotBlock) {
    const Instant before = loop().now();
    loop().wait(before - std::chrono::hours(1));
    loop().wait(Instant::min());
    EXPECT_LT(loop().now() - before, std::chrono::seconds(2));
}

TEST_P(LoopContract, TimeStandsStillDuringATurn) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    const Instant now = loop().now();
    loop().pause(server->id);
    loop().resume(server->id);
    EXPECT_EQ(loop().now(), now);
}

TEST_P(LoopContract, WhatWasLeftOffComesInTheNextTurnsWithoutBlocking) {
    auto all = pairs(30);
    for (Pair& p : all) driver().write(*p.client, "x");
    const Instant before = loop().now();
    ASSERT_TRUE(driver().until(
        [&] {
            return std::all_of(
                all.begin(), all.end(), [](const Pair& p) { return p.server->received == "x"; });
        },
        1));
    EXPECT_LT(loop().now() - before, std::chrono::seconds(5));
}

TEST_P(LoopContract, NoneStarvesWhenAllAreAlwaysReady) {
    auto all = pairs(60);
    for (Pair& p : all) {
        loop().pause(p.server->id);
        driver().write(*p.client, pattern(2 * receive_max));
    }
    for (int i = 0; i < 20; ++i) driver().turn(Duration::zero());
    for (Pair& p : all) loop().resume(p.server->id);
    // Four events a turn: sixty streams have had their turn after some multiple of fifteen turns,
    // long before any of them has been read to its end.
    ASSERT_TRUE(driver().until(
        [&] {
            return std::all_of(
                all.begin(), all.end(), [](const Pair& p) { return p.server->receives > 0; });
        },
        4));
    std::size_t most = 0;
    for (Pair& p : all) most = std::max(most, p.server->receives);
    EXPECT_LE(most, 6u);
}

TEST_P(LoopContract, AStreamIsReceivedFromOncePerTurn) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    loop().pause(server->id);
    driver().write(*client, pattern(4 * receive_max));
    for (int i = 0; i < 20; ++i) driver().turn(Duration::zero());
    loop().resume(server->id);
    while (!driver().sides[0].is_flushed() || server->received.size() < 4 * receive_max) {
        const std::size_t before = server->receives;
        driver().turn(std::chrono::seconds(10));
        ASSERT_LE(server->receives, before + 1);
    }
}

TEST_P(LoopContract, TheOwnerNamedLastIsReported) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    loop().set_owner(server->id, 4711);
    driver().write(*client, "hello");
    bool seen = false;
    for (int i = 0; i < 100 && !seen; ++i) {
        const ByteView hello = as_bytes("hello");
        if (i == 0) loop().send(client->id, {&hello, 1});
        loop().wait(loop().now() + std::chrono::seconds(1));
        Event event{};
        while (loop().next_event(event)) {
            if (event.kind == EventKind::received) seen = event.owner == 4711;
        }
    }
    EXPECT_TRUE(seen);
}

// ---- all of it at once

// Whatever the order of writing, pausing, resuming and ending: when all is resumed in the end,
// every byte has arrived in order and every end has been seen, once.
TEST_P(LoopContract, AnyScheduleDeliversEveryByteOnce) {
    const bool holds = rc::check([&] {
        fresh();
        auto all = pairs(4);
        std::vector<bool> ended(8, false);
        const auto side = [&](std::size_t i) -> Side& {
            return i % 2 == 0 ? *all[i / 2].client : *all[i / 2].server;
        };
        const auto steps = *rc::gen::container<std::vector<std::pair<std::uint8_t, std::uint8_t>>>(
            rc::gen::arbitrary<std::pair<std::uint8_t, std::uint8_t>>());
        for (const auto& [what, detail] : steps) {
            const std::size_t i = what % 8;
            switch ((what / 8) % 8) {
                case 0:
                case 1:
                case 2:
                    if (!ended[i])
                        driver().write(side(i), pattern(std::size_t{detail} * detail * 8));
                    break;
                case 3:
                    loop().pause(side(i).id);
                    break;
                case 4:
                    loop().resume(side(i).id);
                    break;
                case 5:
                    if (side(i).is_flushed() && !ended[i]) {
                        ended[i] = true;
                        driver().shutdown_write(side(i));
                    }
                    break;
                default:
                    driver().turn(Duration::zero(), detail % 5);
                    break;
            }
        }
        for (std::size_t i = 0; i < 8; ++i) loop().resume(side(i).id);
        RC_ASSERT(driver().until([&] {
            for (std::size_t i = 0; i < 8; ++i) {
                if (side(i).received.size() < side(i ^ 1).outbox.size()) return false;
                if (side(i).ends < (ended[i ^ 1] ? 1 : 0)) return false;
            }
            return true;
        }));
        driver().turn(Duration::zero());
        for (std::size_t i = 0; i < 8; ++i) {
            RC_ASSERT(side(i).received == side(i ^ 1).outbox);
            RC_ASSERT(side(i).ends == (ended[i ^ 1] ? 1 : 0));
            RC_ASSERT(side(i).failures.empty());
            RC_ASSERT(!side(i).received_after_end);
        }
        RC_ASSERT(driver().unknown_events == 0);
    });
    EXPECT_TRUE(holds);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(LoopContractDeathTest);

TEST_P(LoopContractDeathTest, TwoSendsInOneTurnAbort) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    const ByteView piece = as_bytes("x");
    loop().send(client->id, {&piece, 1});
    EXPECT_DEATH(loop().send(client->id, {&piece, 1}), "broken invariant");
    driver().turn(Duration::zero());
}

TEST_P(LoopContractDeathTest, SendingWhileBlockedAborts) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    ASSERT_TRUE(block(*client, *server));
    const ByteView piece = as_bytes("x");
    EXPECT_DEATH(loop().send(client->id, {&piece, 1}), "broken invariant");
}

}  // namespace wspool::io
