// R6 … R12, R33, R59 … R63: publish, windows, the stable mark.
#include "hub/exchange_test_bed.h"

#include <optional>

namespace wspool::hub {
namespace {

using Outcome = PublishAnswer::Outcome;
using Said = std::vector<std::string>;
using wire::RecordType;

TEST(ExchangePublish, AloneAPublishIsSequencedAtOnceAndLeavesNothing) {
    Bed bed(1);
    bed.member(0, 1, "g");
    bed.client(0, 2);
    EXPECT_EQ(bed.publish(0, 2, "g", "a"), Outcome::sequenced);
    EXPECT_EQ(bed.said(0), Said{"g:a@1 to 1"});
    EXPECT_EQ(bed.nodes[0].exchange->figures().window_records, 0u);
    EXPECT_EQ(bed.nodes[0].exchange->figures().log_records, 0u);
    bed.expect_rest();
}

TEST(ExchangePublish, R6TakesWindowUntilItIsStable) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.client(0, 1);
    EXPECT_EQ(bed.publish(0, 1, group, "a"), Outcome::pending);
    EXPECT_EQ(bed.nodes[0].exchange->figures().window_records, 1u);
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{"published 1 a@1"});
    bed.expect_rest();
}

TEST(ExchangePublish, R6WithoutWindowSessionsWaitAndAreServedInOrder) {
    ExchangeOptions options;
    options.window_records = 1;
    Bed bed(2, options);
    const std::string group = bed.homed_at(1);
    bed.member(1, 9, group);
    for (const std::uint32_t index : {1u, 2u, 3u}) bed.client(0, index);
    EXPECT_EQ(bed.publish(0, 1, group, "a"), Outcome::pending);
    EXPECT_EQ(bed.publish(0, 2, group, "b"), Outcome::paused);
    EXPECT_EQ(bed.publish(0, 3, group, "c"), Outcome::paused);
    bed.pump();
    EXPECT_EQ(
        bed.said(0),
        (Said{"published 1 a@1", "resume 2", "published 2 b@2", "resume 3", "published 3 c@3"}));
    EXPECT_EQ(bed.said(1), (Said{group + ":a@1 to 9", group + ":b@2 to 9", group + ":c@3 to 9"}));
    bed.expect_rest();
}

TEST(ExchangePublish, R6AHomesOwnPublishersWaitForSlowReceiversToo) {
    ExchangeOptions options;
    options.window_records = 1;
    Bed bed(2, options);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(0, 1);
    EXPECT_EQ(bed.publish(0, 1, group, "a"), Outcome::sequenced);
    EXPECT_EQ(bed.publish(0, 1, group, "b"), Outcome::paused);
    bed.said(0);
    bed.pump();
    EXPECT_EQ(bed.said(0), (Said{"published 1 b@2", "resume 1"}));
    bed.expect_rest();
}

// The sender of the message, of which a record lies on the link from 0 to 1.
std::optional<std::string> sender_on_link(Bed& bed, std::string_view payload) {
    for (const std::string& record : bed.links[{0, 1}]) {
        wire::Publish publish;
        wire::Deliver deliver;
        if (wire::decode(as_bytes(record), publish) && as_text(publish.payload) == payload) {
            return std::string(publish.sender_id);
        }
        if (wire::decode(as_bytes(record), deliver) && as_text(deliver.entry.payload) == payload) {
            return std::string(deliver.entry.sender_id);
        }
    }
    return std::nullopt;
}

TEST(ExchangePublish, WhatWaitedForWindowNamesItsSenderThoughThatIsGone) {
    for (const std::size_t home : {0u, 1u}) {
        ExchangeOptions options;
        options.window_records = 1;
        Bed bed(2, options);
        const std::string id = bed.homed_at(home, "id");
        (void)bed.enroll(1, 9, id);
        (void)bed.enroll(0, 1, "ann");
        bed.pump();
        (void)bed.direct(0, 1, id, "a");
        EXPECT_EQ(bed.direct(0, 1, id, "b"), Outcome::paused);
        bed.remove(0, 1);
        std::optional<std::string> sender;
        for (int i = 0; i < 10 && !sender; ++i) {
            bed.turn(0);
            sender = sender_on_link(bed, "b");
            (void)bed.read(0, 1);
            bed.turn(1);
            (void)bed.read(1, 0);
        }
        EXPECT_EQ(sender, "ann") << "home " << home;
    }
}

