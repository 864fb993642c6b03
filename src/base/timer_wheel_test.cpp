#include "base/timer_wheel.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <map>
#include <set>
#include <vector>

namespace wspool {
namespace {

struct NodeOf {
    std::vector<TimerNode>* nodes;
    TimerNode& operator()(std::uint32_t index) const { return (*nodes)[index]; }
};

// Against a map of deadlines; starts just before the tick counter wraps.
RC_GTEST_PROP(TimerWheel, expires_exactly_what_is_due, ()) {
    std::vector<TimerNode> nodes(50);
    std::uint32_t now = UINT32_MAX - 500;
    TimerWheel<NodeOf> wheel(NodeOf{&nodes}, now);
    std::map<std::uint32_t, std::int64_t> model;  // index → ticks left
    const auto steps = *rc::gen::inRange(1, 200);
    for (int step = 0; step < steps; ++step) {
        const auto index = *rc::gen::inRange<std::uint32_t>(0, 50);
        switch (*rc::gen::inRange(0, 3)) {
            case 0: {
                const auto ahead = *rc::gen::inRange<std::uint32_t>(1, 5000);
                wheel.schedule(index, now + ahead);
                model[index] = ahead;
                break;
            }
            case 1:
                wheel.cancel(index);
                model.erase(index);
                break;
            default: {
                const auto passed = *rc::gen::inRange<std::uint32_t>(1, 3000);
                std::set<std::uint32_t> due;
                for (auto& [i, left] : model) {
                    left -= passed;
                    if (left <= 0) due.insert(i);
                }
                for (std::uint32_t i : due) model.erase(i);
                now += passed;
                std::set<std::uint32_t> fired;
                wheel.advance(now, [&](std::uint32_t i) { fired.insert(i); });
                RC_ASSERT(fired == due);
            }
        }
        RC_ASSERT(wheel.size() == model.size());
        if (model.empty()) {
            RC_ASSERT(wheel.ticks_to_next() == UINT32_MAX);
        } else {
            // Never later than the first deadline: waiting that long misses nothing.
            for (const auto& [i, left] : model) RC_ASSERT(wheel.ticks_to_next() <= left);
        }
    }
}

TEST(TimerWheel, may_reschedule_while_expiring) {
    std::vector<TimerNode> nodes(2);
    TimerWheel<NodeOf> wheel(NodeOf{&nodes}, 0);
    wheel.schedule(0, 5);
    wheel.schedule(1, 5);
    int fired = 0;
    wheel.advance(5, [&](std::uint32_t index) {
        ++fired;
        wheel.schedule(index, 6);
    });
    EXPECT_EQ(fired, 2);
    EXPECT_EQ(wheel.size(), 2u);
    wheel.advance(6, [&](std::uint32_t) { ++fired; });
    EXPECT_EQ(fired, 4);
}

}  // namespace
}  // namespace wspool
