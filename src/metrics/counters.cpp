#include "metrics/counters.h"

#include "base/assert.h"

namespace wspool::metrics {

namespace {

// In the order of the enums; the sizes are checked, so that a new reason cannot be forgotten here.
constexpr std::array<std::string_view, static_cast<std::size_t>(CloseReason::count_)> close_names =
    {
        "by_peer",           "peer_lost",          "bad_mask",
        "bad_reserved_bits", "bad_opcode",         "bad_control_frame",
        "bad_continuation",  "bad_length",         "bad_close_frame",
        "bad_utf8",          "bad_deflate",        "too_big",
        "inflated_too_big",  "too_many_fragments", "bad_messages",
        "control_rate",      "partial_timeout",    "pong_timeout",
        "write_timeout",     "slow_consumer",      "replaced",
        "drained",           "shutdown",
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
};
static_assert(!drop_names.back().empty());

template <class Reason, std::size_t count>
std::string_view label(const std::array<std::string_view, count>& names, Reason reason) {
    WSPOOL_ASSERT(reason < Reason::count_);
    return names[static_cast<std::size_t>(reason)];
}

using Figures = std::vector<std::pair<std::string, std::uint64_t>>;

template <class Reason>
void append_reasons(Figures& out,
                    std::string_view family,
                    const PerReason<Reason>& values,
                    bool skip_zero) {
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (skip_zero && values[i] == 0) continue;
        std::string figure(family);
        figure += "{reason=\"";
        figure += name(static_cast<Reason>(i));
        figure += "\"}";
        out.emplace_back(std::move(figure), values[i]);
    }
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

Figures list(const Counters& counters, bool skip_zero) {
    const Counters& c = counters;
    Figures out;
    out.emplace_back("wspool_connections", c.connections);
    out.emplace_back("wspool_connections_peak", c.connections_peak);
    out.emplace_back("wspool_connections_opened_total", c.connections_opened);
    append_reasons<CloseReason>(
        out, "wspool_connections_closed_total", c.connections_closed, skip_zero);
    append_reasons<RejectReason>(
        out, "wspool_connections_rejected_total", c.connections_rejected, skip_zero);
    out.emplace_back("wspool_accept_pauses_total", c.accept_pauses);
    out.emplace_back("wspool_close_timeouts_total", c.close_timeouts);
    out.emplace_back("wspool_messages_received_total", c.messages_received);
    out.emplace_back("wspool_messages_sent_total", c.messages_sent);
    out.emplace_back("wspool_bytes_received_total", c.bytes_received);
    out.emplace_back("wspool_bytes_sent_total", c.bytes_sent);
    out.emplace_back("wspool_bad_messages_total", c.bad_messages);
    out.emplace_back("wspool_accepted_total", c.accepted);
    out.emplace_back("wspool_deliveries_total", c.delivered);
    append_reasons<DropReason>(out, "wspool_dropped_total", c.dropped, skip_zero);
    out.emplace_back("wspool_queued", c.queued);
    out.emplace_back("wspool_outbox_bytes", c.outbox_bytes);
    out.emplace_back("wspool_groups", c.groups);
    return out;
}

}  // namespace wspool::metrics
