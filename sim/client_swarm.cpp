#include "sim/client_swarm.h"

#include "base/random.h"

#include <algorithm>

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
    std::uint32_t count(std::uint32_t low, std::uint32_t high) {
        return static_cast<std::uint32_t>(between(low, high));
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

pool::PoolOptions draw_pool(Draw& draw) {
    pool::PoolOptions pool;
    pool.max_size = draw.count(1, 6);
    pool.min_idle = draw.chance(0.3) ? draw.count(1, std::min(pool.max_size, 2u)) : 0;
    pool.max_waiters = draw.one_of<std::uint32_t>({8, 20, 1024});
    pool.max_connecting = draw.count(1, 4);
    pool.reuse_policy =
        draw.one_of<pool::ReusePolicy>({pool::ReusePolicy::lifo, pool::ReusePolicy::fifo});
    pool.affinity = draw.one_of<pool::Affinity>(
        {pool::Affinity::shared, pool::Affinity::shared, pool::Affinity::exclusive});
    pool.connect_timeout = draw.one_of<Duration>({500ms, 2s, 5s});
    pool.idle_timeout = draw.one_of<Duration>({0s, 1s, 20s});
    pool.max_lifetime = draw.one_of<Duration>({0s, 3s, 60s});
    pool.validate_on_acquire = draw.chance(0.6);
    pool.validate_bypass = draw.one_of<Duration>({0ms, 100ms, 500ms});
    pool.validate_timeout = draw.one_of<Duration>({300ms, 2s});
    pool.close_timeout = draw.one_of<Duration>({200ms, 2s});
    pool.leak_detection_threshold = draw.chance(0.3) ? 2s : 0s;
    pool.reconnect.min_delay = draw.one_of<Duration>({20ms, 50ms});
    pool.reconnect.initial_delay = draw.one_of<Duration>({50ms, 200ms, 1s});
    pool.reconnect.max_delay = draw.one_of<Duration>({1s, 4s});
    pool.reconnect.max_attempts = draw.one_of<std::uint32_t>({1, 3, 5, pool::unlimited_attempts});
    pool.reconnect.stable_after = draw.one_of<Duration>({200ms, 2s});
    pool.breaker.failures_max = draw.one_of<std::uint32_t>({0, 2, 5});
    pool.breaker.probe_interval = draw.one_of<Duration>({300ms, 3s});
    if (draw.chance(0.3)) {
        pool.shares = pool::PerPriority<std::uint32_t>{10, 20, 40, 30};
        pool.preemption.grace = draw.one_of<Duration>({50ms, 1s});
        pool.preemption.min_hold = draw.one_of<Duration>({0s, 300ms, 2s});
        pool.preemption.reconnect_delay = 500ms;
        pool.preemption.budget_per_second = draw.one_of<double>({0.1, 1});
    }
    return pool;
}

client::CoreOptions draw_core(Draw& draw) {
    client::CoreOptions core;
    core.host = draw_pool(draw);
    core.ping_interval = draw.one_of<Duration>({0s, 1s, 20s});
    core.ping_timeout = draw.one_of<Duration>({500ms, 3s});
    core.compression = draw.chance(0.5);
    core.max_message_size = 64 * 1024;
    core.outbox_size_max = draw.one_of<std::size_t>({8 * 1024, 64 * 1024, 1024 * 1024});
    core.write_timeout = draw.one_of<Duration>({1s, 5s});
    core.max_queued_messages = draw.one_of<std::uint32_t>({0, 3, 100});
    core.max_queued_bytes = draw.one_of<std::size_t>({2 * 1024, 1024 * 1024});
    core.overflow =
        draw.one_of<client::Overflow>({client::Overflow::reject, client::Overflow::drop_oldest});
    core.max_requests = draw.one_of<std::uint32_t>({2, 1024});
    core.subscriptions_per_connection = draw.one_of<std::uint32_t>({1, 3, 100});
    core.max_targets = draw.one_of<std::uint32_t>({64, 65536});
    core.forget_after = draw.one_of<Duration>({1s, 60s});
    return core;
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
    storm.reset = draw.sometimes(0.02);
    storm.vanish = draw.sometimes(0.01);
    storm.refuse = draw.sometimes(0.3);
    return storm;
}

io::Address address(std::size_t host, std::size_t number, bool is_ipv6) {
    const std::string tail = std::to_string(host + 1);
    if (is_ipv6) {
        return {io::Address::Family::ipv6, "fd00:" + std::to_string(number) + "::" + tail, 80};
    }
    return {io::Address::Family::ipv4, "10." + std::to_string(number) + ".0." + tail, 80};
}

HostPlan draw_host(Draw& draw, const ClientSwarm& swarm, std::size_t index) {
    HostPlan host;
    host.name = "h" + std::to_string(index) + ".test";
    std::size_t number = 0;
    const bool has_many = draw.chance(0.5);
    const auto add = [&](std::vector<io::Address>& list, std::uint64_t most) {
        for (std::uint64_t i = draw.between(0, most); i > 0; --i) {
            list.push_back(address(index, number++, draw.chance(0.5)));
        }
    };
    host.live.push_back(address(index, number++, draw.chance(0.5)));
    if (has_many) {
        add(host.live, 2);
        add(host.dead, 2);
        add(host.holes, 1);
    }
    // Without pings nobody finds out that a peer has vanished.
    const bool may_vanish = swarm.core.ping_interval > Duration::zero();
    Instant at = network_start;
    const bool is_faulty = draw.chance(0.8);
    while (is_faulty && host.changes.size() < 12) {
        at += draw.span(10ms, 4s);
        // Every other time it gets well.
        const bool is_healthy = host.changes.size() % 2 == 1 && draw.chance(0.7);
        host.changes.push_back(
            {at,
             is_healthy ? Mood::healthy : static_cast<Mood>(draw.between(1, may_vanish ? 8 : 7))});
    }
    const std::uint32_t room = swarm.core.host.max_size - 1;
    const bool is_wide = swarm.core.subscriptions_per_connection >= 100;
    host.subscriptions_max = room == 0 ? 0 : is_wide ? draw.count(1, 12) : draw.count(1, room);
    // Seats may be held back for those of higher priority.
    if (swarm.core.host.shares) host.subscriptions_max = room < 3 ? 0 : 1;
    return host;
}

// The ceiling leaves room for what subscriptions hold, and for one more.
void draw_ceiling(Draw& draw, ClientSwarm& swarm) {
    if (draw.chance(0.5)) return;
    std::uint32_t held = 0;
    const bool is_wide = swarm.core.subscriptions_per_connection >= 100;
    for (const HostPlan& host : swarm.hosts) {
        if (host.subscriptions_max > 0) held += is_wide ? 1 : host.subscriptions_max;
    }
    swarm.core.max_total_connections = held + draw.count(1, 6);
}

constexpr std::uint64_t crowd_interval = 50;

// Many hosts whose connections are all lost at once.
void make_crowd(Draw& draw, ClientSwarm& swarm) {
    swarm.is_crowd = true;
    swarm.ends_in_storm = false;
    swarm.core.host = pool::PoolOptions{};
    swarm.core.host.connect_timeout = 2s;
    swarm.core.host.min_idle = draw.one_of<std::uint32_t>({0, 6});
    swarm.core.max_total_connections = 0;
    swarm.core.subscriptions_per_connection = 1;
    swarm.core.forget_after = 60s;
    swarm.hosts.clear();
    for (std::size_t i = 0; i < 25; ++i) {
        swarm.hosts.push_back(draw_host(draw, swarm, i));
        swarm.hosts.back().subscriptions_max = 4;
        swarm.hosts.back().changes.clear();
    }
    swarm.paths = 1;
    swarm.actions = 30;
    swarm.calm_actions = 0;
    swarm.storm.reset = swarm.storm.vanish = 0;
}

void draw_user(Draw& draw, ClientSwarm& swarm) {
    swarm.sends_once = draw.sometimes(1.5);
    swarm.requests = draw.sometimes(1);
    swarm.subscribes = draw.sometimes(0.5);
    swarm.unsubscribes = draw.sometimes(0.4);
    swarm.cancels = draw.sometimes(0.7);
    swarm.discards = draw.sometimes(0.4);
    swarm.sends = draw.unit() * 2;
    swarm.stale_calls = draw.sometimes(0.2);
    swarm.has_client_id = draw.sometimes(0.8);
    swarm.has_deadline = 0.5 + draw.unit() / 2;
    swarm.is_patient = draw.sometimes(0.4);
    swarm.keeps_notice = draw.sometimes(0.5);
    swarm.is_large = draw.sometimes(0.2);
    swarm.comes_in_bursts = draw.sometimes(0.3);
    swarm.server_pushes = draw.sometimes(0.5);
    swarm.answers_late = draw.sometimes(0.3);
    swarm.is_persistent = draw.sometimes(0.5);
}

}  // namespace

