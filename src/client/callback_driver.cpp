#include "client/callback_driver.h"

#include "base/assert.h"
#include "client/callback_stats.h"
#include "io/clock.h"
#include "io/tls_loop.h"

#include <algorithm>
#include <exception>

namespace wspool::client {
namespace {

using api::errc;

// Never 0, because generations begin at 1: events of nobody's find no slot.
std::uint64_t tag_of(std::size_t index, std::uint32_t generation) {
    return (std::uint64_t{generation} << 32) | index;
}

ws::Opcode opcode_of(bool is_binary) {
    return is_binary ? ws::Opcode::binary : ws::Opcode::text;
}

errc errc_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::acquire_timeout:
            return errc::acquire_timeout;
        case ErrorCode::capacity:
            return errc::capacity;
        case ErrorCode::cancelled:
            return errc::cancelled;
        case ErrorCode::pool_closed:
            return errc::pool_closed;
        case ErrorCode::connect_timeout:
            return errc::connect_timeout;
        case ErrorCode::connect_failed:
            return errc::connect_failed;
        case ErrorCode::circuit_open:
            return errc::circuit_open;
        case ErrorCode::connection_lost:
            return errc::connection_lost;
        case ErrorCode::preempted:
            return errc::preempted;
        case ErrorCode::already_leased:
            return errc::already_leased;
        case ErrorCode::message_queue_full:
            return errc::message_queue_full;
        case ErrorCode::none:
        case ErrorCode::invalid:
        case ErrorCode::count_:
            return errc::bad_message;
    }
    return errc::bad_message;
}

bool is_about_connecting(ErrorCode code) {
    return code == ErrorCode::connect_timeout || code == ErrorCode::connect_failed ||
           code == ErrorCode::circuit_open;
}

bool is_secure(std::string_view url) {
    constexpr std::string_view scheme = "wss:";
    return url.size() > scheme.size() &&
           std::equal(scheme.begin(), scheme.end(), url.begin(), [](char wanted, char given) {
               return wanted == (given >= 'A' && given <= 'Z' ? given - 'A' + 'a' : given);
           });
}

api::Error error_of(SendOutcome outcome) {
    if (outcome == SendOutcome::full) {
        return {errc::message_queue_full,
                "the peer takes nothing, and too much waits to be sent to it already; send less, "
                "or wait until it reads"};
    }
    if (outcome == SendOutcome::invalid) {
        return {errc::bad_message, "the text is not UTF-8; send it as binary, or mend it"};
    }
    return {errc::connection_lost, "the connection is ending, and takes no more messages"};
}

api::Error lease_is_gone() {
    return {errc::lease_released, "this lease was given back already; acquire another"};
}

api::Error was_cancelled() {
    return {errc::cancelled, "the call was cancelled"};
}

}  // namespace

api::Result<std::unique_ptr<CallbackDriver>> CallbackDriver::make(const api::Options& options) {
    const auto not_running = [](const Error& error) {
        return api::Error(errc::not_running, "the pool cannot run: " + error.message);
    };
    // Waiting for more would only add to the time of each reply.
    auto chosen = io::make_loop({io::LoopChoice::automatic, Duration::zero()});
    if (!chosen) return not_running(chosen.error());
    auto resolver = io::Resolver::make();
    if (!resolver) return not_running(resolver.error());
    CoreOptions core = core_options(options);
    if (!is_default(options.tls)) {
        auto tls = make_tls(options.tls);
        if (!tls) return api::Error(errc::bad_option, "tls: " + tls.error().message);
        core.defaults.tls = std::make_shared<const io::TlsClient>(std::move(*tls));
    }
    return std::unique_ptr<CallbackDriver>(
        new CallbackDriver(std::make_unique<io::TlsLoop>(std::move(chosen->loop)),
                           std::make_unique<SystemNameResolver>(std::move(*resolver)),
                           options,
                           core));
}

CallbackDriver::CallbackDriver(std::unique_ptr<io::Loop> loop,
                               std::unique_ptr<NameResolver> resolver,
                               const api::Options& options,
                               const CoreOptions& core_options)
    : loop_(std::move(loop)),
      resolver_(std::move(resolver)),
      options_(options),
      secure_spec_(core_options.defaults),
      core_(*loop_, *resolver_, core_options, entropy_) {}

