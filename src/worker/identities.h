// Identities: what tokens said of the clients that are here, under their sessions' indexes, beside
// the worker's own table: without authentication it costs nothing. For the worker.
//
// How it works: an expiry is a deadline on a wheel of 256 ms; when it fires, the wall clock is
// asked again, as it may have been set back. Equal permissions are held once. Invariants: a record
// is on the wheel exactly while its client is here. Limits: one record for each session;
// permissions as many as there are clients.
#pragma once

#include "auth/permissions.h"
#include "base/assert.h"
#include "base/chunked_array.h"
#include "base/time.h"
#include "base/timer_wheel.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace wspool::worker {

class Identities {
  public:
    explicit Identities(Instant now);

    // What the wall clock showed at `at`. Until it was said, nobody can be judged.
    void set_wall_clock(WallTime wall, Instant at);
    [[nodiscard]] WallTime wall_time(Instant now) const;

    void add(std::uint32_t index,
             WallTime expires,
             const auth::Permissions& permissions,
             Instant now);
    void remove(std::uint32_t index);
    [[nodiscard]] bool may_join(std::uint32_t index, std::string_view group) const;
    [[nodiscard]] bool may_publish(std::uint32_t index, std::string_view group) const;

    [[nodiscard]] Instant next_deadline() const;
    // Appends those whose tokens have expired; they stay until they are removed.
    void expire(Instant now, std::vector<std::uint32_t>& expired);

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t permission_count() const { return shared_.size(); }

  private:
    static constexpr Duration tick = std::chrono::milliseconds(256);
    // Eight years, the most that the wheel takes; who stays longer is looked at again then.
    static constexpr std::int64_t ticks_max = 1'000'000'000;

    struct Shared {
        auth::Permissions permissions;
        std::size_t users = 0;
    };
    using SharedByText = std::unordered_map<std::string, Shared>;

    struct Record {
        TimerNode timer;
        bool is_here = false;
        WallTime expires{};
        SharedByText::value_type* shared = nullptr;  // null: no limit
    };
    struct NodeOf {
        ChunkedArray<Record>* records;
        TimerNode& operator()(std::uint32_t index) const { return (*records)[index].timer; }
    };

    void schedule(std::uint32_t index, Instant now);

    ChunkedArray<Record> records_;
    TimerWheel<NodeOf> wheel_;
    SharedByText shared_;
    std::size_t size_ = 0;
    WallTime wall_{};
    Instant wall_at_{};
    bool has_wall_ = false;
};

}  // namespace wspool::worker
