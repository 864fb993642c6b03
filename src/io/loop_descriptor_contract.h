// The part of the loops' contract that is about descriptors that come and go: adopted streams and
// listeners, released streams, channels. io/loop_contract.h includes it. Tests only.
#pragma once

#include "io/loop_bed.h"

#include <rapidcheck.h>

#include <array>
#include <cerrno>

namespace wspool::io {

TEST_P(LoopContract, AdoptedEndsOfASocketPairCarryBytesBothWaysAndEnd) {
    const auto [first, second] = driver().adopt_pair(bed().socket_pair());
    ASSERT_NE(second, nullptr);
    const std::string there = pattern(1'000'000, 1);
    const std::string back = pattern(700'000, 2);
    driver().write(*first, there);
    driver().write(*second, back);
    ASSERT_TRUE(driver().until([f = first, s = second, &there, &back] {
        return s->received.size() >= there.size() && f->received.size() >= back.size();
    }));
    EXPECT_TRUE(second->received == there);
    EXPECT_TRUE(first->received == back);
    driver().close(*first);
    ASSERT_TRUE(driver().until([s = second] { return s->ends == 1; }));
    EXPECT_TRUE(second->failures.empty());
    EXPECT_EQ(driver().unknown_events, 0);
}

TEST_P(LoopContract, WhatAPeerSentBeforeItsEndIsReadBeforeTheEndIsTold) {
    const auto [first, second] = driver().adopt_pair(bed().socket_pair());
    ASSERT_NE(second, nullptr);
    const auto let_it_arrive = [this] {
        for (int i = 0; i < 40; ++i) driver().turn(Duration::zero(), 0);
    };
    driver().write(*second, "never read");
    driver().write(*first, "last words");
    let_it_arrive();
    driver().close(*first);
    let_it_arrive();
    driver().write(*second, "in vain");
    let_it_arrive();
    EXPECT_EQ(second->received, "");
    ASSERT_TRUE(driver().until([s = second] { return s->ends == 1 || !s->failures.empty(); }));
    EXPECT_EQ(second->received, "last words");
    EXPECT_EQ(second->send_errors, std::vector<int>{EPIPE});
}

TEST_P(LoopContract, AReleasedStreamIsSilentAndItsPeerNoticesNothing) {
    const auto [first, second] = driver().adopt_pair(bed().socket_pair());
    ASSERT_NE(second, nullptr);
    const StreamId stale = second->id;
    const int fd = driver().release(*second);
    ASSERT_GE(fd, 0);
    driver().write(*first, "unread");
    driver().idle();
    EXPECT_EQ(driver().unknown_events, 0);
    EXPECT_EQ(first->ends, 0);
    EXPECT_FALSE(loop().release(stale));
    loop().close(stale);
    ASSERT_TRUE(driver().adopt(fd, *second));
    ASSERT_TRUE(driver().until([s = second] { return s->received == "unread"; }));
    loop().discard(driver().release(*second));
    ASSERT_TRUE(driver().until([f = first] { return f->ends == 1; }));
}

TEST_P(LoopContract, AnAcceptedConnectionGoesOnInWhoeverAdoptsIt) {
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    const int fd = driver().release(*server);
    if (!bed().gives_away()) {
        EXPECT_EQ(fd, -1);
        driver().write(*server, "stayed");
        ASSERT_TRUE(driver().until([c = client] { return c->received == "stayed"; }));
        return;
    }
    ASSERT_GE(fd, 0);
    driver().write(*client, "question");
    driver().idle();
    ASSERT_TRUE(driver().adopt(fd, *server));
    ASSERT_TRUE(driver().until([s = server] { return s->received == "question"; }));
    driver().write(*server, "answer");
    driver().close(*server);
    ASSERT_TRUE(driver().until([c = client] { return c->ends == 1; }));
    EXPECT_EQ(client->received, "answer");
    EXPECT_EQ(driver().unknown_events, 0);
}

TEST_P(LoopContract, AnotherHolderKeepsAClosedStreamAlive) {
    const auto ends = bed().socket_pair();
    const int other = bed().duplicate(ends[1]);
    const auto [first, second] = driver().adopt_pair(ends);
    ASSERT_NE(second, nullptr);
    driver().close(*second);
    driver().write(*first, "still heard");
    driver().idle();
    EXPECT_EQ(first->ends, 0);
    EXPECT_TRUE(first->send_errors.empty());
    ASSERT_TRUE(driver().adopt(other, *second));
    ASSERT_TRUE(driver().until([s = second] { return s->received == "still heard"; }));
    EXPECT_EQ(driver().unknown_events, 0);
}

TEST_P(LoopContract, ListenersOfOneQueueOutliveEachOther) {
    const auto [fd, address] = bed().listening_socket();
    const auto second_fd = bed().duplicate(fd);
    const auto owner = LoopDriver::listener_owner;
    const StreamId first = loop().adopt_listener(fd, bed().listen_options(), owner).value();
    const auto second = loop().adopt_listener(second_fd, bed().listen_options(), owner);
    ASSERT_TRUE(second);
    EXPECT_EQ(loop().local_address(*second).value(), address);
    for (const bool is_closed : {false, true}) {
        if (is_closed) loop().close(first, CloseMode::reset);
        const std::size_t before = driver().accepted.size();
        Side* client = driver().connect(address);
        ASSERT_NE(client, nullptr);
        ASSERT_TRUE(driver().until([&] {
            return driver().accepted.size() > before &&
                   bed().is_ready(driver().accepted.back()->id) && client->connects == 1;
        }));
        driver().write(*driver().accepted.back(), "welcome");
        ASSERT_TRUE(driver().until([&] { return client->received == "welcome"; }));
    }
    driver().idle();
    EXPECT_EQ(driver().unknown_events, 0);
}

// Whenever an end is taken from the loop and given back, paused or blocked or in the middle of much
// data: every byte arrives once, and in order.
TEST_P(LoopContract, AStreamMayMoveAtAnyTime) {
    const bool holds = rc::check([&] {
        fresh();
        const auto [first, second] = driver().adopt_pair(bed().socket_pair());
        const std::array<Side*, 2> side{first, second};
        const auto steps = *rc::gen::container<std::vector<std::pair<std::uint8_t, std::uint8_t>>>(
            rc::gen::arbitrary<std::pair<std::uint8_t, std::uint8_t>>());
        std::array<int, 2> away{-1, -1};
        const auto come_back = [&](std::size_t i) {
            RC_ASSERT(driver().adopt(away[i], *side[i]));
            away[i] = -1;
        };
        for (const auto& [what, detail] : steps) {
            const std::size_t i = what % 2;
            switch ((what / 2) % 6) {
                case 0:
                case 1:
                    driver().write(*side[i], pattern(std::size_t{detail} * detail * 8));
                    break;
                case 2:
                case 3:
                    if (away[i] >= 0) {
                        come_back(i);
                    } else {
                        if (detail % 4 == 0) loop().pause(side[i]->id);
                        away[i] = driver().release(*side[i]);
                        RC_ASSERT(away[i] >= 0);
                    }
                    break;
                default:
                    driver().turn(Duration::zero(), detail % 5);
                    break;
            }
        }
        for (std::size_t i = 0; i < 2; ++i) {
            if (away[i] >= 0) come_back(i);
        }
        RC_ASSERT(driver().until([&] {
            return side[0]->received.size() >= side[1]->outbox.size() &&
                   side[1]->received.size() >= side[0]->outbox.size();
        }));
        RC_ASSERT(side[0]->received == side[1]->outbox);
        RC_ASSERT(side[1]->received == side[0]->outbox);
        RC_ASSERT(side[0]->failures.empty() && side[1]->failures.empty());
        RC_ASSERT(driver().unknown_events == 0);
    });
    EXPECT_TRUE(holds);
}

TEST_P(LoopContract, AChannelPassesADescriptorWithItsMessage) {
    const auto ends = bed().channel_pair();
    const auto here = loop().open_channel(ends[0]);
    const auto there = loop().open_channel(ends[1]);
    ASSERT_TRUE(loop().watch(there->fd(), 4711));
    const auto [first, second] = driver().adopt_pair(bed().socket_pair());
    ASSERT_NE(second, nullptr);
    const int fd = driver().release(*second);
    ASSERT_EQ(here->send(fd, as_bytes("token")), ChannelSend::sent);
    loop().discard(fd);  // a copy is under way
    ASSERT_TRUE(driver().until([&] { return !driver().readable.empty(); }));
    ChannelMessage message;
    ASSERT_EQ(there->receive(message), ChannelReceive::received);
    EXPECT_EQ(as_text(message.message), "token");
    ASSERT_GE(message.fd, 0);
    EXPECT_EQ(there->receive(message), ChannelReceive::nothing);
}

}  // namespace wspool::io
