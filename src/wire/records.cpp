#include "wire/records.h"

namespace wspool::wire {
namespace {

struct RawHeader {
    std::uint32_t size = 0;
    std::uint8_t type = 0;
    std::uint8_t version = 0;
    std::uint16_t reserved = 0;
};
static_assert(sizeof(RawHeader) == header_size);

[[nodiscard]] RawHeader raw_header(ByteView bytes) {
    RawHeader raw;
    std::memcpy(&raw, bytes.data(), sizeof raw);
    return raw;
}

template <class Item>
[[nodiscard]] bool check_list(ByteView bytes, std::uint32_t count) {
    ListCursor<Item> cursor(bytes, count);
    Item item;
    while (cursor.is_ok() && cursor.next(item)) {
    }
    return cursor.is_complete();
}

}  // namespace

namespace detail {

std::size_t begin_record(ByteBuffer& out, RecordType type) {
    const std::size_t begin = out.size();
    const RawHeader raw{0, static_cast<std::uint8_t>(type), version, 0};
    std::memcpy(out.reserve_back(sizeof raw), &raw, sizeof raw);
    out.commit(sizeof raw);
    return begin;
}

void end_record(ByteBuffer& out, std::size_t begin) {
    const auto size = static_cast<std::uint32_t>(out.size() - begin);
    std::memcpy(out.data() + begin, &size, sizeof size);
}

bool check_record(ByteView record, RecordType type, ByteView& fields) {
    if (record.size() < header_size) return false;
    const RawHeader raw = raw_header(record);
    if (raw.size != record.size() || raw.type != static_cast<std::uint8_t>(type)) return false;
    if (raw.version != version || raw.reserved != 0) return false;
    fields = record.subspan(header_size);
    return true;
}

}  // namespace detail

HeaderOutcome read_header(ByteView bytes, std::size_t size_max, Header& header) {
    if (bytes.size() < header_size) return HeaderOutcome::incomplete;
    const RawHeader raw = raw_header(bytes);
    if (raw.size < header_size || raw.size > size_max) return HeaderOutcome::broken;
    if (raw.version != version || raw.reserved != 0) return HeaderOutcome::broken;
    header = {raw.size, static_cast<RecordType>(raw.type)};
    return HeaderOutcome::ok;
}

bool decode(ByteView record, Joined& result) {
    return decode_fields(record, result) && check_list<Entry>(result.entries, result.count);
}

bool decode(ByteView record, Opened& result) {
    return decode_fields(record, result) && check_list<OpenedName>(result.names, result.count);
}

}  // namespace wspool::wire
