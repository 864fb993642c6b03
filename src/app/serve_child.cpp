// wspool serve: what runs in the children of the master.
#include "app/config_file.h"
#include "app/log.h"
#include "app/reload.h"
#include "app/serve.h"
#include "control/control.h"
#include "io/entropy.h"
#include "io/memory_file.h"
#include "io/process.h"
#include "io/signals.h"
#include "worker/worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>

namespace wspool::app {
namespace {

using master::MasterSays;

constexpr std::uint64_t signal_tag = 1;
constexpr std::uint64_t line_tag = 2;
// After the order to stop: for answers that are on their way.
constexpr Duration stop_time = std::chrono::milliseconds(500);

// How often to turn when nothing happens, so that the heartbeat goes on.
Duration beat_interval(const Config& config) {
    return std::min<Duration>(config.health.stall / 4, std::chrono::seconds(1));
}

int fail_child(std::string_view who, const Error& error) {
    log_error("{}: {}", who, error.message);
    return exit_failed;
}

// Its descriptors become those of whoever takes the link.
link::PeerLink peer_link(master::Peer& peer) {
    link::PeerLink result;
    result.incarnation = peer.incarnation;
    result.index = static_cast<std::uint16_t>(peer.index);
    result.is_home = peer.is_home;
    result.stream = peer.stream.release();
    result.channel = peer.channel.release();
    return result;
}

hub::ExchangeOptions exchange_options(const hub::ExchangeOptions& configured,
                                      const master::Child& child) {
    hub::ExchangeOptions options = configured;
    options.incarnation = child.incarnation;
    options.index = static_cast<std::uint16_t>(child.index);
    options.index_count = static_cast<std::uint16_t>(child.workers);
    options.key = child.key;
    return options;
}

std::vector<control::SeatPoolFact> seat_pools(const Config& config) {
    std::uint64_t shared = config.limits.max_connections_per_worker;
    for (const Config::Pool& pool : config.pools) shared -= pool.capacity;
    std::vector<control::SeatPoolFact> pools = {{std::string(worker::shared_pool_name), shared}};
    for (const Config::Pool& pool : config.pools) pools.push_back({pool.name, pool.capacity});
    return pools;
}

// What it was told by the master, by a signal, or by the master's end, since it last asked.
struct Orders {
    bool drain = false;
    bool shut_down = false;
    bool stop = false;
    bool is_alone = false;            // the master has ended and will not say stop
    std::vector<master::Peer> peers;  // started since; behind those that Child::peers names
    bool reload = false;              // Line::take_config()
};

// The part that worker and control process have in common: signals, and the line to the master.
// `Program` is a Worker or a Control.
template <class Program>
class Line {
  public:
    Line(io::Signals signals, io::Descriptor line, Program& program)
        : signals_(std::move(signals)), link_(std::move(line)), program_(program) {}

    [[nodiscard]] Result<void> begin() {
        if (auto watched = program_.watch(signals_.fd(), signal_tag); !watched) return watched;
        if (auto watched = program_.watch(link_.fd(), line_tag); !watched) return watched;
        link_.say_ready();
        return {};
    }

    [[nodiscard]] Orders take(std::span<const std::uint64_t> tags) {
        Orders orders;
        link_.flush();
        for (const std::uint64_t tag : tags) {
            if (tag == signal_tag) take_signals(orders);
            if (tag == line_tag) take_messages(orders);
        }
        return orders;
    }

    void say_drained() { link_.say_drained(); }
    [[nodiscard]] io::Descriptor take_config() { return link_.take_config(); }
    void ask_drain() { link_.ask_drain(); }

  private:
    // SIGTERM: somebody wants this process replaced, or meant all processes of the gateway, or the
    // master has died. In any case it drains; what comes then is said over the line.
    void take_signals(Orders& orders) {
        while (signals_.next()) orders.drain = true;
    }

    void take_messages(Orders& orders) {
        master::Peer peer;
        for (;;) {
            switch (link_.next(peer)) {
                case MasterSays::nothing:
                    return;
                case MasterSays::peer:
                    orders.peers.push_back(std::move(peer));
                    break;
                case MasterSays::drain:
                    orders.drain = true;
                    break;
                case MasterSays::shut_down:
                    orders.drain = orders.shut_down = true;
                    break;
                case MasterSays::stop:
                    orders.stop = true;
                    break;
                case MasterSays::reload:
                    orders.reload = true;
                    break;
                case MasterSays::lost:
                    orders.drain = orders.is_alone = true;
                    program_.unwatch(line_tag);
                    return;
            }
        }
    }

