#include "link/peer_links.h"

#include "wire/records.h"

#include <algorithm>

namespace wspool::link {
namespace {

[[nodiscard]] bool is_owners(ByteView record) {
    wire::Header header;
    return wire::read_header(record, record.size(), header) == wire::HeaderOutcome::ok &&
           wire::is_owners(header.type);
}

}  // namespace

void PeerLinks::add(const PeerLink& peer, Instant now) {
    exchange_.add_peer(peer.incarnation, peer.index, peer.is_home, now);
    peers_.push_back(peer.incarnation);
    if (!links_.add(peer.incarnation, peer.stream, peer.channel)) end(peer.incarnation, now);
}

void PeerLinks::end(wire::Incarnation peer, Instant now) {
    const auto at = std::find(peers_.begin(), peers_.end(), peer);
    if (at == peers_.end()) return;
    peers_.erase(at);
    links_.remove(peer);
    exchange_.on_peer_ended(peer, now);
}

void PeerLinks::flush() {
    for (const wire::Incarnation peer : peers_) {
        ByteBuffer* records = exchange_.outgoing(peer);
        if (records != nullptr && !records->empty()) links_.send(peer, *records);
    }
    links_.flush();
}

bool PeerLinks::next(Instant now) {
    Event event;
    own_ = {};
    if (!links_.next(event)) return false;
    switch (event.kind) {
        case EventKind::record:
            if (is_owners(event.bytes)) {
                own_ = {event.peer, event.bytes};
                break;
            }
            // Nonsense from a process of our own: whatever it is, it is no peer any more.
            if (!exchange_.on_record(event.peer, event.bytes, now)) end(event.peer, now);
            break;
        case EventKind::descriptor:
            if (event.fd >= 0) loop_.discard(event.fd);
            break;
        case EventKind::ended:
            end(event.peer, now);
            break;
    }
    return true;
}

}  // namespace wspool::link
