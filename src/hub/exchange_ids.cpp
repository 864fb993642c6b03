// Directory of client ids: who holds which, and who may (R50 … R58).
#include "hub/exchange_state.h"

#include <algorithm>
#include <utility>

namespace wspool::hub {

bool Exchange::State::is_held_here(std::string_view id) const {
    bool is_held = false;
    for_each_holder_here(id, [&](std::uint32_t /*session*/) { is_held = true; });
    return is_held;
}

// ----------------------------------------------------------------------------------------------
// the member's worker

Exchange::RegisterOutcome Exchange::State::register_id(Session session,
                                                       std::string_view id,
                                                       Instant now) {
    SessionState& state = session_state(session);
    WSPOOL_ASSERT(state.registration == Registration::none);
    state.generation = session.generation;
    state.id = ClientId::named(id);
    state.registration = Registration::waiting;
    const std::uint16_t index = home_of(id);
    if (serves(index)) {
        std::uint32_t name = find(wire::Space::id, id);
        const bool is_known_here = name != IndexTable::none || is_held_here(id);
        if (options.duplicate_id == DuplicateId::allow || !is_known_here) {
            hold(session);
            return RegisterOutcome::granted;
        }
        name = find_or_make(wire::Space::id, id, now);
        add_register(name, {.peer = self, .session = number_of(session)}, now);
        return RegisterOutcome::pending;
    }
    const std::uint32_t name = find_or_make(wire::Space::id, id, now);
    ask(upstreams[index], PendingJoin{.session = session, .name = name, .at = now}, now);
    return RegisterOutcome::pending;
}

void Exchange::State::hold(Session session) {
    SessionState& state = sessions[session.index];
    WSPOOL_ASSERT(state.registration != Registration::held);
    state.registration = Registration::held;
    ClientId::TextBuffer buffer;
    ids.insert(sip_hash(state.id.text(buffer), options.key), session.index);
}

// R51: drawn again until it is homed here.
void Exchange::State::register_anonymous(Session session) {
    SessionState& state = session_state(session);
    WSPOOL_ASSERT(state.registration == Registration::none);
    state.generation = session.generation;
    ClientId::TextBuffer buffer;
    do {
        state.id = ClientId::anonymous(entropy);
    } while (options.index < options.index_count &&
             home_of(state.id.text(buffer)) != options.index);
    hold(session);
}

void Exchange::State::on_id_joined(const PendingJoin& pending,
                                   const wire::Joined& joined,
                                   Instant now) {
    Name& name = names[pending.name];
    const bool is_wanted = is_known(pending.session);
    if (is_wanted && joined.refusal == wire::Refusal::none) {
        hold(pending.session);
        queue_session(ActionKind::granted, pending.session);
    } else if (is_wanted) {
        SessionState& state = sessions[pending.session.index];
        state.registration = Registration::none;
        state.id = ClientId();
        queue_session(ActionKind::rejected, pending.session);
    }
    settle_id(name, pending.name, now);
}

// An id that is homed elsewhere is live exactly while somebody here holds it.
void Exchange::State::settle_id(Name& name, std::uint32_t index, Instant now) {
    if (!is_held_here(name.text)) {
        name.reception = name.joins > 0 ? Reception::asked : Reception::none;
    }
    settle(index, now);
}

void Exchange::State::on_evict(const wire::Evict& evict) {
    const Session session = local_session(evict.session);
    if (!is_known(session)) return;  // its leave is on the way
    if (sessions[session.index].registration != Registration::held) return;
    queue_session(ActionKind::evict, session);
}

void Exchange::State::on_check(const wire::Check& check) {
    const Session session = local_session(check.session);
    if (!is_known(session)) return;
    if (sessions[session.index].registration != Registration::held) return;
    queue_session(ActionKind::check, session, check.question);
}

void Exchange::State::held(Session session, std::uint64_t question) {
    if (!is_known(session)) return;
    if (sessions[session.index].registration != Registration::held) return;
    ClientId::TextBuffer buffer;
    const std::string_view id = sessions[session.index].id.text(buffer);
    const std::uint16_t index = home_of(id);
    if (serves(index)) {
        on_held(self, number_of(session), id, question);
    } else if (upstreams[index].state != UpstreamState::lost) {
        send(upstreams[index].home,
             wire::Held{.name = id, .session = number_of(session), .question = question});
    }
}

void Exchange::State::remove(Session session, Instant now) {
    if (!is_known(session)) return;
    SessionState& state = sessions[session.index];
    while (state.groups) remove_member(session.index, state.groups->size() - 1, now);
    give_up_id(session, now);
}

// R57: also when it was not granted yet.
void Exchange::State::give_up_id(Session session, Instant now) {
    SessionState& state = sessions[session.index];
    const ClientId id = std::exchange(state.id, ClientId());
    ClientId::TextBuffer buffer;
    const std::string_view text = id.text(buffer);
    if (state.registration == Registration::held) {
        state.id = ClientId();
        ids.erase(sip_hash(text, options.key), session.index);
    }
    state.registration = Registration::none;
    const std::uint32_t index = find(wire::Space::id, text);
    if (index == IndexTable::none) return;
    Name& name = names[index];
    if (serves(name.home)) {
        drop_holder(index, self, number_of(session), now);
    } else if (!is_mine(name)) {
        send_leave(name, number_of(session));
        settle_id(name, index, now);
    }
}

// ----------------------------------------------------------------------------------------------
// the home

void Exchange::State::on_register(PeerSlot slot, const wire::Join& join, Instant now) {
    const std::uint32_t index = find_or_make(wire::Space::id, join.name, now);
    HomePart& part = part_of(index);
    const WaitingRegister waiting{
        .peer = slot, .session = join.session, .token = join.token, .after = names[index].last_s};
    if (!join.is_moved) {
        add_register(index, waiting, now);
        return;
    }
    // R55: the same session at another worker becomes a second holder, unless it is being replaced.
    const bool is_holder =
        std::any_of(part.holders.begin(), part.holders.end(), [&](const Holder& holder) {
            return holder.session == join.session;
        });
    if (is_holder && part.registers.empty()) {
        grant(index, waiting);
    } else {
        refuse_register(waiting);
    }
    settle(index, now);
}

// R52: the newest waits, and only it.
void Exchange::State::add_register(std::uint32_t index,
                                   const WaitingRegister& waiting,
                                   Instant now) {
    HomePart& part = part_of(index);
    if (options.duplicate_id != DuplicateId::allow) {
        for (const WaitingRegister& older : std::exchange(part.registers, {})) {
            refuse_register(older);
        }
    }
    part.registers.push_back(waiting);
    serve_registers(index, now);
}

void Exchange::State::serve_registers(std::uint32_t index, Instant now) {
    HomePart& part = *names[index].part;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < part.registers.size(); ++i) {
        WaitingRegister waiting = part.registers[i];
        if (!serve_register(index, waiting)) part.registers[kept++] = waiting;
    }
    part.registers.resize(kept);
    if (kept > 0) wait_for_stable(index);
    settle(index, now);
}

