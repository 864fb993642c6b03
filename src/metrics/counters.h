// Counters: what one process counts about its connections, as plain integers with a single writer.
// The names exposed are in docs/metrics.md; reasons are the labels of the attack table
// (docs/security.md).
//
// Conservation, at rest: accepted = delivered + sum(dropped) + queued. A data message is `accepted`
// when it enters a session's outbox, `delivered` when the kernel has taken its last byte, `dropped`
// when its session ends first, and `queued` until then. Answers count as messages, control frames
// do not.
#pragma once

#include "metrics/seating.h"

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
    preempted,        // its seat was taken for a higher priority: 1013
    capacity,         // waited for a seat in vain, or could not even wait: 1013
    disconnected,     // by an operator, over the control API
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

// What became of a connection that was offered to another worker; counted by the one that offered.
enum class HandoverResult : std::uint8_t {
    taken,
    declined,  // and served or refused by the one that offered
    returned,  // likewise, as the other worker has ended, or could not be reached
    count_
};

[[nodiscard]] std::string_view name(CloseReason reason);
[[nodiscard]] std::string_view name(RejectReason reason);
[[nodiscard]] std::string_view name(DropReason reason);
[[nodiscard]] std::string_view name(HandoverResult result);

template <class Reason>
using PerReason = std::array<std::uint64_t, static_cast<std::size_t>(Reason::count_)>;

struct Counters {
    std::uint64_t connections = 0;  // now, upgraded; who waits for a seat counts too
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
    // Placement (R44). Now: promised a seat, and not here yet; offered to others, and not answered.
    std::uint64_t connections_pending = 0;
    std::uint64_t placements_in_flight = 0;
    PerReason<HandoverResult> placements{};
    // What groups and ids do among the processes of a gateway. Now:
    std::uint64_t publishes_in_flight = 0, window_bytes = 0;
    std::uint64_t publishes_parked = 0, parked_bytes = 0;
    std::uint64_t joins_waiting = 0;
    std::uint64_t log_records = 0, log_bytes = 0;
    std::uint64_t history_messages = 0, history_bytes = 0;
    std::uint64_t groups_homed = 0, ids_registered = 0, names = 0;
    std::uint64_t links = 0, link_queued_bytes = 0, link_queued_peak = 0;
    // Since the start:
    std::uint64_t joins_recovered = 0, joins_unrecovered = 0;
    std::uint64_t publishes_unavailable = 0, publishes_parked_out = 0;
    std::uint64_t publishes_resent = 0, publishes_poison = 0;
    std::uint64_t home_openings = 0, home_holes = 0;
    std::uint64_t links_ended = 0;
    std::uint64_t link_records_received = 0, link_records_sent = 0;
    std::uint64_t link_bytes_received = 0, link_bytes_sent = 0, link_bytes_lost = 0;
    Seating seating;  // last: the page writes it only when it changed

    void add(CloseReason reason) { ++connections_closed[static_cast<std::size_t>(reason)]; }
    void add(RejectReason reason) { ++connections_rejected[static_cast<std::size_t>(reason)]; }
    void add(DropReason reason, std::uint64_t n) { dropped[static_cast<std::size_t>(reason)] += n; }
    void add(HandoverResult result) { ++placements[static_cast<std::size_t>(result)]; }
    [[nodiscard]] bool is_conserved() const;
};

// One exposed name with its values: a single one without a label, or one per reason.
struct Family {
    struct Sample {
        std::string_view reason;  // the label's value; empty: the family has none
        std::uint64_t value;
    };
    std::string_view name;
    std::string_view help;  // one line
    bool is_gauge;
    std::vector<Sample> samples;
    std::string_view label = "reason";  // of the samples
    std::string_view kind{};            // the same in all samples; empty: there is no such label
};

// Every figure, by family, in a fixed order.
[[nodiscard]] std::vector<Family> families(const Counters& counters);

// Every figure under its exposed name ("wspool_connections_closed_total{reason=\"bad_mask\"}"), in
// a fixed order; zero-valued reasons are left out when `skip_zero`.
[[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> list(const Counters& counters,
                                                                      bool skip_zero);

}  // namespace wspool::metrics
