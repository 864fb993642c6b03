#include "worker/identities.h"

#include <algorithm>

namespace wspool::worker {
namespace {

[[nodiscard]] std::uint32_t wheel_tick(std::int64_t ticks) {
    return static_cast<std::uint32_t>(ticks);
}

// One text for equal permissions, another for different ones.
void append_patterns(std::string& text, const auth::Permissions::Patterns& patterns) {
    text += patterns ? '[' : '-';
    if (!patterns) return;
    for (const std::string& pattern : *patterns) {
        text += std::to_string(pattern.size());
        text += ':';
        text += pattern;
    }
}

[[nodiscard]] std::string text_of(const auth::Permissions& permissions) {
    std::string text;
    append_patterns(text, permissions.join);
    append_patterns(text, permissions.publish);
    return text;
}

}  // namespace

Identities::Identities(Instant now) : wheel_(NodeOf{&records_}, wheel_tick(ticks_of(now, tick))) {}

void Identities::set_wall_clock(WallTime wall, Instant at) {
    wall_ = wall;
    wall_at_ = at;
    has_wall_ = true;
}

WallTime Identities::wall_time(Instant now) const {
    WSPOOL_ASSERT(has_wall_);
    return wall_ + std::chrono::floor<WallClock::duration>(now - wall_at_);
}

void Identities::add(std::uint32_t index,
                     WallTime expires,
                     const auth::Permissions& permissions,
                     Instant now) {
    records_.grow_to(index);
    Record& record = records_[index];
    WSPOOL_ASSERT(!record.is_here);
    record.is_here = true;
    record.expires = expires;
    record.shared = nullptr;
    ++size_;
    if (permissions.is_limited()) {
        auto& entry = *shared_.try_emplace(text_of(permissions), Shared{permissions, 0}).first;
        ++entry.second.users;
        record.shared = &entry;
    }
    schedule(index, now);
}

void Identities::remove(std::uint32_t index) {
    Record& record = records_[index];
    WSPOOL_ASSERT(record.is_here);
    wheel_.cancel(index);
    record.is_here = false;
    --size_;
    if (record.shared == nullptr) return;
    if (--record.shared->second.users == 0) shared_.erase(shared_.find(record.shared->first));
    record.shared = nullptr;
}

bool Identities::may_join(std::uint32_t index, std::string_view group) const {
    const Record& record = records_[index];
    WSPOOL_ASSERT(record.is_here);
    return record.shared == nullptr || record.shared->second.permissions.may_join(group);
}

bool Identities::may_publish(std::uint32_t index, std::string_view group) const {
    const Record& record = records_[index];
    WSPOOL_ASSERT(record.is_here);
    return record.shared == nullptr || record.shared->second.permissions.may_publish(group);
}

void Identities::schedule(std::uint32_t index, Instant now) {
    const std::int64_t left = (records_[index].expires - wall_time(now)) / tick;
    const std::int64_t ahead = std::clamp<std::int64_t>(left + 1, 1, ticks_max);
    wheel_.schedule(index, wheel_tick(ticks_of(now, tick) + ahead));
}

Instant Identities::next_deadline() const {
    const std::uint32_t ticks = wheel_.ticks_to_next();
    if (ticks == UINT32_MAX) return never;
    // The wheel counts modulo 2^32, which is 34 years of a clock that begins at the machine's
    // start.
    return Instant(tick * (std::int64_t{wheel_.now()} + ticks));
}

void Identities::expire(Instant now, std::vector<std::uint32_t>& expired) {
    wheel_.advance(wheel_tick(ticks_of(now, tick)), [&](std::uint32_t index) {
        if (records_[index].expires <= wall_time(now)) {
            expired.push_back(index);
        } else {
            schedule(index, now);
        }
    });
}

}  // namespace wspool::worker
