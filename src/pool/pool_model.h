// For tests: what a pool has promised, kept in the plainest way. It sees every call and every
// action, knows nothing of how the pool decides, and complains with WSPOOL_ASSERT: G1 to G7 are
// those of the research the pool was built from (docs/pool.md).
#pragma once

#include "base/assert.h"
#include "pool/pool.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <set>
#include <vector>

namespace wspool::pool {

class PoolModel {
  public:
    enum class Socket : std::uint8_t { connecting, checking, open, closing };
    struct Waiting {
        AcquireRequest request;
        bool shares;  // its place, with others of its client: the first or highest of them counts
        WaiterId id;
    };
    struct Held {
        std::uint64_t tag;
        SlotId slot;
    };

    std::map<std::uint32_t, Socket> sockets;  // by index of the slot
    std::map<std::uint32_t, SlotId> names;
    std::vector<Waiting> waiting;          // oldest first
    std::map<std::uint32_t, Held> leases;  // by index of the lease
    std::map<std::uint32_t, LeaseId> lease_names;
    std::set<std::uint64_t> ended;  // tags of leases that were revoked
    bool checks_order = true;

    void on_acquire(const AcquireRequest& request, const Acquired& acquired) {
        if (acquired.kind == Acquired::Kind::waiting) {
            bool shares = false;
            for (Waiting& other : waiting) {
                if (request.client.empty() || other.request.client != request.client ||
                    other.request.key != request.key)
                    continue;
                shares = other.shares = true;
            }
            waiting.push_back({request, shares, acquired.waiter});
        } else if (acquired.kind == Acquired::Kind::leased) {
            lend(request.tag, acquired.lease, acquired.slot, request.client);
            if (is_shared(acquired.slot)) return;
            for (const Waiting& other : waiting) {  // G5: nobody is overtaken by a newcomer
                WSPOOL_ASSERT(other.request.key != request.key ||
                              index_of(other.request.priority) > index_of(request.priority));
            }
        }
    }
    void on_action(const PoolAction& action) {
        const std::uint32_t slot = action.slot.index;
        switch (action.kind) {
            case PoolAction::Kind::connect:
                WSPOOL_ASSERT(sockets.count(slot) == 0);  // G3
                sockets[slot] = Socket::connecting;
                names[slot] = action.slot;
                return;
            case PoolAction::Kind::validate:
                WSPOOL_ASSERT(sockets.at(slot) == Socket::open && !is_held(action.slot));
                sockets[slot] = Socket::checking;
                return;
            case PoolAction::Kind::close:
                WSPOOL_ASSERT(!is_held(action.slot));  // G3: whoever held it was told before
                sockets.at(slot) = Socket::closing;
                return;
            case PoolAction::Kind::granted:
                end_wait(action.tag, true);
                lend(action.tag, action.lease, action.slot, "shared or not");
                return;
            case PoolAction::Kind::failed:
                end_wait(action.tag, false);
                return;
            case PoolAction::Kind::revoked:
                WSPOOL_ASSERT(leases.at(action.lease.index).tag == action.tag);
                ended.insert(action.tag);
                leases.erase(action.lease.index);
                return;
            case PoolAction::Kind::notice:
            case PoolAction::Kind::leaked:
                WSPOOL_ASSERT(leases.at(action.lease.index).tag == action.tag);
                return;
            case PoolAction::Kind::drained:
                WSPOOL_ASSERT(sockets.empty() && leases.empty() && waiting.empty());
                return;
        }
    }
    void on_cancelled(std::uint64_t tag) { end_wait(tag, false); }

    void check(const Pool& pool, std::uint32_t max_size) const {
        pool.check_invariants();
        WSPOOL_ASSERT(sockets.size() <= max_size);        // G1
        WSPOOL_ASSERT(sockets.size() == pool.size());     // G6
        WSPOOL_ASSERT(waiting.size() == pool.waiting());  // G4, G6
        std::set<std::uint32_t> held;
        for (const auto& [index, lease] : leases) held.insert(lease.slot.index);
        WSPOOL_ASSERT(held.size() == pool.count(SlotState::leased));  // G3
        for (const std::uint32_t slot : held) WSPOOL_ASSERT(sockets.at(slot) == Socket::open);
    }
    [[nodiscard]] bool is_held(SlotId slot) const {
        return std::any_of(leases.begin(), leases.end(), [&](const auto& entry) {
            return entry.second.slot == slot;
        });
    }

  private:
    [[nodiscard]] bool is_shared(SlotId slot) const {
        return std::count_if(leases.begin(), leases.end(), [&](const auto& entry) {
                   return entry.second.slot == slot;
               }) > 1;
    }
    void lend(std::uint64_t tag, LeaseId lease, SlotId slot, std::string_view client) {
        WSPOOL_ASSERT(!client.empty() || !is_held(slot));  // G3
        WSPOOL_ASSERT(sockets.at(slot.index) == Socket::open);
        WSPOOL_ASSERT(leases.emplace(lease.index, Held{tag, slot}).second);
        lease_names[lease.index] = lease;
    }
    void end_wait(std::uint64_t tag, bool is_success) {
        const auto it = std::find_if(waiting.begin(), waiting.end(), [&](const Waiting& other) {
            return other.request.tag == tag;
        });
        WSPOOL_ASSERT(it != waiting.end());  // G4
        for (auto other = waiting.begin(); is_success && checks_order && !it->shares && other != it;
             ++other) {  // G5
            WSPOOL_ASSERT(other->request.key != it->request.key ||
                          other->request.priority != it->request.priority || other->shares);
        }
        waiting.erase(it);
    }
};

}  // namespace wspool::pool
