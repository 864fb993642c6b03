#include "control/control.h"

#include "base/assert.h"

#include <algorithm>

namespace wspool::control {
namespace {

// How long a publish waits for a home, so that who asked hears of it in time.
constexpr Duration home_wait = std::chrono::seconds(3);

[[nodiscard]] session::EngineOptions engine_options(const ControlOptions& options) {
    session::EngineOptions result;
    result.head.body_size_max = options.body_size_max;
    result.sessions_max = options.requests_max;
    return result;
}

[[nodiscard]] hub::ExchangeOptions exchange_options(const ControlOptions& options) {
    hub::ExchangeOptions result = options.exchange;
    result.home_wait = home_wait;
    return result;
}

[[nodiscard]] ApiOptions api_options(const ControlOptions& options) {
    ApiOptions result;
    result.incarnation = options.exchange.incarnation;
    result.connections_max_per_worker = options.connections_max_per_worker;
    result.pools = options.pools;
    result.limits.depth_max = options.json_depth_max;
    return result;
}

}  // namespace

Control::Control(io::Loop& loop,
                 const metrics::Page& page,
                 const ControlOptions& options,
                 Entropy& entropy)
    : engine_(loop, engine_options(options), entropy, counters_),
      exchange_(exchange_options(options), entropy),
      peers_(loop, options.link, exchange_),
      guard_(options.guard),
      api_(api_options(options), page, exchange_) {}

void Control::add_peer(const link::PeerLink& peer) {
    peers_.add(peer, engine_.now());
    api_.set_worker(peer.index, peer.incarnation);
    take_actions();
}

// No session is its, so actions concern only what the API has published.
void Control::take_actions() {
    do {
        hub::Action action;
        while (exchange_.next_action(action)) api_.on_action(action);
    } while (api_.advance(engine_.now()));
    Api::Answered answered;
    while (api_.next_answer(answered)) send(answered.session, answered.answer);
}

void Control::send(session::SessionId session, const Answer& answer) {
    engine_.answer(session, answer.status, answer.body, answer.headers, answer.content_type);
}

void Control::flush_peers() {
    exchange_.flush(engine_.now());
    take_actions();
    peers_.flush();
}

void Control::read_peers() {
    while (peers_.next(engine_.now())) {
        const link::PeerLinks::OwnRecord& own = peers_.own();
        if (own.peer != 0 && !api_.on_record(own.peer, own.bytes, engine_.now())) {
            link::PeerLinks::give_up(own.peer, "it sent a record that cannot be read.");
        }
        take_actions();
    }
}

Result<io::Address> Control::listen_on(int fd) {
    return engine_.listen_on(fd);
}

Result<void> Control::watch(int fd, std::uint64_t tag) {
    return engine_.watch(fd, tag);
}

void Control::unwatch(std::uint64_t tag) {
    engine_.unwatch(tag);
}

std::span<const std::uint64_t> Control::turn(Instant deadline) {
    readable_.clear();
    deadline = std::min({deadline, exchange_.next_deadline(), api_.next_deadline()});
    flush_peers();
    if (peers_.wants_turn()) deadline = Instant::min();
    engine_.wait(deadline);
    for (const io::ShortSend& short_send : engine_.foreign_short_sends()) {
        peers_.on_short_send(short_send);
    }
    read_peers();
    exchange_.on_time(engine_.now());
    api_.on_time(engine_.now());
    take_actions();
    session::Event event;
    while (engine_.next(event)) handle(event);
    return readable_;
}

void Control::on_plain(const session::Event& event) {
    if (const auto refused = guard_.judge(*event.request)) return send(event.session, *refused);
    const Request request{event.request->method, event.request->target, event.payload};
    api_.on_request(event.session, request, engine_.now());
    // Answered below, or when the workers have spoken.
    engine_.put_off(event.session);
    take_actions();
}

void Control::handle(const session::Event& event) {
    switch (event.kind) {
        case session::EventKind::plain:
            on_plain(event);
            return;
        case session::EventKind::abandoned:
            api_.on_abandoned(event.session);
            return;
        case session::EventKind::opening:
            engine_.refuse(event.session,
                           404,
                           "No WebSocket is served here: this is the control API.\n",
                           metrics::RejectReason::upgrade);
            return;
        case session::EventKind::readable:
            readable_.push_back(event.tag);
            return;
        case session::EventKind::stream:
            peers_.on_event(*event.stream);
            read_peers();
            return;
        case session::EventKind::message:
        case session::EventKind::closed:
        case session::EventKind::opened:
        case session::EventKind::failed:
        case session::EventKind::pong:
        case session::EventKind::released:
            WSPOOL_UNREACHABLE();  // no session is ever opened
    }
}

}  // namespace wspool::control
