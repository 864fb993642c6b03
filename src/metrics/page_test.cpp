#include "metrics/page.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>
#include <rapidcheck/gtest.h>

#include <array>
#include <bit>
#include <memory>
#include <new>

namespace wspool::metrics {
namespace {

using std::chrono::seconds;

constexpr Instant start{seconds(100)};

// Zero-filled memory as the kernel gives it.
class Memory {
  public:
    explicit Memory(std::size_t size) : size_((size + 63) / 64 * 64) {
        bytes_.reset(new (std::align_val_t(64)) std::byte[size_]());
    }
    [[nodiscard]] MutableBytes bytes() { return {bytes_.get(), size_}; }

  private:
    struct Free {
        void operator()(std::byte* bytes) const {
            ::operator delete[](bytes, std::align_val_t(64));
        }
    };
    std::size_t size_;
    std::unique_ptr<std::byte[], Free> bytes_;
};

struct Bed {
    explicit Bed(std::size_t workers)
        : memory(Page::size_for(workers)), page(memory.bytes(), workers) {}
    Memory memory;
    Page page;
};

Counters busy_counters() {
    Counters counters;
    counters.connections = 5;
    counters.connections_peak = 7;
    counters.connections_opened = 9;
    counters.add(CloseReason::by_peer);
    counters.add(CloseReason::by_peer);
    counters.add(CloseReason::too_big);
    counters.add(CloseReason::shutdown);
    counters.messages_received = 40;
    counters.accepted = 30;
    counters.delivered = 20;
    counters.queued = 8;
    counters.add(DropReason::closed, 2);
    counters.outbox_bytes = 1234;
    counters.groups = 3;
    return counters;
}

std::uint64_t closed(const Counters& counters) {
    std::uint64_t total = 0;
    for (const std::uint64_t n : counters.connections_closed) total += n;
    return total;
}

bool balances(const Counters& counters) {
    return counters.is_conserved() &&
           counters.connections_opened == closed(counters) + counters.connections;
}

std::uint64_t count_of(const Counters& counters, CloseReason reason) {
    return counters.connections_closed[static_cast<std::size_t>(reason)];
}

std::uint64_t count_of(const Counters& counters, DropReason reason) {
    return counters.dropped[static_cast<std::size_t>(reason)];
}

TEST(PageTest, ANewPageCountsNothing) {
    Bed bed(3);
    EXPECT_EQ(bed.page.worker_count(), 3u);
    for (std::size_t place = 0; place < 5; ++place) {
        const BlockSnapshot snapshot = bed.page.snapshot(place);
        EXPECT_EQ(snapshot.life, Life{});
        EXPECT_EQ(list(snapshot.counters, false), list(Counters{}, false));
        EXPECT_EQ(snapshot.heartbeat, Instant{});
    }
}

TEST(PageTest, WhatIsPublishedIsReadInItsPlaceAlone) {
    Bed bed(2);
    bed.page.publish(1, busy_counters(), start);
    EXPECT_EQ(list(bed.page.snapshot(1).counters, false), list(busy_counters(), false));
    EXPECT_EQ(bed.page.heartbeat(1), start);
    EXPECT_EQ(bed.page.snapshot(0).counters.accepted, 0u);
    EXPECT_EQ(bed.page.heartbeat(0), Instant{});
}

TEST(PageTest, ALifeIsReadAsItWasWritten) {
    Bed bed(1);
    Life life;
    life.state = ProcessState::draining;
    life.incarnation = 77;
    life.pid = 4242;
    life.restarts = 3;
    life.crash_loops = 1;
    life.started_at = start;
    life.died_at = start - seconds(1);
    life.death = DeathKind::signal;
    life.death_detail = 9;
    bed.page.set_life(bed.page.control_place(), life);
    EXPECT_EQ(bed.page.life(bed.page.control_place()), life);
    EXPECT_EQ(bed.page.life(bed.page.master_place()), Life{});
}

TEST(PageTest, CountersSurviveADeathAndGaugesDoNot) {
    Bed bed(1);
    bed.page.publish(0, busy_counters(), start);
    bed.page.bury(0);
    const Counters left = bed.page.snapshot(0).counters;
    EXPECT_EQ(left.connections_opened, 9u);
    EXPECT_EQ(left.messages_received, 40u);
    EXPECT_EQ(left.connections_peak, 7u);
    EXPECT_EQ(left.connections, 0u);
    EXPECT_EQ(left.queued, 0u);
    EXPECT_EQ(left.outbox_bytes, 0u);
    EXPECT_EQ(left.groups, 0u);
    bed.page.publish(0, busy_counters(), start + seconds(1));
    const Counters both = bed.page.snapshot(0).counters;
    EXPECT_EQ(both.connections_opened, 18u);
    EXPECT_EQ(both.connections, 5u);
    EXPECT_EQ(both.connections_peak, 7u);
}

TEST(PageTest, NoGaugeButAPeakOutlivesItsProcess) {
    Bed bed(1);
    std::array<std::uint64_t, sizeof(Counters) / sizeof(std::uint64_t)> words;
    words.fill(3);
    bed.page.publish(0, std::bit_cast<Counters>(words), start);
    bed.page.bury(0);
    const Counters left = bed.page.snapshot(0).counters;
    for (const Family& family : families(left)) {
        const bool stays = !family.is_gauge || family.name.find("_peak") != std::string_view::npos;
        for (const Family::Sample& sample : family.samples) {
            EXPECT_EQ(sample.value != 0, stays) << family.name;
        }
    }
}

TEST(PageTest, WhatADeadProcessOwedIsLostUnderItsName) {
    Bed bed(1);
    ASSERT_TRUE(balances(busy_counters()));
    bed.page.publish(0, busy_counters(), start);
    bed.page.bury(0);
    const Counters left = bed.page.snapshot(0).counters;
    EXPECT_TRUE(balances(left));
    EXPECT_EQ(count_of(left, DropReason::worker_lost), 8u);
    EXPECT_EQ(count_of(left, CloseReason::worker_lost), 5u);
}

TEST(PageTest, SeatingIsWrittenWhenItChangedAlsoByAReplacementThatCountsAnew) {
    Bed bed(1);
    Counters counters;
    for (std::uint64_t turn = 0; turn < 3; ++turn) {
        counters.seating.add(AcquireResult::refused);
        bed.page.publish(0, counters, start);
        ++counters.messages_received;
        bed.page.publish(0, counters, start);
        EXPECT_EQ(bed.page.snapshot(0).counters.seating.acquired, counters.seating.acquired);
    }
    bed.page.bury(0);
    Counters fresh;
    for (std::uint64_t turn = 0; turn < 5; ++turn) {
        fresh.seating.add(AcquireResult::seated);
        bed.page.publish(0, fresh, start);
        const auto acquired = bed.page.snapshot(0).counters.seating.acquired;
        EXPECT_EQ(acquired[static_cast<std::size_t>(AcquireResult::seated)], turn + 1);
        EXPECT_EQ(acquired[static_cast<std::size_t>(AcquireResult::refused)], 3u);
    }
}

TEST(PageTest, SeatsAndWaitersEndWithTheirProcessAndTheLongestWaitIsOfAll) {
    Bed bed(2);
    Counters counters;
    counters.seating.seats[0][2] = 7;
    counters.seating.waiters[0][3] = 2;
    counters.seating.waiting_since = 50;
    counters.seating.changes = 1;
    bed.page.publish(0, counters, start);
    counters.seating.waiting_since = 40;
    bed.page.publish(1, counters, start);
    EXPECT_EQ(bed.page.sum_of_workers().seating.waiting_since, 40u);
    EXPECT_EQ(bed.page.sum_of_workers().seating.seats_taken(), 14u);
    bed.page.bury(1);
    EXPECT_EQ(bed.page.sum_of_workers().seating.waiting_since, 50u);
    EXPECT_EQ(bed.page.sum_of_workers().seating.seats_taken(), 7u);
    EXPECT_EQ(bed.page.sum_of_workers().seating.waiters_now(), 2u);
}

TEST(PageTest, AnOrderlyEndChangesNothing) {
    Bed bed(1);
    Counters counters = busy_counters();
    counters.connections = counters.queued = counters.outbox_bytes = counters.groups = 0;
    bed.page.publish(0, counters, start);
    bed.page.bury(0);
    EXPECT_EQ(list(bed.page.snapshot(0).counters, false), list(counters, false));
}

TEST(PageTest, TheSumIsOfTheWorkersAlone) {
    Bed bed(2);
    for (std::size_t place = 0; place < 4; ++place) {
        bed.page.publish(place, busy_counters(), start);
    }
    EXPECT_EQ(bed.page.sum_of_workers().accepted, 60u);
    EXPECT_EQ(bed.page.sum_of_workers().connections, 10u);
}

TEST(PageTest, EveryStateAndDeathHasANameOfItsOwn) {
    EXPECT_EQ(name(ProcessState::absent), "absent");
    EXPECT_EQ(name(ProcessState::starting), "starting");
    EXPECT_EQ(name(ProcessState::ready), "ready");
    EXPECT_EQ(name(ProcessState::draining), "draining");
    EXPECT_EQ(name(ProcessState::dead), "dead");
    EXPECT_EQ(name(DeathKind::none), "none");
    EXPECT_EQ(name(DeathKind::exited), "exited");
    EXPECT_EQ(name(DeathKind::signal), "signal");
    EXPECT_EQ(name(DeathKind::stalled), "stalled");
}

// One process' life as a sequence of messages and connections that come and go, and of deaths.
RC_GTEST_PROP(PageTest, TheBooksBalanceWhateverDies, ()) {
    Bed bed(2);
    std::array<Counters, 2> now;
    std::uint64_t opened = 0, accepted = 0;
    const auto steps = *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 12));
    for (const int step : steps) {
        const auto place = static_cast<std::size_t>(step % 2);
        Counters& counters = now[place];
        switch (step / 2) {
            case 0:
                ++counters.connections, ++counters.connections_opened, ++opened;
                break;
            case 1:
                if (counters.connections > 0) {
                    --counters.connections;
                    counters.add(CloseReason::by_peer);
                }
                break;
            case 2:
                ++counters.accepted, ++counters.queued, ++accepted;
                break;
            case 3:
                if (counters.queued > 0) --counters.queued, ++counters.delivered;
                break;
            case 4:
                if (counters.queued > 0) {
                    --counters.queued;
                    counters.add(DropReason::slow_consumer, 1);
                }
                break;
            default:
                bed.page.bury(place);
                counters = Counters{};
                break;
        }
        bed.page.publish(place, counters, start);
        const Counters all = bed.page.sum_of_workers();
        RC_ASSERT(balances(all));
        RC_ASSERT(all.connections_opened == opened);
        RC_ASSERT(all.accepted == accepted);
        RC_ASSERT(all.connections == now[0].connections + now[1].connections);
        RC_ASSERT(all.queued == now[0].queued + now[1].queued);
    }
}

}  // namespace
}  // namespace wspool::metrics
