// The other processes: their links, and what their records do to groups and ids.
#include "worker/worker_state.h"

namespace wspool::worker {

// What this turn owes the others leaves with the wait.
void Worker::State::flush_peers() {
    exchange.flush(engine.now());
    run_actions();
    peers.flush();
}

void Worker::State::read_peers() {
    link::Event other;
    bool is_other = false;
    while (peers.next(engine.now(), other, is_other)) {
        if (is_other) on_peer(other);
        run_actions();
    }
}

void Worker::State::on_peer(const link::Event& event) {
    switch (event.kind) {
        case link::EventKind::record:
        case link::EventKind::ended:
            return;
        case link::EventKind::descriptor:
            if (event.fd >= 0) loop.discard(event.fd);
            return;
    }
}

void Worker::add_peer(const link::PeerLink& peer) {
    state_->peers.add(peer, state_->engine.now());
    state_->run_actions();
}

void Worker::become_home() {
    state_->exchange.become_home(state_->engine.now());
    state_->run_actions();
}

const hub::Exchange& Worker::exchange() const {
    return state_->exchange;
}

}  // namespace wspool::worker
