// What the user of a client pool does, drawn action by action.
#include "sim/client_user.h"

#include <algorithm>

namespace wspool::sim {

namespace {

using namespace std::chrono_literals;

}  // namespace

std::size_t ClientUser::some_target() {
    return prng_.below(ledger_.targets.size());
}

Duration ClientUser::up_to(Duration most) {
    return Duration(
        static_cast<Duration::rep>(prng_.below(static_cast<std::uint64_t>(most.count()) + 1)));
}

std::size_t ClientUser::draw_size() {
    if (prng_.chance(swarm_.is_large)) return prng_.below(20'000);
    return prng_.below(prng_.chance(0.5) ? 10 : 300);
}

// Past, soon, late, or none.
Instant ClientUser::draw_deadline() {
    if (!prng_.chance(swarm_.has_deadline)) return never;
    if (prng_.chance(0.1)) return core_.now() - up_to(1s);
    return core_.now() + up_to(prng_.chance(0.5) ? 500ms : 8s);
}

void ClientUser::act() {
    const bool is_burst = prng_.chance(swarm_.comes_in_bursts);
    const std::uint64_t times = is_burst ? 2 + prng_.below(15) : 1;
    for (std::uint64_t i = 0; i < times; ++i) speak();
}

void ClientUser::speak() {
    const double sum = swarm_.acquires + swarm_.sends_once + swarm_.requests + swarm_.subscribes +
                       swarm_.unsubscribes + swarm_.cancels + swarm_.stale_calls;
    double at = sum * static_cast<double>(prng_.below(1'000'000)) / 1e6;
    const std::size_t target = some_target();
    if ((at -= swarm_.acquires) < 0) return acquire(target);
    if ((at -= swarm_.sends_once) < 0) return send_once(target, draw_deadline(), draw_size());
    if ((at -= swarm_.requests) < 0) return request(target);
    if ((at -= swarm_.subscribes) < 0) return subscribe(target - target % swarm_.paths);
    if ((at -= swarm_.unsubscribes) < 0) return unsubscribe_some();
    if (at < swarm_.cancels) return cancel_some();
    call_stale();
}

}  // namespace wspool::sim
