// The turns of a CallbackDriver: what the core tells, and what callbacks are told of it.
#include "base/assert.h"
#include "client/callback_driver.h"

namespace wspool::client {

using api::errc;

namespace {

// The callback of a call, which is of its kind.
template <class Which, class Done>
[[nodiscard]] Which take(Done& done) {
    auto* const held = std::get_if<Which>(&done);
    WSPOOL_ASSERT(held != nullptr);
    return std::move(*held);
}

}  // namespace

void CallbackDriver::tell(const api::Error& error) {
    if (!on_error_) return;
    ++handler_depth_;
    try {
        (*on_error_)(error);
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
    if (!writes_.empty()) settle_writes();
    // Answers that callbacks cause are for the next turn.
    if (!answers_.empty()) deliver_answers();
    for (CoreEvent event; core_.next(event);) on_event(event);
}

// What was sent by leases is written once nothing of it waits any more: seen after the wait() that
// sent it.
void CallbackDriver::settle_writes() {
    std::vector<Write> writes = std::exchange(writes_, {});
    for (Write& write : writes) {
        const Slot* slot = find(write.lease);
        const bool is_open = slot != nullptr && slot->state == SlotState::leased &&
                             core_.is_open(slot->lease) &&
                             core_.session(slot->lease) == write.session;
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

void CallbackDriver::deliver_answers() {
    delivering_.swap(answers_);
    for (Answer& answer : delivering_) {
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
    delivering_.clear();
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
    const AcquireDone done = take<AcquireDone>(slot->done);
    auto made = api::detail::make_lease(
        owner_.lock(), static_cast<api::detail::LeaseNumber>(tag), slot->revoked.get_token());
    guard("a callback of acquire()", [&] { done(std::move(made)); });
}

void CallbackDriver::on_sent(std::uint64_t tag) {
    Slot* slot = find(tag);
    if (slot == nullptr) return;
    const SendDone done = take<SendDone>(slot->done);
    free_slot(tag);
    if (done) guard("a callback of send()", [&] { done({}); });
}

void CallbackDriver::on_revoked(const CoreEvent& event) {
    Slot* slot = find(event.tag);
    if (slot == nullptr) return;
    slot->why = std::make_unique<api::Error>(error_of(event.error, event.text, nullptr));
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
        case CoreEventKind::sent:
            for (const std::uint64_t tag : event.tags) on_sent(tag);
            return;
        case CoreEventKind::replied: {
            if (slot == nullptr) return;
            const RequestDone done = take<RequestDone>(slot->done);
            free_slot(event.tag);
            guard("a callback of request()", [&] { done(std::string(as_text(event.payload))); });
            return;
        }
        case CoreEventKind::message:
            if (!on_message_) return;
            return guard("on_message()", [&] {
                (*on_message_)(event.url, as_text(event.payload), event.is_binary);
            });
        case CoreEventKind::revoked:
            return on_revoked(event);
        case CoreEventKind::suspended:
        case CoreEventKind::resumed:
            if (slot != nullptr) slot->is_suspended = event.kind == CoreEventKind::suspended;
            return;
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
                (*on_close_)(event.url, static_cast<std::uint16_t>(event.code), event.text);
            });
        case CoreEventKind::reconnected:
            if (!on_reconnect_) return;
            return guard("on_reconnect()", [&] { (*on_reconnect_)(event.url, event.attempts); });
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
    for (int round = 0; round < rounds_max && slot_indexes_.used() > 0; ++round) {
        for (std::uint32_t index = 0; index < slot_indexes_.end(); ++index) {
            if (slots_[index].state != SlotState::calling) continue;
            fail_call(tag_of(index, slots_[index].generation), closed);
        }
    }
    answers_.clear();
}

}  // namespace wspool::client
