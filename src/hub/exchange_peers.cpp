// Peers: who is there, and what their records do (R2, R4, R5, R9, R59).
#include "hub/exchange_state.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace wspool::hub {
namespace {

[[nodiscard]] tl::unexpected<Error> no_record(const char* type) {
    return fail(std::string("A peer sent a record that is no proper ") + type + ".");
}

[[nodiscard]] bool is_for_home(wire::RecordType type) {
    return type == wire::RecordType::publish || type == wire::RecordType::got ||
           type == wire::RecordType::join || type == wire::RecordType::leave ||
           type == wire::RecordType::held;
}

}  // namespace

PeerSlot Exchange::State::slot_of(wire::Incarnation peer) const {
    for (std::size_t slot = 0; slot < peers.size(); ++slot) {
        if (peers[slot]->incarnation == peer) return static_cast<PeerSlot>(slot);
    }
    return nobody;
}

void Exchange::State::add_peer(wire::Incarnation incarnation,
                               std::uint16_t index,
                               bool is_home,
                               Instant now) {
    WSPOOL_ASSERT(incarnation != 0 && incarnation != options.incarnation);
    WSPOOL_ASSERT(slot_of(incarnation) == nobody);
    PeerSlot slot = slot_of(0);
    if (slot == nobody) {
        slot = static_cast<PeerSlot>(peers.size());
        WSPOOL_ASSERT(slot < nobody);
        peers.push_back(std::make_unique<PeerState>());
    }
    *peers[slot] = PeerState{};
    peers[slot]->incarnation = incarnation;
    peers[slot]->index = index;
    ++home.peer_count;
    if (is_home) set_home(slot, now);
}

void Exchange::State::set_home(PeerSlot slot, Instant now) {
    WSPOOL_ASSERT(peers[slot]->index < upstreams.size());
    Upstream& upstream = upstreams[peers[slot]->index];
    if (upstream.home == slot) return;
    if (upstream.home != nobody) {
        upstream.successor = slot;  // R22: the old home's words first
        return;
    }
    announce(upstream, slot, now);
}

void Exchange::State::on_peer_ended(wire::Incarnation incarnation, Instant now) {
    const PeerSlot slot = slot_of(incarnation);
    if (slot == nobody) return;
    PeerState& peer = *peers[slot];
    if (peer.got < peer.sent) --home.behind;
    const std::uint16_t index = peer.index;
    peer = PeerState{};
    --home.peer_count;
    forget_peer_at_home(slot, now);
    if (index < upstreams.size()) {
        Upstream& upstream = upstreams[index];
        if (upstream.successor == slot) upstream.successor = nobody;
        if (upstream.home == slot) {
            lose(upstream);
            const PeerSlot successor = std::exchange(upstream.successor, nobody);
            if (successor != nobody) announce(upstream, successor, now);
        }
    }
    update_stable(now);
    check_barrier(now);
}

// R9, R57: it has everything, holds nothing, waits for nothing.
void Exchange::State::forget_peer_at_home(PeerSlot slot, Instant now) {
    const auto is_its = [&](const auto& entry) { return entry.peer == slot; };
    for (std::uint32_t index = 0; index < name_pool.end(); ++index) {
        if (!names[index].part) continue;
        HomePart& part = *names[index].part;
        remove_interest(part, slot);
        std::erase_if(part.joins, is_its);
        std::erase_if(part.holders, is_its);
        std::erase_if(part.registers, is_its);
        if (names[index].space == wire::Space::id && home.phase == HomePhase::open) {
            serve_registers(index, now);
        } else {
            settle(index, now);
        }
    }
}

Result<void> Exchange::State::on_record(PeerSlot slot, ByteView record_in, Instant now) {
    wire::Header header;
    if (wire::read_header(record_in, options.record_size_max, header) != wire::HeaderOutcome::ok ||
        header.size != record_in.size()) {
        return no_record("record");
    }
    if (is_for_home(header.type)) {
        if (home.phase != HomePhase::open) return defer(slot, record_in);
        return on_record_for_home(
            peers[slot]->incarnation, slot, header.type, record_in, true, now);
    }
    if (header.type >= wire::RecordType::announce && header.type <= wire::RecordType::announced) {
        return on_announcement(slot, header.type, record_in, now);
    }
    const std::uint16_t index = peers[slot]->index;
    if (index >= upstreams.size() || upstreams[index].home != slot) {
        return no_record("record of a home: it is none of ours");
    }
    return on_record_from_home(upstreams[index], header.type, record_in, now);
}

