// Options: the bounds and times of a client pool, with their defaults, and what a single call may
// say about itself. All are plain aggregates, made for designated initialisers:
//
//   wspool::ClientPool pool({.max_connections_per_host = 4, .connect_timeout = 5s});
//   auto lease = pool.acquire(url, {.timeout = 1s, .priority = wspool::Priority::high});
//
// Durations are std::chrono's, of any unit; sizes are bytes. A zero means zero: where it means
// "off" or "no limit" the member says so. check() says in one sentence what cannot be meant; a pool
// made with such options exists, and answers every call with that sentence (errc::bad_option).
//
// Threads: values; copied when they are given away.
#pragma once

#include "wspool/result.h"

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wspool::api {

// Served in this order. Elements of PerPriority stand in it too.
enum class Priority : std::uint8_t { critical, high, normal, low };

template <class T>
using PerPriority = std::array<T, 4>;

enum class ReusePolicy : std::uint8_t {
    lifo,  // the connection used last: what is surplus stays idle and is closed
    fifo,  // the one unused longest: spreads use evenly over what is behind a balancer
};

// What happens to a message when too many wait for a connection.
enum class Overflow : std::uint8_t {
    reject,       // it is refused: errc::message_queue_full
    drop_oldest,  // the one that waited longest is: its sender gets the error
};

enum class Jitter : std::uint8_t { none, full };

// For waits without end, and counts without bound.
inline constexpr std::chrono::nanoseconds infinite = std::chrono::nanoseconds::max();
inline constexpr std::uint32_t unlimited = UINT32_MAX;

// How an endpoint is tried again. The delay before attempt n is drawn evenly between 50 ms and
// min(max_delay, initial_delay · multiplierⁿ), so that clients who lost one server do not come back
// together.
struct Reconnect {
    std::chrono::nanoseconds initial_delay = std::chrono::seconds(1);
    std::chrono::nanoseconds max_delay = std::chrono::seconds(30);
    double multiplier = 2;  // at least 1
    Jitter jitter = Jitter::full;
    std::uint32_t max_attempts = 5;  // in a row; 0: none; or `unlimited`
    // A connection that lasted so long ends the row.
    std::chrono::nanoseconds stable_after = std::chrono::seconds(5);
};

// How a lease is taken back for a higher priority (only with Options::shares).
struct Preempt {
    std::chrono::nanoseconds grace = std::chrono::seconds(1);     // from the notice to the end
    std::chrono::nanoseconds min_hold = std::chrono::seconds(5);  // no lease is taken back earlier
    std::chrono::nanoseconds reconnect_delay = std::chrono::seconds(5);  // advised, ± 50 %
    double budget_per_second = 0.1;  // of all seats; at least one seat
};

// For wss:// URLs. Certificate and host name are always verified, unless told otherwise here.
struct TlsOptions {
    std::string ca_file = {};           // PEM: whom to trust; empty: the system's trust store
    std::string certificate_file = {};  // PEM: who we are, with its chain; empty: nobody
    std::string key_file = {};          // PEM: its key, unencrypted
    // Takes any certificate for any name: whoever is in between can read and change everything. For
    // tests of one's own.
    bool insecure_accept_any_certificate = false;
};

// One of several pools within a ClientPool: the connections of one class of use, which the others
// cannot take. Together they keep to Options::max_size.
struct DedicatedPool {
    std::string name = {};                                                 // not empty, each once
    std::optional<std::uint32_t> max_connections_per_host = std::nullopt;  // as in Options
    std::optional<std::uint32_t> max_waiters = std::nullopt;
};

struct Options {
    // ---- how many
    // Connections of the whole pool, to all hosts together: connecting + idle + in use + closing.
    // At the limit, idle connections to one host are closed for another. Absent: 20, or
    // max_connections_per_host where that is more. At least 1.
    std::optional<std::uint32_t> max_size = std::nullopt;
    // To one scheme, host and port, by one dedicated pool. At least 1.
    std::uint32_t max_connections_per_host = 6;
    // A ceiling over all hosts and dedicated pools, beside max_size; 0: no further limit.
    std::uint32_t max_total_connections = 0;
    // Kept open to each host once it was used, even when nobody needs them.
    std::uint32_t min_idle = 0;

    // ---- how long
    // Of a whole wait for a connection, connecting included; 0: now or not at all; or `infinite`.
    std::chrono::nanoseconds acquire_timeout = std::chrono::seconds(30);
    // From the first packet to the end of the opening handshake, TLS included. More than 0.
    std::chrono::nanoseconds connect_timeout = std::chrono::seconds(10);
    std::chrono::nanoseconds idle_timeout = std::chrono::minutes(5);   // 0: off
    std::chrono::nanoseconds max_lifetime = std::chrono::minutes(30);  // 0: off; ends no lease
    double max_lifetime_jitter = 0.1;  // the part by which it may be shorter, drawn once; 0 … 1
    std::chrono::nanoseconds ping_interval = std::chrono::seconds(30);  // 0: no pings
    std::chrono::nanoseconds ping_timeout = std::chrono::seconds(10);   // anything received counts

    // ---- what is lent
    // An idle connection that was not used for validate_bypass is pinged before it is lent.
    bool validate_on_acquire = true;
    std::chrono::nanoseconds validate_bypass = std::chrono::milliseconds(500);
    // A lease held longer is told to on_error(); 0: off.
    std::chrono::nanoseconds leak_detection_threshold = {};
    // Waiting for connections of one host; 0: nobody waits. Beyond it: errc::capacity.
    std::uint32_t max_waiters = 1024;
    std::uint32_t max_connecting = 16;  // at a time, to one host
    ReusePolicy reuse_policy = ReusePolicy::lifo;

    // ---- when the host is gone
    Reconnect reconnect = {};
    // Messages to a host that is down which wait for it to come back, until the timeout of their
    // call; 0: they fail with the connects. Those to a host that answers may wait as calls do.
    std::uint32_t max_queued_messages = 0;
    std::size_t max_queued_bytes = 8 * 1024 * 1024;  // for one host, at any time
    Overflow overflow = Overflow::reject;

    // ---- priorities: without shares nothing is reserved and nobody is preempted
    // Weights: {10, 20, 40, 30} guarantees 10 % of the connections of a host to critical, ….
    std::optional<PerPriority<std::uint32_t>> shares = std::nullopt;
    PerPriority<double> lendable = {0, 1, 1, 1};  // the part that others may borrow while unused
    Preempt preempt = {};
    // With shares these take the place of acquire_timeout.
    PerPriority<std::chrono::nanoseconds> priority_timeouts = {std::chrono::seconds(5),
                                                               std::chrono::seconds(15),
                                                               std::chrono::seconds(30),
                                                               std::chrono::seconds(60)};

    // ---- what is said to hosts
    std::vector<std::pair<std::string, std::string>> headers = {};  // further ones of each upgrade
    std::vector<std::string> subprotocols = {};                     // offered, best first
    bool compression = true;                                        // offer permessage-deflate
    TlsOptions tls = {};
    // Of one message in either direction. A longer one that comes closes its connection (1009).
    std::size_t max_message_size = 64 * 1024 * 1024;

    std::uint32_t subscriptions_per_connection = 100;  // more are spread over further connections

    // Keeps the histograms behind HostStats::acquire, use and connect: 180 KB for each host.
    bool measure_durations = true;

    // ---- dedicated pools, chosen by name in AcquireOptions and SendOptions
    std::vector<DedicatedPool> pools = {};
};

// What cannot be meant, in one sentence.
[[nodiscard]] Result<void> check(const Options& options);

// The options of one call. Views are copied by the call. (They are no strings, because g++ 12
// destroys aggregates that own something twice when they are temporaries of a co_await expression.)
struct AcquireOptions {
    // Of the whole wait; absent: Options::acquire_timeout, or that of the priority; 0: now or not
    // at all.
    std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
    Priority priority = Priority::normal;
    // Whoever acquires again under the same id gets the connection that it has. Empty: nobody's.
    std::string_view client = {};
    std::string_view pool = {};  // name of a dedicated pool; empty: the common one
    // It was preempted, and comes back: waits ahead of its priority.
    bool is_returning = false;
    // The lease outlives its connection, and gets another when that is lost: see Lease.
    bool persistent_session = false;
};

struct SendOptions {
    // Until the message is written: waiting for a connection, connecting, sending.
    std::optional<std::chrono::nanoseconds> timeout = std::nullopt;
    Priority priority = Priority::normal;
    std::string_view pool = {};
    bool binary = false;  // else text, which must be UTF-8
};

}  // namespace wspool::api
