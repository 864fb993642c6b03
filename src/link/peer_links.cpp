#include "link/peer_links.h"

#include "base/assert.h"

#include <algorithm>

namespace wspool::link {

// Closes what is under way.
PeerLinks::~PeerLinks() {
    for (const wire::Incarnation peer : peers_) offers_.on_ended(peer, true);
    OfferEvent event;
    while (offers_.next(event)) {
        if (event.connection.fd >= 0) loop_.discard(event.connection.fd);
    }
}

void PeerLinks::add(const PeerLink& peer, Instant now) {
    exchange_.add_peer(peer.incarnation, peer.index, peer.is_home, now);
    peers_.push_back(peer.incarnation);
    if (!links_.add(peer.incarnation, peer.stream, peer.channel)) {
        end(peer.incarnation, true, now);
    }
}

void PeerLinks::end(wire::Incarnation peer, bool is_cut, Instant now) {
    const auto at = std::find(peers_.begin(), peers_.end(), peer);
    if (at == peers_.end()) return;
    peers_.erase(at);
    links_.remove(peer);
    offers_.on_ended(peer, is_cut);
    exchange_.on_peer_ended(peer, now);
}

void PeerLinks::flush() {
    for (const wire::Incarnation peer : peers_) {
        ByteBuffer* records = exchange_.outgoing(peer);
        if (records != nullptr && !records->empty()) links_.send(peer, *records);
        if (offers_.arriving() > 0) {
            offers_.on_handed_over(peer, links_.progress(peer).handed_over);
        }
    }
    links_.flush();
    if (offers_.arriving() == 0) return;
    for (const wire::Incarnation peer : peers_) {
        offers_.on_written(peer, links_.progress(peer).written);
    }
}

// What a wait() has sent is known after it, and nothing that happens may tell.
bool PeerLinks::wants_turn() const {
    return links_.wants_turn() ||
           std::any_of(peers_.begin(), peers_.end(), [&](wire::Incarnation peer) {
               return offers_.awaits_writing(peer) && links_.progress(peer).is_sending;
           });
}

bool PeerLinks::next(Instant now) {
    Event event;
    if (!links_.next(event)) return false;
    switch (event.kind) {
        case EventKind::record:
            on_record(event, now);
            break;
        case EventKind::descriptor:
            if (!offers_.on_descriptor(
                    event.peer, event.fd, event.bytes, *exchange_.outgoing(event.peer))) {
                end(event.peer, true, now);
            }
            break;
        case EventKind::ended:
            end(event.peer, event.is_cut, now);
            break;
    }
    return true;
}

// Nonsense from a process of our own: whatever it is, it is no peer any more.
void PeerLinks::on_record(const Event& event, Instant now) {
    const bool is_sound =
        Offers::is_ours(event.bytes)
            ? offers_.on_record(event.peer, event.bytes, *exchange_.outgoing(event.peer))
                  .has_value()
            : exchange_.on_record(event.peer, event.bytes, now).has_value();
    if (!is_sound) end(event.peer, true, now);
}

// ---- connections that are passed on

bool PeerLinks::can_offer(wire::Incarnation peer) const {
    return links_.has(peer) && offers_.has_room(peer);
}

bool PeerLinks::offer(wire::Incarnation peer, Connection& connection) {
    WSPOOL_ASSERT(can_offer(peer));
    const std::uint64_t token = offers_.next_token();
    const ByteView message(reinterpret_cast<const std::byte*>(&token), sizeof token);
    if (links_.send_descriptor(peer, connection.fd, message) != io::ChannelSend::sent) {
        return false;
    }
    offers_.offer(peer, token, std::move(connection), *exchange_.outgoing(peer));
    return true;
}

void PeerLinks::take(const OfferEvent& asked) {
    if (ByteBuffer* out = exchange_.outgoing(asked.peer)) {
        offers_.take(asked.peer, asked.token, *out);
    }
}

void PeerLinks::decline(const OfferEvent& asked, wire::Decline reason) {
    if (ByteBuffer* out = exchange_.outgoing(asked.peer)) {
        offers_.decline(asked.peer, asked.token, reason, *out);
    }
}

bool PeerLinks::next_offer(OfferEvent& event) {
    while (offers_.next(event)) {
        const bool is_over =
            event.kind == OfferEventKind::discard || event.kind == OfferEventKind::taken;
        if (is_over) loop_.discard(event.connection.fd);
        if (event.kind != OfferEventKind::discard) return true;
    }
    return false;
}

}  // namespace wspool::link
