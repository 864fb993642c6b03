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

ws::Opcode opcode_of(bool is_binary) {
    return is_binary ? ws::Opcode::binary : ws::Opcode::text;
}

#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer does not see liburing map and unmap the memory of rings, and takes two rings that
// had the same address one after the other for one that two threads use.
constexpr io::LoopChoice loop_choice = io::LoopChoice::epoll;
#else
constexpr io::LoopChoice loop_choice = io::LoopChoice::automatic;
#endif

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
    auto chosen = io::make_loop({loop_choice, Duration::zero()});
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
      spec_(core_options.defaults),
      core_(*loop_, *resolver_, core_options, entropy_) {}

CallbackDriver::~CallbackDriver() = default;

// ---- slots

CallbackDriver::Slot* CallbackDriver::find(std::uint64_t tag) {
    const auto index = static_cast<std::uint32_t>(tag);
    if (index >= slot_indexes_.end()) return nullptr;
    Slot& slot = slots_[index];
    return slot.generation == tag >> 32 && slot.state != SlotState::free ? &slot : nullptr;
}

api::CallNumber CallbackDriver::new_call() {
    const std::uint32_t index = slot_indexes_.take();
    slots_.grow_to(index);
    Slot& slot = slots_[index];
    slot.state = SlotState::calling;
    return static_cast<api::CallNumber>(tag_of(index, slot.generation));
}

void CallbackDriver::free_slot(std::uint64_t tag) {
    const auto index = static_cast<std::uint32_t>(tag);
    Slot& slot = slots_[index];
    const std::uint32_t next = slot.generation == UINT32_MAX ? 1 : slot.generation + 1;
    slot.state = SlotState::free;
    slot.is_answered = slot.is_suspended = false;
    slot.done = std::monostate();
    slot.revoked = std::stop_source(std::nostopstate);
    slot.why.reset();
    slot.generation = next;
    slot_indexes_.give_back(index);
}

template <class CallDone>
void CallbackDriver::begin(api::CallNumber number, CallDone&& done) {
    Slot* slot = find(static_cast<std::uint64_t>(number));
    WSPOOL_ASSERT(slot != nullptr && slot->state == SlotState::calling);
    slot->done.template emplace<std::remove_reference_t<CallDone>>(std::forward<CallDone>(done));
    slot->call = CallId{};
    slot->since = never;
}

// The loop's time is that of its last wait, which may have been long ago; and a look at the clock
// is a tenth of what sending costs, so only who waits takes one.
Instant CallbackDriver::begin_waiting(std::uint64_t tag) {
    const Instant at = io::read_clock();
    if (Slot* slot = find(tag)) slot->since = at;
    return at;
}

void CallbackDriver::answer_later(std::uint64_t tag, std::optional<api::Error> error) {
    if (Slot* slot = find(tag)) slot->is_answered = true;
    answers_.push_back({tag, std::move(error)});
}

// ---- calls

api::Result<TargetId> CallbackDriver::target(std::string_view url, std::string_view pool) {
    if (url == last_target_.url && pool == last_target_.pool && core_.is_known(last_target_.id))
        return last_target_.id;
    const bool needs_tls = is_secure(url);
    if (!pool.empty() && std::none_of(options_.pools.begin(),
                                      options_.pools.end(),
                                      [&](const auto& one) { return one.name == pool; })) {
        return api::Error(
            errc::bad_option,
            "there is no dedicated pool \"" + std::string(pool) + "\"; name one of Options::pools");
    }
    if (needs_tls && !spec_.tls) {
        auto tls = make_tls(options_.tls);
        if (!tls) return api::Error(errc::connect_failed, tls.error().message);
        spec_.tls = std::make_shared<const io::TlsClient>(std::move(*tls));
    }
    spec_.pool = pool;
    const auto found = needs_tls || !pool.empty() ? core_.target(url, spec_) : core_.target(url);
    if (!found) return api::Error(errc::bad_url, found.error().message);
    last_target_ = {std::string(url), std::string(pool), *found};
    return *found;
}

