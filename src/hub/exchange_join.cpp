// Join and leave: the member's worker asks (R13 … R20), the home answers (R15 … R17).
#include "hub/exchange_state.h"

#include <algorithm>
#include <utility>

namespace wspool::hub {

// ----------------------------------------------------------------------------------------------
// the member's worker

JoinAnswer Exchange::State::join(Session session, const JoinRequest& request, Instant now) {
    using Outcome = JoinAnswer::Outcome;
    WSPOOL_ASSERT(is_known(session));
    WSPOOL_ASSERT(request.tag.size() <= tag_size_max);
    const std::uint64_t hash = hash_of(wire::Space::group, request.group);
    std::uint32_t index = find(wire::Space::group, request.group, hash);
    if (const Membership* membership_here = membership(session, index)) {
        Name& name = names[index];
        name.members[membership_here->position].has_offsets = request.has_offsets ? 1 : 0;
        JoinAnswer answer{Outcome::was_member, {}, name.position, false, {}, {}};
        answer.is_recovered = request.since && *request.since == name.position;
        return answer;
    }
    const auto& groups = sessions[session.index].groups;
    if (groups && groups->size() >= options.groups_per_member_max) {
        return {Outcome::refused, wire::Refusal::too_many_groups, {}, false, {}, {}};
    }
    if (index == IndexTable::none) {
        index = find_or_make(wire::Space::group, request.group, hash, now);
    }
    Name& name = names[index];
    if (serves(name.home)) return join_here(session, index, request, now);
    if (!is_mine(name) && name.reception == Reception::live && !request.since) {  // R13
        add_member(session, index, request.has_offsets);
        return {Outcome::joined, {}, name.position, false, {}, as_text(name.prefix.view())};
    }
    ask(upstreams[name.home],
        PendingJoin{.session = session,
                    .name = index,
                    .has_offsets = request.has_offsets,
                    .has_since = request.since.has_value(),
                    .since = request.since.value_or(Position{}),
                    .room = request.since ? std::min(request.room, options.replay_bytes) : 0,
                    .tag = std::string(request.tag),
                    .at = now},
        now);
    return {Outcome::pending, {}, {}, false, {}, {}};
}

JoinAnswer Exchange::State::join_here(Session session,
                                      std::uint32_t index,
                                      const JoinRequest& request,
                                      Instant now) {
    Name& name = names[index];
    if (request.since) trim(index, now);
    const ReplayChoice choice = choose_start(
        name, request.since ? &*request.since : nullptr, request.room, name.position.offset);
    replay_from_history(name, choice.start, name.position.offset, session.index);
    add_member(session, index, request.has_offsets);
    JoinAnswer answer{JoinAnswer::Outcome::joined, {}, {}, choice.is_recovered, replay, {}};
    answer.position = {name.position.epoch, choice.start};
    answer.prefix = as_text(name.prefix.view());
    return answer;
}

// R14. What cannot be sent now waits in order.
void Exchange::State::ask(Upstream& upstream, PendingJoin pending, Instant now) {
    Name& name = names[pending.name];
    ++name.joins;
    if (!is_mine(name) && name.reception == Reception::none) name.reception = Reception::asked;
    settle(pending.name, now);
    upstream.held_back.push_back(std::move(pending));
    send_held_back(upstream, now);
}

void Exchange::State::send_held_back(Upstream& upstream, Instant now) {
    while (upstream.state != UpstreamState::lost && upstream.home != self &&
           !upstream.held_back.empty()) {
        const std::size_t room = upstream.held_back.front().room;
        if (room > 0 && upstream.room_granted + room > options.replay_bytes) return;
        PendingJoin pending = std::move(upstream.held_back.front());
        upstream.held_back.pop_front();
        if (!is_known(pending.session)) {
            drop_pending(pending, now);
            continue;
        }
        upstream.room_granted += room;
        send_join(upstream, std::move(pending));
    }
}

void Exchange::State::send_join(Upstream& upstream, PendingJoin pending) {
    const Name& name = names[pending.name];
    const std::uint64_t token = upstream.next_token++;
    send(upstream.home,
         wire::Join{.token = token,
                    .space = name.space,
                    .name = name.text,
                    .session = number_of(pending.session),
                    .has_since = pending.has_since,
                    .since_epoch = pending.since.epoch,
                    .since_offset = pending.since.offset,
                    .room = pending.room});
    upstream.joins.emplace(token, std::move(pending));
}

// A join that was never sent is wanted no more.
void Exchange::State::drop_pending(const PendingJoin& pending, Instant now) {
    Name& name = names[pending.name];
    WSPOOL_ASSERT(name.joins > 0);
    if (--name.joins == 0 && name.reception == Reception::asked) name.reception = Reception::none;
    settle(pending.name, now);
}

// R33, for joins of groups; registers end with the handshake that waits for them.
void Exchange::State::give_up_joins(Upstream& upstream, Instant now) {
    const auto refuse = [&](PendingJoin& pending) {
        queue_refused(
            pending.session, pending.tag, names[pending.name].text, wire::Refusal::unavailable);
        pending.is_refused = true;
        pending.session = {};
    };
    for (auto& [token, pending] : upstream.joins) {
        if (pending.is_refused || names[pending.name].space == wire::Space::id) continue;
        if (now - pending.at < options.home_wait) break;
        refuse(pending);
    }
    std::deque<PendingJoin>& held_back = upstream.held_back;
    for (std::size_t i = 0; i < held_back.size();) {
        if (now - held_back[i].at < options.home_wait) break;
        if (names[held_back[i].name].space == wire::Space::id) {
            ++i;
            continue;
        }
        if (!held_back[i].is_refused) refuse(held_back[i]);
        const PendingJoin pending = std::move(held_back[i]);
        held_back.erase(held_back.begin() + static_cast<std::ptrdiff_t>(i));
        drop_pending(pending, now);
    }
}

bool Exchange::State::leave(Session session, std::string_view group, Instant now) {
    if (!is_known(session)) return false;
    const Membership* membership_here = membership(session, find(wire::Space::group, group));
    if (membership_here == nullptr) return false;
    const auto slot = membership_here - sessions[session.index].groups->data();
    remove_member(session.index, static_cast<std::size_t>(slot), now);
    return true;
}

void Exchange::State::send_leave(const Name& name, const wire::SessionNumber& session) {
    const Upstream& upstream = upstreams[name.home];
    if (upstream.state == UpstreamState::lost) return;
    send(upstream.home, wire::Leave{.space = name.space, .name = name.text, .session = session});
}

Result<void> Exchange::State::on_joined(Upstream& upstream,
                                        const wire::Joined& joined,
                                        Instant now) {
    on_stable(upstream, joined.stable, now);
    const auto found = upstream.joins.find(joined.token);
    if (found == upstream.joins.end()) return {};  // R20
    const PendingJoin pending = std::move(found->second);
    upstream.joins.erase(found);
    upstream.room_granted -= pending.room;
    send_held_back(upstream, now);
    Name& name = names[pending.name];
    WSPOOL_ASSERT(name.joins > 0);
    --name.joins;
    if (joined.refusal == wire::Refusal::none) {
        auto received = receive_joined(upstream, pending.name, joined, now);
        if (!received) return received;
    } else if (name.space == wire::Space::group) {
        settle(pending.name, now);
        return fail("A home refused a join of the group " + name.text + ".");
    }
    if (name.space == wire::Space::id) {
        on_id_joined(pending, joined, now);
        return {};
    }
    if (is_known(pending.session)) {
        add_member(pending.session, pending.name, pending.has_offsets);
        Queued& queued = queue(ActionKind::joined);
        queued.session = pending.session;
        queued.name = pending.name;
        queued.generation = name.generation;
        queued.position = {joined.epoch, joined.start};
        queued.has_since = pending.has_since;
        queued.is_recovered = joined.is_recovered;
        queued.entries = joined.entries;
        queued.count = joined.count;
        queued.tag = keep(pending.tag);
    } else {
        settle(pending.name, now);
    }
    return {};
}

// The name is live from here on, and its unstable messages are in the log.
Result<void> Exchange::State::receive_joined(Upstream& upstream,
                                             std::uint32_t index,
                                             const wire::Joined& joined,
                                             Instant now) {
    Name& name = names[index];
    const Position end{joined.epoch, joined.start + joined.count};
    const bool was_live = name.reception == Reception::live;
    if (was_live && name.position != end) {
        return fail("A home answered a join of " + name.text +
                    " with a position that is not where its deliveries stand.");
    }
    name.position = end;
    name.reception = Reception::live;
    wire::EntryCursor cursor(joined.entries, joined.count);
    wire::Entry entry;
    std::uint64_t expected = joined.start;
    while (cursor.next(entry)) {
        if (entry.offset != ++expected) {
            return fail("A home answered a join of " + name.text +
                        " with messages that do not follow each other.");
        }
        upstream.highest = std::max(upstream.highest, entry.s);
        if (was_live || entry.s <= upstream.stable) continue;
        upstream.got_due = true;
        const bool is_logged = name.has_messages() && name.messages->back().offset >= entry.offset;
        if (!is_logged && !log_entry(upstream, index, entry, now)) {
            return fail("A home answered a join of " + name.text +
                        " with messages whose numbers do not rise.");
        }
    }
    return {};
}

// ----------------------------------------------------------------------------------------------
// the home

void Exchange::State::on_join(PeerSlot slot, const wire::Join& join, Instant now) {
    if (join.space == wire::Space::id) {
        on_register(slot, join, now);
        return;
    }
    const std::uint32_t index = find_or_make(wire::Space::group, join.name, now);
    part_of(index).joins.push_back({.peer = slot,
                                    .token = join.token,
                                    .after = names[index].last_s,
                                    .has_since = join.has_since,
                                    .since = {join.since_epoch, join.since_offset},
                                    .room = join.room});
    serve_joins(index, now);
}

// R15, R16: in order, so that the first answer to a peer lets those behind it through.
void Exchange::State::serve_joins(std::uint32_t index, Instant now) {
    HomePart& part = *names[index].part;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < part.joins.size(); ++i) {
        const WaitingJoin join = part.joins[i];
        const bool is_interested = has_interest(part, join.peer);
        if (is_interested || home.stable >= join.after || options.plant.early_join) {
            answer_join(index, join, now);
        } else {
            part.joins[kept++] = join;
        }
    }
    part.joins.resize(kept);
    if (kept > 0) wait_for_stable(index);
    settle(index, now);
}

