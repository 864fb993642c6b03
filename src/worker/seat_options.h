// Who may have the worker's seats: the shared pool, and dedicated ones beside it.
#pragma once

#include "base/time.h"
#include "metrics/seating.h"
#include "pool/admission.h"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::worker {

// Seats set apart for those who match all that is given here; nothing given matches nobody. Of
// several that match, the first has the client; who matches none belongs to the shared pool.
struct SeatPoolOptions {
    std::string name;
    std::string path;                      // a path, for all at it and below it
    pool::PerPriority<bool> priorities{};  // all false: any
    std::string claim;                     // what the client's token says of its pool
    std::string rate_class;                // of those whose token names none; empty: the first
    std::uint64_t message_size_max = 0;    // 0: that of all
    pool::AdmissionOptions admission;      // with the pool's capacity as seats_max
};

enum class RefuseWay : std::uint8_t {
    http,   // 503 instead of the upgrade
    close,  // upgraded, and closed at once with 1013
};

struct SeatOptions {
    // Of the shared pool; its seats_max is what the dedicated ones leave.
    pool::AdmissionOptions shared;
    std::vector<SeatPoolOptions> dedicated;  // at most metrics::seat_pools_max - 1
    RefuseWay refuse = RefuseWay::http;
    Duration ticket_time = std::chrono::seconds(60);  // how long a preempted client may stay away
    std::uint32_t tickets_max = 65'536;  // outstanding; at the bound the oldest is forgotten
    bool is_traced = false;              // Worker::take_seat_events() tells what happened
};

inline constexpr std::string_view shared_pool_name = "default";

// The number of the pool (0: the shared one) for who comes to `path` with this.
[[nodiscard]] std::size_t choose_pool(const SeatOptions& options,
                                      std::string_view path,
                                      pool::Priority priority,
                                      std::string_view claim);

// What is wrong when `seats` seats are to be divided so, in one sentence.
[[nodiscard]] Result<void> check(const SeatOptions& options, std::size_t seats);

}  // namespace wspool::worker
