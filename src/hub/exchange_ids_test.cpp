// R50 … R58: the directory of client ids.
#include "hub/exchange_test_bed.h"

namespace wspool::hub {
namespace {

using Registered = Exchange::RegisterOutcome;
using Said = std::vector<std::string>;
using wire::RecordType;

ExchangeOptions with(DuplicateId policy) {
    ExchangeOptions options;
    options.duplicate_id = policy;
    return options;
}

TEST(ExchangeIds, R50AnIdIsOpenWhenItsHomeHasAnswered) {
    Bed bed(2);
    EXPECT_EQ(bed.enroll(0, 1, bed.homed_at(0, "id")), Registered::granted);
    EXPECT_EQ(bed.enroll(0, 2, bed.homed_at(1, "id")), Registered::pending);
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{"granted 2"});
    ClientId::TextBuffer buffer;
    EXPECT_EQ(bed.nodes[0].exchange->id_of(2, buffer), bed.homed_at(1, "id"));
}

TEST(ExchangeIds, R50ADirectFindsItsTargetFromEveryWorker) {
    for (std::size_t home = 0; home < 3; ++home) {
        Bed bed(3);
        const std::string id = bed.homed_at(home, "id");
        (void)bed.enroll(1, 1, id);
        bed.pump();
        bed.said(1);
        for (std::size_t from = 0; from < 3; ++from) {
            bed.client(from, 9);
            (void)bed.direct(from, 9, id, "a");
            bed.pump();
            const Said said = bed.said(1);
            EXPECT_EQ(std::count(said.begin(), said.end(), id + ":a to 1"), 1);
        }
        bed.expect_rest();
    }
}

TEST(ExchangeIds, R51AnonymousIdsAreHomedWhereTheyAre) {
    Bed bed(4);
    for (std::uint32_t index = 0; index < 20; ++index) {
        bed.client(2, index);
        ClientId::TextBuffer buffer;
        const std::string_view id = bed.nodes[2].exchange->id_of(index, buffer);
        EXPECT_EQ(id.substr(0, 5), "anon_");
        EXPECT_EQ(bed.nodes[2].exchange->home_of(wire::Space::id, id), 2u);
    }
    bed.turn(2);
    for (std::size_t other = 0; other < 4; ++other) {
        EXPECT_EQ(bed.waiting(2, other, RecordType::join), 0u);
    }
}

TEST(ExchangeIds, R52ANewSessionIsGrantedWhenTheOldOneHasLeft) {
    for (std::size_t home = 0; home < 3; ++home) {
        Bed bed(3);
        const std::string id = bed.homed_at(home, "id");
        (void)bed.enroll(0, 1, id);
        bed.pump();
        bed.said(0);
        (void)bed.enroll(1, 2, id);
        bed.pump();
        EXPECT_EQ(bed.said(0), Said{"evict 1"});
        EXPECT_EQ(bed.said(1), Said{});
        bed.remove(0, 1);
        bed.pump();
        EXPECT_EQ(bed.said(1), Said{"granted 2"});
        bed.expect_rest();
    }
}

TEST(ExchangeIds, R52AloneATakeoverIsDoneWithinOneTurn) {
    Bed bed(1);
    EXPECT_EQ(bed.enroll(0, 1, "id"), Registered::granted);
    EXPECT_EQ(bed.enroll(0, 2, "id"), Registered::pending);
    EXPECT_EQ(bed.said(0), Said{"evict 1"});
    bed.remove(0, 1);
    EXPECT_EQ(bed.said(0), Said{"granted 2"});
    EXPECT_EQ(bed.nodes[0].exchange->figures().names, 1u);
    bed.expect_rest();
}

TEST(ExchangeIds, R52ANewerRegisterTakesTheWaitingPlace) {
    Bed bed(3);
    const std::string id = bed.homed_at(0, "id");
    (void)bed.enroll(0, 1, id);
    (void)bed.enroll(1, 2, id);
    bed.pump();
    (void)bed.enroll(2, 3, id);
    bed.pump();
    EXPECT_EQ(bed.said(1), Said{"rejected 2"});
    bed.remove(0, 1);
    bed.pump();
    EXPECT_EQ(bed.said(2), Said{"granted 3"});
}

TEST(ExchangeIds, R53ARegisterIsRefusedWhenTheHolderIsThere) {
    Bed bed(3, with(DuplicateId::reject));
    const std::string id = bed.homed_at(2, "id");
    (void)bed.enroll(0, 1, id);
    bed.pump();
    bed.said(0);
    (void)bed.enroll(1, 2, id);
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{"check 1 1"});
    bed.nodes[0].exchange->held(Bed::session(1), 1);
    bed.pump();
    EXPECT_EQ(bed.said(1), Said{"rejected 2"});
    bed.expect_rest();
}

