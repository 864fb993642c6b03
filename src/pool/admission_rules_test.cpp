#include "pool/admission_owner.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <cmath>
#include <set>

namespace wspool::pool {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = AdmissionAction::Kind;
using Tags = std::vector<std::uint64_t>;

constexpr auto seated = Verdict::Kind::seated;
constexpr auto queued = Verdict::Kind::queued;
constexpr auto refused = Verdict::Kind::refused;

AdmissionOptions shared(std::uint32_t seats_max) {
    return {.seats_max = seats_max, .shares = default_shares};
}
AdmissionOptions unshared(std::uint32_t seats_max) {
    return {.seats_max = seats_max};
}

// ---- the defects of the article's PriorityConnectionPool

// It held back for higher classes only, so critical could take everything for ever, and it refused
// low while seats stood idle.
TEST(DefectsOfTheArticle, D2IdleSeatsAreLentAndOnlyTheUnlendableAreHeldBack) {
    AdmissionOwner owner(shared(10));
    owner.ask(9, Priority::low);
    EXPECT_EQ(owner.seats.size(), 9u);
    EXPECT_EQ(owner.ask(Priority::low).kind, queued) << "the last one is critical's";
    EXPECT_EQ(owner.ask(Priority::normal).kind, queued);
    EXPECT_EQ(owner.ask(Priority::critical).kind, seated);

    AdmissionOptions options = shared(10);
    options.lendable[index_of(Priority::low)] = 0;
    AdmissionOwner other(options);
    other.ask(10, Priority::critical);
    EXPECT_EQ(other.seats.size(), 7u) << "low lends nothing: its 3 seats stay free";
    EXPECT_EQ(other.ask(Priority::low).kind, seated);
}

// It awaited the preemption and then took a seat without looking again: 11 of 10.
TEST(DefectsOfTheArticle, D3ThePreemptorDoesNotOvershoot) {
    AdmissionOwner owner(shared(10));
    owner.ask(9, Priority::low);
    owner.ask(1, Priority::critical);
    owner.pass(seconds(60));
    const Tags high = owner.ask(2, Priority::high);
    EXPECT_EQ(owner.figures().seats_used, 10u);
    EXPECT_EQ(owner.figures().nominations[index_of(Priority::high)], 1u) << "the budget's first";
    owner.pass(seconds(3));
    EXPECT_TRUE(owner.is_seated(high[0]) && owner.is_seated(high[1]));
    EXPECT_EQ(owner.figures().seats_used, 10u);
    EXPECT_EQ(owner.figures().seats_peak, 10u);
}

// It put the victim into its own queue, without anybody to tell when its turn came.
TEST(DefectsOfTheArticle, D4TheVictimIsNotQueuedButComesBackAheadOfItsClass) {
    AdmissionOwner owner(shared(10));
    owner.ask(9, Priority::low);
    owner.ask(1, Priority::critical);
    const auto waiting_low = owner.ask(2, Priority::low);
    owner.pass(seconds(10));
    owner.ask(1, Priority::high);
    owner.pass(seconds(1));
    ASSERT_EQ(owner.told_of(Kind::preempt).size(), 1u);
    EXPECT_EQ(owner.figures().waiting[index_of(Priority::low)], 2u) << "no ghost waits";
    const Verdict back = owner.ask(Priority::low, true);
    EXPECT_EQ(back.position, 1u);
    const auto returned = owner.last_tag;
    EXPECT_EQ(owner.admission.position(owner.waiters[waiting_low[0]]), 2u);
    EXPECT_EQ(owner.ask(Priority::low, true).position, 2u) << "behind whoever came back before";
    owner.leave(owner.seats.begin()->first);
    EXPECT_TRUE(owner.is_seated(returned));
}

// It preempted for a class that was over its share, from one that was below: normal 10, low 0.
TEST(DefectsOfTheArticle, D5AClassOverItsShareTakesNothing) {
    AdmissionOwner owner(shared(10));
    owner.ask(2, Priority::low);
    owner.ask(7, Priority::normal);
    owner.ask(1, Priority::critical);
    owner.pass(seconds(10));
    EXPECT_EQ(owner.ask(Priority::normal).kind, queued) << "normal has 7 of 4";
    EXPECT_EQ(owner.ask(Priority::critical).kind, queued) << "critical has 1 of 1";
    owner.pass(milliseconds(4900));
    EXPECT_TRUE(owner.told_of(Kind::preempt).empty());
    const Verdict high = owner.ask(Priority::high);
    EXPECT_EQ(high.kind, queued);
    ASSERT_EQ(owner.told_of(Kind::preempt).size(), 1u);
    EXPECT_EQ(owner.told.back().priority, Priority::normal) << "low is below its share";
}

// Its victim was the oldest, busy or not, told and closed in one breath, all back after 5 s.
TEST(DefectsOfTheArticle, D6TheVictimIsIdleElseTheShortestHeldAndHasItsGrace) {
    AdmissionOwner owner(shared(100));
    owner.ask(10, Priority::critical);
    const Tags low = owner.ask(88, Priority::low);
    owner.pass(seconds(6));
    const auto late = owner.ask(1, Priority::low)[0];
    owner.pass(seconds(1));
    owner.ask(1, Priority::low);  // still below min_hold when it comes to that
    owner.pass(seconds(4));
    // All but two are busy.
    for (const auto tag : low) {
        if (tag != low[40] && tag != low[50]) owner.admission.touch(owner.seats[tag], owner.now);
    }
    owner.ask(3, Priority::high);
    ASSERT_EQ(owner.told_of(Kind::preempt), (Tags{low[40], low[50], late}));
    EXPECT_EQ(owner.told.back().grace_until, owner.now + seconds(1));
    EXPECT_TRUE(owner.told_of(Kind::revoke).empty());
    owner.pass(milliseconds(999));
    EXPECT_TRUE(owner.told_of(Kind::revoke).empty());
    owner.pass(milliseconds(1));
    EXPECT_EQ(owner.told_of(Kind::revoke), (Tags{low[40], low[50], late}));
}

// Its timers were never cleared, and removed a later wait of the same id.
TEST(DefectsOfTheArticle, D7NoTimeoutOutlivesItsWait) {
    AdmissionOwner owner(unshared(1));
    const auto holder = owner.ask(1, Priority::low)[0];
    const auto first = owner.ask(1, Priority::critical)[0];
    owner.pass(seconds(4));
    EXPECT_TRUE(owner.give_up(first));
    const auto second = owner.ask(1, Priority::critical)[0];
    owner.pass(seconds(4));
    EXPECT_TRUE(owner.told.empty());
    owner.leave(holder);
    EXPECT_TRUE(owner.is_seated(second));
    EXPECT_EQ(owner.admission.next_deadline(), never);
}

// A release served one waiter at most, other events none, and strictly from the top.
TEST(DefectsOfTheArticle, D8WhateverFreesSeatsFillsThemAll) {
    AdmissionOwner owner(unshared(1));
    owner.ask(1, Priority::normal);
    const Tags waiting = owner.ask(4, Priority::normal);
    owner.admission.resize(4, owner.now);
    (void)owner.ask(Priority::normal);
    EXPECT_EQ(owner.told_of(Kind::seated), (Tags{waiting[0], waiting[1], waiting[2]}));

    AdmissionOwner fair(shared(10));
    const Tags critical = fair.ask(10, Priority::critical);  // borrows
    fair.ask(5, Priority::critical);
    fair.ask(5, Priority::low);
    for (std::size_t i = 0; i < 4; ++i) fair.leave(critical[i]);
    EXPECT_EQ(fair.figures().used[index_of(Priority::low)], 3u) << "below its share it goes first";
    EXPECT_EQ(fair.figures().used[index_of(Priority::critical)], 7u) << "what is left is borrowed";
}

// A newcomer took what a waiter was owed; a new priority of a known id was ignored; an unknown word
// was normal; a 0 was the default; it could not be closed.
TEST(DefectsOfTheArticle, D9NobodyBargesAndOptionsMeanWhatTheySay) {
    AdmissionOwner owner(unshared(1));
    const auto holder = owner.ask(1, Priority::normal)[0];
    const auto waiter = owner.ask(1, Priority::low)[0];
    // Freed, but the waiter not told yet: the newcomer is late all the same.
    owner.admission.release(owner.seats[holder], owner.now);
    EXPECT_EQ(owner.ask(Priority::low).kind, queued);
    EXPECT_TRUE(owner.is_seated(waiter));

    AdmissionOwner upgraded(shared(10));
    const auto tag = upgraded.ask(1, Priority::low)[0];
    upgraded.admission.reclass(upgraded.seats[tag], Priority::high, upgraded.now);
    EXPECT_EQ(upgraded.figures().seats, (PerPriority<std::uint32_t>{0, 1, 0, 0}));
    EXPECT_EQ(upgraded.figures().used, (PerPriority<std::uint32_t>{0, 1, 0, 0}));

    AdmissionOwner zero({.seats_max = 0, .wait_timeout = {}});
    const Verdict verdict = zero.ask(Priority::critical);
    EXPECT_EQ(verdict.kind, refused) << "a timeout of 0 is to try once";
    EXPECT_EQ(verdict.refusal, Refusal::timed_out);

    AdmissionOwner closing(unshared(1));
    closing.ask(3, Priority::normal);
    closing.admission.close(closing.now);
    EXPECT_EQ(closing.ask(Priority::normal).refusal, Refusal::closed);
    EXPECT_EQ(closing.told_of(Kind::closed), (Tags{2, 3}));
    EXPECT_EQ(closing.figures().seats_used, 1u) << "its seat is its own until it is released";
}

// A victim came back after 5 s and preempted the next class, and so on round.
TEST(DefectsOfTheArticle, D10PreemptionComesToRest) {
    AdmissionOwner owner(shared(100));
    owner.ask(90, Priority::low);
    owner.ask(10, Priority::critical);
    owner.pass(seconds(10));
    owner.ask(60, Priority::normal);
    owner.ask(30, Priority::high);
    for (int second = 0; second < 60; ++second) {
        const std::size_t before = owner.told_of(Kind::preempt).size();
        owner.pass(seconds(1));
        EXPECT_LE(owner.told_of(Kind::preempt).size() - before, 11u) << "a tenth each second";
        while (owner.waiters.size() < 200) (void)owner.ask(Priority::low, true);
    }
    // Each class has what it may count on, and nobody is taken from any more.
    EXPECT_EQ(owner.figures().seats, (PerPriority<std::uint32_t>{10, 20, 40, 30}));
    EXPECT_EQ(owner.told_of(Kind::preempt).size(), 60u);
}

// ---- the article's own formula

// As in PriorityConnectionPool.canAcceptConnection, with nothing but numbers.
bool article_accepts(std::uint32_t max, const PerPriority<std::uint32_t>& seats, std::size_t c) {
    constexpr std::array<double, priority_count> parts = {0.1, 0.2, 0.4, 0.3};
    const std::uint32_t total = seats[0] + seats[1] + seats[2] + seats[3];
    if (total >= max) return false;
    double available = max - total;
    for (std::size_t i = 0; i < c; ++i) {
        available -= std::max(0.0, std::floor(max * parts[i]) - seats[i]);
    }
    return available > 0;
}

RC_GTEST_PROP(Admission, OfTheSeedsModeAdmitsByTheArticlesFormula, (std::uint64_t seed)) {
    AdmissionOptions options = shared(*rc::gen::inRange<std::uint32_t>(1, 120));
    options.reserve_mode = ReserveMode::seed;
    options.preemption.is_enabled = false;
    AdmissionOwner owner(options, seed);
    Prng random(seed);
    for (int step = 0; step < 300; ++step) {
        if (random.below(3) == 0 && !owner.seats.empty()) {
            const auto at = static_cast<std::ptrdiff_t>(random.below(owner.seats.size()));
            owner.leave(std::next(owner.seats.begin(), at)->first);
        }
        const auto c = static_cast<std::size_t>(random.below(priority_count));
        const bool accepts = article_accepts(options.seats_max, owner.figures().seats, c);
        const auto kind = owner.ask(all_priorities[c]).kind;
        RC_ASSERT((kind == seated) == accepts);
        // Where the article served one waiter for each release, nobody is left who could be.
        for (std::size_t d = 0; d < priority_count; ++d) {
            RC_ASSERT(owner.figures().waiting[d] == 0 ||
                      !article_accepts(options.seats_max, owner.figures().seats, d));
        }
    }
}

// ---- faults of others

// mysql#509, reactor-pool#127: a wait that ends just when a seat comes. One of both, never neither.
TEST(FaultsOfTheField, F08AWaitEndsOnce) {
    AdmissionOwner owner(unshared(1));
    const auto holder = owner.ask(1, Priority::critical)[0];
    const auto waiter = owner.ask(1, Priority::critical)[0];
    owner.now += seconds(5);  // its deadline, and before anybody looks at it the seat comes
    owner.admission.release(owner.seats[holder], owner.now);
    EXPECT_FALSE(owner.admission.cancel(owner.waiters[waiter], owner.now)) << "it has a seat";
    owner.admission.on_deadline(owner.now);
    (void)owner.ask(Priority::low);
    EXPECT_EQ(owner.told_of(Kind::seated), (Tags{waiter}));
    EXPECT_TRUE(owner.told_of(Kind::timed_out).empty());
}

// pgx#1437, mattermost-webapp#10960: those who were sent away together come back together.
TEST(FaultsOfTheField, F28VictimsComeBackSpread) {
    AdmissionOptions options = shared(1000);
    options.preemption.budget_per_second = 1;
    AdmissionOwner owner(options);
    owner.ask(100, Priority::critical);
    owner.ask(900, Priority::low);
    owner.pass(seconds(10));
    owner.ask(200, Priority::high);
    owner.ask(400, Priority::normal);
    std::array<int, 10> halves{};  // of the 5 s in which they come
    for (const AdmissionAction& action : owner.told) {
        if (action.kind != Kind::preempt) continue;
        ASSERT_GE(action.reconnect_delay, milliseconds(2500));
        ASSERT_LE(action.reconnect_delay, milliseconds(7500));
        const auto half = (action.reconnect_delay - milliseconds(2500)) / milliseconds(500);
        ++halves[static_cast<std::size_t>(std::min<std::int64_t>(half, 9))];
    }
    for (const int count : halves) EXPECT_NEAR(count, 60, 40);
}

// envoy#6476: limits checked when a connection is made, so low rides on what was made for high.
TEST(FaultsOfTheField, F36ASeatCountsForWhoHoldsIt) {
    AdmissionOwner owner(shared(10));
    const Tags critical = owner.ask(5, Priority::critical);
    for (const auto tag : critical) owner.leave(tag);
    owner.ask(9, Priority::low);
    EXPECT_EQ(owner.figures().used, (PerPriority<std::uint32_t>{0, 0, 0, 9}));
    EXPECT_EQ(owner.ask(Priority::low).kind, queued) << "a class keeps its own whoever sat there";
}

// pgbouncer#131, #1070: the first in a fixed order always wins.
RC_GTEST_PROP(FaultsOfTheField, F37EachClassHasItsShareUnderSaturation, (std::uint64_t seed)) {
    AdmissionOptions options = shared(*rc::gen::inRange<std::uint32_t>(4, 60));
    options.preemption.is_enabled = *rc::gen::arbitrary<bool>();
    options.wait_timeout.fill(std::chrono::hours(1));
    AdmissionOwner owner(options, seed);
    Prng random(seed);
    owner.ask(options.seats_max, all_priorities[random.below(priority_count)]);
    for (std::uint32_t step = 0; step < options.seats_max * 20; ++step) {
        for (const Priority priority : all_priorities) {
            if (owner.figures().waiting[index_of(priority)] < 3) (void)owner.ask(priority);
        }
        const auto at = static_cast<std::ptrdiff_t>(random.below(owner.seats.size()));
        owner.leave(std::next(owner.seats.begin(), at)->first);
        owner.pass(milliseconds(random.below(100)));
    }
    RC_ASSERT(owner.figures().seats == nominal_seats(options.seats_max, default_shares));
}

// incubator-pegasus#93: strict order lets low wait for ever.
TEST(FaultsOfTheField, F38LowGetsTheNextSeatNotOwedToAHigherClassBelowItsShare) {
    AdmissionOwner owner(shared(10));
    const Tags normal = owner.ask(9, Priority::normal);
    owner.ask(1, Priority::critical);
    owner.ask(20, Priority::critical);
    owner.ask(20, Priority::normal);
    const auto low = owner.ask(1, Priority::low)[0];
    owner.leave(normal[0]);
    EXPECT_TRUE(owner.is_seated(low));
}

// kueue#13797, kubernetes "Starvation of Preempting Pod": another takes the seat that was freed for
// the preemptor, which preempts again.
TEST(FaultsOfTheField, F39NominatedSeatGoesOnlyToItsPreemptor) {
    AdmissionOwner owner(shared(10));
    owner.ask(9, Priority::low);
    owner.ask(1, Priority::critical);
    owner.pass(seconds(10));
    const auto preemptor = owner.ask(1, Priority::normal)[0];
    const auto victim = owner.told_of(Kind::preempt).at(0);
    // Higher classes come meanwhile: critical over its share, high below, but the budget is spent.
    (void)owner.ask(Priority::critical);
    (void)owner.ask(Priority::high);
    owner.leave(victim);
    EXPECT_TRUE(owner.is_seated(preemptor));
    EXPECT_EQ(owner.told_of(Kind::preempt).size(), 1u);
}

TEST(FaultsOfTheField, F39APreemptionNobodyWasToldOfIsWithdrawn) {
    AdmissionOwner owner(shared(10));
    owner.ask(9, Priority::low);
    owner.ask(1, Priority::critical);
    owner.pass(seconds(10));
    const Verdict verdict = owner.admission.request({.priority = Priority::high}, owner.now);
    EXPECT_TRUE(owner.admission.cancel(verdict.waiter, owner.now));
    owner.pass(seconds(10));
    EXPECT_TRUE(owner.told.empty());
}

TEST(FaultsOfTheField, F39WithoutItsPreemptorTheSeatGoesToWhoeverIsNext) {
    AdmissionOwner owner(shared(10));
    owner.ask(9, Priority::low);
    owner.ask(1, Priority::critical);
    owner.pass(seconds(10));
    const auto preemptor = owner.ask(1, Priority::high)[0];
    const auto low = owner.ask(1, Priority::low)[0];
    EXPECT_TRUE(owner.give_up(preemptor));
    EXPECT_EQ(owner.figures().used[index_of(Priority::low)], 9u);
    const auto normal = owner.ask(1, Priority::normal)[0];
    EXPECT_EQ(owner.told_of(Kind::preempt).size(), 1u) << "one is leaving already";
    owner.pass(seconds(1));
    EXPECT_TRUE(owner.is_seated(normal));
    EXPECT_FALSE(owner.is_seated(low));
    EXPECT_EQ(owner.told_of(Kind::preempt).size(), 1u);
}

TEST(FaultsOfTheField, F39ASeatTakenForSomebodyIsNotTakenAtOnceFromHim) {
    AdmissionOptions options = shared(10);
    options.preemption.idle_after = seconds(0);
    AdmissionOwner owner(options);
    owner.ask(9, Priority::low);
    owner.ask(1, Priority::critical);
    owner.pass(seconds(10));
    const auto normal = owner.ask(1, Priority::normal)[0];
    owner.pass(seconds(1));
    ASSERT_TRUE(owner.is_seated(normal));
    // Its class is over its share all of a sudden.
    owner.admission.resize(1, owner.now);
    for (const auto& [tag, seat] : std::map(owner.seats)) {
        if (tag != normal) owner.leave(tag);
    }
    const auto critical = owner.ask(1, Priority::critical)[0];
    owner.pass(milliseconds(4999));
    EXPECT_TRUE(owner.told_of(Kind::preempt).size() == 1) << "min_hold protects it";
    EXPECT_FALSE(owner.is_seated(critical));
}

// emqx#151, MQTT.js#1585: two holders of one id take the seat from each other in a loop. A takeover
// costs no seat, so it neither waits nor lets anybody in.
TEST(FaultsOfTheField, F40ATakeoverKeepsTheSeatAsItIs) {
    AdmissionOwner owner(shared(10));
    owner.ask(9, Priority::low);
    owner.ask(1, Priority::critical);
    owner.pass(seconds(4));
    owner.admission.set_tag(owner.seats[9], 99);
    EXPECT_EQ(owner.figures().seats_used, 10u);
    owner.pass(seconds(1));
    (void)owner.ask(Priority::high);
    EXPECT_EQ(owner.told_of(Kind::preempt), (Tags{99})) << "nor does its hold begin anew";
}

// reactor-pool#98: with a bound of n one more or less waited, and with 0 nobody was let in.
TEST(FaultsOfTheField, F41WaitersAreRefusedOnlyWhenTheyWouldWaitAndAllMayAlreadyDo) {
    AdmissionOptions options = unshared(1);
    options.waiters_max = {0, 2, 2, 2};
    AdmissionOwner owner(options);
    EXPECT_EQ(owner.ask(Priority::critical).kind, seated);
    EXPECT_EQ(owner.ask(Priority::critical).refusal, Refusal::capacity);
    EXPECT_EQ(owner.ask(Priority::high).position, 1u);
    EXPECT_EQ(owner.ask(Priority::high).position, 2u);
    EXPECT_EQ(owner.ask(Priority::high).kind, refused);
    EXPECT_EQ(owner.ask(Priority::high, true).kind, refused);
    EXPECT_EQ(owner.ask(Priority::low).kind, queued) << "each class has its own";
    EXPECT_EQ(owner.figures().refused, (PerPriority<std::uint64_t>{1, 2, 0, 0}));
}

// ---- the rest of what is promised

TEST(Admission, WithoutSharesServesByPriorityAndPreemptsNobody) {
    AdmissionOwner owner(unshared(2));
    const Tags holders = owner.ask(2, Priority::low);
    const auto low = owner.ask(1, Priority::low)[0];
    const auto high = owner.ask(1, Priority::high)[0];
    const auto critical = owner.ask(1, Priority::critical)[0];
    owner.pass(seconds(4));
    EXPECT_TRUE(owner.told.empty());
    owner.leave(holders[0]);
    owner.leave(holders[1]);
    owner.leave(critical);
    EXPECT_EQ(owner.told_of(Kind::seated), (Tags{critical, high, low}));
}

TEST(Admission, TimesOutByClassAndSaysHowLongEachWaited) {
    AdmissionOwner owner(unshared(0));
    for (const Priority priority : all_priorities) (void)owner.ask(priority);
    EXPECT_EQ(owner.figures().oldest_wait, seconds(0));
    owner.pass(seconds(14));
    EXPECT_EQ(owner.figures().oldest_wait, seconds(14));
    owner.pass(seconds(60));
    ASSERT_EQ(owner.told_of(Kind::timed_out), (Tags{1, 2, 3, 4}));
    EXPECT_EQ(owner.told[0].waited, seconds(5));
    EXPECT_EQ(owner.told[1].waited, seconds(15));
    EXPECT_EQ(owner.told[2].waited, seconds(30));
    EXPECT_EQ(owner.told[3].waited, seconds(60));
    EXPECT_EQ(owner.figures().timeouts, (PerPriority<std::uint64_t>{1, 1, 1, 1}));
}

TEST(Admission, StaleIdsDoNothing) {
    AdmissionOwner owner(unshared(1));
    const auto seat = owner.ask(Priority::normal).seat;
    const auto waiter = owner.ask(Priority::normal).waiter;
    owner.admission.release({}, owner.now);
    owner.admission.release({seat.index, seat.generation + 1}, owner.now);
    EXPECT_FALSE(owner.admission.cancel({}, owner.now));
    EXPECT_EQ(owner.figures().seats_used, 1u);
    owner.leave(1);
    owner.admission.release(seat, owner.now);  // again: the seat is another's
    EXPECT_EQ(owner.figures().seats_used, 1u);
    EXPECT_FALSE(owner.admission.cancel(waiter, owner.now));
    EXPECT_EQ(owner.admission.position(waiter), 0u);
}

TEST(Admission, ADowngradeFreesWhatItsClassHeld) {
    AdmissionOwner owner(shared(10));
    const Tags critical = owner.ask(10, Priority::critical);
    const auto high = owner.ask(1, Priority::high)[0];
    EXPECT_FALSE(owner.is_seated(high));
    owner.admission.reclass(owner.seats[critical[0]], Priority::low, owner.now);
    owner.pass(seconds(20));
    EXPECT_EQ(owner.told_of(Kind::preempt).size(), 0u) << "low is not over its share";
    EXPECT_EQ(owner.told_of(Kind::timed_out), (Tags{high}));
}

// Two classes that lend nothing, each kept from the last free seat by what the other holds back.
TEST(Admission, ATakenSeatMakesFreeWhatWasHeldBackForItsClass) {
    AdmissionOptions options = shared(10);
    options.lendable = {0, 0, 1, 1};
    AdmissionOwner owner(options);
    owner.ask(7, Priority::low);
    owner.ask(1, Priority::high);
    const auto moved = owner.ask(1, Priority::critical)[0];
    owner.admission.reclass(owner.seats[moved], Priority::low, owner.now);
    owner.pass(seconds(10));
    const Request critical{.priority = Priority::critical, .tag = 100};
    const Request high{.priority = Priority::high, .tag = 101};
    ASSERT_EQ(owner.admission.request(critical, owner.now).kind, queued);
    ASSERT_EQ(owner.admission.request(high, owner.now).kind, queued);
    (void)owner.ask(Priority::low);
    EXPECT_EQ(owner.told_of(Kind::preempt).size(), 1u);
    EXPECT_EQ(owner.told_of(Kind::seated), (Tags{101}));
}

TEST(Admission, OptionsThatCannotBeMeantAreRefused) {
    EXPECT_TRUE(check(AdmissionOptions{}));
    EXPECT_TRUE(check(shared(0)));
    EXPECT_FALSE(check(AdmissionOptions{.shares = PerPriority<std::uint32_t>{}}));
    EXPECT_FALSE(check(AdmissionOptions{.lendable = {0, 1, 1.5, 1}}));
    EXPECT_FALSE(check(AdmissionOptions{.lendable = {0, 1, std::nan(""), 1}}));
    EXPECT_FALSE(check(AdmissionOptions{.wait_timeout = {seconds(-1)}}));
    AdmissionOptions options;
    options.preemption.grace = seconds(-1);
    EXPECT_FALSE(check(options));
    options = {};
    options.preemption.budget_per_second = -1;
    EXPECT_FALSE(check(options));
}

// ---- how long anybody waits (docs/decisions/0013)

// Holders that never leave by themselves: whoever waits below its share has a seat within min_hold,
// the grace, and its turn in the budget.
RC_GTEST_PROP(Admission, KeepsItsBoundOnWaiting, (std::uint64_t seed)) {
    AdmissionOptions options = shared(*rc::gen::inRange<std::uint32_t>(10, 200));
    options.wait_timeout.fill(std::chrono::hours(1));
    options.waiters_max.fill(UINT32_MAX);
    Prng random(seed);
    AdmissionOwner owner(options, seed);
    owner.ask(options.seats_max, Priority::low);
    owner.pass(milliseconds(random.below(10'000)));
    std::set<std::uint64_t> owed;
    const PerPriority<std::uint32_t> nominal = nominal_seats(options.seats_max, default_shares);
    for (std::size_t c = 0; c < 3; ++c) {
        const auto count = static_cast<std::uint32_t>(random.below(nominal[c] + 1));
        for (const auto tag : owner.ask(count, all_priorities[c])) owed.insert(tag);
    }
    const auto per_second = std::max(1u, options.seats_max / 10);
    const auto turns = static_cast<std::int64_t>(owed.size());
    owner.pass(options.preemption.min_hold + options.preemption.grace +
               turns * Duration(seconds(1)) / per_second);
    for (const auto tag : owed) RC_ASSERT(owner.is_seated(tag));
    // As many were sent away as were let in, and nobody twice.
    const auto victims = owner.told_of(Kind::preempt);
    RC_ASSERT(victims.size() <= owner.told_of(Kind::seated).size());
    RC_ASSERT(std::set(victims.begin(), victims.end()).size() == victims.size());
}

// Where no notice is under way, figures say what a request would meet.
RC_GTEST_PROP(AdmissionOutlook, IsWhatARequestMeets, ()) {
    AdmissionOptions options;
    options.seats_max = *rc::gen::inRange(1u, 30u);
    if (*rc::gen::arbitrary<bool>()) options.shares = default_shares;
    options.preemption.min_hold = std::chrono::hours(1);  // nobody is told to leave
    options.wait_timeout.fill(std::chrono::hours(9));
    AdmissionOwner owner(options);
    for (int step = *rc::gen::inRange(0, 80); step > 0; --step) {
        const bool leaves = !owner.seats.empty() && *rc::gen::inRange(0, 3) == 0;
        if (leaves) {
            owner.leave(std::next(owner.seats.begin(),
                                  *rc::gen::inRange<long>(0, static_cast<long>(owner.seats.size())))
                            ->first);
        } else {
            (void)owner.ask(*rc::gen::elementOf(all_priorities));
        }
    }
    const AdmissionFigures figures = owner.figures();
    const Priority priority = *rc::gen::elementOf(all_priorities);
    const Outlook outlook = owner.admission.outlook(priority, figures.seats, figures.waiting);
    const bool is_seated = owner.ask(priority).kind == Verdict::Kind::seated;
    RC_ASSERT((outlook == Outlook::seated) == is_seated);
    if (outlook == Outlook::preempts) {
        owner.pass(std::chrono::hours(1));
        RC_ASSERT(!owner.told_of(AdmissionAction::Kind::preempt).empty());
    }
}

}  // namespace
}  // namespace wspool::pool
