// Stats: what a client pool has counted, by value; a snapshot does not change afterwards. Counts
// are numbers, durations std::chrono's; totals count since the pool was made.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>

namespace wspool::api {

// All zero when nothing was recorded. Percentiles are at most 1 % off.
struct DurationSummary {
    std::uint64_t count = 0;
    std::chrono::nanoseconds average{};
    std::chrono::nanoseconds p50{};
    std::chrono::nanoseconds p95{};
    std::chrono::nanoseconds p99{};
    std::chrono::nanoseconds max{};
};

struct HostStats {
    // ---- now
    std::uint32_t total = 0;       // connections in whatever state
    std::uint32_t max = 0;         // the most there may be
    std::uint32_t active = 0;      // in use
    std::uint32_t idle = 0;        // open, for whoever wants one
    std::uint32_t connecting = 0;  // being opened, or checked before they are lent
    std::uint32_t closing = 0;
    std::uint32_t pending = 0;  // calls that wait for a connection
    std::chrono::nanoseconds oldest_wait{};
    double utilization = 0;  // active of the most there may be, 0 … 1
    std::uint32_t queued_messages = 0;
    std::size_t queued_bytes = 0;
    std::uint32_t subscriptions = 0;
    bool is_circuit_open = false;    // calls fail at once, until a probe succeeds
    std::string last_connect_error;  // empty since a connect succeeded

    // ---- since the start
    std::uint32_t peak = 0;         // of total
    std::uint32_t peak_active = 0;  // of active
    std::uint32_t peak_pending = 0;
    std::uint64_t created = 0;  // connections that opened
    std::uint64_t closed = 0;   // of these
    std::uint64_t reconnects = 0;
    std::uint64_t rejected = 0;   // calls refused for want of capacity
    std::uint64_t timeouts = 0;   // calls that waited in vain
    std::uint64_t failures = 0;   // calls that ended with any other error
    std::uint64_t preempted = 0;  // leases taken back for a higher priority
    std::uint64_t leaks = 0;      // leases held longer than leak_detection_threshold
    std::uint64_t messages_sent = 0;
    std::uint64_t messages_received = 0;
    std::uint64_t bytes_sent = 0;  // of payloads
    std::uint64_t bytes_received = 0;
    std::uint64_t dropped_messages = 0;  // by the bounds of the queue
    DurationSummary acquire;             // waits for a connection, those in vain included
    DurationSummary use;                 // of a connection by its holder
    DurationSummary connect;             // from the first packet to the upgrade
};

struct Stats {
    // By "ws://127.0.0.1:9000"; of a dedicated pool by "NAME ws://127.0.0.1:9000". Hosts that were
    // not used for some minutes are left out.
    std::map<std::string, HostStats> hosts;
    std::uint32_t total = 0;           // connections, over all hosts
    std::uint64_t handler_errors = 0;  // exceptions that handlers let out
};

// The figures as text for Prometheus (exposition format 0.0.4), as wspool_pool_* with the label
// `host`; docs/library.md lists them. Any thread may call it.
[[nodiscard]] std::string prometheus_text(const Stats& stats);

}  // namespace wspool::api
