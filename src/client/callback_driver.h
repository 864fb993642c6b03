// CallbackDriver: a Core with the loop and resolver it needs, and callbacks in place of its events.
// Both flavours of the library stand on it: a CallbackPool turns it itself, the thread of a
// ClientPool does.
//
// How it works: each call and each lease is a slot, named by index and generation, which is the tag
// that the core gives back. What is known at once is answered in the next turn, so no callback
// comes from within a call. Callbacks are the user's: what they throw is caught here, told and
// counted; they may call anything but turn().
//
// Invariants: each call is answered once; a slot is free after its call is answered, unless that
// was a lease: then until the lease is given back. Ownership: loop, resolver, core, callbacks.
// Limits: the core's. Not thread-safe.
#pragma once

#include "base/chunked_array.h"
#include "client/callback_options.h"
#include "client/core.h"
#include "client/core_resolver.h"
#include "io/entropy.h"

#include <wspool/coroutine.h>
#include <wspool/handlers.h>
#include <wspool/lease.h>
#include <wspool/stats.h>

#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace wspool::client {

using AcquireDone = std::function<void(api::Result<api::Lease>)>;
using SendDone = std::function<void(api::Result<void>)>;
using RequestDone = std::function<void(api::Result<std::string>)>;

class CallbackDriver {
  public:
    // `options` were checked.
    [[nodiscard]] static api::Result<std::unique_ptr<CallbackDriver>> make(
        const api::Options& options);
    ~CallbackDriver();
    CallbackDriver(const CallbackDriver&) = delete;
    CallbackDriver& operator=(const CallbackDriver&) = delete;

    // Who its leases are given back to.
    void set_owner(std::weak_ptr<api::detail::LeaseOwner> owner) { owner_ = std::move(owner); }
    // turn() returns when it is readable.
    [[nodiscard]] Result<void> watch(int fd) { return core_.watch(fd, 0); }

    // One turn: waits until `deadline` at most, and calls back what is due.
    void turn(Instant deadline);
    [[nodiscard]] bool is_in_handler() const { return handler_depth_ > 0; }

    // ---- calls: a number, and what is to be done under it
    [[nodiscard]] api::CallNumber new_call();
    void acquire(api::CallNumber number,
                 std::string_view url,
                 const api::AcquireOptions& options,
                 AcquireDone&& done);
    void send(api::CallNumber number,
              std::string_view url,
              std::string_view message,
              const api::SendOptions& options,
              SendDone&& done);
    void request(api::CallNumber number,
                 std::string_view url,
                 std::string_view id,
                 std::string_view message,
                 const api::SendOptions& options,
                 RequestDone&& done);
    bool cancel(api::CallNumber number);

    // ---- leases
    // Queued, in order.
    [[nodiscard]] api::Result<void> lease_send(api::detail::LeaseNumber number,
                                               std::string_view data,
                                               bool is_binary);
    // `done` when the kernel has taken it.
    void lease_write(api::detail::LeaseNumber number,
                     std::string_view data,
                     bool is_binary,
                     SendDone done);
    // See api::Lease::session().
    [[nodiscard]] api::Result<std::uint32_t> lease_session(api::detail::LeaseNumber number);
    api::Result<void> give_back(api::detail::LeaseNumber number, bool may_be_lent_again);

    // ---- the rest
    [[nodiscard]] api::Result<void> subscribe(std::string_view url,
                                              std::string_view topic,
                                              std::string_view frame,
                                              std::string_view farewell);
    [[nodiscard]] api::Result<void> unsubscribe(std::string_view url, std::string_view topic);
    void set_handler(api::MessageHandler handler) { replace(on_message_, std::move(handler)); }
    void set_handler(api::CloseHandler handler) { replace(on_close_, std::move(handler)); }
    void set_handler(api::ReconnectHandler handler) { replace(on_reconnect_, std::move(handler)); }
    void set_handler(api::ErrorHandler handler) { replace(on_error_, std::move(handler)); }
    void drop_handlers();

    void close_all(Duration drain);
    [[nodiscard]] bool is_closed() const { return core_.is_drained() && answers_.empty(); }
    // Answers whatever is still owed with pool_closed. For the end, when there are no more turns.
    void finish();
    [[nodiscard]] api::Stats stats() const;