Result<void> Exchange::State::defer(PeerSlot slot, ByteView record_in) {
    if (home.phase == HomePhase::closed && options.index >= upstreams.size()) {
        return no_record("record: this process is nobody's home");
    }
    Deferred deferred{peers[slot]->incarnation, {}};
    deferred.record.append(record_in);
    home.deferred.push_back(std::move(deferred));
    return {};
}

Result<void> Exchange::State::on_record_for_home(wire::Incarnation peer,
                                                 PeerSlot slot,
                                                 wire::RecordType type,
                                                 ByteView record_in,
                                                 bool is_live,
                                                 Instant now) {
    if (type == wire::RecordType::publish) {
        wire::Publish publish;
        if (!wire::decode(record_in, publish)) return no_record("publish");
        if (home_of(publish.name) != options.index) return no_record("publish: not homed here");
        sequence_publish(publish, peer, slot, is_live, now);
        return {};
    }
    if (slot == nobody) return {};  // it has ended: only what it published counts
    if (type == wire::RecordType::got) {
        wire::Got got;
        if (!wire::decode(record_in, got)) return no_record("got");
        if (got.s > peers[slot]->sent) return no_record("got: more than it was sent");
        set_got(*peers[slot], got.s);
        update_stable(now);
    } else if (type == wire::RecordType::join) {
        wire::Join join;
        if (!wire::decode(record_in, join)) return no_record("join");
        if (home_of(join.name) != options.index) return no_record("join: not homed here");
        on_join(slot, join, now);
    } else if (type == wire::RecordType::leave) {
        wire::Leave leave_record;
        if (!wire::decode(record_in, leave_record)) return no_record("leave");
        on_leave(slot, leave_record, now);
    } else {
        wire::Held held_record;
        if (!wire::decode(record_in, held_record)) return no_record("held");
        on_held(slot, held_record.session, held_record.name, held_record.question);
    }
    return {};
}

Result<void> Exchange::State::on_record_from_home(Upstream& upstream,
                                                  wire::RecordType type,
                                                  ByteView record_in,
                                                  Instant now) {
    if (type == wire::RecordType::opened) {
        wire::Opened opened;
        if (!wire::decode(record_in, opened)) return no_record("opened");
        return on_opened(upstream, opened, now);
    }
    if (upstream.state != UpstreamState::linked) return no_record("record before opened");
    if (type == wire::RecordType::deliver) {
        wire::Deliver deliver;
        if (!wire::decode(record_in, deliver)) return no_record("deliver");
        return on_deliver(upstream, deliver, now);
    }
    if (type == wire::RecordType::joined) {
        wire::Joined joined;
        if (!wire::decode(record_in, joined)) return no_record("joined");
        return on_joined(upstream, joined, now);
    }
    if (type == wire::RecordType::sequenced) {
        wire::Sequenced sequenced;
        if (!wire::decode(record_in, sequenced)) return no_record("sequenced");
        process(upstream, sequenced.s);
        answer_publish(
            upstream, sequenced.sequence, sequenced.s, {sequenced.epoch, sequenced.offset});
    } else if (type == wire::RecordType::refused) {
        wire::Refused refused;
        if (!wire::decode(record_in, refused)) return no_record("refused");
        refuse_publish(upstream, refused.sequence, refused.code, now);
    } else if (type == wire::RecordType::stable) {
        wire::Stable stable;
        if (!wire::decode(record_in, stable)) return no_record("stable");
        on_stable(upstream, stable.s, now);
    } else if (type == wire::RecordType::evict) {
        wire::Evict evict;
        if (!wire::decode(record_in, evict)) return no_record("evict");
        on_evict(evict);
    } else if (type == wire::RecordType::check) {
        wire::Check check;
        if (!wire::decode(record_in, check)) return no_record("check");
        on_check(check);
    } else {
        return no_record("record of a known type");
    }
    return {};
}

