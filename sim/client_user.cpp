#include "sim/client_user.h"

#include <algorithm>
#include <utility>

namespace wspool::sim {

namespace {

using client::LeaseId;
using client::Outcome;
using namespace std::chrono_literals;

std::string url_of(const ClientSwarm& swarm, const TargetRecord& target) {
    return "ws://" + swarm.hosts[target.host].name + target.path.substr(0, target.path.find('#'));
}

}  // namespace

ClientUser::ClientUser(Network& network,
                       client::Core& core,
                       const ClientSwarm& swarm,
                       ClientLedger& ledger,
                       Journal& journal,
                       ClientPlant& plant,
                       std::uint64_t seed)
    : network_(network),
      core_(core),
      swarm_(swarm),
      ledger_(ledger),
      journal_(journal),
      plant_(plant),
      prng_(seed),
      pins_(prng_.chance(0.5)) {
    handles_.resize(ledger.targets.size());
    for (std::size_t i = 0; pins_ && i < handles_.size(); ++i) core_.pin(handle_of(i));
}

void ClientUser::note(const std::string& text) {
    journal_.note(text);
}

// A target that is not pinned may have been forgotten meanwhile: then it has another name.
client::TargetId ClientUser::handle_of(std::size_t target) {
    const TargetRecord& record = ledger_.targets[target];
    client::TargetSpec spec;
    const auto variant = record.path.find('#');
    if (variant != std::string::npos) {
        spec.headers.emplace_back("X-Variant", record.path.substr(variant + 1));
    }
    const std::string url = url_of(swarm_, record);
    const auto made = variant == std::string::npos ? core_.target(url) : core_.target(url, spec);
    if (!made) {
        ledger_.violate("a good target is refused: " + made.error().message);
        return {};
    }
    handles_[target] = *made;
    targets_of_[{made->index, made->generation}] = target;
    return *made;
}

int ClientUser::find_target(client::TargetId id) const {
    const auto found = targets_of_.find({id.index, id.generation});
    return found == targets_of_.end() ? -1 : static_cast<int>(found->second);
}

// ---- turns

void ClientUser::later(Duration delay, std::function<void()> what) {
    network_.schedule(network_.now() + delay,
                      [this, what = std::move(what)] { todo_.push_back(what); });
}

void ClientUser::turn(bool has_unseen_answer) {
    const std::uint64_t verbs_before = verbs_;
    bool was_told = has_unseen_answer;
    core_.wait(never);
    bool has_event = true;
    client::CoreEvent event;
    while (has_event || !todo_.empty()) {
        if (!todo_.empty() && (!has_event || prng_.chance(0.5))) {
            const auto what = std::move(todo_.front());
            todo_.pop_front();
            what();
        } else {
            has_event = core_.next(event);
            was_told |= has_event;
            if (has_event) handle(event);
        }
    }
    // What was asked last may have told something already.
    while (core_.next(event)) handle(event);
    is_busy_ = was_told || verbs_ != verbs_before;
}

// ---- verbs

void ClientUser::acquire(std::size_t target) {
    CallRecord& call = ledger_.begin(CallRecord::Kind::acquire, ledger_.take_number(), target);
    if (prng_.chance(swarm_.has_client_id)) call.client = "c" + std::to_string(prng_.below(4));
    call.deadline = draw_deadline();
    client::AcquireSpec spec;
    spec.priority = static_cast<pool::Priority>(prng_.below(pool::priority_count));
    spec.client = call.client;
    spec.deadline = call.deadline;
    spec.tag = call.number;
    spec.is_returning = prng_.chance(0.1);
    spec.is_persistent = call.is_persistent = prng_.chance(swarm_.is_persistent);
    ++verbs_;
    const Outcome outcome = core_.acquire(handle_of(target), spec);
    note("acquire " + std::to_string(call.number) + " of target " + std::to_string(target) +
         " until " + (call.deadline == never ? "never" : format_time(call.deadline)) + ": " +
         std::to_string(static_cast<int>(outcome.kind)) + " " +
         std::string(client::name(outcome.error)));
    ledger_.on_outcome(call, outcome);
    last_calls_.push_back(call.number);
    if (outcome.kind == Outcome::Kind::done) use(ledger_.leases.size() - 1);
}

std::uint64_t ClientUser::probe(std::size_t target, Duration bound) {
    CallRecord& call = ledger_.begin(CallRecord::Kind::acquire, ledger_.take_number(), target);
    call.deadline = core_.now() + bound;
    client::AcquireSpec spec;
    spec.deadline = call.deadline;
    spec.tag = call.number;
    ++verbs_;
    const Outcome outcome = core_.acquire(handle_of(target), spec);
    note("probe " + std::to_string(call.number) + " of target " + std::to_string(target) + ": " +
         std::to_string(static_cast<int>(outcome.kind)) + " " +
         std::string(client::name(outcome.error)));
    ledger_.on_outcome(call, outcome);
    if (outcome.kind == Outcome::Kind::done) {
        const std::size_t lease = ledger_.leases.size() - 1;
        send(lease);
        give_back(lease, false);
    }
    return call.number;
}

void ClientUser::send_once(std::size_t target, Instant deadline, std::size_t size) {
    CallRecord& call = ledger_.begin(CallRecord::Kind::message, ledger_.take_number(), target);
    call.deadline = deadline;
    call.size = size;
    client::SendSpec spec;
    spec.deadline = deadline;
    spec.tag = call.number;
    spec.priority = static_cast<pool::Priority>(prng_.below(pool::priority_count));
    const std::string text = ClientLedger::make_text(call.number, call.size);
    const ws::Opcode opcode = prng_.chance(0.2) ? ws::Opcode::binary : ws::Opcode::text;
    ++verbs_;
    const Outcome outcome = core_.send_once(handle_of(target), opcode, as_bytes(text), spec);
    note("message " + std::to_string(call.number) + " to target " + std::to_string(target) + ": " +
         std::to_string(static_cast<int>(outcome.kind)) + " " +
         std::string(client::name(outcome.error)));
    ledger_.on_outcome(call, outcome);
    last_calls_.push_back(call.number);
}

std::uint64_t ClientUser::say_something(std::size_t target) {
    send_once(target, never, 10);
    return last_calls_.back();
}

void ClientUser::request(std::size_t target) {
    CallRecord& call = ledger_.begin(CallRecord::Kind::request, ledger_.take_number(), target);
    call.deadline = draw_deadline();
    if (is_calm_ && call.deadline == never) call.deadline = core_.now() + 5s;
    call.size = draw_size();
    client::SendSpec spec;
    spec.deadline = call.deadline;
    spec.tag = call.number;
    spec.priority = static_cast<pool::Priority>(prng_.below(pool::priority_count));
    const std::string text = ClientLedger::make_request(call.number, call.size);
    ++verbs_;
    const Outcome outcome =
        core_.request(handle_of(target), std::to_string(call.number), as_bytes(text), spec);
    note("request " + std::to_string(call.number) + " to target " + std::to_string(target) + ": " +
         std::to_string(static_cast<int>(outcome.kind)) + " " +
         std::string(client::name(outcome.error)));
    ledger_.on_outcome(call, outcome);
    last_calls_.push_back(call.number);
}

void ClientUser::subscribe(std::size_t target) {
    if (ledger_.wanted(ledger_.targets[target].host) >=
        swarm_.hosts[ledger_.targets[target].host].subscriptions_max) {
        return;
    }
    SubscriptionRecord record;
    record.number = ledger_.take_number();
    record.target = target;
    const std::string number = std::to_string(record.number);
    ++verbs_;
    const client::TargetId handle = handle_of(target);
    const auto subscribe_it = [&] {
        return core_.subscribe(handle, "topic " + number, "s " + number, "u " + number);
    };
    const auto made = subscribe_it();
    note("subscribe " + number + " at target " + std::to_string(target));
    if (!made) return note("refused: " + made.error().message);
    record.id = *made;
    ledger_.on_subscribed(record);
    if (!prng_.chance(0.2)) return;
    const auto again = subscribe_it();
    if (!again || *again != *made) ledger_.violate("a topic was subscribed twice");
}

void ClientUser::unsubscribe_some() {
    if (ledger_.subscriptions.empty()) return;
    const std::size_t size = ledger_.subscriptions.size();
    SubscriptionRecord& record =
        ledger_.subscriptions[size - 1 - prng_.below(std::min<std::size_t>(size, 20))];
    note("unsubscribe " + std::to_string(record.number));
    ++verbs_;
    if (record.is_wanted() && plant_.strikes(ClientPlantKind::lose_unsubscribe)) {
        return ledger_.on_unsubscribed(record, true);
    }
    ledger_.on_unsubscribed(record, core_.unsubscribe(record.id));
}

void ClientUser::end_subscriptions(std::size_t host) {
    for (SubscriptionRecord& record : ledger_.subscriptions) {
        if (!record.is_wanted() || ledger_.targets[record.target].host != host) continue;
        ++verbs_;
        ledger_.on_unsubscribed(record, core_.unsubscribe(record.id));
    }
}

void ClientUser::cancel(CallRecord& call) {
    note("cancel " + std::to_string(call.number));
    ++verbs_;
    const bool is_acquire = call.kind == CallRecord::Kind::acquire;
    if (is_acquire && call.state == CallRecord::State::pending &&
        plant_.strikes(ClientPlantKind::lose_cancel)) {
        return ledger_.on_cancel(call, true);
    }
    ledger_.on_cancel(call, core_.cancel(call.id));
}

void ClientUser::cancel_some() {
    if (last_calls_.empty()) return;
    const std::size_t back = prng_.below(std::min<std::size_t>(last_calls_.size(), 20));
    CallRecord* call = ledger_.find_call(last_calls_[last_calls_.size() - 1 - back]);
    if (call != nullptr && call->id != client::CallId{}) cancel(*call);
}

void ClientUser::cancel_everything() {
    for (const std::uint64_t number : ledger_.pending_calls()) cancel(*ledger_.find_call(number));
}

// Names that are gone do nothing.
void ClientUser::call_stale() {
    ++verbs_;
    for (int i = 0; i < 3 && !ledger_.leases.empty(); ++i) {
        const std::size_t index = prng_.below(ledger_.leases.size());
        if (ledger_.leases[ledger_.current(index)].is_live()) continue;
        if (core_.is_open(ledger_.leases[index].id)) ledger_.violate("a stale lease is open");
        give_back(index, prng_.chance(0.5));
        send(index);
    }
    if (core_.release(LeaseId{})) ledger_.violate("a lease that never was is released");
    if (core_.cancel(client::CallId{})) ledger_.violate("a call that never was is cancelled");
    if (core_.unpin(client::TargetId{})) ledger_.violate("a target that never was is unpinned");
}

// ---- leases

void ClientUser::use(std::size_t lease) {
    // A lease that may be bound anew is held until that happens.
    const CallRecord* call = ledger_.find_call(ledger_.leases[lease].call);
    const bool is_patient = !is_calm_ && (call->is_persistent || prng_.chance(swarm_.is_patient));
    const Duration hold = up_to(is_patient ? 4s : 20ms);
    const auto sends = prng_.below(static_cast<std::uint64_t>(1 + swarm_.sends * 3) + 1);
    if (prng_.chance(0.3)) send(lease);
    for (std::uint64_t i = 0; i < sends; ++i) later(up_to(hold), [this, lease] { send(lease); });
    const bool is_discard = prng_.chance(swarm_.discards);
    later(hold, [this, lease, is_discard] { give_back(lease, is_discard); });
    if (prng_.chance(0.1)) later(hold + 1ms, [this, lease] { give_back(lease, false); });
}

void ClientUser::send(std::size_t first) {
    const std::size_t index = ledger_.current(first);
    const LeaseRecord& lease = ledger_.leases[index];
    LeaseId id = lease.id;
    if (plant_.kind == ClientPlantKind::lend_twice) {
        for (const std::size_t other : ledger_.live_leases()) {
            const LeaseRecord& record = ledger_.leases[other];
            if (other != index && record.target == lease.target && record.connection >= 0 &&
                record.client.empty() && lease.is_live() &&
                plant_.strikes(ClientPlantKind::lend_twice)) {
                id = record.id;
            }
        }
    }
    const std::uint64_t number = ledger_.take_number();
    const std::size_t size = draw_size();
    const std::string text = ClientLedger::make_text(number, size);
    ++verbs_;
    const client::SendOutcome outcome = core_.send(id, ws::Opcode::text, as_bytes(text));
    note("lease " + std::to_string(lease.call) + " sends " + std::to_string(number) + ": " +
         std::to_string(static_cast<int>(outcome)));
    ledger_.on_lease_send(index, number, size, outcome);
}

void ClientUser::give_back(std::size_t first, bool is_discard) {
    const std::size_t index = ledger_.current(first);
    const LeaseRecord& lease = ledger_.leases[index];
    note((is_discard ? "discard " : "release ") + std::to_string(lease.call));
    ++verbs_;
    if (lease.is_live() && plant_.strikes(ClientPlantKind::lose_release)) {
        return ledger_.on_return(index, true, is_discard);
    }
    const bool is_accepted = is_discard ? core_.discard(lease.id) : core_.release(lease.id);
    const bool was_live = lease.is_live();
    ledger_.on_return(index, is_accepted, is_discard);
    if (was_live && is_accepted && plant_.strikes(ClientPlantKind::stale_revocation)) {
        ledger_.on_revoked(lease.call, lease.id, client::ErrorCode::connection_lost);
    }
}

void ClientUser::give_everything_back() {
    const std::set<std::size_t> held = ledger_.live_leases();
    for (const std::size_t lease : held) give_back(lease, false);
}

// ---- the end

void ClientUser::drain(Instant deadline) {
    note("drain");
    ++verbs_;
    ledger_.begin_draining();
    core_.drain(deadline);
}

void ClientUser::try_after_drain() {
    const auto closed = [this](const Outcome& outcome, const char* what) {
        if (outcome.kind != Outcome::Kind::failed ||
            outcome.error != client::ErrorCode::pool_closed) {
            ledger_.violate(std::string("after drain() ") + what + " says " +
                            std::string(client::name(outcome.error)));
        }
    };
    ++verbs_;
    const auto made = core_.target(url_of(swarm_, ledger_.targets[0]));
    if (!made) return;  // it was forgotten, and nothing new is begun
    const client::TargetId target = *made;
    closed(core_.acquire(target, {}), "acquire()");
    closed(core_.send_once(target, ws::Opcode::text, as_bytes("m 0 "), {}), "send_once()");
    closed(core_.request(target, "0", as_bytes("{\"id\":0}"), {}), "request()");
    if (core_.subscribe(target, "topic", "s 0", "u 0")) {
        ledger_.violate("after drain() subscribe() succeeds");
    }
}

}  // namespace wspool::sim
