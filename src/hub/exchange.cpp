#include "hub/exchange.h"

#include "hub/exchange_state.h"

namespace wspool::hub {

Exchange::State::State(const ExchangeOptions& options_in, Entropy& entropy_in)
    : options(options_in),
      entropy(entropy_in),
      histories(options_in.history.size()),
      upstreams(options_in.index_count) {
    WSPOOL_ASSERT(options.index_count > 0);
    WSPOOL_ASSERT(options.index < options.index_count || options.index == wire::control_index);
    WSPOOL_ASSERT(options.window_records > 0);
}

Exchange::Exchange(const ExchangeOptions& options, Entropy& entropy)
    : state_(std::make_unique<State>(options, entropy)) {}

Exchange::~Exchange() = default;

void Exchange::set_prefix(MakePrefix make_prefix) {
    state_->make_prefix = make_prefix;
}

void Exchange::add_peer(wire::Incarnation peer, std::uint16_t index, bool is_home, Instant now) {
    state_->add_peer(peer, index, is_home, now);
}

void Exchange::set_home(wire::Incarnation peer, Instant now) {
    const PeerSlot slot = state_->slot_of(peer);
    if (slot != nobody) state_->set_home(slot, now);
}

void Exchange::on_peer_ended(wire::Incarnation peer, Instant now) {
    state_->on_peer_ended(peer, now);
}

void Exchange::become_home(Instant now) {
    state_->become_home(now);
}

bool Exchange::is_open() const {
    return state_->home.phase == HomePhase::open;
}

Result<void> Exchange::on_record(wire::Incarnation peer, ByteView record, Instant now) {
    const PeerSlot slot = state_->slot_of(peer);
    if (peer == 0 || slot == nobody) return {};  // of a link that is no more
    return state_->on_record(slot, record, now);
}

ByteBuffer* Exchange::outgoing(wire::Incarnation peer) {
    const PeerSlot slot = state_->slot_of(peer);
    return peer == 0 || slot == nobody ? nullptr : &state_->peers[slot]->out;
}

void Exchange::flush(Instant now) {
    state_->flush(now);
}

Exchange::RegisterOutcome Exchange::register_id(Session session, std::string_view id, Instant now) {
    return state_->register_id(session, id, now);
}

void Exchange::register_anonymous(Session session) {
    state_->register_anonymous(session);
}

void Exchange::held(Session session, std::uint64_t question) {
    state_->held(session, question);
}

void Exchange::remove(Session session, Instant now) {
    state_->remove(session, now);
}

std::string_view Exchange::id_of(std::uint32_t index, ClientId::TextBuffer& buffer) const {
    return state_->sessions[index].id.text(buffer);
}

std::optional<Session> Exchange::holder_of(std::string_view id) const {
    std::optional<Session> holder;
    state_->for_each_holder_here(id, [&](std::uint32_t index) {
        holder = Session{index, state_->sessions[index].generation};
    });
    return holder;
}

JoinAnswer Exchange::join(Session session, const JoinRequest& request, Instant now) {
    return state_->join(session, request, now);
}

bool Exchange::leave(Session session, std::string_view group, Instant now) {
    return state_->leave(session, group, now);
}

PublishAnswer Exchange::broadcast(const PublishRequest& request, Instant now) {
    return state_->publish(request, wire::Kind::broadcast, now);
}

PublishAnswer Exchange::direct(const PublishRequest& request, wire::Kind kind, Instant now) {
    WSPOOL_ASSERT(kind != wire::Kind::broadcast);
    return state_->publish(request, kind, now);
}

bool Exchange::next_action(Action& action) {
    return state_->next_action(action);
}

Instant Exchange::next_deadline() const {
    return state_->next_deadline();
}

void Exchange::on_time(Instant now) {
    state_->on_time(now);
}

std::uint16_t Exchange::home_of(wire::Space /*space*/, std::string_view name) const {
    return state_->home_of(name);
}

ExchangeFigures Exchange::figures() const {
    return state_->figures();
}

std::size_t Exchange::group_count() const {
    return state_->groups_with_members;
}

void Exchange::check_invariants() const {
    state_->check_invariants();
}

bool Exchange::is_at_rest() const {
    return state_->is_at_rest();
}

}  // namespace wspool::hub
