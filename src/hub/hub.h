// Hub: groups, their members, and the order of what is published to them. Pure; knows members by
// number only and sends nothing itself: publish() says who receives, under which epoch and offset.
//
// How it works: each group numbers its messages 1, 2, 3 … within an epoch, a random value that is
// new whenever the numbering starts anew. A group without members keeps its numbering for a while,
// so that members who come back find it going on. Invariants: 1. a Membership and the Member it
// points to point at each other. 2. A group is in the list of empty ones exactly when it has no
// member. 3. Offsets of one epoch never repeat. Ownership: the hub owns groups; each client owns
// its Memberships and hands it to every call. Limits: HubOptions. Beyond empty_groups_max the
// longest empty group is forgotten (its next message starts a new epoch); beyond
// groups_per_member_max join() says too_many.
#pragma once

#include "base/bytes.h"
#include "base/chunked_array.h"
#include "base/hash.h"
#include "base/index_table.h"
#include "base/random.h"
#include "base/time.h"
#include "hub/values.h"

#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::hub {

struct HubOptions {
    std::uint32_t groups_per_member_max = 128;
    std::size_t empty_groups_max = 10'000;
    Duration empty_group_age_max = std::chrono::minutes(5);
};

// What one client is a member of; eight bytes for a client in no group.
class Memberships {
  public:
    [[nodiscard]] std::size_t size() const { return list_ ? list_->size() : 0; }

  private:
    friend class Hub;
    std::unique_ptr<std::vector<Membership>> list_;
};

class Hub {
  public:
    Hub(const HubOptions& options, Entropy& entropy);

    enum class JoinOutcome : std::uint8_t { joined, was_member, too_many };
    struct Joined {
        JoinOutcome outcome;
        Position position;  // the next message comes after it
    };
    // Joining again changes only whether the member gets offsets.
    [[nodiscard]] Joined join(Memberships& memberships,
                              std::uint32_t member,
                              std::string_view group,
                              bool has_offsets,
                              Instant now);
    // False when it was no member.
    bool leave(Memberships& memberships, std::string_view group, Instant now);
    void leave_all(Memberships& memberships, Instant now);

    struct Publication {
        Position position;
        std::span<const Member> members;  // valid until the next call
        std::string_view prefix;          // the group's, see set_prefix
    };
    // Takes the next offset of `group`.
    [[nodiscard]] Publication publish(std::string_view group, Instant now);

    // What is kept with each group for the caller: made once when the group is, by `make_prefix`.
    using MakePrefix = void (*)(ByteBuffer& out, std::string_view group);
    void set_prefix(MakePrefix make_prefix) { make_prefix_ = make_prefix; }

    // Groups that have members.
    [[nodiscard]] std::size_t group_count() const { return pool_.used() - empty_count_; }
    void check_invariants() const;

  private:
    struct Group {
        std::string name;
        ByteBuffer prefix;
        Position position;
        std::vector<Member> members;
        // Of the list of empty groups, longest empty first; meaningful while members is empty.
        std::uint32_t previous = IndexTable::none;
        std::uint32_t next = IndexTable::none;
        Instant empty_since{};
    };

    [[nodiscard]] std::uint32_t find(std::string_view name) const;
    [[nodiscard]] std::uint32_t find_or_make(std::string_view name, Instant now);
    void remove(Memberships& memberships, std::size_t slot, Instant now);
    void append_empty(std::uint32_t group, Instant now);
    void unlink_empty(std::uint32_t group);
    void forget_old(Instant now);
    void forget(std::uint32_t group);

    HubOptions options_;
    Entropy& entropy_;
    HashKey key_;
    MakePrefix make_prefix_ = nullptr;
    ChunkedArray<Group> groups_;
    IndexPool pool_;
    IndexTable by_name_;
    std::uint32_t empty_first_ = IndexTable::none;
    std::uint32_t empty_last_ = IndexTable::none;
    std::size_t empty_count_ = 0;
    // Clients' lists, by member, so that a swap-removal can mend the moved member's membership.
    ChunkedArray<std::vector<Membership>*> lists_;
};

}  // namespace wspool::hub
