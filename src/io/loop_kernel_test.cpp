// What only the kernel's loops have: watched descriptors, running out of descriptors, files of unix
// sockets, options that streams inherit.
#include "io/descriptor_channel.h"
#include "io/epoll_loop.h"
#include "io/listener.h"
#include "io/loop_driver.h"
#include "io/socket.h"
#include "io/uring_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

namespace wspool::io {
namespace {

using std::chrono::milliseconds;

const Address any_ipv4{Address::Family::ipv4, "127.0.0.1", 0};

struct KernelLoop {
    const char* name;
    Result<std::unique_ptr<Loop>> (*make)();
};

void PrintTo(const KernelLoop& loop, std::ostream* out) {
    *out << loop.name;
}

class LoopOnKernel : public testing::TestWithParam<KernelLoop> {
  protected:
    void SetUp() override {
        std::string pattern = "/tmp/wspool-io-test-XXXXXX";
        ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
        directory_ = pattern;
    }
    void TearDown() override {
        loop_.reset();
        ::unlink(path().c_str());
        ::rmdir(directory_.c_str());
    }

    [[nodiscard]] std::string path() const { return directory_ + "/file"; }
    [[nodiscard]] Loop& loop() { return *loop_; }
    [[nodiscard]] LoopDriver& driver() { return driver_; }
    [[nodiscard]] std::size_t readable_in_turn(Duration limit = Duration::zero()) {
        driver_.readable.clear();
        driver_.turn(limit);
        return driver_.readable.size();
    }

    std::unique_ptr<Loop> loop_ = GetParam().make().value();
    LoopDriver driver_{*loop_};
    std::string directory_;
};

INSTANTIATE_TEST_SUITE_P(
    Kernel,
    LoopOnKernel,
    testing::Values(
        KernelLoop{"uring", [] { return UringLoop::make(std::chrono::microseconds(50), {}); }},
        KernelLoop{"epoll", [] { return EpollLoop::make(std::chrono::microseconds(50)); }}),
    [](const auto& tested) { return std::string(tested.param.name); });

TEST_P(LoopOnKernel, ConnectsFromTheAddressItIsTold) {
    ASSERT_TRUE(driver().listen(any_ipv4));
    driver().connect_options.source = Address{Address::Family::ipv4, "127.0.0.7", 0};
    const Pair pair = driver().pair();
    const auto from = loop().peer_address(pair.server->id);
    ASSERT_TRUE(from);
    EXPECT_EQ(from->host, "127.0.0.7");
    EXPECT_EQ(loop().local_address(pair.client->id)->port, from->port);
}

TEST_P(LoopOnKernel, CannotConnectFromAnAddressThatIsNotOurs) {
    ASSERT_TRUE(driver().listen(any_ipv4));
    ConnectOptions options;
    options.source = Address{Address::Family::ipv4, "192.0.2.1", 0};
    const auto stream = loop().connect(driver().listen_address, 1, options);
    ASSERT_FALSE(stream);
    EXPECT_NE(stream.error().message.find("cannot connect from 192.0.2.1"), std::string::npos);
}

class Pipe {
  public:
    Pipe() { EXPECT_EQ(::pipe2(ends_.data(), O_NONBLOCK | O_CLOEXEC), 0); }
    ~Pipe() {
        ::close(ends_[0]);
        close_write();
    }
    [[nodiscard]] int read_end() const { return ends_[0]; }
    void write() { EXPECT_EQ(::write(ends_[1], "x", 1), 1); }
    [[nodiscard]] ssize_t read() {
        char c = 0;
        return ::read(ends_[0], &c, 1);
    }
    void close_write() {
        if (ends_[1] >= 0) ::close(ends_[1]);
        ends_[1] = -1;
    }

