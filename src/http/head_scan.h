// The strict pass over a head's raw bytes, before any grammar: finds where the head ends and
// refuses what no line of it may hold. It looks at each byte once, with the three before it as its
// only memory, so that a head that arrives byte by byte costs linear work.
//
// Invariant: the verdict depends on the bytes alone, never on how they were split, because every
// fault has one position and the scan stops at the first.
#pragma once

#include "http/head.h"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <variant>

namespace wspool::http {

enum class HeadKind : std::uint8_t { request, response };

struct HeadEnd {
    std::size_t size;  // of the head, with its empty line
};

[[nodiscard]] std::variant<NeedMore, HeadEnd, Refused> scan_head(std::string_view text,
                                                                 HeadKind kind,
                                                                 const HeadLimits& limits,
                                                                 std::size_t scanned);

// Target of a request line, as far as it is there.
[[nodiscard]] std::string_view target_of_line(std::string_view line);

[[nodiscard]] Refused refuse_malformed(std::string_view message);
[[nodiscard]] Refused refuse_version(std::string_view message);
[[nodiscard]] Refused refuse_target_size(const HeadLimits& limits);

}  // namespace wspool::http
