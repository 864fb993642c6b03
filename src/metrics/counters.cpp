#include "metrics/counters.h"

#include "base/assert.h"

#include <numeric>
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
        "preempted",
        "capacity",
        "disconnected",
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

constexpr std::array<std::string_view, static_cast<std::size_t>(HandoverResult::count_)>
    handover_names = {"taken", "declined", "returned"};
static_assert(!handover_names.back().empty());

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
    {"wspool_connections_pending",
     true,
     &Counters::connections_pending,
     "Connections promised a seat that have not arrived from another worker yet."},
    {"wspool_placements_in_flight",
     true,
     &Counters::placements_in_flight,
     "Connections offered to other workers and not answered now."},
};

constexpr Plain of_exchange_now[] = {
    {"wspool_exchange_publishes_in_flight",
     true,
     &Counters::publishes_in_flight,
     "Publishes of this worker that not all receivers are known to have."},
    {"wspool_exchange_window_bytes",
     true,
     &Counters::window_bytes,
     "What these use of the windows, over all homes."},
    {"wspool_exchange_publishes_parked",
     true,
     &Counters::publishes_parked,
     "Publishes that wait for window; their senders are not read."},
    {"wspool_exchange_parked_bytes", true, &Counters::parked_bytes, "Bytes of these."},
    {"wspool_exchange_joins_waiting",
     true,
     &Counters::joins_waiting,
     "Joins and ids that other workers have not answered."},
    {"wspool_exchange_log_records",
     true,
     &Counters::log_records,
     "Messages that are kept until all receivers have them."},
    {"wspool_exchange_log_bytes", true, &Counters::log_bytes, "Payload bytes of these."},
    {"wspool_exchange_history_messages",
     true,
     &Counters::history_messages,
     "Messages kept of the groups homed here, unstable ones included."},
    {"wspool_exchange_history_bytes", true, &Counters::history_bytes, "Bytes of these."},
    {"wspool_exchange_groups_homed",
     true,
     &Counters::groups_homed,
     "Groups homed here, with members anywhere or with a numbering to keep."},
    {"wspool_exchange_ids",
     true,
     &Counters::ids_registered,
     "Client ids held by connections here."},
    {"wspool_exchange_names", true, &Counters::names, "Groups and ids known here, whatever for."},
    {"wspool_links", true, &Counters::links, "Other processes that this one is linked to."},
    {"wspool_link_queued_bytes",
     true,
     &Counters::link_queued_bytes,
     "Bytes that wait to be sent to other processes."},
    {"wspool_link_queued_peak_bytes",
     true,
     &Counters::link_queued_peak,
     "The most that ever waited on one link."},
};
constexpr Plain of_exchange[] = {
    {"wspool_exchange_joins_recovered_total",
     false,
     &Counters::joins_recovered,
     "Joins that got all they had missed, answered by this home."},
    {"wspool_exchange_joins_unrecovered_total",
     false,
     &Counters::joins_unrecovered,
     "Joins that were told that something is missing."},
    {"wspool_exchange_publishes_unavailable_total",
     false,
     &Counters::publishes_unavailable,
     "Publishes answered as unavailable."},
    {"wspool_exchange_publishes_parked_out_total",
     false,
     &Counters::publishes_parked_out,
     "Of these, for want of room to wait."},
    {"wspool_exchange_publishes_resent_total",
     false,
     &Counters::publishes_resent,
     "Publishes sent again to a new home."},
    {"wspool_exchange_publishes_poison_total",
     false,
     &Counters::publishes_poison,
     "Publishes dropped because their homes kept dying."},
    {"wspool_exchange_openings_total",
     false,
     &Counters::home_openings,
     "Times that a worker began to be the home of its names."},
    {"wspool_exchange_holes_total",
     false,
     &Counters::home_holes,
     "Groups in which a new home found messages missing; there should be none."},
    {"wspool_links_ended_total",
     false,
     &Counters::links_ended,
     "Links to other processes that have ended."},
    {"wspool_link_records_received_total",
     false,
     &Counters::link_records_received,
     "Records from other processes."},
    {"wspool_link_records_sent_total",
     false,
     &Counters::link_records_sent,
     "Records for other processes."},
    {"wspool_link_bytes_received_total",
     false,
     &Counters::link_bytes_received,
     "Bytes of links received."},
    {"wspool_link_bytes_sent_total",
     false,
     &Counters::link_bytes_sent,
     "Bytes of links that the kernel took."},
    {"wspool_link_bytes_lost_total",
     false,
     &Counters::link_bytes_lost,
     "Bytes that waited for a process that ended."},
};

void append(std::vector<Family>& out, std::span<const Plain> table, const Counters& counters) {
    for (const Plain& plain : table) {
        Family family{plain.name, plain.help, plain.is_gauge, {}};
        family.samples.push_back({{}, counters.*plain.field});
        out.push_back(std::move(family));
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

std::string_view name(HandoverResult result) {
    return label(handover_names, result);
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
    out.push_back({"wspool_handovers_total",
                   "Connections offered to other workers, by what became of them.",
                   false,
                   samples_of<HandoverResult>(counters.placements),
                   "result",
                   "placement"});
    append(out, of_exchange_now, counters);
    append(out, of_exchange, counters);
    return out;
}

namespace {

// What is exposed by pool and class, in brief.
void append_seating(Figures& out, const Seating& seating, bool skip_zero) {
    out.emplace_back("wspool_connections", seating.seats_taken());
    out.emplace_back("wspool_waiters", seating.waiters_now());
    for (std::size_t i = 0; i < seating.acquired.size(); ++i) {
        if (skip_zero && seating.acquired[i] == 0) continue;
        std::string figure("wspool_acquire_total{result=\"");
        figure.append(name(static_cast<AcquireResult>(i))).append("\"}");
        out.emplace_back(std::move(figure), seating.acquired[i]);
    }
    std::uint64_t preemptions = 0;
    for (const Seating::PerClass& to : seating.preemptions)
        preemptions = std::accumulate(to.begin(), to.end(), preemptions);
    out.emplace_back("wspool_preemptions_total", preemptions);
}

}  // namespace

Figures list(const Counters& counters, bool skip_zero) {
    Figures out;
    append_seating(out, counters.seating, skip_zero);
    for (const Family& family : families(counters)) {
        for (const Family::Sample& sample : family.samples) {
            std::string figure(family.name);
            if (!sample.reason.empty()) {
                if (skip_zero && sample.value == 0) continue;
                figure += '{';
                if (!family.kind.empty())
                    figure.append("kind=\"").append(family.kind).append("\",");
                figure.append(family.label).append("=\"").append(sample.reason).append("\"}");
            }
            out.emplace_back(std::move(figure), sample.value);
        }
    }
    return out;
}

}  // namespace wspool::metrics
