// Deliveries: the checker of what is delivered. While the simulation runs: nothing is delivered
// that was not sent, changed, twice, out of its sender's order, or to who cannot be a member; an
// offset means one message (I1); no two sessions of an id are open (I7). At rest: one order
// explains what all members of a group saw, and whoever surely was a member has everything: without
// a gap, where it counts offsets (I3).
//
// When workers die: what was promised (docs/protocol/README.md, section 11) is owed to those whose
// worker lives. A message whose sender's worker died is owed only when somebody who lives got it.
#pragma once

#include "hub/values.h"
#include "sim/history.h"
#include "sim/journal.h"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::sim {

class Deliveries {
  public:
    Deliveries(History& history,
               Journal& journal,
               const std::vector<std::string>& groups,
               hub::DuplicateId duplicate_id);

    void on_broadcast(Session& receiver, std::string_view text);
    void on_direct(Session& receiver, std::string_view text);
    // The worker told the place of a publication, in an ack.
    void on_published(int publication, const Place& place);
    void on_joined(Session& session, const std::string& group, Membership& join, Place place);
    // The group's epoch has changed (R30).
    void on_moved(Session& session, const std::string& group, Place place, bool is_recovered);
    // The worker has taken the first `ops` messages of the session.
    void note_taken(Session& session, std::size_t ops);
    // From here on nobody dies, and epochs stay.
    void begin_calm();
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
    void check_epoch(const std::string& group, const std::string& epoch);
    void note_place(int number, const Place& place);
    [[nodiscard]] bool is_owed(int number, const Publication& publication) const;
    void check_owed(int number, const Publication& publication);
    void check_owed_broadcast(int number, const Publication& publication, const Session& session);
    void check_floors();
    void check_gaps();
    void check_gaps_of(const Session& session,
                       const std::string& group,
                       const std::vector<Mark>& marks);
    void check_unfound();
    void check_one_order(const std::string& group);
    void violate(const Session& session, const std::string& text);

    History& history_;
    Journal& journal_;
    std::map<std::string, std::string> prefixes_;  // of a broadcast → group
    const hub::DuplicateId duplicate_id_;
    std::map<std::string, std::string> epochs_;  // of a group, while none can change
    bool is_calm_ = false;
    std::map<std::string, std::map<std::pair<std::string, std::uint64_t>, int>> by_place_;
    std::vector<int> unfound_;  // direct messages that were answered with unknown_target
    std::size_t count_ = 0;
};

// The decimal number at the front of `text`, taken from it; false when there is none.
[[nodiscard]] bool take_number(std::string_view& text, std::uint64_t& number);
// Takes `"E","offset":N` from the front of `text`.
[[nodiscard]] bool take_place(std::string_view& text, Place& place);
// Takes `expected` from the front of `text`; false when something else stands there.
[[nodiscard]] bool take(std::string_view& text, std::string_view expected);

}  // namespace wspool::sim
