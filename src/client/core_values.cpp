#include "client/core_values.h"

#include "base/assert.h"
#include "client/core_options.h"

namespace wspool::client {

std::string_view name(ErrorCode code) {
    switch (code) {
        case ErrorCode::none:
            return "none";
        case ErrorCode::invalid:
            return "invalid";
        case ErrorCode::acquire_timeout:
            return "acquire_timeout";
        case ErrorCode::capacity:
            return "capacity";
        case ErrorCode::cancelled:
            return "cancelled";
        case ErrorCode::pool_closed:
            return "pool_closed";
        case ErrorCode::connect_timeout:
            return "connect_timeout";
        case ErrorCode::connect_failed:
            return "connect_failed";
        case ErrorCode::circuit_open:
            return "circuit_open";
        case ErrorCode::connection_lost:
            return "connection_lost";
        case ErrorCode::preempted:
            return "preempted";
        case ErrorCode::already_leased:
            return "already_leased";
        case ErrorCode::message_queue_full:
            return "message_queue_full";
        case ErrorCode::count_:
            break;
    }
    WSPOOL_UNREACHABLE();
}

Result<void> check(const CoreOptions& options) {
    if (auto host = pool::check(options.host); !host) return host;
    for (const DedicatedPool& dedicated : options.pools) {
        pool::PoolOptions host = options.host;
        host.max_size = dedicated.max_size;
        host.max_waiters = dedicated.max_waiters;
        if (auto checked = pool::check(host); !checked)
            return fail("pool \"" + dedicated.name + "\": " + checked.error().message);
    }
    if (options.ping_interval < Duration::zero())
        return fail("CoreOptions: ping_interval is negative; 0 turns pings off.");
    if (options.ping_timeout <= Duration::zero())
        return fail("CoreOptions: ping_timeout must be above 0.");
    if (options.write_timeout <= Duration::zero())
        return fail("CoreOptions: write_timeout must be above 0.");
    if (options.forget_after <= Duration::zero())
        return fail("CoreOptions: forget_after must be above 0.");
    if (options.max_message_size == 0)
        return fail("CoreOptions: max_message_size is 0; no message could be received.");
    if (options.outbox_size_max == 0)
        return fail("CoreOptions: outbox_size_max is 0; no message could be sent.");
    if (options.max_targets == 0)
        return fail("CoreOptions: max_targets is 0; no URL could be used.");
    if (options.subscriptions_per_connection == 0)
        return fail("CoreOptions: subscriptions_per_connection is 0; it must be 1 or more.");
    return {};
}

}  // namespace wspool::client
