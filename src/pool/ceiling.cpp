#include "pool/ceiling.h"

#include <algorithm>

namespace wspool::pool {

Ceiling::MemberId Ceiling::join(std::uint64_t tag) {
    const MemberId id = indexes_.take();
    members_.grow_to(id);
    members_[id].tag = tag;
    return id;
}

void Ceiling::leave(MemberId id) {
    want(id, 0, Appetite::waiter);
    set_idle(id, false);
    Member& member = members_[id];
    WSPOOL_ASSERT(!is_active(member));
    WSPOOL_ASSERT(member.evicting == 0);
    if (member.is_to_wake) to_wake_.remove(wake_links(), id);
    member = Member{};
    indexes_.give_back(id);
}

bool Ceiling::take(MemberId id) {
    Member& member = members_[id];
    const bool was_active = is_active(member);
    if (member.reserved > 0) {
        --member.reserved;
        --reserved_;
    } else if (!has_free()) {
        return false;
    }
    ++member.taken;
    ++taken_;
    peak_ = std::max(peak_, taken_);
    if (!was_active) ++active_;
    return true;
}

void Ceiling::give_back(MemberId id, bool was_evicted) {
    Member& member = members_[id];
    WSPOOL_ASSERT(member.taken > 0);
    --member.taken;
    --taken_;
    if (!is_active(member)) --active_;
    if (was_evicted) {
        nothing_to_evict(id);
        ++evictions_;
    }
    reserve_free();
}

// What is reserved counts as wanted already: only the difference is queued for.
void Ceiling::want(MemberId id, std::uint32_t count, Appetite appetite) {
    Member& member = members_[id];
    if (member.reserved == 0 && member.wanted == count &&
        (count == 0 || member.appetite == appetite))
        return;
    const bool was_active = is_active(member);
    if (member.reserved > count) {
        reserved_ -= member.reserved - count;
        member.reserved = count;
    }
    set_wanted(id, count - member.reserved, appetite);
    const bool is_now_active = is_active(member);
    active_ += is_now_active;
    active_ -= was_active;
    reserve_free();
}

void Ceiling::set_wanted(MemberId id, std::uint32_t count, Appetite appetite) {
    Member& member = members_[id];
    const bool keeps_turn = member.wanted > 0 && count > 0 && member.appetite == appetite;
    if (member.wanted > 0) {
        if (member.appetite == Appetite::waiter) wanted_ -= member.wanted;
        if (!keeps_turn) queue_of(member.appetite).remove(want_links(), id);
    }
    member.wanted = count;
    member.appetite = appetite;
    if (count == 0) return;
    if (appetite == Appetite::waiter) wanted_ += count;
    if (!keeps_turn) queue_of(appetite).push_back(want_links(), id);
}

// Free permits go to those who want some: one, then to the end of the queue.
void Ceiling::reserve_free() {
    while (has_free() && hungry_.size() + spare_.size() > 0) {
        IndexList& queue = hungry_.is_empty() ? spare_ : hungry_;
        const MemberId id = queue.front();
        Member& member = members_[id];
        const std::uint32_t left = member.wanted - 1;
        set_wanted(id, 0, member.appetite);
        set_wanted(id, left, member.appetite);
        ++member.reserved;
        ++reserved_;
        if (member.is_to_wake) continue;
        member.is_to_wake = true;
        to_wake_.push_back(wake_links(), id);
    }
}

void Ceiling::set_idle(MemberId id, bool has_idle) {
    Member& member = members_[id];
    if (member.has_idle == has_idle) return;
    member.has_idle = has_idle;
    if (has_idle) {
        idle_.push_back(idle_links(), id);
    } else {
        idle_.remove(idle_links(), id);
    }
}

// An equal part is of those who have or want anything, and at least one.
bool Ceiling::must_yield(MemberId id) {
    if (wanted_ <= evicting_) return false;
    const std::uint32_t part = std::max(1u, permits_max_ / std::max(1u, active_));
    const Member& hungry = members_[hungry_.front()];
    Member& member = members_[id];
    if (member.taken - member.evicting <= part || hungry.taken + hungry.reserved >= part)
        return false;
    ++member.evicting;
    ++evicting_;
    return true;
}

void Ceiling::nothing_to_evict(MemberId id) {
    WSPOOL_ASSERT(members_[id].evicting > 0);
    --members_[id].evicting;
    --evicting_;
}

bool Ceiling::next_action(CeilingAction& action) {
    if (!to_wake_.is_empty()) {
        const MemberId id = to_wake_.front();
        to_wake_.remove(wake_links(), id);
        members_[id].is_to_wake = false;
        action = {CeilingAction::Kind::wake, members_[id].tag};
        return true;
    }
    if (wanted_ <= evicting_ || idle_.is_empty()) return false;
    const MemberId id = idle_.front();
    idle_.remove(idle_links(), id);
    idle_.push_back(idle_links(), id);
    ++members_[id].evicting;
    ++evicting_;
    action = {CeilingAction::Kind::evict, members_[id].tag};
    return true;
}

void Ceiling::resize(std::uint32_t permits_max) {
    permits_max_ = permits_max;
    reserve_free();
}

CeilingFigures Ceiling::figures() const {
    return {.permits_max = permits_max_,
            .taken = taken_,
            .peak = peak_,
            .reserved = reserved_,
            .wanted = wanted_,
            .members = static_cast<std::uint32_t>(indexes_.used()),
            .evictions = evictions_};
}

void Ceiling::check_invariants() const {
    std::uint32_t taken = 0;
    std::uint32_t reserved = 0;
    std::uint32_t wanted = 0;
    std::uint32_t queued = 0;
    std::uint32_t evicting = 0;
    std::uint32_t active = 0;
    for (MemberId id = 0; id < indexes_.end(); ++id) {
        const Member& member = members_[id];
        taken += member.taken;
        reserved += member.reserved;
        if (member.appetite == Appetite::waiter) wanted += member.wanted;
        queued += member.wanted > 0;
        evicting += member.evicting;
        WSPOOL_ASSERT(member.evicting <= member.taken);
        active += is_active(member);
    }
    WSPOOL_ASSERT(taken == taken_);
    WSPOOL_ASSERT(reserved == reserved_);
    WSPOOL_ASSERT(wanted == wanted_);
    WSPOOL_ASSERT(queued == hungry_.size() + spare_.size());
    WSPOOL_ASSERT(active == active_);
    WSPOOL_ASSERT(evicting == evicting_);
    WSPOOL_ASSERT(wanted_ == 0 || !has_free());
}

}  // namespace wspool::pool
