// Home: the order of what is published, and the stable mark (R7, R9, R10, R29).
#include "hub/exchange_state.h"

#include <algorithm>

namespace wspool::hub {

bool Exchange::State::has_target(std::string_view id) const {
    if (is_held_here(id)) return true;
    const std::uint32_t index = find(wire::Space::id, id);
    return index != IndexTable::none && names[index].part && !names[index].part->holders.empty();
}

// R7. With nobody behind, the message is stable at once: nothing is logged, no window is used.
Exchange::State::SequencedMessage Exchange::State::sequence(const Passing& passing,
                                                            std::uint32_t index,
                                                            std::uint32_t charge,
                                                            Instant now) {
    SequencedMessage at;
    at.s = ++home.s;
    at.name = index;
    if (index != IndexTable::none) {
        Name& name = names[index];
        ++name.position.offset;
        name.last_s = at.s;
        at.position = name.position;
    }
    if (home.peer_count > 0) send_out(passing, at);
    if (home.behind == 0 && !home.is_held) {
        WSPOOL_ASSERT(home.log.empty());
        home.stable = at.s;
    } else {
        if (passing.publisher != self || options.plant.early_credit) charge = 0;
        const std::size_t size = index != IndexTable::none ? passing.payload.size() : 0;
        home.log.push_back({at.s, index, charge, static_cast<std::uint32_t>(size)});
        log_bytes += size;
        if (charge > 0) {
            own().window_bytes += charge;
            ++own().window_records;
        }
    }
    if (index != IndexTable::none) keep_message(passing, at, now);
    return at;
}

void Exchange::State::keep_message(const Passing& passing,
                                   const SequencedMessage& at,
                                   Instant now) {
    Name& name = names[at.name];
    if (keeps(name) || at.s > home.stable) {
        push_message(at.name,
                     {.s = at.s,
                      .offset = at.position.offset,
                      .origin = passing.origin,
                      .session = passing.session,
                      .at = now,
                      .sender_size = static_cast<std::uint8_t>(passing.sender_id.size()),
                      .kind = passing.kind},
                     passing);
        trim(at.name, now);
        touch_history(at.name, now);
    }
    if (!name.idle.is_linked) {
        // One without members that has become stable at once stays or becomes idle.
        if (name.members.empty()) settle(at.name, now);
        return;
    }
    use(at.name);  // to the end of the idle ones, and only then are old ones forgotten
    settle(at.name, now);
}

void Exchange::State::send_out(const Passing& passing, const SequencedMessage& at) {
    const HomePart* part = at.name == IndexTable::none ? nullptr : names[at.name].part.get();
    bool publisher_has_it = passing.publisher == self || passing.publisher == nobody;
    const PeerState* first = nullptr;
    std::size_t begin = 0;
    if (part != nullptr) {
        for (const PeerSlot slot : part->interest) {
            PeerState& peer = *peers[slot];
            if (first == nullptr) {
                first = &peer;
                begin = peer.out.size();
                wire::encode(peer.out,
                             wire::Deliver{.epoch = at.position.epoch,
                                           .name = passing.name,
                                           .entry = {.s = at.s,
                                                     .offset = at.position.offset,
                                                     .origin = passing.origin,
                                                     .session = passing.session,
                                                     .kind = passing.kind,
                                                     .sender_id = passing.sender_id,
                                                     .payload = passing.payload}});
            } else {
                peer.out.append(first->out.view().subspan(begin));
            }
            set_sent(peer, at.s);
            if (slot == passing.publisher) publisher_has_it = true;
        }
    }
    if (publisher_has_it) return;
    PeerState& publisher = *peers[passing.publisher];
    wire::encode(publisher.out,
                 wire::Sequenced{.s = at.s,
                                 .sequence = passing.origin.sequence,
                                 .epoch = at.position.epoch,
                                 .offset = at.position.offset});
    set_sent(publisher, at.s);
}

// A publish that came by a link, or again after the end of a home (R24, R26, R32).
void Exchange::State::sequence_publish(const wire::Publish& publish,
                                       wire::Incarnation peer,
                                       PeerSlot slot,
                                       bool is_live,
                                       Instant now) {
    const auto refuse = [&](wire::Refusal code) {
        send(slot, wire::Refused{.sequence = publish.sequence, .code = code});
    };
    if (publish.attempt >= poison_attempts) {
        ++totals.poison_total;
        refuse(wire::Refusal::unavailable);
        return;
    }
    std::uint32_t index = IndexTable::none;
    if (publish.kind == wire::Kind::broadcast) {
        index = find_or_make(wire::Space::group, publish.name, now);
    } else {
        if (!has_target(publish.name)) {
            refuse(wire::Refusal::unknown_target);
            return;
        }
        index = find(wire::Space::id, publish.name);
    }
    const Passing passing{.kind = publish.kind,
                          .name = publish.name,
                          .sender_id = publish.sender_id,
                          .payload = publish.payload,
                          .session = publish.session,
                          .origin = {peer, publish.sequence},
                          .publisher = slot};
    const SequencedMessage at = sequence(passing, index, 0, now);
    queue_deliver(passing, index, at.position, is_live);
}

// ----------------------------------------------------------------------------------------------
// the stable mark

void Exchange::State::set_sent(PeerState& peer, std::uint64_t s) {
    if (s <= peer.sent || options.plant.no_marks) return;
    if (peer.got >= peer.sent) ++home.behind;
    peer.sent = s;
}

void Exchange::State::set_got(PeerState& peer, std::uint64_t s) {
    if (s <= peer.got) return;
    const bool was_behind = peer.got < peer.sent;
    peer.got = s;
    if (was_behind && peer.got >= peer.sent) --home.behind;
}

bool Exchange::State::is_opening_processed() const {
    return std::all_of(peers.begin(), peers.end(), [](const auto& peer) {
        return peer->incarnation == 0 || peer->got >= peer->opening;
    });
}

// R9: S is the largest s up to which every living peer has processed what it was sent.
void Exchange::State::update_stable(Instant now) {
    if (home.phase != HomePhase::open) return;
    if (home.is_held) {
        if (!is_opening_processed()) return;
        home.is_held = false;
    }
    std::uint64_t stable = home.s;
    if (home.behind > 0) {
        for (const auto& peer : peers) {
            if (peer->incarnation != 0 && peer->got < peer->sent) {
                stable = std::min(stable, peer->got);
            }
        }
    }
    // R29: what somebody has processed may lie below an entry of the merge that it was not sent,
    // having it under an old number. S does not stop in between.
    stable = std::max(stable, home.opening);
    if (stable <= home.stable) return;
    home.stable = stable;
    on_stable_here(now);
}

void Exchange::State::on_stable_here(Instant now) {
    bool has_window_back = false;
    while (!home.log.empty() && home.log.front().s <= home.stable) {
        const LogEntry entry = home.log.front();
        home.log.pop_front();
        log_bytes -= entry.size;
        if (entry.charge > 0) {
            own().window_bytes -= entry.charge;
            --own().window_records;
            has_window_back = true;
        }
        // No name: to an id of sessions here alone. No text: forgotten with an earlier entry.
        if (entry.name == IndexTable::none || names[entry.name].text.empty()) continue;
        trim(entry.name, now);
        settle(entry.name, now);
    }
    serve_waiting(now);
    if (has_window_back) serve_parked(own(), now);
}

}  // namespace wspool::hub
