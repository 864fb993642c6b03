#include "worker/worker.h"

#include "worker/worker_state.h"

#include <algorithm>

namespace wspool::worker {

Worker::State::State(io::Loop& loop, const WorkerOptions& options_in, Entropy& entropy)
    : options(options_in),
      engine(loop, options.engine, entropy, counters),
      exchange(options.exchange, entropy),
      peers(loop, options.link, exchange),
      parser({.depth_max = options.json_depth_max}),
      jitter(entropy.next_u64()) {
    if (options.auth.verifier) {
        auto made = auth::Verifier::make(*options.auth.verifier);
        WSPOOL_ASSERT(made.has_value());
        verifier = std::move(*made);
        identities = std::make_unique<Identities>(engine.now());
    }
    if (options.addresses.is_on()) {
        addresses = std::make_unique<AddressLimits>(
            options.addresses, HashKey{entropy.next_u64(), entropy.next_u64()});
    }
    if (options.rates.is_on()) throttle = std::make_unique<Throttle>(options.rates, engine.now());
    exchange.set_prefix(protocol::append_broadcast_prefix);
    if (options.is_alone) exchange.become_home(engine.now());
}

// Ends with the actions that the event led to, while its bytes are there: the exchange takes no
// further publish, join or id before they were taken.
void Worker::State::handle(const session::Event& event) {
    switch (event.kind) {
        case session::EventKind::message:
            on_message(event);
            break;
        case session::EventKind::opening:
            on_opening(event);
            break;
        case session::EventKind::plain:
            on_plain(event);
            break;
        case session::EventKind::closed:
        case session::EventKind::abandoned:
            if (Client* client = find(to_hub(event.session))) deactivate(*client);
            break;
        case session::EventKind::pong:
            on_pong(event.session);
            break;
        case session::EventKind::readable:
            readable.push_back(event.tag);
            break;
        case session::EventKind::stream:
            peers.on_event(*event.stream);
            read_peers();
            break;
        case session::EventKind::opened:
        case session::EventKind::failed:
        case session::EventKind::released:
            WSPOOL_UNREACHABLE();  // the worker opens no connection itself
    }
    run_actions();
}

Instant Worker::State::next_deadline() {
    Instant deadline = exchange.next_deadline();
    if (!checks.empty()) deadline = std::min(deadline, checks.front().deadline);
    if (identities) deadline = std::min(deadline, identities->next_deadline());
    if (throttle) deadline = std::min(deadline, throttle->next_deadline());
    if (!to_drain.empty()) deadline = std::min(deadline, drain_step());
    return deadline;
}

Worker::Worker(io::Loop& loop, const WorkerOptions& options, Entropy& entropy)
    : state_(std::make_unique<State>(loop, options, entropy)) {}

Worker::~Worker() = default;

Result<io::Address> Worker::listen(const io::Address& address) {
    return state_->engine.listen(address);
}

Result<io::Address> Worker::listen_on(int fd) {
    return state_->engine.listen_on(fd);
}

Result<void> Worker::watch(int fd, std::uint64_t tag) {
    return state_->engine.watch(fd, tag);
}

void Worker::unwatch(std::uint64_t tag) {
    state_->engine.unwatch(tag);
}

void Worker::set_wall_clock(WallTime wall, Instant at) {
    if (state_->identities) state_->identities->set_wall_clock(wall, at);
}

std::span<const std::uint64_t> Worker::turn(Instant deadline) {
    State& state = *state_;
    state.readable.clear();
    deadline = std::min(deadline, state.next_deadline());
    state.flush_peers();
    if (state.peers.wants_turn()) deadline = Instant::min();
    state.engine.wait(deadline);
    for (const io::ShortSend& short_send : state.engine.foreign_short_sends())
        state.peers.on_short_send(short_send);
    state.read_peers();
    state.exchange.on_time(state.engine.now());
    state.end_checks();
    state.end_expired();
    state.release_held();
    state.run_actions();
    session::Event event;
    while (state.engine.next(event)) state.handle(event);
    state.counters.groups = state.exchange.group_count();
    return state.readable;
}

const metrics::Counters& Worker::counters() const {
    return state_->counters;
}

void Worker::check_invariants() const {
    state_->engine.check_invariants();
    state_->exchange.check_invariants();
}

}  // namespace wspool::worker
