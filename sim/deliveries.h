// Deliveries: the checker of what is delivered. While the simulation runs: nothing is delivered
// that was not sent, changed, twice, out of its sender's order, or to who cannot be a member. At
// rest: one order explains what all members of a group saw, and whoever surely was a member has
// everything.
#pragma once

#include "sim/history.h"
#include "sim/journal.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::sim {

class Deliveries {
  public:
    Deliveries(History& history, Journal& journal, const std::vector<std::string>& groups);

    void on_broadcast(Session& receiver, std::string_view text);
    void on_direct(Session& receiver, std::string_view text);
    // The worker told the position of a publication, in an ack.
    void on_position(int publication, std::string_view epoch, std::uint64_t offset);
    void on_joined(Session& session,
                   const std::string& group,
                   Membership& join,
                   std::string_view epoch,
                   std::uint64_t offset);
    // A direct message was acknowledged, or answered with unknown_target.
    void on_direct_answer(int publication, bool is_known);

    // When nothing is on its way any more.
    void check_rest();

    [[nodiscard]] std::size_t count() const { return count_; }

  private:
    [[nodiscard]] Publication* take_receipt(Session& receiver,
                                            int number,
                                            bool is_direct,
                                            const std::string& name);
    void check_membership(const Session& receiver, const std::string& group, bool has_offset);
    void check_epoch(const std::string& group, std::string_view epoch);
    void note_offset(int number, std::uint64_t offset);
    void check_owed(int number, const Publication& publication);
    void check_owed_broadcast(int number, const Publication& publication, const Session& session);
    void check_floors();
    void check_unfound();
    void check_one_order(const std::string& group);
    void violate(const Session& session, const std::string& text);

    History& history_;
    Journal& journal_;
    std::map<std::string, std::string> prefixes_;  // of a broadcast → group
    std::map<std::string, std::string> epochs_;    // of a group
    std::map<std::pair<std::string, std::uint64_t>, int> by_offset_;
    std::vector<int> unfound_;  // direct messages that were answered with unknown_target
    std::size_t count_ = 0;
};

// The decimal number at the front of `text`, taken from it; false when there is none.
[[nodiscard]] bool take_number(std::string_view& text, std::uint64_t& number);
// Takes `expected` from the front of `text`; false when something else stands there.
[[nodiscard]] bool take(std::string_view& text, std::string_view expected);

}  // namespace wspool::sim
