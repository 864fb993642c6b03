// R13 … R21: join, leave, recover; and the history that it stands on.
#include "hub/exchange_test_bed.h"

namespace wspool::hub {
namespace {

using Outcome = JoinAnswer::Outcome;
using Said = std::vector<std::string>;
using wire::RecordType;

std::vector<std::string> payloads(const JoinAnswer& answer) {
    std::vector<std::string> result;
    for (const Replay& replay : answer.replay) result.emplace_back(as_text(replay.payload));
    return result;
}

TEST(ExchangeJoin, AloneAJoinIsAnsweredAtOnce) {
    Bed bed(1);
    bed.client(0, 1);
    (void)bed.publish(0, 1, "g", "a");
    const JoinAnswer answer = bed.join(0, 1, "g");
    EXPECT_EQ(answer.outcome, Outcome::joined);
    EXPECT_EQ(answer.position.offset, 1u);
    EXPECT_EQ(bed.join(0, 1, "g").outcome, Outcome::was_member);
}

TEST(ExchangeJoin, OneMemberHasABoundedNumberOfGroups) {
    ExchangeOptions options;
    options.groups_per_member_max = 1;
    Bed bed(1, options);
    bed.client(0, 1);
    (void)bed.join(0, 1, "g");
    const JoinAnswer answer = bed.join(0, 1, "h");
    EXPECT_EQ(answer.outcome, Outcome::refused);
    EXPECT_EQ(answer.refusal, wire::Refusal::too_many_groups);
}

TEST(ExchangeJoin, R13AJoinOfALiveGroupNeedsNoRecord) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.member(0, 1, group);
    bed.client(0, 2);
    EXPECT_EQ(bed.join(0, 2, group).outcome, Outcome::joined);
    bed.turn(0);
    EXPECT_EQ(bed.waiting(0, 1, RecordType::join), 0u);
}

TEST(ExchangeJoin, R14TheFirstJoinAsksTheHome) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.client(0, 1);
    EXPECT_EQ(bed.join(0, 1, group).outcome, Outcome::pending);
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{"joined 1 " + group + "@0"});
}

// The message is in the log of one receiver only; who comes now must not stand behind it.
TEST(ExchangeJoin, R15AFreshReceiverWaitsUntilTheGroupIsStable) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(0, 1);
    bed.client(2, 1);
    (void)bed.publish(0, 1, group, "a");
    (void)bed.join(2, 1, group);
    bed.turn(2);
    bed.read(2, 0);
    bed.turn(0);
    EXPECT_EQ(bed.waiting(0, 2, RecordType::joined), 0u);
    (void)bed.publish(0, 1, group, "b");  // after the join: it does not wait for this one
    bed.read(0, 1);
    bed.turn(1);
    bed.read(1, 0);
    bed.turn(0);
    EXPECT_EQ(bed.waiting(0, 2, RecordType::joined), 1u);
    bed.read(0, 2);
    EXPECT_EQ(bed.said(2), Said{"joined 1 " + group + "@1 b"});
    bed.pump();
    bed.expect_rest();
}

TEST(ExchangeJoin, R16AnInterestedWorkerIsAnsweredAtOnceAndWithoutASeam) {
    Bed bed(2);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(0, 1);
    bed.client(1, 2);
    (void)bed.publish(0, 1, group, "a");
    const Position start{bed.join(0, 1, group).position.epoch, 0};
    (void)bed.join(1, 2, group, start);
    bed.turn(1);
    bed.read(1, 0);
    (void)bed.publish(0, 1, group, "b");
    bed.pump();
    EXPECT_EQ(
        bed.said(1),
        (Said{group + ":a@1 to 9", "joined 2 " + group + "@0 recovered a", group + ":b@2 to 9 2"}));
}

TEST(ExchangeJoin, R17SinceIsHonouredWhileTheHistoryReachesBack) {
    ExchangeOptions options;
    options.history[0].messages = 2;
    Bed bed(1, options);
    for (const std::uint32_t index : {1u, 2u, 3u, 4u}) bed.client(0, index);
    for (const char* payload : {"a", "b", "c"}) (void)bed.publish(0, 1, "g", payload);
    const std::uint64_t epoch = bed.join(0, 1, "g").position.epoch;
    const JoinAnswer whole = bed.join(0, 2, "g", Position{epoch, 1});
    EXPECT_TRUE(whole.is_recovered);
    EXPECT_EQ(whole.position.offset, 1u);
    EXPECT_EQ(payloads(whole), (std::vector<std::string>{"b", "c"}));
    const JoinAnswer late = bed.join(0, 3, "g", Position{epoch, 0});
    EXPECT_FALSE(late.is_recovered);
    EXPECT_EQ(late.position.offset, 3u);
    const JoinAnswer last = bed.join(0, 4, "g", Position{epoch, 3});
    EXPECT_TRUE(last.is_recovered);
    EXPECT_TRUE(last.replay.empty());
}

