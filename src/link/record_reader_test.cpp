#include "link/record_reader.h"

#include "link/link_node.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace wspool::link {
namespace {

constexpr std::size_t size_max = 100'000;

// Reads bytes in pieces; the last outcome is `more` or `broken`.
ReadOutcome read(RecordReader& reader,
                 std::string_view bytes,
                 const std::vector<std::size_t>& pieces,
                 std::vector<std::string>& records) {
    std::size_t next = 0;
    while (!bytes.empty()) {
        const std::size_t size =
            next < pieces.size() ? std::min(pieces[next++], bytes.size()) : bytes.size();
        const std::string piece(bytes.substr(0, size));  // so that a view too far is noticed
        bytes.remove_prefix(size);
        ByteView input = as_bytes(piece);
        ByteView record;
        for (;;) {
            const ReadOutcome outcome = reader.next(input, record);
            if (outcome == ReadOutcome::broken) return outcome;
            if (outcome == ReadOutcome::more) break;
            records.emplace_back(as_text(record));
        }
        RC_ASSERT(input.empty());
    }
    return ReadOutcome::more;
}

RC_GTEST_PROP(RecordReader, AnySplitOfTheBytesGivesTheSameRecords, ()) {
    const auto sizes =
        *rc::gen::container<std::vector<std::size_t>>(rc::gen::weightedOneOf<std::size_t>(
            {{10, rc::gen::inRange<std::size_t>(0, 50)},
             {1, rc::gen::inRange<std::size_t>(0, size_max - record_header_size)}}));
    const auto pieces = *rc::gen::container<std::vector<std::size_t>>(
        rc::gen::weightedOneOf<std::size_t>({{10, rc::gen::inRange<std::size_t>(1, 20)},
                                             {1, rc::gen::inRange<std::size_t>(1, 200'000)}}));
    std::vector<std::string> sent;
    std::string bytes;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        sent.push_back(make_record(std::string(sizes[i], static_cast<char>('a' + i % 26))));
        bytes += sent.back();
    }
    RecordReader reader(size_max);
    std::vector<std::string> records;
    RC_ASSERT(read(reader, bytes, pieces, records) == ReadOutcome::more);
    RC_ASSERT(records == sent);
    RC_ASSERT(reader.kept() == 0u);
}

RC_GTEST_PROP(RecordReader, WhatIsBrokenIsSaidBehindTheGoodRecordsWhateverTheSplit, ()) {
    const auto byte = *rc::gen::element<std::size_t>(0, 5, 6, 7);
    const auto pieces =
        *rc::gen::container<std::vector<std::size_t>>(rc::gen::inRange<std::size_t>(1, 10));
    std::string bad = make_record("bad");
    bad[byte] = byte == 0 ? '\3' : '\7';
    RecordReader reader(size_max);
    std::vector<std::string> records;
    RC_ASSERT(read(reader, make_record("good") + bad, pieces, records) == ReadOutcome::broken);
    RC_ASSERT(records == std::vector<std::string>{make_record("good")});
    RC_ASSERT(reader.sentence().find("header") != std::string::npos);
}

TEST(RecordReader, ARecordAboveTheLimitBreaksAndOneAtTheLimitDoesNot) {
    RecordReader reader(size_max);
    std::vector<std::string> records;
    const std::string largest = make_record(std::string(size_max - record_header_size, 'x'));
    EXPECT_EQ(read(reader, largest, {}, records), ReadOutcome::more);
    EXPECT_EQ(records.size(), 1u);
    const std::string larger = make_record(std::string(size_max - record_header_size + 1, 'x'));
    EXPECT_EQ(read(reader, larger.substr(0, 8), {}, records), ReadOutcome::broken);
    EXPECT_NE(reader.sentence().find("100001 bytes"), std::string::npos) << reader.sentence();
}

TEST(RecordReader, NothingIsAllocatedBecauseOfADeclaredSizeNorKeptWhenIdle) {
    RecordReader reader(64 * 1024 * 1024);
    std::vector<std::string> records;
    const std::string record = make_record(std::string(1'000'000, 'x'));
    EXPECT_EQ(read(reader, record.substr(0, 100), {}, records), ReadOutcome::more);
    EXPECT_EQ(reader.kept(), 100u);
    EXPECT_LE(reader.memory(), 256u);
    EXPECT_EQ(read(reader, record.substr(100), {}, records), ReadOutcome::more);
    EXPECT_EQ(records, std::vector<std::string>{record});
    EXPECT_EQ(reader.memory(), 0u);
}

}  // namespace
}  // namespace wspool::link