CallbackDriver::~CallbackDriver() = default;

// ---- slots

CallbackDriver::Slot* CallbackDriver::find(std::uint64_t tag) {
    const std::size_t index = tag & UINT32_MAX;
    if (index >= slots_.size()) return nullptr;
    Slot& slot = slots_[index];
    return slot.generation == tag >> 32 && slot.state != SlotState::free ? &slot : nullptr;
}

api::CallNumber CallbackDriver::new_call() {
    if (free_slots_.empty()) {
        free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
        slots_.emplace_back();
    }
    const std::uint32_t index = free_slots_.back();
    free_slots_.pop_back();
    Slot& slot = slots_[index];
    slot.state = SlotState::calling;
    return static_cast<api::CallNumber>(tag_of(index, slot.generation));
}

void CallbackDriver::free_slot(std::uint64_t tag) {
    const auto index = static_cast<std::uint32_t>(tag & UINT32_MAX);
    Slot& slot = slots_[index];
    const std::uint32_t next = slot.generation == UINT32_MAX ? 1 : slot.generation + 1;
    slot = Slot{};
    slot.generation = next;
    free_slots_.push_back(index);
}

CallbackDriver::Slot& CallbackDriver::begin(api::CallNumber number, Done done) {
    Slot* slot = find(static_cast<std::uint64_t>(number));
    WSPOOL_ASSERT(slot != nullptr && slot->state == SlotState::calling);
    slot->done = std::move(done);
    slot->since = io::read_clock();
    return *slot;
}

void CallbackDriver::answer_later(std::uint64_t tag, std::optional<api::Error> error) {
    if (Slot* slot = find(tag)) slot->is_answered = true;
    answers_.push_back({tag, std::move(error)});
}

// ---- calls

api::Result<TargetId> CallbackDriver::target(std::string_view url, std::string_view pool) {
    if (!pool.empty() && std::none_of(options_.pools.begin(),
                                      options_.pools.end(),
                                      [&](const auto& one) { return one.name == pool; })) {
        return api::Error(
            errc::bad_option,
            "there is no dedicated pool \"" + std::string(pool) + "\"; name one of Options::pools");
    }
    if (is_secure(url) && !secure_spec_.tls) {
        auto tls = make_tls(options_.tls);
        if (!tls) return api::Error(errc::connect_failed, tls.error().message);
        secure_spec_.tls = std::make_shared<const io::TlsClient>(std::move(*tls));
    }
    const auto found = is_secure(url) ? core_.target(url, secure_spec_) : core_.target(url);
    if (!found) return api::Error(errc::bad_url, found.error().message);
    return *found;
}

Instant CallbackDriver::deadline(std::optional<Duration> timeout, api::Priority priority) const {
    const Duration time = timeout.value_or(
        options_.shares ? options_.priority_timeouts[static_cast<std::size_t>(priority)]
                        : options_.acquire_timeout);
    if (time <= Duration::zero()) return core_.now();
    const Instant now = io::read_clock();
    return time >= never - now ? never : now + time;
}

api::Error CallbackDriver::error_of(ErrorCode code, std::string_view text, const Slot* slot) const {
    const Duration waited = slot == nullptr ? Duration::zero() : io::read_clock() - slot->since;
    return {errc_of(code),
            std::string(text),
            is_about_connecting(code) ? std::string(text) : std::string(),
            waited};
}

void CallbackDriver::take_outcome(std::uint64_t tag, const Outcome& outcome) {
    Slot* slot = find(tag);
    switch (outcome.kind) {
        case Outcome::Kind::pending:
            if (slot != nullptr) slot->call = outcome.call;
            return;
        case Outcome::Kind::failed:
            return answer_later(tag, error_of(outcome.error, outcome.text, slot));
        case Outcome::Kind::done:
            if (slot != nullptr) slot->lease = outcome.lease;
            return answer_later(tag, std::nullopt);
    }
}