// True when it is answered, or nobody waits for the answer any more.
bool Exchange::State::serve_register(std::uint32_t index, WaitingRegister& waiting) {
    if (waiting.peer == self && !is_known(local_session(waiting.session))) return true;
    const Name& name = names[index];
    const bool is_free =
        options.duplicate_id == DuplicateId::allow || !has_other_holders(name, waiting.session);
    if (!is_free && !waiting.has_asked) {
        waiting.has_asked = true;
        if (options.plant.no_check && options.duplicate_id == DuplicateId::reject) {
            refuse_register(waiting);
            return true;
        }
        ask_holders(name, waiting);
    }
    if (!is_free && !options.plant.grant_early) return false;
    const bool is_stable = waiting.peer == self || home.stable >= waiting.after ||
                           has_interest(*name.part, waiting.peer);
    if (!is_stable) return false;
    grant(index, waiting);
    return true;
}

void Exchange::State::grant(std::uint32_t index, const WaitingRegister& waiting) {
    if (waiting.peer == self) {
        const Session session = local_session(waiting.session);
        hold(session);
        queue_session(ActionKind::granted, session);
        return;
    }
    Name& name = names[index];
    HomePart& part = *name.part;
    const bool is_fresh = !has_interest(part, waiting.peer);
    write_joined(index,
                 waiting.peer,
                 {.token = waiting.token,
                  .epoch = name.position.epoch,
                  .start = is_fresh ? offset_at_stable(name) : name.position.offset,
                  .stable = home.stable});
    part.holders.push_back({waiting.peer, waiting.session});
    add_interest(part, waiting.peer);
}

