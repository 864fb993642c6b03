// R22 … R32, R2, R5: the end of a home.
#include "hub/exchange_test_bed.h"

namespace wspool::hub {
namespace {

using Said = std::vector<std::string>;
using wire::RecordType;

bool holds(const Said& said, const std::string& text) {
    return std::find(said.begin(), said.end(), text) != said.end();
}

std::size_t count_of(const Said& said, const std::string& text) {
    return static_cast<std::size_t>(std::count(said.begin(), said.end(), text));
}

TEST(ExchangeRecover, R2WhatADeadPublisherHadWrittenIsDelivered) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(2, 1);
    (void)bed.publish(2, 1, group, "a");
    bed.turn(2);
    bed.kill(2);
    bed.pump();
    EXPECT_EQ(bed.said(1), Said{group + ":a@1 to 9"});
}

TEST(ExchangeRecover, R22NobodyAnnouncesBeforeTheOldHomesWordsAreRead) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.member(0, 9, group);
    bed.nodes[0].exchange->add_peer(77, 1, true, bed.now);  // the next one, already
    EXPECT_TRUE(bed.nodes[0].exchange->outgoing(77)->empty());
    bed.nodes[0].exchange->on_peer_ended(bed.nodes[1].incarnation, bed.now);
    EXPECT_FALSE(bed.nodes[0].exchange->outgoing(77)->empty());
}

TEST(ExchangeRecover, R5TheLateEndOfAPredecessorTakesNothingFromItsSuccessor) {
    Bed bed(2);
    const std::string group = bed.homed_at(0);
    const wire::Incarnation old = bed.nodes[1].incarnation;
    bed.kill(1);
    bed.start(1);
    bed.member(1, 9, group);
    bed.nodes[0].exchange->on_peer_ended(old, bed.now);
    bed.client(0, 1);
    (void)bed.publish(0, 1, group, "a");
    bed.pump();
    EXPECT_EQ(bed.said(1), Said{group + ":a@1 to 9"});
}

TEST(ExchangeRecover, R23APublishThatTheHomeTookWithItIsResent) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(2, 1);
    (void)bed.publish(2, 1, group, "a");
    bed.turn(2);
    bed.kill(0);
    bed.start(0);
    bed.pump();
    EXPECT_EQ(count_of(bed.said(1), group + ":a@1 to 9"), 1u);
    EXPECT_EQ(bed.said(2), Said{"published 1 a@1"});
    EXPECT_EQ(bed.nodes[2].exchange->figures().resent_total, 1u);
    bed.expect_rest();
}

TEST(ExchangeRecover, R24AHomeServesNothingBeforeAllHaveAnnounced) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.client(2, 1);
    bed.kill(0);
    bed.start(0);
    (void)bed.publish(2, 1, group, "a");
    bed.turn(2);
    bed.read(2, 0);
    EXPECT_FALSE(bed.nodes[0].exchange->is_open());
    bed.turn(1);
    bed.read(1, 0);
    EXPECT_TRUE(bed.nodes[0].exchange->is_open());
    bed.pump();
    EXPECT_EQ(bed.said(2), Said{"published 1 a@1"});
}

TEST(ExchangeRecover, R24ADeathPassesTheBarrierToo) {
    Bed bed(3);
    bed.kill(0);
    bed.start(0);
    bed.turn(2);
    bed.read(2, 0);
    EXPECT_FALSE(bed.nodes[0].exchange->is_open());
    bed.kill(1);
    EXPECT_TRUE(bed.nodes[0].exchange->is_open());
}

TEST(ExchangeRecover, R24OwnClientsWaitForTheBarrierAsWell) {
    Bed bed(2);
    const std::string group = bed.homed_at(0);
    bed.kill(0);
    bed.start(0);
    bed.client(0, 1);
    bed.client(0, 2);
    EXPECT_EQ(bed.join(0, 1, group).outcome, JoinAnswer::Outcome::pending);
    EXPECT_EQ(bed.publish(0, 2, group, "a"), PublishAnswer::Outcome::pending);
    bed.pump();
    // In this order: who joins does not get what was sequenced before.
    EXPECT_EQ(bed.said(0), (Said{"published 2 a@1", "joined 1 " + group + "@1"}));
    bed.expect_rest();
}

