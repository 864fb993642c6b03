// What happened to the seats of a worker, in order, for whoever wants to check it or read it in the
// log: what was asked, and what came of it. Only where SeatOptions::is_traced.
#pragma once

#include "base/time.h"
#include "pool/priority.h"

#include <cstdint>
#include <string_view>

namespace wspool::worker {

struct SeatEvent {
    enum class Kind : std::uint8_t {
        asked,   // other: 1 when it goes ahead of its class
        seated,  // at once
        queued,  // other: its place
        refused,
        admitted,  // after waiting
        timed_out,
        cancelled,  // went while it waited
        drained,    // sent away by a drain
        replaced,   // has the seat of `other`, another client, in its own class
        preempted,  // was told to go; other: the class that its seat is for
        revoked,    // the grace is over
        released,
    };
    Kind kind{};
    Instant at{};
    std::uint64_t client = 0;  // never the same again in this worker
    pool::Priority priority{};
    std::uint8_t pool = 0;
    std::uint64_t other = 0;
};

[[nodiscard]] std::string_view name(SeatEvent::Kind kind);

}  // namespace wspool::worker
