#include "wire/control_records.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <string>
#include <vector>

namespace wspool::wire {
namespace {

std::string written(const ByteBuffer& bytes) {
    return std::string(as_text(bytes.view()));
}

TEST(ControlRecords, ACommandReadsAsItWasWritten) {
    ByteBuffer out;
    encode(out,
           Command{.number = 7,
                   .asker = 9,
                   .kind = CommandKind::disconnect,
                   .code = 4000,
                   .reason = "enough"});
    Command read;
    ASSERT_TRUE(decode(out.view(), read));
    EXPECT_EQ(read.number, 7u);
    EXPECT_EQ(read.asker, 9u);
    EXPECT_EQ(read.kind, CommandKind::disconnect);
    EXPECT_EQ(read.code, 4000);
    EXPECT_EQ(read.reason, "enough");
    EXPECT_FALSE(decode(out.view().first(out.size() - 1), read));
}

TEST(ControlRecords, AnAnswerMayBeAnyRefusal) {
    for (int i = 0; i < static_cast<int>(Refusal::count_); ++i) {
        ByteBuffer out;
        encode(out, CommandAnswer{.number = 7, .refusal = static_cast<Refusal>(i)});
        CommandAnswer read;
        ASSERT_TRUE(decode(out.view(), read)) << i;
        EXPECT_EQ(read.refusal, static_cast<Refusal>(i));
    }
}

RC_GTEST_PROP(ControlRecords,
              AReplyHoldsItsClientsAndTheirGroups,
              (const std::vector<std::uint32_t>& counts, bool is_cut)) {
    ItemList<ClientItem> items;
    for (const std::uint32_t count : counts) {
        ItemList<NameItem> groups;
        for (std::uint32_t i = 0; i < count % 5; ++i) groups.add({"group"});
        items.add({.id = "a",
                   .priority = 2,
                   .group_count = count,
                   .listed = groups.count(),
                   .groups = groups.view()});
    }
    ByteBuffer out;
    encode(out,
           Reply{.number = 1,
                 .kind = QuestionKind::client,
                 .count = items.count() + (is_cut ? 1 : 0),
                 .items = items.view()});
    Reply reply;
    RC_ASSERT(decode(out.view(), reply) == !is_cut);
    if (is_cut) return;
    ClientCursor cursor(reply.items, reply.count);
    ClientItem item;
    for (const std::uint32_t count : counts) {
        RC_ASSERT(cursor.next(item));
        RC_ASSERT(item.group_count == count);
        RC_ASSERT(item.listed == count % 5);
    }
    RC_ASSERT(!cursor.next(item));
}

TEST(ControlRecords, WhatStandsInAListIsCheckedToo) {
    ItemList<NameItem> groups;
    groups.add({"group"});
    ItemList<ClientItem> items;
    items.add({.id = "a", .listed = 2, .groups = groups.view()});
    ByteBuffer out;
    encode(out, Reply{.kind = QuestionKind::client, .count = items.count(), .items = items.view()});
    Reply reply;
    EXPECT_FALSE(decode(out.view(), reply));
    // The same bytes as groups are none either.
    out.clear();
    encode(out, Reply{.kind = QuestionKind::groups, .count = items.count(), .items = items.view()});
    EXPECT_FALSE(decode(out.view(), reply));
}

TEST(ControlRecords, AQuestionHoldsItsNames) {
    ItemList<NameItem> names;
    names.add({"a"});
    names.add({"b"});
    ByteBuffer out;
    encode(out,
           Question{.number = 3,
                    .kind = QuestionKind::members,
                    .count = names.count(),
                    .names = names.view()});
    Question question;
    ASSERT_TRUE(decode(out.view(), question));
    ByteBuffer again;
    encode(again, question);
    EXPECT_EQ(written(again), written(out));
    encode(out, Question{.count = 1});
    EXPECT_FALSE(decode(out.view().subspan(again.size()), question));
}

}  // namespace
}  // namespace wspool::wire