void Exchange::State::wait_for_stable(std::uint32_t index) {
    if (names[index].waits) return;
    names[index].waits = true;
    home.waiting.push_back(index);
}

void Exchange::State::serve_waiting(Instant now) {
    if (home.waiting.empty()) return;
    const std::vector<std::uint32_t> waiting = std::exchange(home.waiting, {});
    for (const std::uint32_t index : waiting) {
        Name& name = names[index];
        if (!name.waits) continue;
        name.waits = false;
        if (!name.part) continue;
        if (name.space == wire::Space::id) {
            serve_registers(index, now);
        } else {
            serve_joins(index, now);
        }
    }
}

void Exchange::State::answer_join(std::uint32_t index, const WaitingJoin& join, Instant now) {
    Name& name = names[index];
    HomePart& part = *name.part;
    const bool is_fresh = !has_interest(part, join.peer);
    if (join.has_since) trim(index, now);
    std::uint64_t floor = name.position.offset;
    if (is_fresh && !options.plant.early_join) floor = offset_at_stable(name);
    const ReplayChoice choice =
        choose_start(name, join.has_since ? &join.since : nullptr, join.room, floor);
    write_joined(index,
                 join.peer,
                 {.token = join.token,
                  .epoch = name.position.epoch,
                  .start = choice.start,
                  .is_recovered = choice.is_recovered,
                  .stable = home.stable});
    if (!options.plant.window) add_interest(part, join.peer);
}

