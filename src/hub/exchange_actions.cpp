// Actions: queued as numbers, and turned into views when they are taken.
#include "hub/exchange_state.h"

#include <algorithm>

namespace wspool::hub {

Queued& Exchange::State::queue(ActionKind kind) {
    if (actions_taken == actions.size()) {
        actions.clear();
        actions_taken = 0;
        arena.clear();
    }
    Queued& queued = actions.emplace_back();
    queued.kind = kind;
    return queued;
}

// What is kept lives until all actions are taken: keep after queue().
Queued::Part Exchange::State::keep(std::string_view text) {
    const Queued::Part part{static_cast<std::uint32_t>(arena.size()),
                            static_cast<std::uint32_t>(text.size())};
    arena.append(text);
    return part;
}

void Exchange::State::queue_deliver(const Passing& passing,
                                    std::uint32_t name,
                                    const Position& position,
                                    bool is_live) {
    const bool is_broadcast = passing.kind == wire::Kind::broadcast;
    if (is_broadcast ? names[name].members.empty() : !is_held_here(passing.name)) return;
    Queued& queued = queue(ActionKind::deliver);
    queued.message = passing.kind;
    queued.name = name;
    queued.generation = name == IndexTable::none ? 0 : names[name].generation;
    queued.position = position;
    queued.is_live = is_live;
    if (is_broadcast) queued.excluded = local_index(passing.session);
    if (is_live) {
        queued.live_text = passing.name;
        queued.live_sender_id = passing.sender_id;
        queued.live_payload = passing.payload;
    } else {
        queued.text = keep(passing.name);
        queued.sender_id = keep(passing.sender_id);
        queued.payload = keep(passing.payload);
    }
}

void Exchange::State::queue_published(Session session,
                                      std::string_view tag,
                                      const Position& position) {
    if (tag.empty()) return;  // nobody wants to know
    Queued& queued = queue(ActionKind::published);
    queued.session = session;
    queued.position = position;
    queued.tag = keep(tag);
}

void Exchange::State::queue_refused(Session session,
                                    std::string_view tag,
                                    std::string_view group,
                                    wire::Refusal refusal) {
    Queued& queued = queue(ActionKind::refused);
    queued.session = session;
    queued.refusal = refusal;
    queued.tag = keep(tag);
    queued.text = keep(group);
}

void Exchange::State::queue_session(ActionKind kind, Session session, std::uint64_t question) {
    Queued& queued = queue(kind);
    queued.session = session;
    queued.question = question;
}

bool Exchange::has_actions() const {
    const State& state = *state_;
    return state.actions_taken < state.actions.size() ||
           !state.upstreams[state.options.index].held_back.empty();
}

bool Exchange::State::next_action(Action& action) {
    do {
        while (actions_taken < actions.size()) {
            const Queued& queued = actions[actions_taken++];
            action = Action{};
            if (fill(queued, action)) return true;
        }
    } while (options.index < upstreams.size() && serve_own_join());
    return false;
}

// False when there is nobody any more whom it concerns.
bool Exchange::State::fill(const Queued& queued, Action& action) {
    action.kind = queued.kind;
    action.session = queued.session;
    action.position = queued.position;
    action.tag = kept(queued.tag);
    action.refusal = queued.refusal;
    action.question = queued.question;
    action.has_since = queued.has_since;
    action.is_recovered = queued.is_recovered;
    switch (queued.kind) {
        case ActionKind::deliver:
            return fill_deliver(queued, action);
        case ActionKind::joined:
        case ActionKind::position: {
            const Name& name = names[queued.name];
            if (name.generation != queued.generation) return false;
            action.group = name.text;
            action.prefix = as_text(name.prefix.view());
            action.members = name.members;
            if (queued.kind == ActionKind::joined) fill_replay(queued, action);
            return true;
        }
        case ActionKind::refused:
            action.group = kept(queued.text);
            return true;
        case ActionKind::evict:
        case ActionKind::check:
        case ActionKind::granted:
            return is_known(queued.session);
        case ActionKind::published:
        case ActionKind::rejected:
        case ActionKind::resume:
            return true;
    }
    WSPOOL_UNREACHABLE();
}

bool Exchange::State::fill_deliver(const Queued& queued, Action& action) {
    Delivery& delivery = action.delivery;
    delivery.kind = queued.message;
    delivery.position = queued.position;
    delivery.excluded = queued.excluded;
    delivery.name = queued.is_live ? queued.live_text : kept(queued.text);
    delivery.sender_id = queued.is_live ? queued.live_sender_id : kept(queued.sender_id);
    delivery.payload = queued.is_live ? queued.live_payload : as_bytes(kept(queued.payload));
    if (queued.message != wire::Kind::broadcast) {
        delivery.members = members_of_id(delivery.name);
        return !delivery.members.empty();
    }
    const Name& name = names[queued.name];
    if (name.generation != queued.generation) return false;
    delivery.prefix = as_text(name.prefix.view());
    delivery.members = name.members;
    return !delivery.members.empty();
}

void Exchange::State::fill_replay(const Queued& queued, Action& action) {
    replay.clear();
    action.replay = replay;
    if (!is_known(queued.session)) return;
    const Name& name = names[queued.name];
    if (queued.count == 0) {
        replay_from_history(name, queued.position.offset, queued.end, queued.session.index);
        action.replay = replay;
        return;
    }
    ClientId::TextBuffer buffer;
    const std::string_view id = sessions[queued.session.index].id.text(buffer);
    wire::EntryCursor cursor(queued.entries, queued.count);
    wire::Entry entry;
    while (cursor.next(entry)) {
        if (options.duplicate_id != DuplicateId::allow && entry.sender_id == id) continue;  // R21
        replay.push_back({entry.offset, entry.payload});
    }
    action.replay = replay;
}

std::span<const Member> Exchange::State::members_of_id(std::string_view id) {
    id_members.clear();
    for_each_holder_here(id, [&](std::uint32_t session) { id_members.push_back({session, 0, 0}); });
    return id_members;
}

// ----------------------------------------------------------------------------------------------
// time

Instant Exchange::State::next_deadline() const {
    Instant earliest = never;
    const auto consider = [&](Instant at) { earliest = std::min(earliest, at); };
    if (idle.size() > 0) consider(names[idle.front()].idle_since + options.empty_group_age_max);
    if (lingering.size() > 0) {
        consider(names[lingering.front()].idle_since + options.interest_linger);
    }
    for (std::size_t rule = 0; rule < histories.size(); ++rule) {
        if (histories[rule].size() == 0) continue;
        consider(names[histories[rule].front()].published + options.history[rule].age);
    }
    for (const Upstream& upstream : upstreams) consider(wait_deadline(upstream));
    return earliest;
}

void Exchange::State::on_time(Instant now) {
    end_linger(now);
    expire_history(now);
    forget_idle(now);
    for (Upstream& upstream : upstreams) give_up_old(upstream, now);
}

ExchangeFigures Exchange::State::figures() const {
    ExchangeFigures figures = totals;
    figures.groups = groups_with_members;
    figures.names = name_pool.used();
    figures.groups_homed = groups_homed;
    figures.ids = ids.size();
    figures.peers = home.peer_count;
    figures.log_records = home.log.size();
    figures.log_bytes = log_bytes;
    figures.history_messages = history_messages;
    figures.history_bytes = history_bytes;
    for (const Upstream& upstream : upstreams) {
        figures.window_bytes += upstream.window_bytes;
        figures.window_records += upstream.window_records;
        figures.parked += upstream.parked.size();
        figures.parked_bytes += upstream.parked_bytes;
        figures.log_records += upstream.log.size();
        figures.joins_waiting += upstream.joins.size() + upstream.held_back.size();
    }
    return figures;
}

}  // namespace wspool::hub
