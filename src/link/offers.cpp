#include "link/offers.h"

#include "base/assert.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace wspool::link {
namespace {

[[nodiscard]] std::uint32_t to_milliseconds(Duration duration) {
    const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
    return static_cast<std::uint32_t>(std::clamp<std::int64_t>(count, 0, UINT32_MAX));
}

}  // namespace

// ---- the giver's part

std::size_t Offers::outgoing_to(wire::Incarnation peer) const {
    const auto at = given_to_.find(peer);
    return at != given_to_.end() ? at->second : 0;
}

void Offers::offer(wire::Incarnation peer,
                   std::uint64_t token,
                   Connection connection,
                   ByteBuffer& out) {
    WSPOOL_ASSERT(has_room(peer) && connection.bytes.size() <= offer_size_max);
    wire::encode(out,
                 wire::Offer{.token = token,
                             .waited_ms = to_milliseconds(connection.waited),
                             .pool = connection.pool,
                             .priority = connection.priority,
                             .bytes = connection.bytes.view()});
    const bool is_new = given_.emplace(token, Given{peer, std::move(connection)}).second;
    WSPOOL_ASSERT(is_new);
    ++given_to_[peer];
}

Result<void> Offers::on_answer(wire::Incarnation peer, std::uint64_t token, OfferEventKind kind) {
    const auto at = given_.find(token);
    if (at == given_.end() || at->second.peer != peer) {
        return fail("an answer to an offer that was not made");
    }
    events_.push_back({kind, peer, token, std::move(at->second.connection)});
    given_.erase(at);
    --given_to_[peer];
    return {};
}

// ---- the receiver's part

Offers::ComingMap::iterator Offers::begin_of(wire::Incarnation peer) {
    return coming_.lower_bound({peer, 0});
}

Offers::ComingMap::iterator Offers::end_of(wire::Incarnation peer) {
    return coming_.lower_bound({peer + 1, 0});
}

// What is known of an offer of which something is missing; a new one, where nothing has come yet.
Result<Offers::Coming*> Offers::half_of(const Key& key) {
    const auto at = coming_.find(key);
    if (at != coming_.end()) {
        if (at->second.stage == Stage::half) return &at->second;
        return fail("a connection was offered twice");
    }
    // Those that were answered do not count: the peer may have read it before we know it written.
    const auto count = std::count_if(begin_of(key.first), end_of(key.first), [](const auto& one) {
        return one.second.stage == Stage::half;
    });
    if (static_cast<std::size_t>(count) >= in_flight_max) {
        return fail("more connections were offered than may be at once");
    }
    return &coming_[key];
}

Result<void> Offers::on_offer(wire::Incarnation peer, ByteView record, ByteBuffer& out) {
    wire::Offer offer;
    if (!wire::decode(record, offer) || offer.bytes.size() > offer_size_max) {
        return fail("an offer that is none");
    }
    const Key key{peer, offer.token};
    const auto half = half_of(key);
    if (!half) return tl::unexpected(half.error());
    if ((*half)->has_record) return fail("a connection was offered twice");
    (*half)->has_record = true;
    (*half)->connection.bytes.append(offer.bytes);
    (*half)->connection.waited = std::chrono::milliseconds(offer.waited_ms);
    (*half)->connection.pool = offer.pool;
    (*half)->connection.priority = offer.priority;
    meet(key, out);
    return {};
}

Result<void> Offers::on_descriptor(wire::Incarnation peer,
                                   int fd,
                                   ByteView message,
                                   ByteBuffer& out) {
    const auto refuse = [&](std::string sentence) {
        if (fd >= 0) events_.push_back({OfferEventKind::discard, peer, 0, {fd, {}, {}}});
        return fail(std::move(sentence));
    };
    Key key{peer, 0};
    if (message.size() != sizeof key.second) return refuse("a descriptor without a token");
    std::memcpy(&key.second, message.data(), sizeof key.second);
    const auto half = half_of(key);
    if (!half) return refuse(half.error().message);
    if ((*half)->has_message) return refuse("a descriptor came twice");
    (*half)->has_message = true;
    (*half)->connection.fd = fd;
    meet(key, out);
    return {};
}

void Offers::meet(const Key& key, ByteBuffer& out) {
    Coming& half = coming_.at(key);
    if (!half.has_record || !half.has_message) return;
    half.stage = Stage::asked;
    if (half.connection.fd < 0)
        return decline(key.first, key.second, wire::Decline::no_descriptor, out);
    OfferEvent asked{OfferEventKind::asked, key.first, key.second, {}};
    asked.connection.pool = half.connection.pool;
    asked.connection.priority = half.connection.priority;
    events_.push_back(std::move(asked));
}

void Offers::take(wire::Incarnation peer, std::uint64_t token, ByteBuffer& out) {
    const auto at = coming_.find({peer, token});
    if (at == coming_.end() || at->second.stage != Stage::asked) return;
    at->second.stage = Stage::taken;
    ++arriving_;
    wire::encode(out, wire::Taken{.token = token});
}