ClientSwarm draw_client_swarm(std::uint64_t seed) {
    Draw draw(Prng(seed ^ 0x636c69656e74).next());
    ClientSwarm swarm;
    swarm.seed = seed;
    swarm.core = draw_core(draw);
    swarm.storm = draw_storm(draw);
    if (swarm.core.ping_interval == Duration::zero()) swarm.storm.vanish = 0;
    swarm.storm_length = draw.span(500ms, 15s);
    swarm.turn_cost_max = draw.one_of<Duration>({1us, 200us, 2ms});
    swarm.ends_in_storm = draw.chance(0.15);
    const std::size_t hosts = draw.between(1, 4);
    for (std::size_t i = 0; i < hosts; ++i) swarm.hosts.push_back(draw_host(draw, swarm, i));
    draw_ceiling(draw, swarm);
    swarm.paths = draw.count(1, 3);
    swarm.actions = static_cast<int>(draw.between(30, 300));
    swarm.calm_actions = static_cast<int>(draw.between(20, 100));
    swarm.resolves_late = draw.sometimes(0.3);
    swarm.resolves_never = draw.sometimes(0.2);
    swarm.resolves_to_nothing = draw.sometimes(0.2);
    swarm.resolves_wrongly = draw.sometimes(0.2);
    swarm.resolver_is_full = draw.sometimes(0.1);
    swarm.resolver_has_fd = draw.chance(0.8);
    swarm.lateness_max = draw.span(10ms, 3s);
    draw_user(draw, swarm);
    if (seed % crowd_interval == 0) make_crowd(draw, swarm);
    return swarm;
}

}  // namespace wspool::sim
