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

constexpr std::uint64_t turns_max = 3'000'000;
constexpr std::uint64_t turns_per_check = 16;
const io::Address server_address{io::Address::Family::ipv4, "10.0.0.1", 0};

// For the handler of SIGABRT, which has no other way to know.
volatile std::uint64_t running_seed = 0;
volatile bool runs_client = false;

void on_abort(int) {
    std::array<char, 100> text{};
    const int size =
        std::snprintf(text.data(),
                      text.size(),
                      "seed %llu: an assertion failed; replay: ./dev sim %s--seed %llu --trace\n",
                      static_cast<unsigned long long>(running_seed),
                      runs_client ? "--client " : "",
                      static_cast<unsigned long long>(running_seed));
    if (write(STDERR_FILENO, text.data(), static_cast<std::size_t>(size)) < 0) _exit(1);
}

}  // namespace

void announce_seed_on_abort() {
    std::signal(SIGABRT, on_abort);
}

void note_running_seed(std::uint64_t seed, SeedOf whose) {
    running_seed = seed;
    runs_client = whose == SeedOf::client;
}

Simulation::Simulation(std::uint64_t seed, const SimulationOptions& options)
    : swarm_(draw_swarm(seed)),
      network_(seed ^ 0x6e6574),
      worker_loop_(network_, Waiting::yields),
      client_loop_(network_, Waiting::yields),
      entropy_(seed ^ 0x656e74),
      prng_(seed ^ 0x776f726b),
      journal_(network_, options.prints),
      deliveries_(history_, journal_, swarm_.groups),
      plant_{options.plant, false, {}, -1, false},
      worker_(std::make_unique<worker::Worker>(worker_loop_, swarm_.worker, entropy_)),
      world_{network_,
             client_loop_,
             prng_,
             journal_,
             history_,
             deliveries_,
             swarm_,
             plant_,
             io::Address{}} {
    note_running_seed(seed, SeedOf::gateway);
    const auto address = worker_->listen(server_address);
    WSPOOL_ASSERT(address.has_value());
    world_.server = *address;
}

Report Simulation::run() {
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
    report.turns = turns_;
    report.sessions = history_.sessions.size();
    report.deliveries = deliveries_.count();
    report.has_planted = plant_.must_be_noticed || (plant_.is_done && !holds());
    report.virtual_time = network_.now() - network_start;
    report.counters = worker_->counters();
    return report;
}

// ---- time

void Simulation::step(Instant until) {
    const Instant worker_due = std::max(worker_loop_.next_turn_time(), worker_free_at_);
    const bool clients_want = std::any_of(parties_.begin(), parties_.end(), [](const auto& party) {
        return party->peer().wants_turn();
    });
    const Instant clients_due = clients_want ? network_.now() : client_loop_.next_turn_time();
    network_.advance(std::min({network_.next_event_time(), worker_due, clients_due, until}));
    if (clients_due <= network_.now()) clients_turn();
    if (worker_due <= network_.now()) worker_turn();
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

void Simulation::worker_turn() {
    static_cast<void>(worker_->turn(never));
    ++turns_;
    worker_free_at_ =
        network_.now() +
        Duration(static_cast<Duration::rep>(
            1 + prng_.below(static_cast<std::uint64_t>(swarm_.turn_cost_max.count()))));
    check_turn();
}

void Simulation::check_turn() {
    const metrics::Counters& counters = worker_->counters();
    if (turns_ > turns_max) journal_.violate("the worker takes turns without end");
    if (turns_ % turns_per_check == 0) worker_->check_invariants();
    if (!counters.is_conserved())
        journal_.violate("accepted = delivered + dropped + queued is broken");
    // Who can be sent to may hold what one turn brought; before the worker sleeps that is flushed.
    if (worker_loop_.next_turn_time() <= network_.now()) return;
    const std::size_t per_session = swarm_.worker.engine.outbox_size_max +
                                    swarm_.worker.engine.limits.message_size_max + 8 * 1024;
    if (counters.outbox_bytes > worker_loop_.open_count() * per_session) {
        journal_.violate("outboxes hold " + std::to_string(counters.outbox_bytes) + " bytes");
    }
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
    if (worker_->counters().connections != alive) {
        journal_.violate("after the storm the worker serves " +
                         std::to_string(worker_->counters().connections) + " clients, but " +
                         std::to_string(alive) + " are alive");
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
    const metrics::Counters& counters = worker_->counters();
    if (counters.queued != 0) {
        journal_.violate("nobody speaks, everybody reads, and " + std::to_string(counters.queued) +
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
    } else if (way == 1) {
        worker_->shut_down();
    } else {
        worker_->begin_drain();
        connect_party(PartyOptions{});
    }
    worker_free_at_ = network_.now();
    static_cast<void>(worker_->turn(network_.now()));
    if (way == 3) {
        run_until(network_.now() + swarm_.worker.drain_time / 2);
        worker_->shut_down();
        static_cast<void>(worker_->turn(network_.now()));
    }
    const auto all_gone = [this] {
        return worker_loop_.open_count() == 1 &&
               std::all_of(
                   parties_.begin(), parties_.end(), [](const auto& p) { return p->is_gone(); });
    };
    if (!run_until(all_gone, swarm_.worker.drain_time + 60s, "every connection is closed")) return;
    run_until(network_.now() + 1s);
    if (way != 0 && !worker_->is_finished()) journal_.violate("the worker is not finished");
    check_nothing_is_left();
}

// ---- checks at rest

std::size_t Simulation::open_parties() const {
    return static_cast<std::size_t>(std::count_if(
        parties_.begin(), parties_.end(), [](const auto& party) { return party->may_speak(); }));
}

void Simulation::check_books() {
    worker_->check_invariants();
    const metrics::Counters& counters = worker_->counters();
    std::set<std::string> groups;
    std::size_t open = 0;
    for (const auto& party : parties_) {
        if (!party->may_speak()) {
            if (!party->is_gone()) {
                journal_.violate("client " + std::to_string(party->facts().number) +
                                 " is not gone");
            }
            continue;
        }
        ++open;
        for (const std::string& group : party->groups()) groups.insert(group);
    }
    const auto expect = [&](const char* what, std::uint64_t is, std::uint64_t should) {
        if (is == should) return;
        journal_.violate(std::string("at rest there are ") + std::to_string(is) + " " + what +
                         ", not " + std::to_string(should));
    };
    expect("connections", counters.connections, open);
    expect("streams of the worker", worker_loop_.open_count(), open + 1);
    expect("messages queued", counters.queued, 0);
    // A ping may just have been written to each: two bytes.
    if (counters.outbox_bytes > 2 * open) journal_.violate("at rest outboxes hold bytes");
    expect("groups", counters.groups, groups.size());
}

void Simulation::check_nothing_is_left() {
    worker_->check_invariants();
    const metrics::Counters& counters = worker_->counters();
    std::uint64_t closed = 0;
    for (const std::uint64_t count : counters.connections_closed) closed += count;
    if (counters.connections != 0 || counters.queued != 0 || counters.outbox_bytes != 0 ||
        counters.groups != 0) {
        journal_.violate("in the end the counters are not zero");
    }
    if (closed != counters.connections_opened) {
        journal_.violate("in the end " + std::to_string(counters.connections_opened) +
                         " connections were opened and " + std::to_string(closed) + " closed");
    }
    if (!counters.is_conserved()) journal_.violate("in the end the books do not balance");
    if (network_.open_ends() != 0) {
        journal_.violate("in the end " + std::to_string(network_.open_ends()) + " ends are open");
    }
}

}  // namespace wspool::sim
