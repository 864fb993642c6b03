// The invariants of Exchange, in the order of its header.
#include "hub/exchange_state.h"

#include <algorithm>

namespace wspool::hub {

void Exchange::State::check_invariants() const {
    check_memberships();
    check_windows();
    check_messages();
    check_ids();
    check_stable();
}

void Exchange::State::check_memberships() const {
    std::size_t with_members = 0;
    std::size_t used = 0;
    for (std::uint32_t index = 0; index < name_pool.end(); ++index) {
        const Name& name = names[index];
        for (std::size_t position = 0; position < name.members.size(); ++position) {
            const Member& member = name.members[position];
            const Membership& membership_here = (*sessions[member.index].groups)[member.slot];
            WSPOOL_ASSERT(membership_here.group == index);
            WSPOOL_ASSERT(membership_here.position == position);
        }
        if (!name.members.empty()) ++with_members;
        if (name.text.empty()) continue;
        ++used;
        if (is_mine(name)) {
            WSPOOL_ASSERT(name.idle.is_linked == is_idle(name));
        } else {
            WSPOOL_ASSERT(!name.part);
            if (name.idle.is_linked) WSPOOL_ASSERT(name.reception == Reception::live);
            if (!name.members.empty()) WSPOOL_ASSERT(name.reception == Reception::live);
            if (name.joins > 0) WSPOOL_ASSERT(name.reception != Reception::none);
        }
    }
    WSPOOL_ASSERT(with_members == groups_with_members);
    WSPOOL_ASSERT(used == name_pool.used());
    WSPOOL_ASSERT(used == by_text.size());
}

void Exchange::State::check_windows() const {
    std::size_t logged = 0;
    for (const LogEntry& entry : home.log) logged += entry.size;
    for (const Upstream& upstream : upstreams) {
        std::size_t bytes = 0;
        std::size_t records = 0;
        for (std::size_t i = 0; i < upstream.unfinished.size(); ++i) {
            if (upstream.unfinished[i].is_done) continue;
            bytes += upstream.unfinished[i].charge;
            ++records;
        }
        if (index_of(upstream) == options.index) {
            for (const LogEntry& entry : home.log) {
                bytes += entry.charge;
                if (entry.charge > 0) ++records;
            }
        }
        for (const LogEntry& entry : upstream.log) logged += entry.size;
        WSPOOL_ASSERT(upstream.window_bytes == bytes);
        WSPOOL_ASSERT(upstream.window_records == records);
        WSPOOL_ASSERT(bytes <= options.window_bytes);
        WSPOOL_ASSERT(records <= options.window_records);
    }
    WSPOOL_ASSERT(log_bytes == logged);
}

void Exchange::State::check_messages() const {
    std::size_t count = 0;
    std::size_t bytes = 0;
    for (std::uint32_t index = 0; index < name_pool.end(); ++index) {
        const Name& name = names[index];
        const std::size_t size = name.messages ? name.messages->size() : 0;
        if (is_mine(name) && !name.text.empty()) {
            count += size;
            for (std::size_t i = 0; i < size; ++i) {
                const Message& message = (*name.messages)[i];
                bytes += name.messages->blob(i).size() + sizeof(Message);
                WSPOOL_ASSERT(message.offset + (size - 1 - i) == name.position.offset);
            }
            if (name.last_s > home.stable) {
                WSPOOL_ASSERT(size > 0 && name.messages->back().s == name.last_s);
            }
            continue;
        }
        for (std::size_t i = 0; i < size; ++i) {
            WSPOOL_ASSERT((*name.messages)[i].s > upstreams[name.home].stable);
            if (i == 0) continue;
            WSPOOL_ASSERT((*name.messages)[i].s > (*name.messages)[i - 1].s);
            WSPOOL_ASSERT((*name.messages)[i].offset > (*name.messages)[i - 1].offset);
        }
    }
    WSPOOL_ASSERT(count == history_messages);
    WSPOOL_ASSERT(bytes == history_bytes);
}

void Exchange::State::check_ids() const {
    std::size_t held_count = 0;
    for (std::uint32_t index = 0; index < sessions.size(); ++index) {
        const SessionState& state = sessions[index];
        if (state.registration != Registration::held) continue;
        ++held_count;
        ClientId::TextBuffer buffer;
        bool is_found = false;
        for_each_holder_here(state.id.text(buffer), [&](std::uint32_t other) {
            if (other == index) is_found = true;
        });
        WSPOOL_ASSERT(is_found);
    }
    WSPOOL_ASSERT(held_count == ids.size());
}

void Exchange::State::check_stable() const {
    std::size_t behind = 0;
    std::size_t peer_count = 0;
    for (const auto& peer : peers) {
        if (peer->incarnation == 0) continue;
        ++peer_count;
        WSPOOL_ASSERT(peer->got <= peer->sent);
        if (peer->got < peer->sent) ++behind;
    }
    WSPOOL_ASSERT(peer_count == home.peer_count);
    WSPOOL_ASSERT(behind == home.behind);
    WSPOOL_ASSERT(home.stable <= home.s);
    WSPOOL_ASSERT(home.log.empty() || home.log.front().s == home.stable + 1 || behind > 0 ||
                  home.is_held);
    WSPOOL_ASSERT(home.phase != HomePhase::open || home.log.empty() ||
                  home.log.front().s > home.stable);
}

bool Exchange::State::is_at_rest() const {
    const bool is_home_at_rest = home.phase != HomePhase::opening && home.log.empty() &&
                                 home.deferred.empty() && home.behind == 0 && !home.is_held;
    if (!is_home_at_rest) return false;
    for (std::uint32_t index = 0; index < name_pool.end(); ++index) {
        if (!names[index].part) continue;
        if (!names[index].part->joins.empty() || !names[index].part->registers.empty())
            return false;
    }
    return std::all_of(upstreams.begin(), upstreams.end(), [](const Upstream& upstream) {
        return upstream.unfinished.empty() && upstream.parked.empty() && upstream.log.empty() &&
               upstream.joins.empty() && upstream.held_back.empty() && upstream.window_bytes == 0 &&
               upstream.window_records == 0;
    });
}

}  // namespace wspool::hub
