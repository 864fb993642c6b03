#include "base/assert.h"
#include "base/token.h"
#include "ws/deflate.h"
#include "ws/handshake.h"
#include "ws/handshake_deflate.h"
#include "ws/handshake_fields.h"

#include <algorithm>
#include <utility>

namespace wspool::ws {
namespace {

constexpr std::string_view upgrade_and_version_lines =
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n";

tl::unexpected<Refusal> refuse(std::string_view reason, std::string_view message) {
    return tl::unexpected<Refusal>(Refusal{400, reason, std::string(message), {}});
}

// http/ refuses bodies already; here it is refused again because a request that smuggles one
// through an upgrade is the costliest mistake of this kind (see docs/security.md).
bool announces_body(Fields fields) {
    const FieldCount length = count_fields(fields, "Content-Length");
    return count_fields(fields, "Transfer-Encoding").count > 0 || length.count > 1 ||
           (length.count == 1 && length.first != "0");
}

tl::expected<void, Refusal> check_is_upgrade(std::string_view method, Fields fields) {
    if (count_fields(fields, "Upgrade").count == 0) {
        return tl::unexpected<Refusal>(Refusal{426,
                                               "upgrade",
                                               "This is a WebSocket endpoint: ask for an upgrade.",
                                               upgrade_and_version_lines});
    }
    if (announces_body(fields)) return refuse("body", "An upgrade must not have a body.");
    if (method != "GET") return refuse("upgrade", "An upgrade to WebSocket must be a GET.");
    const auto protocols = tokens_of(fields, "Upgrade", EmptyElements::ignored);
    if (!protocols || protocols->size() != 1 ||
        !equals_ignoring_case(protocols->front(), "websocket")) {
        return refuse("upgrade", "The Upgrade header must be exactly: websocket.");
    }
    const auto options = tokens_of(fields, "Connection", EmptyElements::ignored);
    if (!options || !contains_ignoring_case(*options, "upgrade")) {
        return refuse("upgrade", "The Connection header must contain: Upgrade.");
    }
    return {};
}

tl::expected<void, Refusal> check_version(Fields fields) {
    const FieldCount version = count_fields(fields, "Sec-WebSocket-Version");
    if (version.count == 1 && version.first == "13") return {};
    return tl::unexpected<Refusal>(
        Refusal{426,
                "version",
                "Only version 13 of the WebSocket protocol is spoken here.",
                upgrade_and_version_lines});
}

tl::expected<void, Refusal> read_subprotocols(Fields fields, Upgrade& upgrade) {
    auto offered = tokens_of(fields, "Sec-WebSocket-Protocol", EmptyElements::refused);
    if (!offered) return refuse("malformed", "Sec-WebSocket-Protocol must be a list of tokens.");
    // Sorted, because a hostile list of 8 KiB holds thousands of names.
    auto sorted = *offered;
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
        return refuse("malformed", "Sec-WebSocket-Protocol offers the same subprotocol twice.");
    }
    upgrade.subprotocols = std::move(*offered);
    return {};
}

tl::expected<void, Refusal> read_extensions_offered(Fields fields,
                                                    bool allow_deflate,
                                                    Upgrade& upgrade) {
    const auto offers = extensions_of(fields);
    if (!offers) return refuse("malformed", "Sec-WebSocket-Extensions is malformed.");
    for (const Extension& offer : *offers) {
        if (!allow_deflate || upgrade.deflate) break;
        if (offer.name == deflate_name) upgrade.deflate = accept_offer(offer);
    }
    return {};
}

void append_deflate_answer(std::string& response, const DeflateParams& params) {
    response += "Sec-WebSocket-Extensions: ";
    response += deflate_name;
    response += "; server_no_context_takeover; client_no_context_takeover";
    if (params.is_server_window_asked) {
        response += "; server_max_window_bits=" + std::to_string(params.server_max_window_bits);
    }
    // Only a client that offered the parameter may be given a limit; check_upgrade() never sets
    // one.
    if (params.client_max_window_bits < window_bits_max) {
        response += "; client_max_window_bits=" + std::to_string(params.client_max_window_bits);
    }
    response += "\r\n";
}

}  // namespace

tl::expected<Upgrade, Refusal> check_upgrade(std::string_view method,
                                             std::span<const HeaderField> fields,
                                             bool allow_deflate) {
    if (auto checked = check_is_upgrade(method, fields); !checked) {
        return tl::unexpected<Refusal>(std::move(checked.error()));
    }
    if (auto checked = check_version(fields); !checked) {
        return tl::unexpected<Refusal>(std::move(checked.error()));
    }
    const FieldCount key = count_fields(fields, "Sec-WebSocket-Key");
    if (key.count != 1 || !is_key(key.first)) {
        return refuse("key", "Sec-WebSocket-Key must be there once, 16 bytes in base64.");
    }
    const FieldCount origin = count_fields(fields, "Origin");
    if (origin.count > 1) return refuse("malformed", "The request has more than one Origin.");

    Upgrade upgrade;
    upgrade.key = key.first;
    upgrade.origin = origin.first;
    if (auto read = read_subprotocols(fields, upgrade); !read) {
        return tl::unexpected<Refusal>(std::move(read.error()));
    }
    if (auto read = read_extensions_offered(fields, allow_deflate, upgrade); !read) {
        return tl::unexpected<Refusal>(std::move(read.error()));
    }
    return upgrade;
}

std::string make_upgrade_response(const Upgrade& upgrade, std::string_view subprotocol) {
    WSPOOL_ASSERT(subprotocol.empty() || is_token(subprotocol));
    std::string response =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Accept: ";
    response += accept_key(upgrade.key);
    response += "\r\n";
    if (!subprotocol.empty()) {
        response += "Sec-WebSocket-Protocol: ";
        response += subprotocol;
        response += "\r\n";
    }
    if (upgrade.deflate) append_deflate_answer(response, *upgrade.deflate);
    response += "\r\n";
    return response;
}

}  // namespace wspool::ws
