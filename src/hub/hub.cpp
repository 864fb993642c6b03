#include "hub/hub.h"

#include <algorithm>
#include <array>

namespace wspool::hub {

Hub::Hub(const HubOptions& options, Entropy& entropy) : options_(options), entropy_(entropy) {
    key_ = {entropy.next_u64(), entropy.next_u64()};
}

std::uint32_t Hub::find(std::string_view name) const {
    return by_name_.find(sip_hash(name, key_),
                         [&](std::uint32_t group) { return groups_[group].name == name; });
}

std::uint32_t Hub::find_or_make(std::string_view name, Instant now) {
    std::uint32_t index = find(name);
    if (index != IndexTable::none) return index;
    index = pool_.take();
    groups_.grow_to(index);
    Group& group = groups_[index];
    WSPOOL_ASSERT(group.members.empty());
    group.name = name;
    group.prefix.clear();
    if (make_prefix_ != nullptr) make_prefix_(group.prefix, name);
    group.position = {entropy_.next_u64(), 0};
    by_name_.insert(sip_hash(name, key_), index);
    append_empty(index, now);
    return index;
}

Hub::Joined Hub::join(Memberships& memberships,
                      std::uint32_t member,
                      std::string_view name,
                      bool has_offsets,
                      Instant now) {
    const std::uint32_t found = find(name);
    if (found != IndexTable::none && memberships.list_) {
        for (const Membership& membership : *memberships.list_) {
            if (membership.group != found) continue;
            Group& group = groups_[found];
            group.members[membership.position].has_offsets = has_offsets ? 1 : 0;
            return {JoinOutcome::was_member, group.position};
        }
    }
    if (memberships.size() >= options_.groups_per_member_max) return {JoinOutcome::too_many, {}};

    const std::uint32_t index = find_or_make(name, now);
    Group& group = groups_[index];
    if (group.members.empty()) unlink_empty(index);
    if (!memberships.list_) memberships.list_ = std::make_unique<std::vector<Membership>>();
    lists_.grow_to(member);
    lists_[member] = memberships.list_.get();
    memberships.list_->push_back({index, static_cast<std::uint32_t>(group.members.size())});
    group.members.push_back(
        Member{member,
               static_cast<std::uint32_t>(memberships.list_->size() - 1) & 0x7FFFFFFFu,
               has_offsets ? 1u : 0u});
    return {JoinOutcome::joined, group.position};
}

bool Hub::leave(Memberships& memberships, std::string_view name, Instant now) {
    const std::uint32_t index = find(name);
    if (index == IndexTable::none || !memberships.list_) return false;
    for (std::size_t slot = 0; slot < memberships.list_->size(); ++slot) {
        if ((*memberships.list_)[slot].group != index) continue;
        remove(memberships, slot, now);
        return true;
    }
    return false;
}

void Hub::leave_all(Memberships& memberships, Instant now) {
    while (memberships.size() > 0) remove(memberships, memberships.size() - 1, now);
}

// Removes by swapping with the last on both sides, and mends what pointed to the two that moved.
void Hub::remove(Memberships& memberships, std::size_t slot, Instant now) {
    std::vector<Membership>& list = *memberships.list_;
    const Membership gone = list[slot];
    std::vector<Member>& members = groups_[gone.group].members;

    members[gone.position] = members.back();
    members.pop_back();
    if (gone.position < members.size()) {
        const Member& moved = members[gone.position];
        (*lists_[moved.index])[moved.slot].position = gone.position;
    }
    list[slot] = list.back();
    list.pop_back();
    if (slot < list.size()) {
        const Membership& moved = list[slot];
        groups_[moved.group].members[moved.position].slot =
            static_cast<std::uint32_t>(slot) & 0x7FFFFFFFu;
    }
    if (list.empty()) memberships.list_.reset();
    if (members.empty()) {
        append_empty(gone.group, now);
        forget_old(now);
    }
}

Hub::Publication Hub::publish(std::string_view name, Instant now) {
    const std::uint32_t index = find_or_make(name, now);
    Group& group = groups_[index];
    ++group.position.offset;
    if (group.members.empty()) {
        // It was used just now: to the end of the list, and only then are old ones forgotten.
        unlink_empty(index);
        append_empty(index, now);
        const Position position = group.position;
        forget_old(now);
        return {position, {}, {}};
    }
    return {group.position, group.members, as_text(group.prefix.view())};
}

void Hub::append_empty(std::uint32_t index, Instant now) {
    Group& group = groups_[index];
    group.members.shrink_to_fit();
    group.empty_since = now;
    group.previous = empty_last_;
    group.next = IndexTable::none;
    if (empty_last_ != IndexTable::none) {
        groups_[empty_last_].next = index;
    } else {
        empty_first_ = index;
    }
    empty_last_ = index;
    ++empty_count_;
}

void Hub::unlink_empty(std::uint32_t index) {
    const Group& group = groups_[index];
    if (group.previous != IndexTable::none) {
        groups_[group.previous].next = group.next;
    } else {
        empty_first_ = group.next;
    }
    if (group.next != IndexTable::none) {
        groups_[group.next].previous = group.previous;
    } else {
        empty_last_ = group.previous;
    }
    --empty_count_;
}

void Hub::forget_old(Instant now) {
    while (empty_count_ > options_.empty_groups_max ||
           (empty_count_ > 0 &&
            now - groups_[empty_first_].empty_since >= options_.empty_group_age_max)) {
        forget(empty_first_);
    }
}

void Hub::forget(std::uint32_t index) {
    Group& group = groups_[index];
    unlink_empty(index);
    by_name_.erase(sip_hash(group.name, key_), index);
    group = Group{};
    pool_.give_back(index);
}

void Hub::check_invariants() const {
    std::size_t empty = 0;
    for (std::uint32_t index = empty_first_; index != IndexTable::none;
         index = groups_[index].next) {
        WSPOOL_ASSERT(groups_[index].members.empty());
        ++empty;
    }
    WSPOOL_ASSERT(empty == empty_count_);
    WSPOOL_ASSERT(by_name_.size() == pool_.used());
    for (std::uint32_t index = 0; index < pool_.end(); ++index) {
        const std::vector<Member>& members = groups_[index].members;
        for (std::size_t position = 0; position < members.size(); ++position) {
            const Member& member = members[position];
            const Membership& membership = (*lists_[member.index])[member.slot];
            WSPOOL_ASSERT(membership.group == index);
            WSPOOL_ASSERT(membership.position == position);
        }
    }
}

}  // namespace wspool::hub
