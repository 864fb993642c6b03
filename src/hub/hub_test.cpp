#include "hub/hub.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>

namespace wspool::hub {
namespace {

constexpr Instant start{};

// Random joins, leaves and publishes against plain sets.
RC_GTEST_PROP(Hub, behaves_like_sets_of_members, (std::uint64_t seed)) {
    SeededEntropy entropy(seed);
    Hub hub({.groups_per_member_max = 4, .empty_groups_max = 3}, entropy);
    std::vector<Memberships> clients(12);
    std::map<std::string, std::set<std::uint32_t>> model;
    std::map<std::string, Position> positions;
    const auto steps = *rc::gen::inRange(1, 300);
    for (int step = 0; step < steps; ++step) {
        const auto client = *rc::gen::inRange<std::uint32_t>(0, 12);
        const std::string group = "g" + std::to_string(*rc::gen::inRange(0, 8));
        switch (*rc::gen::inRange(0, 4)) {
            case 0: {
                std::size_t held = 0;
                for (const auto& [name, members] : model) held += members.count(client);
                const bool was = model[group].count(client) != 0;
                const auto joined = hub.join(clients[client], client, group, false, start);
                if (was) {
                    RC_ASSERT(joined.outcome == Hub::JoinOutcome::was_member);
                } else if (held >= 4) {
                    RC_ASSERT(joined.outcome == Hub::JoinOutcome::too_many);
                } else {
                    RC_ASSERT(joined.outcome == Hub::JoinOutcome::joined);
                    model[group].insert(client);
                }
                break;
            }
            case 1:
                RC_ASSERT(hub.leave(clients[client], group, start) ==
                          (model[group].erase(client) == 1));
                break;
            case 2:
                hub.leave_all(clients[client], start);
                for (auto& [name, members] : model) members.erase(client);
                break;
            default: {
                const auto publication = hub.publish(group, start);
                std::set<std::uint32_t> receivers;
                for (const Member& member : publication.members) receivers.insert(member.index);
                RC_ASSERT(receivers == model[group]);
                Position& last = positions[group];
                if (publication.position.epoch == last.epoch) {
                    RC_ASSERT(publication.position.offset == last.offset + 1);
                } else {
                    RC_ASSERT(publication.position.offset == 1u);
                }
                last = publication.position;
            }
        }
        hub.check_invariants();
    }
}

TEST(Hub, a_group_that_has_members_never_changes_its_epoch) {
    SeededEntropy entropy(1);
    Hub hub({.empty_groups_max = 1}, entropy);
    Memberships member;
    const auto joined = hub.join(member, 0, "kept", true, start);
    for (int i = 0; i < 100; ++i) {
        (void)hub.publish("other" + std::to_string(i), start + std::chrono::hours(i));
    }
    const auto publication = hub.publish("kept", start + std::chrono::hours(100));
    EXPECT_EQ(publication.position.epoch, joined.position.epoch);
    EXPECT_EQ(publication.position.offset, joined.position.offset + 1);
    EXPECT_TRUE(publication.members[0].has_offsets);
}

TEST(Hub, an_empty_group_goes_on_with_its_numbers_until_it_is_forgotten) {
    SeededEntropy entropy(1);
    Hub hub({.empty_group_age_max = std::chrono::minutes(5)}, entropy);
    const Position first = hub.publish("g", start).position;
    const Position second = hub.publish("g", start + std::chrono::minutes(4)).position;
    EXPECT_EQ(second.epoch, first.epoch);
    EXPECT_EQ(second.offset, 2u);
    (void)hub.publish("elsewhere", start + std::chrono::minutes(10));
    const Position anew = hub.publish("g", start + std::chrono::minutes(10)).position;
    EXPECT_NE(anew.epoch, first.epoch);
    EXPECT_EQ(anew.offset, 1u);
}

TEST(Hub, counts_groups_that_have_members) {
    SeededEntropy entropy(1);
    Hub hub({}, entropy);
    Memberships member;
    (void)hub.publish("empty", start);
    (void)hub.join(member, 0, "a", false, start);
    EXPECT_EQ(hub.group_count(), 1u);
    hub.leave_all(member, start);
    EXPECT_EQ(hub.group_count(), 0u);
}

}  // namespace
}  // namespace wspool::hub
