#include "worker/seat_options.h"

#include "base/assert.h"
#include "worker/seat_event.h"

#include <algorithm>
#include <set>

namespace wspool::worker {
namespace {

[[nodiscard]] bool is_below(std::string_view path, std::string_view top) {
    if (path.substr(0, top.size()) != top) return false;
    return path.size() == top.size() || top.back() == '/' || path[top.size()] == '/';
}

[[nodiscard]] bool names_priorities(const SeatPoolOptions& pool) {
    return std::find(pool.priorities.begin(), pool.priorities.end(), true) != pool.priorities.end();
}

[[nodiscard]] bool is_empty(const SeatPoolOptions& pool) {
    return pool.path.empty() && pool.claim.empty() && !names_priorities(pool);
}

[[nodiscard]] bool matches(const SeatPoolOptions& pool,
                           std::string_view path,
                           pool::Priority priority,
                           std::string_view claim) {
    if (is_empty(pool)) return false;
    if (!pool.path.empty() && !is_below(path, pool.path)) return false;
    if (!pool.claim.empty() && pool.claim != claim) return false;
    return !names_priorities(pool) || pool.priorities[pool::index_of(priority)];
}

}  // namespace

std::string_view name(SeatEvent::Kind kind) {
    switch (kind) {
        case SeatEvent::Kind::asked:
            return "asked";
        case SeatEvent::Kind::seated:
            return "seated";
        case SeatEvent::Kind::queued:
            return "queued";
        case SeatEvent::Kind::refused:
            return "refused";
        case SeatEvent::Kind::admitted:
            return "admitted";
        case SeatEvent::Kind::timed_out:
            return "timed_out";
        case SeatEvent::Kind::cancelled:
            return "cancelled";
        case SeatEvent::Kind::drained:
            return "drained";
        case SeatEvent::Kind::replaced:
            return "replaced";
        case SeatEvent::Kind::preempted:
            return "preempted";
        case SeatEvent::Kind::revoked:
            return "revoked";
        case SeatEvent::Kind::released:
            return "released";
    }
    WSPOOL_UNREACHABLE();
}

std::size_t choose_pool(const SeatOptions& options,
                        std::string_view path,
                        pool::Priority priority,
                        std::string_view claim) {
    for (std::size_t i = 0; i < options.dedicated.size(); ++i) {
        if (matches(options.dedicated[i], path, priority, claim)) return i + 1;
    }
    return 0;
}

Result<void> check(const SeatOptions& options, std::size_t seats) {
    if (options.dedicated.size() >= metrics::seat_pools_max) {
        return fail("there are " + std::to_string(options.dedicated.size()) +
                    " dedicated pools; at most " + std::to_string(metrics::seat_pools_max - 1) +
                    " are possible");
    }
    std::set<std::string_view> names = {shared_pool_name};
    std::size_t set_apart = 0;
    for (const SeatPoolOptions& pool : options.dedicated) {
        if (pool.name.empty()) return fail("a dedicated pool has no name; give it one");
        if (!names.insert(pool.name).second) {
            return fail("two pools are named \"" + pool.name +
                        "\" (the shared one is \"default\"); rename one");
        }
        if (is_empty(pool)) {
            return fail("pool \"" + pool.name +
                        "\" matches nobody; give it a path, priorities or a claim");
        }
        if (auto checked = pool::check(pool.admission); !checked) {
            return fail("pool \"" + pool.name + "\": " + checked.error().message);
        }
        set_apart += pool.admission.seats_max;
    }
    if (set_apart > seats) {
        return fail("the dedicated pools have " + std::to_string(set_apart) +
                    " seats, but a worker has only " + std::to_string(seats) +
                    " (limits.max_connections_per_worker); lower their capacity or raise that");
    }
    return pool::check(options.shared);
}

}  // namespace wspool::worker