// All messages from head.start on are inside the record, so that nothing can come between.
void Exchange::State::write_joined(std::uint32_t index, PeerSlot slot, const wire::Joined& head) {
    const Name& name = names[index];
    PeerState& peer = *peers[slot];
    wire::JoinedWriter writer(peer.out, head);
    std::uint64_t last = 0;
    if (head.start < name.position.offset) {
        const std::uint64_t first = name.messages->front().offset;
        WSPOOL_ASSERT(head.start + 1 >= first);
        for (std::uint64_t i = head.start + 1 - first; i < name.messages->size(); ++i) {
            writer.add(entry_at(name, i));
            last = (*name.messages)[i].s;
        }
    }
    writer.finish();
    if (last > home.stable) set_sent(peer, last);
}

void Exchange::State::on_leave(PeerSlot slot, const wire::Leave& leave, Instant now) {
    const std::uint32_t index = find(leave.space, leave.name);
    if (index == IndexTable::none || !names[index].part) return;
    if (leave.space == wire::Space::id) {
        drop_holder(index, slot, leave.session, now);
        return;
    }
    remove_interest(*names[index].part, slot);
    settle(index, now);
}

bool Exchange::State::has_interest(const HomePart& part, PeerSlot slot) {
    return std::find(part.interest.begin(), part.interest.end(), slot) != part.interest.end();
}

void Exchange::State::add_interest(HomePart& part, PeerSlot slot) {
    if (!has_interest(part, slot)) part.interest.push_back(slot);
}

void Exchange::State::remove_interest(HomePart& part, PeerSlot slot) {
    std::erase(part.interest, slot);
}

}  // namespace wspool::hub
