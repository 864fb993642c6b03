#include "base/token.h"
#include "ws/handshake.h"
#include "ws/handshake_deflate.h"
#include "ws/handshake_fields.h"

#include <algorithm>
#include <utility>

namespace wspool::ws {
namespace {

bool is_header_value(std::string_view value) {
    return std::all_of(
        value.begin(), value.end(), [](char c) { return c == '\t' || (c >= 0x20 && c < 0x7f); });
}

bool starts_with_ignoring_case(std::string_view text, std::string_view prefix) {
    return equals_ignoring_case(text.substr(0, prefix.size()), prefix);
}

// Set by us, or of a meaning that would make another request out of ours.
bool is_reserved_header(std::string_view name) {
    constexpr std::string_view reserved[] = {"Host",
                                             "Upgrade",
                                             "Connection",
                                             "Content-Length",
                                             "Transfer-Encoding",
                                             "TE",
                                             "Trailer",
                                             "Expect",
                                             "Keep-Alive"};
    return starts_with_ignoring_case(name, "Sec-WebSocket-") ||
           std::any_of(std::begin(reserved), std::end(reserved), [&](std::string_view candidate) {
               return equals_ignoring_case(name, candidate);
           });
}

bool is_host_text(std::string_view host) {
    return !host.empty() && is_visible_ascii(host) &&
           host.find_first_of("\"#/<>?@\\^`{|},;") == std::string_view::npos;
}

bool is_target_text(std::string_view target) {
    return target.starts_with('/') && is_visible_ascii(target) &&
           target.find('#') == std::string_view::npos;
}

Result<void> check_subprotocols(const std::vector<std::string>& subprotocols) {
    std::vector<std::string_view> sorted(subprotocols.begin(), subprotocols.end());
    std::sort(sorted.begin(), sorted.end());
    if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end()) {
        return fail("The same subprotocol is given twice; give each once.");
    }
    if (!std::all_of(sorted.begin(), sorted.end(), is_token)) {
        return fail("A subprotocol must be a token: letters, digits and - . _ without spaces.");
    }
    return {};
}

Result<void> check_headers(const std::vector<std::pair<std::string, std::string>>& headers) {
    for (const auto& [name, value] : headers) {
        if (!is_token(name)) {
            return fail("A header's name must be a token: letters, digits and - without spaces.");
        }
        if (is_reserved_header(name)) {
            return fail("The header " + name + " belongs to the handshake; leave it out.");
        }
        if (!is_header_value(value)) {
            return fail("The header " + name +
                        " has a value with control characters or beyond ASCII; encode it.");
        }
    }
    return {};
}

Result<void> check_handshake(const ClientHandshake& handshake) {
    if (!is_host_text(handshake.host)) {
        return fail(
            "The host of a WebSocket request must be a name or address, with a port or not.");
    }
    if (!is_target_text(handshake.target)) {
        return fail(
            "The path of a WebSocket request must begin with '/' and hold visible ASCII only; "
            "percent-encode the rest.");
    }
    if (!is_key(handshake.key))
        return fail("The key of a WebSocket request must come from make_key().");
    if (auto checked = check_subprotocols(handshake.subprotocols); !checked) return checked;
    return check_headers(handshake.headers);
}

std::string joined(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) {
        if (!text.empty()) text += ", ";
        text += word;
    }
    return text;
}

Result<void> check_answer(int status, Fields fields, const ClientHandshake& handshake) {
    if (status != 101) {
        return fail("The server answered with status " + std::to_string(status) +
                    " instead of 101, so it did not upgrade to WebSocket.");
    }
    const auto protocols = tokens_of(fields, "Upgrade", EmptyElements::ignored);
    if (!protocols || protocols->size() != 1 ||
        !equals_ignoring_case(protocols->front(), "websocket")) {
        return fail("The server's answer does not have the header Upgrade: websocket.");
    }
    const auto options = tokens_of(fields, "Connection", EmptyElements::ignored);
    if (!options || !contains_ignoring_case(*options, "upgrade")) {
        return fail("The server's answer does not have the header Connection: Upgrade.");
    }
    const FieldCount accept = count_fields(fields, "Sec-WebSocket-Accept");
    if (accept.count != 1 || accept.first != accept_key(handshake.key)) {
        return fail("The server's Sec-WebSocket-Accept does not answer our key.");
    }
    return {};
}

Result<std::string> read_subprotocol(Fields fields, const ClientHandshake& handshake) {
    const FieldCount answer = count_fields(fields, "Sec-WebSocket-Protocol");
    if (answer.count == 0) return std::string();
    if (answer.count > 1) return fail("The server answered with more than one subprotocol.");
    const auto& offered = handshake.subprotocols;
    if (std::find(offered.begin(), offered.end(), answer.first) == offered.end()) {
        return fail("The server chose a subprotocol that was not offered.");
    }
    return std::string(answer.first);
}

Result<std::optional<DeflateParams>> read_extension_answer(Fields fields,
                                                           const ClientHandshake& handshake) {
    const auto answers = extensions_of(fields);
    if (!answers) return fail("The server's Sec-WebSocket-Extensions is malformed.");
    if (answers->empty()) return std::optional<DeflateParams>();
    if (!handshake.offer_deflate || answers->size() > 1 || answers->front().name != deflate_name) {
        return fail("The server chose an extension that was not offered.");
    }
    const auto params = read_answer(answers->front());
    if (!params)
        return fail("The server answered permessage-deflate with parameters it may not set.");
    return params;
}

}  // namespace

Result<std::string> make_upgrade_request(const ClientHandshake& handshake) {
    if (auto checked = check_handshake(handshake); !checked) {
        return tl::unexpected<Error>(std::move(checked.error()));
    }
    std::string request =
        "GET " + handshake.target + " HTTP/1.1\r\nHost: " + handshake.host +
        "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + handshake.key +
        "\r\n";
    request += version_line;
    if (!handshake.subprotocols.empty()) {
        request += "Sec-WebSocket-Protocol: " + joined(handshake.subprotocols) + "\r\n";
    }
    if (handshake.offer_deflate) {
        request += "Sec-WebSocket-Extensions: ";
        request += deflate_name;
        request += "; server_no_context_takeover; client_no_context_takeover\r\n";
    }
    for (const auto& [name, value] : handshake.headers) {
        request.append(name).append(": ").append(value).append("\r\n");
    }
    request += "\r\n";
    return request;
}

Result<Accepted> check_upgrade_response(int status,
                                        std::span<const HeaderField> fields,
                                        const ClientHandshake& handshake) {
    if (auto checked = check_answer(status, fields, handshake); !checked) {
        return tl::unexpected<Error>(std::move(checked.error()));
    }
    auto subprotocol = read_subprotocol(fields, handshake);
    if (!subprotocol) return tl::unexpected<Error>(std::move(subprotocol.error()));
    const auto deflate = read_extension_answer(fields, handshake);
    if (!deflate) return tl::unexpected<Error>(deflate.error());
    return Accepted{std::move(*subprotocol), *deflate};
}

}  // namespace wspool::ws