  private:
    std::array<int, 2> ends_{};
};

// ---- watched descriptors

TEST_P(LoopOnKernel, AWatchedDescriptorIsReportedInEveryTurnWhileReadable) {
    Pipe pipe;
    ASSERT_TRUE(loop().watch(pipe.read_end(), 7));
    EXPECT_EQ(readable_in_turn(milliseconds(1)), 0u);
    pipe.write();
    for (int i = 0; i < 3; ++i) ASSERT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
    EXPECT_EQ(driver().readable[0], 7u);
    EXPECT_EQ(pipe.read(), 1);
    EXPECT_EQ(readable_in_turn(milliseconds(1)), 0u);
    pipe.write();
    EXPECT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
    EXPECT_EQ(pipe.read(), 1);
    pipe.close_write();
    EXPECT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
    EXPECT_EQ(pipe.read(), 0);
}

TEST_P(LoopOnKernel, APausedWatchNeitherReportsNorSpins) {
    Pipe pipe;
    const auto id = loop().watch(pipe.read_end(), 7);
    ASSERT_TRUE(id);
    pipe.write();
    ASSERT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
    loop().pause(*id);
    pipe.close_write();
    for (int i = 0; i < 3; ++i) {
        const Instant before = loop().now();
        ASSERT_EQ(readable_in_turn(milliseconds(2)), 0u);
        // The first may end early for what was noticed before the pause.
        if (i > 0) {
            ASSERT_GE(loop().now() - before, milliseconds(2));
        }
    }
    loop().resume(*id);
    EXPECT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
    loop().pause(*id);
    loop().resume(*id);
    EXPECT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
    EXPECT_EQ(pipe.read(), 1);
    EXPECT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
}

TEST_P(LoopOnKernel, WhatIsReadDuringAPauseIsNotReportedAfterwards) {
    Pipe pipe;
    const auto id = loop().watch(pipe.read_end(), 7);
    ASSERT_TRUE(id);
    loop().pause(*id);
    pipe.write();
    EXPECT_EQ(readable_in_turn(milliseconds(1)), 0u);
    EXPECT_EQ(pipe.read(), 1);
    loop().resume(*id);
    EXPECT_EQ(readable_in_turn(milliseconds(1)), 0u);
    pipe.write();
    EXPECT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
}

TEST_P(LoopOnKernel, ARegularFileIsAlwaysReadableUnlessPaused) {
    const int fd = ::open(path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    const auto id = loop().watch(fd, 7);
    ASSERT_TRUE(id);
    for (int i = 0; i < 3; ++i) ASSERT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
    loop().pause(*id);
    EXPECT_EQ(readable_in_turn(), 0u);
    const Instant before = loop().now();
    EXPECT_EQ(readable_in_turn(milliseconds(2)), 0u);
    EXPECT_GE(loop().now() - before, milliseconds(2));
    loop().resume(*id);
    EXPECT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
    loop().close(*id);
    EXPECT_EQ(readable_in_turn(milliseconds(1)), 0u);
    EXPECT_EQ(::close(fd), 0);
}

TEST_P(LoopOnKernel, ClosingAWatchLeavesTheDescriptorToItsOwner) {
    Pipe pipe;
    const auto id = loop().watch(pipe.read_end(), 7);
    ASSERT_TRUE(id);
    pipe.write();
    loop().close(*id);
    EXPECT_EQ(readable_in_turn(milliseconds(1)), 0u);
    EXPECT_EQ(pipe.read(), 1);
    ASSERT_TRUE(loop().watch(pipe.read_end(), 8));
    pipe.write();
    ASSERT_EQ(readable_in_turn(std::chrono::seconds(10)), 1u);
    EXPECT_EQ(driver().readable[0], 8u);
}

TEST_P(LoopOnKernel, ADescriptorThatIsNotOpenCannotBeWatched) {
    const auto id = loop().watch(12345, 7);
    ASSERT_FALSE(id);
    EXPECT_EQ(id.error().os_code, EBADF);
}

TEST_P(LoopOnKernel, WhatIsNoSocketOfThatKindIsNotAdoptedAndStaysTheCallers) {
    Pipe pipe;
    const int listener = open_listener(any_ipv4, {}).value();
    const auto ends = make_socket_pair(PairKind::stream).value();
    const auto packets = make_socket_pair(PairKind::seqpacket).value();
    EXPECT_FALSE(loop().adopt(pipe.read_end(), 1));
    EXPECT_FALSE(loop().adopt(listener, 1));
    EXPECT_FALSE(loop().adopt(packets[0], 1));
    EXPECT_FALSE(loop().adopt_listener(pipe.read_end(), {}, 1));
    EXPECT_FALSE(loop().adopt_listener(ends[0], {}, 1));
    const auto closed = loop().adopt(12345, 1);
    ASSERT_FALSE(closed);
    EXPECT_EQ(closed.error().os_code, EBADF);
    for (const int fd : {listener, ends[0], ends[1], packets[0], packets[1]}) {
        EXPECT_EQ(::close(fd), 0);
    }
}

// Another process's end of the same socket must not wake this one for ever.
TEST_P(LoopOnKernel, AReleasedSocketThatLivesOnElsewhereIsWatchedNoMore) {
    const auto ends = make_socket_pair(PairKind::stream).value();
    const StreamId id = loop().adopt(ends[0], 1).value();
    driver().turn(Duration::zero());
    const int elsewhere = ::dup(loop().release(id).value());
    EXPECT_EQ(::close(ends[0]), 0);
    driver().turn(Duration::zero());
    ASSERT_EQ(::send(ends[1], "x", 1, MSG_NOSIGNAL), 1);
    // Not even in vain: the time would be over early.
    const Instant deadline = loop().now() + milliseconds(20);
    loop().wait(deadline);
    EXPECT_GE(loop().now(), deadline);
    ASSERT_TRUE(driver().adopt(elsewhere) != nullptr);
    ASSERT_TRUE(driver().until([&] { return driver().sides[0].received == "x"; }));
    ::close(ends[1]);
}

TEST_P(LoopOnKernel, AnAdoptedConnectionThatIsBrokenAlreadyFailsAsAnyOther) {
    ASSERT_TRUE(driver().listen(any_ipv4));
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    const int fd = driver().release(*server);
    driver().close(*client, CloseMode::reset);
    driver().idle();
    ASSERT_TRUE(driver().adopt(fd, *server));
    ASSERT_TRUE(driver().until([s = server] { return !s->failures.empty(); }));
}

// ---- running out of descriptors

class DescriptorLimitTo {
  public:
    explicit DescriptorLimitTo(rlim_t limit) {
        getrlimit(RLIMIT_NOFILE, &original_);
        rlimit lower = original_;
        lower.rlim_cur = limit;
        EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
    }
    ~DescriptorLimitTo() { setrlimit(RLIMIT_NOFILE, &original_); }
    DescriptorLimitTo(const DescriptorLimitTo&) = delete;
    DescriptorLimitTo& operator=(const DescriptorLimitTo&) = delete;

  private:
    rlimit original_{};
};

// The number that the next descriptor would get.
rlim_t next_descriptor() {
    const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    ::close(fd);
    return static_cast<rlim_t>(fd);
}

int open_client() {
    return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

void connect_client(int fd, const Address& address) {
    const auto to = to_socket_address(address);
    ASSERT_TRUE(to);
    ASSERT_EQ(::connect(fd, to->get(), to->size), 0);
}

std::string read_to_end(int fd) {
    std::string all;
    std::array<char, 256> buffer;
    for (;;) {
        const ssize_t n = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (n <= 0) return all;
        all.append(buffer.data(), static_cast<std::size_t>(n));
    }
}

ListenOptions with_refusal() {
    ListenOptions options;
    options.refusal = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
    return options;
}

TEST_P(LoopOnKernel, WithoutADescriptorTheClientIsToldAndTheNextOneServed) {
    ASSERT_TRUE(driver().listen(any_ipv4, with_refusal()));
    const std::array<int, 3> clients = {open_client(), open_client(), open_client()};
    {
        const DescriptorLimitTo limit(next_descriptor());
        for (int round = 1; round <= 2; ++round) {
            const int client = clients[static_cast<std::size_t>(round) - 1];
            connect_client(client, driver().listen_address);
            ASSERT_EQ(::send(client, "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
            ASSERT_TRUE(driver().until([&] { return driver().refusals == round; }));
            EXPECT_EQ(read_to_end(client), with_refusal().refusal);
        }
        EXPECT_EQ(driver().pauses, 0);
        const Instant before = loop().now();
        driver().turn(milliseconds(2));
        EXPECT_GE(loop().now() - before, milliseconds(2));
    }
    connect_client(clients[2], driver().listen_address);
    EXPECT_TRUE(driver().until([&] { return driver().accepted.size() == 1; }));
    for (const int client : clients) ::close(client);
}

TEST_P(LoopOnKernel, AListenerThatCannotEvenRefuseRestsWithoutSpinning) {
    ASSERT_TRUE(driver().listen(any_ipv4, with_refusal()));
    const int client = open_client();
    {
        const DescriptorLimitTo limit(3);
        connect_client(client, driver().listen_address);
        ASSERT_TRUE(driver().until([&] { return driver().pauses == 1; }));
        const Instant before = loop().now();
        int turns = 0;
        while (loop().now() - before < milliseconds(30)) {
            driver().turn(milliseconds(10));
            ++turns;
        }
        EXPECT_LE(turns, 4);
        EXPECT_EQ(driver().pauses, 1);
        EXPECT_TRUE(driver().until([&] { return driver().pauses == 2; }));
        EXPECT_GE(loop().now() - before, milliseconds(80));
    }
    EXPECT_TRUE(driver().until([&] { return driver().accepted.size() == 1; }));
    EXPECT_EQ(driver().refusals, 0);
    ::close(client);
}

TEST_P(LoopOnKernel, ARestingListenerGoesOnWhenAStreamIsClosed) {
    ASSERT_TRUE(driver().listen(any_ipv4, with_refusal()));
    const auto [client, server] = driver().pair();
    ASSERT_NE(client, nullptr);
    const int other = open_client();
    {
        const DescriptorLimitTo limit(3);
        connect_client(other, driver().listen_address);
        ASSERT_TRUE(driver().until([&] { return driver().pauses == 1; }));
    }
    const Instant before = loop().now();
    driver().close(*server);
    ASSERT_TRUE(driver().until([&] { return driver().accepted.size() == 2; }));
    EXPECT_LT(loop().now() - before, milliseconds(90));
    ::close(other);
}

TEST_P(LoopOnKernel, AClosedListenerRestsNoMore) {
    ASSERT_TRUE(driver().listen(any_ipv4, with_refusal()));
    const int client = open_client();
    {
        const DescriptorLimitTo limit(3);
        connect_client(client, driver().listen_address);
        ASSERT_TRUE(driver().until([&] { return driver().pauses == 1; }));
        loop().close(driver().listener);
        driver().idle();
    }
    const Instant before = loop().now();
    driver().turn(milliseconds(150));
    EXPECT_GE(loop().now() - before, milliseconds(150));
    EXPECT_TRUE(driver().accepted.empty());
    ::close(client);
}

TEST_P(LoopOnKernel, WithoutADescriptorConnectingIsAnError) {
    ASSERT_TRUE(driver().listen(any_ipv4));
    const DescriptorLimitTo limit(3);
    const auto made = loop().connect(driver().listen_address, 1);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().os_code, EMFILE);
}

// ---- listeners

TEST_P(LoopOnKernel, TheFileOfADeadServerIsReplacedAndThatOfALivingOneIsNot) {
    const Address address{Address::Family::unix_path, path(), 0};
    const auto first = loop().listen(address, {}, 1);
    ASSERT_TRUE(first);
    const auto second = loop().listen(address, {}, 2);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().os_code, EADDRINUSE);
    loop().close(*first);
    loop().wait(loop().now());
    EXPECT_NE(::access(path().c_str(), F_OK), 0) << "the file went with its listener";

    const int dead = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const auto to = to_socket_address(address);
    ASSERT_EQ(::bind(dead, to->get(), to->size), 0);
    ::close(dead);
    EXPECT_TRUE(loop().listen(address, {}, 3));
}

TEST_P(LoopOnKernel, AFileThatIsNoSocketIsLeftAlone) {
    const int fd = ::open(path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_GE(fd, 0);
    ::close(fd);
    const auto listener = loop().listen({Address::Family::unix_path, path(), 0}, {}, 1);
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().os_code, EADDRINUSE);
    EXPECT_EQ(::access(path().c_str(), F_OK), 0);
}

TEST_P(LoopOnKernel, AnAddressThatIsNotOursIsAnErrorWithASentence) {
    const auto listener = loop().listen({Address::Family::ipv4, "192.0.2.1", 0}, {}, 1);
    ASSERT_FALSE(listener);
    EXPECT_EQ(listener.error().os_code, EADDRNOTAVAIL);
    EXPECT_NE(listener.error().message.find("192.0.2.1:0"), std::string::npos);
}

TEST_P(LoopOnKernel, ASecondListenerOnAnAddressIsAnError) {
    const auto first = loop().listen(parse_address("127.0.0.1:0").value(), {}, 0);
    ASSERT_TRUE(first);
    const auto second = loop().listen(loop().local_address(*first).value(), {}, 0);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().os_code, EADDRINUSE);
}

TEST_P(LoopOnKernel, AnIpv6ListenerLeavesThePortToIpv4) {
    const auto v6 = loop().listen({Address::Family::ipv6, "::", 0}, {}, 1);
    ASSERT_TRUE(v6);
    const std::uint16_t port = loop().local_address(*v6)->port;
    const int client = open_client();
    const auto to = to_socket_address({Address::Family::ipv4, "127.0.0.1", port});
    EXPECT_NE(::connect(client, to->get(), to->size), 0);
    ::close(client);
}

TEST_P(LoopOnKernel, StreamsInheritTheListenersOptions) {
    ListenOptions options;
    options.send_buffer = 65'536;
    options.user_timeout = std::chrono::seconds(7);
    ASSERT_TRUE(driver().listen(any_ipv4, options));
    const int client = open_client();
    connect_client(client, driver().listen_address);
    const auto accepted_fd = static_cast<int>(next_descriptor());
    ASSERT_TRUE(driver().until([&] { return driver().accepted.size() == 1; }));
    const auto option = [&](int level, int name) {
        int value = 0;
        socklen_t size = sizeof value;
        EXPECT_EQ(getsockopt(accepted_fd, level, name, &value, &size), 0);
        return value;
    };
    EXPECT_EQ(option(IPPROTO_TCP, TCP_NODELAY), 1);
    EXPECT_EQ(option(IPPROTO_TCP, TCP_USER_TIMEOUT), 7000);
    EXPECT_EQ(option(SOL_SOCKET, SO_SNDBUF), 2 * 65'536);  // the kernel doubles it
    EXPECT_NE(::fcntl(accepted_fd, F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(accepted_fd, F_GETFD) & FD_CLOEXEC, 0);
    ::close(client);
}

TEST_P(LoopOnKernel, NoDescriptorIsLeftBehind) {
    const rlim_t before = next_descriptor();
    for (int round = 0; round < 3; ++round) {
        ASSERT_TRUE(driver().listen(any_ipv4));
        for (int i = 0; i < 10; ++i) {
            const auto [client, server] = driver().pair();
            ASSERT_NE(client, nullptr);
            driver().close(*client, i % 2 == 0 ? CloseMode::reset : CloseMode::graceful);
            driver().close(*server);
        }
        loop().close(driver().listener);
        driver().turn(Duration::zero());
    }
    EXPECT_EQ(next_descriptor(), before);
}

}  // namespace
}  // namespace wspool::io