TEST(ExchangeJoin, R17AnotherEpochAFutureOffsetOrTooLittleRoomRecoverNothing) {
    Bed bed(1);
    for (const std::uint32_t index : {1u, 2u, 3u, 4u}) bed.client(0, index);
    (void)bed.publish(0, 1, "g", "aaaa");
    const std::uint64_t epoch = bed.join(0, 1, "g").position.epoch;
    EXPECT_FALSE(bed.join(0, 2, "g", Position{epoch + 1, 0}).is_recovered);
    EXPECT_FALSE(bed.join(0, 3, "g", Position{epoch, 2}).is_recovered);
    EXPECT_FALSE(bed.join(0, 4, "g", Position{epoch, 0}, 3).is_recovered);
    EXPECT_EQ(bed.nodes[0].exchange->figures().unrecovered_total, 3u);
}

TEST(ExchangeJoin, R17RoomForReplaysIsGrantedInTurns) {
    ExchangeOptions options;
    options.replay_bytes = 1000;
    Bed bed(2, options);
    const std::string group = bed.homed_at(1);
    bed.client(1, 1);
    (void)bed.publish(1, 1, group, "a");
    const std::uint64_t epoch = bed.join(1, 1, group).position.epoch;
    for (const std::uint32_t index : {1u, 2u, 3u}) {
        bed.client(0, index);
        (void)bed.join(0, index, group, Position{epoch, 0}, 600);
    }
    bed.turn(0);
    EXPECT_EQ(bed.waiting(0, 1, RecordType::join), 1u);
    bed.pump();
    EXPECT_EQ(bed.nodes[1].exchange->figures().recovered_total, 3u);
    bed.expect_rest();
}

TEST(ExchangeJoin, R18TheAnswersOffsetIsThePositionBeforeTheReplay) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.client(1, 1);
    const std::uint64_t epoch = bed.join(1, 1, group).position.epoch;
    for (const char* payload : {"a", "b"}) (void)bed.publish(1, 1, group, payload);
    bed.pump();
    bed.client(0, 1);
    (void)bed.join(0, 1, group, Position{epoch, 1});
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{"joined 1 " + group + "@1 recovered b"});
}

TEST(ExchangeJoin, R19AWorkerLingersBeforeItLeaves) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.member(0, 1, group);
    EXPECT_TRUE(bed.nodes[0].exchange->leave(Bed::session(1), group, bed.now));
    EXPECT_FALSE(bed.nodes[0].exchange->leave(Bed::session(1), group, bed.now));
    bed.pass(std::chrono::seconds(1));
    EXPECT_EQ(bed.join(0, 1, group).outcome, Outcome::joined);  // it was live still
    EXPECT_TRUE(bed.nodes[0].exchange->leave(Bed::session(1), group, bed.now));
    EXPECT_EQ(bed.nodes[0].exchange->next_deadline(), bed.now + std::chrono::seconds(2));
    bed.pass(std::chrono::seconds(2));
    bed.turn(0);
    EXPECT_EQ(bed.waiting(0, 1, RecordType::leave), 1u);
    bed.pump();
    bed.client(1, 2);
    (void)bed.publish(1, 2, group, "a");
    bed.turn(1);
    EXPECT_EQ(bed.waiting(1, 0, RecordType::deliver), 0u);
    EXPECT_EQ(bed.nodes[0].exchange->figures().names, 0u);
}

TEST(ExchangeJoin, R19WhatComesAfterTheLeaveIsLoggedButNotDelivered) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.member(0, 1, group);
    bed.client(1, 2);
    (void)bed.publish(1, 2, group, "a");
    bed.turn(1);
    (void)bed.nodes[0].exchange->leave(Bed::session(1), group, bed.now);
    bed.pass(std::chrono::seconds(2));
    bed.read(1, 0);
    EXPECT_EQ(bed.said(0), Said{});
    EXPECT_EQ(bed.nodes[0].exchange->figures().log_records, 1u);
    bed.pump();
    bed.expect_rest();
}

TEST(ExchangeJoin, R19ASessionThatLeftBeforeTheAnswerLeavesNoInterest) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.client(0, 1);
    (void)bed.join(0, 1, group);
    bed.remove(0, 1);
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{});
    bed.pass(std::chrono::seconds(2));
    bed.pump();
    EXPECT_EQ(bed.nodes[0].exchange->figures().names, 0u);
    bed.expect_rest();
}

TEST(ExchangeJoin, R20AnUnansweredJoinIsAskedAgain) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.client(0, 1);
    (void)bed.join(0, 1, group);
    bed.turn(0);
    bed.kill(1);
    EXPECT_EQ(bed.said(0), Said{});
    bed.start(1);
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{"joined 1 " + group + "@0"});
    bed.expect_rest();
}

