// The small values of hub/: where a message stands, who is a member of what. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace wspool::hub {

struct Member {
    std::uint32_t index;      // the caller's number for the client
    std::uint32_t slot : 31;  // of the membership in that client's list
    std::uint32_t has_offsets : 1;
};

struct Membership {
    std::uint32_t group;
    std::uint32_t position;  // in the group's members
};

// Where a message, or the next one, stands.
struct Position {
    std::uint64_t epoch = 0;
    std::uint64_t offset = 0;
    friend bool operator==(const Position&, const Position&) = default;
};

[[nodiscard]] std::string format_epoch(std::uint64_t epoch);

// A session of the caller's: an index that is used again, and which use of it.
struct Session {
    std::uint32_t index = UINT32_MAX;  // UINT32_MAX: nobody
    std::uint32_t generation = 0;
    friend bool operator==(Session, Session) = default;
};

// What happens to a client id that comes a second time (R52, R53, R54).
enum class DuplicateId : std::uint8_t { replace, reject, allow };

}  // namespace wspool::hub
