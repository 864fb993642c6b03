// What a pool tells of by itself. Handlers are called on the thread of the pool, one at a time and
// outside of any lock, and may call the pool; those of a ClientPool must not block. An exception
// that one lets out is caught, counted (Stats::handler_errors) and told to ErrorHandler; nothing
// else comes of it. Views are valid during the call.
#pragma once

#include "wspool/result.h"

#include <cstdint>
#include <functional>
#include <string_view>

namespace wspool::api {

// A message came from `url`, the URL as it was given first; text is valid UTF-8.
using MessageHandler =
    std::function<void(std::string_view url, std::string_view message, bool is_binary)>;

// An open connection to `url` ended. `code` is that of RFC 6455 (1006: lost without one).
using CloseHandler =
    std::function<void(std::string_view url, std::uint16_t code, std::string_view reason)>;

// After a loss `url` has a connection again; it took `attempts` attempts. What was subscribed is
// being replayed.
using ReconnectHandler = std::function<void(std::string_view url, std::uint32_t attempts)>;

// What no call can tell: handlers that threw, leases held for too long, messages sent without a
// callback that came to nothing, URLs that said not to come back.
using ErrorHandler = std::function<void(const Error& error)>;

}  // namespace wspool::api
