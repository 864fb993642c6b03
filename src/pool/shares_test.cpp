#include "pool/shares.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <numeric>

namespace wspool::pool {
namespace {

using Seats = PerPriority<std::uint32_t>;

RC_GTEST_PROP(Shares, AddUpToAllSeatsAndStayWithinOneOfTheExactPart, (std::uint32_t seats_max)) {
    Seats shares;
    for (auto& share : shares)
        share = *rc::gen::weightedOneOf<std::uint32_t>({{1, rc::gen::just(0u)},
                                                        {8, rc::gen::inRange(1u, 100u)},
                                                        {1, rc::gen::arbitrary<std::uint32_t>()}});
    const auto total = std::accumulate(shares.begin(), shares.end(), std::uint64_t{0});
    RC_PRE(total > 0u);
    const Seats seats = nominal_seats(seats_max, shares);
    RC_ASSERT(std::accumulate(seats.begin(), seats.end(), std::uint64_t{0}) == seats_max);
    const auto with_share = static_cast<std::size_t>(
        std::count_if(shares.begin(), shares.end(), [](auto share) { return share > 0; }));
    for (std::size_t c = 0; c < priority_count; ++c) {
        if (shares[c] == 0) RC_ASSERT(seats[c] == 0u);
        if (shares[c] > 0 && seats_max >= with_share) RC_ASSERT(seats[c] >= 1u);
        const double exact =
            static_cast<double>(seats_max) * shares[c] / static_cast<double>(total);
        RC_ASSERT(seats[c] <= std::max(1.0, exact + 1));
        // What the smallest classes were given beyond their part comes off the largest.
        RC_ASSERT(seats[c] > exact - 4);
        for (std::size_t d = c + 1; d < priority_count; ++d) {
            if (shares[c] >= shares[d]) RC_ASSERT(seats[c] >= seats[d]);
        }
    }
}

TEST(Shares, TiesGoToTheHigherClass) {
    EXPECT_EQ(nominal_seats(6, {1, 1, 1, 1}), (Seats{2, 2, 1, 1}));
    EXPECT_EQ(nominal_seats(2, {1, 1, 1, 1}), (Seats{1, 1, 0, 0}));
}

TEST(Shares, ASmallShareGetsASeatOnceThereAreEnough) {
    EXPECT_EQ(nominal_seats(4, {1, 1, 1000, 1}), (Seats{1, 1, 1, 1}));
    EXPECT_EQ(nominal_seats(10, {0, 0, 1000, 1}), (Seats{0, 0, 9, 1}));
}

TEST(Shares, OfTheDefaultAreAsDocumented) {
    EXPECT_EQ(nominal_seats(1000, default_shares), (Seats{100, 200, 400, 300}));
}

TEST(Priority, IsWrittenInOneWordAndNoOther) {
    for (const Priority priority : all_priorities)
        EXPECT_EQ(parse_priority(name(priority)), priority);
    EXPECT_EQ(parse_priority("urgent"), std::nullopt);
    EXPECT_EQ(parse_priority("High"), std::nullopt);
    EXPECT_EQ(parse_priority(""), std::nullopt);
}

// Math.floor of each share: of 7 seats 0, 1, 2, 2 were reserved, and critical had none.
TEST(DefectsOfTheArticle, D1LargestRemainderLosesNoSeat) {
    EXPECT_EQ(nominal_seats(7, default_shares), (Seats{1, 1, 3, 2}));
}

}  // namespace
}  // namespace wspool::pool
