#include "sim/swarm.h"

#include "base/random.h"

namespace wspool::sim {

namespace {

using namespace std::chrono_literals;

class Draw {
  public:
    explicit Draw(std::uint64_t seed) : prng_(seed) {}
    // Zero in half of all seeds, else up to `most`.
    double sometimes(double most) { return prng_.chance(0.5) ? 0 : most * unit(); }
    double unit() { return static_cast<double>(prng_.below(1'000'001)) / 1e6; }
    std::uint64_t between(std::uint64_t low, std::uint64_t high) {
        return low + prng_.below(high - low + 1);
    }
    Duration span(Duration low, Duration high) {
        return Duration(static_cast<Duration::rep>(between(
            static_cast<std::uint64_t>(low.count()), static_cast<std::uint64_t>(high.count()))));
    }
    template <class T>
    T one_of(std::initializer_list<T> choices) {
        return *(choices.begin() + prng_.below(choices.size()));
    }
    bool chance(double p) { return prng_.chance(p); }

  private:
    Prng prng_;
};

worker::WorkerOptions draw_worker(Draw& draw) {
    worker::WorkerOptions options;
    auto& engine = options.engine;
    engine.limits.message_size_max = draw.one_of<std::uint64_t>({2'048, 16'384, 65'536});
    engine.limits.empty_fragments_max = draw.one_of<std::uint32_t>({16, 256});
    engine.allow_deflate = draw.chance(0.8);
    engine.deflate_size_min = draw.one_of<std::size_t>({1, 64, 256});
    engine.outbox_size_max = draw.one_of<std::size_t>({16 * 1024, 128 * 1024, 1024 * 1024});
    // With the pong's timeout longer than that of a frame, so that the close code is certain.
    engine.ping_interval = draw.one_of<Duration>({8s, 25s});
    options.exchange.duplicate_id = draw.one_of<hub::DuplicateId>(
        {hub::DuplicateId::replace, hub::DuplicateId::reject, hub::DuplicateId::allow});
    options.echo = true;
    options.bad_messages_max = draw.one_of<std::uint32_t>({3, 10});
    options.exchange.groups_per_member_max = draw.one_of<std::uint32_t>({2, 3, 128});
    options.connections_max = draw.chance(0.1) ? 8 : 10'000;
    if (draw.chance(0.5)) options.seats.shared.waiters_max.fill(0);
    options.seats.shared.waiters_max = {};  // who waits is in sim/seats_simulation_test.cpp
    options.drain_time = draw.one_of<Duration>({100ms, 5s});
    return options;
}

Weather draw_storm(Draw& draw) {
    Weather storm;
    storm.latency_min = draw.one_of<Duration>({1us, 50us, 2ms});
    storm.latency_max = storm.latency_min + draw.span(0us, 30ms);
    storm.buffer_size = draw.one_of<std::size_t>({3'000, 30'000, 300'000});
    storm.short_read = draw.sometimes(0.8);
    storm.short_write = draw.sometimes(0.5);
    storm.stall = draw.sometimes(0.05);
    storm.stall_max = draw.span(10ms, 2s);
    storm.reset = draw.sometimes(0.01);
    storm.vanish = draw.sometimes(0.005);
    storm.refuse = draw.sometimes(0.3);
    storm.no_descriptors = draw.sometimes(0.2);
    return storm;
}

constexpr std::uint64_t crowd_interval = 50;

// More members than one turn of the worker sends to.
void make_crowd(Swarm& swarm) {
    swarm.clients = 400;
    swarm.actions = 300;
    swarm.calm_actions = 40;
    swarm.groups.resize(1);
    swarm.has_id = 0;
    swarm.is_echo = 0;
    swarm.joins = 1;
    swarm.is_large = 0;
    swarm.reads_never = 0;
    swarm.departs = 0;
    swarm.misbehaves = 0;
    swarm.worker.connections_max = 10'000;
    swarm.storm.reset = 0;
    swarm.storm.vanish = 0;
    swarm.storm.refuse = 0;
    swarm.storm.no_descriptors = 0;
}

// Small bounds between the workers, so that they are met.
void draw_exchange(Draw& draw, hub::ExchangeOptions& exchange) {
    exchange.window_bytes = draw.one_of<std::size_t>({80 * 1024, 1024 * 1024});
    exchange.window_records = draw.one_of<std::uint32_t>({2, 8, 1'024});
    exchange.history[0].messages = draw.one_of<std::uint32_t>({0, 8, 100});
    exchange.replay_bytes = draw.one_of<std::size_t>({80 * 1024, 4 * 1024 * 1024});
    exchange.interest_linger = draw.one_of<Duration>({20ms, 2s});
}

// Homes that die as soon as they have opened, over slow links: where old and new numbers meet.
void make_deaths_in_a_row(Swarm& swarm) {
    swarm.workers = 3;
    swarm.deaths = 15;
    swarm.second_death = 0.7;
    swarm.storm_length = std::min<Duration>(swarm.storm_length, 4s);
    swarm.storm.local_stall = 0.2;
    swarm.storm.local_stall_max = 100ms;
    swarm.groups = {"all", "g1", "g2", "g4"};
    swarm.clients = 24;
    swarm.actions = 600;
    swarm.leaves = 0.5;
    swarm.joins = 0.5;
    swarm.worker.exchange.interest_linger = 20ms;
    swarm.worker.connections_max = 10'000;
}

}  // namespace

Swarm draw_workers_swarm(std::uint64_t seed) {
    Swarm swarm = draw_swarm(seed);
    Draw draw(Prng(seed ^ 0x6d616e79).next());
    swarm.workers = draw.between(2, 4);
    swarm.deaths = draw.chance(0.2) ? 0 : static_cast<int>(draw.between(1, 8));
    swarm.second_death = draw.sometimes(0.5);
    swarm.pauses = draw.chance(0.5) ? 0 : static_cast<int>(draw.between(1, 4));
    swarm.pause_max = draw.one_of<Duration>({100ms, 2s, 6s});
    swarm.comes_back = draw.unit();
    swarm.gives_up = draw.sometimes(0.3);
    swarm.storm.local_stall = draw.sometimes(0.05);
    swarm.storm.local_stall_max = draw.span(1ms, 500ms);
    draw_exchange(draw, swarm.worker.exchange);
    swarm.has_message_id = 0.5 + swarm.has_message_id / 2;
    swarm.actions = static_cast<int>(draw.between(50, 500));
    swarm.calm_actions = static_cast<int>(draw.between(40, 100));
    swarm.joins += 0.2;
    if (seed % 4 == 3) make_deaths_in_a_row(swarm);
    return swarm;
}

Swarm draw_swarm(std::uint64_t seed) {
    // Mixed first: states that differ by the generator's step would give one sequence, shifted.
    Draw draw(Prng(seed).next());
    Swarm swarm;
    swarm.seed = seed;
    swarm.worker = draw_worker(draw);
    swarm.storm = draw_storm(draw);
    swarm.storm_length = draw.span(200ms, 40s);
    swarm.turn_cost_max = draw.one_of<Duration>({1us, 200us, 5ms});
    swarm.clients = static_cast<int>(draw.between(4, 30));
    swarm.actions = static_cast<int>(draw.between(50, 1'000));
    swarm.calm_actions = static_cast<int>(draw.between(40, 200));
    // Names that need escapes and more than one byte; the first is everybody's in the calm.
    swarm.groups = {
        "all", "g1", "\xd0\xb3\xd1\x80\xd1\x83\xd0\xbf\xd0\xbf\xd0\xb0 \"2\"", "g\\3", "g4"};
    swarm.groups.resize(draw.between(1, swarm.groups.size()));
    swarm.ids = {"ann", "bob", "c \"d\"", "\xc3\xa9va"};
    swarm.has_id = draw.unit();
    swarm.offers_deflate = draw.sometimes(1);
    swarm.wants_welcome = draw.unit();
    swarm.is_echo = draw.sometimes(0.3);
    swarm.is_slow = draw.sometimes(0.3);
    swarm.reads_never = draw.sometimes(0.2);
    swarm.publishes = 0.2 + draw.unit();
    swarm.directs = draw.sometimes(1);
    swarm.joins = 0.1 + draw.unit() * 0.5;
    swarm.leaves = draw.sometimes(0.5);
    swarm.asks = draw.sometimes(1);
    swarm.control = draw.sometimes(0.3);
    swarm.connects = draw.sometimes(0.3);
    swarm.departs = draw.sometimes(0.2);
    swarm.misbehaves = draw.sometimes(0.2);
    swarm.is_large = draw.sometimes(0.3);
    swarm.comes_in_bursts = draw.sometimes(0.1);
    swarm.is_fragmented = draw.sometimes(0.5);
    swarm.is_compressed = draw.sometimes(1);
    swarm.is_binary = draw.sometimes(0.5);
    swarm.has_message_id = draw.unit();
    if (seed % crowd_interval == 0) make_crowd(swarm);
    return swarm;
}

}  // namespace wspool::sim
