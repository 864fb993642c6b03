// Limits that hold for everybody, known or not: connections of one address, messages of one client
// (docs/security.md).
#include "worker/worker_state.h"

namespace wspool::worker {

using metrics::CloseReason;
using metrics::RejectReason;

bool Worker::State::knock(const session::Event& event, std::string& block) {
    if (!addresses) return true;
    // Whose peer cannot be told is gone already.
    if (const auto address = engine.peer_address(event.session))
        block = io::address_block(*address);
    switch (addresses->knock(block, engine.now(), event.tag != placed_tag)) {
        case AddressLimits::Verdict::welcome:
            return true;
        case AddressLimits::Verdict::too_many:
            refuse(event.session,
                   429,
                   "Too many connections from this address.\n",
                   RejectReason::connections_per_ip);
            return false;
        case AddressLimits::Verdict::too_fast:
            refuse(event.session,
                   429,
                   "Too many new connections from this address; come back later.\n",
                   RejectReason::connect_rate_per_ip);
            return false;
    }
    WSPOOL_UNREACHABLE();
}

// Who may not be what it is called in its token has the rates of its pool, or those of all.
std::uint8_t Worker::State::rate_class_of(std::size_t pool, std::string_view claimed) const {
    const std::uint8_t own = options.rates.find(claimed);
    if (own != 0 || pool == 0) return own;
    return options.rates.find(options.seats.dedicated[pool - 1].rate_class);
}

// False when the client was closed: others may send so much, but not those in its pool.
bool Worker::State::fits_pool(Client& client, std::size_t bytes) {
    if (client.pool == 0) return true;
    const std::uint64_t most = options.seats.dedicated[client.pool - 1].message_size_max;
    if (most == 0 || bytes <= most) return true;
    deactivate(client);
    engine.close(client.session,
                 ws::CloseCode::too_big,
                 "a message larger than this pool takes",
                 CloseReason::too_big);
    return false;
}

bool Worker::State::spend(Client& client, std::size_t bytes) {
    // One that is closing may still be heard, and counts no more.
    if (client.state != ClientState::active) return true;
    switch (throttle->spend(client.session.index, bytes, engine.now())) {
        case Throttle::Verdict::go_on:
            return true;
        case Throttle::Verdict::hold:
            hold(client, held_by_throttle);
            return true;
        case Throttle::Verdict::close: {
            const session::SessionId session = client.session;
            deactivate(client);
            engine.close(session,
                         ws::CloseCode::rate_limited,
                         "more messages than this server takes",
                         CloseReason::rate);
            return false;
        }
    }
    WSPOOL_UNREACHABLE();
}

void Worker::State::release_held() {
    if (!throttle) return;
    released.clear();
    throttle->release(engine.now(), released);
    for (const std::uint32_t index : released) let_go(clients[index], held_by_throttle);
}

void Worker::State::hold(Client& client, std::uint8_t reason) {
    if (client.held == 0) engine.pause(client.session);
    client.held |= reason;
}

void Worker::State::let_go(Client& client, std::uint8_t reason) {
    if ((client.held & reason) == 0) return;
    client.held = static_cast<std::uint8_t>(client.held & ~reason);
    if (client.held == 0) engine.resume(client.session);
}

}  // namespace wspool::worker
