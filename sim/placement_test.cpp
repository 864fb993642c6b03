// Whole workers that pass connections on to each other (R44), and die at any time.
#include "metrics/page.h"
#include "sim/network.h"
#include "sim/sim_loop.h"
#include "worker/worker.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace wspool::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t worker_count = 3;
constexpr std::size_t seats = 4;

io::Address address_of(std::size_t worker) {
    return {io::Address::Family::ipv4, "10.0.0.1", static_cast<std::uint16_t>(9000 + worker)};
}

// Process i is incarnation i + 1 and home of index i; its listener has a port of its own, so that a
// client chooses who accepts it.
class Cluster {
  public:
    explicit Cluster(std::uint64_t seed) : network(seed), page(page_bytes(), worker_count) {
        Weather weather;
        weather.latency_max = 300us;
        weather.short_read = 0.2;
        weather.short_write = 0.2;
        network.set_weather(weather);
        for (std::size_t i = 0; i < worker_count; ++i) {
            start(i, seed);
            for (std::size_t j = 0; j < i; ++j) join(i, j);
            workers[i]->become_home();
        }
        for (int i = 0; i < 100; ++i) step();
        for (std::size_t i = 0; i < worker_count; ++i) {
            RC_ASSERT(workers[i]->listen(address_of(i)).has_value());
        }
    }

    // Turns of all that live, each publishes at its end; and some time passes.
    void step() {
        for (std::size_t i = 0; i < worker_count; ++i) {
            if (workers[i] == nullptr || i == frozen) continue;
            (void)workers[i]->turn(loops[i]->now());
            page.publish(i, workers[i]->counters(), network.now());
            workers[i]->check_invariants();
        }
        network.advance(network.now() + 20us);
    }

    void kill(std::size_t i) {
        loops[i]->die();
        workers[i].reset();
        page.bury(i);
        set_state(i, metrics::ProcessState::dead);
    }

    void set_state(std::size_t i, metrics::ProcessState state) {
        metrics::Life life;
        life.state = state;
        life.incarnation = i + 1;
        page.set_life(i, life);
    }

    [[nodiscard]] bool is_settled() const {
        return std::all_of(workers.begin(), workers.end(), [](const auto& worker) {
            return worker == nullptr || (worker->counters().connections_pending == 0 &&
                                         worker->counters().placements_in_flight == 0);
        });
    }

    [[nodiscard]] std::uint64_t connections() const {
        std::uint64_t sum = 0;
        for (const auto& worker : workers) {
            if (worker != nullptr) sum += worker->counters().connections;
        }
        return sum;
    }

    [[nodiscard]] std::uint64_t handovers(metrics::HandoverResult result) const {
        std::uint64_t sum = 0;
        for (const auto& worker : workers) {
            if (worker == nullptr) continue;
            sum += worker->counters().placements[static_cast<std::size_t>(result)];
        }
        return sum;
    }

    Network network;
    std::unique_ptr<std::byte[]> memory;
    metrics::Page page;
    std::vector<std::unique_ptr<SeededEntropy>> entropies;
    std::vector<std::unique_ptr<SimLoop>> loops;
    std::vector<std::unique_ptr<worker::Worker>> workers;
    std::size_t frozen = SIZE_MAX;

  private:
    MutableBytes page_bytes() {
        const std::size_t size = metrics::Page::size_for(worker_count) + 64;
        memory = std::make_unique<std::byte[]>(size);
        void* start = memory.get();
        std::size_t space = size;
        return {static_cast<std::byte*>(std::align(64, size - 64, start, space)), size - 64};
    }

    void start(std::size_t i, std::uint64_t seed) {
        set_state(i, metrics::ProcessState::ready);
        worker::WorkerOptions options;
        options.connections_max = seats;
        options.seats.shared.waiters_max.fill(0);  // who finds no seat is refused
        options.is_alone = false;
        options.page = &page;
        options.place = i;
        options.exchange.incarnation = i + 1;
        options.exchange.index = static_cast<std::uint16_t>(i);
        options.exchange.index_count = worker_count;
        options.exchange.key = {1, 2};
        options.drain_time = 1ms;
        entropies.push_back(std::make_unique<SeededEntropy>(seed + i));
        loops.push_back(std::make_unique<SimLoop>(network, Waiting::yields));
        workers.push_back(std::make_unique<worker::Worker>(*loops[i], options, *entropies[i]));
    }

    void join(std::size_t i, std::size_t j) {
        const auto streams = network.make_pair();
        const auto channels = network.make_channel();
        workers[i]->add_peer({j + 1, static_cast<std::uint16_t>(j), true, streams[0], channels[0]});
        workers[j]->add_peer({i + 1, static_cast<std::uint16_t>(i), true, streams[1], channels[1]});
    }
};

// Clients that ask for an id and say something at once, behind their request.
struct Crowd {
    explicit Crowd(Network& network)
        : loop(network, Waiting::yields), engine(loop, {}, entropy, counters) {}

    void connect(std::size_t worker) {
        const std::uint64_t tag = answers.size();
        ws::ClientHandshake handshake;
        handshake.host = "gateway";
        handshake.target = "/?clientId=client" + std::to_string(tag);
        handshake.key = ws::make_key(entropy);
        answers.emplace_back();
        RC_ASSERT(engine.connect(address_of(worker), handshake, tag).has_value());
    }

