#include "worker/placement.h"

#include "worker/worker_state.h"

#include <utility>

namespace wspool::worker {
namespace {

// Twice the longest time between two heartbeats: who was not heard for so long may be frozen, and
// what is offered to it would wait until the master has noticed.
constexpr Duration silence_max = std::chrono::seconds(2);

}  // namespace

// Where the outlook is best, and of those the least loaded. Among equals the next one behind the
// own place, so that those who pass on do not all choose the same.
std::optional<std::size_t> choose_place(std::span<const Place> places, std::size_t own) {
    std::optional<std::size_t> best;
    for (std::size_t step = 1; step < places.size(); ++step) {
        const std::size_t index = (own + step) % places.size();
        const Place& place = places[index];
        if (!place.may_take || place.outlook == pool::Outlook::waits) continue;
        const bool is_better =
            !best || place.outlook > places[*best].outlook ||
            (place.outlook == places[*best].outlook && place.load() < places[*best].load());
        if (is_better) best = index;
    }
    if (!best) return std::nullopt;
    if (places[*best].outlook != places[own].outlook)
        return places[*best].outlook > places[own].outlook ? best : std::nullopt;
    const std::uint64_t least = places[*best].load();
    const bool is_uneven = places[own].load() > least + place_margin(least);
    return is_uneven && places[own].outlook == pool::Outlook::seated ? best : std::nullopt;
}

std::uint64_t Worker::State::occupied() const {
    return counters.seating.seats_taken() + peers.offers().arriving();
}

// `promised`: seats that are as good as taken, beside those that are.
pool::Outlook Worker::State::outlook(const metrics::Seating& seating,
                                     SeatWish wish,
                                     std::size_t promised) const {
    pool::PerPriority<std::uint32_t> seats{};
    pool::PerPriority<std::uint32_t> waiting{};
    for (std::size_t c = 0; c < pool::priority_count; ++c) {
        seats[c] = static_cast<std::uint32_t>(seating.seats[wish.pool][c]);
        waiting[c] = static_cast<std::uint32_t>(seating.waiters[wish.pool][c]);
    }
    seats[pool::index_of(wish.priority)] += static_cast<std::uint32_t>(promised);
    return seat_pools[wish.pool].outlook(wish.priority, seats, waiting);
}

// What came of other workers and is not here yet may want any seat: so it counts in each pool.
pool::Outlook Worker::State::own_outlook(SeatWish wish) const {
    return outlook(counters.seating, wish, peers.offers().arriving());
}

// Read once in a turn, but for the outlook, which is another for each connection. A worker
// publishes before it sends, so the figures know of each connection for which `taken` was read;
// those that are not answered may be in them or not.
void Worker::State::look_at_places() {
    if (!places.empty()) return;
    places.resize(options.page->worker_count());
    seatings.resize(places.size());
    for (std::size_t index = 0; index < places.size(); ++index) {
        const metrics::BlockSnapshot seen = options.page->snapshot(index);
        Place& place = places[index];
        place.incarnation = seen.life.incarnation;
        seatings[index] = seen.counters.seating;
        place.connections = seen.counters.seating.seats_taken() + seen.counters.connections_pending;
        place.offered = peers.offers().outgoing_to(place.incarnation);
        place.may_take = seen.life.state == metrics::ProcessState::ready &&
                         engine.now() - seen.heartbeat < silence_max;
    }
}

// True when the connection has gone elsewhere, or come back: `event` is answered.
bool Worker::State::pass_on(const session::Event& event, SeatWish wish) {
    if (options.page == nullptr || event.tag == placed_tag) return false;
    const std::uint64_t held = occupied();
    const pool::Outlook here = own_outlook(wish);
    if (here == pool::Outlook::seated && held <= place_margin(0)) return false;
    look_at_places();
    for (std::size_t index = 0; index < places.size(); ++index) {
        Place& place = places[index];
        place.may_take = place.may_take && peers.can_offer(place.incarnation);
        place.outlook = outlook(seatings[index], wish, 0);
    }
    places[options.place].connections = held;
    places[options.place].outlook = here;
    const std::optional<std::size_t> target = choose_place(places, options.place);
    if (!target) return false;
    auto given = engine.release(event.session, link::Offers::offer_size_max);
    if (!given) return false;
    link::Connection connection{given->fd,
                                std::move(given->bytes),
                                given->waited,
                                wish.pool,
                                static_cast<std::uint8_t>(wish.priority)};
    Place& place = places[*target];
    ++place.offered;
    if (!peers.offer(place.incarnation, connection)) {
        place.may_take = false;
        counters.add(metrics::HandoverResult::returned);
        go_on_with(connection);
    }
    return true;
}

// The receiver decides: it takes whom it can give a seat, at once or from another.
bool Worker::State::wants(const link::Connection& connection) const {
    if (connection.pool >= seat_pools.size() || connection.priority >= pool::priority_count)
        return false;
    const SeatWish wish{connection.pool, pool::all_priorities[connection.priority]};
    return own_outlook(wish) != pool::Outlook::waits;
}

// Serves or refuses what another worker passed on, or what came back from one.
void Worker::State::go_on_with(const link::Connection& connection) {
    const session::AdoptOptions how{placed_tag, connection.waited};
    if (!engine.adopt(connection.fd, connection.bytes.view(), how)) loop.discard(connection.fd);
}

void Worker::State::settle_offers() {
    if (!peers.offers().has_events()) return;
    using enum link::OfferEventKind;
    using metrics::HandoverResult;
    link::OfferEvent event;
    while (peers.next_offer(event)) {
        switch (event.kind) {
            case asked:
                if (is_draining) {
                    peers.decline(event, wire::Decline::draining);
                } else if (!wants(event.connection)) {
                    peers.decline(event, wire::Decline::full);
                } else {
                    peers.take(event);
                }
                break;
            case arrived:
                go_on_with(event.connection);
                break;
            case taken:
                counters.add(HandoverResult::taken);
                break;
            case declined:
                counters.add(HandoverResult::declined);
                go_on_with(event.connection);
                break;
            case returned:
                counters.add(HandoverResult::returned);
                go_on_with(event.connection);
                break;
            case discard:
                WSPOOL_UNREACHABLE();
        }
    }
}

}  // namespace wspool::worker
