// A home begins: the barrier, the merge of what the others announce, and what follows from it
// (R24 … R29, R31).
#include "hub/exchange_state.h"

#include <algorithm>
#include <set>
#include <utility>

namespace wspool::hub {

struct Exchange::State::Merge {
    struct Merged {
        std::uint64_t low = UINT64_MAX;  // of the announced positions
        std::uint64_t high = 0;
        std::uint64_t epoch = 0;                       // one that was announced
        std::map<std::uint64_t, wire::Entry> entries;  // above S*, by offset
        std::uint64_t first = 0;                       // of the run that ends at the base
    };
    struct Logged {
        std::uint64_t order = 0;
        std::uint32_t name = IndexTable::none;
        std::uint64_t offset = 0;
        std::uint64_t s = 0;  // the new one
    };
    std::uint64_t star = 0;
    std::uint64_t top = 0;  // the highest s that anybody saw
    std::uint64_t opened = 0;
    std::map<std::uint32_t, Merged> names;
    std::map<std::pair<PeerSlot, std::uint32_t>, std::uint64_t> positions;
    std::set<std::pair<wire::Incarnation, std::uint64_t>> origins;
    std::vector<Logged> log;
};

namespace {

[[nodiscard]] tl::unexpected<Error> nonsense(const char* what) {
    return fail(std::string("A peer announced ") + what + ".");
}

template <class Visit>
void for_each_record(const Announcement& announcement, Visit visit) {
    ByteView rest = announcement.records.view();
    wire::Header header;
    while (wire::read_header(rest, UINT32_MAX, header) == wire::HeaderOutcome::ok) {
        visit(header.type, rest.first(header.size));
        rest = rest.subspan(header.size);
    }
}

template <class Record>
[[nodiscard]] bool is_proper_as(wire::RecordType type, ByteView record) {
    Record decoded;
    return type == Record::type && wire::decode(record, decoded);
}

// Whether `record` is a proper one of its type.
[[nodiscard]] bool is_proper(wire::RecordType type, ByteView record) {
    return is_proper_as<wire::Announce>(type, record) ||
           is_proper_as<wire::AnnounceName>(type, record) ||
           is_proper_as<wire::AnnounceEntry>(type, record) ||
           is_proper_as<wire::AnnounceResend>(type, record) ||
           is_proper_as<wire::Announced>(type, record);
}

}  // namespace

void Exchange::State::become_home(Instant now) {
    WSPOOL_ASSERT(options.index < upstreams.size());
    WSPOOL_ASSERT(home.phase == HomePhase::closed);
    home.phase = HomePhase::opening;
    for (const auto& peer : peers) peer->is_awaited = peer->incarnation != 0;
    check_barrier(now);
}

Result<void> Exchange::State::on_announcement(PeerSlot slot,
                                              wire::RecordType type,
                                              ByteView record_in,
                                              Instant now) {
    if (options.index >= upstreams.size()) return nonsense("something to nobody's home");
    if (!is_proper(type, record_in)) return nonsense("what is no proper record");
    PeerState& peer = *peers[slot];
    if (peer.has_announced) return nonsense("something twice");
    if (home.phase == HomePhase::open) return on_late_announcement(slot, type, record_in, now);
    if (type == wire::RecordType::announce) {
        home.announcements.push_back({peer.incarnation, {}});
    }
    const auto its = std::find_if(
        home.announcements.begin(), home.announcements.end(), [&](const Announcement& other) {
            return other.peer == peer.incarnation;
        });
    if (its == home.announcements.end()) return nonsense("something without beginning");
    its->records.append(record_in);
    if (type == wire::RecordType::announced) {
        peer.has_announced = true;
        check_barrier(now);
    }
    return {};
}

// R24: who began after this home has nothing to say but what it wants published.
Result<void> Exchange::State::on_late_announcement(PeerSlot slot,
                                                   wire::RecordType type,
                                                   ByteView record_in,
                                                   Instant now) {
    if (type == wire::RecordType::announce) return {};
    if (type == wire::RecordType::announce_resend) {
        wire::AnnounceResend resend;
        if (!wire::decode(record_in, resend) || home_of(resend.publish.name) != options.index) {
            return nonsense("a publish that is not homed here");
        }
        sequence_publish(resend.publish, peers[slot]->incarnation, slot, true, now);
        return {};
    }
    if (type != wire::RecordType::announced) return nonsense("state to a home that is open");
    peers[slot]->has_announced = true;
    peers[slot]->told = home.stable;
    send(slot, wire::Opened{.star = home.stable});
    return {};
}

void Exchange::State::check_barrier(Instant now) {
    if (home.phase != HomePhase::opening) return;
    std::size_t awaited = 0;
    std::size_t announced = 0;
    for (const auto& peer : peers) {
        if (peer->incarnation == 0 || !peer->is_awaited) continue;
        ++awaited;
        if (peer->has_announced) ++announced;
    }
    if (announced == awaited || (options.plant.no_barrier && announced > 0)) open(now);
}

void Exchange::State::open(Instant now) {
    Merge merge;
    collect(merge, now);
    home.s = std::max({home.s, merge.top, merge.star});  // R31
    home.stable = merge.star;
    home.phase = HomePhase::open;
    home.opened_at = now;
    ++totals.openings_total;
    merge_names(merge);
    merge.opened = ++home.s;
    log_merged(merge, now);
    home.opening = home.s;
    send_opened(merge);
    send_missing(merge);
    // R29: the entries have new numbers here and old ones in the logs of those who had them, so no
    // S may pass either before everybody has everything.
    for (const auto& peer : peers) {
        if (peer->incarnation == 0 || !peer->has_announced) continue;
        peer->opening = peer->sent;
        home.is_held = !options.plant.open_ack;
    }
    update_stable(now);  // with nobody to wait for, all of it is stable
    serve_resends(merge, now);
    home.announcements.clear();
    update_stable(now);
    serve_deferred(now);
    serve_own(now);
    update_stable(now);
    for (std::uint32_t index = 0; index < name_pool.end(); ++index) {
        if (is_mine(names[index]) && !names[index].text.empty()) settle(index, now);
    }
}

// ----------------------------------------------------------------------------------------------
// the merge

void Exchange::State::collect(Merge& merge, Instant now) {
    const auto see = [&](std::uint64_t s) { merge.top = std::max(merge.top, s); };
    for (const Announcement& announcement : home.announcements) {
        for_each_record(announcement, [&](wire::RecordType type, ByteView bytes) {
            wire::Announce announce_record;
            wire::AnnounceEntry entry;
            wire::AnnounceResend resend;
            if (type == wire::RecordType::announce && wire::decode(bytes, announce_record)) {
                merge.star = std::max(merge.star, announce_record.stable);
                see(announce_record.highest);
            } else if (type == wire::RecordType::announce_entry && wire::decode(bytes, entry)) {
                see(entry.entry.s);
            } else if (type == wire::RecordType::announce_resend && wire::decode(bytes, resend)) {
                see(resend.s);
            }
        });
    }
    for (const Announcement& announcement : home.announcements) {
        const PeerSlot slot = slot_of(announcement.peer);
        for_each_record(announcement, [&](wire::RecordType type, ByteView bytes) {
            wire::AnnounceName name;
            wire::AnnounceEntry entry;
            if (type == wire::RecordType::announce_name && wire::decode(bytes, name)) {
                // Where one stood that has ended meanwhile matters to nobody.
                if (slot != nobody) collect_name(merge, slot, name, now);
            } else if (type == wire::RecordType::announce_entry && wire::decode(bytes, entry)) {
                collect_entry(merge, entry, now);
            }
        });
    }
}

void Exchange::State::collect_name(Merge& merge,
                                   PeerSlot slot,
                                   const wire::AnnounceName& announced,
                                   Instant now) {
    if (home_of(announced.name) != options.index) return;
    const std::uint32_t index = find_or_make(announced.space, announced.name, now);
    Merge::Merged& merged = merge.names[index];
    merged.low = std::min(merged.low, announced.offset);
    merged.high = std::max(merged.high, announced.offset);
    merged.epoch = announced.epoch;
    merge.positions[{slot, index}] = announced.offset;
    HomePart& part = part_of(index);
    add_interest(part, slot);
    if (announced.space == wire::Space::id) part.holders.push_back({slot, announced.session});
}

void Exchange::State::collect_entry(Merge& merge,
                                    const wire::AnnounceEntry& announced,
                                    Instant now) {
    const wire::Entry& entry = announced.entry;
    if (entry.s <= merge.star || home_of(announced.name) != options.index) return;
    const std::uint32_t index = find_or_make(wire::space_of(entry.kind), announced.name, now);
    use(index);
    Merge::Merged& merged = merge.names[index];
    if (merged.epoch == 0) merged.epoch = announced.epoch;
    const auto [at, is_new] = merged.entries.emplace(entry.offset, entry);
    if (!is_new) at->second.s = std::min(at->second.s, entry.s);
    merge.origins.emplace(entry.origin.incarnation, entry.origin.sequence);
}

// R25: the base, and the run of entries that ends there.
void Exchange::State::merge_names(Merge& merge) {
    for (auto& [index, merged] : merge.names) {
        Name& name = names[index];
        std::uint64_t base = merged.high;
        if (!merged.entries.empty()) base = std::max(base, merged.entries.rbegin()->first);
        name.position.offset = base;
        if (options.plant.same_epoch) name.position.epoch = merged.epoch;
        merged.first = base + 1;
        while (merged.entries.count(merged.first - 1) != 0) --merged.first;
        merged.entries.erase(merged.entries.begin(), merged.entries.lower_bound(merged.first));
        if (merged.low != UINT64_MAX && merged.low + 1 < merged.first) ++totals.holes_total;
        std::uint64_t order = 0;
        for (const auto& [offset, entry] : merged.entries) {
            order = std::max(order, entry.s);
            merge.log.push_back({order, index, offset, 0});
        }
    }
    std::stable_sort(merge.log.begin(), merge.log.end(), [](const auto& a, const auto& b) {
        return a.order < b.order;
    });
}

void Exchange::State::log_merged(Merge& merge, Instant now) {
    for (Merge::Logged& logged : merge.log) {
        const wire::Entry& entry = merge.names[logged.name].entries.at(logged.offset);
        logged.s = ++home.s;
        names[logged.name].last_s = logged.s;
        push_message(logged.name,
                     {.s = logged.s,
                      .offset = entry.offset,
                      .origin = entry.origin,
                      .session = entry.session,
                      .at = now,
                      .sender_size = static_cast<std::uint8_t>(entry.sender_id.size()),
                      .kind = entry.kind},
                     {.sender_id = entry.sender_id, .payload = entry.payload});
        touch_history(logged.name, now);
        const auto size = static_cast<std::uint32_t>(entry.payload.size());
        home.log.push_back({logged.s, logged.name, 0, size});
        log_bytes += size;
    }
}

void Exchange::State::send_opened(const Merge& merge) {
    for (std::size_t i = 0; i < peers.size(); ++i) {
        const auto slot = static_cast<PeerSlot>(i);
        PeerState& peer = *peers[slot];
        if (peer.incarnation == 0 || !peer.has_announced) continue;
        wire::OpenedWriter writer(peer.out, {.s = merge.opened, .star = merge.star});
        const auto begin = merge.positions.lower_bound({slot, 0});
        for (auto at = begin; at != merge.positions.end() && at->first.first == slot; ++at) {
            const Name& name = names[at->first.second];
            const std::uint64_t first = merge.names.at(at->first.second).first;
            const bool is_whole = at->second + 1 >= first;  // R30: else there is a hole
            writer.add({.space = name.space,
                        .name = name.text,
                        .epoch = name.position.epoch,
                        .offset = is_whole ? at->second : first - 1,
                        .is_recovered = is_whole});
        }
        writer.finish();
        peer.told = merge.star;
        set_sent(peer, merge.opened);
    }
}

// R27: to each peer what it lacks.
void Exchange::State::send_missing(const Merge& merge) {
    for (const Merge::Logged& logged : merge.log) {
        const Name& name = names[logged.name];
        wire::Entry entry = merge.names.at(logged.name).entries.at(logged.offset);
        entry.s = logged.s;
        for (std::size_t i = 0; i < peers.size(); ++i) {
            const auto slot = static_cast<PeerSlot>(i);
            PeerState& peer = *peers[slot];
            if (peer.incarnation == 0 || !peer.has_announced) continue;
            const auto position = merge.positions.find({slot, logged.name});
            if (position != merge.positions.end()) {
                if (position->second >= logged.offset) continue;
                wire::encode(
                    peer.out,
                    wire::Deliver{.epoch = name.position.epoch, .name = name.text, .entry = entry});
            } else if (entry.origin.incarnation == peer.incarnation) {
                wire::encode(peer.out,
                             wire::Sequenced{.s = logged.s,
                                             .sequence = entry.origin.sequence,
                                             .epoch = name.position.epoch,
                                             .offset = logged.offset});
            } else {
                continue;
            }
            set_sent(peer, logged.s);
        }
    }
}

// ----------------------------------------------------------------------------------------------
// what waited for the opening

// R26, for each peer in its order, also for those that have ended meanwhile.
void Exchange::State::serve_resends(const Merge& merge, Instant now) {
    for (const Announcement& announcement : home.announcements) {
        const PeerSlot slot = slot_of(announcement.peer);
        for_each_record(announcement, [&](wire::RecordType type, ByteView bytes) {
            wire::AnnounceResend resend;
            if (type != wire::RecordType::announce_resend || !wire::decode(bytes, resend)) return;
            const wire::Publish& publish_record = resend.publish;
            if (home_of(publish_record.name) != options.index) return;
            if (!options.plant.no_star && resend.s > 0 && resend.s <= merge.star) return;
            if (merge.origins.count({announcement.peer, publish_record.sequence}) != 0) return;
            sequence_publish(publish_record, announcement.peer, slot, false, now);
        });
    }
}

// In the order in which it came. A peer that sent nonsense meanwhile is not told any more: what
// cannot be understood does nothing.
void Exchange::State::serve_deferred(Instant now) {
    const std::vector<Deferred> deferred = std::exchange(home.deferred, {});
    for (const Deferred& one : deferred) {
        wire::Header header;
        if (wire::read_header(one.record.view(), UINT32_MAX, header) != wire::HeaderOutcome::ok) {
            continue;
        }
        (void)on_record_for_home(
            one.peer, slot_of(one.peer), header.type, one.record.view(), false, now);
    }
}

void Exchange::State::serve_own(Instant now) {
    Upstream& upstream = own();
    upstream.state = UpstreamState::linked;
    upstream.home = self;
    serve_own_publishes(now);
    pop_finished(upstream, now);
}

void Exchange::State::serve_own_publishes(Instant now) {
    Upstream& upstream = own();
    for (std::size_t i = 0; i < upstream.unfinished.size(); ++i) {
        Unfinished& unfinished = upstream.unfinished[i];
        if (unfinished.is_done) continue;
        const std::uint64_t sequence_number = upstream.first_sequence + i;
        const ByteView blob = upstream.unfinished.blob(i);
        wire::Publish publish_record;
        const bool is_ours =
            wire::decode(blob.first(blob.size() - unfinished.tag_size), publish_record);
        WSPOOL_ASSERT(is_ours);
        const bool is_broadcast = publish_record.kind == wire::Kind::broadcast;
        if (!is_broadcast && !has_target(publish_record.name)) {
            queue_refused(unfinished.sender,
                          tag_of(upstream, sequence_number),
                          {},
                          wire::Refusal::unknown_target);
            mark_answered(upstream, unfinished);
            finish(upstream, unfinished);
            continue;
        }
        const std::uint32_t index = is_broadcast
                                        ? find_or_make(wire::Space::group, publish_record.name, now)
                                        : find(wire::Space::id, publish_record.name);
        const Passing passing{.kind = publish_record.kind,
                              .name = publish_record.name,
                              .sender_id = publish_record.sender_id,
                              .payload = publish_record.payload,
                              .session = publish_record.session,
                              .origin = {options.incarnation, 0}};
        const SequencedMessage at = sequence(passing, index, unfinished.charge, now);
        queue_deliver(passing, index, at.position, false);
        queue_published(unfinished.sender, tag_of(upstream, sequence_number), at.position);
        mark_answered(upstream, unfinished);
        finish(upstream, unfinished);
    }
}

// When all actions were taken: who joins must not get what was sequenced before.
bool Exchange::State::serve_own_join() {
    if (home.phase != HomePhase::open || own().held_back.empty()) return false;
    const Instant now = home.opened_at;
    const PendingJoin pending = std::move(own().held_back.front());
    own().held_back.pop_front();
    Name& name = names[pending.name];
    WSPOOL_ASSERT(name.joins > 0);
    --name.joins;
    if (!is_known(pending.session)) {
        settle(pending.name, now);
        return true;
    }
    if (name.space == wire::Space::id) {
        add_register(pending.name, {.peer = self, .session = number_of(pending.session)}, now);
        return true;
    }
    JoinRequest request{.group = name.text, .has_offsets = pending.has_offsets};
    if (pending.has_since) request.since = pending.since;
    request.room = pending.room;
    const JoinAnswer answer = join_here(pending.session, pending.name, request, now);
    Queued& queued = queue(ActionKind::joined);
    queued.session = pending.session;
    queued.name = pending.name;
    queued.generation = name.generation;
    queued.position = answer.position;
    queued.end = name.position.offset;
    queued.has_since = pending.has_since;
    queued.is_recovered = answer.is_recovered;
    queued.tag = keep(pending.tag);
    return true;
}

}  // namespace wspool::hub