    void turn() {
        engine.wait(loop.now());
        session::Event event;
        while (engine.next(event)) {
            if (event.kind == session::EventKind::opened) {
                answers[event.tag] = "open";
                const std::string target = "client" + std::to_string(event.tag);
                (void)engine.send(
                    event.session,
                    ws::Opcode::text,
                    as_bytes(R"({"type":"direct","targetId":")" + target + R"(","payload":1})"));
            } else if (event.kind == session::EventKind::message) {
                answers[event.tag] = as_text(event.payload);
            } else if (event.kind == session::EventKind::failed) {
                answers[event.tag] = "refused: " + std::string(event.text);
            } else if (event.kind == session::EventKind::closed) {
                answers[event.tag] = "closed";
            }
        }
    }

    [[nodiscard]] std::size_t count(std::string_view beginning) const {
        std::size_t sum = 0;
        for (const std::string& answer : answers) {
            if (answer.substr(0, beginning.size()) == beginning) ++sum;
        }
        return sum;
    }

    SimLoop loop;
    SeededEntropy entropy{9};
    metrics::Counters counters;
    session::Engine engine;
    std::vector<std::string> answers;  // by client; empty: none yet
};

constexpr std::string_view served = R"({"type":"direct","payload":1,"from":"client)";

bool run_until(Cluster& cluster, Crowd& crowd, const std::function<bool()>& done) {
    const Instant limit = cluster.network.now() + 60s;
    while (!done()) {
        if (cluster.network.now() > limit) return false;
        cluster.step();
        crowd.turn();
        if (cluster.network.next_event_time() > cluster.network.now() + 10ms) {
            cluster.network.advance(cluster.network.now() + 10ms);
        }
    }
    return true;
}

// All come to one worker, which has a third of the seats, each when the one before was answered:
// figures are exact then.
RC_GTEST_PROP(SimPlacement, EverySeatIsTakenBeforeAnybodyIsRefused, (std::uint64_t seed)) {
    Cluster cluster(seed);
    Crowd crowd(cluster.network);
    for (std::size_t i = 0; i < worker_count * seats; ++i) {
        crowd.connect(1);
        RC_ASSERT(run_until(cluster, crowd, [&] { return crowd.count(served) == i + 1; }));
    }
    crowd.connect(1);
    RC_ASSERT(run_until(cluster, crowd, [&] { return crowd.count("refused") == 1; }));
    for (const auto& worker : cluster.workers) {
        RC_ASSERT(worker->counters().connections == seats);
        RC_ASSERT(worker->counters().is_conserved());
    }
    RC_ASSERT(cluster.is_settled());
    RC_ASSERT(cluster.handovers(metrics::HandoverResult::taken) == 2 * seats);
    RC_ASSERT(cluster.network.held_count() == 0u);
}

// From any side, some freeze, one dies and is not replaced: everybody is answered or loses the
// connection, and nothing is left over. (Ids that were homed there are answered as unavailable.)
RC_GTEST_PROP(SimPlacement,
              NobodyHangsWhenAWorkerDiesWhileConnectionsAreUnderWay,
              (std::uint64_t seed)) {
    Cluster cluster(seed);
    Crowd crowd(cluster.network);
    Prng prng(seed + 7);
    const auto victim = prng.below(worker_count);
    if (prng.chance(0.5)) cluster.frozen = prng.chance(0.5) ? victim : prng.below(worker_count);
    for (std::size_t i = 0; i < 16; ++i) {
        crowd.connect(prng.chance(0.7) ? (victim + 1) % worker_count : prng.below(worker_count));
        for (auto steps = prng.below(6); steps > 0; --steps) {
            cluster.step();
            crowd.turn();
        }
    }
    for (auto steps = prng.below(80); steps > 0; --steps) {
        cluster.step();
        crowd.turn();
    }
    cluster.kill(victim);
    cluster.frozen = SIZE_MAX;
    RC_ASSERT(run_until(cluster, crowd, [&] {
        return crowd.count("{") + crowd.count("refused") + crowd.count("closed") == 16 &&
               cluster.is_settled();
    }));
    // Whom the dead one had answered hears of its end a little later.
    RC_ASSERT(run_until(cluster, crowd, [&] { return cluster.connections() == crowd.count("{"); }));
    for (const auto& worker : cluster.workers) {
        if (worker == nullptr) continue;
        RC_ASSERT(worker->counters().is_conserved());
        RC_ASSERT(worker->counters().connections <= seats);
    }
    RC_ASSERT(cluster.network.held_count() == 0u);
}

RC_GTEST_PROP(SimPlacement,
              WhoDrainsDeclinesAndEndsWhenItsOffersAreAnswered,
              (std::uint64_t seed)) {
    Cluster cluster(seed);
    Crowd crowd(cluster.network);
    Prng prng(seed + 7);
    for (std::size_t i = 0; i < 16; ++i) crowd.connect(prng.below(2));
    for (auto steps = prng.below(60); steps > 0; --steps) {
        cluster.step();
        crowd.turn();
    }
    cluster.workers[0]->begin_drain();
    RC_ASSERT(run_until(cluster, crowd, [&] { return cluster.workers[0]->is_finished(); }));
    RC_ASSERT(cluster.workers[0]->counters().placements_in_flight == 0u);
    RC_ASSERT(run_until(cluster, crowd, [&] {
        return crowd.count("{") + crowd.count("refused") + crowd.count("closed") == 16;
    }));
    RC_ASSERT(cluster.network.held_count() == 0u);
}

}  // namespace
}  // namespace wspool::sim
