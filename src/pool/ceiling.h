// Ceiling: a common limit on the connections of several pools: hosts under one total, or dedicated
// pools, one per class of use, that must not exceed it together. A permit is one slot of a pool,
// from before it connects until its connection is gone. Pure.
//
// How it works: a pool that needs a permit takes it, or says how many it wants. Permits that come
// back are reserved for the pools that want some, one each in turn, and the owner is told to wake
// them; nobody else can take what is reserved. While all are taken, a pool that has idle
// connections is asked to close one for each that is wanted. A pool above its equal part gives way
// even with connections that its own waiters could use, as long as one below its part wants some:
// else a pool that is always busy would starve the others. Permits wanted only to keep connections
// in store (`spare`) are given when no waiter wants any, and nobody is asked to close for them.
//
// Invariants: 1. taken + reserved never grows beyond permits_max (a resize may leave more until
// they come back). 2. Nobody wants a permit for a waiter while one is free. 3. Sums over the
// members equal the totals. Ownership: pools hold a reference and are members until they leave; the
// owner pulls next_action() after every call into any of them. Limits: permits_max; no limit on
// members.
#pragma once

#include "base/chunked_array.h"
#include "pool/admission_list.h"

#include <cstdint>

namespace wspool::pool {

struct CeilingAction {
    enum class Kind : std::uint8_t {
        wake,   // Pool::on_permit() of the member `tag`: permits are reserved for it
        evict,  // Pool::evict_idle() of the member `tag`
    };
    Kind kind{};
    std::uint64_t tag = 0;
};

struct CeilingFigures {
    std::uint32_t permits_max = 0;
    std::uint32_t taken = 0;
    std::uint32_t peak = 0;
    std::uint32_t reserved = 0;
    std::uint32_t wanted = 0;  // by waiters
    std::uint32_t members = 0;
    std::uint64_t evictions = 0;  // connections closed for another pool
};

class Ceiling {
  public:
    using MemberId = std::uint32_t;
    static constexpr std::uint32_t unlimited = UINT32_MAX;
    enum class Appetite : std::uint8_t { waiter, spare };

    explicit Ceiling(std::uint32_t permits_max) : permits_max_(permits_max) {}
    Ceiling(const Ceiling&) = delete;
    Ceiling& operator=(const Ceiling&) = delete;

    [[nodiscard]] bool next_action(CeilingAction& action);
    void resize(std::uint32_t permits_max);
    [[nodiscard]] CeilingFigures figures() const;
    void check_invariants() const;

    // ---- for Pool
    [[nodiscard]] MemberId join(std::uint64_t tag);
    // It holds no permit any more.
    void leave(MemberId member);
    [[nodiscard]] bool take(MemberId member);
    // `was_evicted`: because evict, or must_yield(), asked for it.
    void give_back(MemberId member, bool was_evicted);
    // How many it wants beyond those it took; replaces what it said before, and gives reserved ones
    // back that it does not want any more.
    void want(MemberId member, std::uint32_t count, Appetite appetite);
    void set_idle(MemberId member, bool has_idle);
    // Whether a connection that came back has to be closed for another pool; if so, one is
    // expected.
    [[nodiscard]] bool must_yield(MemberId member);
    // evict was asked, but there is nothing idle any more.
    void nothing_to_evict(MemberId member);

  private:
    struct Member {
        std::uint64_t tag = 0;
        std::uint32_t taken = 0;
        std::uint32_t reserved = 0;
        std::uint32_t wanted = 0;
        std::uint32_t evicting = 0;  // of those taken: on their way back for another pool
        Appetite appetite = Appetite::waiter;
        bool has_idle = false;
        bool is_to_wake = false;
        ListLinks want_links;  // wanted > 0: of hungry_ or spare_
        ListLinks idle_links;  // has_idle: of idle_
        ListLinks wake_links;  // is_to_wake: of to_wake_
    };
    [[nodiscard]] auto want_links() {
        return [this](std::uint32_t member) -> ListLinks& { return members_[member].want_links; };
    }
    [[nodiscard]] auto idle_links() {
        return [this](std::uint32_t member) -> ListLinks& { return members_[member].idle_links; };
    }
    [[nodiscard]] auto wake_links() {
        return [this](std::uint32_t member) -> ListLinks& { return members_[member].wake_links; };
    }
    [[nodiscard]] IndexList& queue_of(Appetite appetite) {
        return appetite == Appetite::waiter ? hungry_ : spare_;
    }
    [[nodiscard]] bool has_free() const { return taken_ + reserved_ < permits_max_; }
    [[nodiscard]] static bool is_active(const Member& member) {
        return member.taken + member.reserved + member.wanted > 0;
    }
    void set_wanted(MemberId member, std::uint32_t count, Appetite appetite);
    void reserve_free();

    std::uint32_t permits_max_;
    std::uint32_t taken_ = 0;
    std::uint32_t peak_ = 0;
    std::uint32_t reserved_ = 0;
    std::uint32_t wanted_ = 0;    // by waiters, summed over the members
    std::uint32_t evicting_ = 0;  // summed over the members
    std::uint32_t active_ = 0;    // members that have or want anything
    std::uint64_t evictions_ = 0;
    ChunkedArray<Member> members_;
    IndexPool indexes_;
    IndexList hungry_;   // want permits for waiters, in turn
    IndexList spare_;    // want permits for store
    IndexList idle_;     // have idle connections, in turn
    IndexList to_wake_;  // have reserved permits and were not told yet
};

}  // namespace wspool::pool
