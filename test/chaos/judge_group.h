// GroupJudge: puts the one order of a group together from what its members have seen, and compares
// each of them with it. Part of the judge; see judge.h for how it works and what is allowed.
#pragma once

#include "judge.h"

#include <deque>
#include <optional>
#include <vector>

namespace wspool::chaos {

struct Place {
    std::uint32_t segment = none;
    std::int64_t index = 0;  // 0 where the segment began to be put together
};

class GroupJudge {
  public:
    // `publishers`: by client, whether it published to this group. `places`: by message; those of
    // this group are filled in.
    GroupJudge(const Records& records,
               const JudgeOptions& options,
               const std::vector<bool>& publishers,
               std::vector<Place>& places,
               Violations& violations);

    // All runs of the group. Returns in how many the tail deviated.
    std::uint64_t judge(std::vector<const Run*> runs);

  private:
    struct Segment {
        std::deque<MessageIndex> order;
        std::int64_t first = 0;
        [[nodiscard]] std::int64_t end() const {
            return first + static_cast<std::int64_t>(order.size());
        }
        [[nodiscard]] MessageIndex at(std::int64_t index) const {
            return order[static_cast<std::size_t>(index - first)];
        }
    };
    struct LiveEnd {
        const Run* run;
        Place next;
    };

    void check_twice(const Run& run);
    void check(const Run& run);
    [[nodiscard]] std::optional<std::size_t> find_begin(const Run& run);
    [[nodiscard]] std::optional<std::size_t> begin_segment(const Run& run);
    void check_start(const Run& run, const Place& begin);
    [[nodiscard]] bool step(const Run& run, const Seen& seen, Place& next);
    void complain_of_step(const Run& run, const Seen& seen, const Place& next);
    void check_ends();
    void check_publishers();

    void append(std::uint32_t segment, MessageIndex message);
    void prepend(std::uint32_t segment, MessageIndex message);
    [[nodiscard]] Place skip_own(const Run& run, Place place) const;
    [[nodiscard]] bool is_own(const Run& run, MessageIndex message) const {
        return records_.sender_of(message) == run.client;
    }
    [[nodiscard]] bool publishes(const Run& run) const { return publishers_[run.client]; }
    [[nodiscard]] bool is_tail(const Run& run, const Seen& seen) const {
        return !run.is_live() && records_.time_of(seen) > run.ended_at - options_.tail;
    }
    [[nodiscard]] std::string who(const Run& run) const;
    [[nodiscard]] std::string what(MessageIndex message) const;

    const Records& records_;
    const JudgeOptions& options_;
    const std::vector<bool>& publishers_;
    std::vector<Place>& places_;
    Violations& violations_;
    std::vector<Segment> segments_;
    std::vector<LiveEnd> live_;
    std::vector<const Run*> compared_;  // those that made the order
    std::uint64_t deviations_ = 0;
};

}  // namespace wspool::chaos
