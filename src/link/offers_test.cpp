#include "link/offers.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstring>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace wspool::link {
namespace {

using enum OfferEventKind;

constexpr wire::Incarnation alice = 7;
constexpr wire::Incarnation bob = 9;

std::string text_of(std::uint64_t connection) {
    return "GET /" + std::to_string(connection);
}

ByteView token_bytes(const std::uint64_t& token) {
    return {reinterpret_cast<const std::byte*>(&token), sizeof token};
}

// Alice gives, Bob receives. Descriptors are numbered: Alice's of connection c is c, Bob's c +
// 1000. What each writes lies in `out` until it is flushed; then it is in the kernel's hands,
// survives its writer, and is read in its order; descriptors have an order of their own.
class World {
  public:
    bool may_offer() const { return a.has_room(bob); }

    void offer() {
        const std::uint64_t connection = ++count;
        const std::uint64_t token = a.next_token();
        descriptors.emplace_back(connection + 1000, token);
        ByteBuffer bytes;
        bytes.append(text_of(connection));
        a.offer(bob,
                token,
                {static_cast<int>(connection), std::move(bytes), std::chrono::seconds(1)},
                a_out);
    }

    void flush_a() {
        to_b.append(a_out.view());
        a_out.clear();
    }
    bool read_record_b() {
        ByteBuffer record;
        if (!pop(to_b, record)) return false;
        RC_ASSERT(b.on_record(alice, record.view(), b_out).has_value());
        settle_b();
        return true;
    }
    bool read_descriptor_b(bool has_descriptors_left = true) {
        if (descriptors.empty()) return false;
        const auto [fd, token] = descriptors.front();
        descriptors.pop_front();
        const int received = has_descriptors_left ? fd : -1;
        if (!has_descriptors_left) ++refused;
        RC_ASSERT(b.on_descriptor(alice, received, token_bytes(token), b_out).has_value());
        settle_b();
        return true;
    }
    // As PeerLinks does: handed over, then partly written by the kernel.
    void flush_b() {
        b_link.append(b_out.view());
        b_handed += b_out.size();
        b_out.clear();
        b.on_handed_over(alice, b_handed);
    }
    void write_b(std::size_t size) {
        size = std::min(size, b_link.size());
        to_a.append(b_link.view().first(size));
        if (size > 0) b_link.drop_front(size);
        b_written += size;
    }
    void notice_written_b() {
        b.on_written(alice, b_written);
        settle_b();
    }
    bool read_record_a() {
        ByteBuffer record;
        if (!pop(to_a, record)) return false;
        RC_ASSERT(a.on_record(bob, record.view(), a_out).has_value());
        settle_a();
        return true;
    }

    void settle_a() {
        OfferEvent event;
        while (a.next(event)) {
            if (event.kind == asked) RC_FAIL("Alice is offered nothing");
            const auto connection = static_cast<std::uint64_t>(event.connection.fd);
            closed_or_used.insert(event.connection.fd);
            if (event.kind == taken || event.kind == discard) continue;
            RC_ASSERT(as_text(event.connection.bytes.view()) == text_of(connection));
            users[connection].push_back('a');
        }
        a.check_invariants();
    }
    void settle_b() {
        OfferEvent event;
        while (b.next(event)) {
            if (event.kind == asked) {
                if (wants) {
                    b.take(alice, event.token, b_out);
                } else {
                    b.decline(alice, event.token, wire::Decline::full, b_out);
                }
                continue;
            }
            closed_or_used.insert(event.connection.fd);
            if (event.kind == discard) continue;
            RC_ASSERT(event.kind == arrived);
            const auto connection = static_cast<std::uint64_t>(event.connection.fd) - 1000;
            RC_ASSERT(as_text(event.connection.bytes.view()) == text_of(connection));
            RC_ASSERT(event.connection.waited == std::chrono::seconds(1));
            users[connection].push_back('b');
        }
        b.check_invariants();
    }

    [[nodiscard]] std::size_t users_of(char process) const {
        std::size_t count_of = 0;
        for (const auto& [connection, user] : users) count_of += user[0] == process ? 1u : 0u;
        return count_of;
    }

