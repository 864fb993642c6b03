#include "metrics/counters.h"

#include "base/assert.h"

#include <span>

namespace wspool::metrics {

namespace {

// In the order of the enums; the sizes are checked, so that a new reason cannot be forgotten here.
constexpr std::array<std::string_view, static_cast<std::size_t>(CloseReason::count_)> close_names =
    {
        "by_peer",
        "peer_lost",
        "bad_mask",
        "bad_reserved_bits",
        "bad_opcode",
        "bad_control_frame",
        "bad_continuation",
        "bad_length",
        "bad_close_frame",
        "bad_utf8",
        "bad_deflate",
        "too_big",
        "inflated_too_big",
        "too_many_fragments",
        "bad_messages",
        "control_rate",
        "rate",
        "partial_timeout",
        "pong_timeout",
        "write_timeout",
        "slow_consumer",
        "token_expired",
        "replaced",
        "drained",
        "shutdown",
        "worker_lost",
};
static_assert(!close_names.back().empty());

constexpr std::array<std::string_view, static_cast<std::size_t>(RejectReason::count_)>
    reject_names = {
        "malformed",
        "header_size",
        "header_count",
        "uri",
        "http_version",
        "body",
        "upgrade",
        "version",
        "key",
        "bad_name",
        "bad_priority",
        "connections_per_ip",
        "connect_rate_per_ip",
        "origin",
        "no_token",
        "bad_token",
        "expired_token",
        "two_tokens",
        "duplicate_id",
        "timeout",
        "capacity",
        "descriptors",
        "draining",
        "peer_lost",
};
static_assert(!reject_names.back().empty());

constexpr std::array<std::string_view, static_cast<std::size_t>(DropReason::count_)> drop_names = {
    "slow_consumer",
    "closed",
    "worker_lost",
};
static_assert(!drop_names.back().empty());

template <class Reason, std::size_t count>
std::string_view label(const std::array<std::string_view, count>& names, Reason reason) {
    WSPOOL_ASSERT(reason < Reason::count_);
    return names[static_cast<std::size_t>(reason)];
}

using Figures = std::vector<std::pair<std::string, std::uint64_t>>;
using Samples = std::vector<Family::Sample>;

struct Plain {
    std::string_view name;
    bool is_gauge;
    std::uint64_t Counters::*field;
    std::string_view help;
};

// In the order in which they are listed; the families with reasons stand between the two tables.
constexpr Plain of_connections[] = {
    {"wspool_connections", true, &Counters::connections, "Connections now, after the upgrade."},
    {"wspool_connections_peak",
     true,
     &Counters::connections_peak,
     "The most connections there were at once."},
    {"wspool_connections_opened_total",
     false,
     &Counters::connections_opened,
     "Upgrades answered with 101."},
};
constexpr Plain of_messages[] = {
    {"wspool_accept_pauses_total",
     false,
     &Counters::accept_pauses,
     "Times that accepting rested for want of descriptors."},
    {"wspool_close_timeouts_total",
     false,
     &Counters::close_timeouts,
     "Streams ended by deadline because the peer did not finish the closing."},
    {"wspool_messages_received_total",
     false,
     &Counters::messages_received,
     "Data messages from clients."},
    {"wspool_messages_sent_total",
     false,
     &Counters::messages_sent,
     "Data messages that the kernel took whole."},
    {"wspool_bytes_received_total",
     false,
     &Counters::bytes_received,
     "Bytes received, with framing."},
    {"wspool_bytes_sent_total", false, &Counters::bytes_sent, "Bytes sent, with framing."},
    {"wspool_bad_messages_total",
     false,
     &Counters::bad_messages,
     "Messages answered with: Invalid message format."},
    {"wspool_accepted_total",
     false,
     &Counters::accepted,
     "Data messages that entered an outbox, per recipient."},
    {"wspool_deliveries_total",
     false,
     &Counters::delivered,
     "Accepted messages whose last byte the kernel took."},
};
constexpr Plain of_now[] = {
    {"wspool_queued", true, &Counters::queued, "Accepted messages that wait now."},
    {"wspool_outbox_bytes", true, &Counters::outbox_bytes, "Bytes that wait now."},
    {"wspool_groups", true, &Counters::groups, "Groups that have members now."},
};

void append(std::vector<Family>& out, std::span<const Plain> table, const Counters& counters) {
    for (const Plain& plain : table) {
        out.push_back({plain.name, plain.help, plain.is_gauge, {{{}, counters.*plain.field}}});
    }
}

template <class Reason>
[[nodiscard]] Samples samples_of(const PerReason<Reason>& values) {
    Samples samples;
    samples.reserve(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        samples.push_back({name(static_cast<Reason>(i)), values[i]});
    }
    return samples;
}

}  // namespace

std::string_view name(CloseReason reason) {
    return label(close_names, reason);
}

std::string_view name(RejectReason reason) {
    return label(reject_names, reason);
}

std::string_view name(DropReason reason) {
    return label(drop_names, reason);
}

bool Counters::is_conserved() const {
    std::uint64_t settled = delivered + queued;
    for (const std::uint64_t n : dropped) settled += n;
    return accepted == settled;
}

std::vector<Family> families(const Counters& counters) {
    std::vector<Family> out;
    append(out, of_connections, counters);
    out.push_back({"wspool_connections_closed_total",
                   "Ends of upgraded connections.",
                   false,
                   samples_of<CloseReason>(counters.connections_closed)});
    out.push_back({"wspool_connections_rejected_total",
                   "Connections that ended before an upgrade.",
                   false,
                   samples_of<RejectReason>(counters.connections_rejected)});
    append(out, of_messages, counters);
    out.push_back({"wspool_dropped_total",
                   "Accepted messages that were given up.",
                   false,
                   samples_of<DropReason>(counters.dropped)});
    append(out, of_now, counters);
    return out;
}

Figures list(const Counters& counters, bool skip_zero) {
    Figures out;
    for (const Family& family : families(counters)) {
        for (const Family::Sample& sample : family.samples) {
            std::string figure(family.name);
            if (!sample.reason.empty()) {
                if (skip_zero && sample.value == 0) continue;
                figure.append("{reason=\"").append(sample.reason).append("\"}");
            }
            out.emplace_back(std::move(figure), sample.value);
        }
    }
    return out;
}

}  // namespace wspool::metrics
