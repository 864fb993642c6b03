// What the parties of a simulation do, drawn action by action.
#include "sim/misbehaviour.h"
#include "sim/simulation.h"

#include <algorithm>

namespace wspool::sim {

using namespace std::chrono_literals;

void Simulation::connect_party(const PartyOptions& options) {
    history_.sessions.emplace_back();
    Session& facts = history_.sessions.back();
    facts.number = static_cast<int>(history_.sessions.size()) - 1;
    parties_.push_back(std::make_unique<Party>(world_, facts, options));
}

void Simulation::connect() {
    if (prng_.chance(0.05)) return connect_party(bad_request(prng_));
    PartyOptions options;
    options.is_echo = prng_.chance(swarm_.is_echo);
    if (!options.is_echo && prng_.chance(swarm_.has_id)) {
        options.id = swarm_.ids[prng_.below(swarm_.ids.size())];
    }
    options.offers_deflate = prng_.chance(swarm_.offers_deflate);
    options.wants_welcome = !options.is_echo && prng_.chance(swarm_.wants_welcome);
    options.is_slow = !world_.is_calm && prng_.chance(swarm_.is_slow);
    connect_party(options);
    if (swarm_.gives_up > 0 && prng_.chance(swarm_.gives_up)) give_up(*parties_.back());
}

// Perhaps while its id is still being asked for.
void Simulation::give_up(Party& party) {
    const Duration patience(static_cast<Duration::rep>(prng_.below(100'000'000)));
    network_.schedule(network_.now() + patience, [&party] {
        if (!party.is_open() && !party.is_gone()) party.depart(Departure::abandon);
    });
}

Party* Simulation::some_party() {
    if (parties_.empty()) return nullptr;
    for (int i = 0; i < 10; ++i) {
        Party& party = *parties_[prng_.below(parties_.size())];
        if (party.may_speak()) return &party;
    }
    return nullptr;
}

const std::string& Simulation::some_group() {
    return swarm_.groups[prng_.below(swarm_.groups.size())];
}

std::string Simulation::some_target() {
    if (!history_.sessions.empty() && prng_.chance(0.7)) {
        const Session& session = history_.sessions[prng_.below(history_.sessions.size())];
        if (!session.id.empty()) return session.id;
    }
    return prng_.chance(0.7) ? swarm_.ids[prng_.below(swarm_.ids.size())] : "nobody";
}

// Of a whole message: mostly as small as can be, sometimes exactly the limit.
std::size_t Simulation::draw_size(const Party& party) {
    const std::size_t most = swarm_.worker.engine.limits.message_size_max;
    if (prng_.chance(swarm_.is_large)) {
        return prng_.chance(0.2) ? most : prng_.below(most + 1);
    }
    return prng_.chance(0.5) ? 0 : prng_.below(party.is_echo() ? 200 : 600);
}

void Simulation::act() {
    Party* party = some_party();
    if (party == nullptr || prng_.chance(swarm_.connects * 0.2)) return connect();
    if (prng_.chance(swarm_.departs * 0.3)) {
        return party->depart(static_cast<Departure>(prng_.below(departure_count)));
    }
    if (prng_.chance(swarm_.misbehaves * 0.3)) {
        return misbehave(*party, swarm_, prng_, prng_.next());
    }
    if (!world_.is_calm && prng_.chance(swarm_.reads_never * 0.1)) return party->stop_reading();
    const bool is_burst = !world_.is_calm && prng_.chance(swarm_.comes_in_bursts);
    const int times = is_burst ? 2 + static_cast<int>(prng_.below(40)) : 1;
    for (int i = 0; i < times && party->may_speak(); ++i) speak(*party);
}

void Simulation::speak(Party& party) {
    if (prng_.chance(swarm_.control)) return party.control();
    if (party.is_echo()) return party.echo(draw_size(party));
    const double sum =
        swarm_.publishes + swarm_.directs + swarm_.joins + swarm_.leaves + swarm_.asks;
    double at = sum * static_cast<double>(prng_.below(1'000'000)) / 1e6;
    if ((at -= swarm_.publishes) < 0) return party.broadcast(some_group(), draw_size(party));
    if ((at -= swarm_.directs) < 0) return party.direct(some_target(), draw_size(party));
    if ((at -= swarm_.joins) < 0) return party.join(some_group(), prng_.chance(0.5));
    if (at < swarm_.leaves) return party.leave(some_group());
    party.ask(prng_.next());
}

// ---- deaths

void Simulation::schedule_deaths() {
    const auto length = static_cast<std::uint64_t>(swarm_.storm_length.count());
    const auto draw = [this](std::uint64_t most) {
        return Duration(static_cast<Duration::rep>(prng_.below(most)));
    };
    for (int i = 0; i < swarm_.deaths; ++i) {
        const Instant at = network_.now() + draw(length);
        network_.schedule(at, [this] { gateway_.crash(false); });
        if (!prng_.chance(swarm_.second_death)) continue;
        // While the first replacement is being born, or its home has just opened.
        const auto soon = static_cast<std::uint64_t>(Duration(60ms).count());
        network_.schedule(at + draw(soon), [this] { gateway_.crash(true); });
    }
    for (int i = 0; i < swarm_.pauses; ++i) {
        const Duration pause = draw(static_cast<std::uint64_t>(swarm_.pause_max.count()));
        network_.schedule(network_.now() + draw(length), [this, pause] { gateway_.freeze(pause); });
    }
}

void Simulation::on_death(const SimLoop& loop) {
    for (const auto& party : parties_) {
        if (client_loop_.acceptor(party->peer().stream()) != &loop) continue;
        party->orphan();
        if (!party->is_open() || party->is_echo() || !prng_.chance(swarm_.comes_back)) continue;
        // Some at once: the home of their id may not know yet that they are gone.
        const std::uint64_t most = prng_.chance(0.5) ? 1'000'000 : 2'000'000'000;
        const Duration pause(static_cast<Duration::rep>(prng_.below(most)));
        network_.schedule(network_.now() + pause,
                          [this, lost = &party->facts()] { come_back(*lost); });
    }
}

void Simulation::come_back(const Session& lost) {
    if (world_.is_ending) return;
    if (!parties_[static_cast<std::size_t>(lost.number)]->is_gone()) {
        return network_.schedule(network_.now() + 1ms, [this, &lost] { come_back(lost); });
    }
    PartyOptions options;
    if (!lost.is_anonymous) options.id = lost.id;
    options.predecessor = &lost;
    connect_party(options);
}

// Whoever has an id is found, and nobody where nobody is (I8).
void Simulation::probe_ids() {
    Party* party = swarm_.workers > 1 ? some_party() : nullptr;
    if (party == nullptr || party->is_echo()) return;
    for (const std::string& id : swarm_.ids) party->direct(id, 0);
    run_until(network_.now() + 2s);
}

// In the calm everyone who misbehaves is replaced, so that somebody is left to talk.
void Simulation::misbehave_in_calm() {
    Party* party = some_party();
    if (party == nullptr) return;
    if (prng_.chance(0.3)) {
        party->depart(static_cast<Departure>(prng_.below(departure_count)));
    } else {
        misbehave(*party, swarm_, prng_, prng_.next());
    }
    connect_party(PartyOptions{});
}

}  // namespace wspool::sim
