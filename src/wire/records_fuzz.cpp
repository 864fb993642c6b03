// Any bytes as a record of every type: what is accepted must be written again as it was.
#include "base/assert.h"
#include "wire/control_records.h"

#include <cstdint>
#include <span>

namespace {

using namespace wspool;

template <class Record>
void try_as(ByteView bytes) {
    Record record;
    if (!wire::decode(bytes, record)) return;
    ByteBuffer again;
    wire::encode(again, record);
    WSPOOL_ASSERT(as_text(again.view()) == as_text(bytes));
}

template <class Item>
void walk(ByteView list, std::uint32_t count) {
    wire::ListCursor<Item> cursor(list, count);
    Item item;
    std::uint32_t seen = 0;
    while (cursor.next(item)) {
        WSPOOL_ASSERT(cursor.is_ok());
        ++seen;
    }
    WSPOOL_ASSERT(seen == count && cursor.is_complete());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes = std::as_bytes(std::span(data, size));
    wire::Header header;
    if (wire::read_header(bytes, 1 << 16, header) == wire::HeaderOutcome::ok) {
        WSPOOL_ASSERT(header.size >= wire::header_size && header.size <= 1 << 16);
    }
    try_as<wire::Peer>(bytes);
    try_as<wire::Publish>(bytes);
    try_as<wire::Refused>(bytes);
    try_as<wire::Deliver>(bytes);
    try_as<wire::Sequenced>(bytes);
    try_as<wire::Got>(bytes);
    try_as<wire::Stable>(bytes);
    try_as<wire::Join>(bytes);
    try_as<wire::Joined>(bytes);
    try_as<wire::Leave>(bytes);
    try_as<wire::Evict>(bytes);
    try_as<wire::Check>(bytes);
    try_as<wire::Held>(bytes);
    try_as<wire::Announce>(bytes);
    try_as<wire::AnnounceName>(bytes);
    try_as<wire::AnnounceEntry>(bytes);
    try_as<wire::AnnounceResend>(bytes);
    try_as<wire::Announced>(bytes);
    try_as<wire::Opened>(bytes);
    try_as<wire::Command>(bytes);
    try_as<wire::CommandAnswer>(bytes);
    try_as<wire::Question>(bytes);
    try_as<wire::Reply>(bytes);
    try_as<wire::Offer>(bytes);
    try_as<wire::Taken>(bytes);
    try_as<wire::Declined>(bytes);
    wire::Joined joined;
    if (wire::decode(bytes, joined)) walk<wire::Entry>(joined.entries, joined.count);
    wire::Opened opened;
    if (wire::decode(bytes, opened)) walk<wire::OpenedName>(opened.names, opened.count);
    wire::Question question;
    if (wire::decode(bytes, question)) walk<wire::NameItem>(question.names, question.count);
    wire::Reply reply;
    if (wire::decode(bytes, reply) && wire::is_about_clients(reply.kind)) {
        walk<wire::ClientItem>(reply.items, reply.count);
    }
    return 0;
}
