#include "sim/gateway.h"

#include <algorithm>

namespace wspool::sim {

namespace {

using namespace std::chrono_literals;

// As the programs of wspool serve: how often a worker turns when nothing happens, and how long it
// goes on when it was told to stop.
constexpr Duration beat_interval = 750ms;
constexpr Duration stop_time = 500ms;
// How long what passes between a process and its master may take, and a birth.
constexpr Duration line_delay_max = 3ms;
constexpr Duration boot_time_max = 20ms;
constexpr std::size_t last_orders_max = 8;

}  // namespace

Gateway::Gateway(
    const Swarm& swarm, Network& network, Journal& journal, History& history, Prng& prng)
    : swarm_(swarm),
      network_(network),
      journal_(journal),
      history_(history),
      prng_(prng),
      random_(swarm.seed ^ 0x67617465) {
    if (swarm.workers > 1) {
        start_master();
    } else {
        start_alone();
    }
}

Gateway::~Gateway() = default;

void Gateway::start_alone() {
    processes_ = std::vector<Process>(1);
    Process& process = processes_.front();
    process.life = Life::running;
    process.loop = std::make_unique<SimLoop>(network_, Waiting::yields);
    process.entropy = std::make_unique<SeededEntropy>(swarm_.seed ^ 0x656e74);
    process.worker =
        std::make_unique<worker::Worker>(*process.loop, swarm_.worker, *process.entropy);
    const auto address = process.worker->listen(address_);
    WSPOOL_ASSERT(address.has_value());
    address_ = *address;
}

void Gateway::start_master() {
    key_ = {random_.next(), random_.next()};
    processes_ = std::vector<Process>(swarm_.workers);
    heard_at_.resize(swarm_.workers);
    for (std::size_t place = 0; place < processes_.size(); ++place) {
        listeners_.push_back(network_.open_listener(address_));
    }
    master::SupervisorOptions options;
    options.workers = swarm_.workers;
    options.health_interval = Duration::zero();
    network_.set_local_tap(
        [this](const LinkRef& link, int side, std::string_view wanted, bool is_whole) {
            check_sent(link, side, wanted, is_whole);
        });
    supervisor_ = std::make_unique<master::Supervisor>(options, network_.now());
    master_turn();
}

Duration Gateway::draw_delay(Duration most) {
    return Duration(
        static_cast<Duration::rep>(1 + random_.below(static_cast<std::uint64_t>(most.count()))));
}

// ---- turns

Instant Gateway::next_turn_time() {
    Instant due = never;
    if (supervisor_) due = master_due_ = supervisor_->next_deadline();
    for (Process& process : processes_) {
        process.due = never;
        if (process.life != Life::running) continue;
        const Instant next = process.is_woken ? network_.now() : process.loop->next_turn_time();
        process.due = std::max(std::min(next, process.ends_at), process.free_at);
        due = std::min(due, process.due);
    }
    return due;
}

void Gateway::turn() {
    if (supervisor_ && master_due_ <= network_.now()) master_turn();
    for (std::size_t place = 0; place < processes_.size(); ++place) {
        const Process& process = processes_[place];
        if (process.life == Life::running && process.due <= network_.now()) turn(place);
    }
}

void Gateway::turn(std::size_t place) {
    Process& process = processes_[place];
    process.is_woken = false;
    if (process.last_orders) process.loop->die_within(*process.last_orders);
    static_cast<void>(process.worker->turn(supervisor_ ? network_.now() + beat_interval : never));
    ++turns_;
    if (process.last_orders) return die(place);
    process.free_at =
        network_.now() +
        Duration(static_cast<Duration::rep>(
            1 + prng_.below(static_cast<std::uint64_t>(swarm_.turn_cost_max.count()))));
    process.beat = network_.now();
    check_turn(process);
    if (supervisor_) follow_orders(place);
}

// What run_worker_process() does after each turn.
void Gateway::follow_orders(std::size_t place) {
    Process& process = processes_[place];
    for (; !process.line.empty(); process.line.pop_front()) {
        process.worker->add_peer(process.line.front());
        process.is_woken = true;
    }
    const bool is_finished = process.worker->is_finished();
    if (process.ends_at != never) {
        if (is_finished || process.ends_at <= network_.now()) end(place);
    } else if (is_finished && !process.has_said_drained) {
        process.has_said_drained = true;
        hear(place, [this, place] { supervisor_->on_drained(place, network_.now()); });
    }
}

// ---- births

void Gateway::start(std::size_t place, std::uint64_t incarnation) {
    Process& process = processes_[place];
    WSPOOL_ASSERT(process.life == Life::none);
    process.life = Life::booting;
    process.incarnation = incarnation;
    process.loop = std::make_unique<SimLoop>(network_, Waiting::yields);
    incarnations_[process.loop.get()] = incarnation;
    for (std::size_t other = 0; other < processes_.size(); ++other) {
        if (other != place && processes_[other].life != Life::none) link(place, other);
    }
    supervisor_->on_started(place, incarnation, network_.now());
    network_.schedule(network_.now() + draw_delay(boot_time_max), [this, place, incarnation] {
        if (find(place, incarnation) != nullptr) boot(place);
    });
}

// The fresh process has its ends at once, the other gets them over its line.
void Gateway::link(std::size_t place, std::size_t other) {
    const auto streams = network_.make_pair();
    const auto channels = network_.make_channel();
    const auto describe = [&](std::size_t of, std::size_t end) {
        link::PeerLink peer;
        peer.incarnation = processes_[of].incarnation;
        peer.index = static_cast<std::uint16_t>(of);
        peer.is_home = true;
        peer.stream = streams[end];
        peer.channel = channels[end];
        return peer;
    };
    processes_[place].peers.push_back(describe(other, 0));
    const link::PeerLink far = describe(place, 1);
    Process& to = processes_[other];
    to.line_arrival = std::max(to.line_arrival, network_.now() + draw_delay(line_delay_max));
    network_.schedule(to.line_arrival, [this, other, incarnation = to.incarnation, far] {
        if (Process* process = find(other, incarnation)) {
            process->line.push_back(far);
            process->is_woken = true;
        } else {
            discard(far);
        }
    });
}

void Gateway::boot(std::size_t place) {
    Process& process = processes_[place];
    process.life = Life::running;
    process.free_at = network_.now();
    process.entropy =
        std::make_unique<SeededEntropy>(Prng(swarm_.seed ^ process.incarnation << 40).next());
    worker::WorkerOptions options = swarm_.worker;
    options.is_alone = false;
    options.exchange.incarnation = process.incarnation;
    options.exchange.index = static_cast<std::uint16_t>(place);
    options.exchange.index_count = static_cast<std::uint16_t>(processes_.size());
    options.exchange.key = key_;
    process.worker = std::make_unique<worker::Worker>(*process.loop, options, *process.entropy);
    for (const link::PeerLink& peer : process.peers) process.worker->add_peer(peer);
    process.peers.clear();
    process.worker->become_home();
    const auto listens = process.worker->listen_on(network_.duplicate(listeners_[place]));
    WSPOOL_ASSERT(listens.has_value());
    process.is_woken = true;
    note(process, "serves");
    hear(place, [this, place] { supervisor_->on_ready(place, network_.now()); });
}

// ---- deaths

void Gateway::crash(bool prefers_young) {
    if (!is_ready_) return;
    std::vector<std::size_t> living;
    for (std::size_t place = 0; place < processes_.size(); ++place) {
        if (processes_[place].life != Life::none) living.push_back(place);
    }
    if (living.empty()) return;
    std::size_t victim = living[random_.below(living.size())];
    if (prefers_young) {
        victim = *std::max_element(living.begin(), living.end(), [this](auto a, auto b) {
            return processes_[a].incarnation < processes_[b].incarnation;
        });
    }
    Process& process = processes_[victim];
    const bool is_frozen = process.free_at > network_.now() + swarm_.turn_cost_max;
    if (process.life == Life::booting || is_frozen || random_.chance(0.4)) return die(victim);
    // Between any two system calls of its next turn.
    process.last_orders = random_.below(last_orders_max);
    process.is_woken = true;
}

void Gateway::freeze(Duration time) {
    Process& process = processes_[random_.below(processes_.size())];
    if (process.life != Life::running) return;
    note(process, "is frozen for " + std::to_string(time / 1ms) + " ms");
    process.free_at = std::max(process.free_at, network_.now() + time);
}

void Gateway::die(std::size_t place) {
    Process& process = processes_[place];
    note(process, "dies");
    ++deaths_;
    history_.deaths[process.incarnation] = network_.now();
    process.loop->die();
    on_death_(*process.loop);
    hear(place, [this, place] { supervisor_->on_ended(place, true, 9, network_.now()); });
    clear(place);
}

void Gateway::end(std::size_t place) {
    Process& process = processes_[place];
    note(process, "ends");
    check_left(process);
    process.loop->die();
    hear(place, [this, place] { supervisor_->on_ended(place, false, 0, network_.now()); });
    clear(place);
}

void Gateway::discard(const link::PeerLink& peer) {
    network_.discard(peer.stream);
    network_.discard(peer.channel);
}

// The place is free; what the dead one counted on is given back, as the kernel does.
void Gateway::clear(std::size_t place) {
    Process& process = processes_[place];
    for (const link::PeerLink& peer : process.peers) discard(peer);
    for (const link::PeerLink& peer : process.line) discard(peer);
    dead_loops_.push_back(std::move(process.loop));
    const Instant beat = process.beat;
    process = Process{};
    process.beat = beat;
}

Gateway::Process* Gateway::find(std::size_t place, std::uint64_t incarnation) {
    Process& process = processes_[place];
    return process.life != Life::none && process.incarnation == incarnation ? &process : nullptr;
}

std::uint64_t Gateway::incarnation_of(const SimLoop* loop) const {
    const auto found = incarnations_.find(loop);
    return found != incarnations_.end() ? found->second : 0;
}

void Gateway::note(const Process& process, const std::string& text) {
    journal_.note("worker " + std::to_string(&process - processes_.data()) + " #" +
                  std::to_string(process.incarnation) + " " + text);
}

// ---- the master

void Gateway::master_turn() {
    for (std::size_t place = 0; place < processes_.size(); ++place) {
        supervisor_->on_heartbeat(place, processes_[place].beat, network_.now());
    }
    supervisor_->on_time(network_.now());
    master::Action action;
    while (supervisor_->next_action(action)) act(action);
    supervisor_->check_invariants();
}

void Gateway::act(const master::Action& action) {
    using enum master::ActionKind;
    switch (action.kind) {
        case start:
            return this->start(action.place, action.incarnation);
        case kill:
            if (find(action.place, action.incarnation) != nullptr) die(action.place);
            return;
        case drain:
            return tell(action.place, [](Process& process) { process.worker->begin_drain(); });
        case shut_down:
            return tell(action.place, [](Process& process) { process.worker->shut_down(); });
        case stop:
            return tell(action.place, [this](Process& process) {
                process.worker->shut_down();
                process.ends_at = network_.now() + stop_time;
            });
        case ready:
            is_ready_ = true;
            return;
        case finished:
            is_finished_ = true;
            for (const int listener : listeners_) network_.discard(listener);
            return;
        case stalled:
            return journal_.note("the master kills a worker that stands still");
        case crash_loop:
            return journal_.note("the master puts a start off");
        case check_health:
        case died:
        case start_failed:
        case draining:
        case shutting_down:
        case reload:
        case cannot_upgrade:
            return;
    }
}

// After a while, if that process still is there; one that is not born yet hears it when it is.
void Gateway::tell(std::size_t place, const std::function<void(Process&)>& what) {
    Process& to = processes_[place];
    to.line_arrival = std::max(to.line_arrival, network_.now() + draw_delay(line_delay_max));
    network_.schedule(to.line_arrival, [this, place, incarnation = to.incarnation, what] {
        Process* process = find(place, incarnation);
        if (process == nullptr) return;
        if (process->life == Life::booting) return tell(place, what);
        what(*process);
        process->is_woken = true;
    });
}

// What the master hears of the process at this place, a while later and in order.
void Gateway::hear(std::size_t place, std::function<void()> what) {
    heard_at_[place] = std::max(heard_at_[place], network_.now() + draw_delay(line_delay_max));
    network_.schedule(heard_at_[place], [this, what = std::move(what)] {
        what();
        master_turn();
    });
}

void Gateway::drain() {
    if (!supervisor_) {
        processes_.front().worker->begin_drain();
        return turn_alone();
    }
    supervisor_->on_order(master::Order::end, network_.now());
    master_turn();
}

void Gateway::shut_down() {
    if (!supervisor_) {
        processes_.front().worker->shut_down();
        return turn_alone();
    }
    if (!supervisor_->is_draining()) drain();
    drain();
}

// What was decided between two turns is done at once.
void Gateway::turn_alone() {
    processes_.front().free_at = network_.now();
    static_cast<void>(processes_.front().worker->turn(network_.now()));
}

bool Gateway::is_over() const {
    return supervisor_ ? is_finished_ : processes_.front().loop->open_count() == 1;
}

}  // namespace wspool::sim
