#include "worker/placement.h"

#include "base/random.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

namespace wspool::worker {
namespace {

pool::Outlook seated_below(std::uint64_t connections_max, std::uint64_t connections) {
    return connections < connections_max ? pool::Outlook::seated : pool::Outlook::waits;
}

[[nodiscard]] bool has_seat(const Place& place) {
    return place.outlook == pool::Outlook::seated;
}

std::vector<Place> places_of(const std::vector<std::uint64_t>& connections,
                             std::uint64_t connections_max) {
    std::vector<Place> places;
    for (const std::uint64_t count : connections) {
        places.push_back({0, true, count, 0, seated_below(connections_max, count)});
    }
    return places;
}

std::vector<std::uint64_t> arbitrary_counts(std::uint64_t max) {
    const auto count = *rc::gen::inRange<std::size_t>(1, 9);
    return *rc::gen::container<std::vector<std::uint64_t>>(
        count, rc::gen::inRange<std::uint64_t>(0, max + 1));
}

RC_GTEST_PROP(ChoosePlace, ChoosesTheLeastLoadedThatMayTakeAndHasASeat, ()) {
    const auto max = *rc::gen::inRange<std::uint64_t>(1, 5'000);
    std::vector<Place> places = places_of(arbitrary_counts(max), max);
    for (Place& place : places) place.may_take = *rc::gen::inRange(0, 4) > 0;
    const auto own = *rc::gen::inRange<std::size_t>(0, places.size());
    const auto chosen = choose_place(places, own);
    std::uint64_t least = UINT64_MAX;
    for (std::size_t i = 0; i < places.size(); ++i) {
        if (i != own && places[i].may_take && has_seat(places[i]))
            least = std::min(least, places[i].connections);
    }
    if (chosen) {
        RC_ASSERT(*chosen != own);
        RC_ASSERT(places[*chosen].may_take && has_seat(places[*chosen]));
        RC_ASSERT(places[*chosen].connections == least);
        RC_ASSERT(!has_seat(places[own]) || places[own].connections > least + place_margin(least));
    } else {
        RC_ASSERT(least == UINT64_MAX || (has_seat(places[own]) &&
                                          places[own].connections <= least + place_margin(least)));
    }
}

// Whoever a connection goes to would not pass it on in its turn, were it allowed to.
RC_GTEST_PROP(ChoosePlace, DoesNotSwing, ()) {
    std::vector<Place> places = places_of(arbitrary_counts(3'000), 3'000);
    const auto own = *rc::gen::inRange<std::size_t>(0, places.size());
    const auto chosen = choose_place(places, own);
    if (!chosen) return;
    ++places[*chosen].connections;
    places[*chosen].outlook = seated_below(3'000, places[*chosen].connections);
    const auto next = choose_place(places, *chosen);
    RC_ASSERT(!next || !has_seat(places[*chosen]));
    if (next) RC_ASSERT(places[*next].connections >= places[*chosen].connections - 1);
}

TEST(ChoosePlace, StaysWhereItIsAlone) {
    EXPECT_FALSE(choose_place(places_of({10}, 10), 0));
    EXPECT_FALSE(choose_place(places_of({10, 10, 10}, 10), 1));
}

TEST(ChoosePlace, WhoIsFullPassesOnAndEqualsAreTakenInTurn) {
    const auto places = places_of({10, 10, 3, 3}, 10);
    EXPECT_EQ(choose_place(places, 0), 2u);
    EXPECT_EQ(choose_place(places_of({3, 10, 10, 3}, 10), 2), 3u);
    EXPECT_EQ(choose_place(places_of({3, 10, 10, 3}, 10), 1), 3u);
}

TEST(ChoosePlace, TheMarginIsFourDeviationsOfChanceAtLeastAndATenthAtMostForMany) {
    for (std::uint64_t m = 0; m < 200'000; m += 7) {
        const std::uint64_t margin = place_margin(m);
        EXPECT_GE((margin + 1) * (margin + 1), 16 * m);
        if (m >= 2'000) {
            EXPECT_LE(margin, m / 10);
        }
    }
}

// What the kernel does: each connection falls to a worker by chance.
TEST(ChoosePlace, AnEvenSpreadIsLeftAlone) {
    constexpr std::size_t workers = 6;
    std::size_t passed_on = 0;
    Prng prng(4);
    std::vector<Place> places = places_of(std::vector<std::uint64_t>(workers), 20'000);
    for (int i = 0; i < 100'000; ++i) {
        const std::size_t own = prng.below(workers);
        const auto chosen = choose_place(places, own);
        if (chosen) ++passed_on;
        ++places[chosen.value_or(own)].connections;
    }
    EXPECT_LE(passed_on, 100u);
    for (const Place& place : places)
        EXPECT_NEAR(static_cast<double>(place.connections), 100'000 / 6, 1'666);
}

TEST(ChoosePlace, ASeatComesBeforeASeatToBeTakenBackAndThatBeforeWaiting) {
    using enum pool::Outlook;
    std::vector<Place> places = places_of({9, 5, 7, 9}, 10);
    const auto chosen_from = [&](std::size_t own, std::vector<pool::Outlook> outlooks) {
        for (std::size_t i = 0; i < places.size(); ++i) places[i].outlook = outlooks[i];
        return choose_place(places, own);
    };
    EXPECT_EQ(chosen_from(0, {preempts, waits, preempts, seated}), 3u);
    EXPECT_EQ(chosen_from(0, {waits, preempts, preempts, waits}), 1u);
    EXPECT_EQ(chosen_from(0, {preempts, preempts, preempts, waits}), std::nullopt);
    EXPECT_EQ(chosen_from(0, {waits, waits, waits, waits}), std::nullopt);
    EXPECT_EQ(chosen_from(0, {seated, preempts, waits, waits}), std::nullopt);
}

// All that one worker sees of the others is as old as its turn; it counts what it has offered.
TEST(ChoosePlace, ABurstOnOneWorkerIsSpreadOverAllAlthoughTheFiguresAreOld) {
    std::vector<Place> seen = places_of({0, 0, 0, 0}, 10'000);
    for (int i = 0; i < 1'000; ++i) {
        const auto chosen = choose_place(seen, 0);
        ++(chosen ? seen[*chosen].offered : seen[0].connections);
    }
    const auto by_load = [](const Place& a, const Place& b) { return a.load() < b.load(); };
    const auto [least, most] = std::minmax_element(seen.begin(), seen.end(), by_load);
    EXPECT_LE(most->load(), least->load() + place_margin(least->load()) + 1);
}

// What was offered may be among its connections already: then it still has that seat.
TEST(ChoosePlace, WhoSeemsFullForWhatWasOfferedIsAskedWhenNobodyElseIsLeft) {
    std::vector<Place> places = places_of({10, 9, 10}, 10);
    places[1].offered = 1;
    EXPECT_EQ(choose_place(places, 0), 1u);
    places[2].connections = 9;
    places[2].outlook = pool::Outlook::seated;
    EXPECT_EQ(choose_place(places, 0), 2u);
}

// 100,000 from one address: however lopsided the kernel's choice, within 10 % of even.
TEST(ChoosePlace, ALopsidedSpreadEndsWithinATenthOfEven) {
    Prng prng(5);
    std::vector<Place> places = places_of(std::vector<std::uint64_t>(6), 20'000);
    for (int i = 0; i < 100'000; ++i) {
        const std::size_t own = prng.below(1 + prng.below(6));
        Place& place = places[choose_place(places, own).value_or(own)];
        ++place.connections;
        place.outlook = seated_below(20'000, place.connections);
    }
    for (const Place& place : places) {
        EXPECT_NEAR(static_cast<double>(place.connections), 100'000 / 6, 1'666);
    }
}

}  // namespace
}  // namespace wspool::worker