Instant CallbackDriver::deadline(std::optional<Duration> timeout,
                                 api::Priority priority,
                                 Instant at) const {
    const Duration time = timeout.value_or(
        options_.shares ? options_.priority_timeouts[static_cast<std::size_t>(priority)]
                        : options_.acquire_timeout);
    if (time <= Duration::zero()) return core_.now();
    return time >= never - at ? never : at + time;
}

api::Error CallbackDriver::error_of(ErrorCode code, std::string_view text, const Slot* slot) const {
    const bool has_waited = slot != nullptr && slot->since != never;
    const Duration waited = has_waited ? io::read_clock() - slot->since : Duration::zero();
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
                             AcquireDone&& done) {
    const auto tag = static_cast<std::uint64_t>(number);
    begin(number, std::move(done));
    const Instant at = begin_waiting(tag);
    const auto wanted = target(url, options.pool);
    if (!wanted) return answer_later(tag, wanted.error());
    AcquireSpec spec;
    spec.priority = priority_of(options.priority);
    spec.client = options.client;
    spec.deadline = deadline(options.timeout, options.priority, at);
    spec.tag = tag;
    spec.is_returning = options.is_returning;
    spec.is_persistent = options.persistent_session;
    take_outcome(tag, core_.acquire(*wanted, spec));
}

void CallbackDriver::send(api::CallNumber number,
                          std::string_view url,
                          std::string_view message,
                          const api::SendOptions& options,
                          SendDone&& done) {
    const auto tag = static_cast<std::uint64_t>(number);
    begin(number, std::move(done));
    const auto wanted = target(url, options.pool);
    if (!wanted) return answer_later(tag, wanted.error());
    const ws::Opcode opcode = opcode_of(options.binary);
    if (core_.send_now(*wanted, opcode, as_bytes(message), tag)) return;
    SendSpec spec;
    spec.priority = priority_of(options.priority);
    spec.deadline = deadline(options.timeout, options.priority, begin_waiting(tag));
    spec.tag = tag;
    take_outcome(tag, core_.send_once(*wanted, opcode, as_bytes(message), spec));
}

void CallbackDriver::request(api::CallNumber number,
                             std::string_view url,
                             std::string_view id,
                             std::string_view message,
                             const api::SendOptions& options,
                             RequestDone&& done) {
    const auto tag = static_cast<std::uint64_t>(number);
    begin(number, std::move(done));
    const Instant at = begin_waiting(tag);
    const auto wanted = target(url, options.pool);
    if (!wanted) return answer_later(tag, wanted.error());
    SendSpec spec;
    spec.priority = priority_of(options.priority);
    spec.deadline = deadline(options.timeout, options.priority, at);
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
    if (slot->is_suspended) {
        return api::Error(errc::connection_lost,
                          "the connection was lost, and this lease waits for another one");
    }
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
    const auto tag = static_cast<std::uint64_t>(number);
    writes_.push_back({tag, core_.session(find(tag)->lease), std::move(done)});
}

api::Result<std::uint32_t> CallbackDriver::lease_session(api::detail::LeaseNumber number) {
    const Slot* slot = find(static_cast<std::uint64_t>(number));
    if (slot == nullptr) return lease_is_gone();
    if (slot->state == SlotState::revoked) return *slot->why;
    return core_.session(slot->lease);
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

void CallbackDriver::drop_handlers() {
    set_handler(api::MessageHandler());
    set_handler(api::CloseHandler());
    set_handler(api::ReconnectHandler());
    set_handler(api::ErrorHandler());
}

api::Stats CallbackDriver::stats() const {
    api::Stats stats = public_stats(core_.stats());
    stats.handler_errors = handler_errors_;
    return stats;
}

}  // namespace wspool::client
