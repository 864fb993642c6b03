// Who gets a seat: at once, after waiting, in another's stead, or not at all; and who loses one
// (docs/decisions/0020). The rules are pool::Admission's, one for each pool of seats; its tags are
// the indexes of clients.
#include "worker/worker_state.h"

#include <algorithm>
#include <utility>

namespace wspool::worker {
namespace {

using metrics::AcquireResult;
using metrics::CloseReason;
using metrics::RejectReason;

constexpr std::string_view at_capacity = "Server at capacity";

[[nodiscard]] std::uint64_t milliseconds_of(Duration duration) {
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(duration).count();
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, whole));
}

}  // namespace

void Worker::State::make_seat_pools() {
    SeatOptions& seats = options.seats;
    WSPOOL_ASSERT(worker::check(seats, options.connections_max));
    std::size_t shared = options.connections_max;
    for (const SeatPoolOptions& pool : seats.dedicated) shared -= pool.admission.seats_max;
    seats.shared.seats_max = static_cast<std::uint32_t>(shared);
    seat_pools.emplace_back(seats.shared, engine.now(), jitter.next());
    for (const SeatPoolOptions& pool : seats.dedicated) {
        seat_pools.emplace_back(pool.admission, engine.now(), jitter.next());
    }
    for (const auto& pool : seats.dedicated) has_shares |= pool.admission.shares.has_value();
    has_shares |= seats.shared.shares.has_value();
}

// A seat if there is one, and else what comes next best.
void Worker::State::admit(Client& client, Arrival arrival) {
    client.priority = arrival.priority;
    const pool::SeatId seat =
        pool_of(client).try_seat(arrival.priority, tag_of(client), engine.now());
    if (seat != pool::SeatId{}) {
        spend_ticket(client, arrival);
        trace(SeatEvent::Kind::asked, client);
        trace(SeatEvent::Kind::seated, client);
        counters.seating.add_seated();
        take_seat(client, seat);
        enroll(client, arrival);
        return;
    }
    if (take_over(client, arrival)) return;
    const std::optional<bool> is_returning = weigh_ticket(client, arrival);
    if (is_returning) ask_for_seat(client, std::move(arrival), *is_returning);
}

void Worker::State::take_seat(Client& client, pool::SeatId seat) {
    client.seat = seat;
    set_state(client, ClientState::registering);
    ++counters.seating.seats[client.pool][pool::index_of(client.priority)];
    ++counters.seating.changes;
}

void Worker::State::ask_for_seat(Client& client, Arrival arrival, bool is_returning) {
    pool::Admission& pool = pool_of(client);
    const pool::Request request{.priority = client.priority,
                                .deadline = pool.deadline_for(client.priority, engine.now()),
                                .tag = tag_of(client),
                                .is_returning = is_returning};
    trace(SeatEvent::Kind::asked, client, is_returning ? 1 : 0);
    const pool::Verdict verdict = pool.request(request, engine.now());
    is_stirred = true;
    switch (verdict.kind) {
        case pool::Verdict::Kind::seated:
            trace(SeatEvent::Kind::seated, client);
            counters.seating.add_seated();
            take_seat(client, verdict.seat);
            enroll(client, arrival);
            return;
        case pool::Verdict::Kind::queued:
            trace(SeatEvent::Kind::queued, client, verdict.position);
            line_up(client, std::move(arrival), verdict, request.deadline - engine.now());
            return;
        case pool::Verdict::Kind::refused:
            trace(SeatEvent::Kind::refused, client);
            turn_away(client, arrival);
            return;
    }
}

// Upgraded, and told so, but nothing that it says is looked at. Its id is registered with its seat;
// only one that was drawn is its own from the start.
void Worker::State::line_up(Client& client,
                            Arrival arrival,
                            const pool::Verdict& verdict,
                            Duration timeout) {
    client.seat = {verdict.waiter.index, verdict.waiter.generation};
    set_state(client, ClientState::waiting);
    ++counters.seating.waiters[client.pool][pool::index_of(client.priority)];
    ++counters.seating.changes;
    open(client, arrival.subprotocol);
    engine.hold(client.session);
    if (!client.is_echo && arrival.id.empty()) exchange.register_anonymous(to_hub(client.session));
    if (client.is_greeted) {
        hub::ClientId::TextBuffer buffer;
        greet(client,
              arrival.id.empty() ? exchange.id_of(client.session.index, buffer) : arrival.id);
        scratch.clear();
        protocol::append_queued(scratch, verdict.position, milliseconds_of(timeout));
        answer(client);
    }
    keep_arrival(client, std::move(arrival));
}

