// What the user asks, and what the pool tells about it.
#include "sim/client_ledger.h"

#include <algorithm>

namespace wspool::sim {

namespace {

using client::ErrorCode;

std::string describe(const CallRecord& call) {
    static constexpr std::array<const char*, 3> kinds = {"acquire", "message", "request"};
    return std::string(kinds[static_cast<std::size_t>(call.kind)]) + " " +
           std::to_string(call.number);
}

std::string padding(std::uint64_t number, std::size_t size) {
    std::string text(size, static_cast<char>('a' + number % 26));
    return text;
}

}  // namespace

ClientLedger::ClientLedger(Journal& journal, const ClientSwarm& swarm)
    : journal_(journal),
      swarm_(swarm),
      notice_delay_(swarm.detection_bound()),
      last_unclean_(swarm.hosts.size(), Instant{}) {}

std::string ClientLedger::make_text(std::uint64_t number, std::size_t size) {
    return "m " + std::to_string(number) + " " + padding(number, size);
}

std::string ClientLedger::make_request(std::uint64_t number, std::size_t size) {
    return "{\"id\":" + std::to_string(number) + ",\"pad\":\"" + padding(number, size) + "\"}";
}

CallRecord* ClientLedger::find_call(std::uint64_t number) {
    const auto found = calls_.find(number);
    return found == calls_.end() ? nullptr : &found->second;
}

std::vector<std::uint64_t> ClientLedger::pending_calls() const {
    std::vector<std::uint64_t> numbers;
    for (const auto& [due, number] : due_) numbers.push_back(number);
    return numbers;
}

// ---- what the user does

CallRecord& ClientLedger::begin(CallRecord::Kind kind, std::uint64_t number, std::size_t target) {
    CallRecord& call = calls_[number];
    call.number = number;
    call.kind = kind;
    call.target = target;
    call.begun = ++moment_;
    call.begun_at = journal_.now();
    return call;
}

void ClientLedger::on_outcome(CallRecord& call, const client::Outcome& outcome) {
    switch (outcome.kind) {
        case client::Outcome::Kind::done:
            if (call.kind != CallRecord::Kind::acquire) {
                return violate(describe(call) + " was done at once, which only an acquire may be");
            }
            static_cast<void>(on_granted(call, outcome.lease));
            return;
        case client::Outcome::Kind::pending:
            call.id = outcome.call;
            due_.emplace(call.due(), call.number);
            return;
        case client::Outcome::Kind::failed:
            if (outcome.text.empty()) violate(describe(call) + " failed without a sentence");
            check_error(call, outcome.error);
            call.error = outcome.error;
            end(call, CallRecord::State::failed);
            return;
    }
}

void ClientLedger::on_cancel(CallRecord& call, bool is_cancelled) {
    if (call.state != CallRecord::State::pending) {
        if (is_cancelled) violate(describe(call) + " had ended, and yet was cancelled");
        return;
    }
    if (is_cancelled) end(call, CallRecord::State::cancelled);
}

void ClientLedger::end(CallRecord& call, CallRecord::State state) {
    due_.erase({call.due(), call.number});
    call.state = state;
    call.ended = ++moment_;
    call.ended_at = journal_.now();
}

void ClientLedger::on_subscribed(const SubscriptionRecord& subscription) {
    for (const SubscriptionRecord& other : subscriptions) {
        if (other.is_wanted() && other.id == subscription.id) {
            violate("two subscriptions have one name");
        }
    }
    subscriptions.push_back(subscription);
}

void ClientLedger::on_unsubscribed(SubscriptionRecord& subscription, bool is_accepted) {
    if (is_accepted != subscription.is_wanted()) {
        violate("unsubscribe() of " + std::to_string(subscription.number) + " says " +
                (is_accepted ? "true, a second time" : "that it is not known"));
    }
    if (subscription.is_wanted()) subscription.ended_at = journal_.now();
}

// ---- what the pool tells

std::size_t ClientLedger::on_granted(CallRecord& call, client::LeaseId id) {
    if (call.kind != CallRecord::Kind::acquire || call.state != CallRecord::State::pending) {
        violate(describe(call) + " was granted a lease, but it had ended or wanted none");
        return leases.size();
    }
    // What was granted before drain() may be told after it, but not in a later turn.
    if (journal_.now() > draining_since_)
        violate(describe(call) + " was granted a lease after drain()");
    for (const std::size_t other : live_) {
        if (leases[other].id == id) violate("one lease was given to two acquires");
    }
    end(call, CallRecord::State::done);
    ++counts_granted;
    leases.push_back(LeaseRecord{});
    LeaseRecord& lease = leases.back();
    lease.id = id;
    lease.call = call.number;
    lease.target = call.target;
    lease.client = call.client;
    lease.granted = ++moment_;
    live_.insert(leases.size() - 1);
    return leases.size() - 1;
}

// Whether it may have been sent although it failed.
bool ClientLedger::may_have_left(const CallRecord& call) const {
    if (call.state == CallRecord::State::pending || call.state == CallRecord::State::done) {
        return true;
    }
    const bool is_request = call.kind == CallRecord::Kind::request;
    if (call.state == CallRecord::State::cancelled) return is_request;
    if (call.error == ErrorCode::connection_lost || call.error == ErrorCode::preempted) return true;
    return is_request &&
           (call.error == ErrorCode::acquire_timeout || call.error == ErrorCode::pool_closed);
}

void ClientLedger::check_error(const CallRecord& call, ErrorCode error) {
    ++counts_errors[static_cast<std::size_t>(error)];
    const auto wrong = [&](const char* why) {
        violate(describe(call) + " failed with " + std::string(client::name(error)) + " " + why);
    };
    switch (error) {
        case ErrorCode::none:
        case ErrorCode::cancelled:
        case ErrorCode::invalid:
        case ErrorCode::count_:
            return wrong("which cannot be");
        case ErrorCode::acquire_timeout:
            if (call.deadline > journal_.now()) wrong("before its deadline");
            return;
        case ErrorCode::pool_closed:
            if (!is_draining()) wrong("while nobody closed it");
            return;
        case ErrorCode::connect_timeout:
        case ErrorCode::connect_failed:
        case ErrorCode::circuit_open:
            if (!is_excused()) wrong("while all servers are well");
            return;
        case ErrorCode::connection_lost:
            if (call.kind == CallRecord::Kind::acquire) wrong("but it had no connection");
            if (!is_excused()) wrong("while no connection is lost");
            return;
        case ErrorCode::preempted:
            if (!swarm_.core.host.shares) wrong("while nobody is preempted");
            if (call.kind == CallRecord::Kind::acquire) wrong("but it had no connection");
            return;
        case ErrorCode::already_leased:
            if (swarm_.core.host.affinity != pool::Affinity::exclusive || call.client.empty()) {
                wrong("but it may share");
            }
            return;
        case ErrorCode::message_queue_full:
            if (call.kind == CallRecord::Kind::acquire) wrong("but it is no message");
            return;
        case ErrorCode::capacity:
            return;
    }
}

void ClientLedger::on_failed(CallRecord& call, ErrorCode error) {
    if (call.state != CallRecord::State::pending) {
        return violate(describe(call) + " failed after it had ended");
    }
    call.error = error;
    check_error(call, error);
    end(call, CallRecord::State::failed);
    if (call.connection >= 0 && !may_have_left(call)) {
        violate(describe(call) + " arrived, and then failed with " +
                std::string(client::name(error)));
    }
}

void ClientLedger::on_sent(CallRecord& call) {
    if (call.kind != CallRecord::Kind::message || call.state != CallRecord::State::pending) {
        return violate(describe(call) + " was sent, but it had ended or is no message");
    }
    ++counts_sent;
    end(call, CallRecord::State::done);
}

void ClientLedger::on_replied(CallRecord& call, std::string_view payload) {
    if (call.kind != CallRecord::Kind::request || call.state != CallRecord::State::pending) {
        return violate(describe(call) + " was answered, but it had ended or is no request");
    }
    if (call.connection < 0) violate(describe(call) + " was answered, but no server has it");
    if (payload.find("\"id\":" + std::to_string(call.number) + ",") == std::string_view::npos) {
        violate(describe(call) + " got the answer of another: " + excerpt(payload));
    }
    ++counts_replied;
    end(call, CallRecord::State::done);
}

// A text "p CONNECTION COUNT".
void ClientLedger::on_push(std::string_view text, int target, const client::LeaseId* id) {
    const auto space = text.find(' ', 2);
    const bool is_push = text.substr(0, 2) == "p " && space != text.npos;
    if (!is_push) return violate("a message that no server sent: " + excerpt(text));
    const auto number =
        static_cast<std::size_t>(std::stoul(std::string(text.substr(2, space - 2))));
    const std::uint64_t count = std::stoul(std::string(text.substr(space + 1)));
    if (number >= connections.size()) return violate("a message of no connection");
    ConnectionRecord& connection = connections[number];
    ++counts_pushes;
    if (connection.target != target) violate("a message came under another target");
    if (count != connection.pushes_seen + 1) {
        violate("connection " + std::to_string(number) + " sent message " + std::to_string(count) +
                " after " + std::to_string(connection.pushes_seen));
    }
    connection.pushes_seen = count;
    if (id == nullptr) return;
    for (const std::size_t index : live_) {
        const LeaseRecord& lease = leases[index];
        if (lease.id != *id) continue;
        if (lease.connection >= 0 && lease.connection != static_cast<int>(number)) {
            violate("a message came on the lease of another connection");
        }
        return;
    }
    violate("a message came on a lease that nobody holds");
}

void ClientLedger::check_turn(Duration slack) {
    if (!doomed_.empty()) {
        violate("lease " + std::to_string(leases[*doomed_.begin()].call) +
                " is gone, says the pool, but it was not revoked");
    }
    for (const auto& [deadline, number] : due_) {
        if (deadline == never || deadline + slack >= journal_.now()) return;
        const CallRecord& call = calls_[number];
        // A message that is on its way has what its connection needs to notice a deaf peer.
        if (call.kind == CallRecord::Kind::message &&
            (call.connection >= 0 || deadline + slack + std::chrono::seconds(60) > journal_.now()))
            continue;
        return violate(describe(call) + " has had no outcome since its deadline at " +
                       format_time(deadline));
    }
}

}  // namespace wspool::sim
