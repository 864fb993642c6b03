#include "base/token.h"
#include "http/head.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace wspool::http {

// '+' stays '+': it is a space only in forms, and ids may contain it.
std::optional<std::string> percent_decoded(std::string_view text) {
    std::string decoded;
    decoded.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            decoded += text[i];
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_value(text[i + 1]);
        const int low = hex_value(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        decoded += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return decoded;
}

std::string_view path_of(std::string_view target) {
    return target.substr(0, target.find('?'));
}

QueryValue query_value(std::string_view target, std::string_view name) {
    const std::size_t begin = target.find('?');
    if (begin == std::string_view::npos) return {};
    std::string_view rest = target.substr(begin + 1);
    while (true) {
        const std::size_t end = rest.find('&');
        const std::string_view pair = rest.substr(0, end);
        const std::size_t equals = pair.find('=');
        // Names are decoded too: the same parameter must not have two spellings for two readers.
        if (percent_decoded(pair.substr(0, equals)) == name) {
            if (equals == std::string_view::npos) return {true, true, {}};
            auto value = percent_decoded(pair.substr(equals + 1));
            if (!value) return {true, false, {}};
            return {true, true, std::move(*value)};
        }
        if (end == std::string_view::npos) return {};
        rest.remove_prefix(end + 1);
    }
}

}  // namespace wspool::http
