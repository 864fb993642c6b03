// The end of a home, seen from the others: they announce to the next one (R22, R23, R28, R30).
#include "hub/exchange_state.h"

#include <algorithm>
#include <utility>

namespace wspool::hub {

void Exchange::State::lose(Upstream& upstream) {
    upstream.state = UpstreamState::lost;
    upstream.home = nobody;
    upstream.got_due = false;
    // R20: asked again, in the order in which they were asked.
    std::deque<PendingJoin> again;
    for (auto& [token, pending] : upstream.joins) again.push_back(std::move(pending));
    upstream.joins.clear();
    for (PendingJoin& pending : upstream.held_back) again.push_back(std::move(pending));
    upstream.held_back = std::move(again);
    upstream.room_granted = 0;
}

void Exchange::State::announce(Upstream& upstream, PeerSlot slot, Instant now) {
    WSPOOL_ASSERT(upstream.state == UpstreamState::lost);
    upstream.home = slot;
    upstream.state = UpstreamState::announced;
    send(slot, wire::Announce{.stable = upstream.stable, .highest = upstream.highest});
    announce_names(upstream);
    announce_resends(upstream);
    send(slot, wire::Announced{});
    pop_finished(upstream, now);
    send_held_back(upstream, now);
}

void Exchange::State::announce_names(const Upstream& upstream) {
    const std::uint16_t index_of_home = index_of(upstream);
    for (std::uint32_t index = 0; index < name_pool.end(); ++index) {
        const Name& name = names[index];
        if (name.home != index_of_home || name.text.empty()) continue;
        if (name.reception == Reception::live) {
            wire::AnnounceName announced{.space = name.space,
                                         .name = name.text,
                                         .epoch = name.position.epoch,
                                         .offset = name.position.offset};
            if (name.space == wire::Space::group) {
                send(upstream.home, announced);
            } else {
                for_each_holder_here(name.text, [&](std::uint32_t session) {
                    announced.session = number_of({session, sessions[session].generation});
                    send(upstream.home, announced);
                });
            }
        }
        if (!name.messages || options.plant.no_tail) continue;
        for (std::size_t i = 0; i < name.messages->size(); ++i) {
            send(upstream.home,
                 wire::AnnounceEntry{
                     .epoch = name.position.epoch, .name = name.text, .entry = entry_at(name, i)});
        }
    }
}

void Exchange::State::announce_resends(Upstream& upstream) {
    for (std::size_t i = 0; i < upstream.unfinished.size(); ++i) {
        Unfinished& unfinished = upstream.unfinished[i];
        if (unfinished.is_done) continue;
        if (unfinished.is_given_up || options.plant.no_resend) {  // R33: never sent again
            if (!unfinished.is_answered) mark_answered(upstream, unfinished);
            finish(upstream, unfinished);
            continue;
        }
        const ByteView blob = upstream.unfinished.blob(i);
        wire::AnnounceResend resend{.s = unfinished.s, .publish = {}};
        const bool is_ours =
            wire::decode(blob.first(blob.size() - unfinished.tag_size), resend.publish);
        WSPOOL_ASSERT(is_ours);
        if (unfinished.is_sent) {
            ++unfinished.attempts;
            ++totals.resent_total;
        }
        unfinished.is_sent = true;
        resend.publish.attempt = unfinished.attempts;
        send(upstream.home, resend);
    }
}

Result<void> Exchange::State::on_opened(Upstream& upstream,
                                        const wire::Opened& opened,
                                        Instant now) {
    if (upstream.state != UpstreamState::announced) {
        return fail("A home said that it opened, and had said so before.");
    }
    upstream.state = UpstreamState::linked;
    wire::OpenedCursor cursor(opened.names, opened.count);
    wire::OpenedName name;
    while (cursor.next(name)) reopen_name(upstream, name);
    if (opened.s > 0) process(upstream, opened.s);
    // R28. First what S* finishes, then the rest is unknown again, but for what the log knows.
    for (std::size_t i = 0; i < upstream.unfinished.size(); ++i) {
        Unfinished& unfinished = upstream.unfinished[i];
        if (unfinished.is_done) continue;
        if (unfinished.s > 0 && unfinished.s <= opened.star) {
            mark_answered(upstream, unfinished);
            finish(upstream, unfinished);
        }
        unfinished.s = 0;
    }
    on_stable(upstream, opened.star, now);
    take_s_from_log(upstream);
    pop_finished(upstream, now);
    return {};
}

// R30. Offsets go on; only the epoch is new, unless the merge found a hole.
void Exchange::State::reopen_name(const Upstream& upstream, const wire::OpenedName& opened) {
    const std::uint32_t index = find(opened.space, opened.name);
    if (index == IndexTable::none || names[index].home != index_of(upstream)) return;
    Name& name = names[index];
    if (name.reception != Reception::live) return;  // left meanwhile: the leave is on the way
    name.position = {opened.epoch, opened.offset};
    if (name.members.empty()) return;
    Queued& queued = queue(ActionKind::position);
    queued.name = index;
    queued.generation = name.generation;
    queued.position = name.position;
    queued.is_recovered = opened.is_recovered;
}

void Exchange::State::take_s_from_log(Upstream& upstream) {
    for (std::uint32_t index = 0; index < name_pool.end(); ++index) {
        const Name& name = names[index];
        if (name.home != index_of(upstream) || !name.messages) continue;
        for (std::size_t i = 0; i < name.messages->size(); ++i) {
            const Message& message = (*name.messages)[i];
            if (message.origin.incarnation != options.incarnation) continue;
            Unfinished* unfinished = unfinished_at(upstream, message.origin.sequence);
            if (unfinished != nullptr && !unfinished->is_done) unfinished->s = message.s;
        }
    }
}

}  // namespace wspool::hub
