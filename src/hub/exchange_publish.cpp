// Publisher's worker: windows, what is unfinished, and who waits (R6, R8, R10, R12, R33, R61).
#include "hub/exchange_state.h"

#include <algorithm>
#include <utility>

namespace wspool::hub {
namespace {

inline constexpr std::size_t charge_beside = 64;  // R61: so that small payloads are bounded too
inline constexpr std::size_t publish_head = wire::header_size + 8 + 16 + 2 + 1 + 3 * 4;

}  // namespace

std::size_t Exchange::State::charge_of(std::string_view name,
                                       std::string_view sender_id,
                                       std::size_t payload_size) {
    return publish_head + name.size() + sender_id.size() + payload_size + charge_beside;
}

bool Exchange::State::has_window(const Upstream& upstream, std::size_t charge) const {
    return upstream.window_bytes + charge <= options.window_bytes &&
           upstream.window_records < options.window_records;
}

wire::SessionNumber Exchange::State::number_of(Session session) const {
    if (session == Session{}) return {};
    return {options.incarnation,
            (std::uint64_t{session.generation} << 32) | std::uint64_t{session.index}};
}

Session Exchange::State::local_session(const wire::SessionNumber& number) const {
    if (number.incarnation != options.incarnation) return {};
    return {static_cast<std::uint32_t>(number.counter),
            static_cast<std::uint32_t>(number.counter >> 32)};
}

std::uint32_t Exchange::State::local_index(const wire::SessionNumber& number) const {
    const Session session = local_session(number);
    return is_known(session) ? session.index : UINT32_MAX;
}

std::string_view Exchange::State::sender_id_of(Session session) {
    return is_known(session) ? sessions[session.index].id.text(id_buffer) : std::string_view();
}

PublishAnswer Exchange::State::publish(const PublishRequest& request,
                                       wire::Kind kind,
                                       Instant now) {
    using Outcome = PublishAnswer::Outcome;
    WSPOOL_ASSERT(request.tag.size() <= tag_size_max);
    const std::uint64_t hash = sip_hash(request.name, options.key);
    const auto index = static_cast<std::uint16_t>(hash % options.index_count);
    if (serves(index)) return publish_here(request, kind, hash, now);

    Upstream& upstream = upstreams[index];
    const std::string_view sender_id = sender_id_of(request.sender);
    const std::size_t charge = charge_of(request.name, sender_id, request.payload.size());
    if (charge > options.window_bytes) return {Outcome::refused, wire::Refusal::too_big, {}, {}};
    if (!upstream.parked.empty() || !has_window(upstream, charge)) {
        return park(upstream, request, kind, now);
    }
    take(upstream, request, sender_id, kind, now);
    return {Outcome::pending, {}, {}, {}};
}

PublishAnswer Exchange::State::publish_here(const PublishRequest& request,
                                            wire::Kind kind,
                                            std::uint64_t hash,
                                            Instant now) {
    using Outcome = PublishAnswer::Outcome;
    Upstream& upstream = own();
    std::uint32_t index = IndexTable::none;
    if (kind == wire::Kind::broadcast) {
        index = find_or_make(wire::Space::group, request.name, hash, now);
    }
    // Writing out an anonymous id costs more than all the rest, where nobody will look at it.
    const bool needs_id = index == IndexTable::none || home.peer_count > 0 || keeps(names[index]);
    const Passing passing{.kind = kind,
                          .name = request.name,
                          .sender_id = needs_id ? sender_id_of(request.sender) : std::string_view(),
                          .payload = request.payload,
                          .session = number_of(request.sender),
                          .origin = {options.incarnation, 0},
                          .publisher = self};
    const std::size_t charge = charge_of(request.name, passing.sender_id, request.payload.size());
    if (charge > options.window_bytes) return {Outcome::refused, wire::Refusal::too_big, {}, {}};
    if (kind != wire::Kind::broadcast) {
        if (!has_target(request.name)) {
            return {Outcome::refused, wire::Refusal::unknown_target, {}, {}};
        }
        index = find(wire::Space::id, request.name, ~hash);
    }
    if (!upstream.parked.empty() || !has_window(upstream, charge)) {
        return park(upstream, request, kind, now);
    }
    const SequencedMessage at = sequence(passing, index, static_cast<std::uint32_t>(charge), now);

    PublishAnswer answer{Outcome::sequenced, {}, at.position, {}};
    Delivery& delivery = answer.delivery;
    delivery.kind = kind;
    delivery.name = request.name;
    delivery.position = at.position;
    delivery.payload = request.payload;
    delivery.sender_id = passing.sender_id;
    if (kind == wire::Kind::broadcast) {
        const Name& name = names[index];
        delivery.prefix = as_text(name.prefix.view());
        delivery.members = name.members;
        delivery.excluded = request.sender.index;
    } else {
        delivery.members = members_of_id(request.name);
    }
    return answer;
}

// R6: no window. One publish of a session waits, and the session is not read.
PublishAnswer Exchange::State::park(Upstream& upstream,
                                    const PublishRequest& request,
                                    wire::Kind kind,
                                    Instant now) {
    std::size_t parked_bytes = request.payload.size();
    for (const Upstream& any : upstreams) parked_bytes += any.parked_bytes;
    if (parked_bytes > options.parked_bytes_max) {
        ++totals.parked_out_total;
        ++totals.unavailable_total;
        return {PublishAnswer::Outcome::refused, wire::Refusal::unavailable, {}, {}};
    }
    Parked parked{.name = std::string(request.name),
                  .tag = std::string(request.tag),
                  .payload = {},
                  .sender = request.sender,
                  .sender_id = std::string(sender_id_of(request.sender)),
                  .kind = kind,
                  .at = now};
    parked.payload.append(request.payload);
    upstream.parked_bytes += parked.payload.size();
    upstream.parked.push_back(std::move(parked));
    return {PublishAnswer::Outcome::paused, {}, {}, {}};
}

// Gives the publish window and a number, and sends it if there is a home.
void Exchange::State::take(Upstream& upstream,
                           const PublishRequest& request,
                           std::string_view sender_id,
                           wire::Kind kind,
                           Instant asked) {
    const std::size_t charge = charge_of(request.name, sender_id, request.payload.size());
    record.clear();
    wire::encode(record,
                 wire::Publish{.sequence = upstream.first_sequence + upstream.unfinished.size(),
                               .session = number_of(request.sender),
                               .kind = kind,
                               .name = request.name,
                               .sender_id = sender_id,
                               .payload = request.payload});
    Unfinished unfinished;
    unfinished.sender = request.sender;
    unfinished.at = asked;
    unfinished.charge = static_cast<std::uint32_t>(charge);
    unfinished.tag_size = static_cast<std::uint16_t>(request.tag.size());
    unfinished.is_sent = upstream.state != UpstreamState::lost;
    upstream.unfinished.push_back(unfinished, record.view(), as_bytes(request.tag));
    upstream.window_bytes += charge;
    ++upstream.window_records;
    if (unfinished.is_sent) peers[upstream.home]->out.append(record.view());
}

void Exchange::State::serve_parked(Upstream& upstream, Instant now) {
    while (!upstream.parked.empty()) {
        Parked& front = upstream.parked.front();
        const std::size_t charge = charge_of(front.name, front.sender_id, front.payload.size());
        if (!has_window(upstream, charge)) return;
        Parked parked = std::move(front);
        upstream.parked.pop_front();
        upstream.parked_bytes -= parked.payload.size();
        serve_one_parked(upstream, parked, now);
        queue_session(ActionKind::resume, parked.sender);
    }
}

void Exchange::State::serve_one_parked(Upstream& upstream, const Parked& parked, Instant now) {
    if (!serves(index_of(upstream))) {
        take(upstream,
             {parked.name, parked.payload.view(), parked.sender, parked.tag},
             parked.sender_id,
             parked.kind,
             parked.at);
        return;
    }
    if (parked.kind != wire::Kind::broadcast && !has_target(parked.name)) {
        queue_refused(parked.sender, parked.tag, {}, wire::Refusal::unknown_target);
        return;
    }
    const Passing passing{.kind = parked.kind,
                          .name = parked.name,
                          .sender_id = parked.sender_id,
                          .payload = parked.payload.view(),
                          .session = number_of(parked.sender),
                          .origin = {options.incarnation, 0},
                          .publisher = self};
    const std::uint32_t index = parked.kind == wire::Kind::broadcast
                                    ? find_or_make(wire::Space::group, parked.name, now)
                                    : find(wire::Space::id, parked.name);
    const std::size_t charge = charge_of(parked.name, passing.sender_id, parked.payload.size());
    const SequencedMessage at = sequence(passing, index, static_cast<std::uint32_t>(charge), now);
    queue_deliver(passing, at.name, at.position, false);
    queue_published(parked.sender, parked.tag, at.position);
}

// ----------------------------------------------------------------------------------------------
// what becomes of a publish

Unfinished* Exchange::State::unfinished_at(Upstream& upstream, std::uint64_t sequence) {
    if (sequence < upstream.first_sequence) return nullptr;
    const std::uint64_t i = sequence - upstream.first_sequence;
    return i < upstream.unfinished.size() ? &upstream.unfinished[i] : nullptr;
}

void Exchange::State::mark_answered(Upstream& upstream, Unfinished& unfinished) {
    unfinished.is_answered = true;
    const Unfinished* next = unfinished_at(upstream, upstream.answered_until);
    while (next != nullptr && next->is_answered) {
        next = unfinished_at(upstream, ++upstream.answered_until);
    }
}

std::string_view Exchange::State::tag_of(const Upstream& upstream, std::uint64_t sequence) {
    const std::uint64_t i = sequence - upstream.first_sequence;
    const ByteView blob = upstream.unfinished.blob(i);
    return as_text(blob.last(upstream.unfinished[i].tag_size));
}

// R8: sequenced is what an acknowledgement means.
void Exchange::State::answer_publish(Upstream& upstream,
                                     std::uint64_t sequence,
                                     std::uint64_t s,
                                     const Position& position) {
    Unfinished* unfinished = unfinished_at(upstream, sequence);
    if (unfinished == nullptr || unfinished->is_done) return;
    unfinished->s = s;
    if (options.plant.early_credit) {
        upstream.window_bytes -= std::exchange(unfinished->charge, 0);
        serve_parked(upstream, unfinished->at);
        unfinished = unfinished_at(upstream, sequence);
    }
    if (unfinished->is_answered) return;
    queue_published(unfinished->sender, tag_of(upstream, sequence), position);
    mark_answered(upstream, *unfinished);
}

void Exchange::State::refuse_publish(Upstream& upstream,
                                     std::uint64_t sequence,
                                     wire::Refusal code,
                                     Instant now) {
    Unfinished* unfinished = unfinished_at(upstream, sequence);
    if (unfinished == nullptr || unfinished->is_done) return;
    if (!unfinished->is_answered) {
        if (code == wire::Refusal::unavailable) ++totals.unavailable_total;
        queue_refused(unfinished->sender, tag_of(upstream, sequence), {}, code);
        mark_answered(upstream, *unfinished);
    }
    finish(upstream, *unfinished);
    pop_finished(upstream, now);
}

// Gives the window back.
void Exchange::State::finish(Upstream& upstream, Unfinished& unfinished) {
    if (unfinished.is_done) return;
    unfinished.is_done = true;
    upstream.window_bytes -= unfinished.charge;
    --upstream.window_records;
}

void Exchange::State::pop_finished(Upstream& upstream, Instant now) {
    while (!upstream.unfinished.empty() && upstream.unfinished.front().is_done) {
        upstream.unfinished.pop_front();
        ++upstream.first_sequence;
    }
    upstream.unfinished.shrink();
    upstream.answered_until = std::max(upstream.answered_until, upstream.first_sequence);
    serve_parked(upstream, now);
}

// R10. In the order of their numbers, which is all but always that of their s: one that is stable
// behind another that is not waits for it.
void Exchange::State::publishes_stable(Upstream& upstream, Instant now) {
    bool any = false;
    for (std::size_t i = 0; i < upstream.unfinished.size(); ++i) {
        Unfinished& unfinished = upstream.unfinished[i];
        if (unfinished.is_done) continue;
        if (unfinished.s == 0 || unfinished.s > upstream.stable) break;
        mark_answered(upstream, unfinished);
        finish(upstream, unfinished);
        any = true;
    }
    if (any) pop_finished(upstream, now);
}

// ----------------------------------------------------------------------------------------------
// R33: bounded waiting

Instant Exchange::State::wait_deadline(const Upstream& upstream) const {
    Instant earliest = never;
    const std::uint64_t i = upstream.answered_until - upstream.first_sequence;
    if (i < upstream.unfinished.size()) earliest = upstream.unfinished[i].at;
    if (!upstream.parked.empty()) earliest = std::min(earliest, upstream.parked.front().at);
    for (const auto& [token, pending] : upstream.joins) {
        if (pending.is_refused) continue;
        earliest = std::min(earliest, pending.at);
        break;
    }
    if (!upstream.held_back.empty()) earliest = std::min(earliest, upstream.held_back.front().at);
    return earliest == never ? never : earliest + options.home_wait;
}

void Exchange::State::give_up_old(Upstream& upstream, Instant now) {
    const auto is_old = [&](Instant at) { return now - at >= options.home_wait; };
    bool any = false;
    for (std::uint64_t sequence = upstream.answered_until;; ++sequence) {
        Unfinished* unfinished = unfinished_at(upstream, sequence);
        if (unfinished == nullptr || !is_old(unfinished->at)) break;
        if (unfinished->is_answered) continue;
        ++totals.unavailable_total;
        queue_refused(
            unfinished->sender, tag_of(upstream, sequence), {}, wire::Refusal::unavailable);
        mark_answered(upstream, *unfinished);
        unfinished->is_given_up = true;
        if (unfinished->is_sent) continue;
        finish(upstream, *unfinished);
        any = true;
    }
    while (!upstream.parked.empty() && is_old(upstream.parked.front().at)) {
        const Parked parked = std::move(upstream.parked.front());
        upstream.parked.pop_front();
        upstream.parked_bytes -= parked.payload.size();
        ++totals.unavailable_total;
        queue_refused(parked.sender, parked.tag, {}, wire::Refusal::unavailable);
        queue_session(ActionKind::resume, parked.sender);
    }
    if (any) pop_finished(upstream, now);
    give_up_joins(upstream, now);
}

}  // namespace wspool::hub
