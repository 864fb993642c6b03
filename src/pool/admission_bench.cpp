// What a seat costs: taking and releasing one while nobody waits, and handing one over while many
// do.
#include "pool/admission.h"

#include <benchmark/benchmark.h>

#include <deque>

namespace wspool::pool {
namespace {

constexpr Instant start{};

void seat_and_release(benchmark::State& state, const AdmissionOptions& options) {
    Admission admission(options, start, 1);
    Instant now = start;
    while (state.KeepRunning()) {
        now += Duration(100);
        const Verdict verdict = admission.request({.priority = Priority::normal}, now);
        admission.release(verdict.seat, now);
    }
}
BENCHMARK_CAPTURE(seat_and_release, without_shares, AdmissionOptions{});
BENCHMARK_CAPTURE(seat_and_release, with_shares, AdmissionOptions{.shares = default_shares});

// All seats taken, so many waiters in each class; each seat released goes to one of them, and
// another comes to wait.
void hand_over(benchmark::State& state) {
    AdmissionOptions options{.seats_max = 1000};
    if (state.range(1) != 0) options.shares = default_shares;
    options.waiters_max.fill(UINT32_MAX);
    Admission admission(options, start, 1);
    Instant now = start;
    std::deque<SeatId> seats;
    AdmissionAction action;
    for (std::uint32_t i = 0; i < options.seats_max; ++i)
        seats.push_back(admission.request({}, now).seat);
    std::uint64_t tag = 0;
    const auto wait = [&](Priority priority) {
        (void)admission.request(
            {.priority = priority, .deadline = now + std::chrono::hours(1), .tag = ++tag}, now);
    };
    for (std::int64_t i = 0; i < state.range(0); ++i) {
        for (const Priority priority : all_priorities) wait(priority);
    }
    while (state.KeepRunning()) {
        now += Duration(100);
        admission.release(seats.front(), now);
        seats.pop_front();
        while (admission.next_action(action)) {
            if (action.kind != AdmissionAction::Kind::seated) continue;
            seats.push_back(action.seat);
            wait(action.priority);
        }
    }
}
BENCHMARK(hand_over)->ArgNames({"waiters", "shares"})->Args({250, 0})->Args({250, 1});
BENCHMARK(hand_over)->Args({25'000, 0})->Args({25'000, 1});

}  // namespace
}  // namespace wspool::pool
