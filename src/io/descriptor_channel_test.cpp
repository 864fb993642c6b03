// Channels over the kernel's sockets, where it refuses and where a peer ends or misbehaves.
#include "io/descriptor_channel.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

namespace wspool::io {
namespace {

std::size_t open_descriptors() {
    std::size_t count = 0;
    DIR* directory = ::opendir("/proc/self/fd");
    while (::readdir(directory) != nullptr) ++count;
    ::closedir(directory);
    return count;
}

// The same open file, whatever the number.
bool is_same_file(int one, int other) {
    struct stat a {};
    struct stat b {};
    return ::fstat(one, &a) == 0 && ::fstat(other, &b) == 0 && a.st_ino == b.st_ino;
}

class Channel : public testing::Test {
  protected:
    Channel() : before_(open_descriptors()) {
        const auto ends = make_socket_pair(PairKind::seqpacket).value();
        here_.emplace(ends[0]);
        there_.emplace(ends[1]);
        raw_ = ends[0];
    }
    ~Channel() override {
        here_.reset();
        there_.reset();
        EXPECT_EQ(open_descriptors(), before_);
    }

    // What the caller has to close.
    static int some_descriptor() {
        std::array<int, 2> ends{};
        EXPECT_EQ(::pipe(ends.data()), 0);
        ::close(ends[1]);
        return ends[0];
    }

