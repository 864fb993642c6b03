// The other processes: their links, and what their records do to groups and ids.
#include "worker/worker_state.h"

#include <algorithm>

namespace wspool::worker {

void Worker::State::add_peer(const PeerLink& peer) {
    exchange.add_peer(peer.incarnation, peer.index, peer.is_home, engine.now());
    peers.push_back(peer.incarnation);
    if (!links.add(peer.incarnation, peer.stream, peer.channel)) end_peer(peer.incarnation);
    run_actions();
}

void Worker::State::end_peer(wire::Incarnation peer) {
    const auto at = std::find(peers.begin(), peers.end(), peer);
    if (at == peers.end()) return;
    peers.erase(at);
    links.remove(peer);
    exchange.on_peer_ended(peer, engine.now());
    run_actions();
}

// What the last turn owes the others leaves with this one's wait.
void Worker::State::flush_links() {
    exchange.flush(engine.now());
    run_actions();
    for (const wire::Incarnation peer : peers) {
        ByteBuffer* records = exchange.outgoing(peer);
        if (records != nullptr && !records->empty()) links.send(peer, *records);
    }
    links.flush();
}

void Worker::State::read_links() {
    link::Event event;
    while (links.next(event)) on_link(event);
}

void Worker::State::on_link(const link::Event& event) {
    switch (event.kind) {
        case link::EventKind::record:
            // Nonsense from a process of our own: whatever it is, it is no peer any more.
            if (!exchange.on_record(event.peer, event.bytes, engine.now())) end_peer(event.peer);
            run_actions();
            return;
        case link::EventKind::descriptor:
            return;
        case link::EventKind::ended:
            end_peer(event.peer);
            return;
    }
}

void Worker::add_peer(const PeerLink& peer) {
    state_->add_peer(peer);
}

void Worker::become_home() {
    state_->exchange.become_home(state_->engine.now());
    state_->run_actions();
}

const hub::Exchange& Worker::exchange() const {
    return state_->exchange;
}

}  // namespace wspool::worker