// One receiver has the message, the other has not, the publisher died with the home.
TEST(ExchangeRecover, R25WhatOneSurvivorHasAllGet) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.member(2, 8, group);
    bed.client(0, 1);
    (void)bed.publish(0, 1, group, "a");
    bed.turn(0);
    bed.read(0, 1);
    bed.kill_silently(0);
    bed.start(0);
    bed.pump();
    EXPECT_EQ(count_of(bed.said(1), group + ":a@1 to 9"), 1u);
    const Said said = bed.said(2);
    EXPECT_EQ(said, (Said{"position " + group + "@0 recovered", group + ":a@1 to 8"}));
    EXPECT_EQ(bed.nodes[0].exchange->figures().holes_total, 0u);
    bed.expect_rest();
}

TEST(ExchangeRecover, R25OffsetsGoOnUnderANewEpoch) {
    Bed bed(2);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(1, 1);
    (void)bed.publish(1, 1, group, "a");
    bed.pump();
    bed.kill(0);
    bed.start(0);
    bed.pump();
    (void)bed.publish(1, 1, group, "b");
    bed.pump();
    EXPECT_TRUE(holds(bed.said(1), group + ":b@2 to 9"));
}

TEST(ExchangeRecover, R26APublishThatASurvivorHasIsNotSequencedTwice) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(2, 1);
    (void)bed.publish(2, 1, group, "a");
    bed.turn(2);
    bed.read(2, 0);
    bed.turn(0);
    bed.read(0, 1);
    bed.kill_silently(0);  // the publisher never heard of it
    bed.start(0);
    bed.pump();
    EXPECT_EQ(count_of(bed.said(1), group + ":a@1 to 9"), 1u);
    EXPECT_EQ(bed.said(2), Said{"published 1 a@1"});
    bed.expect_rest();
}

TEST(ExchangeRecover, R26APublishBelowTheStarIsDropped) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(2, 1);
    (void)bed.publish(2, 1, group, "a");
    bed.turn(2);
    bed.read(2, 0);
    bed.turn(0);
    for (const std::size_t receiver : {1u, 2u}) {
        bed.read(0, receiver);
        bed.turn(receiver);
        bed.read(receiver, 0);
    }
    bed.turn(0);
    bed.read(0, 1);        // has heard that it is stable
    bed.kill_silently(0);  // and the publisher has not
    bed.start(0);
    bed.pump();
    EXPECT_EQ(count_of(bed.said(1), group + ":a@1 to 9"), 1u);
    EXPECT_EQ(bed.said(2), Said{"published 1 a@1"});
    bed.expect_rest();
}

TEST(ExchangeRecover, R28AnAcknowledgedPublishIsNotAcknowledgedAgain) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(2, 1);
    (void)bed.publish(2, 1, group, "a");
    bed.turn(2);
    bed.read(2, 0);
    bed.turn(0);
    bed.read(0, 2);
    EXPECT_EQ(bed.said(2), Said{"published 1 a@1"});
    bed.kill_silently(0);  // no receiver has it: it is sequenced anew
    bed.start(0);
    bed.pump();
    EXPECT_EQ(count_of(bed.said(1), group + ":a@1 to 9"), 1u);
    EXPECT_EQ(bed.said(2), Said{});
    bed.expect_rest();
}

