#include "wire.h"

#include "deaths.h"

#include <gtest/gtest.h>

namespace wspool::chaos {
namespace {

using std::chrono::seconds;

// What a gateway makes of a broadcast of ours.
std::string delivered(const Wire& wire, MessageIndex message) {
    std::string text = wire.broadcast("g1", message);
    return text.substr(0, text.rfind(R"(,"id")")) + "}";
}

TEST(Wire, ReadsWhatItPublishes) {
    const Wire wire(64);
    const std::string text = delivered(wire, 17);
    const Heard heard = wire.read(text);
    EXPECT_EQ(heard.kind, HeardKind::broadcast);
    EXPECT_EQ(heard.group, "g1");
    EXPECT_EQ(heard.message, 17u);
    EXPECT_FALSE(heard.offset);
}

TEST(Wire, APayloadThatWasChangedIsNotRead) {
    const Wire wire(64);
    std::string text = delivered(wire, 17);
    text[text.find('x') + 20] = 'y';
    EXPECT_EQ(wire.read(text).kind, HeardKind::other);
}

TEST(Wire, ReadsAnOffsetAtTheEndOnly) {
    const Wire wire(0);
    EXPECT_EQ(
        wire.read(R"({"type":"broadcast","group":"g","payload":{"m":1,"x":""},"offset":9})").offset,
        9u);
    EXPECT_EQ(
        wire.read(R"({"type":"broadcast","group":"g","offset":9,"payload":{"m":1,"x":""}})").kind,
        HeardKind::other);
}

TEST(Wire, ReadsDirects) {
    const Wire wire(0);
    const Heard heard = wire.read(R"({"type":"direct","payload":{"m":3,"x":""},"from":"c7"})");
    EXPECT_EQ(heard.kind, HeardKind::direct);
    EXPECT_EQ(heard.message, 3u);
    EXPECT_EQ(heard.from, "c7");
}

TEST(Wire, ReadsAnswers) {
    const Wire wire(0);
    const Heard join =
        wire.read(R"({"type":"ack","id":5,"group":"g","epoch":"e","offset":7,"recovered":true})");
    EXPECT_EQ(join.kind, HeardKind::ack);
    EXPECT_EQ(join.id, 5u);
    EXPECT_EQ(join.epoch, "e");
    EXPECT_EQ(join.offset, 7u);
    EXPECT_EQ(join.recovered, true);
    EXPECT_EQ(wire.read(R"({"type":"ack","id":5})").id, 5u);
    const Heard error = wire.read(R"({"type":"error","id":5,"code":"unavailable","message":"x"})");
    EXPECT_EQ(error.kind, HeardKind::error);
    EXPECT_EQ(error.code, "unavailable");
    const Heard position =
        wire.read(R"({"type":"position","group":"g","epoch":"e","offset":7,"recovered":false})");
    EXPECT_EQ(position.kind, HeardKind::position);
    EXPECT_EQ(position.recovered, false);
    EXPECT_EQ(wire.read(R"({"type":"pong"})").kind, HeardKind::other);
}

TEST(Deaths, ExplainWhatIsLostSoonAfterThem) {
    Deaths deaths;
    const Instant killed_at(seconds(10));
    deaths.add(killed_at, std::nullopt);
    EXPECT_TRUE(deaths.explain_loss(killed_at));
    EXPECT_FALSE(deaths.explain_loss(killed_at - seconds(1)));
    EXPECT_FALSE(deaths.explain_loss(killed_at + seconds(5)));
    EXPECT_TRUE(deaths.explain_reset(killed_at - seconds(1), killed_at));
    EXPECT_FALSE(deaths.explain_reset(killed_at + Duration(1), killed_at + Duration(2)));
}

TEST(Deaths, AStoppedWorkerAcceptsNobody) {
    Deaths deaths;
    const Instant killed_at(seconds(10));
    deaths.add(killed_at, killed_at - seconds(3));
    EXPECT_TRUE(deaths.explain_reset(killed_at - seconds(4), killed_at));
    EXPECT_FALSE(deaths.explain_reset(killed_at - seconds(2), killed_at));
}

}  // namespace
}  // namespace wspool::chaos
