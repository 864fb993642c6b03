// Judge: whether what the members of each group have seen is one order without a gap, and whether
// what was acknowledged was seen. For the Ledger, at the end of a run. Pure.
//
// How it works: each run of a member must be a piece of its group's one order. The order is put
// together from the runs, those that lasted longest first, as each overlaps with those that
// outlived it: a run that begins earlier than what is known prolongs it at its front. A member that
// publishes to its own group, which is not sent its own messages, is compared with the order and
// adds nothing to it. Where no member outlived a worker, the order falls into segments.
//
// What is allowed, because nobody who stayed connected can tell: when a home dies, members on its
// own worker may have seen, last of all, what nobody else had got; it is then sequenced anew behind
// other messages, or lost with its publisher. So what a member saw within `tail` of the end of its
// connection may deviate from the order.
#pragma once

#include "records.h"

namespace wspool::chaos {

struct JudgeOptions {
    Duration tail = std::chrono::seconds(1);
};

struct Judgement {
    std::uint64_t deviations = 0;           // runs whose tail deviated
    std::uint64_t lost_with_publisher = 0;  // acknowledged, seen by nobody, its publisher died too
};

// Every live run must reach the end of its group's order: before judging, wait until the last
// message of each group has reached everybody.
[[nodiscard]] Judgement judge(const Records& records,
                              const JudgeOptions& options,
                              Violations& violations);

}  // namespace wspool::chaos
