// What people are told who ask about groups and ids (docs/control-api.md). Nothing here changes
// anything.
#include "hub/exchange_state.h"

#include <algorithm>

namespace wspool::hub {
namespace {

[[nodiscard]] GroupFacts facts_of(const Name& name, bool is_home) {
    GroupFacts facts;
    facts.name = name.text;
    facts.members = name.members.size();
    facts.is_home = is_home;
    if (!is_home) return facts;
    facts.position = name.position;
    facts.history = name.messages ? name.messages->size() : 0;
    return facts;
}

}  // namespace

std::optional<GroupFacts> Exchange::group(std::string_view name) const {
    const std::uint32_t index = state_->find(wire::Space::group, name);
    if (index == IndexTable::none) return std::nullopt;
    return facts_of(state_->names[index], state_->is_mine(state_->names[index]));
}

std::optional<GroupFacts> Exchange::next_group(std::uint32_t& index, std::size_t& looks) const {
    while (looks > 0 && has_names_from(index)) {
        const Name& name = state_->names[index];
        ++index;
        --looks;
        // A name that is free is empty; one that is idle and has no history is a number alone.
        const bool is_listed = !name.text.empty() && name.space == wire::Space::group &&
                               state_->is_mine(name) &&
                               (!name.idle.is_linked || name.has_messages());
        if (is_listed) return facts_of(name, true);
    }
    return std::nullopt;
}

bool Exchange::has_names_from(std::uint32_t index) const {
    return index < state_->name_pool.end();
}

std::size_t Exchange::group_count_of(std::uint32_t session) const {
    if (session >= state_->sessions.size()) return 0;
    const auto& groups = state_->sessions[session].groups;
    return groups ? groups->size() : 0;
}

void Exchange::list_groups_of(std::uint32_t session,
                              std::size_t max,
                              std::vector<std::string_view>& groups) const {
    groups.clear();
    if (group_count_of(session) == 0) return;
    for (const Membership& membership : *state_->sessions[session].groups) {
        if (groups.size() == max) return;
        groups.push_back(state_->names[membership.group].text);
    }
}

void Exchange::list_holders_of(std::string_view id, std::vector<std::uint32_t>& holders) const {
    holders.clear();
    state_->for_each_holder_here(id, [&](std::uint32_t session) { holders.push_back(session); });
}

}  // namespace wspool::hub
