#include "http/head_scan.h"

#include "base/token.h"

#include <algorithm>
#include <string>

namespace wspool::http {
namespace {

// The longest registered method is UPDATEREDIRECTREF, 17.
constexpr std::size_t method_size_max = 24;
// Positions at which a start line is judged by its shape alone; every byte beyond is judged by
// scan_head.
constexpr std::size_t prefix_size = method_size_max + 2;

struct PrefixFault {
    bool is_version = false;
    std::string_view message;  // empty: none so far
};

bool is_method_char(char c) {
    return (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

// What is no request (a TLS hello, another protocol's banner) is told from its first bytes, instead
// of waiting for an end that never comes.
PrefixFault check_request_prefix(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == ' ' && i > 0) {
            if (i + 1 < text.size() && text[i + 1] != '/') {
                return {false, "The request target must begin with '/'."};
            }
            return {};
        }
        if (!is_method_char(text[i]) || i == method_size_max) {
            return {false, "This is no HTTP request: it must begin with a method and a space."};
        }
    }
    return {};
}

PrefixFault check_response_prefix(std::string_view text) {
    constexpr std::string_view shape = "HTTP/d.d ddd ";
    for (std::size_t i = 0; i < std::min(text.size(), shape.size()); ++i) {
        const bool fits = shape[i] == 'd' ? is_digit(text[i]) : text[i] == shape[i];
        if (!fits) {
            return {false, "This is no HTTP response: it must begin with a version and a status."};
        }
        if ((i == 5 || i == 7) && text[i] != '1') {
            return {true, "The response's version is not HTTP/1.1."};
        }
    }
    return {};
}

// Controls other than tab have no place in a head; CR and LF are judged by their neighbours.
bool is_forbidden_control(char c) {
    const auto byte = static_cast<unsigned char>(c);
    return (byte < 0x20 && c != '\t' && c != '\r' && c != '\n') || byte == 0x7f;
}

Refused refuse_head_size(std::string_view text, HeadKind kind, const HeadLimits& limits) {
    if (kind == HeadKind::request) {
        const std::string_view line = text.substr(0, text.find('\r'));
        if (target_of_line(line).size() > limits.target_size_max) return refuse_target_size(limits);
    }
    return {431,
            "header_size",
            "The head is larger than " + std::to_string(limits.size_max) + " bytes."};
}

}  // namespace

Refused refuse_malformed(std::string_view message) {
    return {400, "malformed", std::string(message)};
}

Refused refuse_version(std::string_view message) {
    return {505, "http_version", std::string(message)};
}

Refused refuse_target_size(const HeadLimits& limits) {
    return {
        414,
        "uri",
        "The request target is longer than " + std::to_string(limits.target_size_max) + " bytes."};
}

std::string_view target_of_line(std::string_view line) {
    const std::size_t space = line.find(' ');
    if (space == std::string_view::npos) return {};
    line.remove_prefix(space + 1);
    return line.substr(0, line.find(' '));
}

std::variant<NeedMore, HeadEnd, Refused> scan_head(std::string_view text,
                                                   HeadKind kind,
                                                   const HeadLimits& limits,
                                                   std::size_t scanned) {
    text = text.substr(0, limits.size_max);
    scanned = std::min(scanned, text.size());
    if (scanned < prefix_size) {
        const std::string_view prefix = text.substr(0, prefix_size);
        const PrefixFault fault = kind == HeadKind::request ? check_request_prefix(prefix)
                                                            : check_response_prefix(prefix);
        if (fault.is_version) return refuse_version(fault.message);
        if (!fault.message.empty()) return refuse_malformed(fault.message);
    }
    for (std::size_t i = std::max<std::size_t>(scanned, 1); i < text.size(); ++i) {
        const char c = text[i];
        const char before = text[i - 1];
        if (c == '\n') {
            if (before != '\r') return refuse_malformed("A line ends in LF without CR.");
            if (i >= 2 && text[i - 2] == '\n') return HeadEnd{i + 1};
        } else if (before == '\r') {
            return refuse_malformed("A CR is not followed by LF.");
        } else if (before == '\n' && is_ows(c)) {
            return refuse_malformed("A line begins with white space (obsolete line folding).");
        } else if (is_forbidden_control(c)) {
            return refuse_malformed("The head contains a control character.");
        }
    }
    if (text.size() == limits.size_max) return refuse_head_size(text, kind, limits);
    return NeedMore{text.size()};
}

}  // namespace wspool::http
