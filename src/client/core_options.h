// CoreOptions: the bounds and times of a client::Core, with their defaults. What concerns one host
// is pool::PoolOptions, for each (scheme, host, port) the same. A zero means zero.
#pragma once

#include "base/result.h"
#include "base/time.h"
#include "io/tls.h"
#include "pool/pool_options.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace wspool::client {

// What to do with a message for which the queue has no room.
enum class Overflow : std::uint8_t {
    reject,       // it is refused
    drop_oldest,  // the one that waits longest fails, and makes room
};

// What a connection must have beside its URL. Connections are shared only where all of it is equal.
struct TargetSpec {
    std::string pool;  // name of a dedicated pool, of CoreOptions::pools; empty: the common one
    std::vector<std::string> subprotocols;
    std::vector<std::pair<std::string, std::string>> headers;
    std::shared_ptr<const io::TlsClient> tls;  // for wss://; null: CoreOptions::tls
};

// Connections of one class of use, which the others cannot take: each of its hosts has a pool::Pool
// of its own, under the common limit.
struct DedicatedPool {
    std::string name;
    std::uint32_t max_size = 6;  // in place of those of CoreOptions::host
    std::uint32_t max_waiters = 1024;
};

struct CoreOptions {
    pool::PoolOptions host;  // of each host; max_size: max_connections_per_host
    std::vector<DedicatedPool> pools;
    std::uint32_t max_total_connections = 0;  // over all hosts; 0: no common limit

    Duration ping_interval = std::chrono::seconds(30);  // 0: no pings
    Duration ping_timeout = std::chrono::seconds(10);
    bool compression = true;                            // offer permessage-deflate
    std::uint64_t max_message_size = 16 * 1024 * 1024;  // received; a larger one closes with 1009
    std::size_t outbox_size_max = 4 * 1024 * 1024;      // bytes waiting in one connection
    Duration write_timeout = std::chrono::seconds(10);  // the peer takes nothing: lost

    // Messages of send_once() that wait for a connection. While the host answers, as many may wait
    // as acquires (host.max_waiters); while it is down (all attempts failed, or its circuit is
    // open), max_queued_messages are kept until their deadline, and the rest fail with the
    // connects.
    std::uint32_t max_queued_messages = 0;           // per host
    std::size_t max_queued_bytes = 8 * 1024 * 1024;  // per host, at any time
    Overflow overflow = Overflow::reject;
    std::uint32_t max_requests = 1024;  // waiting for their answer, per host

    std::uint32_t subscriptions_per_connection = 100;

    TargetSpec defaults;                // of targets that say nothing else
    std::uint32_t max_targets = 65536;  // known at a time; unused ones make room
    // An unused target, and a host with its breaker and its figures, is forgotten after this.
    Duration forget_after = std::chrono::minutes(5);
};

// What is wrong with the options, in one sentence. Core asserts that nothing is.
[[nodiscard]] Result<void> check(const CoreOptions& options);

}  // namespace wspool::client
