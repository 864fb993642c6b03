// Seating: what a worker counts about its seats (docs/decisions/0020): who holds them, who waits
// for one, and what became of those who asked. Plain words, part of Counters, so that it goes over
// the stats page with them.
//
// Pools are numbered: 0 is the shared one, the dedicated ones follow in the order of the
// configuration, which also has their names. Classes are numbered as pool::Priority is.
#pragma once

#include "base/time.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wspool::metrics {

inline constexpr std::size_t seat_pools_max = 8;
inline constexpr std::size_t class_count = 4;
inline constexpr std::array<std::string_view, class_count> class_names = {
    "critical", "high", "normal", "low"};

// What became of a request for a seat.
enum class AcquireResult : std::uint8_t {
    seated,     // at once
    waited,     // seated after waiting
    replaced,   // took the seat of the connection that it replaces
    timed_out,  // waited in vain
    cancelled,  // went while it waited
    refused,    // as many were waiting as may
    drained,    // sent away by a drain while it waited
    count_
};
[[nodiscard]] std::string_view name(AcquireResult result);

// What became of a ticket that somebody came back with.
enum class TicketUse : std::uint8_t {
    honoured,  // goes ahead of its class
    bad,       // none of ours, or of another class
    expired,
    spent,  // was used before
    lost,   // the worker that gave it out is gone
    count_
};
[[nodiscard]] std::string_view name(TicketUse use);

// Upper bounds of the buckets of waiting times; one more bucket has the rest.
inline constexpr std::array<Duration, 16> acquire_bounds = {
    std::chrono::milliseconds(1),
    std::chrono::microseconds(2'500),
    std::chrono::milliseconds(5),
    std::chrono::milliseconds(10),
    std::chrono::milliseconds(25),
    std::chrono::milliseconds(50),
    std::chrono::milliseconds(100),
    std::chrono::milliseconds(250),
    std::chrono::milliseconds(500),
    std::chrono::seconds(1),
    std::chrono::milliseconds(2500),
    std::chrono::seconds(5),
    std::chrono::seconds(10),
    std::chrono::seconds(15),
    std::chrono::seconds(30),
    std::chrono::seconds(60),
};

struct Seating {
    using PerClass = std::array<std::uint64_t, class_count>;

    std::uint64_t changes = 0;        // raised with each change of what follows
    std::uint64_t waiting_since = 0;  // of who waits longest, on the steady clock; 0: nobody waits
    std::array<PerClass, seat_pools_max> seats{};    // now
    std::array<PerClass, seat_pools_max> waiters{};  // now
    std::array<std::uint64_t, static_cast<std::size_t>(AcquireResult::count_)> acquired{};
    // Seated or timed out, by the time waited; not cumulative.
    std::array<std::uint64_t, acquire_bounds.size() + 1> acquire_buckets{};
    std::uint64_t acquire_time = 0;                   // ns, all together
    std::array<PerClass, class_count> preemptions{};  // [from][to]
    std::array<std::uint64_t, static_cast<std::size_t>(TicketUse::count_)> tickets{};

    void add(AcquireResult result) {
        ++changes;
        ++acquired[static_cast<std::size_t>(result)];
    }
    void add(TicketUse use) {
        ++changes;
        ++tickets[static_cast<std::size_t>(use)];
    }
    // Seated at once: no time to speak of.
    void add_seated() {
        add(AcquireResult::seated);
        ++acquire_buckets[0];
    }
    // Seated or timed out after waiting.
    void add_waited(AcquireResult result, Duration waited);
    [[nodiscard]] std::uint64_t seats_taken() const;
    [[nodiscard]] std::uint64_t waiters_now() const;
    [[nodiscard]] Duration oldest_wait(Instant now) const;
};

// Two places together.
[[nodiscard]] std::uint64_t earlier_wait(std::uint64_t a, std::uint64_t b);

}  // namespace wspool::metrics
