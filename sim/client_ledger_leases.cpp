// What becomes of leases: given back, used, revoked, and bound anew.
#include "sim/client_ledger.h"

#include <algorithm>

namespace wspool::sim {

using client::ErrorCode;

void ClientLedger::end(LeaseRecord& lease) {
    lease.ended = ++moment_;
    lease.ended_at = journal_.now();
}

void ClientLedger::on_return(std::size_t index, bool is_accepted, bool is_discard) {
    LeaseRecord& lease = leases[index];
    if (!lease.is_live()) {
        if (is_accepted) {
            violate("lease " + std::to_string(lease.call) + " was given back a second time");
        }
        return;
    }
    if (!is_accepted) {
        lease.is_doomed = true;
        doomed_.insert(index);
        return;
    }
    end(lease);
    live_.erase(index);
    doomed_.erase(index);
    if (!is_discard || lease.client.empty()) return;
    // Whoever shares the connection loses it.
    for (const std::size_t other : live_) {
        LeaseRecord& record = leases[other];
        record.was_discarded |= record.client == lease.client && record.target == lease.target;
    }
}

void ClientLedger::on_lease_send(std::size_t index,
                                 std::uint64_t number,
                                 std::size_t size,
                                 client::SendOutcome outcome) {
    LeaseRecord& lease = leases[index];
    const std::string name = "lease " + std::to_string(lease.call);
    switch (outcome) {
        case client::SendOutcome::queued:
            if (!lease.is_live() || lease.is_suspended)
                violate(name + " has no connection, and yet takes a message");
            lease_texts_[number] = LeaseText{index, size, -1};
            break;
        case client::SendOutcome::gone:
            if (lease.is_live() && !lease.is_suspended) {
                lease.is_doomed = true;
                doomed_.insert(index);
            }
            break;
        case client::SendOutcome::full:
            if (!lease.is_live()) violate(name + " has ended, and yet its outbox is full");
            break;
        case client::SendOutcome::invalid:
            violate(name + " calls a good message invalid");
            break;
    }
}

void ClientLedger::on_revoked(std::uint64_t tag, client::LeaseId id, ErrorCode error) {
    for (const std::size_t index : live_) {
        LeaseRecord& lease = leases[index];
        if (lease.id != id) continue;
        if (lease.call != tag) violate("a lease was revoked under another's tag");
        const bool is_lost = error == ErrorCode::connection_lost;
        const bool is_known = is_lost ||
                              (error == ErrorCode::preempted && swarm_.core.host.shares) ||
                              (error == ErrorCode::already_leased && lease.is_suspended) ||
                              (error == ErrorCode::pool_closed && is_draining());
        if (!is_known) violate("a lease was revoked with " + std::string(client::name(error)));
        if (is_lost && calls_[tag].is_persistent && !is_draining())
            violate("the persistent lease " + std::to_string(tag) + " was lost");
        if (is_lost && !is_excused() && !lease.was_discarded) {
            violate("lease " + std::to_string(tag) + " was lost while all servers are well");
        }
        ++counts_revoked;
        end(lease);
        live_.erase(index);
        doomed_.erase(index);
        return;
    }
    violate("lease " + std::to_string(tag) + " was revoked, but nobody holds it");
}

std::size_t ClientLedger::find_live(std::uint64_t tag, client::LeaseId id) {
    for (const std::size_t index : live_) {
        if (leases[index].id == id && leases[index].call == tag) return index;
    }
    const bool has_just_ended = std::any_of(leases.begin(), leases.end(), [&](const auto& lease) {
        return lease.id == id && lease.call == tag && lease.ended_at == journal_.now();
    });
    // What was queued before it was given back may be told after it, in the same turn.
    if (!has_just_ended)
        violate("lease " + std::to_string(tag) + " is told of, but nobody holds it");
    return leases.size();
}

void ClientLedger::on_suspended(std::uint64_t tag, client::LeaseId id) {
    const std::size_t index = find_live(tag, id);
    if (index == leases.size()) return;
    const std::string name = "lease " + std::to_string(tag);
    LeaseRecord& lost = leases[index];
    if (!calls_[tag].is_persistent) violate(name + " is suspended, and is not persistent");
    if (lost.is_suspended) violate(name + " is suspended twice");
    if (!is_excused() && !lost.was_discarded)
        violate(name + " was lost while all servers are well");
    end(lost);
    live_.erase(index);
    doomed_.erase(index);
    lost.next = leases.size();
    LeaseRecord next;
    next.id = id;
    next.call = tag;
    next.target = lost.target;
    next.client = lost.client;
    next.granted = ++moment_;
    next.is_suspended = true;
    leases.push_back(next);
    live_.insert(leases.size() - 1);
}

void ClientLedger::on_resumed(std::uint64_t tag, client::LeaseId id) {
    const std::size_t index = find_live(tag, id);
    if (index == leases.size()) return;
    if (!leases[index].is_suspended)
        violate("lease " + std::to_string(tag) + " is resumed, and had a connection");
    ++counts_resumed;
    leases[index].is_suspended = false;
    leases[index].granted = ++moment_;
    doomed_.erase(index);
}

void ClientLedger::on_told_of_lease(std::uint64_t tag, client::LeaseId id, bool is_leak) {
    const auto found = std::find_if(
        leases.rbegin(), leases.rend(), [tag](const auto& lease) { return lease.call == tag; });
    // What was queued before it ended may be told after it, in the same turn.
    const bool is_known = found != leases.rend() && found->id == id &&
                          (found->is_live() || found->ended_at == journal_.now());
    if (!is_known) {
        return violate("lease " + std::to_string(tag) + " is told of, but nobody holds it");
    }
    if (is_leak && found->has_leaked) violate("a leak was told twice");
    found->has_leaked |= is_leak;
}

}  // namespace wspool::sim
