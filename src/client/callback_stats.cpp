#include "client/callback_stats.h"

namespace wspool::client {
namespace {

api::DurationSummary summary(const pool::DurationSummary& given) {
    return {given.count, given.average, given.p50, given.p95, given.p99, given.max};
}

std::uint64_t count(const pool::PoolReport& report, pool::PoolError error) {
    return report.errors[pool::index_of(error)];
}

api::HostStats public_stats(const HostStats& host) {
    using pool::PoolError;
    const pool::PoolReport& report = host.pool;
    api::HostStats stats;
    stats.total = report.total;
    stats.max = report.max_size;
    stats.active = report.leased;
    stats.idle = report.idle;
    stats.connecting = report.connecting + report.validating;
    stats.closing = report.closing;
    stats.pending = report.waiting;
    stats.oldest_wait = report.oldest_wait;
    stats.utilization = report.utilisation;
    stats.queued_messages = host.queued_messages;
    stats.queued_bytes = host.queued_bytes;
    stats.subscriptions = host.subscriptions;
    stats.is_circuit_open = host.breaker != pool::CircuitBreaker::State::closed;
    stats.last_connect_error = host.last_connect_error;

    stats.peak = report.peak_total;
    stats.peak_active = report.peak_leased;
    stats.peak_pending = report.peak_waiting;
    stats.created = report.created;
    stats.closed = report.closed;
    stats.reconnects = host.reconnects;
    stats.rejected = report.rejected;
    stats.timeouts = count(report, PoolError::timed_out);
    stats.failures = count(report, PoolError::closed) + count(report, PoolError::connect_failed) +
                     count(report, PoolError::circuit_open) +
                     count(report, PoolError::already_leased);
    stats.preempted = count(report, PoolError::preempted);
    stats.leaks = report.leaks;
    stats.messages_sent = host.messages_sent;
    stats.messages_received = host.messages_received;
    stats.bytes_sent = host.bytes_sent;
    stats.bytes_received = host.bytes_received;
    stats.dropped_messages = host.dropped_messages;
    stats.acquire = summary(report.acquire);
    stats.use = summary(report.use);
    stats.connect = summary(report.connect);
    return stats;
}

}  // namespace

api::Stats public_stats(const CoreStats& stats) {
    api::Stats result;
    for (const HostStats& host : stats.hosts) result.hosts.emplace(host.host, public_stats(host));
    result.total = stats.connections;
    return result;
}

}  // namespace wspool::client
