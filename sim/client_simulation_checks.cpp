// What must hold in each turn of a simulated client pool, and in the end.
#include "sim/client_simulation.h"

#include <algorithm>

namespace wspool::sim {

namespace {

using namespace std::chrono_literals;

constexpr std::uint64_t turns_max = 1'000'000;
constexpr std::uint64_t turns_per_check = 8;
constexpr int overdue_turns_max = 100;  // a long queue through a small outbox takes some

}  // namespace

// ---- bounds

// How long a new acquire may take while all servers are well, whatever was before: an idle
// connection that is dead fails its check, and is closed; a connect that hangs is given up; the
// backoff and the breaker let the next one through.
Duration ClientSimulation::recovery_bound() const {
    const pool::PoolOptions& host = swarm_.core.host;
    return host.validate_timeout + host.close_timeout + host.connect_timeout +
           host.reconnect.max_delay + 2 * host.breaker.probe_interval + 2s;
}

// Connects within 100 ms after all connections were lost at once. Those of subscriptions and those
// kept in store are spread evenly over initial_delay; three times their mean and a few more do not
// come in one window by chance. Each of the verbs since then may have caused one.
std::size_t ClientSimulation::herd_bound(std::uint64_t verbs) const {
    const pool::PoolOptions& host = swarm_.core.host;
    const auto span =
        std::max<Duration>(host.reconnect.initial_delay - host.reconnect.min_delay, 100ms);
    std::size_t wanted = 0;
    std::size_t addresses = 1;
    for (std::size_t i = 0; i < swarm_.hosts.size(); ++i) {
        wanted += std::max(ledger_.wanted(i), host.min_idle);
        const HostPlan& plan = swarm_.hosts[i];
        addresses = std::max(addresses, plan.live.size() + plan.dead.size() + plan.holes.size());
    }
    const auto mean = static_cast<std::size_t>(static_cast<double>(wanted) *
                                               static_cast<double>((100ms).count()) * 1e6 /
                                               static_cast<double>(span.count()));
    return addresses * (3 * mean + 10 + verbs);
}

// ---- in each turn

void ClientSimulation::check_turn() {
    if (turns_ > turns_max) journal_.violate("the pool takes turns without end");
    ledger_.check_turn(3 * swarm_.turn_cost_max + 1ms);
    if (turns_ % turns_per_check == 0) {
        core_->check_invariants();
        ledger_.check_stats(core_->stats());
    }
    if (watches_herd_) herd_ = std::max(herd_, loop_.recent_connects(100ms));
    check_pace();
    // Whoever asks nothing is woken in time.
    if (user_->wants_turn()) return;
    const Instant due = core_->next_deadline();
    if (loop_.inner().next_turn_time() > std::max(due, network_.now())) {
        journal_.violate("the pool sleeps beyond its next deadline at " + format_time(due));
    }
    overdue_turns_ = due <= core_->now() ? overdue_turns_ + 1 : 0;
    if (overdue_turns_ > overdue_turns_max) {
        journal_.violate("the pool does nothing about its deadline at " + format_time(due));
    }
}

// Connects within one second: what fails waits for min_delay at least; beyond that each host may
// begin a few, and each verb may cause one.
void ClientSimulation::check_pace() {
    if (network_.now() - pace_checked_at_ < 1s) return;
    pace_checked_at_ = network_.now();
    const pool::PoolOptions& host = swarm_.core.host;
    std::uint64_t bound = 0;
    std::size_t addresses_max = 0;
    for (const HostPlan& plan : swarm_.hosts) {
        const std::size_t addresses = plan.live.size() + plan.dead.size() + plan.holes.size();
        addresses_max = std::max(addresses_max, addresses);
        bound += addresses *
                 (static_cast<std::uint64_t>(1s / host.reconnect.min_delay) + 3 * host.max_size);
    }
    bound += addresses_max * (user_->verbs() - verbs_before_);
    verbs_before_ = last_verbs_;
    last_verbs_ = user_->verbs();
    const std::size_t recent = loop_.recent_connects(1s);
    if (recent > bound) {
        journal_.violate(std::to_string(recent) + " connects within a second, over the bound of " +
                         std::to_string(bound));
    }
}

// ---- while all is well

// Whatever was before, each target can be acquired within the bound.
void ClientSimulation::probe_all() {
    for (std::uint32_t path = 0; path < swarm_.paths && holds(); ++path) {
        auto numbers = std::make_shared<std::vector<std::uint64_t>>();
        for (std::size_t host = 0; host < swarm_.hosts.size(); ++host) {
            const std::size_t target = host * swarm_.paths + path;
            user_->later(0ms, [this, target, numbers] {
                numbers->push_back(user_->probe(target, recovery_bound()));
            });
        }
        const auto all_ended = [&] {
            return numbers->size() == swarm_.hosts.size() &&
                   std::all_of(numbers->begin(), numbers->end(), [this](std::uint64_t number) {
                       return ledger_.find_call(number)->state != CallRecord::State::pending;
                   });
        };
        run_until(all_ended, recovery_bound() + 1s, "every probe has ended");
        for (const std::uint64_t number : *numbers) {
            const CallRecord& call = *ledger_.find_call(number);
            if (call.state == CallRecord::State::done || !holds()) continue;
            journal_.violate("the servers are well, and probe " + std::to_string(number) +
                             " failed with " + std::string(client::name(call.error)));
        }
        user_->later(0ms, [this] { user_->give_everything_back(); });
        run_until(network_.now() + 50ms);
    }
}

// A message to each target arrives.
void ClientSimulation::talk_to_all() {
    auto numbers = std::make_shared<std::vector<std::uint64_t>>();
    for (std::size_t target = 0; target < ledger_.targets.size(); ++target) {
        // One after the other: there may be few connections, and few may wait for them.
        user_->later(0ms,
                     [this, target, numbers] { numbers->push_back(user_->say_something(target)); });
        const auto is_sent = [&] {
            return numbers->size() == target + 1 &&
                   ledger_.find_call(numbers->back())->state != CallRecord::State::pending;
        };
        if (!run_until(is_sent, recovery_bound(), "a message has been sent")) return;
        const CallRecord& call = *ledger_.find_call(numbers->back());
        if (call.state == CallRecord::State::done) continue;
        return journal_.violate("the servers are well, and message " + std::to_string(call.number) +
                                " failed with " + std::string(client::name(call.error)));
    }
    run_until(network_.now() + 100ms);
    for (const std::uint64_t number : *numbers) {
        if (ledger_.find_call(number)->connection >= 0) continue;
        journal_.violate("message " + std::to_string(number) + " was sent and has not arrived");
    }
}

void ClientSimulation::check_books() {
    core_->check_invariants();
    const client::CoreStats stats = core_->stats();
    ledger_.check_stats(stats);
    const auto expect = [&](const std::string& what, std::uint64_t is, std::uint64_t should) {
        if (is == should) return;
        journal_.violate("at rest there are " + std::to_string(is) + " " + what + ", not " +
                         std::to_string(should));
    };
    expect("messages queued in connections", stats.counters.queued, 0);
    for (std::size_t i = 0; i < swarm_.hosts.size(); ++i) {
        for (const client::HostStats& host : stats.hosts) {
            if (host.host != "ws://" + swarm_.hosts[i].name + ":80") continue;
            expect("messages queued for " + host.host, host.queued_messages, 0);
            expect("bytes queued for " + host.host, host.queued_bytes, 0);
            expect("requests of " + host.host, host.requests, 0);
            expect("waiting of " + host.host, host.pool.waiting, 0);
            expect("subscriptions of " + host.host, host.subscriptions, ledger_.wanted(i));
            const std::uint32_t shards = ledger_.shards(i);
            expect("connections of " + host.host + " lent", host.pool.leased, shards);
            if (swarm_.core.max_total_connections == 0 &&
                host.pool.total < swarm_.core.host.min_idle)
                expect("connections of " + host.host, host.pool.total, swarm_.core.host.min_idle);
        }
    }
}

void ClientSimulation::check_nothing_is_left() {
    core_->check_invariants();
    const client::CoreStats stats = core_->stats();
    const auto expect_none = [&](const char* what, std::size_t count) {
        if (count == 0) return;
        journal_.violate("after the drain there are " + std::to_string(count) + " " + what);
    };
    if (!core_->is_drained()) journal_.violate("drained was told, and is not so");
    if (core_->next_deadline() != never) journal_.violate("after the drain a timer is left");
    expect_none("calls without an outcome", ledger_.pending());
    expect_none("leases that were not revoked", ledger_.live_leases().size());
    expect_none("connections", stats.connections);
    expect_none("messages queued", stats.counters.queued);
    expect_none("names being looked up", resolver_.open_count());
    const std::size_t watched = swarm_.resolver_has_fd ? 1 : 0;
    expect_none("descriptors", loop_.inner().open_count() - watched);
    for (const client::HostStats& host : stats.hosts) {
        expect_none("waiting", host.pool.waiting);
        expect_none("slots", host.pool.total);
        if (host.pool.created != host.pool.closed) {
            journal_.violate("after the drain " + std::to_string(host.pool.created) +
                             " connections were opened and " + std::to_string(host.pool.closed) +
                             " closed");
        }
    }
    const std::uint64_t connects = loop_.connects();
    servers_.close_everything();
    run_until(network_.now() + 30s);
    if (loop_.connects() != connects) journal_.violate("after the drain the pool connects");
    expect_none("ends open in the network", network_.open_ends());
}

}  // namespace wspool::sim
