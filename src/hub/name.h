// Name: what an Exchange knows about one group or client id. Private to hub/.
//
// Homed here: `position` is the last offset given out, `messages` the history whose end, what is
// above S, is the log as well. Homed elsewhere: `position` is where the members here stand (live),
// `messages` the log alone. Either way messages have rising offsets; of a name homed here they end
// at its position.
#pragma once

#include "base/bytes.h"
#include "base/index_table.h"
#include "base/time.h"
#include "hub/blob_ring.h"
#include "hub/values.h"
#include "wire/types.h"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::hub {

// In a name's ring the blob is the sender's id and, behind it, the payload.
struct Message {
    std::uint64_t s = 0;
    std::uint64_t offset = 0;
    wire::Origin origin{};
    wire::SessionNumber session{};
    Instant at{};
    std::uint8_t sender_size = 0;
    wire::Kind kind{};
};

// What a member's worker is to a name that is homed elsewhere (protocol section 4).
enum class Reception : std::uint8_t { none, asked, live };

// The slot of a peer; `self` stands for this process.
using PeerSlot = std::uint16_t;
inline constexpr PeerSlot self = 0xFFFF;
inline constexpr PeerSlot nobody = 0xFFFE;  // a peer that has ended

// A join that waits at the home until the name is stable (R15).
struct WaitingJoin {
    PeerSlot peer = nobody;
    std::uint64_t token = 0;
    std::uint64_t after = 0;  // the s that must be stable
    bool has_since = false;
    Position since{};
    std::uint64_t room = 0;
};

struct Holder {
    PeerSlot peer = nobody;
    wire::SessionNumber session{};
};

// The register of an id that waits at the home (R52, R53).
struct WaitingRegister {
    PeerSlot peer = nobody;
    wire::SessionNumber session{};
    std::uint64_t token = 0;
    std::uint64_t after = 0;
    std::uint64_t question = 0;
    bool has_asked = false;  // the holders were told or asked
};

// Of a name homed here, what concerns other workers; absent while nothing does. For ids, sessions
// here are holders too, but stand in the table of ids alone.
struct HomePart {
    std::vector<PeerSlot> interest;
    std::vector<WaitingJoin> joins;
    std::vector<Holder> holders;             // ids
    std::vector<WaitingRegister> registers;  // ids: at most one, except under `allow`
    [[nodiscard]] bool is_empty() const {
        return interest.empty() && joins.empty() && holders.empty() && registers.empty();
    }
};

struct Links {
    std::uint32_t previous = IndexTable::none;
    std::uint32_t next = IndexTable::none;
    bool is_linked = false;
};

struct Name {
    std::string text{};
    ByteBuffer prefix{};
    Position position{};
    std::uint64_t last_s = 0;  // of its last message; homed here
    std::vector<Member> members;
    std::unique_ptr<BlobRing<Message>> messages;
    std::unique_ptr<HomePart> part;
    Links idle;     // nothing but numbering is left, or interest lingers
    Links history;  // has history, ordered by the last publish
    Instant idle_since{};
    Instant published{};
    std::uint32_t generation = 0;
    std::uint32_t joins = 0;  // unanswered ones of sessions here; homed elsewhere
    std::uint16_t home = 0;   // index
    std::uint16_t rule = 0;   // of the history
    wire::Space space{};
    Reception reception{};
    bool waits = false;  // is in Home::waiting

    [[nodiscard]] bool has_messages() const { return messages && !messages->empty(); }
};

// A list through names, by one of their Links.
template <Links Name::*links>
class NameList {
  public:
    [[nodiscard]] std::uint32_t front() const { return first_; }
    [[nodiscard]] std::uint32_t back() const { return last_; }
    [[nodiscard]] std::size_t size() const { return size_; }

    template <class Names>
    void push_back(Names& names, std::uint32_t index) {
        Links& at = names[index].*links;
        WSPOOL_ASSERT(!at.is_linked);
        at = {last_, IndexTable::none, true};
        if (last_ != IndexTable::none) {
            (names[last_].*links).next = index;
        } else {
            first_ = index;
        }
        last_ = index;
        ++size_;
    }
    template <class Names>
    void erase(Names& names, std::uint32_t index) {
        const Links at = names[index].*links;
        WSPOOL_ASSERT(at.is_linked);
        if (at.previous != IndexTable::none) {
            (names[at.previous].*links).next = at.next;
        } else {
            first_ = at.next;
        }
        if (at.next != IndexTable::none) {
            (names[at.next].*links).previous = at.previous;
        } else {
            last_ = at.previous;
        }
        names[index].*links = Links{};
        --size_;
    }

  private:
    std::uint32_t first_ = IndexTable::none;
    std::uint32_t last_ = IndexTable::none;
    std::size_t size_ = 0;
};

}  // namespace wspool::hub