void CallbackDriver::acquire(api::CallNumber number,
                             std::string_view url,
                             const api::AcquireOptions& options,
                             AcquireDone done) {
    const auto tag = static_cast<std::uint64_t>(number);
    begin(number, std::move(done));
    const auto wanted = target(url, options.pool);
    if (!wanted) return answer_later(tag, wanted.error());
    AcquireSpec spec;
    spec.priority = priority_of(options.priority);
    spec.client = options.client;
    spec.deadline = deadline(options.timeout, options.priority);
    spec.tag = tag;
    spec.is_returning = options.is_returning;
    take_outcome(tag, core_.acquire(*wanted, spec));
}

void CallbackDriver::send(api::CallNumber number,
                          std::string_view url,
                          std::string_view message,
                          const api::SendOptions& options,
                          SendDone done) {
    const auto tag = static_cast<std::uint64_t>(number);
    begin(number, std::move(done));
    const auto wanted = target(url, options.pool);
    if (!wanted) return answer_later(tag, wanted.error());
    SendSpec spec;
    spec.priority = priority_of(options.priority);
    spec.deadline = deadline(options.timeout, options.priority);
    spec.tag = tag;
    take_outcome(tag, core_.send_once(*wanted, opcode_of(options.binary), as_bytes(message), spec));
}

void CallbackDriver::request(api::CallNumber number,
                             std::string_view url,
                             std::string_view id,
                             std::string_view message,
                             const api::SendOptions& options,
                             RequestDone done) {
    const auto tag = static_cast<std::uint64_t>(number);
    begin(number, std::move(done));
    const auto wanted = target(url, options.pool);
    if (!wanted) return answer_later(tag, wanted.error());
    SendSpec spec;
    spec.priority = priority_of(options.priority);
    spec.deadline = deadline(options.timeout, options.priority);
    spec.tag = tag;
    take_outcome(tag, core_.request(*wanted, id, as_bytes(message), spec));
}

bool CallbackDriver::cancel(api::CallNumber number) {
    const auto tag = static_cast<std::uint64_t>(number);
    Slot* slot = find(tag);
    if (slot == nullptr || slot->state != SlotState::calling || slot->is_answered) return false;
    if (!core_.cancel(slot->call)) return false;
    answer_later(tag, was_cancelled());
    return true;
}

// ---- leases

api::Result<void> CallbackDriver::lease_send(api::detail::LeaseNumber number,
                                             std::string_view data,
                                             bool is_binary) {
    const Slot* slot = find(static_cast<std::uint64_t>(number));
    if (slot == nullptr) return lease_is_gone();
    if (slot->state == SlotState::revoked) return *slot->why;
    const SendOutcome outcome = core_.send(slot->lease, opcode_of(is_binary), as_bytes(data));
    if (outcome == SendOutcome::queued) return {};
    return client::error_of(outcome);
}

void CallbackDriver::lease_write(api::detail::LeaseNumber number,
                                 std::string_view data,
                                 bool is_binary,
                                 SendDone done) {
    auto queued = lease_send(number, data, is_binary);
    if (!queued) return guard("a callback of send()", [&] { done(std::move(queued)); });
    writes_.push_back({static_cast<std::uint64_t>(number), std::move(done)});
}

api::Result<void> CallbackDriver::give_back(api::detail::LeaseNumber number,
                                            bool may_be_lent_again) {
    const auto tag = static_cast<std::uint64_t>(number);
    Slot* slot = find(tag);
    if (slot == nullptr) return lease_is_gone();
    api::Result<void> result;
    if (slot->state == SlotState::revoked) {
        result = *slot->why;
    } else if (may_be_lent_again) {
        core_.release(slot->lease);
    } else {
        core_.discard(slot->lease);
    }
    free_slot(tag);
    return result;
}

// What was sent by leases is written once nothing of it waits any more: seen after the wait() that
// sent it.
void CallbackDriver::settle_writes() {
    if (writes_.empty()) return;
    std::vector<Write> writes = std::exchange(writes_, {});
    for (Write& write : writes) {
        const Slot* slot = find(write.lease);
        const bool is_open =
            slot != nullptr && slot->state == SlotState::leased && core_.is_open(slot->lease);
        if (is_open && core_.outbox_size(slot->lease) > 0) {
            writes_.push_back(std::move(write));
            continue;
        }
        api::Result<void> result;
        if (!is_open) {
            result = slot != nullptr && slot->why
                         ? *slot->why
                         : api::Error(errc::connection_lost,
                                      "the connection ended before the message was written");
        }
        guard("a callback of send()", [&] { write.done(std::move(result)); });
    }
}

