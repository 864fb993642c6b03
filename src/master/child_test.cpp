#include "master/child.h"

#include "master/link_message.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>

namespace wspool::master {
namespace {

// The master's end by hand, and the child's as it is.
class Bed {
  public:
    Bed() {
        const auto pair = io::make_socket_pair(io::PairKind::seqpacket);
        if (!pair) std::abort();
        master = std::make_unique<io::SocketChannel>((*pair)[0]);
        child = std::make_unique<ChildLink>(io::Descriptor((*pair)[1]));
    }
    void say(LinkMessageKind kind, int fd = -1, std::uint32_t index = 0, bool is_home = false) {
        LinkMessage message;
        message.kind = kind;
        message.index = index;
        message.incarnation = 70 + index;
        message.is_home = is_home ? 1 : 0;
        EXPECT_EQ(master->send(fd, encode(message)), io::ChannelSend::sent);
    }
    [[nodiscard]] MasterSays next() { return child->next(peer); }
    [[nodiscard]] std::optional<LinkMessage> hear() {
        io::ChannelMessage received;
        if (master->receive(received) != io::ChannelReceive::received) return std::nullopt;
        return decode(received.message);
    }

    std::unique_ptr<io::SocketChannel> master;
    std::unique_ptr<ChildLink> child;
    Peer peer;
};

io::Descriptor open_something() {
    return io::Descriptor(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

TEST(ChildLinkTest, HearsWhatTheMasterSaysInOrder) {
    Bed bed;
    EXPECT_EQ(bed.next(), MasterSays::nothing);
    bed.say(LinkMessageKind::drain);
    bed.say(LinkMessageKind::shut_down);
    bed.say(LinkMessageKind::stop);
    EXPECT_EQ(bed.next(), MasterSays::drain);
    EXPECT_EQ(bed.next(), MasterSays::shut_down);
    EXPECT_EQ(bed.next(), MasterSays::stop);
    EXPECT_EQ(bed.next(), MasterSays::nothing);
}

TEST(ChildLinkTest, AReloadBringsAFileAndOneOnly) {
    Bed bed;
    const io::Descriptor sent = open_something();
    bed.say(LinkMessageKind::reload, sent.get());
    bed.say(LinkMessageKind::reload);
    ASSERT_EQ(bed.next(), MasterSays::reload);
    EXPECT_GE(bed.child->take_config().get(), 0);
    EXPECT_LT(bed.child->take_config().get(), 0);
    ASSERT_EQ(bed.next(), MasterSays::reload);
    EXPECT_LT(bed.child->take_config().get(), 0);
}

TEST(ChildLinkTest, SaysThatItIsReadyAndThatItHasDrained) {
    Bed bed;
    bed.child->say_ready();
    bed.child->say_drained();
    bed.child->ask_drain();
    ASSERT_EQ(bed.hear()->kind, LinkMessageKind::ready);
    ASSERT_EQ(bed.hear()->kind, LinkMessageKind::drained);
    ASSERT_EQ(bed.hear()->kind, LinkMessageKind::ask_drain);
    EXPECT_FALSE(bed.hear());
}

TEST(ChildLinkTest, APeerIsWholeWhenBothOfItsDescriptorsHaveCome) {
    Bed bed;
    const io::Descriptor sent = open_something();
    bed.say(LinkMessageKind::peer_stream, sent.get(), 3, true);
    EXPECT_EQ(bed.next(), MasterSays::nothing);
    bed.say(LinkMessageKind::peer_channel, sent.get(), 3, true);
    ASSERT_EQ(bed.next(), MasterSays::peer);
    EXPECT_EQ(bed.peer.index, 3u);
    EXPECT_EQ(bed.peer.incarnation, 73u);
    EXPECT_TRUE(bed.peer.is_home);
    EXPECT_GE(bed.peer.stream.get(), 0);
    EXPECT_GE(bed.peer.channel.get(), 0);
    EXPECT_NE(bed.peer.stream.get(), bed.peer.channel.get());
}

TEST(ChildLinkTest, ALinkWithoutADescriptorIsTheEnd) {
    Bed bed;
    const io::Descriptor sent = open_something();
    bed.say(LinkMessageKind::peer_stream, -1, 1);
    bed.say(LinkMessageKind::peer_channel, sent.get(), 1);
    EXPECT_EQ(bed.next(), MasterSays::lost);
}

TEST(ChildLinkTest, TheMastersEndIsToldOnceAfterItsLastWords) {
    Bed bed;
    bed.say(LinkMessageKind::drain);
    bed.master.reset();
    EXPECT_EQ(bed.next(), MasterSays::drain);
    EXPECT_EQ(bed.next(), MasterSays::lost);
    EXPECT_EQ(bed.next(), MasterSays::nothing);
    bed.child->say_drained();
    bed.child->flush();
}

TEST(ChildLinkTest, WhatNoMasterSaysIsTakenForItsEnd) {
    Bed bed;
    EXPECT_EQ(bed.master->send(-1, as_bytes("hello")), io::ChannelSend::sent);
    EXPECT_EQ(bed.next(), MasterSays::lost);
    Bed other;
    other.say(LinkMessageKind::ready);
    EXPECT_EQ(other.next(), MasterSays::lost);
}

TEST(LinkMessageTest, OnlyWholeMessagesOfAKnownKindAreRead) {
    LinkMessage message;
    message.kind = LinkMessageKind::peer_channel;
    message.index = control_index;
    message.incarnation = UINT64_MAX;
    const auto bytes = encode(message);
    const auto read = decode(bytes);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->kind, message.kind);
    EXPECT_EQ(read->index, message.index);
    EXPECT_EQ(read->incarnation, message.incarnation);
    EXPECT_FALSE(decode(ByteView(bytes).first(bytes.size() - 1)));
    EXPECT_FALSE(decode({}));
    message.kind = static_cast<LinkMessageKind>(0);
    EXPECT_FALSE(decode(encode(message)));
    message.kind = static_cast<LinkMessageKind>(99);
    EXPECT_FALSE(decode(encode(message)));
}

}  // namespace
}  // namespace wspool::master
