#include "ledger.h"

#include "base/assert.h"
#include "judge.h"

#include <algorithm>

namespace wspool::chaos {

Ledger::Ledger(const LedgerOptions& options,
               std::vector<std::string> clients,
               std::vector<std::string> groups,
               Instant now)
    : options_(options), members_(clients.size()) {
    records_.began_at = now;
    records_.clients = std::move(clients);
    records_.groups = std::move(groups);
}

std::string Ledger::describe(ClientIndex client) const {
    return records_.clients[client];
}

std::string Ledger::describe_message(MessageIndex message) const {
    return "message " + std::to_string(message) + " of " + describe(records_.sender_of(message));
}

// ---- connections

ConnectionIndex Ledger::opened(ClientIndex client, Instant now) {
    Member& member = members_[client];
    WSPOOL_ASSERT(member.connection == none);
    member.connection = static_cast<ConnectionIndex>(records_.connections.size());
    member.has_joined = false;
    records_.connections.push_back({client, now, never});
    return member.connection;
}

void Ledger::ended(ClientIndex client, Instant now) {
    Member& member = members_[client];
    WSPOOL_ASSERT(member.connection != none);
    records_.connections[member.connection].ended_at = now;
    if (member.has_joined) records_.runs[member.run].ended_at = now;
    member.connection = none;
    member.has_joined = false;
}

// ---- messages

MessageIndex Ledger::add_message(ClientIndex client,
                                 std::uint32_t target,
                                 bool is_direct,
                                 Instant now) {
    WSPOOL_ASSERT(members_[client].connection != none);
    Message message;
    message.sender = members_[client].connection;
    message.target = target;
    message.is_direct = is_direct;
    message.sent_at = now;
    records_.messages.push_back(message);
    return static_cast<MessageIndex>(records_.messages.size() - 1);
}

MessageIndex Ledger::publish(ClientIndex client, GroupIndex group, Instant now) {
    ++figures_.published;
    Member& member = members_[client];
    if (member.run != none && records_.runs[member.run].group == group) member.publishes = true;
    return add_message(client, group, false, now);
}

MessageIndex Ledger::send_direct(ClientIndex client, ClientIndex target, Instant now) {
    ++figures_.directs;
    return add_message(client, target, true, now);
}

bool Ledger::awaits(ClientIndex client, MessageIndex message) const {
    return message < records_.messages.size() &&
           records_.messages[message].sender == members_[client].connection &&
           records_.messages[message].outcome == Outcome::pending;
}

bool Ledger::acknowledge(ClientIndex client,
                         MessageIndex index,
                         const std::optional<Position>& position,
                         Instant now) {
    if (!awaits(client, index)) return false;
    Message& message = records_.messages[index];
    if (message.is_direct == position.has_value()) return false;
    message.outcome = Outcome::acknowledged;
    message.answered_at = now;
    ++figures_.acknowledged;
    if (position) note_place(intern(message.target, position->epoch), position->offset, index);
    return true;
}

bool Ledger::refuse(ClientIndex client, MessageIndex index, std::string_view code, Instant now) {
    if (!awaits(client, index)) return false;
    Message& message = records_.messages[index];
    message.answered_at = now;
    if (code == "unavailable") {
        message.outcome = Outcome::unavailable;
        ++figures_.unavailable;
        return true;
    }
    message.outcome = Outcome::refused;
    // Whether the target of a direct message was there is judged at the end.
    if (!message.is_direct || code != "unknown_target") {
        violations_.add("refused", describe_message(index) + " was refused: " + std::string(code));
    }
    return true;
}

// ---- positions

EpochIndex Ledger::intern(GroupIndex group, const std::string& epoch) {
    const auto [found, is_new] = epochs_.try_emplace(std::to_string(group) + "/" + epoch,
                                                     static_cast<EpochIndex>(places_.size()));
    if (is_new) {
        places_.emplace_back();
        epoch_names_.push_back(epoch);
    }
    return found->second;
}

// I1: within an epoch an offset means one message, for ever.
void Ledger::note_place(EpochIndex epoch, std::uint64_t offset, MessageIndex message) {
    const auto [found, is_new] = places_[epoch].try_emplace(offset, message);
    if (is_new || found->second == message) return;
    violations_.add("offset",
                    "offset " + std::to_string(offset) + " of epoch " + epoch_names_[epoch] +
                        " means " + describe_message(found->second) + " and " +
                        describe_message(message));
}

std::optional<Position> Ledger::position_of(ClientIndex client) const {
    const Member& member = members_[client];
    if (!member.has_offsets || member.epoch == none) return std::nullopt;
    return Position{epoch_names_[member.epoch], member.offset};
}

void Ledger::start_run(ClientIndex client, GroupIndex group, Instant now) {
    members_[client].run = static_cast<std::uint32_t>(records_.runs.size());
    Run run;
    run.client = client;
    run.group = group;
    run.joined_at = now;
    records_.runs.push_back(std::move(run));
}

void Ledger::judge_recovery(ClientIndex client, EpochIndex epoch, const JoinAnswer& answer) {
    const Member& member = members_[client];
    const std::uint64_t offset = answer.position.offset;
    if (*answer.recovered) {
        ++figures_.recovered;
        if (epoch != member.epoch || offset != member.offset) {
            violations_.add("recovery",
                            describe(client) + " was at offset " + std::to_string(member.offset) +
                                " of epoch " + epoch_names_[member.epoch] +
                                ", and is told that it recovered at " + std::to_string(offset) +
                                " of " + answer.position.epoch);
        }
        return;
    }
    ++figures_.told;
    if (options_.history == 0 || epoch != member.epoch) return;
    if (offset < member.offset || offset - member.offset <= options_.history) {
        violations_.add("recovery",
                        describe(client) + " was at offset " + std::to_string(member.offset) +
                            ", is at " + std::to_string(offset) +
                            " of the same epoch, and is told that it did not recover although the "
                            "history holds " +
                            std::to_string(options_.history));
    }
}

void Ledger::joined(
    ClientIndex client, GroupIndex group, bool has_offsets, const JoinAnswer& answer, Instant now) {
    Member& member = members_[client];
    WSPOOL_ASSERT(member.connection != none && !member.has_joined);
    ++figures_.joins;
    const EpochIndex epoch = intern(group, answer.position.epoch);
    if (answer.recovered) judge_recovery(client, epoch, answer);
    if (answer.recovered.value_or(false)) {
        records_.runs[member.run].ended_at = never;
    } else {
        start_run(client, group, now);
    }
    member.has_joined = true;
    member.has_offsets = has_offsets;
    member.epoch = epoch;
    member.offset = answer.position.offset;
}

void Ledger::moved(
    ClientIndex client, GroupIndex group, const Position& position, bool recovered, Instant) {
    Member& member = members_[client];
    ++figures_.epoch_changes;
    const EpochIndex epoch = intern(group, position.epoch);
    if (!member.has_joined || !member.has_offsets) {
        violations_.add("position", describe(client) + " is told a position it did not ask for");
        return;
    }
    if (!recovered) {
        violations_.add("loss",
                        describe(client) +
                            " stayed connected, and is told that it lost messages at "
                            "offset " +
                            std::to_string(member.offset));
    }
    // Its own messages, which it is not sent, may have moved a publisher on.
    if (recovered && (position.offset < member.offset ||
                      (position.offset > member.offset && !member.publishes))) {
        violations_.add("position",
                        describe(client) + " is at offset " + std::to_string(member.offset) +
                            ", and is told that it is at " + std::to_string(position.offset));
    }
    if (epoch == member.epoch) {
        violations_.add(
            "position",
            describe(client) + " is told of epoch " + position.epoch + ", which it is in already");
    }
    member.epoch = epoch;
    member.offset = position.offset;
}

// ---- deliveries

void Ledger::check_offset(ClientIndex client, MessageIndex message, std::uint64_t offset) {
    Member& member = members_[client];
    if (offset <= member.offset || (offset != member.offset + 1 && !member.publishes)) {
        violations_.add("offset",
                        describe(client) + " got " + describe_message(message) + " at offset " +
                            std::to_string(offset) + " after offset " +
                            std::to_string(member.offset));
    }
    note_place(member.epoch, offset, message);
    member.offset = offset;
}

void Ledger::received(ClientIndex client,
                      GroupIndex group,
                      MessageIndex index,
                      std::optional<std::uint64_t> offset,
                      Instant now) {
    ++figures_.delivered;
    Member& member = members_[client];
    if (index >= records_.messages.size() || records_.messages[index].is_direct ||
        records_.messages[index].target != group) {
        violations_.add("stray",
                        describe(client) + " got from " + records_.groups[group] +
                            " what nobody published there: message " + std::to_string(index));
        return;
    }
    if (!member.has_joined) {
        violations_.add(
            "stray",
            describe(client) + " got " + describe_message(index) + " without being a member");
        return;
    }
    if (records_.sender_of(index) == client) {
        violations_.add("stray", describe(client) + " was sent its own message");
        return;
    }
    if (offset.has_value() != member.has_offsets) {
        violations_.add(
            "offset",
            describe(client) + " got " + describe_message(index) +
                (offset ? " with an offset that it did not ask for" : " without its offset"));
    } else if (offset) {
        check_offset(client, index, *offset);
    }
    const auto at =
        std::chrono::duration_cast<std::chrono::milliseconds>(now - records_.began_at).count();
    records_.runs[member.run].seen.push_back({index, static_cast<std::uint32_t>(at)});
}

void Ledger::received_direct(ClientIndex client,
                             MessageIndex index,
                             std::string_view from,
                             Instant) {
    ++figures_.directs_received;
    if (index >= records_.messages.size() || !records_.messages[index].is_direct ||
        records_.messages[index].target != client) {
        violations_.add("stray",
                        describe(client) + " got a direct message that was not sent to it: " +
                            std::to_string(index));
        return;
    }
    Message& message = records_.messages[index];
    if (from != records_.clients[records_.sender_of(index)]) {
        violations_.add("stray",
                        describe_message(index) + " says that it is from " + std::string(from));
    }
    if (message.was_received) {
        violations_.add("twice",
                        describe(client) + " got the direct " + describe_message(index) + " twice");
    }
    message.was_received = true;
    const std::uint64_t pair =
        std::uint64_t{members_[client].connection} << 32 | std::uint64_t{message.sender};
    const auto [last, is_first] = last_direct_.try_emplace(pair, index);
    if (!is_first && last->second > index) {
        violations_.add("order",
                        describe(client) + " got the direct " + describe_message(index) +
                            " after " + std::to_string(last->second));
    }
    last->second = std::max(last->second, index);
}

// ---- the end

void Ledger::close(Duration tail) {
    for (Message& message : records_.messages) {
        if (message.outcome != Outcome::pending) continue;
        const auto index = static_cast<MessageIndex>(&message - records_.messages.data());
        if (records_.connections[message.sender].is_live()) {
            violations_.add("unanswered", describe_message(index) + " was never answered");
        } else {
            message.outcome = Outcome::abandoned;
            ++figures_.abandoned;
        }
    }
    const Judgement judgement = judge(records_, JudgeOptions{tail}, violations_);
    figures_.deviations = judgement.deviations;
    figures_.lost_with_publisher = judgement.lost_with_publisher;
}

}  // namespace wspool::chaos