TEST(ExchangePublish, ParkedPublishesAreBounded) {
    ExchangeOptions options;
    options.window_records = 1;
    options.parked_bytes_max = 3;
    Bed bed(2, options);
    const std::string group = bed.homed_at(1);
    for (const std::uint32_t index : {1u, 2u, 3u}) bed.client(0, index);
    EXPECT_EQ(bed.publish(0, 1, group, "aa"), Outcome::pending);
    EXPECT_EQ(bed.publish(0, 2, group, "bb"), Outcome::paused);
    EXPECT_EQ(bed.publish(0, 3, group, "cc"), Outcome::refused);
    EXPECT_EQ(bed.last_refusal, wire::Refusal::unavailable);
    EXPECT_EQ(bed.nodes[0].exchange->figures().parked_out_total, 1u);
}

TEST(ExchangePublish, R7AMessageGoesToInterestedWorkersAndTheNumberToTheOthers) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(2, 1);
    (void)bed.publish(2, 1, group, "a");
    bed.turn(2);
    bed.read(2, 0);
    bed.turn(0);
    EXPECT_EQ(bed.waiting(0, 1, RecordType::deliver), 1u);
    EXPECT_EQ(bed.waiting(0, 1, RecordType::sequenced), 0u);
    EXPECT_EQ(bed.waiting(0, 2, RecordType::deliver), 0u);
    EXPECT_EQ(bed.waiting(0, 2, RecordType::sequenced), 1u);
}

TEST(ExchangePublish, R7AForgottenGroupComesBackWithANewEpoch) {
    ExchangeOptions options;
    options.empty_groups_max = 1;
    Bed bed(1, options);
    bed.client(0, 1);
    const Position first = bed.join(0, 1, "g").position;
    (void)bed.nodes[0].exchange->leave(Bed::session(1), "g", bed.now);
    for (int i = 0; i < 3; ++i) (void)bed.publish(0, 1, "other" + std::to_string(i), "x");
    const Position second = bed.join(0, 1, "g").position;
    EXPECT_NE(first.epoch, second.epoch);
}

TEST(ExchangePublish, AGroupThatHasMembersNeverChangesItsEpoch) {
    ExchangeOptions options;
    options.empty_groups_max = 1;
    Bed bed(1, options);
    bed.client(0, 1);
    bed.client(0, 2);
    const Position first = bed.join(0, 1, "kept").position;
    for (int i = 0; i < 50; ++i) {
        bed.pass(std::chrono::hours(1));
        (void)bed.publish(0, 2, "other" + std::to_string(i), "x");
    }
    EXPECT_EQ(bed.join(0, 2, "kept").position, first);
}

TEST(ExchangePublish, R9TheStableMarkWaitsForTheSlowest) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.member(2, 9, group);
    bed.client(1, 1);
    (void)bed.publish(1, 1, group, "a");
    bed.turn(1);
    bed.read(1, 0);
    bed.turn(0);
    bed.read(0, 1);  // 2 does not read
    bed.turn(1);
    bed.read(1, 0);
    bed.turn(0);
    EXPECT_EQ(bed.waiting(0, 1, RecordType::stable), 0u);
    EXPECT_EQ(bed.nodes[1].exchange->figures().window_records, 1u);
    bed.pump();
    bed.expect_rest();
}