TEST(ExchangeIds, R53NobodyIsRefusedForItsOwnGhost) {
    Bed bed(3, with(DuplicateId::reject));
    const std::string id = bed.homed_at(2, "id");
    (void)bed.enroll(0, 1, id);
    bed.pump();
    (void)bed.enroll(1, 2, id);  // before the home knows that 0 is dead
    bed.turn(1);
    bed.read(1, 2);
    bed.kill(0);
    bed.pump();
    EXPECT_EQ(bed.said(1), Said{"granted 2"});
}

TEST(ExchangeIds, R53AnAnswerToAnOlderQuestionCountsForNothing) {
    Bed bed(3, with(DuplicateId::reject));
    const std::string id = bed.homed_at(0, "id");
    (void)bed.enroll(0, 1, id);
    (void)bed.enroll(1, 2, id);
    bed.pump();
    (void)bed.enroll(2, 3, id);
    bed.pump();
    EXPECT_EQ(bed.said(0), (Said{"check 1 1", "check 1 2"}));
    bed.nodes[0].exchange->held(Bed::session(1), 1);
    bed.pump();
    EXPECT_EQ(bed.said(2), Said{});
    bed.nodes[0].exchange->held(Bed::session(1), 2);
    bed.pump();
    EXPECT_EQ(bed.said(2), Said{"rejected 3"});
}

TEST(ExchangeIds, R54AllowGrantsAtOnceAndADirectGoesToAll) {
    Bed bed(2, with(DuplicateId::allow));
    const std::string id = bed.homed_at(0, "id");
    (void)bed.enroll(0, 1, id);
    (void)bed.enroll(1, 2, id);
    (void)bed.enroll(1, 3, id);
    bed.pump();
    EXPECT_EQ(bed.said(1), (Said{"granted 2", "granted 3"}));
    bed.client(1, 9);
    (void)bed.direct(1, 9, id, "a");
    bed.pump();
    EXPECT_EQ(bed.said(0), Said{id + ":a to 1"});
    const Said said = bed.said(1);
    EXPECT_EQ(said.size(), 2u);  // the delivery to both, and the acknowledgement
    bed.expect_rest();
}

// A join with `moved`, as the receiver of a handover will send it.
void join_moved(Bed& bed, std::size_t from, const std::string& id, wire::SessionNumber session) {
    ByteBuffer record;
    wire::encode(record,
                 wire::Join{.token = 1000,
                            .space = wire::Space::id,
                            .name = id,
                            .session = session,
                            .is_moved = true});
    EXPECT_TRUE(
        bed.nodes[0].exchange->on_record(bed.nodes[from].incarnation, record.view(), bed.now));
    bed.drain(0);
}

TEST(ExchangeIds, R55ASessionThatMovesHasTwoHoldersAndBothAreEvicted) {
    for (const bool is_planted : {false, true}) {
        ExchangeOptions options;
        options.plant.evict_one = is_planted;  // EVICTONE
        Bed bed(4, options);
        const std::string id = bed.homed_at(0, "id");
        (void)bed.enroll(1, 1, id);
        bed.pump();
        const wire::SessionNumber session{bed.nodes[1].incarnation, (1ull << 32) | 1};
        join_moved(bed, 2, id, session);
        bed.turn(0);
        EXPECT_EQ(bed.waiting(0, 2, RecordType::joined), 1u);
        (void)bed.enroll(3, 5, id);
        bed.turn(3);
        bed.read(3, 0);
        bed.turn(0);
        const std::size_t evicted =
            bed.waiting(0, 1, RecordType::evict) + bed.waiting(0, 2, RecordType::evict);
        EXPECT_EQ(evicted, is_planted ? 1u : 2u);
    }
}

