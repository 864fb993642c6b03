#include "sim/deliveries.h"

#include <algorithm>
#include <charconv>

namespace wspool::sim {

bool take(std::string_view& text, std::string_view expected) {
    if (text.substr(0, expected.size()) != expected) return false;
    text.remove_prefix(expected.size());
    return true;
}

bool take_number(std::string_view& text, std::uint64_t& number) {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
    if (result.ec != std::errc()) return false;
    text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
    return true;
}

bool take_place(std::string_view& text, Place& place) {
    if (!take(text, "\"")) return false;
    const std::size_t end = text.find('"');
    if (end == std::string_view::npos || end == 0) return false;
    place.epoch = std::string(text.substr(0, end));
    text.remove_prefix(end + 1);
    return take(text, R"(,"offset":)") && take_number(text, place.offset);
}

Deliveries::Deliveries(History& history,
                       Journal& journal,
                       const std::vector<std::string>& groups,
                       hub::DuplicateId duplicate_id)
    : history_(history), journal_(journal), duplicate_id_(duplicate_id) {
    for (const std::string& group : groups) {
        prefixes_[R"({"type":"broadcast","group":)" + quoted(group) + R"(,"payload":)"] = group;
    }
}

void Deliveries::violate(const Session& session, const std::string& text) {
    journal_.violate("client " + std::to_string(session.number) + " " + text);
}

// ---- as they come

void Deliveries::on_broadcast(Session& receiver, std::string_view text) {
    const std::string_view whole = text;
    const auto known = std::find_if(prefixes_.begin(), prefixes_.end(), [&](const auto& entry) {
        return whole.substr(0, entry.first.size()) == entry.first;
    });
    std::uint64_t number = 0;
    std::string_view rest;
    if (known != prefixes_.end()) rest = text.substr(known->first.size());
    std::string_view numbered = rest;
    if (known == prefixes_.end() || !take(numbered, R"({"p":)") || !take_number(numbered, number)) {
        return violate(receiver, "got a broadcast nobody sent: " + excerpt(whole));
    }
    const std::string& group = known->second;
    Publication* sent = take_receipt(receiver, static_cast<int>(number), false, group);
    if (sent == nullptr) return;
    std::uint64_t offset = 0;
    const bool is_whole = take(rest, sent->payload);
    const bool has_offset = take(rest, R"(,"offset":)");
    if (!is_whole || (has_offset && !take_number(rest, offset)) || rest != "}") {
        return violate(receiver, "got a broadcast that was changed on its way: " + excerpt(whole));
    }
    check_membership(receiver, group, has_offset);
    receiver.received[group].push_back({static_cast<int>(number), receiver.floors[group]});
    if (!has_offset) {
        // A join without offsets counts from here on; it need not have been answered.
        auto& marks = receiver.marks[group];
        if (!marks.empty() && (marks.back().kind != Mark::Kind::joined || marks.back().has_offsets))
            marks.push_back({Mark::Kind::joined, {}, false});
        return;
    }
    Place& place = receiver.places[group];
    place.offset = offset;
    note_place(static_cast<int>(number), place);
    receiver.marks[group].push_back({Mark::Kind::received, place, true});
}

void Deliveries::on_direct(Session& receiver, std::string_view text) {
    const std::string_view whole = text;
    std::uint64_t number = 0;
    static_cast<void>(take(text, R"({"type":"direct","payload":)"));
    std::string_view numbered = text;
    if (!take(numbered, R"({"p":)") || !take_number(numbered, number)) {
        return violate(receiver, "got a direct message nobody sent: " + excerpt(whole));
    }
    Publication* sent = take_receipt(receiver, static_cast<int>(number), true, receiver.id);
    if (sent == nullptr) return;
    Session& sender = history_.sessions[static_cast<std::size_t>(sent->sender)];
    if (!take(text, sent->payload) || !take(text, R"(,"from":)")) {
        return violate(receiver,
                       "got a direct message that was changed on its way: " + excerpt(whole));
    }
    if (sender.is_anonymous && sender.id.empty() && text.size() == 40 && take(text, "\"")) {
        sender.id = std::string(text.substr(0, 37));
        text.remove_prefix(37);
        if (sender.id.substr(0, 5) == "anon_" && text == "\"}") return;
    } else if (text == quoted(sender.id) + "}") {
        return;
    }
    violate(receiver, "got a direct message with a wrong sender: " + excerpt(whole));
}

// Which publication it is, when this receiver may get it now.
Publication* Deliveries::take_receipt(Session& receiver,
                                      int number,
                                      bool is_direct,
                                      const std::string& name) {
    const std::string what = "publication " + std::to_string(number);
    ++count_;
    if (number < 0 || static_cast<std::size_t>(number) >= history_.publications.size()) {
        violate(receiver, "got " + what + ", which was never sent");
        return nullptr;
    }
    Publication& sent = history_.publications[static_cast<std::size_t>(number)];
    Session& sender = history_.sessions[static_cast<std::size_t>(sent.sender)];
    if (sent.is_direct != is_direct || sent.name != name) {
        violate(receiver, "got " + what + ", which was sent to " + sent.name);
        return nullptr;
    }
    if (!is_direct && &sender == &receiver) {
        violate(receiver, "got its own broadcast " + what);
        return nullptr;
    }
    const Session* before = receiver.recovered.count(name) != 0 ? receiver.predecessor : nullptr;
    const bool is_repeated = !is_direct && before != nullptr && before->receipts.count(number) != 0;
    if (is_repeated || !receiver.receipts.insert(number).second) {
        violate(receiver, "got " + what + " twice");
        return nullptr;
    }
    int& last =
        receiver.last_from.try_emplace({sent.sender, is_direct ? "" : name}, -1).first->second;
    if (number < last) {
        violate(receiver, "got " + what + " after " + std::to_string(last) + " of the same sender");
        return nullptr;
    }
    last = number;
    note_taken(sender, sent.op + 1);
    return &sent;
}

// Membership is perhaps: as of what the receiver has seen to be taken, or of any message after
// that.
void Deliveries::check_membership(const Session& receiver,
                                  const std::string& group,
                                  bool has_offset) {
    bool may_be_member = false;
    bool may_have_offset = false;
    bool may_lack_offset = false;
    const auto found = receiver.memberships.find(group);
    if (found != receiver.memberships.end()) {
        const auto consider = [&](const Membership& said) {
            may_be_member = may_be_member || said.joins;
            may_have_offset = may_have_offset || (said.joins && said.has_offsets);
            may_lack_offset = may_lack_offset || (said.joins && !said.has_offsets);
        };
        const Membership* base = nullptr;
        for (const Membership& said : found->second) {
            if (said.op < receiver.seen_ops) {
                base = &said;
            } else {
                consider(said);
            }
        }
        if (base != nullptr) consider(*base);
    }
    if (!may_be_member) {
        violate(receiver, "got a broadcast to " + group + ", of which it is no member");
    } else if (has_offset ? !may_have_offset : !may_lack_offset) {
        violate(receiver, "got a broadcast with an offset unasked, or without one it asked for");
    }
}

// While nobody dies a group keeps its epoch.
void Deliveries::check_epoch(const std::string& group, const std::string& epoch) {
    if (!is_calm_ && !history_.deaths.empty()) return;
    const auto [found, is_new] = epochs_.try_emplace(group, epoch);
    if (!is_new && found->second != epoch) {
        journal_.violate("the epoch of " + group + " changed from " + found->second + " to " +
                         epoch);
    }
}

void Deliveries::begin_calm() {
    is_calm_ = true;
    epochs_.clear();
}

// I1
void Deliveries::note_place(int number, const Place& place) {
    Publication& publication = history_.publications[static_cast<std::size_t>(number)];
    auto& by_place = by_place_[publication.name];
    const auto [found, is_new] = by_place.try_emplace({place.epoch, place.offset}, number);
    const auto [known, is_first] = publication.offsets.try_emplace(place.epoch, place.offset);
    if (found->second != number || known->second != place.offset) {
        journal_.violate("publications " + std::to_string(number) + " and " +
                         std::to_string(found->second) + " of " + publication.name +
                         " both have offset " + std::to_string(place.offset) + ", or one has two");
    }
}

void Deliveries::on_published(int publication, const Place& place) {
    check_epoch(history_.publications[static_cast<std::size_t>(publication)].name, place.epoch);
    note_place(publication, history_.is_alone ? Place{"", place.offset} : place);
}

void Deliveries::on_joined(Session& session,
                           const std::string& group,
                           Membership& join,
                           Place place) {
    check_epoch(group, place.epoch);
    if (history_.is_alone) place.epoch.clear();
    Place& floor = session.floors[group];
    if (place.epoch == floor.epoch && place.offset < floor.offset) {
        violate(session, "was told positions that go backwards");
    }
    floor = place;
    join.place = place;
    session.places[group] = place;
    session.marks[group].push_back({Mark::Kind::joined, place, join.has_offsets});
}

void Deliveries::on_moved(Session& session,
                          const std::string& group,
                          Place place,
                          bool is_recovered) {
    check_membership(session, group, true);
    if (history_.deaths.empty() || place.epoch == session.places[group].epoch) {
        violate(session, "was told a new epoch of " + group + " that is none");
    }
    if (!is_recovered) violate(session, "I4: was told that " + group + " has a hole");
    check_epoch(group, place.epoch);
    session.places[group] = place;
    session.marks[group].push_back({Mark::Kind::moved, std::move(place), true});
}

// I7: of two sessions of one id the older is closed before the newer opens, so nothing that it says
// after that is ever taken. Who came when the other was open is the newer.
void Deliveries::note_taken(Session& session, std::size_t ops) {
    History::note_known(session, ops, journal_.now());
    if (duplicate_id_ == hub::DuplicateId::allow || session.is_anonymous || ops == 0) return;
    for (const Session& other : history_.sessions) {
        if (&other == &session || other.id != session.id || other.is_anonymous) continue;
        if (other.started_at > session.opened_at && other.opened_at < session.said_at[ops - 1]) {
            violate(session,
                    "was served although client " + std::to_string(other.number) + " had its id");
        }
    }
}

void Deliveries::on_direct_answer(int number, bool is_known) {
    const Publication& sent = history_.publications[static_cast<std::size_t>(number)];
    if (!is_known) return unfound_.push_back(number);
    const bool may_be_there = std::any_of(
        history_.sessions.begin(), history_.sessions.end(), [&](const Session& session) {
            if (session.id != sent.name) return false;
            Instant gone = std::min(session.gone_at, session.orphaned_at);
            if (!history_.is_alone) gone = std::min(gone, session.left_at);
            return gone == never || gone + history_.lag >= sent.sent_at;
        });
    if (!may_be_there) {
        journal_.violate("a direct message to " + sent.name + " was acknowledged; nobody is there");
    }
}

// ---- at rest

void Deliveries::check_rest() {
    for (std::size_t i = 0; i < history_.publications.size(); ++i) {
        const Publication& publication = history_.publications[i];
        const int number = static_cast<int>(i);
        if (is_owed(number, publication)) check_owed(number, publication);
    }
    // A position that was acknowledged and died with its home says nothing about others.
    if (history_.deaths.empty()) check_floors();
    if (!history_.is_alone) check_gaps();
    check_unfound();
    for (const auto& [prefix, group] : prefixes_) check_one_order(group);
}

// Taken, and by a worker that lived for long enough to see to it; or seen by somebody who lives.
bool Deliveries::is_owed(int number, const Publication& publication) const {
    if (publication.known_at == never) return false;
    const Session& sender = history_.sessions[static_cast<std::size_t>(publication.sender)];
    if (!publication.is_lost &&
        history_.was_served_at(sender, publication.known_at + history_.lag)) {
        return true;
    }
    return std::any_of(
        history_.sessions.begin(), history_.sessions.end(), [&](const Session& session) {
            return session.present_until == never && session.receipts.count(number) != 0;
        });
}

void Deliveries::check_owed(int number, const Publication& publication) {
    for (const Session& session : history_.sessions) {
        if (session.present_until == Instant::min() || session.receipts.count(number) != 0)
            continue;
        if (!publication.is_direct) {
            if (session.number != publication.sender) {
                check_owed_broadcast(number, publication, session);
            }
        } else if (session.id == publication.name && session.opened_at <= publication.sent_at &&
                   publication.known_at + history_.lag <= session.present_until) {
            violate(session, "never got direct message " + std::to_string(number));
        }
    }
}

void Deliveries::check_owed_broadcast(int number,
                                      const Publication& publication,
                                      const Session& session) {
    const auto found = session.memberships.find(publication.name);
    if (found == session.memberships.end()) return;
    const Session& sender = history_.sessions[static_cast<std::size_t>(publication.sender)];
    // R21
    if (session.recovered.count(publication.name) != 0 && History::is_same_client(sender, session))
        return;
    const auto& said = found->second;
    for (std::size_t i = 0; i < said.size(); ++i) {
        if (!said[i].joins || said[i].known_at == never) continue;
        bool was_member = said[i].known_at <= publication.sent_at;
        if (said[i].place) {
            const auto offset = publication.offsets.find(said[i].place->epoch);
            was_member = was_member || (offset != publication.offsets.end() &&
                                        offset->second > said[i].place->offset);
        }
        Instant until = session.present_until;
        for (std::size_t j = i + 1; j < said.size(); ++j) {
            if (!said[j].joins) until = std::min(until, said[j].sent_at);
        }
        if (was_member && publication.known_at + history_.lag <= until) {
            return violate(
                session,
                "never got publication " + std::to_string(number) + " to " + publication.name);
        }
    }
}

// Who is served to the end was to be found all the time.
void Deliveries::check_unfound() {
    for (const int number : unfound_) {
        const Publication& sent = history_.publications[static_cast<std::size_t>(number)];
        for (const Session& session : history_.sessions) {
            if (session.id == sent.name && session.opened_at <= sent.sent_at &&
                session.present_until == never) {
                violate(
                    session,
                    "was there, but direct message " + std::to_string(number) + " found nobody");
            }
        }
    }
}

// What came after the ack of a join has a later position, and positions rise.
void Deliveries::check_floors() {
    for (const Session& session : history_.sessions) {
        for (const auto& [group, receipts] : session.received) {
            std::map<std::string, std::uint64_t> last;  // by epoch
            for (const Receipt& receipt : receipts) {
                const auto& offsets =
                    history_.publications[static_cast<std::size_t>(receipt.publication)].offsets;
                // In several epochs: nobody knows in which this member got it.
                if (offsets.size() != 1) continue;
                const auto& [epoch, offset] = *offsets.begin();
                const bool is_below_floor =
                    epoch == receipt.floor.epoch && offset <= receipt.floor.offset;
                if (is_below_floor || offset <= last[epoch]) {
                    violate(session,
                            "got publication " + std::to_string(receipt.publication) + " of " +
                                group + " out of its position");
                }
                last[epoch] = offset;
            }
        }
    }
}

// I3: who counts offsets misses none but those of its own messages.
void Deliveries::check_gaps() {
    for (const Session& session : history_.sessions) {
        for (const auto& [group, marks] : session.marks) check_gaps_of(session, group, marks);
    }
}

void Deliveries::check_gaps_of(const Session& session,
                               const std::string& group,
                               const std::vector<Mark>& marks) {
    const auto& by_place = by_place_[group];
    std::size_t unexplained = 0;
    std::optional<Place> at;
    for (const Mark& mark : marks) {
        if (mark.kind == Mark::Kind::joined) {
            at.reset();
            if (mark.has_offsets) at = mark.place;
            continue;
        }
        if (!at) continue;
        const bool is_message = mark.kind == Mark::Kind::received;
        const std::uint64_t end = mark.place.offset + (is_message ? 0 : 1);
        if (mark.place.offset < at->offset + (is_message ? 1 : 0)) {
            violate(session,
                    "stands at offset " + std::to_string(at->offset) + " of " + group +
                        " and heard " + std::to_string(mark.place.offset));
        }
        for (std::uint64_t offset = at->offset + 1; offset < end; ++offset) {
            const auto found = by_place.find({at->epoch, offset});
            if (found == by_place.end()) {
                ++unexplained;
                continue;
            }
            const Publication& missed =
                history_.publications[static_cast<std::size_t>(found->second)];
            const Session& sender = history_.sessions[static_cast<std::size_t>(missed.sender)];
            if (!History::is_same_client(sender, session)) {
                violate(session,
                        "missed offset " + std::to_string(offset) + " of " + group +
                            ", publication " + std::to_string(found->second));
            }
        }
        at = mark.place;
    }
    const auto may_explain = std::count_if(
        history_.publications.begin(), history_.publications.end(), [&](const Publication& p) {
            return !p.is_direct && p.name == group &&
                   History::is_same_client(history_.sessions[static_cast<std::size_t>(p.sender)],
                                           session);
        });
    if (unexplained > static_cast<std::size_t>(may_explain)) {
        violate(session,
                "missed " + std::to_string(unexplained) + " offsets of " + group +
                    " which nobody knows");
    }
}

// Every member's sequence, every sender's, and the offsets are edges; one order exists exactly when
// they have no cycle (Kahn 1962).
void Deliveries::check_one_order(const std::string& group) {
    std::vector<std::vector<int>> chains;
    std::map<int, std::vector<int>> by_sender;
    for (const Session& session : history_.sessions) {
        const auto found = session.received.find(group);
        // What only the dead have seen was perhaps sequenced again, in another order.
        if (found == session.received.end() || session.orphaned_at != never) continue;
        chains.emplace_back();
        for (const Receipt& receipt : found->second) chains.back().push_back(receipt.publication);
    }
    // By epoch: one that died with its home may have been another order.
    if (history_.is_alone || history_.deaths.empty()) {
        std::map<std::string, std::vector<int>> by_offset;
        for (const auto& [place, number] : by_place_[group]) {
            by_offset[place.first].push_back(number);
        }
        for (auto& [epoch, chain] : by_offset) chains.push_back(chain);
    }
    for (std::size_t i = 0; i < history_.publications.size(); ++i) {
        const Publication& publication = history_.publications[i];
        if (!publication.is_direct && publication.name == group) {
            by_sender[publication.sender].push_back(static_cast<int>(i));
        }
    }
    for (auto& [sender, chain] : by_sender) chains.push_back(chain);

    std::map<int, std::set<int>> later;
    std::map<int, int> earlier_count;
    for (const auto& chain : chains) {
        for (std::size_t i = 0; i < chain.size(); ++i) {
            earlier_count.try_emplace(chain[i], 0);
            if (i > 0 && later[chain[i - 1]].insert(chain[i]).second) ++earlier_count[chain[i]];
        }
    }
    std::vector<int> ready;
    for (const auto& [number, count] : earlier_count) {
        if (count == 0) ready.push_back(number);
    }
    std::size_t placed = 0;
    for (; !ready.empty(); ++placed) {
        const int number = ready.back();
        ready.pop_back();
        for (const int next : later[number]) {
            if (--earlier_count[next] == 0) ready.push_back(next);
        }
    }
    if (placed != earlier_count.size()) {
        journal_.violate("no single order explains what the members of " + group + " saw");
    }
}

}  // namespace wspool::sim
