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

Deliveries::Deliveries(History& history, Journal& journal, const std::vector<std::string>& groups)
    : history_(history), journal_(journal) {
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
    if (has_offset) note_offset(static_cast<int>(number), offset);
    receiver.received[group].push_back({static_cast<int>(number), receiver.floors[group]});
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
    if (!receiver.receipts.insert(number).second) {
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
    History::note_known(sender, sent.op + 1, journal_.now());
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

void Deliveries::check_epoch(const std::string& group, std::string_view epoch) {
    const auto [found, is_new] = epochs_.try_emplace(group, epoch);
    if (!is_new && found->second != epoch) {
        journal_.violate("the epoch of " + group + " changed from " + found->second + " to " +
                         std::string(epoch));
    }
}

void Deliveries::note_offset(int number, std::uint64_t offset) {
    Publication& publication = history_.publications[static_cast<std::size_t>(number)];
    const auto [found, is_new] = by_offset_.try_emplace({publication.name, offset}, number);
    if (found->second != number || (publication.offset != 0 && publication.offset != offset)) {
        journal_.violate("publications " + std::to_string(number) + " and " +
                         std::to_string(found->second) + " of " + publication.name +
                         " both have offset " + std::to_string(offset) + ", or one has two");
    }
    publication.offset = offset;
}

void Deliveries::on_position(int publication, std::string_view epoch, std::uint64_t offset) {
    check_epoch(history_.publications[static_cast<std::size_t>(publication)].name, epoch);
    note_offset(publication, offset);
}

void Deliveries::on_joined(Session& session,
                           const std::string& group,
                           Membership& join,
                           std::string_view epoch,
                           std::uint64_t offset) {
    check_epoch(group, epoch);
    join.has_position = true;
    join.offset = offset;
    if (offset < session.floors[group]) violate(session, "was told positions that go backwards");
    session.floors[group] = offset;
}

void Deliveries::on_direct_answer(int number, bool is_known) {
    const Publication& sent = history_.publications[static_cast<std::size_t>(number)];
    if (!is_known) return unfound_.push_back(number);
    const bool may_be_there = std::any_of(
        history_.sessions.begin(), history_.sessions.end(), [&](const Session& session) {
            return session.id == sent.name && session.gone_at >= sent.sent_at;
        });
    if (!may_be_there) {
        journal_.violate("a direct message to " + sent.name + " was acknowledged; nobody is there");
    }
}

// ---- at rest

void Deliveries::check_rest() {
    for (std::size_t i = 0; i < history_.publications.size(); ++i) {
        if (history_.publications[i].known_at != never) {
            check_owed(static_cast<int>(i), history_.publications[i]);
        }
    }
    check_floors();
    check_unfound();
    for (const auto& [prefix, group] : prefixes_) check_one_order(group);
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
                   publication.known_at <= session.present_until) {
            violate(session, "never got direct message " + std::to_string(number));
        }
    }
}

void Deliveries::check_owed_broadcast(int number,
                                      const Publication& publication,
                                      const Session& session) {
    const auto found = session.memberships.find(publication.name);
    if (found == session.memberships.end()) return;
    const auto& said = found->second;
    for (std::size_t i = 0; i < said.size(); ++i) {
        if (!said[i].joins || said[i].known_at == never) continue;
        const bool was_member = said[i].known_at <= publication.sent_at ||
                                (said[i].has_position && publication.offset > said[i].offset);
        Instant until = session.present_until;
        for (std::size_t j = i + 1; j < said.size(); ++j) {
            if (!said[j].joins) until = std::min(until, said[j].sent_at);
        }
        if (was_member && publication.known_at <= until) {
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
            std::uint64_t last = 0;
            for (const Receipt& receipt : receipts) {
                const std::uint64_t offset =
                    history_.publications[static_cast<std::size_t>(receipt.publication)].offset;
                if (offset == 0) continue;
                if (offset <= receipt.floor || offset <= last) {
                    violate(session,
                            "got publication " + std::to_string(receipt.publication) + " of " +
                                group + " out of its position");
                }
                last = offset;
            }
        }
    }
}

// Every member's sequence, every sender's, and the offsets are edges; one order exists exactly when
// they have no cycle (Kahn 1962).
void Deliveries::check_one_order(const std::string& group) {
    std::vector<std::vector<int>> chains;
    std::map<int, std::vector<int>> by_sender;
    std::vector<int> by_offset;
    for (const Session& session : history_.sessions) {
        const auto found = session.received.find(group);
        if (found == session.received.end()) continue;
        chains.emplace_back();
        for (const Receipt& receipt : found->second) chains.back().push_back(receipt.publication);
    }
    for (const auto& [key, number] : by_offset_) {
        if (key.first == group) by_offset.push_back(number);
    }
    for (std::size_t i = 0; i < history_.publications.size(); ++i) {
        const Publication& publication = history_.publications[i];
        if (!publication.is_direct && publication.name == group) {
            by_sender[publication.sender].push_back(static_cast<int>(i));
        }
    }
    chains.push_back(by_offset);
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
