#include "pool/pool_values.h"

namespace wspool::pool {

std::string_view name(SlotState state) {
    static constexpr std::array<std::string_view, index_of(SlotState::count_)> names = {
        "free", "connecting", "validating", "idle", "leased", "closing"};
    return names[index_of(state)];
}

std::string_view name(PoolError error) {
    static constexpr std::array<std::string_view, index_of(PoolError::count_)> names = {
        "timed_out",
        "capacity",
        "cancelled",
        "closed",
        "connect_failed",
        "circuit_open",
        "already_leased",
        "connection_lost",
        "preempted"};
    return names[index_of(error)];
}

std::string_view name(SlotEnd end) {
    static constexpr std::array<std::string_view, index_of(SlotEnd::count_)> names = {
        "idle_timeout",
        "max_lifetime",
        "evicted",
        "surplus",
        "reset",
        "invalid",
        "connect_timeout",
        "connect_failed",
        "lost",
        "discarded",
        "preempted",
        "closed",
        "detached"};
    return names[index_of(end)];
}

}  // namespace wspool::pool