// Two names with different receivers: the second home may not give out an S before everybody has
// what the first left behind, since that S would make old copies and resends vanish.
TEST(ExchangeRecover, R29NoStableMarkBeforeAllHaveProcessedTheOpening) {
    Bed bed(4);
    const std::string shared = bed.homed_at(0);
    bed.member(1, 9, shared);
    bed.member(2, 8, shared);
    bed.client(3, 1);
    (void)bed.publish(3, 1, shared, "a");
    bed.turn(3);
    bed.read(3, 0);
    bed.turn(0);
    bed.read(0, 1);
    bed.kill_silently(0);  // only 1 has it
    bed.start(0);
    for (const std::size_t peer : {1u, 2u, 3u}) {
        bed.turn(peer);
        bed.read(peer, 0);
    }
    bed.turn(0);
    for (const std::size_t peer : {1u, 3u}) {  // 2 reads `opened` and no further
        bed.read(0, peer);
        bed.turn(peer);
        bed.read(peer, 0);
    }
    bed.read(0, 2, 1);
    bed.turn(2);
    bed.read(2, 0);
    bed.turn(0);
    EXPECT_EQ(bed.waiting(0, 1, RecordType::stable), 0u);
    EXPECT_EQ(bed.nodes[1].exchange->figures().log_records, 1u);
    bed.read(0, 1);
    bed.read(0, 3);
    bed.kill_silently(0);
    bed.start(0);
    bed.pump();
    EXPECT_EQ(count_of(bed.said(2), shared + ":a@1 to 8"), 1u);
    EXPECT_EQ(count_of(bed.said(1), shared + ":a@1 to 9"), 1u);
    EXPECT_EQ(bed.said(3), Said{"published 1 a@1"});
    bed.expect_rest();
}

TEST(ExchangeRecover, R30MembersAreToldTheNewEpochAndOldOnesRecoverNothing) {
    Bed bed(2);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    const Position before = bed.join(1, 9, group).position;
    bed.kill(0);
    bed.start(0);
    bed.pump();
    EXPECT_EQ(bed.said(1), Said{"position " + group + "@0 recovered"});
    bed.client(1, 1);
    (void)bed.join(1, 1, group, before);
    bed.pump();
    EXPECT_EQ(bed.said(1), Said{"joined 1 " + group + "@0"});
}

// It must not come to this; if it does, members hear of it and nothing breaks.
TEST(ExchangeRecover, R30AHoleInTheMergeIsToldAndCounted) {
    ExchangeOptions options;
    options.plant.no_tail = true;
    Bed bed(3, options);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.member(2, 8, group);
    bed.client(0, 1);
    (void)bed.publish(0, 1, group, "a");
    bed.turn(0);
    bed.read(0, 1);
    bed.kill_silently(0);
    bed.start(0);
    bed.pump();
    EXPECT_EQ(bed.said(2), Said{"position " + group + "@1"});
    EXPECT_EQ(bed.nodes[0].exchange->figures().holes_total, 1u);
}

TEST(ExchangeRecover, R31NumbersGoOnAboveAllThatWasSeen) {
    Bed bed(2);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(0, 1);
    for (int i = 0; i < 5; ++i) (void)bed.publish(0, 1, group, "x");
    bed.pump();
    bed.kill(0);
    bed.start(0);
    bed.turn(1);
    bed.read(1, 0);
    bed.turn(0);
    wire::Opened opened;
    const std::deque<std::string>& link = bed.links[{0, 1}];
    const auto found = std::find_if(link.begin(), link.end(), [&](const std::string& record) {
        return wire::decode(as_bytes(record), opened);
    });
    ASSERT_NE(found, link.end());
    EXPECT_GT(opened.s, 5u);
}

TEST(ExchangeRecover, R32AMessageThatKillsItsHomeCannotKillItForEver) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.client(0, 1);
    (void)bed.publish(0, 1, group, "poison");
    for (int death = 0; death < 3; ++death) {
        bed.turn(0);
        EXPECT_EQ(bed.said(0), Said{});
        bed.kill(1);
        bed.start(1);
    }
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{"refused 1 poison 4"});
    EXPECT_EQ(bed.nodes[1].exchange->figures().poison_total, 1u);
    bed.expect_rest();
}

}  // namespace
}  // namespace wspool::hub