// The home is told once a turn how far we are.
void Exchange::State::process(Upstream& upstream, std::uint64_t s) {
    upstream.highest = std::max(upstream.highest, s);
    upstream.got_due = !options.plant.no_marks;
    if (options.plant.ack_blocks) send(upstream.home, wire::Got{.s = upstream.highest});
}

// R8, R11, R18, R19.
Result<void> Exchange::State::on_deliver(Upstream& upstream,
                                         const wire::Deliver& deliver,
                                         Instant now) {
    const wire::Entry& entry = deliver.entry;
    if (home_of(deliver.name) != index_of(upstream)) return no_record("deliver: not its name");
    if (entry.s <= upstream.highest) return no_record("deliver: its number was used before");
    process(upstream, entry.s);
    if (entry.origin.incarnation == options.incarnation) {
        answer_publish(upstream, entry.origin.sequence, entry.s, {deliver.epoch, entry.offset});
    }
    const std::uint32_t index = find_or_make(wire::space_of(entry.kind), deliver.name, now);
    Name& name = names[index];
    const Position position{deliver.epoch, entry.offset};
    if (name.reception == Reception::live) {
        if (position != Position{name.position.epoch, name.position.offset + 1}) {
            return no_record("deliver: it does not follow the last one");
        }
        name.position = position;
    }
    const bool is_logged = entry.s > upstream.stable && !options.plant.no_marks;
    if (is_logged && !log_entry(upstream, index, entry, now)) {
        return no_record("deliver: its offset was used before");
    }
    if (name.reception == Reception::live) {
        const Passing passing{.kind = entry.kind,
                              .name = deliver.name,
                              .sender_id = entry.sender_id,
                              .payload = entry.payload,
                              .session = entry.session,
                              .origin = entry.origin};
        queue_deliver(passing, index, position, true);
    } else {
        name.position = position;  // where its log stands
        settle(index, now);
    }
    return {};
}

// False when it does not follow what the log has of this name.
bool Exchange::State::log_entry(Upstream& upstream,
                                std::uint32_t index,
                                const wire::Entry& entry,
                                Instant now) {
    if (names[index].has_messages()) {
        const Message& last = names[index].messages->back();
        if (entry.s <= last.s || entry.offset <= last.offset) return false;
    }
    push_message(index,
                 {.s = entry.s,
                  .offset = entry.offset,
                  .origin = entry.origin,
                  .session = entry.session,
                  .at = now,
                  .sender_size = static_cast<std::uint8_t>(entry.sender_id.size()),
                  .kind = entry.kind},
                 {.sender_id = entry.sender_id, .payload = entry.payload});
    // In order of s: what comes inside an answer to a join may be older than the last delivery.
    auto at = upstream.log.end();
    while (at != upstream.log.begin() && std::prev(at)->s > entry.s) --at;
    const auto size = static_cast<std::uint32_t>(entry.payload.size());
    upstream.log.insert(at, {entry.s, index, 0, size});
    log_bytes += size;
    return true;
}

// R10.
void Exchange::State::on_stable(Upstream& upstream, std::uint64_t s, Instant now) {
    if (s <= upstream.stable) return;
    upstream.stable = s;
    while (!upstream.log.empty() && upstream.log.front().s <= s) {
        const std::uint32_t index = upstream.log.front().name;
        log_bytes -= upstream.log.front().size;
        upstream.log.pop_front();
        if (names[index].text.empty()) continue;  // forgotten with an earlier entry
        trim(index, now);
        if (!names[index].has_messages()) settle(index, now);
    }
    publishes_stable(upstream, now);
}

void Exchange::State::flush(Instant /*now*/) {
    for (Upstream& upstream : upstreams) {
        if (!upstream.got_due) continue;
        upstream.got_due = false;
        send(upstream.home, wire::Got{.s = upstream.highest});
    }
    if (home.phase != HomePhase::open) return;
    for (const auto& peer : peers) {
        // Who was sent nothing since has nothing to drop.
        if (peer->incarnation == 0 || peer->told >= home.stable || peer->sent <= peer->told) {
            continue;
        }
        peer->told = home.stable;
        wire::encode(peer->out, wire::Stable{.s = home.stable});
    }
}

}  // namespace wspool::hub