void Offers::decline(wire::Incarnation peer,
                     std::uint64_t token,
                     wire::Decline reason,
                     ByteBuffer& out) {
    const auto at = coming_.find({peer, token});
    if (at == coming_.end() || at->second.stage != Stage::asked) return;
    wire::encode(out, wire::Declined{.token = token, .reason = reason});
    hand_out(at, OfferEventKind::discard);
}

void Offers::on_handed_over(wire::Incarnation peer, std::uint64_t bytes) {
    for (auto at = begin_of(peer); at != end_of(peer); ++at) {
        if (at->second.stage != Stage::taken) continue;
        at->second.stage = Stage::handed;
        at->second.position = bytes;
    }
}

void Offers::on_written(wire::Incarnation peer, std::uint64_t bytes) {
    for (auto at = begin_of(peer); at != end_of(peer);) {
        const bool is_written = at->second.stage == Stage::handed && at->second.position <= bytes;
        at = is_written ? hand_out(at, OfferEventKind::arrived) : std::next(at);
    }
}

bool Offers::awaits_writing(wire::Incarnation peer) const {
    if (arriving_ == 0) return false;
    return std::any_of(coming_.begin(), coming_.end(), [&](const auto& one) {
        return one.first.first == peer && one.second.stage == Stage::handed;
    });
}

// Tells what became of it, and forgets it; returns the one behind.
Offers::ComingMap::iterator Offers::hand_out(ComingMap::iterator at, OfferEventKind kind) {
    Connection& connection = at->second.connection;
    const bool was_promised = at->second.stage == Stage::taken || at->second.stage == Stage::handed;
    if (kind == OfferEventKind::discard && was_promised) --arriving_;
    if (kind != OfferEventKind::discard || connection.fd >= 0) {
        events_.push_back({kind, at->first.first, at->first.second, std::move(connection)});
    }
    return coming_.erase(at);
}

// ---- what a peer does

bool Offers::is_ours(ByteView record) {
    const auto type = static_cast<wire::RecordType>(record[4]);
    return type == wire::RecordType::offer || type == wire::RecordType::taken ||
           type == wire::RecordType::declined;
}

Result<void> Offers::on_record(wire::Incarnation peer, ByteView record, ByteBuffer& out) {
    wire::Taken taken;
    if (wire::decode(record, taken)) return on_answer(peer, taken.token, OfferEventKind::taken);
    wire::Declined declined;
    if (wire::decode(record, declined)) {
        return on_answer(peer, declined.token, OfferEventKind::declined);
    }
    return on_offer(peer, record, out);
}

void Offers::on_ended(wire::Incarnation peer, bool is_cut) {
    using enum OfferEventKind;
    for (auto at = begin_of(peer); at != end_of(peer);) {
        const bool was_taken =
            at->second.stage == Stage::taken || at->second.stage == Stage::handed;
        at = hand_out(at, was_taken && !is_cut ? arrived : discard);
    }
    for (auto at = given_.begin(); at != given_.end();) {
        Given& given = at->second;
        if (given.peer != peer) {
            ++at;
            continue;
        }
        events_.push_back(
            {is_cut ? discard : returned, peer, at->first, std::move(given.connection)});
        at = given_.erase(at);
    }
    given_to_.erase(peer);
}

bool Offers::next(OfferEvent& event) {
    if (events_.empty()) return false;
    event = std::move(events_.front());
    events_.pop_front();
    if (event.kind == OfferEventKind::arrived) --arriving_;
    return true;
}

void Offers::check_invariants() const {
    std::map<wire::Incarnation, std::size_t> from;
    std::map<wire::Incarnation, std::size_t> to;
    std::size_t promised = 0;
    for (const auto& [key, coming] : coming_) {
        if (coming.stage == Stage::half) ++from[key.first];
        const bool is_whole = coming.has_record && coming.has_message;
        WSPOOL_ASSERT(is_whole == (coming.stage != Stage::half));
        if (coming.stage == Stage::taken || coming.stage == Stage::handed) ++promised;
    }
    for (const auto& [token, given] : given_) {
        WSPOOL_ASSERT(token <= last_token_ && given.connection.fd >= 0);
        ++to[given.peer];
    }
    for (const auto& [peer, count] : from) WSPOOL_ASSERT(count <= in_flight_max);
    for (const auto& [peer, count] : to) WSPOOL_ASSERT(count <= in_flight_max);
    for (const auto& [peer, count] : given_to_) WSPOOL_ASSERT(count == to[peer]);
    for (const OfferEvent& event : events_) {
        if (event.kind == OfferEventKind::arrived) ++promised;
    }
    WSPOOL_ASSERT(promised == arriving_);
}

}  // namespace wspool::link
