#include "worker/worker.h"

#include "worker/worker_state.h"

#include <algorithm>
#include <utility>

namespace wspool::worker {
namespace {

// A lone worker shares no key with anybody.
[[nodiscard]] TicketKey make_ticket_key(bool is_alone, const HashKey& key, Entropy& entropy) {
    if (!is_alone) return derive_ticket_key(key);
    TicketKey drawn{};
    entropy.fill(std::as_writable_bytes(std::span(drawn)));
    return drawn;
}

}  // namespace

Worker::State::State(io::Loop& loop_in, const WorkerOptions& options_in, Entropy& entropy)
    : loop(loop_in),
      options(options_in),
      engine(loop, options.engine, entropy, counters),
      exchange(options.exchange, entropy),
      peers(loop, options.link, exchange),
      parser({.depth_max = options.json_depth_max}),
      jitter(entropy.next_u64()),
      ticket_key(make_ticket_key(options.is_alone, options.exchange.key, entropy)),
      tickets(options.exchange.incarnation, options.seats.ticket_time, options.seats.tickets_max) {
    make_seat_pools();
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
    settle_seats();
}

Instant Worker::State::next_deadline() {
    Instant deadline = std::min(exchange.next_deadline(), seat_deadline());
    if (!checks.empty()) deadline = std::min(deadline, checks.front().deadline);
    for (const Command& command : commands) deadline = std::min(deadline, command.deadline);
    if (identities) deadline = std::min(deadline, identities->next_deadline());
    if (throttle) deadline = std::min(deadline, throttle->next_deadline());
    if (!to_drain.empty()) deadline = std::min(deadline, drain_step());
    return deadline;
}

// What other objects count, as it stands at the end of the turn.
void Worker::State::count_exchange() {
    const hub::ExchangeFigures figures = exchange.figures();
    counters.publishes_in_flight = figures.window_records;
    counters.window_bytes = figures.window_bytes;
    counters.publishes_parked = figures.parked;
    counters.parked_bytes = figures.parked_bytes;
    counters.joins_waiting = figures.joins_waiting;
    counters.log_records = figures.log_records;
    counters.log_bytes = figures.log_bytes;
    counters.history_messages = figures.history_messages;
    counters.history_bytes = figures.history_bytes;
    counters.groups_homed = figures.groups_homed;
    counters.ids_registered = figures.ids;
    counters.names = figures.names;
    counters.joins_recovered = figures.recovered_total;
    counters.joins_unrecovered = figures.unrecovered_total;
    counters.publishes_unavailable = figures.unavailable_total;
    counters.publishes_parked_out = figures.parked_out_total;
    counters.publishes_resent = figures.resent_total;
    counters.publishes_poison = figures.poison_total;
    counters.home_openings = figures.openings_total;
    counters.home_holes = figures.holes_total;
    const link::Figures& links = peers.figures();
    counters.links = links.links;
    counters.link_queued_bytes = links.queued;
    counters.link_queued_peak = links.queued_peak;
    counters.links_ended = links.links_ended;
    counters.link_records_received = links.records_in;
    counters.link_records_sent = links.records_out;
    counters.link_bytes_received = links.bytes_in;
    counters.link_bytes_sent = links.bytes_out;
    counters.link_bytes_lost = links.bytes_lost;
}

Worker::Worker(io::Loop& loop, const WorkerOptions& options, Entropy& entropy)
    : state_(std::make_unique<State>(loop, options, entropy)) {}

Worker::~Worker() = default;

// Who is here stays, with what the token said. Whether tokens are asked for does not change.
void Worker::State::take_auth(const AuthOptions& auth) {
    if (!verifier || !auth.verifier) return;
    auto made = auth::Verifier::make(*auth.verifier);
    WSPOOL_ASSERT(made.has_value());
    verifier = std::move(*made);
    options.auth = auth;
}

void Worker::set_options(const WorkerOptions& options) {
    State& state = *state_;
    state.options.engine = options.engine;
    state.options.json_depth_max = options.json_depth_max;
    state.options.bad_messages_max = options.bad_messages_max;
    state.options.drain_time = options.drain_time;
    state.options.seats.is_traced = options.seats.is_traced;
    state.take_auth(options.auth);
    state.parser = protocol::Parser({.depth_max = options.json_depth_max});
    state.engine.set_options(options.engine);
    state.exchange.set_bounds(options.exchange, state.engine.now());
    state.run_actions();
}

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
    state.settle_seats();
    deadline = std::min(deadline, state.next_deadline());
    state.flush_peers();
    if (state.peers.wants_turn() || state.is_stirred) deadline = Instant::min();
    state.engine.wait(deadline);
    for (const io::ShortSend& short_send : state.engine.foreign_short_sends())
        state.peers.on_short_send(short_send);
    state.read_peers();
    state.exchange.on_time(state.engine.now());
    state.end_expired();
    state.release_held();
    state.run_actions();
    state.pass_seat_time();
    state.settle_seats();
    session::Event event;
    while (state.engine.next(event)) state.handle(event);
    if (!state.checks.empty()) {  // behind the signs of life that have come meanwhile
        state.end_checks();
        state.run_actions();
    }
    state.places.clear();
    state.counters.groups = state.exchange.group_count();
    state.counters.connections_pending = state.peers.offers().arriving();
    state.counters.placements_in_flight = state.peers.offers().outgoing();
    if (state.engine.now() >= state.count_due) {
        state.count_exchange();
        state.count_due = state.engine.now() + count_interval;
    }
    return state.readable;
}

const metrics::Counters& Worker::counters() const {
    return state_->counters;
}

std::vector<SeatEvent> Worker::take_seat_events() {
    return std::exchange(state_->seat_events, {});
}

const hub::Exchange& Worker::exchange() const {
    return state_->exchange;
}

void Worker::check_invariants() const {
    state_->engine.check_invariants();
    state_->exchange.check_invariants();
    state_->check_seats();
}

}  // namespace wspool::worker