void Exchange::State::refuse_register(const WaitingRegister& waiting) {
    if (waiting.peer != self) {
        send(waiting.peer,
             wire::Joined{.token = waiting.token,
                          .refusal = wire::Refusal::duplicate_id,
                          .stable = home.stable});
        return;
    }
    const Session session = local_session(waiting.session);
    if (!is_known(session)) return;
    SessionState& state = sessions[session.index];
    state.registration = Registration::none;
    state.id = ClientId();
    queue_session(ActionKind::rejected, session);
}

bool Exchange::State::has_other_holders(const Name& name,
                                        const wire::SessionNumber& session) const {
    bool has_others = false;
    for_each_holder_here(name.text, [&](std::uint32_t index) {
        if (number_of({index, sessions[index].generation}) != session) has_others = true;
    });
    if (has_others || !name.part) return has_others;
    const auto& holders = name.part->holders;
    return std::any_of(holders.begin(), holders.end(), [&](const Holder& holder) {
        return holder.session != session;
    });
}

// R52, R53: every holder is told to go, or asked whether it is there.
void Exchange::State::ask_holders(const Name& name, WaitingRegister& waiting) {
    const bool evicts = options.duplicate_id == DuplicateId::replace;
    if (!evicts) waiting.question = ++home.questions;
    bool is_done = false;
    for (const Holder& holder : name.part->holders) {
        if (holder.session == waiting.session || is_done) continue;
        if (evicts) {
            send(holder.peer, wire::Evict{.name = name.text, .session = holder.session});
        } else {
            send(holder.peer,
                 wire::Check{
                     .name = name.text, .session = holder.session, .question = waiting.question});
        }
        is_done = options.plant.evict_one;
    }
    for_each_holder_here(name.text, [&](std::uint32_t index) {
        const Session session{index, sessions[index].generation};
        if (number_of(session) == waiting.session || is_done) return;
        queue_session(evicts ? ActionKind::evict : ActionKind::check, session, waiting.question);
        is_done = options.plant.evict_one;
    });
}

void Exchange::State::on_held(PeerSlot slot,
                              const wire::SessionNumber& session,
                              std::string_view id,
                              std::uint64_t question) {
    const std::uint32_t index = find(wire::Space::id, id);
    if (index == IndexTable::none || !names[index].part) return;
    HomePart& part = *names[index].part;
    const bool is_holder =
        slot == self ||
        std::any_of(part.holders.begin(), part.holders.end(), [&](const Holder& holder) {
            return holder.peer == slot && holder.session == session;
        });
    if (!is_holder) return;
    std::erase_if(part.registers, [&](const WaitingRegister& waiting) {
        if (!waiting.has_asked || waiting.question != question) return false;
        refuse_register(waiting);
        return true;
    });
}

void Exchange::State::drop_holder(std::uint32_t index,
                                  PeerSlot slot,
                                  const wire::SessionNumber& session,
                                  Instant now) {
    Name& name = names[index];
    if (!name.part) {
        settle(index, now);
        return;
    }
    HomePart& part = *name.part;
    std::erase_if(part.holders, [&](const Holder& holder) {
        return holder.peer == slot && holder.session == session;
    });
    const bool has_more = std::any_of(part.holders.begin(),
                                      part.holders.end(),
                                      [&](const Holder& holder) { return holder.peer == slot; });
    if (!has_more) remove_interest(part, slot);
    if (!options.plant.leave_lost) {
        std::erase_if(part.registers, [&](const WaitingRegister& waiting) {
            if (waiting.peer != slot || waiting.session != session) return false;
            refuse_register(waiting);  // every join has an answer, also one that nobody wants
            return true;
        });
    }
    serve_registers(index, now);
}

}  // namespace wspool::hub