// ---- subscriptions

api::Result<void> CallbackDriver::subscribe(std::string_view url,
                                            std::string_view topic,
                                            std::string_view frame,
                                            std::string_view farewell) {
    const auto wanted = target(url, {});
    if (!wanted) return wanted.error();
    const auto subscribed = core_.subscribe(*wanted, topic, frame, farewell);
    if (!subscribed) {
        const errc code = core_.is_drained() ? errc::pool_closed : errc::bad_message;
        return api::Error(code, subscribed.error().message);
    }
    subscriptions_.insert_or_assign({std::string(url), std::string(topic)}, *subscribed);
    return {};
}

api::Result<void> CallbackDriver::unsubscribe(std::string_view url, std::string_view topic) {
    const auto found = subscriptions_.find({std::string(url), std::string(topic)});
    const bool was_there = found != subscriptions_.end() && core_.unsubscribe(found->second);
    if (found != subscriptions_.end()) subscriptions_.erase(found);
    if (was_there) return {};
    return api::Error(
        errc::unknown_subscription,
        "nothing is subscribed as \"" + std::string(topic) + "\" at " + std::string(url));
}

// ---- turns

// Runs a callback of the user's. An exception ends here: nothing of ours could do anything with
// it, and the pool goes on as if it had returned.
template <class Call>
void CallbackDriver::guard(std::string_view who, Call&& call) {
    ++handler_depth_;
    std::optional<std::string> thrown;
    try {
        call();
    } catch (const std::exception& error) {
        thrown = error.what();
    } catch (...) {
        thrown = "something that is no std::exception";
    }
    --handler_depth_;
    if (!thrown) return;
    ++handler_errors_;
    tell({errc::handler_threw, std::string(who) + " threw: " + *thrown});
}

void CallbackDriver::tell(const api::Error& error) {
    if (!on_error_) return;
    ++handler_depth_;
    try {
        on_error_(error);
    } catch (...) {
        // There is nobody left to tell.
        ++handler_errors_;
    }
    --handler_depth_;
}

void CallbackDriver::turn(Instant deadline) {
    WSPOOL_ASSERT(!is_in_handler());
    core_.wait(answers_.empty() ? deadline : core_.now());
    retired_.clear();
    settle_writes();
    deliver_answers();
    for (CoreEvent event; core_.next(event);) on_event(event);
}

void CallbackDriver::deliver_answers() {
    // Answers that callbacks cause are for the next turn.
    std::deque<Answer> answers = std::exchange(answers_, {});
    for (Answer& answer : answers) {
        const Slot* slot = find(answer.tag);
        if (slot == nullptr) continue;
        if (answer.error) {
            fail_call(answer.tag, std::move(*answer.error));
        } else if (slot->why) {  // revoked before anybody was told of it
            fail_call(answer.tag, *slot->why);
        } else {
            grant(answer.tag, slot->lease);
        }
    }
}

void CallbackDriver::fail_call(std::uint64_t tag, api::Error error) {
    Slot* slot = find(tag);
    if (slot == nullptr) return;
    Done done = std::move(slot->done);
    free_slot(tag);
    if (auto* acquire_done = std::get_if<AcquireDone>(&done)) {
        guard("a callback of acquire()", [&] { (*acquire_done)(std::move(error)); });
    } else if (auto* request_done = std::get_if<RequestDone>(&done)) {
        guard("a callback of request()", [&] { (*request_done)(std::move(error)); });
    } else if (auto* send_done = std::get_if<SendDone>(&done); send_done && *send_done) {
        guard("a callback of send()", [&] { (*send_done)(std::move(error)); });
    } else {
        tell(error);
    }
}

