#include "master/supervisor.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace wspool::master {
namespace {

using metrics::DeathKind;
using metrics::ProcessState;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr int sigkill = 9;

// Does what a driver does: starts what is to be started, and remembers what was said.
class Bed {
  public:
    explicit Bed(std::size_t workers, bool has_control = false, Duration interval = {})
        : supervisor({workers, has_control, seconds(3), interval}, now) {
        run();
    }

    void run() {
        Action action;
        while (supervisor.next_action(action)) {
            seen.push_back(action);
            if (action.kind == ActionKind::start) start(action);
            if (action.kind == ActionKind::kill) killed.insert(action.place);
        }
        supervisor.check_invariants();
    }

    void make_ready() {
        for (std::size_t place = 0; place < supervisor.place_count(); ++place) {
            supervisor.on_ready(place, now);
        }
        run();
    }

    void die(std::size_t place, bool by_signal = true, int detail = sigkill) {
        living.erase(place);
        killed.erase(place);
        supervisor.on_ended(place, by_signal, detail, now);
        run();
    }

    void drained(std::size_t place) {
        supervisor.on_drained(place, now);
        run();
    }

    void order(Order order) {
        supervisor.on_order(order, now);
        run();
    }

    // Time passes in steps as long as the deadlines that are asked for; whoever is not in `silent`
    // shows signs of life.
    void pass(Duration duration, const std::set<std::size_t>& silent = {}) {
        const Instant end = now + duration;
        while (now < end) {
            now = std::min(end, std::max(now + milliseconds(1), supervisor.next_deadline()));
            look(silent);
        }
    }

    void look(const std::set<std::size_t>& silent = {}) {
        for (std::size_t place = 0; place < supervisor.place_count(); ++place) {
            if (!silent.contains(place)) beats[place] = now;
            supervisor.on_heartbeat(place, beats[place], now);
        }
        supervisor.on_time(now);
        run();
    }

    [[nodiscard]] std::size_t count(ActionKind kind) const {
        return static_cast<std::size_t>(std::count_if(
            seen.begin(), seen.end(), [&](const Action& action) { return action.kind == kind; }));
    }
    [[nodiscard]] const Action* last(ActionKind kind) const {
        const auto at = std::find_if(
            seen.rbegin(), seen.rend(), [&](const Action& action) { return action.kind == kind; });
        return at == seen.rend() ? nullptr : &*at;
    }

    Instant now{seconds(1000)};
    std::vector<Action> seen;
    std::set<std::size_t> living;
    std::set<std::size_t> killed;
    std::set<std::uint64_t> incarnations;
    std::map<std::size_t, Instant> beats;
    bool may_start = true;
    Supervisor supervisor;

