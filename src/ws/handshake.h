// The opening handshake (RFC 6455 section 4, RFC 7692 section 7), both roles, judged strictly. The
// head was parsed by http/; here it is accepted or refused. Pure.
#pragma once

#include "base/header_field.h"
#include "base/random.h"
#include "base/result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::ws {

// What permessage-deflate was agreed on. The server's answer always holds both
// no_context_takeovers.
struct DeflateParams {
    bool server_no_context_takeover = true;
    bool client_no_context_takeover = true;
    int server_max_window_bits = 15;
    int client_max_window_bits = 15;
    // Whoever asked for a server window must be told one (RFC 7692 section 7.1.2.1), even if it
    // is 15.
    bool is_server_window_asked = false;
};

// ---- server

struct Upgrade {
    std::string_view key;                        // Sec-WebSocket-Key, checked
    std::vector<std::string_view> subprotocols;  // offered, in order
    std::optional<DeflateParams> deflate;        // the first offer that we can accept
    std::string_view origin;                     // empty when absent
};

struct Refusal {
    int status;               // 400, 426
    std::string_view reason;  // metric label: malformed, body, upgrade, version, key
    std::string message;      // one sentence for a person, in the response's body
    std::string_view extra;   // further header lines of the response, each with its CRLF
};

// Judges a request for an upgrade. Not an upgrade at all (no Upgrade header): status 426, reason
// "upgrade".
[[nodiscard]] tl::expected<Upgrade, Refusal> check_upgrade(std::string_view method,
                                                           std::span<const HeaderField> fields,
                                                           bool allow_deflate);

// base64(SHA-1(key + GUID)), section 4.2.2.
[[nodiscard]] std::string accept_key(std::string_view key);

// The whole 101 response. `subprotocol` empty: none selected.
[[nodiscard]] std::string make_upgrade_response(const Upgrade& upgrade,
                                                std::string_view subprotocol);

// ---- client

struct ClientHandshake {
    std::string host;    // Host header: "example.com:9000"
    std::string target;  // "/path?query"
    std::string key;     // from make_key()
    std::vector<std::string> subprotocols;
    std::vector<std::pair<std::string, std::string>> headers;  // further ones
    bool offer_deflate = true;
};

struct Accepted {
    std::string subprotocol;  // empty: none
    std::optional<DeflateParams> deflate;
};

[[nodiscard]] std::string make_key(Entropy& entropy);
// Refuses CR, LF, NUL and bytes from 0x80 in anything that goes into the head (header injection),
// and headers that belong to the handshake itself.
[[nodiscard]] Result<std::string> make_upgrade_request(const ClientHandshake& handshake);
// Takes only what was offered. An answer to our offer without server_no_context_takeover is
// accepted, and reported: the reader must then keep the server's context.
[[nodiscard]] Result<Accepted> check_upgrade_response(int status,
                                                      std::span<const HeaderField> fields,
                                                      const ClientHandshake& handshake);

}  // namespace wspool::ws
