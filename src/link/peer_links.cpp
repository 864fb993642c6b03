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
    const Result<void> added = links_.add(peer.incarnation, peer.stream, peer.channel);
    if (!added) give_up(peer.incarnation, added.error().message);
}

void PeerLinks::end(wire::Incarnation peer, Instant now) {
    const auto at = std::find(peers_.begin(), peers_.end(), peer);
    if (at == peers_.end()) return;
    peers_.erase(at);
    links_.remove(peer);
    offers_.on_ended(peer, false);
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
    if (links_.wants_turn()) return true;
    return offers_.arriving() > 0 &&
           std::any_of(peers_.begin(), peers_.end(), [&](wire::Incarnation peer) {
               return offers_.awaits_writing(peer) && links_.progress(peer).is_sending;
           });
}

bool PeerLinks::next(Instant now) {
    Event event;
    own_ = {};
    if (!links_.next(event)) return false;
    switch (event.kind) {
        case EventKind::record:
            on_record(event, now);
            break;
        case EventKind::descriptor:
            on_descriptor(event);
            break;
        case EventKind::ended:
            if (event.is_cut) give_up(event.peer, event.text);
            end(event.peer, now);
            break;
    }
    return true;
}

void PeerLinks::on_record(const Event& event, Instant now) {
    if (is_owners(event.bytes)) {
        own_ = {event.peer, event.bytes};
        return;
    }
    const Result<void> taken =
        Offers::is_ours(event.bytes)
            ? offers_.on_record(event.peer, event.bytes, *exchange_.outgoing(event.peer))
            : exchange_.on_record(event.peer, event.bytes, now);
    if (!taken) give_up(event.peer, taken.error().message);
}

void PeerLinks::on_descriptor(const Event& event) {
    const Result<void> taken =
        offers_.on_descriptor(event.peer, event.fd, event.bytes, *exchange_.outgoing(event.peer));
    if (!taken) give_up(event.peer, taken.error().message);
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
