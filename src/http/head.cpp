#include "http/head.h"

#include "base/token.h"
#include "http/head_scan.h"

#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>

namespace wspool::http {
namespace {

using Lines = std::string_view;  // what is left of a head whose lines all end in CRLF

std::string_view next_line(Lines& lines) {
    const std::size_t end = lines.find('\r');
    const std::string_view line = lines.substr(0, end);
    lines.remove_prefix(end + 2);
    return line;
}

std::optional<Refused> split_fields(Lines lines,
                                    const HeadLimits& limits,
                                    std::vector<HeaderField>& fields) {
    for (std::string_view line = next_line(lines); !line.empty(); line = next_line(lines)) {
        if (fields.size() == limits.fields_max) {
            return Refused{
                431,
                "header_count",
                "The head has more than " + std::to_string(limits.fields_max) + " fields."};
        }
        const std::size_t colon = line.find(':');
        if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) {
            return refuse_malformed("A field's name must be a token, followed by ':' at once.");
        }
        fields.push_back({line.substr(0, colon), trim_ows(line.substr(colon + 1))});
    }
    return std::nullopt;
}

Refused refuse_body(int status, std::string message) {
    return Refused{status, "body", std::move(message)};
}

// Digits alone, so few that they fit, in the one way to write them.
std::optional<std::size_t> read_length(std::string_view text) {
    constexpr std::size_t digits_max = 18;
    if (text.empty() || text.size() > digits_max) return std::nullopt;
    if (text.front() == '0' && text.size() > 1) return std::nullopt;
    std::size_t length = 0;
    for (const char c : text) {
        if (!is_digit(c)) return std::nullopt;
        length = length * 10 + static_cast<std::size_t>(c - '0');
    }
    return length;
}

// Where bodies are taken, their length is known from one field, or the request is refused: what
// two readers may read differently is how requests are smuggled. Where none is taken, whoever
// sends one wants it read as something else behind us.
std::optional<Refused> check_body(RequestHead& head, const HeadLimits& limits) {
    const bool may_have_one =
        limits.body_size_max > 0 && head.method != "GET" && head.method != "HEAD";
    bool has_length = false;
    bool has_encoding = false;
    for (const HeaderField& field : head.fields) {
        if (equals_ignoring_case(field.name, "Transfer-Encoding")) has_encoding = true;
        if (!equals_ignoring_case(field.name, "Content-Length")) continue;
        const auto length = read_length(field.value);
        if (has_length || !length) {
            return refuse_body(400, "Content-Length must be one number in decimal digits.");
        }
        has_length = true;
        head.body_size = *length;
    }
    if (!may_have_one) {
        if (!has_encoding && head.body_size == 0) return std::nullopt;
        return refuse_body(400, "A request must not have a body here.");
    }
    if (has_encoding && has_length) {
        return refuse_body(400, "Transfer-Encoding and Content-Length exclude each other.");
    }
    if (has_encoding) {
        return refuse_body(411, "A body needs its Content-Length here; no encoding is taken.");
    }
    if (head.body_size > limits.body_size_max) {
        return refuse_body(
            413, "The body is larger than " + std::to_string(limits.body_size_max) + " bytes.");
    }
    return std::nullopt;
}

bool is_port(std::string_view text) {
    return text.size() <= 5 && std::all_of(text.begin(), text.end(), is_digit);
}

// uri-host [ ":" port ] (RFC 9110 section 7.2), without percent-encoding's and IPv6's finer rules.
bool is_host(std::string_view host) {
    if (host.starts_with('[')) {
        const std::size_t end = host.find(']');
        if (end == std::string_view::npos || end == 1) return false;
        const std::string_view inside = host.substr(1, end - 1);
        const std::string_view rest = host.substr(end + 1);
        return std::all_of(inside.begin(),
                           inside.end(),
                           [](char c) { return hex_value(c) >= 0 || c == ':' || c == '.'; }) &&
               (rest.empty() || (rest.front() == ':' && is_port(rest.substr(1))));
    }
    const std::size_t colon = host.find(':');
    const std::string_view name = host.substr(0, colon);
    constexpr std::string_view not_in_names = "\"#/<>?@[\\]^`{|}";
    return !name.empty() && is_visible_ascii(name) &&
           name.find_first_of(not_in_names) == std::string_view::npos &&
           (colon == std::string_view::npos || is_port(host.substr(colon + 1)));
}

std::optional<Refused> check_host(const std::vector<HeaderField>& fields) {
    std::size_t count = 0;
    for (const HeaderField& field : fields) {
        if (!equals_ignoring_case(field.name, "Host")) continue;
        if (++count > 1) return refuse_malformed("The request has more than one Host.");
        if (!is_host(field.value)) return refuse_malformed("The request's Host is no host.");
    }
    if (count == 0) return refuse_malformed("The request has no Host.");
    return std::nullopt;
}

bool is_some_http_version(std::string_view text) {
    return text.size() == 8 && text.starts_with("HTTP/") && is_digit(text[5]) && text[6] == '.' &&
           is_digit(text[7]);
}

std::optional<Refused> split_request_line(std::string_view line,
                                          const HeadLimits& limits,
                                          RequestHead& head) {
    head.method = line.substr(0, line.find(' '));
    head.target = target_of_line(line);
    if (head.target.size() > limits.target_size_max) return refuse_target_size(limits);
    if (!is_visible_ascii(head.target) || head.target.find('#') != std::string_view::npos) {
        return refuse_malformed("The request target holds a character that must be encoded.");
    }
    const std::size_t version_begin = head.method.size() + 1 + head.target.size() + 1;
    const std::string_view version =
        version_begin < line.size() ? line.substr(version_begin) : std::string_view();
    if (version == "HTTP/1.1") return std::nullopt;
    if (is_some_http_version(version)) return refuse_version("Only HTTP/1.1 is spoken here.");
    return refuse_malformed("The request line must be a method, a target and HTTP/1.1.");
}

// The second opinion: Beast must find the same fields in the same bytes, or somebody between us and
// the client may have read another message than we did.
template <bool is_request>
bool beast_agrees(ByteView head, std::size_t field_count) {
    namespace beast_http = boost::beast::http;
    beast_http::parser<is_request, beast_http::empty_body> parser;
    const std::size_t size_max = std::numeric_limits<std::uint32_t>::max();
    parser.header_limit(static_cast<std::uint32_t>(std::min(head.size() + 1, size_max)));
    parser.body_limit(boost::none);
    parser.eager(false);
    boost::beast::error_code error;
    const std::size_t size = parser.put(boost::asio::buffer(head.data(), head.size()), error);
    if (error || !parser.is_header_done() || size != head.size()) return false;
    const auto& fields = parser.get();
    return static_cast<std::size_t>(std::distance(fields.begin(), fields.end())) == field_count;
}

constexpr std::string_view disagreement = "The head does not follow RFC 9112 section 5.";

}  // namespace