    io::Signals signals_;
    master::ChildLink link_;
    Program& program_;
};

template <class Program>
Result<void> adopt_listeners(Program& program, master::Child& child) {
    for (io::Descriptor& listener : child.listeners) {
        const auto taken = program.listen_on(listener.get());
        if (!taken) return tl::unexpected(taken.error());
        static_cast<void>(listener.release());
    }
    return {};
}

io::LoopOptions child_loop_options(const Config& config, io::LoopChoice choice) {
    io::LoopOptions options = loop_options(config);
    options.choice = choice;
    return options;
}

// What the master has read and found right; so the master has logged it, too.
bool apply_reload(std::string_view who,
                  const io::Descriptor& file,
                  ConfigSources& sources,
                  Config& config) {
    auto text = io::read_memory_file(file, config_size_max);
    if (!text) {
        log_error("{} keeps its configuration: {}", who, text.error().message);
        return false;
    }
    if (sources.file) sources.file_text = std::move(*text);
    const Reload result = reload(sources, config);
    for (const std::string& error : result.errors)
        log_error("{} keeps its configuration: {}", who, error);
    config = result.config;
    set_up_log(config.log);
    return true;
}

// Turns until the worker was told to end, and has.
void run_worker(worker::Worker& worker,
                Line<worker::Worker>& line,
                const io::Loop& loop,
                const master::Child& child,
                Config config,
                ConfigSources sources) {
    const std::string who = fmt::format("worker {}", child.index);
    Instant end = never;
    bool is_alone = false;
    bool has_said_drained = false;
    Instant wall_clock_due = Instant::min();
    while (loop.now() < end) {
        keep_wall_clock(worker, loop, wall_clock_due);
        const Instant deadline = std::min(loop.now() + beat_interval(config), end);
        Orders orders = line.take(worker.turn(deadline));
        if (orders.reload && apply_reload(who, line.take_config(), sources, config)) {
            worker.set_options(worker_options(config, child.workers));
        }
        log_seats(child.index, worker.take_seat_events());
        for (master::Peer& peer : orders.peers) worker.add_peer(peer_link(peer));
        if (orders.drain && !worker.is_draining()) {
            log_info(
                "worker {} drains: {} connections", child.index, worker.counters().connections);
            worker.begin_drain();
        }
        if (orders.shut_down || orders.stop) worker.shut_down();
        if (orders.stop) end = loop.now() + stop_time;
        is_alone = is_alone || orders.is_alone;
        // The figures first: who hears of the end looks at them.
        child.page->publish(child.place, worker.counters(), loop.now());
        if (!worker.is_finished()) continue;
        if (is_alone || end != never) break;
        if (!has_said_drained) line.say_drained();
        has_said_drained = true;
    }
    child.page->publish(child.place, worker.counters(), loop.now());
}

}  // namespace

int run_worker_process(Config config,
                       ConfigSources sources,
                       io::LoopChoice choice,
                       master::Child child) {
    const std::string who = fmt::format("worker {}", child.index);
    io::set_process_title("wspool: " + who, fmt::format("wspool/w{}", child.index));
    auto signals = io::Signals::block({SIGTERM});
    if (!signals) return fail_child(who, signals.error());
    auto chosen = io::make_loop(child_loop_options(config, choice));
    if (!chosen) return fail_child(who, chosen.error());
    io::Loop& loop = *chosen->loop;

    io::SystemEntropy entropy;
    worker::WorkerOptions options = worker_options(config, child.workers);
    options.exchange = exchange_options(options.exchange, child);
    options.is_alone = false;
    options.page = child.page;
    options.place = child.place;
    worker::Worker worker(loop, options, entropy);
    for (master::Peer& peer : child.peers) worker.add_peer(peer_link(peer));
    worker.become_home();
    Line<worker::Worker> line(std::move(*signals), std::move(child.master_link), worker);
    if (auto adopted = adopt_listeners(worker, child); !adopted) {
        return fail_child(who, adopted.error());
    }
    if (auto begun = line.begin(); !begun) return fail_child(who, begun.error());
    run_worker(worker, line, loop, child, std::move(config), std::move(sources));
    return exit_ok;
}

int run_control_process(Config config,
                        ConfigSources sources,
                        io::LoopChoice choice,
                        master::Child child) {
    constexpr std::string_view who = "the control process";
    io::set_process_title("wspool: control", "wspool/control");
    auto signals = io::Signals::block({SIGTERM});
    if (!signals) return fail_child(who, signals.error());
    auto chosen = io::make_loop(child_loop_options(config, choice));
    if (!chosen) return fail_child(who, chosen.error());
    io::Loop& loop = *chosen->loop;

    io::SystemEntropy entropy;
    control::ControlOptions options;
    options.connections_max_per_worker = config.limits.max_connections_per_worker;
    options.pools = seat_pools(config);
    options.guard.token = config.control.token;
    options.guard.checks_host = options.guard.token.empty() && config.control.address &&
                                config.control.address->family != io::Address::Family::unix_path;
    options.body_size_max =
        std::max<std::size_t>(options.body_size_max, config.limits.max_message_size + 4096);
    options.json_depth_max = config.limits.json_depth;
    const worker::WorkerOptions bounds = worker_options(config, child.workers);
    options.exchange = exchange_options(bounds.exchange, child);
    options.link = bounds.link;
    control::Control control(loop, *child.page, options, entropy);
    for (master::Peer& peer : child.peers) control.add_peer(peer_link(peer));
    Line<control::Control> line(std::move(*signals), std::move(child.master_link), control);
    if (auto adopted = adopt_listeners(control, child); !adopted) {
        return fail_child(who, adopted.error());
    }
    if (auto begun = line.begin(); !begun) return fail_child(who, begun.error());
    for (;;) {
        Orders orders = line.take(control.turn(loop.now() + beat_interval(config)));
        for (master::Peer& peer : orders.peers) control.add_peer(peer_link(peer));
        if (orders.reload) (void)apply_reload(who, line.take_config(), sources, config);
        child.page->publish(child.place, control.counters(), loop.now());
        if (orders.stop || orders.is_alone) return exit_ok;
        if (control.take_drain()) line.ask_drain();
        // It has no client to wait for.
        if (orders.drain) line.say_drained();
    }
}

}  // namespace wspool::app
