// The other processes: their links, and what their records do to groups and ids.
#include "worker/worker_state.h"

namespace wspool::worker {

// What this turn owes the others leaves with the wait.
void Worker::State::flush_peers() {
    exchange.flush(engine.now());
    run_actions();
    peers.flush();
    settle_offers();
}

void Worker::State::read_peers() {
    while (peers.next(engine.now())) {
        run_actions();
        settle_offers();
    }
}

void Worker::add_peer(const link::PeerLink& peer) {
    state_->peers.add(peer, state_->engine.now());
    state_->run_actions();
    state_->settle_offers();
}

void Worker::become_home() {
    state_->exchange.become_home(state_->engine.now());
    state_->run_actions();
}

}  // namespace wspool::worker
