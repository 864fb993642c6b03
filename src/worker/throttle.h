// Throttle: how many messages and bytes a client may send in a second, by its rate class. For the
// worker.
//
// How it works: each client has a bucket for messages and one for bytes. A message that leads into
// debt is served, and then its client is not read until the debt is paid: TCP holds it up. One that
// is held up again and again for `patience`, without ever saving up half a bucket, is to be closed.
// Invariants: a record is on the wheel exactly while its client is held up.
// Limits: one record for each session.
#pragma once

#include "base/chunked_array.h"
#include "base/time.h"
#include "base/timer_wheel.h"
#include "worker/rate.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::worker {

struct RateClass {
    std::string name = {};
    std::uint64_t messages_per_second = 0;  // 0: no limit
    std::uint64_t bytes_per_second = 0;     // 0: no limit

    [[nodiscard]] bool is_on() const { return messages_per_second != 0 || bytes_per_second != 0; }
};

struct ThrottleOptions {
    // The first has no name: it is of all who have no other.
    std::vector<RateClass> classes = std::vector<RateClass>(1);
    Duration patience = std::chrono::seconds(5);

    [[nodiscard]] bool is_on() const;
    // 0, the first, when none is called so.
    [[nodiscard]] std::uint8_t find(std::string_view name) const;
};

inline constexpr std::size_t rate_classes_max = 64;  // the first not counted

class Throttle {
  public:
    enum class Verdict : std::uint8_t {
        go_on,
        hold,   // do not read it until release() names it
        close,  // it has been held up for too long
    };

    Throttle(const ThrottleOptions& options, Instant now);

    void enter(std::uint32_t index, std::uint8_t rate_class, Instant now);
    void leave(std::uint32_t index);
    // A message of so many bytes came. Not of one that is held up: nobody reads that.
    [[nodiscard]] Verdict spend(std::uint32_t index, std::size_t bytes, Instant now);

    [[nodiscard]] Instant next_deadline() const;
    // Appends those that may be read again.
    void release(Instant now, std::vector<std::uint32_t>& released);

  private:
    static constexpr Duration tick = std::chrono::milliseconds(8);
    // A message may be a gigabyte and the rate a kilobyte; who owes more than days is looked at
    // again.
    static constexpr std::int64_t ticks_max = 100'000'000;

    struct Rates {
        double messages, bytes;
    };
    struct Record {
        TimerNode timer;
        std::uint8_t rate_class = 0;
        TokenBucket messages;
        TokenBucket bytes;
        Instant held_since = never;  // never: it is not being held up again and again
    };
    struct NodeOf {
        ChunkedArray<Record>* records;
        TimerNode& operator()(std::uint32_t index) const { return (*records)[index].timer; }
    };

    [[nodiscard]] static bool has_saved(const Record& record, const Rates& rates);

    Duration patience_;
    std::vector<Rates> rates_;  // by class
    std::int64_t ticks_now_;    // of the last release(); the wheel counts its low half
    ChunkedArray<Record> records_;
    TimerWheel<NodeOf> wheel_;
};

}  // namespace wspool::worker