  private:
    void start(const Action& action) {
        EXPECT_TRUE(incarnations.insert(action.incarnation).second) << "given twice";
        if (!may_start) return supervisor.on_start_failed(action.place, now);
        EXPECT_TRUE(living.insert(action.place).second) << "two processes in one place";
        supervisor.on_started(action.place, 1000 + action.incarnation, now);
    }
};

TEST(SupervisorTest, StartsEveryPlaceAndIsReadyWhenAllAre) {
    Bed bed(3, true);
    EXPECT_EQ(bed.living.size(), 4u);
    for (std::size_t place = 0; place < 3; ++place) bed.supervisor.on_ready(place, bed.now);
    bed.run();
    EXPECT_EQ(bed.count(ActionKind::ready), 0u);
    bed.supervisor.on_ready(3, bed.now);
    bed.run();
    EXPECT_EQ(bed.count(ActionKind::ready), 1u);
    EXPECT_TRUE(bed.supervisor.is_control(3));
}

TEST(SupervisorTest, ReplacesADeadOneAtOnceAsAFreshIncarnation) {
    Bed bed(2);
    bed.make_ready();
    bed.pass(seconds(5));
    const std::uint64_t before = bed.supervisor.life(1).incarnation;
    bed.die(1);
    EXPECT_TRUE(bed.living.contains(1));
    const metrics::Life& life = bed.supervisor.life(1);
    EXPECT_GT(life.incarnation, before);
    EXPECT_EQ(life.restarts, 1u);
    EXPECT_EQ(life.state, ProcessState::starting);
    EXPECT_EQ(life.death, DeathKind::signal);
    EXPECT_EQ(life.death_detail, 9u);
    EXPECT_EQ(life.died_at, bed.now);
    EXPECT_EQ(bed.supervisor.life(0).restarts, 0u);
    EXPECT_EQ(bed.last(ActionKind::died)->duration, seconds(5));
    bed.make_ready();
    EXPECT_EQ(bed.count(ActionKind::ready), 1u);
}

TEST(SupervisorTest, OldAgeIsNoCrashLoop) {
    Bed bed(1);
    bed.make_ready();
    for (int i = 0; i < 10; ++i) {
        bed.pass(milliseconds(1001));
        bed.die(0);
        bed.make_ready();
    }
    EXPECT_EQ(bed.count(ActionKind::crash_loop), 0u);
}

TEST(SupervisorTest, TheThirdYoungDeathPutsTheStartOffAndEachFurtherOneLonger) {
    Bed bed(2);
    bed.make_ready();
    for (int i = 0; i < 2; ++i) {
        bed.die(0);
        bed.make_ready();
    }
    EXPECT_EQ(bed.count(ActionKind::crash_loop), 0u);
    Duration before{};
    for (int i = 0; i < 6; ++i) {
        bed.die(0);
        EXPECT_FALSE(bed.living.contains(0));
        EXPECT_EQ(bed.supervisor.life(0).state, ProcessState::dead);
        EXPECT_EQ(bed.supervisor.life(0).crash_loops, static_cast<std::uint64_t>(i + 1));
        const Duration delay = bed.last(ActionKind::crash_loop)->duration;
        EXPECT_TRUE(delay > before || delay == seconds(5)) << delay.count();
        bed.pass(delay - milliseconds(1));
        EXPECT_FALSE(bed.living.contains(0));
        bed.pass(milliseconds(1));
        EXPECT_TRUE(bed.living.contains(0));
        bed.make_ready();
        before = delay;
    }
    EXPECT_EQ(before, seconds(5));
    // One that lived is forgiven.
    bed.pass(seconds(2));
    bed.die(0);
    EXPECT_TRUE(bed.living.contains(0));
}

TEST(SupervisorTest, AStartThatFailsIsADeathAndTriedAgainLater) {
    Bed bed(2);
    bed.make_ready();
    bed.pass(seconds(2));
    bed.may_start = false;
    bed.die(0);
    EXPECT_FALSE(bed.living.contains(0));
    EXPECT_EQ(bed.count(ActionKind::crash_loop), 1u);
    bed.may_start = true;
    bed.pass(seconds(1));
    EXPECT_TRUE(bed.living.contains(0));
}

TEST(SupervisorTest, KillsWhoShowsNoSignOfLifeAndReplacesIt) {
    Bed bed(2);
    bed.make_ready();
    bed.pass(seconds(10));
    bed.pass(milliseconds(2900), {1});
    EXPECT_TRUE(bed.killed.empty());
    bed.pass(milliseconds(700), {1});
    EXPECT_EQ(bed.killed, std::set<std::size_t>{1});
    bed.pass(seconds(3), {1});
    EXPECT_EQ(bed.count(ActionKind::kill), 1u);
    EXPECT_EQ(bed.living.size(), 2u);  // not replaced before it was waited for
    bed.die(1);
    EXPECT_EQ(bed.supervisor.life(1).death, DeathKind::stalled);
    EXPECT_EQ(bed.supervisor.life(1).restarts, 1u);
    bed.pass(milliseconds(2900), {1});
    EXPECT_TRUE(bed.killed.empty());
}

TEST(SupervisorTest, OneThatNeverBecomesReadyIsSilentToo) {
    Bed bed(1);
    bed.make_ready();
    bed.pass(seconds(2));
    bed.die(0);
    bed.pass(seconds(4), {0});
    EXPECT_TRUE(bed.killed.contains(0));
}

TEST(SupervisorTest, APauseOfTheMasterIsNobodysSilence) {
    Bed bed(1);
    bed.make_ready();
    bed.pass(seconds(2));
    bed.now += seconds(60);
    bed.look({0});
    EXPECT_TRUE(bed.killed.empty());
    bed.pass(milliseconds(3600), {0});
    EXPECT_TRUE(bed.killed.contains(0));
}

TEST(SupervisorTest, ChecksHealthEveryIntervalAndOnceAfterAPause) {
    Bed bed(1, false, milliseconds(100));
    bed.make_ready();
    bed.pass(milliseconds(1000));
    EXPECT_EQ(bed.count(ActionKind::check_health), 10u);
    bed.now += seconds(7);
    bed.look();
    EXPECT_EQ(bed.count(ActionKind::check_health), 11u);
}

TEST(SupervisorTest, DrainsWorkersAndStopsAllWhenTheLastIsDone) {
    Bed bed(2, true);
    bed.make_ready();
    bed.order(Order::end);
    EXPECT_TRUE(bed.supervisor.is_draining());
    EXPECT_EQ(bed.count(ActionKind::drain), 2u);
    EXPECT_EQ(bed.supervisor.life(0).state, ProcessState::draining);
    EXPECT_EQ(bed.supervisor.life(2).state, ProcessState::ready);
    bed.drained(0);
    EXPECT_EQ(bed.count(ActionKind::stop), 0u);
    bed.drained(1);
    EXPECT_EQ(bed.count(ActionKind::stop), 3u);
    EXPECT_EQ(bed.count(ActionKind::shut_down), 0u);
    for (std::size_t place = 0; place < 3; ++place) bed.die(place, false, 0);
    ASSERT_EQ(bed.seen.back().kind, ActionKind::finished);
    EXPECT_EQ(bed.seen.back().exit_status, 0);
    EXPECT_EQ(bed.count(ActionKind::died), 0u);
}

TEST(SupervisorTest, TellsThatItDrainsBeforeItTellsAnybodyTo) {
    Bed bed(2);
    bed.make_ready();
    bed.order(Order::end);
    const auto at = [&](ActionKind kind) {
        return std::find_if(bed.seen.begin(), bed.seen.end(), [&](const Action& action) {
            return action.kind == kind;
        });
    };
    EXPECT_LT(at(ActionKind::draining), at(ActionKind::drain));
}

TEST(SupervisorTest, ASecondSignalShutsDownAndAThirdChangesNothing) {
    Bed bed(2);
    bed.make_ready();
    bed.order(Order::end);
    bed.order(Order::end);
    EXPECT_EQ(bed.count(ActionKind::shut_down), 2u);
    bed.order(Order::end);
    EXPECT_EQ(bed.count(ActionKind::shut_down), 2u);
    bed.drained(0);
    bed.drained(1);
    bed.die(0, false, 0);
    bed.die(1, false, 0);
    EXPECT_EQ(bed.seen.back().kind, ActionKind::finished);
}

TEST(SupervisorTest, OneThatDiesDuringADrainIsReplacedByOneThatDrains) {
    Bed bed(2);
    bed.make_ready();
    bed.pass(seconds(2));
    bed.order(Order::end);
    bed.drained(0);
    bed.die(1);
    EXPECT_TRUE(bed.living.contains(1));
    EXPECT_EQ(bed.last(ActionKind::drain)->incarnation, bed.supervisor.life(1).incarnation);
    bed.supervisor.on_ready(1, bed.now);
    EXPECT_EQ(bed.supervisor.life(1).state, ProcessState::draining);
    bed.drained(1);
    EXPECT_EQ(bed.count(ActionKind::stop), 2u);
}

TEST(SupervisorTest, ACrashLoopDoesNotHoldUpADrain) {
    Bed bed(2);
    bed.make_ready();
    bed.order(Order::end);
    bed.drained(0);
    for (int i = 0; i < 3; ++i) bed.die(1);
    EXPECT_EQ(bed.last(ActionKind::stop)->place, 0u);
    bed.die(0, false, 0);
    EXPECT_EQ(bed.seen.back().kind, ActionKind::finished);
    EXPECT_EQ(bed.seen.back().exit_status, 0);
}

TEST(SupervisorTest, WhoDrainsOfItsOwnAccordIsStoppedAndReplaced) {
    Bed bed(2);
    bed.make_ready();
    bed.pass(seconds(2));
    bed.drained(1);
    ASSERT_NE(bed.last(ActionKind::stop), nullptr);
    EXPECT_EQ(bed.last(ActionKind::stop)->place, 1u);
    bed.die(1, false, 0);
    EXPECT_TRUE(bed.living.contains(1));
    EXPECT_FALSE(bed.supervisor.is_draining());
}

TEST(SupervisorTest, WhoDoesNotStopIsKilled) {
    Bed bed(1);
    bed.make_ready();
    bed.order(Order::end);
    bed.drained(0);
    bed.pass(seconds(9), {0});
    EXPECT_TRUE(bed.killed.empty());
    bed.pass(seconds(2), {0});
    EXPECT_TRUE(bed.killed.contains(0));
    bed.die(0);
    EXPECT_EQ(bed.seen.back().kind, ActionKind::finished);
}

TEST(SupervisorTest, ADeathBeforeAllWereReadyEndsTheStart) {
    Bed bed(2);
    bed.supervisor.on_ready(0, bed.now);
    bed.die(1, false, 1);
    EXPECT_EQ(bed.count(ActionKind::start_failed), 1u);
    EXPECT_EQ(bed.last(ActionKind::stop)->place, 0u);
    bed.die(0, false, 0);
    ASSERT_EQ(bed.seen.back().kind, ActionKind::finished);
    EXPECT_EQ(bed.seen.back().exit_status, 1);
}

TEST(SupervisorTest, ASignalDuringTheStartEndsItInOrder) {
    Bed bed(2);
    bed.supervisor.on_ready(0, bed.now);
    bed.order(Order::end);
    bed.supervisor.on_ready(1, bed.now);
    bed.drained(0);
    bed.drained(1);
    bed.die(0, false, 0);
    bed.die(1, false, 0);
    EXPECT_EQ(bed.count(ActionKind::ready), 0u);
    EXPECT_EQ(bed.seen.back().kind, ActionKind::finished);
    EXPECT_EQ(bed.seen.back().exit_status, 0);
}

TEST(SupervisorTest, WhatCannotBeDoneYetIsTold) {
    Bed bed(1);
    bed.make_ready();
    bed.order(Order::upgrade);
    EXPECT_EQ(bed.count(ActionKind::cannot_upgrade), 1u);
    EXPECT_FALSE(bed.supervisor.is_draining());
}

TEST(SupervisorTest, AReloadIsToldUntilAllAreStopped) {
    Bed bed(1);
    bed.order(Order::reload);
    bed.make_ready();
    bed.order(Order::reload);
    bed.order(Order::end);
    bed.order(Order::reload);
    EXPECT_EQ(bed.count(ActionKind::reload), 3u);
    bed.drained(0);
    bed.order(Order::reload);
    EXPECT_EQ(bed.count(ActionKind::reload), 3u);
}

TEST(SupervisorTest, NobodyIsLateForAStallThatWasNotYetAskedFor) {
    Bed bed(1);
    bed.make_ready();
    bed.pass(seconds(2), {0});
    bed.supervisor.set_health(milliseconds(500), Duration::zero(), bed.now);
    bed.pass(milliseconds(400), {0});
    EXPECT_TRUE(bed.killed.empty());
    bed.pass(milliseconds(400), {0});
    EXPECT_TRUE(bed.killed.contains(0));
}

TEST(SupervisorTest, AHealthIntervalCountsFromWhenItWasSet) {
    Bed bed(1);
    bed.make_ready();
    bed.pass(seconds(20));
    EXPECT_EQ(bed.count(ActionKind::check_health), 0u);
    bed.supervisor.set_health(seconds(3), seconds(5), bed.now);
    bed.pass(seconds(11));
    EXPECT_EQ(bed.count(ActionKind::check_health), 2u);
    bed.supervisor.set_health(seconds(3), Duration::zero(), bed.now);
    bed.pass(seconds(20));
    EXPECT_EQ(bed.count(ActionKind::check_health), 2u);
}

// Whatever happens in whatever order, then an order to end, and nothing more goes wrong: it ends.
RC_GTEST_PROP(SupervisorTest, AlwaysEndsWithNobodyLeft, ()) {
    const auto workers = *rc::gen::inRange<std::size_t>(1, 4);
    Bed bed(workers, *rc::gen::arbitrary<bool>(), milliseconds(250));
    const auto steps = *rc::gen::container<std::vector<std::pair<int, std::size_t>>>(
        rc::gen::pair(rc::gen::inRange(0, 9), rc::gen::inRange<std::size_t>(0, 5)));
    for (const auto& [what, which] : steps) {
        const std::size_t place = which % bed.supervisor.place_count();
        const bool is_living = bed.living.contains(place);
        switch (what) {
            case 0:
            case 1:
                if (is_living) bed.supervisor.on_ready(place, bed.now), bed.run();
                break;
            case 2:
                if (is_living) bed.die(place);
                break;
            case 3:
                if (is_living) bed.die(place, false, 1);
                break;
            case 4:
                bed.pass(milliseconds(700));
                break;
            case 5:
                bed.pass(seconds(4), {place});
                break;
            case 6:
                if (is_living) bed.drained(place);
                break;
            case 7:
                bed.may_start = !bed.may_start;
                break;
            default:
                bed.make_ready();
                break;
        }
        for (std::size_t each = 0; each < bed.supervisor.place_count(); ++each) {
            RC_ASSERT(bed.supervisor.is_living(each) == bed.living.contains(each));
        }
    }
    bed.may_start = true;
    bed.order(Order::end);
    for (int i = 0; i < 100 && bed.count(ActionKind::finished) == 0; ++i) {
        for (std::size_t place = 0; place < bed.supervisor.place_count(); ++place) {
            if (!bed.living.contains(place)) continue;
            const Action* stop = bed.last(ActionKind::stop);
            if (stop != nullptr || bed.killed.contains(place)) {
                bed.die(place, false, 0);
            } else {
                bed.supervisor.on_ready(place, bed.now);
                bed.drained(place);
            }
        }
        bed.pass(milliseconds(500));
    }
    RC_ASSERT(bed.count(ActionKind::finished) == 1u);
    RC_ASSERT(bed.seen.back().kind == ActionKind::finished);
    RC_ASSERT(bed.living.empty());
    bed.pass(seconds(20));
    RC_ASSERT(bed.seen.back().kind == ActionKind::finished);
}

}  // namespace
}  // namespace wspool::master