void Worker::State::keep_arrival(const Client& client, Arrival arrival) {
    arrival.subprotocol = {};  // chosen, and its text goes with the request
    arrivals.insert_or_assign(client.session.index, std::move(arrival));
}

void Worker::State::turn_away(Client& client, const Arrival& arrival) {
    set_state(client, ClientState::absent);
    if (is_draining) {
        refuse_draining(client.session);
        return;
    }
    counters.seating.add(AcquireResult::refused);
    if (options.seats.refuse == RefuseWay::http) {
        refuse(client.session, 503, "Server at capacity.\n", RejectReason::capacity);
        return;
    }
    open(client, arrival.subprotocol);
    engine.close(
        client.session, ws::CloseCode::try_again_later, at_capacity, CloseReason::capacity);
}

// A newer connection of an id takes the seat of the older one, as it is, without queueing. One that
// has to give its seat back has none to pass on, and nor has one of another pool or worker: its
// seat goes to who waits.
bool Worker::State::take_over(Client& client, const Arrival& arrival) {
    if (arrival.id.empty() || options.exchange.duplicate_id != hub::DuplicateId::replace)
        return false;
    const auto holder = exchange.holder_of(arrival.id);
    Client* old = holder ? find(*holder) : nullptr;
    if (old == nullptr || old->state != ClientState::active) return false;
    if (old->pool != client.pool || old->is_leaving) return false;
    pool::Admission& pool = pool_of(client);
    const pool::SeatId seat = std::exchange(old->seat, {});
    count_seat_given(*old);
    pool.set_tag(seat, tag_of(client));
    pool.reclass(seat, client.priority, engine.now());
    is_stirred = true;
    counters.seating.add(AcquireResult::replaced);
    trace(SeatEvent::Kind::replaced, client, tag_of(*old));
    take_seat(client, seat);
    evict(*old);
    run_actions();  // of the one that left, before those of the one that comes
    enroll(client, arrival);
    return true;
}

void Worker::State::count_seat_given(const Client& client) {
    --counters.seating.seats[client.pool][pool::index_of(client.priority)];
    ++counters.seating.changes;
}

// With the end of a client: whatever it had of a seat.
void Worker::State::give_seat_back(Client& client) {
    pool::Admission& pool = pool_of(client);
    const pool::SeatId seat = std::exchange(client.seat, {});
    switch (client.state) {
        case ClientState::absent:
            return;
        case ClientState::arriving:
            arrivals.erase(client.session.index);
            return;
        case ClientState::waiting:
            arrivals.erase(client.session.index);
            --counters.seating.waiters[client.pool][pool::index_of(client.priority)];
            trace(SeatEvent::Kind::cancelled, client);
            if (pool.cancel({seat.index, seat.generation}, engine.now()))
                counters.seating.add(AcquireResult::cancelled);
            is_stirred = true;
            return;
        case ClientState::registering:
        case ClientState::active:
            if (seat == pool::SeatId{}) return;  // its successor has it
            trace(SeatEvent::Kind::released, client);
            count_seat_given(client);
            pool.release(seat, engine.now());
            is_stirred |= !pool.is_quiet();
            return;
    }
}

// ------------------------------------------------------------------------------------------------
// what follows

Instant Worker::State::seat_deadline() const {
    Instant deadline = never;
    for (const pool::Admission& pool : seat_pools) {
        if (!pool.is_quiet()) deadline = std::min(deadline, pool.next_deadline());
    }
    return deadline;
}

void Worker::State::pass_seat_time() {
    for (pool::Admission& pool : seat_pools) {
        if (pool.is_quiet() || pool.next_deadline() > engine.now()) continue;
        pool.on_deadline(engine.now());
        is_stirred = true;
    }
}

void Worker::State::settle_seats() {
    if (!is_stirred) return;
    pool::AdmissionAction action;
    while (std::exchange(is_stirred, false)) {
        for (pool::Admission& pool : seat_pools) {
            while (pool.next_action(action)) {
                run(pool, action);
                run_actions();
            }
        }
    }
    counters.seating.waiting_since = 0;
    for (const pool::Admission& pool : seat_pools) {
        if (pool.is_quiet()) continue;
        const pool::AdmissionFigures figures = pool.figures(engine.now());
        if (figures.oldest_wait == Duration::zero()) continue;
        const Instant since = engine.now() - figures.oldest_wait;
        counters.seating.waiting_since =
            metrics::earlier_wait(counters.seating.waiting_since,
                                  static_cast<std::uint64_t>(since.time_since_epoch().count()));
    }
    ++counters.seating.changes;
}

