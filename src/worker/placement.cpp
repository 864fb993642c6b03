#include "worker/placement.h"

#include "worker/worker_state.h"

#include <utility>

namespace wspool::worker {
namespace {

// Twice the longest time between two heartbeats: who was not heard for so long may be frozen, and
// what is offered to it would wait until the master has noticed.
constexpr Duration silence_max = std::chrono::seconds(2);

}  // namespace

// Among equals the next one behind the own place, so that those who pass on do not all choose the
// same.
std::optional<std::size_t> choose_place(std::span<const Place> places, std::size_t own) {
    std::optional<std::size_t> best;
    for (std::size_t step = 1; step < places.size(); ++step) {
        const std::size_t index = (own + step) % places.size();
        const Place& place = places[index];
        if (!place.may_take || !place.has_seat()) continue;
        if (!best || place.load() < places[*best].load()) best = index;
    }
    if (!best) return std::nullopt;
    const std::uint64_t least = places[*best].load();
    const bool is_uneven = places[own].load() > least + place_margin(least);
    return is_uneven || !places[own].has_seat() ? best : std::nullopt;
}

std::uint64_t Worker::State::occupied() const {
    return counters.connections + registering_count + peers.offers().arriving();
}

// Read once in a turn. A worker publishes before it sends, so the figures know of each connection
// for which `taken` was read; those that are not answered may be in them or not.
void Worker::State::look_at_places() {
    if (!places.empty()) return;
    places.resize(options.page->worker_count());
    for (std::size_t index = 0; index < places.size(); ++index) {
        const metrics::BlockSnapshot seen = options.page->snapshot(index);
        Place& place = places[index];
        place.incarnation = seen.life.incarnation;
        place.connections = seen.counters.connections + seen.counters.connections_pending;
        place.offered = peers.offers().outgoing_to(place.incarnation);
        place.connections_max = options.connections_max;
        place.may_take = seen.life.state == metrics::ProcessState::ready &&
                         engine.now() - seen.heartbeat < silence_max;
    }
}

// True when the connection has gone elsewhere, or come back: `event` is answered.
bool Worker::State::pass_on(const session::Event& event) {
    if (options.page == nullptr || event.tag == placed_tag) return false;
    const std::uint64_t held = occupied();
    if (held < options.connections_max && held <= place_margin(0)) return false;
    look_at_places();
    places[options.place].connections = held;
    for (Place& place : places)
        place.may_take = place.may_take && peers.can_offer(place.incarnation);
    const std::optional<std::size_t> target = choose_place(places, options.place);
    if (!target) return false;
    auto released = engine.release(event.session, link::Offers::offer_size_max);
    if (!released) return false;
    link::Connection connection{released->fd, std::move(released->bytes), released->waited};
    Place& place = places[*target];
    ++place.offered;
    if (!peers.offer(place.incarnation, connection)) {
        place.may_take = false;
        counters.add(metrics::HandoverResult::returned);
        go_on_with(connection);
    }
    return true;
}

// Serves or refuses what another worker passed on, or what came back from one.
void Worker::State::go_on_with(const link::Connection& connection) {
    const session::AdoptOptions how{placed_tag, connection.waited};
    if (!engine.adopt(connection.fd, connection.bytes.view(), how)) loop.discard(connection.fd);
}

void Worker::State::settle_offers() {
    using enum link::OfferEventKind;
    using metrics::HandoverResult;
    link::OfferEvent event;
    while (peers.next_offer(event)) {
        switch (event.kind) {
            case asked:
                if (is_draining) {
                    peers.decline(event, wire::Decline::draining);
                } else if (occupied() >= options.connections_max) {
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
