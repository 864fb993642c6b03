// Names, members and sessions.
#include "hub/exchange_state.h"

#include <algorithm>

namespace wspool::hub {
namespace {

[[nodiscard]] std::uint16_t rule_for(const std::vector<HistoryRule>& rules, std::string_view name) {
    std::size_t best = rules.size();
    for (std::size_t i = 0; i < rules.size(); ++i) {
        if (name.substr(0, rules[i].prefix.size()) != rules[i].prefix) continue;
        if (best == rules.size() || rules[i].prefix.size() >= rules[best].prefix.size()) best = i;
    }
    return static_cast<std::uint16_t>(best);
}

}  // namespace

std::uint64_t Exchange::State::hash_of(wire::Space space, std::string_view text) const {
    const std::uint64_t hash = sip_hash(text, options.key);
    return space == wire::Space::group ? hash : ~hash;
}

std::uint16_t Exchange::State::home_of(std::string_view text) const {
    return static_cast<std::uint16_t>(sip_hash(text, options.key) % options.index_count);
}

std::uint32_t Exchange::State::find(wire::Space space, std::string_view text) const {
    return find(space, text, hash_of(space, text));
}

std::uint32_t Exchange::State::find(wire::Space space,
                                    std::string_view text,
                                    std::uint64_t hash) const {
    return by_text.find(hash, [&](std::uint32_t index) {
        return names[index].space == space && names[index].text == text;
    });
}

std::uint32_t Exchange::State::find_or_make(wire::Space space, std::string_view text, Instant now) {
    return find_or_make(space, text, hash_of(space, text), now);
}

std::uint32_t Exchange::State::find_or_make(wire::Space space,
                                            std::string_view text,
                                            std::uint64_t hash,
                                            Instant now) {
    std::uint32_t index = find(space, text, hash);
    if (index != IndexTable::none) return index;
    index = name_pool.take();
    names.grow_to(index);
    Name& name = names[index];
    WSPOOL_ASSERT(name.members.empty());
    name.text = text;
    name.space = space;
    const std::uint64_t plain = space == wire::Space::group ? hash : ~hash;
    name.home = static_cast<std::uint16_t>(plain % options.index_count);
    name.rule = static_cast<std::uint16_t>(options.history.size());
    if (space == wire::Space::group) {
        if (is_mine(name)) name.rule = rule_for(options.history, text);
        if (make_prefix != nullptr) make_prefix(name.prefix, text);
    }
    // Made anew, it gets a new epoch: else an old `since` would look valid (R7).
    if (is_mine(name)) name.position = {entropy.next_u64(), 0};
    by_text.insert(hash, index);
    if (is_mine(name) && space == wire::Space::group) ++groups_homed;
    // One that is homed elsewhere is settled by whoever made it, once it says what for.
    if (is_mine(name)) {
        name.idle_since = now;
        idle.push_back(names, index);
    }
    return index;
}

bool Exchange::State::is_idle(const Name& name) const {
    return name.members.empty() && !name.part && name.joins == 0 && name.last_s <= home.stable;
}

HomePart& Exchange::State::part_of(std::uint32_t index) {
    Name& name = names[index];
    use(index);
    if (!name.part) name.part = std::make_unique<HomePart>();
    return *name.part;
}

void Exchange::State::use(std::uint32_t index) {
    if (!names[index].idle.is_linked) return;
    if (is_mine(names[index])) {
        idle.erase(names, index);
    } else {
        lingering.erase(names, index);
    }
}

void Exchange::State::settle(std::uint32_t index, Instant now) {
    Name& name = names[index];
    if (is_mine(name)) {
        if (name.part && name.part->is_empty()) name.part.reset();
        const bool should_be_idle = is_idle(name);
        if (should_be_idle == name.idle.is_linked) return;
        if (!should_be_idle) {
            use(index);
            return;
        }
        name.idle_since = now;
        idle.push_back(names, index);
        forget_idle(now);
        return;
    }
    if (!name.members.empty() || name.joins > 0) {
        use(index);
        return;
    }
    if (name.reception == Reception::live) {
        // Ids leave at once, and are settled by who makes them leave.
        if (name.space == wire::Space::id || name.idle.is_linked) return;
        name.idle_since = now;
        lingering.push_back(names, index);
        return;
    }
    name.reception = Reception::none;
    if (!name.has_messages()) forget(index);
}

// R7: beyond the bounds the longest idle ones go.
void Exchange::State::forget_idle(Instant now) {
    while (
        idle.size() > std::max<std::size_t>(1, options.empty_groups_max) ||
        (idle.size() > 0 && now - names[idle.front()].idle_since >= options.empty_group_age_max)) {
        forget(idle.front());
    }
}

// R19: the last member left a while ago, and nobody came.
void Exchange::State::end_linger(Instant now) {
    while (lingering.size() > 0) {
        const std::uint32_t index = lingering.front();
        Name& name = names[index];
        if (now - name.idle_since < options.interest_linger) return;
        use(index);
        send_leave(name, {});
        name.reception = Reception::none;
        settle(index, now);
    }
}

void Exchange::State::forget(std::uint32_t index) {
    Name& name = names[index];
    WSPOOL_ASSERT(name.members.empty() && !name.part && name.joins == 0);
    use(index);
    while (name.has_messages()) drop_front(name);
    by_text.erase(hash_of(name.space, name.text), index);
    if (is_mine(name) && name.space == wire::Space::group) --groups_homed;
    const std::uint32_t generation = name.generation + 1;
    name = Name{};
    name.generation = generation;
    name_pool.give_back(index);
}

// ----------------------------------------------------------------------------------------------
// sessions and members

bool Exchange::State::is_known(Session session) const {
    return session.index < sessions.size() &&
           sessions[session.index].generation == session.generation &&
           sessions[session.index].registration != Registration::none;
}

SessionState& Exchange::State::session_state(Session session) {
    sessions.grow_to(session.index);
    return sessions[session.index];
}

const Membership* Exchange::State::membership(Session session, std::uint32_t name) const {
    const auto& groups = sessions[session.index].groups;
    if (!groups || name == IndexTable::none) return nullptr;
    for (const Membership& membership : *groups) {
        if (membership.group == name) return &membership;
    }
    return nullptr;
}

void Exchange::State::add_member(Session session, std::uint32_t index, bool has_offsets) {
    Name& name = names[index];
    use(index);
    if (name.members.empty()) ++groups_with_members;
    auto& groups = sessions[session.index].groups;
    if (!groups) groups = std::make_unique<std::vector<Membership>>();
    groups->push_back({index, static_cast<std::uint32_t>(name.members.size())});
    name.members.push_back(Member{session.index,
                                  static_cast<std::uint32_t>(groups->size() - 1) & 0x7FFFFFFFu,
                                  has_offsets ? 1u : 0u});
}

// Removes by swapping with the last on both sides, and mends what pointed to the two that moved.
void Exchange::State::remove_member(std::uint32_t session, std::size_t slot, Instant now) {
    std::vector<Membership>& list = *sessions[session].groups;
    const Membership gone = list[slot];
    std::vector<Member>& members = names[gone.group].members;

    members[gone.position] = members.back();
    members.pop_back();
    if (gone.position < members.size()) {
        const Member& moved = members[gone.position];
        (*sessions[moved.index].groups)[moved.slot].position = gone.position;
    }
    list[slot] = list.back();
    list.pop_back();
    if (slot < list.size()) {
        const Membership& moved = list[slot];
        names[moved.group].members[moved.position].slot =
            static_cast<std::uint32_t>(slot) & 0x7FFFFFFFu;
    }
    if (list.empty()) sessions[session].groups.reset();
    if (members.empty()) {
        members.shrink_to_fit();
        --groups_with_members;
        settle(gone.group, now);
    }
}

}  // namespace wspool::hub
