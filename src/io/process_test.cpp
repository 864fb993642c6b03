#include "io/process.h"

#include "io/descriptor.h"
#include "io/shared_memory.h"
#include "io/signals.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <fstream>
#include <string>

namespace wspool::io {
namespace {

// Runs `program` in a child; its result is the exit status.
template <class Program>
pid_t start_child(Program program) {
    const auto pid = fork_process();
    if (!pid) {
        ADD_FAILURE() << pid.error().message;
        return -1;
    }
    if (*pid == 0) ::_exit(program());
    return *pid;
}

EndedChild wait_for_child() {
    for (;;) {
        if (const auto ended = reap_child()) return *ended;
        siginfo_t info{};
        ::waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
    }
}

TEST(SharedMemory, IsZeroAndSeenByBothSidesOfAFork) {
    auto memory = SharedMemory::make(4096);
    ASSERT_TRUE(memory) << memory.error().message;
    const MutableBytes bytes = memory->bytes();
    ASSERT_EQ(bytes.size(), 4096u);
    for (const std::byte b : bytes) ASSERT_EQ(b, std::byte{0});
    start_child([&] {
        bytes[7] = std::byte{42};
        return 0;
    });
    wait_for_child();
    EXPECT_EQ(bytes[7], std::byte{42});
}

TEST(SharedMemory, TooMuchIsRefusedWithASentence) {
    const auto memory = SharedMemory::make(SIZE_MAX / 2);
    ASSERT_FALSE(memory);
    EXPECT_NE(memory.error().message.find("memory"), std::string::npos);
}

TEST(Process, AnExitStatusIsReported) {
    const pid_t pid = start_child([] { return 7; });
    const EndedChild ended = wait_for_child();
    EXPECT_EQ(ended.pid, pid);
    EXPECT_FALSE(ended.by_signal);
    EXPECT_EQ(ended.detail, 7);
    EXPECT_FALSE(reap_child());
}

TEST(Process, ASignalIsReported) {
    const pid_t pid = start_child([]() -> int {
        for (;;) ::pause();
    });
    send_signal(pid, SIGKILL);
    const EndedChild ended = wait_for_child();
    EXPECT_EQ(ended.pid, pid);
    EXPECT_TRUE(ended.by_signal);
    EXPECT_EQ(ended.detail, SIGKILL);
}

bool is_open(int fd) {
    return ::fcntl(fd, F_GETFD) >= 0;
}

TEST(Process, AChildKeepsTheStandardDescriptorsAndWhatItIsGiven) {
    std::array<int, 6> opened{};
    for (int& fd : opened) fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    const pid_t parent = own_process_id();
    start_child([&] {
        const std::array<int, 3> keep = {opened[4], opened[1], opened[2]};
        become_child(parent, keep);
        for (const int fd : {0, 1, 2, opened[1], opened[2], opened[4]}) {
            if (!is_open(fd)) return 1;
        }
        for (const int fd : {opened[0], opened[3], opened[5]}) {
            if (is_open(fd)) return 2;
        }
        return 0;
    });
    EXPECT_EQ(wait_for_child().detail, 0);
    for (const int fd : opened) ::close(fd);
}

TEST(Process, AChildIgnoresWhatItsParentPassesOnAndWaitsForSigtermInOrder) {
    auto signals = Signals::block({SIGTERM, SIGINT, SIGCHLD});
    ASSERT_TRUE(signals);
    const pid_t parent = own_process_id();
    start_child([&] {
        become_child(parent, {});
        auto own = Signals::block({SIGTERM});
        if (!own) return 1;
        ::raise(SIGINT);
        ::raise(SIGHUP);
        ::raise(SIGUSR2);
        ::raise(SIGTERM);
        if (own->next() != SIGTERM) return 2;
        sigset_t blocked;
        pthread_sigmask(SIG_SETMASK, nullptr, &blocked);
        return sigismember(&blocked, SIGCHLD) != 0 ? 3 : 0;
    });
    EXPECT_EQ(wait_for_child().detail, 0);
}

TEST(Process, AChildIsToldOfTheEndOfItsParent) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
    start_child([&] {
        const pid_t parent = own_process_id();
        const auto grandchild = fork_process();
        if (!grandchild) return 1;
        if (*grandchild != 0) return 0;
        const std::array<int, 1> keep = {pipe[1]};
        become_child(parent, keep);
        auto own = Signals::block({SIGTERM});
        if (!own) ::_exit(1);
        pollfd wanted{own->fd(), POLLIN, 0};
        ::poll(&wanted, 1, 10'000);
        const char told = own->next() == SIGTERM ? 'y' : 'n';
        ::_exit(::write(pipe[1], &told, 1) == 1 ? 0 : 1);
    });
    wait_for_child();
    ::close(pipe[1]);
    char told = 0;
    EXPECT_EQ(::read(pipe[0], &told, 1), 1);
    EXPECT_EQ(told, 'y');
    ::close(pipe[0]);
}

TEST(Process, ATitleReplacesTheCommandLine) {
    start_child([] {
        // As the kernel lays them out.
        static char words[] = "wspool\0serve\0--echo";
        std::array<char*, 4> argv = {words, words + 7, words + 13, nullptr};
        remember_arguments(3, argv.data());
        set_process_title("wspool: worker 0", "wspool/w0");
        if (std::string(words, sizeof words) != std::string("wspool: worker 0\0\0\0\0", 20))
            return 1;
        set_process_title("a title that is longer than the room", "wspool/w0");
        if (std::string(words, sizeof words) != std::string("a title that is lon\0", 20)) return 2;
        std::ifstream file("/proc/self/comm");
        std::string name;
        std::getline(file, name);
        return name == "wspool/w0" ? 0 : 3;
    });
    EXPECT_EQ(wait_for_child().detail, 0);
}

TEST(Process, ThereIsAtLeastOneProcessor) {
    EXPECT_GE(usable_processors(), 1u);
}

TEST(DescriptorTest, ClosesWhatItOwnsAndNothingElse) {
    const int fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    {
        Descriptor first(fd);
        Descriptor second(std::move(first));
        EXPECT_EQ(second.get(), fd);
        EXPECT_TRUE(is_open(fd));
    }
    EXPECT_FALSE(is_open(fd));
    const int other = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
    {
        Descriptor owner(other);
        EXPECT_EQ(owner.release(), other);
    }
    EXPECT_TRUE(is_open(other));
    ::close(other);
}

}  // namespace
}  // namespace wspool::io
