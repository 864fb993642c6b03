#include "wire/records.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace wspool::wire {
namespace {

// Owns the texts that a record's views point into.
struct Texts {
    std::vector<std::string> owned = std::vector<std::string>(8);
    std::size_t used = 0;
    std::string_view make(std::size_t size_min, std::size_t size_max) {
        const auto size = *rc::gen::inRange<std::size_t>(size_min, size_max + 1);
        owned[used] = *rc::gen::container<std::string>(size, rc::gen::arbitrary<char>());
        return owned[used++];
    }
};

// Fills every field with something arbitrary that is in range.
class Filler {
  public:
    explicit Filler(Texts& texts) : texts_(texts) {}
    template <std::unsigned_integral Number>
    void number(Number& value) {
        value = *rc::gen::arbitrary<Number>();
    }
    void place(std::uint64_t& value) {
        value = *rc::gen::arbitrary<std::uint64_t>() % (place_max + 1);
    }
    void flag(bool& value) { value = *rc::gen::arbitrary<bool>(); }
    template <class Choice>
    void choice(Choice& value, Choice last) {
        value = static_cast<Choice>(*rc::gen::inRange<int>(0, static_cast<int>(last) + 1));
    }
    void name(std::string_view& value) { value = texts_.make(1, name_size_max); }
    void text(std::string_view& value) { value = texts_.make(0, name_size_max); }
    void bytes(ByteView& value) { value = as_bytes(texts_.make(0, 400)); }

