#include "link/peer_links.h"

#include "wire/records.h"

#include <algorithm>

namespace wspool::link {
namespace {

// The link has checked the header.
[[nodiscard]] wire::RecordType type_of(ByteView record) {
    wire::Header header;
    (void)wire::read_header(record, record.size(), header);
    return header.type;
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

bool PeerLinks::next(Instant now, Event& other, bool& is_other) {
    is_other = false;
    if (!links_.next(other)) return false;
    switch (other.kind) {
        case EventKind::record:
            if (!hub::Exchange::is_mine(type_of(other.bytes))) {
                is_other = true;
                return true;
            }
            // Nonsense from a process of our own: whatever it is, it is no peer any more.
            if (!exchange_.on_record(other.peer, other.bytes, now)) end(other.peer, now);
            return true;
        case EventKind::descriptor:
            is_other = true;
            return true;
        case EventKind::ended:
            end(other.peer, now);
            is_other = true;
            return true;
    }
    return false;
}

}  // namespace wspool::link