TEST(ExchangeIds, R55WhoIsBeingReplacedOrHoldsNothingCannotMove) {
    Bed bed(4);
    const std::string id = bed.homed_at(0, "id");
    (void)bed.enroll(1, 1, id);
    bed.pump();
    const wire::SessionNumber session{bed.nodes[1].incarnation, (1ull << 32) | 1};
    const auto is_refused = [&] {
        bed.turn(0);
        wire::Joined joined;
        const std::string record = bed.links[{0, 2}].back();
        bed.links[{0, 2}].clear();
        return wire::decode(as_bytes(record), joined) && joined.refusal != wire::Refusal::none;
    };
    join_moved(bed, 2, id, {bed.nodes[1].incarnation, 77});
    EXPECT_TRUE(is_refused());
    (void)bed.enroll(3, 5, id);
    bed.turn(3);
    bed.read(3, 0);
    join_moved(bed, 2, id, session);
    EXPECT_TRUE(is_refused());
}

TEST(ExchangeIds, R56AnEvictionOfWhoHasLeftDoesNothing) {
    Bed bed(2);
    const std::string id = bed.homed_at(0, "id");
    (void)bed.enroll(1, 1, id);
    bed.pump();
    bed.said(1);
    (void)bed.enroll(0, 2, id);
    bed.turn(0);
    bed.remove(1, 1);
    bed.pump();
    EXPECT_EQ(bed.said(1), Said{});
    EXPECT_EQ(bed.said(0), Said{"granted 2"});
    bed.expect_rest();
}

TEST(ExchangeIds, R57ALeaveCancelsAWaitingRegister) {
    for (std::size_t home = 0; home < 3; ++home) {
        Bed bed(3);
        const std::string id = bed.homed_at(home, "id");
        (void)bed.enroll(0, 1, id);
        bed.pump();
        (void)bed.enroll(1, 2, id);
        bed.pump();
        bed.remove(1, 2);
        bed.remove(0, 1);
        bed.pump();
        EXPECT_EQ(bed.said(1), Said{});
        bed.expect_rest();
        bed.said(2);
        if (bed.enroll(2, 3, id) == Registered::pending) {
            bed.pump();
            EXPECT_EQ(bed.said(2), Said{"granted 3"});
        }
    }
}

TEST(ExchangeIds, R57TheDeathOfAWorkerFreesItsIds) {
    Bed bed(3);
    const std::string id = bed.homed_at(0, "id");
    (void)bed.enroll(1, 1, id);
    bed.pump();
    bed.kill(1);
    bed.client(2, 9);
    (void)bed.direct(2, 9, id, "a");
    bed.pump();
    EXPECT_EQ(bed.said(2), Said{"refused 9 a 3"});
}

TEST(ExchangeIds, R58HoldersSurviveTheEndOfTheirHome) {
    Bed bed(3);
    const std::string id = bed.homed_at(0, "id");
    (void)bed.enroll(1, 1, id);
    bed.pump();
    bed.said(1);
    bed.kill(0);
    bed.start(0);
    (void)bed.enroll(2, 2, id);
    bed.pump();
    EXPECT_EQ(bed.said(1), Said{"evict 1"});
    EXPECT_EQ(bed.said(2), Said{});
    bed.remove(1, 1);
    bed.pump();
    EXPECT_EQ(bed.said(2), Said{"granted 2"});
    bed.expect_rest();
}

TEST(ExchangeIds, R58ARegisterThatWaitedAtTheOldHomeWaitsAtTheNewOne) {
    Bed bed(3);
    const std::string id = bed.homed_at(0, "id");
    (void)bed.enroll(1, 1, id);
    bed.pump();
    (void)bed.enroll(2, 2, id);
    bed.pump();
    bed.kill(0);
    bed.start(0);
    bed.pump();
    bed.remove(1, 1);
    bed.pump();
    EXPECT_EQ(bed.said(2), Said{"granted 2"});
    bed.expect_rest();
}

}  // namespace
}  // namespace wspool::hub
