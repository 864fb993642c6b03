// The records between our processes (docs/protocol/), as structs that point into their bytes.
//
// encode() appends one whole record; decode() reads one, strictly: the header must be ours and of
// this type, every field in range, nothing missing, nothing left over, and what stands in lists is
// checked as well, so that a cursor over them cannot fail. Views are valid as long as the bytes.
//
// A record is a header of 8 bytes (u32 size of the whole record, u8 type, u8 version, u16 zero)
// and its fields. Each struct lists them once, in fields().
#pragma once

#include "base/bytes.h"
#include "wire/codec.h"
#include "wire/types.h"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wspool::wire {

inline constexpr std::size_t header_size = 8;
inline constexpr std::uint8_t version = 1;

struct Header {
    std::uint32_t size = 0;
    RecordType type{};
};
enum class HeaderOutcome : std::uint8_t { ok, incomplete, broken };
// Of the record that `bytes` begin with; broken when it is none of ours or longer than size_max.
[[nodiscard]] HeaderOutcome read_header(ByteView bytes, std::size_t size_max, Header& header);

// Who else is alive, and who is whose home; descriptors come beside it (R4).
struct Peer {
    static constexpr RecordType type = RecordType::peer;
    Incarnation incarnation = 0;
    std::uint16_t index = 0;
    bool is_home = false;
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.incarnation);
        codec.number(self.index);
        codec.flag(self.is_home);
    }
};

[[nodiscard]] constexpr Space space_of(Kind kind) {
    return kind == Kind::broadcast ? Space::group : Space::id;
}

// P → H.
struct Publish {
    static constexpr RecordType type = RecordType::publish;
    std::uint64_t sequence = 0;
    SessionNumber session{};
    std::uint16_t attempt = 0;  // homes it was sent to before (R32)
    Kind kind{};
    std::string_view name{};
    std::string_view sender_id{};
    ByteView payload{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.place(self.sequence);
        codec.number(self.session.incarnation);
        codec.number(self.session.counter);
        codec.number(self.attempt);
        codec.choice(self.kind, Kind::command);
        codec.name(self.name);
        codec.text(self.sender_id);
        codec.bytes(self.payload);
    }
};

// H → P.
struct Refused {
    static constexpr RecordType type = RecordType::refused;
    std::uint64_t sequence = 0;
    Refusal code{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.place(self.sequence);
        codec.choice(self.code, Refusal::duplicate_id);
    }
};

// One sequenced message, without the name and epoch it stands in.
struct Entry {
    std::uint64_t s = 0;
    std::uint64_t offset = 0;
    Origin origin{};
    SessionNumber session{};
    Kind kind{};
    std::string_view sender_id{};
    ByteView payload{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.place(self.s);
        codec.place(self.offset);
        codec.number(self.origin.incarnation);
        codec.place(self.origin.sequence);
        codec.number(self.session.incarnation);
        codec.number(self.session.counter);
        codec.choice(self.kind, Kind::command);
        codec.text(self.sender_id);
        codec.bytes(self.payload);
    }
};

// H → B: one message. The same fields announce a log entry (B → H).
template <RecordType record_type>
struct NamedEntry {
    static constexpr RecordType type = record_type;
    std::uint64_t epoch = 0;
    std::string_view name{};
    Entry entry{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.epoch);
        codec.name(self.name);
        Entry::fields(codec, self.entry);
    }
};
using Deliver = NamedEntry<RecordType::deliver>;
using AnnounceEntry = NamedEntry<RecordType::announce_entry>;

// H → P, when P does not get the deliver.
struct Sequenced {
    static constexpr RecordType type = RecordType::sequenced;
    std::uint64_t s = 0;
    std::uint64_t sequence = 0;
    std::uint64_t epoch = 0;
    std::uint64_t offset = 0;
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.place(self.s);
        codec.place(self.sequence);
        codec.number(self.epoch);
        codec.place(self.offset);
    }
};

// Of a home index: B → H, the highest s processed; H → all, S. Both cumulative.
template <RecordType record_type>
struct Mark {
    static constexpr RecordType type = record_type;
    std::uint64_t s = 0;
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.place(self.s);
    }
};
using Got = Mark<RecordType::got>;
using Stable = Mark<RecordType::stable>;