TEST(ExchangePublish, R9GotIsSentOnceATurn) {
    Bed bed(2);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(0, 1);
    for (const char* payload : {"a", "b", "c"}) (void)bed.publish(0, 1, group, payload);
    bed.turn(0);
    bed.read(0, 1);
    bed.turn(1);
    EXPECT_EQ(bed.waiting(1, 0, RecordType::got), 1u);
    bed.turn(1);
    EXPECT_EQ(bed.waiting(1, 0, RecordType::got), 1u);
}

TEST(ExchangePublish, R9ADeadReceiverCountsAsHavingEverything) {
    Bed bed(3);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.member(2, 9, group);
    bed.client(0, 1);
    (void)bed.publish(0, 1, group, "a");
    bed.turn(0);
    bed.read(0, 1);
    bed.kill(2);
    bed.pump();
    EXPECT_EQ(bed.nodes[0].exchange->figures().log_records, 0u);
    EXPECT_EQ(bed.nodes[0].exchange->figures().window_records, 0u);
}

TEST(ExchangePublish, R10LogsLastUntilTheMessageIsStable) {
    ExchangeOptions options;
    options.history[0].messages = 0;
    Bed bed(2, options);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(0, 1);
    (void)bed.publish(0, 1, group, "a");
    bed.turn(0);
    bed.read(0, 1);
    EXPECT_EQ(bed.nodes[1].exchange->figures().log_records, 1u);
    EXPECT_EQ(bed.nodes[0].exchange->figures().history_messages, 1u);
    bed.pump();
    EXPECT_EQ(bed.nodes[1].exchange->figures().log_records, 0u);
    EXPECT_EQ(bed.nodes[0].exchange->figures().history_messages, 0u);
}

TEST(ExchangePublish, R11ABroadcastSkipsItsSenderWhereverItsHomeIs) {
    for (const std::size_t home : {0u, 1u}) {
        Bed bed(2);
        const std::string group = bed.homed_at(home);
        bed.member(0, 1, group);
        bed.member(0, 2, group);
        (void)bed.publish(0, 1, group, "a");
        bed.pump();
        const Said said = bed.said(0);
        EXPECT_NE(std::find(said.begin(), said.end(), group + ":a@1 to 2"), said.end());
    }
}

TEST(ExchangePublish, R11ADirectReachesItsSenderToo) {
    for (const std::size_t home : {0u, 1u}) {
        Bed bed(2);
        const std::string id = bed.homed_at(home, "id");
        (void)bed.enroll(0, 1, id);
        bed.pump();
        bed.said(0);
        (void)bed.direct(0, 1, id, "a");
        bed.pump();
        const Said said = bed.said(0);
        EXPECT_NE(std::find(said.begin(), said.end(), id + ":a to 1"), said.end());
        bed.expect_rest();
    }
}

TEST(ExchangePublish, R12ADirectToNobodyIsRefusedAndGivesItsWindowBack) {
    Bed bed(2);
    bed.client(0, 1);
    EXPECT_EQ(bed.direct(0, 1, bed.homed_at(0, "id"), "a"), Outcome::refused);
    EXPECT_EQ(bed.last_refusal, wire::Refusal::unknown_target);
    EXPECT_EQ(bed.direct(0, 1, bed.homed_at(1, "id"), "b"), Outcome::pending);
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{"refused 1 b 3"});
    bed.expect_rest();
}

TEST(ExchangePublish, R33APublishThatWaitsTooLongIsUnavailableAndNeverSentAgain) {
    Bed bed(2);
    const std::string group = bed.homed_at(1);
    bed.client(0, 1);
    (void)bed.publish(0, 1, group, "sent");
    bed.turn(0);
    bed.kill(1);
    (void)bed.publish(0, 1, group, "unsent");
    EXPECT_LE(bed.nodes[0].exchange->next_deadline(), bed.now + std::chrono::seconds(10));
    bed.pass(std::chrono::seconds(10));
    EXPECT_EQ(bed.said(0), (Said{"refused 1 sent 4", "refused 1 unsent 4"}));
    bed.start(1);
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{});
    EXPECT_EQ(bed.nodes[0].exchange->figures().resent_total, 0u);
    bed.expect_rest();
}

