// Counters: what one process counts about its connections, as plain integers with a single writer.
// The names exposed are in docs/metrics.md; reasons are the labels of the attack table
// (docs/security.md).
//
// Conservation, at rest: accepted = delivered + sum(dropped) + queued. A data message is `accepted`
// when it enters a session's outbox, `delivered` when the kernel has taken its last byte, `dropped`
// when its session ends first, and `queued` until then. Answers count as messages, control frames
// do not.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wspool::metrics {

// Why a connection ended, after the upgrade. One label each, snake_case as here.
enum class CloseReason : std::uint8_t {
    by_peer,    // the peer closed properly
    peer_lost,  // the stream ended or was reset without a close frame
    bad_mask,
    bad_reserved_bits,
    bad_opcode,
    bad_control_frame,
    bad_continuation,
    bad_length,
    bad_close_frame,
    bad_utf8,
    bad_deflate,
    too_big,
    inflated_too_big,
    too_many_fragments,
    bad_messages,     // limits.bad_messages malformed JSON messages: 1008
    control_rate,     // ping flood: 1008
    rate,             // beyond limits.rate for longer than is borne: 4429
    partial_timeout,  // a frame or message was begun and not finished in time: 1008
    pong_timeout,     // no sign of life after a ping
    write_timeout,    // the peer took nothing for limits.write_timeout
    slow_consumer,    // the outbox reached its bound: 1013
    token_expired,    // its token's exp is over: 4401
    replaced,         // a newer connection of the same id: 4409
    drained,          // 1012
    shutdown,         // 1001
    worker_lost,      // its worker died: counted by the master (metrics/page.h)
    count_
};

// Why a connection was refused, before the upgrade.
enum class RejectReason : std::uint8_t {
    malformed,
    header_size,
    header_count,
    uri,
    http_version,
    body,
    upgrade,
    version,
    key,
    bad_name,
    bad_priority,
    connections_per_ip,  // 429, as the next
    connect_rate_per_ip,
    origin,    // 403
    no_token,  // 401, as the next two
    bad_token,
    expired_token,  // before the upgrade; after it: CloseReason::token_expired
    two_tokens,     // 400
    duplicate_id,
    timeout,
    capacity,
    descriptors,
    draining,
    peer_lost,
    count_
};

// Why a message that was accepted for a session was not delivered.
enum class DropReason : std::uint8_t {
    slow_consumer,
    closed,
    worker_lost,  // queued when its worker died
    count_
};

[[nodiscard]] std::string_view name(CloseReason reason);
[[nodiscard]] std::string_view name(RejectReason reason);
[[nodiscard]] std::string_view name(DropReason reason);

template <class Reason>
using PerReason = std::array<std::uint64_t, static_cast<std::size_t>(Reason::count_)>;

struct Counters {
    std::uint64_t connections = 0;  // now, upgraded
    std::uint64_t connections_peak = 0;
    std::uint64_t connections_opened = 0;
    PerReason<CloseReason> connections_closed{};
    PerReason<RejectReason> connections_rejected{};
    std::uint64_t accept_pauses = 0;
    std::uint64_t close_timeouts = 0;  // ended by deadline, as the peer did not finish the closing
    std::uint64_t messages_received = 0, messages_sent = 0;
    std::uint64_t bytes_received = 0, bytes_sent = 0;       // of the streams, with framing
    std::uint64_t bad_messages = 0;                         // answered "Invalid message format"
    std::uint64_t accepted = 0, delivered = 0, queued = 0;  // see conservation above
    PerReason<DropReason> dropped{};
    std::uint64_t outbox_bytes = 0;  // now
    std::uint64_t groups = 0;        // now

    void add(CloseReason reason) { ++connections_closed[static_cast<std::size_t>(reason)]; }
    void add(RejectReason reason) { ++connections_rejected[static_cast<std::size_t>(reason)]; }
    void add(DropReason reason, std::uint64_t n) { dropped[static_cast<std::size_t>(reason)] += n; }
    [[nodiscard]] bool is_conserved() const;
};

// One exposed name with its values: a single one without a label, or one per reason.
struct Family {
    struct Sample {
        std::string_view reason;  // empty: the family has no label
        std::uint64_t value;
    };
    std::string_view name;
    std::string_view help;  // one line
    bool is_gauge;
    std::vector<Sample> samples;
};

// Every figure, by family, in a fixed order.
[[nodiscard]] std::vector<Family> families(const Counters& counters);

// Every figure under its exposed name ("wspool_connections_closed_total{reason=\"bad_mask\"}"), in
// a fixed order; zero-valued reasons are left out when `skip_zero`.
[[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> list(const Counters& counters,
                                                                      bool skip_zero);

}  // namespace wspool::metrics