std::string_view RequestHead::field(std::string_view name) const {
    for (const HeaderField& candidate : fields) {
        if (equals_ignoring_case(candidate.name, name)) return candidate.value;
    }
    return {};
}

std::variant<NeedMore, RequestHead, Refused> parse_request_head(ByteView bytes,
                                                                const HeadLimits& limits,
                                                                std::size_t scanned) {
    const std::string_view text = as_text(bytes);
    auto scan = scan_head(text, HeadKind::request, limits, scanned);
    if (const auto* more = std::get_if<NeedMore>(&scan)) return *more;
    if (auto* refused = std::get_if<Refused>(&scan)) return std::move(*refused);

    RequestHead head;
    head.size = std::get<HeadEnd>(scan).size;
    Lines lines = text.substr(0, head.size);
    auto refused = split_request_line(next_line(lines), limits, head);
    if (!refused) refused = split_fields(lines, limits, head.fields);
    if (!refused) refused = check_body(head, limits);
    if (!refused) refused = check_host(head.fields);
    if (!refused && !beast_agrees<true>(bytes.first(head.size), head.fields.size())) {
        refused = refuse_malformed(disagreement);
    }
    if (refused) return std::move(*refused);
    return head;
}

std::variant<NeedMore, ResponseHead, Refused> parse_response_head(ByteView bytes,
                                                                  const HeadLimits& limits,
                                                                  std::size_t scanned) {
    const std::string_view text = as_text(bytes);
    auto scan = scan_head(text, HeadKind::response, limits, scanned);
    if (const auto* more = std::get_if<NeedMore>(&scan)) return *more;
    if (auto* refused = std::get_if<Refused>(&scan)) return std::move(*refused);

    ResponseHead head;
    head.size = std::get<HeadEnd>(scan).size;
    Lines lines = text.substr(0, head.size);
    const std::string_view line =
        next_line(lines);  // "HTTP/1.1 101 …": the scan has seen its shape
    for (const char digit : line.substr(9, 3)) head.status = head.status * 10 + (digit - '0');
    head.reason_phrase = line.substr(13);
    if (head.status < 100 || head.status > 599) {
        return refuse_malformed("The response's status is not between 100 and 599.");
    }
    auto refused = split_fields(lines, limits, head.fields);
    if (!refused && !beast_agrees<false>(bytes.first(head.size), head.fields.size())) {
        refused = refuse_malformed(disagreement);
    }
    if (refused) return std::move(*refused);
    return head;
}

}  // namespace wspool::http