    std::size_t before_;
    int raw_ = -1;  // of `here_`
    std::optional<SocketChannel> here_, there_;
    ChannelMessage message_;
};

TEST_F(Channel, ADescriptorArrivesWithItsMessageAndClosesOnExec) {
    const int fd = some_descriptor();
    ASSERT_EQ(here_->send(fd, as_bytes("one")), ChannelSend::sent);
    ASSERT_EQ(here_->send(-1, as_bytes("two")), ChannelSend::sent);
    ASSERT_EQ(there_->receive(message_), ChannelReceive::received);
    EXPECT_EQ(as_text(message_.message), "one");
    EXPECT_NE(message_.fd, fd);
    EXPECT_TRUE(is_same_file(message_.fd, fd));
    EXPECT_NE(::fcntl(message_.fd, F_GETFD) & FD_CLOEXEC, 0);
    ::close(message_.fd);
    ::close(fd);
    ASSERT_EQ(there_->receive(message_), ChannelReceive::received);
    EXPECT_EQ(as_text(message_.message), "two");
    EXPECT_EQ(message_.fd, -1);
    EXPECT_EQ(there_->receive(message_), ChannelReceive::nothing);
}

TEST_F(Channel, ManyDescriptorsKeepTheirOrderAndAFullSocketSaysSo) {
    const int fd = some_descriptor();
    std::size_t sent = 0;
    while (here_->send(fd, as_bytes(std::to_string(sent))) == ChannelSend::sent) {
        ASSERT_LT(++sent, 100'000u);
    }
    EXPECT_GT(sent, 64u);
    EXPECT_EQ(here_->send(fd, as_bytes("still full")), ChannelSend::full);
    for (std::size_t i = 0; i < sent; ++i) {
        ASSERT_EQ(there_->receive(message_), ChannelReceive::received);
        EXPECT_EQ(as_text(message_.message), std::to_string(i));
        EXPECT_TRUE(is_same_file(message_.fd, fd));
        ::close(message_.fd);
    }
    EXPECT_EQ(there_->receive(message_), ChannelReceive::nothing);
    EXPECT_EQ(here_->send(fd, as_bytes("again")), ChannelSend::sent);
    ::close(fd);
}

TEST_F(Channel, WithoutADescriptorLeftTheMessageComesAlone) {
    const int fd = some_descriptor();
    ASSERT_EQ(here_->send(fd, as_bytes("token")), ChannelSend::sent);
    ::close(fd);
    rlimit old{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &old), 0);
    // Below every number that is in use: none is free.
    const rlimit none{0, old.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
    const ChannelReceive outcome = there_->receive(message_);
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &old), 0);
    EXPECT_EQ(outcome, ChannelReceive::received);
    EXPECT_EQ(as_text(message_.message), "token");
    EXPECT_EQ(message_.fd, -1);
    EXPECT_EQ(there_->receive(message_), ChannelReceive::nothing);
}

TEST_F(Channel, WhatADeadPeerSentIsStillReceivedThoughItLeftOursUnread) {
    const int fd = some_descriptor();
    ASSERT_EQ(here_->send(-1, as_bytes("first")), ChannelSend::sent);
    ASSERT_EQ(here_->send(fd, as_bytes("last")), ChannelSend::sent);
    ASSERT_EQ(there_->send(fd, as_bytes("never read")), ChannelSend::sent);
    ::close(fd);
    here_.reset();
    EXPECT_EQ(there_->send(-1, as_bytes("in vain")), ChannelSend::gone);
    ASSERT_EQ(there_->receive(message_), ChannelReceive::received);
    EXPECT_EQ(as_text(message_.message), "first");
    ASSERT_EQ(there_->receive(message_), ChannelReceive::received);
    EXPECT_EQ(as_text(message_.message), "last");
    ASSERT_GE(message_.fd, 0);
    ::close(message_.fd);
    EXPECT_EQ(there_->receive(message_), ChannelReceive::ended);
    EXPECT_EQ(there_->receive(message_), ChannelReceive::ended);
}

TEST_F(Channel, APeerThatEndsQuietlyIsSeenToEnd) {
    here_.reset();
    EXPECT_EQ(there_->receive(message_), ChannelReceive::ended);
    EXPECT_EQ(there_->send(-1, as_bytes("x")), ChannelSend::gone);
}

// Whatever number of descriptors and bytes a peer puts into a message, none of them is kept
// beyond the one of a good message.
RC_GTEST_FIXTURE_PROP(Channel, NoMessageOfAPeerLeaksDescriptors, ()) {
    const auto count = *rc::gen::inRange<std::size_t>(0, 20);
    const auto size = *rc::gen::inRange<std::size_t>(1, 2 * channel_message_max);
    const int fd = some_descriptor();
    const std::vector<int> descriptors(count, fd);
    std::vector<std::byte> text(size, std::byte{'x'});
    std::vector<std::byte> control(CMSG_SPACE(count * sizeof(int)));
    iovec piece{text.data(), text.size()};
    msghdr header{};
    header.msg_iov = &piece;
    header.msg_iovlen = 1;
    if (count > 0) {
        header.msg_control = control.data();
        header.msg_controllen = control.size();
        cmsghdr* part = CMSG_FIRSTHDR(&header);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(count * sizeof(int));
        std::memcpy(CMSG_DATA(part), descriptors.data(), count * sizeof(int));
    }
    RC_ASSERT(::sendmsg(raw_, &header, MSG_DONTWAIT) == static_cast<ssize_t>(size));
    ::close(fd);
    const std::size_t held = open_descriptors();
    const ChannelReceive outcome = there_->receive(message_);
    const bool is_good = count <= 1 && size <= channel_message_max;
    RC_ASSERT(outcome == (is_good ? ChannelReceive::received : ChannelReceive::broken));
    RC_ASSERT(open_descriptors() == held + (is_good ? count : 0));
    if (message_.fd >= 0) ::close(message_.fd);
}

TEST(SocketPair, BothEndsAreConnectedAndCloseOnExec) {
    for (const PairKind kind : {PairKind::stream, PairKind::seqpacket}) {
        const auto ends = make_socket_pair(kind).value();
        for (const int end : ends) {
            EXPECT_NE(::fcntl(end, F_GETFD) & FD_CLOEXEC, 0);
            EXPECT_NE(::fcntl(end, F_GETFL) & O_NONBLOCK, 0);
        }
        EXPECT_EQ(::send(ends[0], "x", 1, MSG_DONTWAIT), 1);
        char byte = 0;
        EXPECT_EQ(::recv(ends[1], &byte, 1, MSG_DONTWAIT), 1);
        for (const int end : ends) ::close(end);
    }
}

}  // namespace
}  // namespace wspool::io
