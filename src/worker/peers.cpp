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
        const link::PeerLinks::OwnRecord& own = peers.own();
        if (own.peer != 0 && !on_own_record(own))
            link::PeerLinks::give_up(own.peer, "it sent a record that cannot be read.");
        run_actions();
        settle_offers();
    }
    if (!asked_tickets.empty()) end_asked_tickets();
}

// False: it was nonsense.
bool Worker::State::on_own_record(const link::PeerLinks::OwnRecord& record) {
    wire::Header header;
    if (wire::read_header(record.bytes, record.bytes.size(), header) != wire::HeaderOutcome::ok)
        return false;
    return wire::is_of_control(header.type) ? on_question(record)
                                            : on_ticket_record(record.peer, record.bytes);
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
