// Handshakes of both roles, from lines "Name: value", and URLs.
#include "base/assert.h"
#include "base/token.h"
#include "ws/handshake.h"
#include "ws/url.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace wspool;

std::vector<HeaderField> split(std::string_view text) {
    std::vector<HeaderField> fields;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        const std::string_view line = text.substr(0, end);
        const std::size_t colon = std::min(line.find(':'), line.size());
        fields.push_back(
            {line.substr(0, colon), trim_ows(line.substr(std::min(colon + 1, line.size())))});
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return fields;
}

void check_server(const std::vector<HeaderField>& fields) {
    const auto upgrade = ws::check_upgrade("GET", fields, true);
    if (!upgrade) {
        WSPOOL_ASSERT(upgrade.error().status == 400 || upgrade.error().status == 426);
        return;
    }
    const std::string_view chosen =
        upgrade->subprotocols.empty() ? std::string_view() : upgrade->subprotocols.front();
    const std::string response = ws::make_upgrade_response(*upgrade, chosen);
    // Nothing of the request may add a line to the response.
    std::size_t lines = 0;
    for (const char c : response) lines += c == '\n' ? 1 : 0;
    WSPOOL_ASSERT(lines ==
                  5u + (chosen.empty() ? 0u : 1u) + (upgrade->deflate.has_value() ? 1u : 0u));
    if (upgrade->deflate) {
        WSPOOL_ASSERT(upgrade->deflate->server_max_window_bits >= 9);
        WSPOOL_ASSERT(upgrade->deflate->server_max_window_bits <= 15);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto fields = split(text);
    check_server(fields);

    ws::ClientHandshake handshake;
    handshake.host = "a";
    handshake.target = "/";
    handshake.key = "dGhlIHNhbXBsZSBub25jZQ==";
    handshake.subprotocols = {"chat", "x"};
    const auto accepted = ws::check_upgrade_response(101, fields, handshake);
    if (accepted && accepted->deflate) {
        WSPOOL_ASSERT(accepted->deflate->server_max_window_bits >= 8);
        WSPOOL_ASSERT(accepted->deflate->client_max_window_bits == 15);
    }
    if (!fields.empty()) {
        handshake.target = fields.front().value;
        handshake.host = fields.back().value;
        handshake.headers = {{std::string(fields.front().name), std::string(fields.back().value)}};
        const auto request = ws::make_upgrade_request(handshake);
        if (request) {
            std::size_t lines = 0;
            for (const char c : *request) lines += c == '\n' ? 1 : 0;
            WSPOOL_ASSERT(lines == 10);
        }
    }
    const auto url = ws::parse_url(text);
    if (url) WSPOOL_ASSERT(is_visible_ascii(url->authority()) && is_visible_ascii(url->target));
    return 0;
}