void CallbackDriver::grant(std::uint64_t tag, LeaseId lease) {
    Slot* slot = find(tag);
    WSPOOL_ASSERT(slot != nullptr);
    slot->state = SlotState::leased;
    slot->lease = lease;
    slot->revoked = std::stop_source();
    const AcquireDone done = std::get<AcquireDone>(std::move(slot->done));
    auto made = api::detail::make_lease(
        owner_.lock(), static_cast<api::detail::LeaseNumber>(tag), slot->revoked.get_token());
    guard("a callback of acquire()", [&] { done(std::move(made)); });
}

void CallbackDriver::on_revoked(const CoreEvent& event) {
    Slot* slot = find(event.tag);
    if (slot == nullptr) return;
    slot->why = error_of(event.error, event.text, nullptr);
    if (slot->state == SlotState::calling) return;  // deliver_answers() sees it
    slot->state = SlotState::revoked;
    // Callbacks on the token may give the lease back, and the slot is another's then.
    const std::stop_source revoked = slot->revoked;
    guard("a stop callback", [&] { std::stop_source(revoked).request_stop(); });
}

void CallbackDriver::on_event(const CoreEvent& event) {
    Slot* slot = find(event.tag);
    switch (event.kind) {
        case CoreEventKind::granted:
            if (slot != nullptr) grant(event.tag, event.lease);
            return;
        case CoreEventKind::failed:
            return fail_call(event.tag, error_of(event.error, event.text, slot));
        case CoreEventKind::sent: {
            if (slot == nullptr) return;
            const SendDone done = std::get<SendDone>(std::move(slot->done));
            free_slot(event.tag);
            if (done) guard("a callback of send()", [&] { done({}); });
            return;
        }
        case CoreEventKind::replied: {
            if (slot == nullptr) return;
            const RequestDone done = std::get<RequestDone>(std::move(slot->done));
            free_slot(event.tag);
            guard("a callback of request()", [&] { done(std::string(as_text(event.payload))); });
            return;
        }
        case CoreEventKind::message:
            if (!on_message_) return;
            return guard("on_message()",
                         [&] { on_message_(event.url, as_text(event.payload), event.is_binary); });
        case CoreEventKind::revoked:
            return on_revoked(event);
        case CoreEventKind::notice:
            if (slot == nullptr) return;
            return guard("a stop callback",
                         [&] { std::stop_source(slot->revoked).request_stop(); });
        case CoreEventKind::leaked:
            return tell({errc::lease_leaked,
                         "a lease of " + std::string(event.url) +
                             " has been held longer than leak_detection_threshold; release it"});
        case CoreEventKind::closed:
            if (!on_close_) return;
            return guard("on_close()", [&] {
                on_close_(event.url, static_cast<std::uint16_t>(event.code), event.text);
            });
        case CoreEventKind::reconnected:
            if (!on_reconnect_) return;
            return guard("on_reconnect()", [&] { on_reconnect_(event.url, event.attempts); });
        case CoreEventKind::stopped:
            return tell({errc::connection_lost,
                         std::string(event.url) + " closed with code " +
                             std::to_string(static_cast<unsigned>(event.code)) +
                             ", which asks not to come back; its subscriptions rest until "
                             "something is asked of it"});
        case CoreEventKind::readable:
        case CoreEventKind::drained:
            return;
    }
}

// ---- the end

void CallbackDriver::close_all(Duration drain) {
    const Instant now = core_.now();
    core_.drain(drain >= never - now ? never : now + std::max(drain, Duration::zero()));
}

void CallbackDriver::finish() {
    deliver_answers();
    const api::Error closed(errc::pool_closed, "the pool was closed");
    for (Write& write : std::exchange(writes_, {})) {
        guard("a callback of send()", [&] { write.done(closed); });
    }
    // Callbacks may call again. Who does so for ever is not answered for ever.
    constexpr int rounds_max = 16;
    for (int round = 0; round < rounds_max && slots_.size() > free_slots_.size(); ++round) {
        for (std::size_t index = 0; index < slots_.size(); ++index) {
            if (slots_[index].state != SlotState::calling) continue;
            fail_call(tag_of(index, slots_[index].generation), closed);
        }
    }
    answers_.clear();
}

api::Stats CallbackDriver::stats() const {
    api::Stats stats = public_stats(core_.stats());
    stats.handler_errors = handler_errors_;
    return stats;
}

}  // namespace wspool::client
