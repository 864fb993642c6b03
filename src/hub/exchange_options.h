// What an Exchange is given when it is made: who this process is, bounds, and faults for tests.
#pragma once

#include "base/hash.h"
#include "base/time.h"
#include "hub/values.h"
#include "wire/types.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace wspool::hub {

// How much of a group is kept for those who come back with `since`. The rule with the longest
// prefix of the group's name applies. messages = 0: nothing is kept, and nothing is copied.
struct HistoryRule {
    std::string prefix;
    std::uint32_t messages = 100;
    std::size_t bytes = 1024 * 1024;
    Duration age = std::chrono::minutes(5);
};

// Faults planted on purpose, named as in the models (docs/protocol/): tests show that each is
// noticed. All false in the product.
struct Plant {
    bool no_resend = false;     // NORESEND: unfinished publishes are not announced
    bool no_star = false;       // NOSTAR: resends are compared with the log alone, not with S*
    bool early_join = false;    // EARLYJOIN: a join is answered before the name is stable
    bool no_barrier = false;    // NOBARRIER: a home opens when the first peer has announced
    bool window = false;        // WINDOW: the answer to a join does not make the interest
    bool no_tail = false;       // NOTAIL: logs are not announced
    bool same_epoch = false;    // SAMEEPOCH: the merge keeps the old epoch
    bool grant_early = false;   // GRANTEARLY: an id is granted before its holders have left
    bool leave_lost = false;    // LEAVELOST: a leave does not cancel a waiting register
    bool evict_one = false;     // EVICTONE: only one of the holders is evicted
    bool no_check = false;      // NOCHECK: `reject` refuses without asking the holder
    bool early_credit = false;  // EARLYCREDIT: window comes back when sequenced, not when stable
    bool ack_blocks = false;    // ACKBLOCKS: one `got` for each record instead of one a turn
    bool open_ack = false;      // OPENACK: S is given out before all have processed `opened`
    // No fault but a measure: what a broadcast costs where nobody is asked whether it arrived. For
    // publishes at their home alone.
    bool no_marks = false;
};

struct ExchangeOptions {
    wire::Incarnation incarnation = 1;
    std::uint16_t index = 0;  // or wire::control_index
    std::uint16_t index_count = 1;
    // Of names, the same in every process (the master's); home(name) = hash % index_count.
    HashKey key;

    DuplicateId duplicate_id = DuplicateId::replace;
    std::uint32_t groups_per_member_max = 128;  // then Refusal::too_many_groups
    // Groups without members, interest, history and log: beyond either, the longest empty one is
    // forgotten, and its next message starts a new epoch (R7).
    std::size_t empty_groups_max = 10'000;
    Duration empty_group_age_max = std::chrono::minutes(5);

    std::vector<HistoryRule> history = {HistoryRule{}};
    // Over all groups homed here; at the bound the group that was silent longest loses its history.
    std::size_t history_bytes_max = 64 * 1024 * 1024;

    // Unstable publishes of this worker at one home, each charged with its record and 64 bytes
    // (R6, R61). At the bound publishers wait; what would not fit an empty window is too_big.
    std::size_t window_bytes = 1024 * 1024;
    std::uint32_t window_records = 1024;
    // Publishes that wait for window, one for each session; at the bound they are `unavailable`.
    std::size_t parked_bytes_max = 64 * 1024 * 1024;
    // Room granted to answers of joins with `since`, for each link (R60). At the bound joins wait.
    std::size_t replay_bytes = 4 * 1024 * 1024;
    // A longer record is nonsense.
    std::size_t record_size_max = 64 * 1024 * 1024;

    Duration home_wait = std::chrono::seconds(10);       // then a publish is `unavailable` (R33)
    Duration interest_linger = std::chrono::seconds(2);  // from the last member to `leave` (R19)
    Plant plant;
};

}  // namespace wspool::hub