// Whom it is about may have gone since it was decided.
void Worker::State::run(pool::Admission& pool, const pool::AdmissionAction& action) {
    using enum pool::AdmissionAction::Kind;
    Client* found = find(session_of_tag(action.tag));
    if (found == nullptr) {
        if (action.kind == seated) pool.release(action.seat, engine.now());
        return;
    }
    Client& client = *found;
    switch (action.kind) {
        case seated:
            trace(SeatEvent::Kind::admitted, client);
            counters.seating.add_waited(AcquireResult::waited, action.waited);
            end_wait(client);
            take_seat(client, action.seat);
            enroll(client, take_arrival(client));
            return;
        case timed_out:
            trace(SeatEvent::Kind::timed_out, client);
            counters.seating.add_waited(AcquireResult::timed_out, action.waited);
            send_away(client, ws::CloseCode::try_again_later, at_capacity, CloseReason::capacity);
            return;
        case closed:
            trace(SeatEvent::Kind::drained, client);
            counters.seating.add(AcquireResult::drained);
            tell_draining(client);
            send_away(client, ws::CloseCode::service_restart, "restart", CloseReason::drained);
            return;
        case preempt:
            announce_preemption(client, action);
            return;
        case revoke:
            trace(SeatEvent::Kind::revoked, client);
            deactivate(client);
            if (!client.is_open) {
                refuse(client.session, 503, "Server at capacity.\n", RejectReason::capacity);
                return;
            }
            engine.close(client.session,
                         ws::CloseCode::try_again_later,
                         protocol::preempted_reason,
                         CloseReason::preempted);
            return;
    }
}

void Worker::State::end_wait(const Client& client) {
    WSPOOL_ASSERT(client.state == ClientState::waiting);
    --counters.seating.waiters[client.pool][pool::index_of(client.priority)];
    ++counters.seating.changes;
}

// One that waited in vain: it has no seat, and its id was at most drawn.
void Worker::State::send_away(Client& client,
                              ws::CloseCode code,
                              std::string_view text,
                              CloseReason reason) {
    end_wait(client);
    arrivals.erase(client.session.index);
    client.seat = {};
    set_state(client, ClientState::absent);
    if (!client.is_echo) exchange.remove(to_hub(client.session), engine.now());
    engine.close(client.session, code, text, reason);
}

void Worker::State::announce_preemption(Client& client, const pool::AdmissionAction& action) {
    client.is_leaving = true;
    trace(SeatEvent::Kind::preempted, client, pool::index_of(action.taker));
    ++counters.seating.preemptions[pool::index_of(action.priority)][pool::index_of(action.taker)];
    ++counters.seating.changes;
    if (client.state != ClientState::active || client.is_echo) return;
    const Ticket ticket = tickets.issue(client.priority, client.pool, engine.now());
    scratch.clear();
    protocol::append_preempted(
        scratch, milliseconds_of(action.reconnect_delay), write_ticket(ticket, ticket_key));
    answer(client);
}

Arrival Worker::State::take_arrival(const Client& client) {
    auto kept = arrivals.extract(client.session.index);
    WSPOOL_ASSERT(!kept.empty());
    return std::move(kept.mapped());
}

void Worker::State::add_seat_event(SeatEvent::Kind kind,
                                   const Client& client,
                                   std::uint64_t other) {
    seat_events.push_back(
        {kind, engine.now(), tag_of(client), client.priority, client.pool, other});
}

// The counted seats and waiters are those of the clients, and of the pools.
void Worker::State::check_seats() const {
    metrics::Seating recount;
    for (std::uint32_t index = 0; index < clients.size(); ++index) {
        const Client& client = clients[index];
        const std::size_t c = pool::index_of(client.priority);
        if (client.state == ClientState::waiting) ++recount.waiters[client.pool][c];
        if (client.state == ClientState::registering || client.state == ClientState::active)
            ++recount.seats[client.pool][c];
    }
    WSPOOL_ASSERT(recount.seats == counters.seating.seats);
    WSPOOL_ASSERT(recount.waiters == counters.seating.waiters);
    WSPOOL_ASSERT(arrivals.size() >= recount.waiters_now());
    for (std::size_t i = 0; i < seat_pools.size(); ++i) {
        const pool::Admission& pool = seat_pools[i];
        pool.check_invariants();
        const pool::AdmissionFigures figures = pool.figures(engine.now());
        WSPOOL_ASSERT(figures.seats_used <= figures.seats_max);
        WSPOOL_ASSERT(std::equal(
            figures.seats.begin(), figures.seats.end(), counters.seating.seats[i].begin()));
        WSPOOL_ASSERT(std::equal(
            figures.waiting.begin(), figures.waiting.end(), counters.seating.waiters[i].begin()));
    }
}

}  // namespace wspool::worker