TEST(ExchangeJoin, R20AnAnswerWithAnUnknownTokenIsIgnored) {
    Bed bed(2);
    ByteBuffer record;
    wire::encode(record, wire::Joined{.token = 77});
    EXPECT_TRUE(bed.nodes[0].exchange->on_record(bed.nodes[1].incarnation, record.view(), bed.now));
    bed.drain(0);
    EXPECT_EQ(bed.said(0), Said{});
}

TEST(ExchangeJoin, R21AReplayLeavesOutWhatTheSameIdHasSent) {
    for (const std::size_t home : {0u, 1u}) {
        Bed bed(2);
        const std::string group = bed.homed_at(home);
        const std::string id = bed.homed_at(0, "id");
        bed.client(home, 8);
        const std::uint64_t epoch = bed.join(home, 8, group).position.epoch;
        bed.client(0, 9);
        (void)bed.enroll(0, 1, id);
        (void)bed.publish(0, 1, group, "mine");
        (void)bed.publish(0, 9, group, "other");
        bed.pump();
        bed.remove(0, 1);
        (void)bed.enroll(0, 2, id);
        bed.said(0);
        const JoinAnswer answer = bed.join(0, 2, group, Position{epoch, 0});
        if (home == 0) {
            EXPECT_EQ(payloads(answer), std::vector<std::string>{"other"});
        } else {
            bed.pump();
            EXPECT_EQ(bed.said(0), Said{"joined 2 " + group + "@0 recovered other"});
        }
    }
}

// ----------------------------------------------------------------------------------------------
// history

TEST(ExchangeHistory, NothingIsKeptWhereTheRuleSaysZero) {
    ExchangeOptions options;
    options.history = {HistoryRule{}, HistoryRule{.prefix = "private/", .messages = 0}};
    Bed bed(1, options);
    bed.client(0, 1);
    (void)bed.publish(0, 1, "private/a", "x");
    EXPECT_EQ(bed.nodes[0].exchange->figures().history_messages, 0u);
    (void)bed.publish(0, 1, "public/a", "x");
    EXPECT_EQ(bed.nodes[0].exchange->figures().history_messages, 1u);
}

TEST(ExchangeHistory, AGroupIsBoundedInBytes) {
    ExchangeOptions options;
    options.history[0].bytes = 4000;
    Bed bed(1, options);
    bed.client(0, 1);
    for (int i = 0; i < 100; ++i) (void)bed.publish(0, 1, "g", std::string(500, 'x'));
    EXPECT_LE(bed.nodes[0].exchange->figures().history_bytes, 4000u);
    EXPECT_GE(bed.nodes[0].exchange->figures().history_messages, 4u);
}

TEST(ExchangeHistory, WhatIsOldIsDroppedEvenIfNobodyPublishes) {
    Bed bed(1);
    bed.client(0, 1);
    (void)bed.join(0, 1, "g");
    (void)bed.publish(0, 1, "g", "x");
    EXPECT_EQ(bed.nodes[0].exchange->next_deadline(), bed.now + std::chrono::minutes(5));
    bed.pass(std::chrono::minutes(5));
    EXPECT_EQ(bed.nodes[0].exchange->figures().history_messages, 0u);
    bed.nodes[0].exchange->check_invariants();
}

TEST(ExchangeHistory, TheWorkersBoundTakesFromWhoWasSilentLongest) {
    ExchangeOptions options;
    options.history_bytes_max = 5000;
    Bed bed(1, options);
    bed.client(0, 1);
    bed.client(0, 2);
    const Position start = bed.join(0, 1, "old").position;
    (void)bed.publish(0, 1, "old", std::string(1000, 'x'));
    const Position fresh = bed.join(0, 1, "new").position;
    for (int i = 0; i < 4; ++i) (void)bed.publish(0, 1, "new", std::string(1000, 'x'));
    EXPECT_LE(bed.nodes[0].exchange->figures().history_bytes, 5000u);
    EXPECT_FALSE(bed.join(0, 2, "old", start, 100'000).is_recovered);
    EXPECT_TRUE(bed.join(0, 2, "new", fresh, 100'000).is_recovered);
}

TEST(ExchangeHistory, AnIdleGroupIsForgottenWithItsHistory) {
    ExchangeOptions options;
    options.empty_groups_max = 2;
    Bed bed(1, options);
    bed.client(0, 1);
    for (int i = 0; i < 10; ++i) (void)bed.publish(0, 1, "g" + std::to_string(i), "x");
    EXPECT_EQ(bed.nodes[0].exchange->figures().names, 2u);
    EXPECT_EQ(bed.nodes[0].exchange->figures().history_messages, 2u);
    bed.nodes[0].exchange->check_invariants();
}

}  // namespace
}  // namespace wspool::hub
