// Drain: everybody is told and closed, spread over the drain time.
#include "worker/worker_state.h"

#include <algorithm>

namespace wspool::worker {

using metrics::CloseReason;

// Closes whoever is due by now; returns when the next one is.
Instant Worker::State::drain_step() {
    const Duration passed = engine.now() - drain_started;
    while (!to_drain.empty()) {
        const auto done = static_cast<Duration::rep>(drain_count - to_drain.size());
        const Duration due = options.drain_time / static_cast<Duration::rep>(drain_count) * done;
        if (due > passed) return drain_started + due;
        const session::SessionId id = to_drain.back();
        to_drain.pop_back();
        Client* client = find(to_hub(id));
        if (client == nullptr || client->state != ClientState::active) continue;
        tell_draining(*client);
        engine.close(id, ws::CloseCode::service_restart, "restart", CloseReason::drained);
    }
    return never;
}

void Worker::State::tell_draining(Client& client) {
    if (client.is_echo) return;
    scratch.clear();
    protocol::append_draining(scratch, 500 + jitter.below(4500));
    answer(client);
}

// Who waits for a seat is told at once: there will be none.
void Worker::State::close_seat_pools() {
    for (pool::Admission& pool : seat_pools) pool.close(engine.now());
    is_stirred = true;
    settle_seats();
}

void Worker::begin_drain() {
    State& state = *state_;
    if (state.is_draining) return;
    state.is_draining = true;
    state.drain_started = state.engine.now();
    state.close_seat_pools();
    for (std::uint32_t index = 0; index < state.clients.size(); ++index) {
        const Client& client = state.clients[index];
        if (client.state == ClientState::active) state.to_drain.push_back(client.session);
    }
    state.drain_count = state.to_drain.size();
    for (std::size_t i = state.drain_count; i > 1; --i) {
        std::swap(state.to_drain[i - 1], state.to_drain[state.jitter.below(i)]);
    }
    (void)state.drain_step();
}

void Worker::shut_down() {
    State& state = *state_;
    state.is_draining = true;
    state.to_drain.clear();
    state.close_seat_pools();
    for (std::uint32_t index = 0; index < state.clients.size(); ++index) {
        Client& client = state.clients[index];
        const bool is_undecided =
            client.state == ClientState::registering || client.state == ClientState::arriving;
        if (is_undecided) state.refuse_draining(client);
        if (client.state != ClientState::active) continue;
        state.engine.close(
            client.session, ws::CloseCode::going_away, "shutdown", CloseReason::shutdown);
    }
    state.run_actions();
}

bool Worker::is_draining() const {
    return state_->is_draining;
}

bool Worker::is_finished() const {
    const link::Offers& offers = state_->peers.offers();
    return state_->is_draining && state_->engine.session_count() == 0 && offers.outgoing() == 0 &&
           offers.arriving() == 0;
}

}  // namespace wspool::worker