  private:
    using Done = std::variant<std::monostate, AcquireDone, SendDone, RequestDone>;
    enum class SlotState : std::uint8_t {
        free,
        calling,  // the core has it, or its answer is in answers_
        leased,   // `lease`
        revoked,  // was leased; `why`
    };
    struct Slot {
        std::uint32_t generation = 1;
        SlotState state = SlotState::free;
        bool is_answered = false;   // calling: its answer is in answers_
        bool is_suspended = false;  // leased, persistent: it waits for its next connection
        Done done;
        CallId call;
        Instant since = never;  // it waits since then; never: it did not have to
        LeaseId lease;
        std::stop_source revoked{std::nostopstate};
        std::unique_ptr<const api::Error> why;
    };
    // The target of the last call: often that of the next as well.
    struct LastTarget {
        std::string url;
        std::string pool;
        TargetId id;
    };
    struct Answer {
        std::uint64_t tag;
        std::optional<api::Error> error;
    };
    struct Write {
        std::uint64_t lease;
        std::uint32_t session;
        SendDone done;
    };

    CallbackDriver(std::unique_ptr<io::Loop> loop,
                   std::unique_ptr<NameResolver> resolver,
                   const api::Options& options,
                   const CoreOptions& core_options);

    // Never 0, because generations begin at 1: events of nobody's find no slot.
    [[nodiscard]] static std::uint64_t tag_of(std::uint32_t index, std::uint32_t generation) {
        return (std::uint64_t{generation} << 32) | index;
    }
    [[nodiscard]] Slot* find(std::uint64_t tag);
    void free_slot(std::uint64_t tag);
    // The call's slot holds `done` from now on.
    template <class CallDone>
    void begin(api::CallNumber number, CallDone&& done);
    [[nodiscard]] Instant begin_waiting(std::uint64_t tag);
    void answer_later(std::uint64_t tag, std::optional<api::Error> error);
    void take_outcome(std::uint64_t tag, const Outcome& outcome);
    [[nodiscard]] api::Result<TargetId> target(std::string_view url, std::string_view pool);
    [[nodiscard]] Instant deadline(std::optional<Duration> timeout,
                                   api::Priority priority,
                                   Instant at) const;
    [[nodiscard]] api::Error error_of(ErrorCode code,
                                      std::string_view text,
                                      const Slot* slot) const;

    void deliver_answers();
    void settle_writes();
    void fail_call(std::uint64_t tag, api::Error error);
    void grant(std::uint64_t tag, LeaseId lease);
    void on_event(const CoreEvent& event);
    void on_sent(std::uint64_t tag);
    void on_revoked(const CoreEvent& event);
    template <class Call>
    void guard(std::string_view who, Call&& call);
    void tell(const api::Error& error);
    // A handler may be what is running, and must not even be moved then.
    template <class Handler>
    void replace(std::shared_ptr<Handler>& place, Handler handler) {
        retired_.push_back(std::move(place));
        place = handler ? std::make_shared<Handler>(std::move(handler)) : nullptr;
    }

    std::unique_ptr<io::Loop> loop_;
    std::unique_ptr<NameResolver> resolver_;
    io::SystemEntropy entropy_;
    api::Options options_;
    TargetSpec spec_;  // of what is not plain; `tls` once wss:// was asked for
    LastTarget last_target_;
    Core core_;
    std::weak_ptr<api::detail::LeaseOwner> owner_;

    ChunkedArray<Slot> slots_;
    IndexPool slot_indexes_;
    std::vector<Answer> answers_;
    std::vector<Answer> delivering_;  // in deliver_answers()
    std::vector<Write> writes_;
    std::map<std::pair<std::string, std::string>, SubscriptionId> subscriptions_;

    std::shared_ptr<api::MessageHandler> on_message_;
    std::shared_ptr<api::CloseHandler> on_close_;
    std::shared_ptr<api::ReconnectHandler> on_reconnect_;
    std::shared_ptr<api::ErrorHandler> on_error_;
    std::vector<std::shared_ptr<void>> retired_;  // until the next turn
    std::uint32_t handler_depth_ = 0;
    std::uint64_t handler_errors_ = 0;
};

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
    tell({api::errc::handler_threw, std::string(who) + " threw: " + *thrown});
}

}  // namespace wspool::client