TEST(ExchangePublish, R33AParkedPublishIsGivenUpAndItsSessionReadAgain) {
    ExchangeOptions options;
    options.window_records = 1;
    Bed bed(2, options);
    const std::string group = bed.homed_at(1);
    bed.client(0, 1);
    (void)bed.publish(0, 1, group, "a");
    (void)bed.publish(0, 1, group, "b");
    bed.pass(std::chrono::seconds(10));
    EXPECT_EQ(bed.said(0), (Said{"refused 1 a 4", "refused 1 b 4", "resume 1"}));
    bed.pump();
    bed.expect_rest();
}

TEST(ExchangePublish, R59ARecordThatIsNonsenseIsAnErrorAndNoAbort) {
    Bed bed(2);
    Exchange& exchange = *bed.nodes[0].exchange;
    const wire::Incarnation peer = bed.nodes[1].incarnation;
    ByteBuffer record;
    wire::encode(record, wire::Got{.s = 1000});
    EXPECT_FALSE(exchange.on_record(peer, record.view(), bed.now));
    record.clear();
    wire::encode(record, wire::Publish{.name = bed.homed_at(1)});
    EXPECT_FALSE(exchange.on_record(peer, record.view(), bed.now));
    record.clear();
    wire::encode(record, wire::Opened{});
    EXPECT_FALSE(exchange.on_record(peer, record.view(), bed.now));
    EXPECT_FALSE(exchange.on_record(peer, record.view().first(5), bed.now));
    exchange.check_invariants();
}

TEST(ExchangePublish, R61SmallPayloadsAreChargedMoreThanTheirBytes) {
    Bed bed(2);
    bed.client(0, 1);
    (void)bed.publish(0, 1, bed.homed_at(1), "a");
    EXPECT_GT(bed.nodes[0].exchange->figures().window_bytes, 64u);
}

TEST(ExchangePublish, R61WhatWouldNotFitAnEmptyWindowIsTooBigWhereverTheHomeIs) {
    ExchangeOptions options;
    options.window_bytes = 1000;
    Bed bed(2, options);
    bed.client(0, 1);
    const std::string payload(1000, 'x');
    for (const std::size_t home : {0u, 1u}) {
        EXPECT_EQ(bed.publish(0, 1, bed.homed_at(home), payload), Outcome::refused);
        EXPECT_EQ(bed.last_refusal, wire::Refusal::too_big);
    }
}

TEST(ExchangePublish, R62LogsAreBoundedByTheWindows) {
    ExchangeOptions options;
    options.window_records = 3;
    Bed bed(2, options);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    for (std::uint32_t index = 0; index < 10; ++index) {
        bed.client(0, index);
        (void)bed.publish(0, index, group, "x");
    }
    EXPECT_EQ(bed.nodes[0].exchange->figures().log_records, 3u);
    EXPECT_EQ(bed.nodes[0].exchange->figures().parked, 7u);
    bed.pump();
    bed.expect_rest();
}

TEST(ExchangePublish, R63AFrozenWorkerHoldsPublishersUntilItIsEnded) {
    ExchangeOptions options;
    options.window_records = 1;
    Bed bed(3, options);
    const std::string group = bed.homed_at(0);
    bed.member(1, 9, group);
    bed.client(2, 1);
    bed.client(2, 2);
    (void)bed.publish(2, 1, group, "a");
    EXPECT_EQ(bed.publish(2, 2, group, "b"), Outcome::paused);
    for (int i = 0; i < 5; ++i) {  // 1 does not read
        bed.turn(2);
        bed.read(2, 0);
        bed.turn(0);
        bed.read(0, 2);
    }
    EXPECT_EQ(bed.said(2), Said{"published 1 a@1"});
    bed.kill(1);
    bed.pump();
    EXPECT_EQ(bed.said(2), (Said{"resume 2", "published 2 b@2"}));
}

}  // namespace
}  // namespace wspool::hub
