#include "sim/client_simulation.h"

#include "sim/simulation.h"

#include <algorithm>

namespace wspool::sim {

namespace {

using namespace std::chrono_literals;

// What the pool is given instead, where that is the fault.
client::CoreOptions options_with(const ClientSwarm& swarm, ClientPlantKind plant) {
    client::CoreOptions options = swarm.core;
    if (plant == ClientPlantKind::no_connect_deadline) options.host.connect_timeout = 1h;
    if (plant == ClientPlantKind::too_many) ++options.host.max_size;
    if (plant == ClientPlantKind::no_backoff) {
        options.host.reconnect.min_delay = options.host.reconnect.initial_delay =
            options.host.reconnect.max_delay = 10us;
        options.host.breaker.failures_max = 0;
    }
    return options;
}

// Connects that follow each other at once are told from others where they fail quickly.
ClientSwarm draw_world(std::uint64_t seed, ClientPlantKind plant) {
    ClientSwarm swarm = draw_client_swarm(seed);
    if (plant == ClientPlantKind::no_backoff) swarm.storm.latency_max = swarm.storm.latency_min;
    return swarm;
}

std::vector<TargetRecord> make_targets(const ClientSwarm& swarm) {
    std::vector<TargetRecord> targets;
    for (std::size_t host = 0; host < swarm.hosts.size(); ++host) {
        // The third has the URL of the second, and another header.
        for (std::uint32_t path = 0; path < swarm.paths; ++path) {
            targets.push_back({host, path == 0 ? "/" : path == 1 ? "/one" : "/one#two"});
        }
    }
    return targets;
}

}  // namespace

ClientSimulation::ClientSimulation(std::uint64_t seed, const ClientSimulationOptions& options)
    : swarm_(draw_world(seed, options.plant)),
      network_(seed ^ 0x6e6574),
      journal_(network_, options.prints),
      ledger_(journal_, swarm_),
      plant_{options.plant, false, false},
      loop_(network_, plant_),
      resolver_(network_, swarm_, seed ^ 0x726573),
      servers_(network_, swarm_, ledger_, journal_, plant_, seed ^ 0x736572),
      entropy_(seed ^ 0x656e74),
      prng_(seed ^ 0x776f726b) {
    note_running_seed(seed, SeedOf::client);
    ledger_.targets = make_targets(swarm_);
    resolver_.set_loop(&loop_.inner());
    core_ = std::make_unique<client::Core>(
        loop_, resolver_, options_with(swarm_, options.plant), entropy_);
    user_ = std::make_unique<ClientUser>(
        network_, *core_, swarm_, ledger_, journal_, plant_, seed ^ 0x757365);
}

ClientReport ClientSimulation::run() {
    storm();
    if (!swarm_.ends_in_storm) {
        if (holds()) recover();
        if (holds()) calm();
        if (holds()) drop();
        if (holds()) rest();
    }
    if (holds()) end();
    ClientReport report;
    for (const client::HostStats& host : core_->stats().hosts) {
        for (std::size_t i = 0; i < report.ends.size(); ++i) report.ends[i] += host.pool.ended[i];
    }
    report.seed = swarm_.seed;
    report.violation = journal_.violation();
    report.hash = journal_.hash();
    report.lines = journal_.lines();
    report.turns = turns_;
    report.connects = loop_.connects();
    report.granted = ledger_.counts_granted;
    report.delivered = ledger_.counts_delivered;
    report.replied = ledger_.counts_replied;
    report.revoked = ledger_.counts_revoked;
    report.resumed = ledger_.counts_resumed;
    report.pushes = ledger_.counts_pushes;
    report.subscriptions = ledger_.subscriptions.size();
    report.herd = herd_;
    report.has_planted = plant_.is_done;
    report.virtual_time = network_.now() - network_start;
    report.errors = ledger_.counts_errors;
    return report;
}

// ---- time

void ClientSimulation::step(Instant until) {
    const bool wants = user_->wants_turn() || resolver_.has_unseen_answer();
    const Instant user_due =
        std::max(wants ? network_.now() : loop_.inner().next_turn_time(), user_free_at_);
    const Instant servers_due = servers_.next_turn_time();
    network_.advance(std::min({network_.next_event_time(), user_due, servers_due, until}));
    if (servers_due <= network_.now()) servers_.turn();
    if (user_due <= network_.now()) user_turn();
}

void ClientSimulation::run_until(Instant time) {
    while (network_.now() < time && holds()) step(time);
}

bool ClientSimulation::run_until(const std::function<bool()>& done,
                                 Duration limit,
                                 const char* what) {
    const Instant deadline = network_.now() + limit;
    while (!done() && holds()) {
        if (network_.now() >= deadline) {
            journal_.violate("within " + std::to_string(limit / 1ms) +
                             " ms this did not come: " + what);
            return false;
        }
        step(deadline);
    }
    return holds();
}

void ClientSimulation::user_turn() {
    user_->turn(resolver_.has_unseen_answer());
    ++turns_;
    user_free_at_ = network_.now() +
                    Duration(static_cast<Duration::rep>(
                        1 + prng_.below(static_cast<std::uint64_t>(swarm_.turn_cost_max.count()))));
    check_turn();
}

// ---- phases

void ClientSimulation::storm() {
    journal_.note("the storm");
    network_.set_weather(swarm_.storm);
    const Instant end = network_.now() + swarm_.storm_length;
    for (std::size_t host = 0; host < swarm_.hosts.size(); ++host) {
        for (const MoodChange& change : swarm_.hosts[host].changes) {
            if (change.at >= end) continue;
            const Mood mood = change.mood;
            network_.schedule(change.at, [this, host, mood] { servers_.set_mood(host, mood); });
        }
    }
    const auto length = static_cast<std::uint64_t>(swarm_.storm_length.count());
    Duration at{};
    for (int i = 0; i < swarm_.actions; ++i) {
        if (prng_.chance(0.5)) at = Duration(static_cast<Duration::rep>(prng_.below(length)));
        user_->later(at, [this] { user_->act(); });
    }
    run_until(end);
}

void ClientSimulation::recover() {
    journal_.note("the storm is over");
    Weather weather;
    weather.latency_max = 2ms;
    network_.set_weather(weather);
    resolver_.end_storm();
    servers_.calm_down();
    user_->end_calm_habits();
    user_->later(0ms, [this] {
        user_->cancel_everything();
        user_->give_everything_back();
    });
    // What the user had planned in the storm is over by then, too.
    const Duration settling = std::max<Duration>(swarm_.detection_bound() + recovery_bound(), 6s);
    ledger_.excuse_until(network_.now() + settling);
    run_until(network_.now() + settling);
    user_->later(0ms, [this] {
        user_->cancel_everything();
        user_->give_everything_back();
    });
    run_until(network_.now() + 100ms);
    ledger_.check_arrivals();
    ledger_.end_storm();
    probe_all();
}

void ClientSimulation::calm() {
    journal_.note("the calm");
    plant_.is_armed = true;
    for (int i = 0; i < swarm_.calm_actions && holds(); ++i) {
        user_->later(0ms, [this] { user_->act(); });
        run_until(network_.now() + Duration(static_cast<Duration::rep>(prng_.below(50'000'000))));
    }
    if (!swarm_.is_crowd) return;
    for (std::size_t host = 0; host < swarm_.hosts.size(); ++host) {
        for (std::uint32_t i = 0; i < swarm_.hosts[host].subscriptions_max; ++i) {
            user_->later(0ms, [this, host] { user_->subscribe(host * swarm_.paths); });
        }
    }
    run_until(network_.now() + 5s);
}

void ClientSimulation::drop() {
    journal_.note("every connection is dropped");
    run_until(network_.now() + std::max<Duration>(swarm_.core.host.reconnect.stable_after, 1s));
    user_->later(0ms, [this] {
        user_->cancel_everything();
        user_->give_everything_back();
    });
    run_until(network_.now() + 100ms);
    ledger_.check_arrivals();
    // Some of what is asked now is under way when it happens, and is connected for at once.
    const std::uint64_t verbs = user_->verbs();
    for (int i = 0; i < 5; ++i) user_->later(0ms, [this] { user_->act(); });
    run_until(network_.now() + Duration(static_cast<Duration::rep>(prng_.below(20'000'000))));
    const auto way = static_cast<ClientServers::Drop>(prng_.below(3));
    ledger_.excuse_until(network_.now() + recovery_bound());
    watches_herd_ = true;
    for (std::size_t host = 0; host < swarm_.hosts.size(); ++host) {
        servers_.drop_all(host, way, ws::CloseCode::service_restart);
    }
    const std::uint64_t before = loop_.connects();
    run_until(network_.now() + recovery_bound());
    watches_herd_ = false;
    journal_.note(std::to_string(loop_.connects() - before) + " connects, " +
                  std::to_string(herd_) + " of them within 100 ms");
    const std::size_t bound = herd_bound(user_->verbs() - verbs);
    if (herd_ > bound) {
        journal_.violate("after a drop " + std::to_string(herd_) +
                         " connects come within 100 ms, over the bound of " +
                         std::to_string(bound));
    }
    if (holds()) probe_all();
}

void ClientSimulation::rest() {
    journal_.note("rest");
    user_->later(0ms, [this] { user_->give_everything_back(); });
    run_until([this] { return ledger_.pending() == 0 || ledger_.pending_is_patient(); },
              recovery_bound() + 10s,
              "every call has ended");
    user_->later(0ms, [this] {
        user_->cancel_everything();
        user_->give_everything_back();
    });
    run_until(network_.now() + 100ms);
    if (holds()) talk_to_all();
    // Also for subscriptions that rested because a server said that nobody should come back.
    run_until(network_.now() + recovery_bound());
    const std::uint64_t turns_before = turns_;
    run_until(network_.now() + 5s);
    if (!holds()) return;
    // Pings and whatever keeps the store fresh.
    if (turns_ - turns_before > 1'000 + 30 * core_->stats().connections) {
        journal_.violate("at rest the pool takes " + std::to_string(turns_ - turns_before) +
                         " turns within 5 s");
    }
    ledger_.check_rest();
    check_books();
}

void ClientSimulation::end() {
    journal_.note("the end");
    const Duration patience = prng_.chance(0.3) ? Duration::zero() : Duration(500ms);
    const Instant deadline = network_.now() + patience;
    user_->later(0ms, [this, deadline] {
        user_->act();
        user_->act();
        user_->drain(deadline);
        user_->try_after_drain();
    });
    // What is on its way has write_timeout, and peers have close_timeout.
    const Duration bound =
        patience + swarm_.core.write_timeout + swarm_.core.host.close_timeout * 2 + 1s;
    if (!run_until([this] { return user_->is_drained(); }, bound, "the pool is drained")) return;
    run_until(network_.now() + 100ms);
    check_nothing_is_left();
}

}  // namespace wspool::sim