// B → H: interest in a group, or the register of a session's id (R14, R50).
struct Join {
    static constexpr RecordType type = RecordType::join;
    std::uint64_t token = 0;
    Space space{};
    std::string_view name{};
    SessionNumber session{};  // ids
    bool has_since = false;
    std::uint64_t since_epoch = 0;
    std::uint64_t since_offset = 0;
    bool is_moved = false;
    std::uint64_t room = 0;
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.token);
        codec.choice(self.space, Space::id);
        codec.name(self.name);
        codec.number(self.session.incarnation);
        codec.number(self.session.counter);
        codec.flag(self.has_since);
        codec.number(self.since_epoch);
        codec.number(self.since_offset);
        codec.flag(self.is_moved);
        codec.number(self.room);
    }
};

// H → B. `entries` holds `count` entries with offsets start+1, start+2 …; see EntryCursor.
struct Joined {
    static constexpr RecordType type = RecordType::joined;
    std::uint64_t token = 0;
    Refusal refusal{};
    std::uint64_t epoch = 0;
    std::uint64_t start = 0;
    bool is_recovered = false;
    std::uint64_t stable = 0;  // S
    std::uint32_t count = 0;
    ByteView entries{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.token);
        codec.choice(self.refusal, Refusal::duplicate_id);
        codec.number(self.epoch);
        codec.place(self.start);
        codec.flag(self.is_recovered);
        codec.place(self.stable);
        codec.number(self.count);
        codec.bytes(self.entries);
    }
};

// B → H.
struct Leave {
    static constexpr RecordType type = RecordType::leave;
    Space space{};
    std::string_view name{};
    SessionNumber session{};  // ids
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.choice(self.space, Space::id);
        codec.name(self.name);
        codec.number(self.session.incarnation);
        codec.number(self.session.counter);
    }
};

// About one holder of an id: H → B evict and check, B → H held. `question`: of check and held.
template <RecordType record_type>
struct HolderRecord {
    static constexpr RecordType type = record_type;
    std::string_view name{};
    SessionNumber session{};
    std::uint64_t question = 0;
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.name(self.name);
        codec.number(self.session.incarnation);
        codec.number(self.session.counter);
        codec.number(self.question);
    }
};
using Evict = HolderRecord<RecordType::evict>;
using Check = HolderRecord<RecordType::check>;
using Held = HolderRecord<RecordType::held>;

// B → H′, R23: announce, then names, entries and resends, then announced.
struct Announce {
    static constexpr RecordType type = RecordType::announce;
    std::uint64_t stable = 0;   // the announcer's S
    std::uint64_t highest = 0;  // the highest s that it saw
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.place(self.stable);
        codec.place(self.highest);
    }
};

struct AnnounceName {
    static constexpr RecordType type = RecordType::announce_name;
    Space space{};
    std::string_view name{};
    std::uint64_t epoch = 0;
    std::uint64_t offset = 0;
    SessionNumber session{};  // ids: one record for each open session
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.choice(self.space, Space::id);
        codec.name(self.name);
        codec.number(self.epoch);
        codec.place(self.offset);
        codec.number(self.session.incarnation);
        codec.number(self.session.counter);
    }
};

struct AnnounceResend {
    static constexpr RecordType type = RecordType::announce_resend;
    std::uint64_t s = 0;  // 0: not known to be sequenced
    Publish publish{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.place(self.s);
        Publish::fields(codec, self.publish);
    }
};

struct Announced {
    static constexpr RecordType type = RecordType::announced;
    template <class Codec, class Self>
    static void fields(Codec& /*codec*/, Self& /*self*/) {}
};

// H′ → all. `names` holds `count` OpenedName, those that the receiver announced.
struct Opened {
    static constexpr RecordType type = RecordType::opened;
    std::uint64_t s = 0;
    std::uint64_t star = 0;
    std::uint32_t count = 0;
    ByteView names{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.place(self.s);
        codec.place(self.star);
        codec.number(self.count);
        codec.bytes(self.names);
    }
};

struct OpenedName {
    Space space{};
    std::string_view name{};
    std::uint64_t epoch = 0;
    std::uint64_t offset = 0;   // where the receiver stands now; what it lacks follows
    bool is_recovered = false;  // false: the merge found a hole before this offset
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.choice(self.space, Space::id);
        codec.name(self.name);
        codec.number(self.epoch);
        codec.place(self.offset);
        codec.flag(self.is_recovered);
    }
};

// ---- connections that are passed on

