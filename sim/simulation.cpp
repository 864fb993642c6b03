#include "sim/simulation.h"

#include "sim/misbehaviour.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>

namespace wspool::sim {

namespace {

using namespace std::chrono_literals;

// How long a message that was taken may be on its way between workers that die and stand still,
// and a worker may take to see that a client is gone: longer than a home waits for a publish (R33),
// and than the interval of pings and their timeout.
constexpr Duration lag_between_workers = 45s;

// For the handler of SIGABRT, which has no other way to know.
volatile std::uint64_t running_seed = 0;
volatile SeedOf running_seed_of = SeedOf::gateway;

const char* option_of(SeedOf whose) {
    if (whose == SeedOf::client) return "--client ";
    return whose == SeedOf::workers ? "--workers " : "";
}

Swarm draw(std::uint64_t seed, const SimulationOptions& options) {
    Swarm swarm = options.has_workers ? draw_workers_swarm(seed) : draw_swarm(seed);
    swarm.worker.exchange.plant = options.fault;
    return swarm;
}

void on_abort(int) {
    std::array<char, 100> text{};
    const int size =
        std::snprintf(text.data(),
                      text.size(),
                      "seed %llu: an assertion failed; replay: ./dev sim %s--seed %llu --trace\n",
                      static_cast<unsigned long long>(running_seed),
                      option_of(running_seed_of),
                      static_cast<unsigned long long>(running_seed));
    if (write(STDERR_FILENO, text.data(), static_cast<std::size_t>(size)) < 0) _exit(1);
}

}  // namespace

void announce_seed_on_abort() {
    std::signal(SIGABRT, on_abort);
}

void note_running_seed(std::uint64_t seed, SeedOf whose) {
    running_seed = seed;
    running_seed_of = whose;
}

Simulation::Simulation(std::uint64_t seed, const SimulationOptions& options)
    : swarm_(draw(seed, options)),
      network_(seed ^ 0x6e6574),
      client_loop_(network_, Waiting::yields),
      prng_(seed ^ 0x776f726b),
      journal_(network_, options.prints),
      deliveries_(history_, journal_, swarm_.groups, swarm_.worker.exchange.duplicate_id),
      plant_{options.plant, false, {}, -1, false},
      gateway_(swarm_, network_, journal_, history_, prng_),
      world_{network_,
             client_loop_,
             prng_,
             journal_,
             history_,
             deliveries_,
             swarm_,
             plant_,
             gateway_} {
    note_running_seed(seed, options.has_workers ? SeedOf::workers : SeedOf::gateway);
    history_.is_alone = swarm_.workers == 1;
    if (!history_.is_alone) history_.lag = lag_between_workers;
    gateway_.set_on_death([this](const SimLoop& loop) { on_death(loop); });
}

Report Simulation::run() {
    run_until([this] { return gateway_.is_ready(); }, 5s, "all workers are ready");
    storm();
    settle();
    if (holds()) calm();
    if (holds()) rest();
    if (holds()) end();
    Report report;
    report.seed = swarm_.seed;
    report.violation = journal_.violation();
    report.hash = journal_.hash();
    report.lines = journal_.lines();
    report.turns = gateway_.turns();
    report.sessions = history_.sessions.size();
    report.deliveries = deliveries_.count();
    report.has_planted = plant_.must_be_noticed || (plant_.is_done && !holds());
    report.virtual_time = network_.now() - network_start;
    report.counters = gateway_.counters();
    report.deaths = gateway_.deaths();
    report.recovered = world_.recovered;
    report.unrecovered = world_.unrecovered;
    return report;
}

// ---- time

void Simulation::step(Instant until) {
    const Instant gateway_due = gateway_.next_turn_time();
    const bool clients_want = std::any_of(parties_.begin(), parties_.end(), [](const auto& party) {
        return party->peer().wants_turn();
    });
    const Instant clients_due = clients_want ? network_.now() : client_loop_.next_turn_time();
    network_.advance(std::min({network_.next_event_time(), gateway_due, clients_due, until}));
    if (clients_due <= network_.now()) clients_turn();
    if (gateway_due <= network_.now()) gateway_.turn();
}

void Simulation::run_until(Instant time) {
    while (network_.now() < time && holds()) step(time);
}

bool Simulation::run_until(const std::function<bool()>& done, Duration limit, const char* what) {
    const Instant deadline = network_.now() + limit;
    while (!done() && holds()) {
        if (network_.now() >= deadline) {
            journal_.violate("within " + std::to_string(limit / 1s) +
                             " s this did not come: " + what);
            return false;
        }
        step(deadline);
    }
    return holds();
}

void Simulation::clients_turn() {
    for (const auto& party : parties_) party->peer().flush();
    client_loop_.wait(never);
    std::vector<const io::ShortSend*> short_sends(parties_.size(), nullptr);
    for (const io::ShortSend& send : client_loop_.short_sends()) {
        short_sends[send.owner - 1] = &send;
    }
    for (std::size_t i = 0; i < parties_.size(); ++i) parties_[i]->peer().settle(short_sends[i]);
    io::Event event{};
    while (client_loop_.next_event(event)) parties_[event.owner - 1]->peer().handle(event);
}

// ---- phases

void Simulation::storm() {
    journal_.note("the storm");
    network_.set_weather(swarm_.storm);
    for (int i = 0; i < swarm_.clients; ++i) {
        const Duration when(static_cast<Duration::rep>(prng_.below(20'000'000)));
        network_.schedule(network_.now() + when, [this] { connect(); });
    }
    const auto length = static_cast<std::uint64_t>(swarm_.storm_length.count());
    // In bursts: some at the same instant, some with silence between.
    Instant at = network_.now();
    for (int i = 0; i < swarm_.actions; ++i) {
        if (prng_.chance(0.5)) {
            at = network_.now() + Duration(static_cast<Duration::rep>(prng_.below(length)));
        }
        network_.schedule(at, [this] { act(); });
    }
    schedule_deaths();
    run_until(network_.now() + swarm_.storm_length);
}

// Long enough for every deadline of the worker to pass.
void Simulation::settle() {
    journal_.note("the storm is over");
    Weather weather;
    weather.latency_max = 2ms;
    network_.set_weather(weather);
    for (const auto& party : parties_) {
        if (party->peer().was_disturbed()) party->peer().close(io::CloseMode::reset);
    }
    run_until(network_.now() + 12s);
    world_.is_stormy = false;
    run_until(network_.now() + 63s);
}

void Simulation::calm() {
    journal_.note("the calm");
    world_.is_calm = true;
    deliveries_.begin_calm();
    check_survivors();
    for (int i = 0; open_parties() < 4 && holds(); ++i) {
        if (i == 20) return journal_.violate("nobody can connect in the calm");
        connect_party(PartyOptions{});
        run_until(network_.now() + 1s);
    }
    for (const auto& party : parties_) {
        if (!party->may_speak() || party->is_echo()) continue;
        if (prng_.chance(0.2)) continue;  // some stay outside
        const auto joined = party->groups();
        for (const std::string& group : joined) party->leave(group);
        party->join(swarm_.groups[0], prng_.chance(0.5));
    }
    run_until(network_.now() + 1s);
    for (int i = 0; i < swarm_.calm_actions && holds(); ++i) {
        act();
        if (prng_.chance(0.1)) misbehave_in_calm();
        run_until(network_.now() + Duration(static_cast<Duration::rep>(prng_.below(100'000'000))));
    }
    // The longest a party may take to be closed: an unfinished message's deadline.
    if (holds()) run_until(network_.now() + 40s);
}

void Simulation::rest() {
    journal_.note("rest");
    last_words();
    probe_ids();
    barrier();  // every message that was sent has been taken
    barrier();  // and what it caused has arrived before this
    if (!holds()) return;
    const auto may_speak = [this](int session) {
        return parties_[static_cast<std::size_t>(session)]->may_speak();
    };
    if (plant_.is_done && may_speak(plant_.victim)) {
        plant_.must_be_noticed = plant_.sender < 0 || may_speak(plant_.sender);
    }
    for (const auto& party : parties_) party->check_rest();
    deliveries_.check_rest();
    check_books();
}

// Who was lost, silent or deaf is served no more; everybody else is.
void Simulation::check_survivors() {
    std::size_t alive = 0;
    for (const auto& party : parties_) {
        if (party->may_speak() && party->reads()) ++alive;
        if (!party->reads()) party->peer().close(io::CloseMode::reset);
    }
    const std::uint64_t served = gateway_.counters().connections;
    if (served != alive) {
        journal_.violate("after the storm the gateway serves " + std::to_string(served) +
                         " clients, but " + std::to_string(alive) + " are alive");
    }
}

// Much at once, then silence: nothing may wait for somebody to speak again.
void Simulation::last_words() {
    for (int i = 0; i < 3; ++i) {
        Party* party = some_party();
        if (party == nullptr) continue;
        for (int j = 0; j < 20; ++j) {
            const std::size_t size = prng_.below(
                std::min<std::size_t>(swarm_.worker.engine.limits.message_size_max, 5'000));
            if (party->is_echo()) {
                party->echo(size);
            } else {
                party->broadcast(swarm_.groups[0], size);
            }
        }
    }
    run_until(network_.now() + 2s);
    const std::uint64_t queued = gateway_.counters().queued;
    if (queued != 0) {
        journal_.violate("nobody speaks, everybody reads, and " + std::to_string(queued) +
                         " messages are still queued");
    }
}

// Everybody asks and is answered.
void Simulation::barrier() {
    for (const auto& party : parties_) {
        if (!party->may_speak()) continue;
        if (party->is_echo()) {
            party->echo(10);
        } else {
            party->ping();
        }
    }
    // At least one whole round trip, also for who had nothing to ask.
    run_until(network_.now() + 2s);
}

void Simulation::end() {
    journal_.note("the end");
    const std::uint64_t way = prng_.below(4);
    world_.is_ending = true;
    if (way == 0) {
        for (const auto& party : parties_) {
            if (party->may_speak())
                party->depart(static_cast<Departure>(prng_.below(departure_count)));
        }
        run_until(network_.now() + 30s);
        gateway_.drain();
    } else if (way == 1) {
        gateway_.shut_down();
    } else {
        connect_party(PartyOptions{});
        gateway_.drain();
    }
    if (way == 3) {
        run_until(network_.now() + swarm_.worker.drain_time / 2);
        gateway_.shut_down();
    }
    const auto all_gone = [this] {
        return gateway_.is_over() &&
               std::all_of(
                   parties_.begin(), parties_.end(), [](const auto& p) { return p->is_gone(); });
    };
    if (!run_until(all_gone, swarm_.worker.drain_time + 60s, "every connection is closed")) return;
    run_until(network_.now() + 1s);
    gateway_.check_nothing_is_left();
}

// ---- checks at rest

std::size_t Simulation::open_parties() const {
    return static_cast<std::size_t>(std::count_if(
        parties_.begin(), parties_.end(), [](const auto& party) { return party->may_speak(); }));
}

void Simulation::check_books() {
    std::set<std::string> groups;
    std::map<std::string, int> by_id;
    for (const auto& party : parties_) {
        const Session& facts = party->facts();
        if (!party->may_speak()) {
            if (!party->is_gone()) {
                journal_.violate("client " + std::to_string(facts.number) + " is not gone");
            }
            continue;
        }
        for (const std::string& group : party->groups()) groups.insert(group);
        const bool is_shared =
            facts.is_anonymous || swarm_.worker.exchange.duplicate_id == hub::DuplicateId::allow;
        if (!is_shared && !party->is_echo() && ++by_id[facts.id] > 1) {
            journal_.violate("I7: two open sessions of " + facts.id);
        }
    }
    gateway_.check_books(open_parties(), groups);
}

}  // namespace wspool::sim
