// The verbs' entry: what is stale, unusable or too late ends here.
#include "client/core.h"
#include "client/core_state.h"
#include "ws/utf8.h"

namespace wspool::client {
namespace {

bool is_sendable(ws::Opcode opcode, ByteView payload) {
    return opcode == ws::Opcode::binary ||
           (opcode == ws::Opcode::text && ws::is_valid_utf8(payload));
}

Outcome stale_target() {
    return {.kind = Outcome::Kind::failed,
            .error = ErrorCode::invalid,
            .text = "the target is not known any more; ask for it by its URL again"};
}

Outcome not_sendable() {
    return {.kind = Outcome::Kind::failed,
            .error = ErrorCode::invalid,
            .text = "the message is text, and not UTF-8, or of no kind that may be sent"};
}

}  // namespace

Core::Core(io::Loop& loop, NameResolver& resolver, const CoreOptions& options, Entropy& entropy)
    : state_(std::make_unique<State>(loop, resolver, options, entropy)) {}

Core::~Core() = default;

Instant Core::now() const {
    return state_->now();
}

void Core::wait(Instant deadline) {
    state_->wait(deadline);
}

bool Core::next(CoreEvent& event) {
    return state_->next(event);
}

Instant Core::next_deadline() const {
    return state_->next_deadline();
}

Result<void> Core::watch(int fd, std::uint32_t tag) {
    return state_->engine.watch(fd, tag);
}

Result<TargetId> Core::target(std::string_view url) {
    return state_->find_or_make(url, state_->options.defaults, true);
}

Result<TargetId> Core::target(std::string_view url, const TargetSpec& spec) {
    return state_->find_or_make(url, spec, false);
}

bool Core::pin(TargetId id) {
    const std::uint32_t target = state_->find(id);
    if (target == none) return false;
    ++state_->targets[target].pins;
    return true;
}

bool Core::unpin(TargetId id) {
    const std::uint32_t target = state_->find(id);
    if (target == none || state_->targets[target].pins == 0) return false;
    --state_->targets[target].pins;
    state_->targets[target].used_at = now();
    return true;
}

std::string_view Core::url(TargetId id) const {
    const std::uint32_t target = state_->find(id);
    return target == none ? std::string_view() : state_->targets[target].url;
}

bool Core::is_known(TargetId id) const {
    return state_->find(id) != none;
}

Outcome Core::acquire(TargetId id, const AcquireSpec& spec) {
    const std::uint32_t target = state_->find(id);
    if (target == none) return stale_target();
    if (state_->is_draining) return state_->refuse(target, ErrorCode::pool_closed);
    return state_->acquire(target, spec);
}

bool Core::cancel(CallId id) {
    const std::uint32_t call = State::find(id, state_->calls, state_->call_indexes);
    return call != none && state_->cancel(call);
}

bool Core::release(LeaseId id) {
    const std::uint32_t call = state_->find_lease(id);
    if (call == none) return false;
    state_->is_suspended(call) ? state_->end_suspended(call) : state_->end_lease(call, false);
    state_->settle();
    return true;
}

bool Core::discard(LeaseId id) {
    const std::uint32_t call = state_->find_lease(id);
    if (call == none) return false;
    state_->is_suspended(call) ? state_->end_suspended(call) : state_->end_lease(call, true);
    state_->settle();
    return true;
}

SendOutcome Core::send(LeaseId id, ws::Opcode opcode, ByteView payload) {
    const std::uint32_t call = state_->find_lease(id);
    if (call == none || state_->is_suspended(call)) return SendOutcome::gone;
    if (!is_sendable(opcode, payload)) return SendOutcome::invalid;
    return state_->push(state_->connections[state_->calls[call].connection], opcode, payload);
}

bool Core::is_open(LeaseId id) const {
    const std::uint32_t call = state_->find_lease(id);
    return call != none && !state_->is_suspended(call) &&
           state_->connections[state_->calls[call].connection].state == Connection::State::open;
}

std::uint32_t Core::session(LeaseId id) const {
    const std::uint32_t call = state_->find_lease(id);
    return call == none || state_->is_suspended(call) ? 0 : state_->calls[call].sessions;
}

std::size_t Core::outbox_size(LeaseId id) const {
    const std::uint32_t call = state_->find_lease(id);
    if (call == none || state_->is_suspended(call)) return 0;
    return state_->engine.outbox_size(state_->connections[state_->calls[call].connection].session);
}

std::string_view Core::subprotocol(LeaseId id) const {
    const std::uint32_t call = state_->find_lease(id);
    if (call == none || state_->is_suspended(call)) return {};
    return state_->connections[state_->calls[call].connection].subprotocol;
}

Outcome Core::send_once(TargetId id, ws::Opcode opcode, ByteView payload, const SendSpec& spec) {
    const std::uint32_t target = state_->find(id);
    if (target == none) return stale_target();
    if (state_->is_draining) return state_->refuse(target, ErrorCode::pool_closed);
    if (!is_sendable(opcode, payload)) return not_sendable();
    return state_->send_once(target, opcode, payload, spec);
}

bool Core::send_now(TargetId id, ws::Opcode opcode, ByteView payload, std::uint64_t tag) {
    const std::uint32_t target = state_->find(id);
    if (target == none || state_->is_draining || !is_sendable(opcode, payload)) return false;
    return state_->send_now(target, opcode, payload, tag);
}

Outcome Core::request(TargetId id,
                      std::string_view reply_id,
                      ByteView payload,
                      const SendSpec& spec) {
    const std::uint32_t target = state_->find(id);
    if (target == none) return stale_target();
    if (state_->is_draining) return state_->refuse(target, ErrorCode::pool_closed);
    if (!is_sendable(ws::Opcode::text, payload)) return not_sendable();
    return state_->request(target, reply_id, payload, spec);
}

Result<SubscriptionId> Core::subscribe(TargetId id,
                                       std::string_view topic,
                                       std::string_view subscribe_frame,
                                       std::string_view unsubscribe_frame) {
    const std::uint32_t target = state_->find(id);
    if (target == none) return fail(std::string(stale_target().text));
    if (state_->is_draining) return fail(state_->explain(target, ErrorCode::pool_closed));
    if (!ws::is_valid_utf8(as_bytes(subscribe_frame)) ||
        !ws::is_valid_utf8(as_bytes(unsubscribe_frame)))
        return fail(std::string(not_sendable().text));
    return state_->subscribe(target, topic, subscribe_frame, unsubscribe_frame);
}

bool Core::unsubscribe(SubscriptionId id) {
    const std::uint32_t subscription =
        State::find(id, state_->subscriptions, state_->subscription_indexes);
    if (subscription == none || state_->subscriptions[subscription].shard == none) return false;
    state_->unsubscribe(subscription);
    return true;
}

void Core::drain(Instant deadline) {
    state_->drain(deadline);
}

bool Core::is_drained() const {
    return state_->is_drained;
}

CoreStats Core::stats() const {
    return state_->stats();
}

void Core::check_invariants() const {
    state_->check_invariants();
}

}  // namespace wspool::client
