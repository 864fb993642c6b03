// What people are told who ask about groups and ids.
#include "hub/exchange_test_bed.h"

#include <algorithm>

namespace wspool::hub {
namespace {

// All groups homed at a node, asked for so many names at a time.
std::vector<std::string> listed(const Exchange& exchange, std::size_t looks_at_a_time) {
    std::vector<std::string> result;
    std::uint32_t index = 0;
    while (exchange.has_names_from(index)) {
        std::size_t looks = looks_at_a_time;
        while (const auto group = exchange.next_group(index, looks)) {
            result.emplace_back(group->name);
        }
    }
    std::sort(result.begin(), result.end());
    return result;
}

TEST(ExchangeReport, AGroupIsListedByItsHomeWhereverItsMembersAre) {
    Bed bed(2);
    const std::string here = bed.homed_at(0);
    bed.member(0, 1, here);
    bed.member(1, 1, here);
    bed.pump();
    const auto at_home = bed.nodes[0].exchange->group(here);
    ASSERT_TRUE(at_home.has_value());
    EXPECT_TRUE(at_home->is_home);
    EXPECT_EQ(at_home->members, 1u);
    EXPECT_NE(at_home->position.epoch, 0u);
    const auto elsewhere = bed.nodes[1].exchange->group(here);
    ASSERT_TRUE(elsewhere.has_value());
    EXPECT_FALSE(elsewhere->is_home);
    EXPECT_EQ(elsewhere->members, 1u);
    EXPECT_EQ(elsewhere->position.epoch, 0u);
    EXPECT_EQ(listed(*bed.nodes[0].exchange, 1), std::vector<std::string>{here});
    EXPECT_TRUE(listed(*bed.nodes[1].exchange, 1).empty());
}

TEST(ExchangeReport, AGroupWithoutMembersIsListedForItsHistory) {
    Bed bed(1);
    bed.client(0, 1);
    (void)bed.publish(0, 1, "g", "a");
    EXPECT_EQ(listed(*bed.nodes[0].exchange, 100), std::vector<std::string>{"g"});
    EXPECT_EQ(bed.nodes[0].exchange->group("g")->history, 1u);
    EXPECT_FALSE(bed.nodes[0].exchange->group("h").has_value());
}

TEST(ExchangeReport, AClientHasItsGroupsAndAnIdItsHolders) {
    Bed bed(1);
    bed.client(0, 3);
    (void)bed.join(0, 3, "a");
    (void)bed.join(0, 3, "b");
    const Exchange& exchange = *bed.nodes[0].exchange;
    EXPECT_EQ(exchange.group_count_of(3), 2u);
    EXPECT_EQ(exchange.group_count_of(4), 0u);
    std::vector<std::string_view> groups;
    exchange.list_groups_of(3, 10, groups);
    EXPECT_EQ(groups, (std::vector<std::string_view>{"a", "b"}));
    exchange.list_groups_of(3, 1, groups);
    EXPECT_EQ(groups.size(), 1u);
    ClientId::TextBuffer buffer;
    std::vector<std::uint32_t> holders;
    exchange.list_holders_of(exchange.id_of(3, buffer), holders);
    EXPECT_EQ(holders, std::vector<std::uint32_t>{3});
    exchange.list_holders_of("nobody", holders);
    EXPECT_TRUE(holders.empty());
}

}  // namespace
}  // namespace wspool::hub
