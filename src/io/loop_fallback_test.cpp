// Which loop runs where the kernel does not give everything: sandboxes that forbid io_uring in
// whole or in part, and little locked memory. Each case runs in a child process, because such
// limits cannot be taken back.
#include "io/loop.h"
#include "io/loop_driver.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace wspool::io {
namespace {

const Address any_ipv4{Address::Family::ipv4, "127.0.0.1", 0};

// From now on the kernel answers this system call with `error`.
void forbid(long call, int error) {
    std::array<sock_filter, 4> code = {{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<unsigned>(call), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog program{code.size(), code.data()};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
        std::perror("seccomp");
        std::abort();
    }
}

// A user of its own, so that nothing else counts against its limit of locked memory.
void limit_locked_memory(rlim_t size) {
    const rlimit limit{size, size};
    if (setrlimit(RLIMIT_MEMLOCK, &limit) != 0) std::abort();
    const auto user = static_cast<uid_t>(700'000 + ::getpid());
    if (::geteuid() == 0 && ::setresuid(user, user, user) != 0) std::abort();
}

// "NAME|REASON" of a loop over which a conversation went, or what went wrong.
std::string try_loop(LoopChoice choice) {
    auto chosen = make_loop({choice});
    if (!chosen) {
        return "error " + std::to_string(chosen.error().os_code) + "|" + chosen.error().message;
    }
    LoopDriver driver(*chosen->loop);
    if (!driver.listen(any_ipv4)) return "no listener";
    const auto [client, server] = driver.pair();
    if (client == nullptr) return "no connection";
    driver.write(*client, "hello");
    if (!driver.until([s = server] { return s->received == "hello"; })) return "nothing received";
    const Instant deadline = driver.loop().now() + std::chrono::milliseconds(2);
    driver.loop().wait(deadline);
    if (driver.loop().now() < deadline) return "woke too early";
    return std::string(chosen->loop->name()) + "|" + chosen->reason;
}

std::string in_child(void (*limit)(), LoopChoice choice) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) return "no pipe";
    const pid_t child = ::fork();
    if (child == 0) {
        limit();
        const std::string outcome = try_loop(choice);
        const bool is_written = ::write(ends[1], outcome.data(), outcome.size()) > 0;
        ::_exit(is_written ? 0 : 1);
    }
    ::close(ends[1]);
    std::string outcome;
    std::array<char, 256> buffer;
    for (ssize_t n = 0; (n = ::read(ends[0], buffer.data(), buffer.size())) > 0;) {
        outcome.append(buffer.data(), static_cast<std::size_t>(n));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    return status == 0 ? outcome : "child ended with status " + std::to_string(status);
}

bool starts_with_io_uring(const std::string& outcome) {
    return outcome.starts_with("uring|io_uring: ");
}

TEST(ChosenLoop, WithoutLimitsIoUringIsTakenAndEpollWhenAsked) {
    EXPECT_TRUE(starts_with_io_uring(in_child([] {}, LoopChoice::automatic)));
    EXPECT_TRUE(starts_with_io_uring(in_child([] {}, LoopChoice::uring)));
    EXPECT_EQ(in_child([] {}, LoopChoice::epoll), "epoll|epoll: as asked");
}

TEST(ChosenLoop, WhereMakingARingIsForbiddenEpollRunsAndSaysWhy) {
    const auto forbid_setup = [] { forbid(SYS_io_uring_setup, EPERM); };
    const std::string outcome = in_child(forbid_setup, LoopChoice::automatic);
    EXPECT_TRUE(outcome.starts_with("epoll|epoll: the kernel refused io_uring_setup")) << outcome;
    EXPECT_NE(outcome.find("seccomp"), std::string::npos) << outcome;
    const std::string forced = in_child(forbid_setup, LoopChoice::uring);
    EXPECT_TRUE(forced.starts_with("error 1|io_uring was asked for")) << forced;
}

TEST(ChosenLoop, WhereUsingARingIsForbiddenEpollRuns) {
    const auto forbid_enter = [] { forbid(SYS_io_uring_enter, EPERM); };
    const std::string outcome = in_child(forbid_enter, LoopChoice::automatic);
    EXPECT_TRUE(outcome.starts_with("epoll|epoll: the kernel made a ring")) << outcome;
    const std::string forced = in_child(forbid_enter, LoopChoice::uring);
    EXPECT_TRUE(forced.starts_with("error 1|io_uring was asked for")) << forced;
}

TEST(ChosenLoop, AKernelWithoutIoUringGetsEpoll) {
    const auto hide = [] { forbid(SYS_io_uring_setup, ENOSYS); };
    EXPECT_TRUE(in_child(hide, LoopChoice::automatic).starts_with("epoll|"));
    const auto too_old = [] { forbid(SYS_io_uring_setup, EINVAL); };
    EXPECT_TRUE(in_child(too_old, LoopChoice::automatic).starts_with("epoll|"));
}

TEST(ChosenLoop, IoUringRunsWithoutARegisteredDescriptor) {
    const auto limit = [] { forbid(SYS_io_uring_register, EPERM); };
    EXPECT_TRUE(starts_with_io_uring(in_child(limit, LoopChoice::automatic)));
}

TEST(ChosenLoop, EpollRunsWithoutItsNewestCall) {
    const auto hide = [] { forbid(SYS_epoll_pwait2, ENOSYS); };
    EXPECT_TRUE(in_child(hide, LoopChoice::epoll).starts_with("epoll|"));
    const auto refuse = [] { forbid(SYS_epoll_pwait2, EPERM); };
    EXPECT_TRUE(in_child(refuse, LoopChoice::epoll).starts_with("epoll|"));
}

TEST(ChosenLoop, LittleLockedMemoryGivesASmallerRing) {
    const std::string outcome =
        in_child([] { limit_locked_memory(64 * 1024); }, LoopChoice::automatic);
    EXPECT_TRUE(outcome.find("256/1024") != std::string::npos ||
                outcome.find("64/128") != std::string::npos)
        << outcome;
}

TEST(ChosenLoop, NoLockedMemoryGivesEpoll) {
    const auto limit = [] { limit_locked_memory(0); };
    const std::string outcome = in_child(limit, LoopChoice::automatic);
    EXPECT_TRUE(outcome.starts_with("epoll|")) << outcome;
    EXPECT_NE(outcome.find("ulimit -l"), std::string::npos) << outcome;
    const std::string forced = in_child(limit, LoopChoice::uring);
    EXPECT_TRUE(forced.starts_with("error 12|io_uring was asked for")) << forced;
}

TEST(ChosenLoopDeathTest, ARingThatIsRefusedLaterEndsTheProcessWithAReason) {
    const auto lose_the_ring = [] {
        auto chosen = make_loop({LoopChoice::uring});
        forbid(SYS_io_uring_enter, EPERM);
        chosen->loop->wait(chosen->loop->now());
    };
    EXPECT_DEATH(lose_the_ring(), "io_uring_enter is refused although it worked before");
}

}  // namespace
}  // namespace wspool::io
