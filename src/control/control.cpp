#include "control/control.h"

#include "base/assert.h"
#include "control/answers.h"
#include "http/head.h"

#include <algorithm>

namespace wspool::control {

Control::Control(io::Loop& loop,
                 const metrics::Page& page,
                 const ControlOptions& options,
                 Entropy& entropy)
    : page_(page),
      connections_max_per_worker_(options.connections_max_per_worker),
      pools_(options.pools),
      engine_(loop, session::EngineOptions{}, entropy, counters_),
      exchange_(options.exchange, entropy),
      peers_(loop, options.link, exchange_) {}

void Control::add_peer(const link::PeerLink& peer) {
    peers_.add(peer, engine_.now());
    take_actions();
}

// It publishes nothing of its own, and has no session that an action could concern.
void Control::take_actions() {
    hub::Action action;
    while (exchange_.next_action(action)) {
    }
}

void Control::flush_peers() {
    exchange_.flush(engine_.now());
    take_actions();
    peers_.flush();
}

void Control::read_peers() {
    while (peers_.next(engine_.now())) take_actions();
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
    deadline = std::min(deadline, exchange_.next_deadline());
    flush_peers();
    if (peers_.wants_turn()) deadline = Instant::min();
    engine_.wait(deadline);
    for (const io::ShortSend& short_send : engine_.foreign_short_sends()) {
        peers_.on_short_send(short_send);
    }
    read_peers();
    exchange_.on_time(engine_.now());
    take_actions();
    session::Event event;
    while (engine_.next(event)) handle(event);
    return readable_;
}

void Control::handle(const session::Event& event) {
    switch (event.kind) {
        case session::EventKind::plain: {
            const Facts facts{page_, connections_max_per_worker_, engine_.now(), pools_};
            const Answer given =
                answer(event.request->method, http::path_of(event.request->target), facts);
            engine_.answer(
                event.session, given.status, given.body, given.headers, given.content_type);
            return;
        }
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
        case session::EventKind::abandoned:
        case session::EventKind::closed:
        case session::EventKind::opened:
        case session::EventKind::failed:
        case session::EventKind::pong:
        case session::EventKind::released:
            WSPOOL_UNREACHABLE();  // no session is ever opened
    }
}

}  // namespace wspool::control