// A → B: a connection whose descriptor comes over the channel, with the token (R41, R44).
struct Offer {
    static constexpr RecordType type = RecordType::offer;
    std::uint64_t token = 0;      // A's, never used twice
    std::uint32_t waited_ms = 0;  // since it was accepted
    std::uint8_t pool = 0;        // of the seat that it wants, as A read its request
    std::uint8_t priority = 0;    // likewise
    ByteView bytes{};             // all that was read of it
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.token);
        codec.number(self.waited_ms);
        codec.number(self.pool);
        codec.number(self.priority);
        codec.bytes(self.bytes);
    }
};

// B → A.
struct Taken {
    static constexpr RecordType type = RecordType::taken;
    std::uint64_t token = 0;
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.token);
    }
};

struct Declined {
    static constexpr RecordType type = RecordType::declined;
    std::uint64_t token = 0;
    Decline reason{};
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.token);
        codec.choice(self.reason, Decline::no_descriptor);
    }
};

// ---- seats

// W → the worker that issued a ticket: is it good? Once only. question 0: no answer is wanted.
struct Redeem {
    static constexpr RecordType type = RecordType::redeem;
    std::uint64_t question = 0;
    std::uint64_t number = 0;
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.question);
        codec.number(self.number);
    }
};

// Its answer.
struct Redeemed {
    static constexpr RecordType type = RecordType::redeemed;
    std::uint64_t question = 0;
    bool is_honoured = false;
    template <class Codec, class Self>
    static void fields(Codec& codec, Self& self) {
        codec.number(self.question);
        codec.flag(self.is_honoured);
    }
};

// ---- one record

namespace detail {
[[nodiscard]] std::size_t begin_record(ByteBuffer& out, RecordType type);
void end_record(ByteBuffer& out, std::size_t begin);
// The fields' bytes of a record of this type; nothing when the header is not that.
[[nodiscard]] bool check_record(ByteView record, RecordType type, ByteView& fields);
}  // namespace detail

template <class Record>
void encode(ByteBuffer& out, const Record& record) {
    const std::size_t begin = detail::begin_record(out, Record::type);
    Writer writer(out);
    Record::fields(writer, record);
    detail::end_record(out, begin);
}

// What stands in a list is checked by the overloads below.
template <class Record>
[[nodiscard]] bool decode_fields(ByteView record, Record& result) {
    ByteView bytes{};
    if (!detail::check_record(record, Record::type, bytes)) return false;
    Reader reader(bytes);
    Record::fields(reader, result);
    return reader.is_complete();
}

template <class Record>
[[nodiscard]] bool decode(ByteView record, Record& result) {
    return decode_fields(record, result);
}
[[nodiscard]] bool decode(ByteView record, Joined& result);
[[nodiscard]] bool decode(ByteView record, Opened& result);

// ---- lists inside a record

// Walks `count` items in bytes that decode() has checked.
template <class Item>
class ListCursor {
  public:
    ListCursor(ByteView bytes, std::uint32_t count) : reader_(bytes), left_(count) {}
    [[nodiscard]] bool next(Item& item) {
        if (left_ == 0) return false;
        --left_;
        Item::fields(reader_, item);
        return true;
    }
    [[nodiscard]] bool is_ok() const { return reader_.is_ok(); }
    [[nodiscard]] bool is_complete() const { return reader_.is_complete(); }

  private:
    Reader reader_;
    std::uint32_t left_;
};
using EntryCursor = ListCursor<Entry>;
using OpenedCursor = ListCursor<OpenedName>;

// Writes a record whose last two fields are a count and the list: `head` gives the others.
template <class Record, class Item>
class ListWriter {
  public:
    ListWriter(ByteBuffer& out, const Record& head)
        : out_(out), begin_(detail::begin_record(out, Record::type)) {
        Writer writer(out_);
        Record::fields(writer, head);
        list_ = out_.size();
    }
    void add(const Item& item) {
        Writer writer(out_);
        Item::fields(writer, item);
        ++count_;
    }
    void finish() {
        const auto size = static_cast<std::uint32_t>(out_.size() - list_);
        std::memcpy(out_.data() + list_ - sizeof size, &size, sizeof size);
        std::memcpy(out_.data() + list_ - sizeof size - sizeof count_, &count_, sizeof count_);
        detail::end_record(out_, begin_);
    }

  private:
    ByteBuffer& out_;
    std::size_t begin_;
    std::size_t list_ = 0;
    std::uint32_t count_ = 0;
};
using JoinedWriter = ListWriter<Joined, Entry>;
using OpenedWriter = ListWriter<Opened, OpenedName>;

}  // namespace wspool::wire
