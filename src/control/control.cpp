#include "control/control.h"

#include "base/assert.h"
#include "control/answers.h"
#include "http/head.h"

namespace wspool::control {

Control::Control(io::Loop& loop,
                 const metrics::Page& page,
                 std::uint64_t connections_max_per_worker,
                 Entropy& entropy)
    : page_(page),
      connections_max_per_worker_(connections_max_per_worker),
      engine_(loop, session::EngineOptions{}, entropy, counters_) {}

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
    engine_.wait(deadline);
    session::Event event;
    while (engine_.next(event)) handle(event);
    return readable_;
}

void Control::handle(const session::Event& event) {
    switch (event.kind) {
        case session::EventKind::plain: {
            const Facts facts{page_, connections_max_per_worker_, engine_.now()};
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
        case session::EventKind::message:
        case session::EventKind::closed:
        case session::EventKind::opened:
        case session::EventKind::failed:
        case session::EventKind::pong:
        case session::EventKind::released:
        case session::EventKind::stream:
            WSPOOL_UNREACHABLE();  // no session is ever opened, no other stream held
    }
}

}  // namespace wspool::control
