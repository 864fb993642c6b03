// try_seat(): two Admissions with one seed are told the same, except that one of them is asked by
// try_seat() and the other by request(), or not at all where try_seat() must have done nothing. So
// whatever a try leaves behind shows as a difference, at once or later.
#include "pool/admission.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <tuple>
#include <utility>
#include <vector>

namespace wspool::pool {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Evenly over the whole range from the first run on: RapidCheck's own begins with the smallest.
template <class T>
T pick(T from, T to) {
    return *rc::gen::resize(rc::kNominalSize, rc::gen::inRange<T>(from, to));
}

AdmissionOptions random_options() {
    AdmissionOptions options;
    options.seats_max = pick<std::uint32_t>(0, 8);
    if (pick(0, 3) != 0) options.shares = PerPriority<std::uint32_t>{1, 2, 4, 3};
    options.lendable[index_of(Priority::low)] = pick(0, 5) / 4.0;
    for (auto& bound : options.waiters_max) bound = pick<std::uint32_t>(0, 4);
    options.preemption.min_hold = seconds(pick(0, 3));
    return options;
}

void expect_same(const AdmissionFigures& a, const AdmissionFigures& b) {
    const auto present = [](const AdmissionFigures& f) {
        return std::tie(f.seats_max,
                        f.seats_used,
                        f.seats_peak,
                        f.seats_leaving,
                        f.seats,
                        f.used,
                        f.nominations,
                        f.waiting,
                        f.oldest_wait);
    };
    const auto totals = [](const AdmissionFigures& f) {
        return std::tie(f.seated_direct,
                        f.seated_waited,
                        f.timeouts,
                        f.cancelled,
                        f.refused,
                        f.closed,
                        f.preemptions);
    };
    RC_ASSERT(present(a) == present(b));
    RC_ASSERT(totals(a) == totals(b));
}

struct Twins {
    Twins(const AdmissionOptions& options, std::uint64_t seed)
        : trying(options, Instant{}, seed), asking(options, Instant{}, seed) {}

    [[nodiscard]] bool has_waiters() const {
        std::uint32_t waiting = 0;
        for (const std::uint32_t of_class : asking.figures(now).waiting) waiting += of_class;
        return waiting != 0;
    }

    Request next_request() {
        const Priority priority = all_priorities[pick<std::size_t>(0, priority_count)];
        return {.priority = priority, .deadline = now + milliseconds(pick(0, 9000)), .tag = ++tags};
    }

    void ask_both() {
        const Request request = next_request();
        const Verdict a = trying.request(request, now);
        const Verdict b = asking.request(request, now);
        RC_ASSERT(a.kind == b.kind);
        RC_ASSERT(a.seat == b.seat);
        RC_ASSERT(a.waiter == b.waiter);
        if (a.kind == Verdict::Kind::seated) seats.push_back(a.seat);
    }

    void try_one() {
        const Request request = next_request();
        const bool had_waiters = has_waiters();
        const SeatId seat = trying.try_seat(request.priority, request.tag, now);
        if (seat == SeatId{}) {
            expect_same(trying.figures(now), asking.figures(now));
            if (had_waiters) return;
            // Nobody waited and it was not seated: then request() does not seat it, either.
            RC_ASSERT(trying.request(request, now).kind != Verdict::Kind::seated);
            RC_ASSERT(asking.request(request, now).kind != Verdict::Kind::seated);
            return;
        }
        RC_ASSERT(!had_waiters);
        const Verdict verdict = asking.request(request, now);
        RC_ASSERT(verdict.kind == Verdict::Kind::seated);
        RC_ASSERT(verdict.seat == seat);
        seats.push_back(seat);
    }

    void release_one() {
        if (seats.empty()) return;
        std::swap(seats[pick<std::size_t>(0, seats.size())], seats.back());
        trying.release(seats.back(), now);
        asking.release(seats.back(), now);
        seats.pop_back();
    }

    void pass() {
        now += milliseconds(pick(0, 3000));
        trying.on_deadline(now);
        asking.on_deadline(now);
    }

    void pull() {
        AdmissionAction a;
        AdmissionAction b;
        while (trying.next_action(a)) {
            RC_ASSERT(asking.next_action(b));
            RC_ASSERT(std::tie(a.kind, a.tag, a.seat, a.reconnect_delay) ==
                      std::tie(b.kind, b.tag, b.seat, b.reconnect_delay));
            if (a.kind == AdmissionAction::Kind::seated) seats.push_back(a.seat);
        }
        RC_ASSERT(!asking.next_action(b));
    }

    void compare() const {
        trying.check_invariants();
        asking.check_invariants();
        expect_same(trying.figures(now), asking.figures(now));
        RC_ASSERT(trying.next_deadline() == asking.next_deadline());
    }

    Admission trying;
    Admission asking;
    Instant now{};
    std::vector<SeatId> seats;  // some of them stale: a revoked seat is released twice
    std::uint64_t tags = 0;
};

RC_GTEST_PROP(AdmissionTrySeat,
              IsARequestWhereNobodyWaitsAndElseDoesNothing,
              (std::uint64_t seed)) {
    Twins twins(random_options(), seed);
    const auto steps = pick(1, 400);
    for (int step = 0; step < steps; ++step) {
        const auto command = pick(0, 20);
        if (command < 6) twins.try_one();
        if (command >= 6 && command < 9) twins.ask_both();
        if (command >= 9 && command < 14) twins.release_one();
        if (command >= 14 && command < 17) twins.pass();
        if (command >= 17) twins.pull();
        if (step == 350) {
            twins.trying.close(twins.now);
            twins.asking.close(twins.now);
        }
        twins.compare();
    }
}

TEST(AdmissionTrySeat, GivesAStaleIdWhereSomebodyWaitsThoughASeatIsFree) {
    // Low may borrow nothing here, so it waits beside seats that are held back for the others.
    Admission admission({.seats_max = 2,
                         .shares = PerPriority<std::uint32_t>{1, 0, 0, 1},
                         .lendable = {0, 0, 0, 0}},
                        Instant{},
                        1);
    ASSERT_NE(admission.try_seat(Priority::low, 1, Instant{}), SeatId{});
    const Verdict waits = admission.request({.priority = Priority::low, .tag = 2}, Instant{});
    ASSERT_EQ(waits.kind, Verdict::Kind::queued);
    EXPECT_EQ(admission.try_seat(Priority::critical, 3, Instant{}), SeatId{});
    EXPECT_EQ(admission.figures(Instant{}).seats_used, 1u);
    EXPECT_EQ(admission.request({.priority = Priority::critical, .tag = 3}, Instant{}).kind,
              Verdict::Kind::seated);
}

TEST(AdmissionTrySeat, GivesAStaleIdWhereNoSeatIsFreeOrAllIsClosed) {
    Admission admission({.seats_max = 1}, Instant{}, 1);
    const SeatId seat = admission.try_seat(Priority::normal, 1, Instant{});
    ASSERT_NE(seat, SeatId{});
    EXPECT_EQ(admission.try_seat(Priority::normal, 2, Instant{}), SeatId{});
    admission.release(seat, Instant{});
    admission.close(Instant{});
    EXPECT_EQ(admission.try_seat(Priority::normal, 3, Instant{}), SeatId{});
    EXPECT_EQ(admission.figures(Instant{}).seats_used, 0u);
}

}  // namespace
}  // namespace wspool::pool
