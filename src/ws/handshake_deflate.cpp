#include "ws/handshake_deflate.h"

#include "base/token.h"
#include "ws/deflate.h"

namespace wspool::ws {
namespace {

constexpr int negotiable_bits_min = 8;  // by the RFC; what zlib can do is in deflate.h

struct GivenParams {
    bool server_no_context_takeover = false;
    bool client_no_context_takeover = false;
    std::optional<int> server_max_window_bits;
    bool has_client_max_window_bits = false;
};

// 8 to 15, without sign or leading zero.
std::optional<int> parse_window_bits(const std::optional<std::string>& value) {
    if (!value || value->empty() || value->size() > 2 || value->front() == '0') return std::nullopt;
    int bits = 0;
    for (const char c : *value) {
        if (!is_digit(c)) return std::nullopt;
        bits = bits * 10 + (c - '0');
    }
    if (bits < negotiable_bits_min || bits > window_bits_max) return std::nullopt;
    return bits;
}

bool set_flag(bool& flag, const std::optional<std::string>& value) {
    if (flag || value) return false;
    flag = true;
    return true;
}

bool take_parameter(const ExtensionParameter& parameter, GivenParams& given) {
    const std::string_view name = parameter.name;
    if (name == "server_no_context_takeover") {
        return set_flag(given.server_no_context_takeover, parameter.value);
    }
    if (name == "client_no_context_takeover") {
        return set_flag(given.client_no_context_takeover, parameter.value);
    }
    if (name == "server_max_window_bits") {
        if (given.server_max_window_bits) return false;
        given.server_max_window_bits = parse_window_bits(parameter.value);
        return given.server_max_window_bits.has_value();
    }
    if (name == "client_max_window_bits") {
        // Alone it only says that the client would obey a limit; we inflate any window and set
        // none.
        if (parameter.value && !parse_window_bits(parameter.value)) return false;
        return set_flag(given.has_client_max_window_bits, std::nullopt);
    }
    return false;
}

std::optional<GivenParams> read_parameters(const Extension& extension) {
    GivenParams given;
    for (const ExtensionParameter& parameter : extension.parameters) {
        if (!take_parameter(parameter, given)) return std::nullopt;
    }
    return given;
}

}  // namespace

std::optional<DeflateParams> accept_offer(const Extension& offer) {
    const auto given = read_parameters(offer);
    if (!given) return std::nullopt;
    DeflateParams params;
    if (given->server_max_window_bits) {
        if (*given->server_max_window_bits < window_bits_min) return std::nullopt;
        params.server_max_window_bits = *given->server_max_window_bits;
        params.is_server_window_asked = true;
    }
    return params;
}

std::optional<DeflateParams> read_answer(const Extension& answer) {
    const auto given = read_parameters(answer);
    // We never offer client_max_window_bits, so no server may set it (RFC 7692 section 7.1.2.2).
    if (!given || given->has_client_max_window_bits) return std::nullopt;
    DeflateParams params;
    params.server_no_context_takeover = given->server_no_context_takeover;
    params.server_max_window_bits = given->server_max_window_bits.value_or(window_bits_max);
    return params;
}

}  // namespace wspool::ws