    Offers a, b;
    ByteBuffer a_out, to_b, b_out, b_link, to_a;
    std::deque<std::pair<int, std::uint64_t>> descriptors;
    std::uint64_t b_handed = 0, b_written = 0;
    bool wants = true;
    std::uint64_t count = 0;
    std::size_t refused = 0;
    std::map<std::uint64_t, std::string> users;
    std::multiset<int> closed_or_used;

  private:
    static bool pop(ByteBuffer& from, ByteBuffer& record) {
        std::uint32_t size = 0;
        if (from.size() < sizeof size) return false;
        std::memcpy(&size, from.data(), sizeof size);
        if (from.size() < size) return false;
        record.append(from.view().first(size));
        if (size > 0) from.drop_front(size);
        return true;
    }
};

void step(World& world) {
    switch (*rc::gen::inRange(0, 9)) {
        case 0:
        case 1:
            for (int n = *rc::gen::inRange(1, 6); n > 0 && world.may_offer(); --n) world.offer();
            return;
        case 2:
            return world.flush_a();
        case 3:
            (void)world.read_record_b();
            return;
        case 4:
            (void)world.read_descriptor_b(*rc::gen::inRange(0, 10) > 0);
            return;
        case 5:
            return world.flush_b();
        case 6:
            return world.write_b(*rc::gen::inRange<std::size_t>(0, 60));
        case 7:
            world.notice_written_b();
            (void)world.read_record_a();
            return;
        default:
            world.wants = *rc::gen::inRange(0, 3) > 0;
    }
}

void run(World& world) {
    for (int steps = *rc::gen::inRange(0, 300); steps > 0; --steps) step(world);
}

void read_all_b(World& world) {
    while (world.read_record_b() || world.read_descriptor_b()) {
    }
}

void read_all_a(World& world) {
    while (world.read_record_a()) {
    }
}

// I7: at most one process reads or writes a connection; and a descriptor is let go of once.
void check_users(const World& world) {
    for (const auto& [connection, users] : world.users) RC_ASSERT(users.size() == 1u);
    for (const int fd : world.closed_or_used) RC_ASSERT(world.closed_or_used.count(fd) == 1u);
}

RC_GTEST_PROP(Offers, WhateverTheOrderEachConnectionHasOneUserInTheEnd, ()) {
    World world;
    run(world);
    world.flush_a();
    read_all_b(world);
    world.flush_b();
    world.write_b(SIZE_MAX);
    world.notice_written_b();
    read_all_a(world);
    check_users(world);
    RC_ASSERT(world.users.size() == world.count);
    RC_ASSERT(world.closed_or_used.size() == 2 * world.count - world.refused);
    RC_ASSERT(world.a.outgoing() == 0u);
    RC_ASSERT(world.b.arriving() == 0u);
}

// R38, R39: Bob is used by nobody any more; what he was not sure of is Alice's again, and what he
// had said `taken` for, was written.
RC_GTEST_PROP(Offers, WhenTheReceiverDiesWhatItNeverTouchedIsTheGiversAgain, ()) {
    World world;
    run(world);
    read_all_a(world);
    world.a.on_ended(bob, false);
    world.settle_a();
    check_users(world);
    RC_ASSERT(world.a.outgoing() == 0u);
    for (std::uint64_t connection = 1; connection <= world.count; ++connection) {
        RC_ASSERT(world.closed_or_used.count(static_cast<int>(connection)) == 1u);
    }
}

// R40: what came whole is Bob's, what did not is closed.
RC_GTEST_PROP(Offers, WhenTheGiverDiesTheReceiverServesWhatItHasSaidItWould, ()) {
    World world;
    run(world);
    const std::size_t served_before = world.users_of('b');
    const std::size_t promised = world.b.arriving();
    world.wants = *rc::gen::arbitrary<bool>();
    read_all_b(world);
    RC_ASSERT(world.b.arriving() >= promised);
    const std::size_t to_serve = world.b.arriving();
    world.b.on_ended(alice, false);
    world.settle_b();
    check_users(world);
    RC_ASSERT(world.b.arriving() == 0u);
    RC_ASSERT(world.users_of('b') == served_before + to_serve);
    for (std::uint64_t connection = 1; connection <= world.count; ++connection) {
        RC_ASSERT(world.closed_or_used.count(static_cast<int>(connection) + 1000) <= 1u);
    }
}

// Whoever cuts the link, both may live: then a doubt closes a connection, and doubles none.
RC_GTEST_PROP(Offers, ACutLinkLeavesNoConnectionToTwo, (bool is_alice_first)) {
    World world;
    run(world);
    if (is_alice_first) {
        world.a.on_ended(bob, true);
        world.settle_a();
        read_all_b(world);
        world.b.on_ended(alice, false);
    } else {
        world.b.on_ended(alice, true);
        world.settle_b();
        read_all_a(world);
        world.a.on_ended(bob, false);
    }
    world.settle_a();
    world.settle_b();
    check_users(world);
}

// ---- bounds and nonsense

OfferEvent event_of(Offers& offers) {
    OfferEvent event;
    EXPECT_TRUE(offers.next(event));
    return event;
}

TEST(Offers, ThirtyTwoMayBeUnderWayToOnePeerAndAsManyToAnother) {
    Offers offers;
    ByteBuffer out;
    for (int i = 0; i < 32; ++i) {
        ASSERT_TRUE(offers.has_room(bob));
        offers.offer(bob, offers.next_token(), {i, {}, {}}, out);
    }
    EXPECT_FALSE(offers.has_room(bob));
    EXPECT_TRUE(offers.has_room(alice));
    out.clear();
    wire::encode(out, wire::Declined{.token = 5, .reason = wire::Decline::full});
    ASSERT_TRUE(offers.on_record(bob, out.view(), out));
    EXPECT_EQ(event_of(offers).kind, declined);
    EXPECT_TRUE(offers.has_room(bob));
}

TEST(Offers, APeerThatOffersMoreThanMayBeAtOnceSpeaksNonsense) {
    Offers offers;
    ByteBuffer out;
    for (std::uint64_t token = 1; token <= 32; ++token) {
        ASSERT_TRUE(offers.on_descriptor(alice, 10, token_bytes(token), out));
    }
    const std::uint64_t token = 33;
    EXPECT_FALSE(offers.on_descriptor(alice, 99, token_bytes(token), out));
    EXPECT_EQ(event_of(offers).connection.fd, 99);
    EXPECT_TRUE(offers.on_descriptor(bob, 10, token_bytes(token), out));
    offers.check_invariants();
}

TEST(Offers, NonsenseIsToldAndNothingOfItKept) {
    Offers offers;
    ByteBuffer out;
    ByteBuffer record;
    wire::encode(record, wire::Taken{.token = 1});
    EXPECT_FALSE(offers.on_record(bob, record.view(), out));  // never offered
    offers.offer(bob, offers.next_token(), {4, {}, {}}, out);
    EXPECT_FALSE(offers.on_record(alice, record.view(), out));  // to somebody else
    EXPECT_FALSE(offers.on_descriptor(bob, 5, as_bytes("short"), out));
    EXPECT_EQ(event_of(offers).connection.fd, 5);
    const std::uint64_t token = 8;
    EXPECT_TRUE(offers.on_descriptor(bob, 6, token_bytes(token), out));
    EXPECT_FALSE(offers.on_descriptor(bob, 7, token_bytes(token), out));
    EXPECT_EQ(event_of(offers).connection.fd, 7);
    record.clear();
    wire::encode(record, wire::Offer{.token = 9});
    EXPECT_TRUE(offers.on_record(bob, record.view(), out));
    EXPECT_FALSE(offers.on_record(bob, record.view(), out));
    const std::string large(Offers::offer_size_max + 1, 'x');
    record.clear();
    wire::encode(record, wire::Offer{.token = 10, .bytes = as_bytes(large)});
    EXPECT_FALSE(offers.on_record(bob, record.view(), out));
    offers.check_invariants();
}

TEST(Offers, AnAnswerForAnOfferThatIsGoneDoesNothing) {
    Offers offers;
    ByteBuffer out;
    offers.take(alice, 1, out);
    offers.decline(alice, 1, wire::Decline::full, out);
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(offers.arriving(), 0u);
}

}  // namespace
}  // namespace wspool::link
