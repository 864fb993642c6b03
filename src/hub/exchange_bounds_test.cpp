// set_bounds(): what is kept follows new bounds at once, and no invariant minds.
#include "hub/exchange_test_bed.h"

#include <rapidcheck/gtest.h>

namespace wspool::hub {
namespace {

ExchangeOptions keeping(std::uint32_t messages) {
    ExchangeOptions options;
    options.history[0].messages = messages;
    return options;
}

void set(Bed& bed, std::size_t node, const ExchangeOptions& options) {
    bed.nodes[node].exchange->set_bounds(options, bed.now);
    bed.nodes[node].exchange->check_invariants();
}

std::size_t kept(const Bed& bed, std::size_t node) {
    return bed.nodes[node].exchange->figures().history_messages;
}

TEST(ExchangeBounds, AHistoryIsCutAtOnceAndGrowsAgain) {
    Bed bed(1, keeping(10));
    bed.client(0, 1);
    for (int i = 0; i < 10; ++i) (void)bed.publish(0, 1, "g", "a");
    EXPECT_EQ(kept(bed, 0), 10u);
    set(bed, 0, keeping(3));
    EXPECT_EQ(kept(bed, 0), 3u);
    set(bed, 0, keeping(0));
    EXPECT_EQ(kept(bed, 0), 0u);
    (void)bed.publish(0, 1, "g", "a");
    EXPECT_EQ(kept(bed, 0), 0u);
    set(bed, 0, keeping(5));
    for (int i = 0; i < 10; ++i) (void)bed.publish(0, 1, "g", "a");
    EXPECT_EQ(kept(bed, 0), 5u);
    bed.pump();
}

TEST(ExchangeBounds, AShorterAgeAndASmallerTotalHoldAtOnce) {
    Bed bed(1);
    bed.client(0, 1);
    (void)bed.publish(0, 1, "g", "old");
    bed.now += std::chrono::seconds(10);
    (void)bed.publish(0, 1, "g", "new");
    ExchangeOptions options;
    options.history[0].age = std::chrono::seconds(5);
    set(bed, 0, options);
    EXPECT_EQ(kept(bed, 0), 1u);
    options.history_bytes_max = 0;
    set(bed, 0, options);
    EXPECT_EQ(kept(bed, 0), 0u);
}

TEST(ExchangeBounds, GroupsOfAMemberAreBoundedAnew) {
    Bed bed(1);
    bed.client(0, 1);
    (void)bed.join(0, 1, "a");
    ExchangeOptions options;
    options.groups_per_member_max = 1;
    set(bed, 0, options);
    EXPECT_EQ(bed.join(0, 1, "b").refusal, wire::Refusal::too_many_groups);
    options.groups_per_member_max = 2;
    set(bed, 0, options);
    EXPECT_NE(bed.join(0, 1, "b").refusal, wire::Refusal::too_many_groups);
}

TEST(ExchangeBounds, AWindowGrowsForALargerMessageAndNeverShrinksUnderWhatIsInIt) {
    ExchangeOptions options;
    options.window_bytes = 1000;
    Bed bed(2, options);
    const std::string group = bed.homed_at(0);
    bed.client(1, 1);
    const std::string large(2000, 'x');
    EXPECT_EQ(bed.publish(1, 1, group, large), PublishAnswer::Outcome::refused);
    options.window_bytes = 5000;
    set(bed, 1, options);
    EXPECT_NE(bed.publish(1, 1, group, large), PublishAnswer::Outcome::refused);
    options.window_bytes = 1000;
    set(bed, 1, options);
    bed.pump();
}

// Whatever bounds come when, among publishes that are not yet stable: the invariants hold, and at
// rest no more is kept than the last bounds allow.
RC_GTEST_PROP(ExchangeBounds, HoldWhereverTheyComeInBetween, ()) {
    Bed bed(2, keeping(3));
    const std::string groups[] = {bed.homed_at(0, "a"), bed.homed_at(1, "b")};
    bed.client(0, 1);
    bed.client(1, 1);
    ExchangeOptions options = keeping(3);
    const auto steps = *rc::gen::inRange(1, 60);
    for (int step = 0; step < steps; ++step) {
        const auto node = *rc::gen::inRange<std::size_t>(0, 2);
        switch (*rc::gen::inRange(0, 4)) {
            case 0:
                options.history[0].messages = *rc::gen::inRange<std::uint32_t>(0, 6);
                options.history[0].age = std::chrono::seconds(*rc::gen::inRange(1, 20));
                options.history_bytes_max = *rc::gen::inRange<std::size_t>(0, 1000);
                set(bed, 0, options);
                set(bed, 1, options);
                break;
            case 1:
                (void)bed.publish(node, 1, groups[*rc::gen::inRange(0, 2)], "payload");
                break;
            case 2:
                bed.turn(node);
                (void)bed.read(node, 1 - node);
                break;
            default:
                bed.pass(std::chrono::seconds(*rc::gen::inRange(0, 6)));
        }
        bed.nodes[0].exchange->check_invariants();
        bed.nodes[1].exchange->check_invariants();
    }
    bed.pump();
    set(bed, 0, options);
    RC_ASSERT(kept(bed, 0) <= options.history[0].messages);
}

}  // namespace
}  // namespace wspool::hub
