// Sockets that one process opens and others accept from.
#include "io/listener.h"

#include "io/epoll_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace wspool::io {
namespace {

const Address any_port{Address::Family::ipv4, "127.0.0.1", 0};

void close_all(const Listening& listening) {
    for (const int fd : listening.descriptors) ::close(fd);
}

TEST(Listener, SeveralShareOnePortAndEachGetsItsPart) {
    const auto listening = open_listeners(any_port, {}, 3);
    ASSERT_TRUE(listening) << listening.error().message;
    EXPECT_NE(listening->address.port, 0);
    auto loop = EpollLoop::make({}).value();
    std::vector<StreamId> listeners;
    for (const int fd : listening->descriptors) {
        EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        EXPECT_NE(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
        listeners.push_back(loop->adopt_listener(fd, {}, listeners.size()).value());
    }
    constexpr int count = 90;
    for (int i = 0; i < count; ++i) ASSERT_TRUE(loop->connect(listening->address, 99));
    std::array<int, 3> accepted{};
    const Instant limit = loop->now() + std::chrono::seconds(10);
    while (accepted[0] + accepted[1] + accepted[2] < count && loop->now() < limit) {
        loop->wait(limit);
        Event event{};
        while (loop->next_event(event)) {
            if (event.kind == EventKind::accepted) ++accepted[event.owner];
        }
    }
    EXPECT_EQ(accepted[0] + accepted[1] + accepted[2], count);
    for (const int part : accepted) EXPECT_GT(part, 0);
}

TEST(Listener, APortThatSomebodyHasIsRefusedEvenWhereHeWouldShareIt) {
    const auto first = open_listeners(any_port, {}, 2);
    ASSERT_TRUE(first);
    const auto second = open_listeners(first->address, {}, 2);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().os_code, EADDRINUSE);
    EXPECT_FALSE(open_listener(first->address, {}));
    close_all(*first);
}

TEST(Listener, AUnixPathIsOneQueueForAll) {
    std::string directory = "/tmp/wspool-io-test-XXXXXX";
    ASSERT_NE(::mkdtemp(directory.data()), nullptr);
    const Address address{Address::Family::unix_path, directory + "/socket", 0};
    const auto listening = open_listeners(address, {}, 2);
    ASSERT_TRUE(listening) << listening.error().message;
    EXPECT_EQ(listening->address, address);
    EXPECT_NE(listening->descriptors[0], listening->descriptors[1]);
    auto loop = EpollLoop::make({}).value();
    const StreamId first = loop->adopt_listener(listening->descriptors[0], {}, 1).value();
    ASSERT_TRUE(loop->adopt_listener(listening->descriptors[1], {}, 2));
    loop->close(first, CloseMode::reset);
    ASSERT_TRUE(loop->connect(address, 3));
    bool is_accepted = false;
    const Instant limit = loop->now() + std::chrono::seconds(10);
    while (!is_accepted && loop->now() < limit) {
        loop->wait(limit);
        Event event{};
        while (loop->next_event(event)) {
            is_accepted = is_accepted || (event.kind == EventKind::accepted && event.owner == 2);
        }
    }
    EXPECT_TRUE(is_accepted);
    // The file is whose who opened it.
    EXPECT_EQ(::unlink(address.host.c_str()), 0);
    ::rmdir(directory.c_str());
}

}  // namespace
}  // namespace wspool::io
