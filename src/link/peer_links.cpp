#include "link/peer_links.h"

#include "base/assert.h"
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

// A process without all its links cannot keep the protocol, and two that do not understand each
// other are of one binary: one of them is broken. The master replaces this one, which is then
// linked to all anew (docs/decisions/0018).
void PeerLinks::give_up(wire::Incarnation peer, std::string_view why) {
    const std::string sentence = "the link to incarnation " + std::to_string(peer) +
                                 " is lost, and not by its end: " + std::string(why);
    assertion_failed(sentence.c_str(), __FILE__, __LINE__);
}

void PeerLinks::add(const PeerLink& peer, Instant now) {
    exchange_.add_peer(peer.incarnation, peer.index, peer.is_home, now);
    peers_.push_back(peer.incarnation);
    const Result<void> added = links_.add(peer.incarnation, peer.stream, peer.channel);
    if (!added) give_up(peer.incarnation, added.error().message);
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
        case EventKind::record: {
            if (is_owners(event.bytes)) {
                own_ = {event.peer, event.bytes};
                break;
            }
            const Result<void> taken = exchange_.on_record(event.peer, event.bytes, now);
            if (!taken) give_up(event.peer, taken.error().message);
            break;
        }
        case EventKind::descriptor:
            if (event.fd >= 0) loop_.discard(event.fd);
            break;
        case EventKind::ended:
            if (event.is_cut) give_up(event.peer, event.text);
            end(event.peer, now);
            break;
    }
    return true;
}

}  // namespace wspool::link
