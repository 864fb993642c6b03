// Heads of HTTP/1.1 messages, parsed strictly (RFC 9112), and responses written. Used for the
// upgrade, /healthz and refusals. Boost.Beast's parser does the grammar after one strict pass of
// our own over the raw bytes, for what Beast accepts and we must not: bare LF, obs-fold, two Hosts,
// a body on GET. Pure; any split of the bytes gives the same answer.
#pragma once

#include "base/bytes.h"
#include "base/header_field.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace wspool::http {

struct HeadLimits {
    std::size_t size_max = 8 * 1024;     // whole head; beyond it 431
    std::size_t fields_max = 64;         // 431
    std::size_t target_size_max = 2048;  // 414
    // Of a request's body; beyond it 413. 0: a request has none, and who sends one gets 400.
    std::size_t body_size_max = 0;
};

struct NeedMore {
    // Bytes that need not be looked at again: pass them as `scanned` next time, so that a head that
    // arrives byte by byte costs linear work.
    std::size_t scanned = 0;
};

struct Refused {
    int status;  // 400, 411, 413, 414, 431, 505
    std::string_view
        reason;  // metric label: malformed, header_size, header_count, uri, http_version, body
    std::string message;  // one sentence
};

// Views into the bytes that were parsed.
struct RequestHead {
    std::size_t size =
        0;  // of the head with its empty line; what follows belongs to the next protocol
    std::size_t body_size = 0;  // as declared; never beyond HeadLimits::body_size_max
    std::string_view method;
    std::string_view target;
    std::vector<HeaderField> fields;
    [[nodiscard]] std::string_view field(
        std::string_view name) const;  // first of that name, or empty
};

struct ResponseHead {
    std::size_t size = 0;
    int status = 0;
    std::string_view reason_phrase;
    std::vector<HeaderField> fields;
};

[[nodiscard]] std::variant<NeedMore, RequestHead, Refused> parse_request_head(
    ByteView bytes, const HeadLimits& limits, std::size_t scanned = 0);
[[nodiscard]] std::variant<NeedMore, ResponseHead, Refused> parse_response_head(
    ByteView bytes, const HeadLimits& limits, std::size_t scanned = 0);

// A complete response with `Connection: close` and Content-Length. `extra` are whole header lines,
// each with its CRLF.
inline constexpr std::string_view plain_text = "text/plain; charset=utf-8";
[[nodiscard]] std::string make_response(int status,
                                        std::string_view body,
                                        std::string_view extra = {},
                                        std::string_view content_type = plain_text);

// What percent-encoded text means; nothing when the encoding is broken. '+' stays '+'.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text);

// The value of `name` in the query of `target`, percent-decoded ('+' stays '+'); the first one
// wins. False `ok` when the encoding is broken.
struct QueryValue {
    bool found = false;
    bool ok = true;
    std::string value;
};
[[nodiscard]] QueryValue query_value(std::string_view target, std::string_view name);
// Path of `target`, without the query.
[[nodiscard]] std::string_view path_of(std::string_view target);

}  // namespace wspool::http
