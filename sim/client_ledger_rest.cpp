// What must have come about at rest, and what the figures must say at any time.
#include "sim/client_ledger.h"

#include <algorithm>

namespace wspool::sim {

void ClientLedger::check_stats(const client::CoreStats& stats) {
    const std::uint32_t total_max = swarm_.core.max_total_connections;
    if (total_max != 0 && stats.connections > total_max) {
        violate(std::to_string(stats.connections) + " connections, over the common limit of " +
                std::to_string(total_max));
    }
    if (!stats.counters.is_conserved())
        violate("accepted = delivered + dropped + queued is broken");
    std::uint32_t sum = 0;
    for (const client::HostStats& host : stats.hosts) {
        const pool::PoolReport& pool = host.pool;
        sum += pool.total;
        if (pool.total > swarm_.core.host.max_size) {
            violate(host.host + " has " + std::to_string(pool.total) + " connections, over " +
                    std::to_string(swarm_.core.host.max_size));
        }
        if (pool.total !=
            pool.connecting + pool.validating + pool.idle + pool.leased + pool.closing) {
            violate(host.host + ": the states do not add up");
        }
        if (pool.created - pool.closed > pool.total) {
            violate(host.host + ": more are open than there are");
        }
        if (pool.connecting > swarm_.core.host.max_connecting) {
            violate(host.host + " has too many connects under way");
        }
        if (pool.waiting > swarm_.core.host.max_waiters + swarm_.core.host.max_size + 64) {
            violate(host.host + " has " + std::to_string(pool.waiting) + " waiting");
        }
        if (host.queued_bytes > swarm_.core.max_queued_bytes) {
            violate(host.host + " queues too many bytes");
        }
        if (host.requests > swarm_.core.max_requests) violate(host.host + ": too many requests");
    }
    if (sum != stats.connections) violate("the hosts' connections do not add up to the core's");
}

std::uint32_t ClientLedger::wanted(std::size_t host) const {
    return static_cast<std::uint32_t>(
        std::count_if(subscriptions.begin(), subscriptions.end(), [&](const auto& subscription) {
            return subscription.is_wanted() && targets[subscription.target].host == host;
        }));
}

std::uint32_t ClientLedger::shards(std::size_t host) const {
    return static_cast<std::uint32_t>(
        std::count_if(connections.begin(), connections.end(), [&](const auto& connection) {
            return connection.is_open && connection.host == host &&
                   !connection.subscriptions.empty();
        }));
}

// A text that was taken and did not arrive must have died with its connection, which the pool may
// have taken for a while to be alive.
bool ClientLedger::is_lost_rightly(std::size_t host, Instant since) const {
    return last_unclean_[host] + notice_delay_ >= since;
}

void ClientLedger::check_arrivals() {
    for (auto at = calls_.upper_bound(arrivals_checked_); at != calls_.end(); ++at) {
        const auto& [number, call] = *at;
        const bool is_sent = call.kind == CallRecord::Kind::message &&
                             call.state == CallRecord::State::done && call.connection < 0;
        if (is_sent && !is_lost_rightly(targets[call.target].host, call.begun_at)) {
            violate("message " + std::to_string(number) +
                    " was reported sent, never arrived, and no connection broke");
        }
    }
    for (auto at = lease_texts_.upper_bound(arrivals_checked_); at != lease_texts_.end(); ++at) {
        const auto& [number, text] = *at;
        if (text.connection >= 0) continue;
        const CallRecord& call = calls_.at(leases[text.lease].call);
        if (!is_lost_rightly(targets[call.target].host, call.begun_at)) {
            violate("text " + std::to_string(number) + " of lease " + std::to_string(call.number) +
                    " never arrived, and no connection broke");
        }
    }
    arrivals_checked_ = last_number_;
}

void ClientLedger::check_rest() {
    check_arrivals();

    std::map<std::uint64_t, int> seen;
    for (const ConnectionRecord& connection : connections) {
        if (!connection.is_open) continue;
        for (const std::uint64_t number : connection.subscriptions) ++seen[number];
    }
    for (const SubscriptionRecord& subscription : subscriptions) {
        const int times = seen[subscription.number];
        if (times == (subscription.is_wanted() ? 1 : 0)) continue;
        violate("at rest subscription " + std::to_string(subscription.number) + " is " +
                (subscription.is_wanted() ? "wanted" : "not wanted") + ", and " +
                std::to_string(times) + " open connections have it");
    }
}

}  // namespace wspool::sim