  private:
    Texts& texts_;
};

std::string written(const ByteBuffer& bytes) {
    return std::string(as_text(bytes.view()));
}

template <class Record>
void check_round_trip() {
    Texts texts;
    Filler filler(texts);
    Record record;
    Record::fields(filler, record);
    ByteBuffer out;
    out.append("before");
    encode(out, record);
    const ByteView bytes = out.view().subspan(6);
    Header header;
    RC_ASSERT(read_header(bytes, 1 << 20, header) == HeaderOutcome::ok);
    RC_ASSERT(header.size == bytes.size());
    RC_ASSERT(header.type == Record::type);

    Record read;
    RC_ASSERT(decode(bytes, read));
    ByteBuffer again;
    encode(again, read);
    RC_ASSERT(written(again) == std::string(as_text(bytes)));

    // Cut anywhere, with the size made to fit, it is refused.
    const auto cut = *rc::gen::inRange<std::size_t>(0, bytes.size());
    ByteBuffer shorter;
    shorter.append(bytes.first(cut));
    if (cut >= header_size) {
        const auto size = static_cast<std::uint32_t>(cut);
        std::memcpy(shorter.data(), &size, sizeof size);
    }
    RC_ASSERT(!decode(shorter.view(), read));
    // And so is a byte more.
    ByteBuffer longer;
    longer.append(bytes);
    longer.append('x');
    const auto size = static_cast<std::uint32_t>(longer.size());
    std::memcpy(longer.data(), &size, sizeof size);
    RC_ASSERT(!decode(longer.view(), read));
}

RC_GTEST_PROP(Records, EveryRecordReadsAsItWasWritten, ()) {
    check_round_trip<Peer>();
    check_round_trip<Publish>();
    check_round_trip<Refused>();
    check_round_trip<Deliver>();
    check_round_trip<Sequenced>();
    check_round_trip<Got>();
    check_round_trip<Stable>();
    check_round_trip<Join>();
    check_round_trip<Leave>();
    check_round_trip<Evict>();
    check_round_trip<Check>();
    check_round_trip<Held>();
    check_round_trip<Announce>();
    check_round_trip<AnnounceName>();
    check_round_trip<AnnounceEntry>();
    check_round_trip<AnnounceResend>();
    check_round_trip<Announced>();
    check_round_trip<Offer>();
    check_round_trip<Taken>();
    check_round_trip<Declined>();
    check_round_trip<Redeem>();
    check_round_trip<Redeemed>();
}

RC_GTEST_PROP(Records, AJoinedHoldsItsEntries, (const std::vector<std::string>& payloads)) {
    ByteBuffer out;
    JoinedWriter writer(out, Joined{.token = 7, .epoch = 8, .start = 9, .stable = 10});
    Entry entry{.s = 1, .sender_id = "me"};
    for (const std::string& payload : payloads) {
        ++entry.offset;
        entry.payload = as_bytes(payload);
        writer.add(entry);
    }
    writer.finish();
    Joined joined;
    RC_ASSERT(decode(out.view(), joined));
    RC_ASSERT(joined.count == payloads.size());
    RC_ASSERT(joined.start == 9u);
    EntryCursor cursor(joined.entries, joined.count);
    std::size_t seen = 0;
    while (cursor.next(entry)) {
        RC_ASSERT(as_text(entry.payload) == payloads[seen]);
        RC_ASSERT(entry.offset == ++seen);
    }
    RC_ASSERT(seen == payloads.size());

    // A count that does not fit the list is refused.
    const std::uint32_t wrong = joined.count + 1;
    const std::size_t at = out.size() - joined.entries.size() - 8;
    std::memcpy(out.data() + at, &wrong, sizeof wrong);
    RC_ASSERT(!decode(out.view(), joined));
}

TEST(Records, AnOpenedHoldsItsNames) {
    ByteBuffer out;
    OpenedWriter writer(out, Opened{.s = 1, .star = 2});
    writer.add({.space = Space::id, .name = "a", .epoch = 3, .offset = 4, .is_recovered = true});
    writer.add({.space = Space::group, .name = "b", .epoch = 5, .offset = 6});
    writer.finish();
    Opened opened;
    ASSERT_TRUE(decode(out.view(), opened));
    OpenedCursor cursor(opened.names, opened.count);
    OpenedName name;
    ASSERT_TRUE(cursor.next(name));
    EXPECT_EQ(name.name, "a");
    EXPECT_EQ(name.space, Space::id);
    EXPECT_TRUE(name.is_recovered);
    ASSERT_TRUE(cursor.next(name));
    EXPECT_EQ(name.offset, 6u);
    EXPECT_FALSE(cursor.next(name));
}

TEST(Records, ARecordOfAnotherTypeOrVersionIsRefused) {
    ByteBuffer out;
    encode(out, Got{.s = 5});
    Stable stable;
    EXPECT_FALSE(decode(out.view(), stable));
    Got got;
    ASSERT_TRUE(decode(out.view(), got));
    out.data()[5] = std::byte{2};
    EXPECT_FALSE(decode(out.view(), got));
    Header header;
    EXPECT_EQ(read_header(out.view(), 100, header), HeaderOutcome::broken);
}

TEST(Records, AHeaderIsJudgedBeforeTheRecordIsThere) {
    ByteBuffer out;
    encode(out, Got{.s = 5});
    Header header;
    EXPECT_EQ(read_header(out.view().first(7), 100, header), HeaderOutcome::incomplete);
    EXPECT_EQ(read_header(out.view().first(8), 100, header), HeaderOutcome::ok);
    EXPECT_EQ(read_header(out.view().first(8), 15, header), HeaderOutcome::broken);
    out.data()[0] = std::byte{7};
    EXPECT_EQ(read_header(out.view(), 100, header), HeaderOutcome::broken);
}

TEST(Records, ValuesOutOfRangeAreRefused) {
    ByteBuffer out;
    encode(out, Refused{.sequence = 1, .code = Refusal::too_many_groups});
    Refused refused;
    EXPECT_FALSE(decode(out.view(), refused));
    out.clear();
    encode(out, Got{.s = place_max + 1});
    Got got;
    EXPECT_FALSE(decode(out.view(), got));
    out.clear();
    encode(out, Publish{.name = ""});
    Publish publish;
    EXPECT_FALSE(decode(out.view(), publish));
    out.clear();
    const std::string name(name_size_max + 1, 'x');
    encode(out, Publish{.name = name});
    EXPECT_FALSE(decode(out.view(), publish));
}

}  // namespace
}  // namespace wspool::wire
