// choose_place(): whether a connection is better served by another worker, and by which (R44).
// Pure. For the worker that has accepted it, which then offers it to that one; the receiver
// decides.
//
// A worker passes a connection on when another can seat it and this one cannot, or can only by
// taking a seat back; or when it holds more than `place_margin` above the least loaded one. The
// margin is what keeps quiet: SO_REUSEPORT spreads connections like chance does, so that a worker
// with m of them is off by √m, and the margin is never below 4 √m (64 + m/16 ≥ 2 √(64 m/16), equal
// at m = 1,024). For many connections it is a sixteenth of them, so that workers stay within 10 %
// of even whatever the kernel does.
//
// A connection is passed on once. That, and a margin in one direction, leaves nothing to swing: the
// target stays below who passed on to it.
#pragma once

#include "pool/admission.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace wspool::worker {

// One worker, as the one that chooses sees it. What was offered to it may be among its connections
// already: so the sum is what it has at most, and is compared; but it has a seat until its own
// figures say no.
struct Place {
    std::uint64_t incarnation = 0;  // of its process
    bool may_take = false;          // serves, and is linked with room for an offer
    std::uint64_t connections = 0;  // its figure, of its last turn
    std::uint64_t offered = 0;
    pool::Outlook outlook{};  // there, for the connection that is to be placed
    [[nodiscard]] std::uint64_t load() const { return connections + offered; }
};

// What a connection wants, for placement.
struct SeatWish {
    std::uint8_t pool = 0;
    pool::Priority priority = pool::Priority::normal;
};

[[nodiscard]] constexpr std::uint64_t place_margin(std::uint64_t least) {
    return 64 + least / 16;
}

// The index of the worker to pass on to; nothing: stay. `places[own]` is the one that asks.
[[nodiscard]] std::optional<std::size_t> choose_place(std::span<const Place> places,
                                                      std::size_t own);

}  // namespace wspool::worker
