#include "io/process.h"

#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace wspool::io {

namespace {

struct Arguments {
    char* begin = nullptr;
    std::size_t size = 0;
};

Arguments& arguments() {
    static Arguments the_arguments;
    return the_arguments;
}

void close_each(unsigned first, unsigned last) {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur <= last) {
        last = static_cast<unsigned>(limit.rlim_cur) - 1;
    }
    for (unsigned fd = first; fd <= last; ++fd) ::close(static_cast<int>(fd));
}

void close_all_but(std::span<const int> keep) {
    std::vector<int> kept(keep.begin(), keep.end());
    std::sort(kept.begin(), kept.end());
    unsigned next = STDERR_FILENO + 1;
    const auto close_until = [&next](unsigned last) {
        if (next > last) return;
        // Older kernels, and filters of containers, do not know the call.
        if (::close_range(next, last, 0) != 0) close_each(next, last);
    };
    for (const int fd : kept) {
        const auto number = static_cast<unsigned>(fd);
        if (number < next) continue;
        close_until(number - 1);
        next = number + 1;
    }
    close_until(UINT_MAX);
}

}  // namespace

Result<pid_t> fork_process() {
    const pid_t pid = ::fork();
    if (pid >= 0) return pid;
    const int error = errno;
    return fail(std::string("no process can be started: ") + std::strerror(error), error);
}

void become_child(pid_t parent, std::span<const int> keep) {
    prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(SIGTERM), 0UL, 0UL, 0UL);
    close_all_but(keep);
    for (const int signal : {SIGINT, SIGHUP, SIGUSR1, SIGUSR2}) std::signal(signal, SIG_IGN);
    std::signal(SIGCHLD, SIG_DFL);
    sigset_t blocked;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
    // It died before the prctl.
    if (::getppid() != parent) ::raise(SIGTERM);
}

pid_t own_process_id() {
    return ::getpid();
}

void send_signal(pid_t process, int signal) {
    ::kill(process, signal);
}

std::optional<EndedChild> reap_child() {
    int status = 0;
    pid_t pid = 0;
    do {
        pid = ::waitpid(-1, &status, WNOHANG);
    } while (pid < 0 && errno == EINTR);
    if (pid <= 0) return std::nullopt;
    if (WIFSIGNALED(status)) return EndedChild{pid, true, WTERMSIG(status)};
    return EndedChild{pid, false, WEXITSTATUS(status)};
}

void exit_process(int status) {
    std::exit(status);
}

// The kernel lays the arguments out one behind the other.
void remember_arguments(int argc, char** argv) {
    if (argc <= 0) return;
    char* end = argv[0];
    for (int i = 0; i < argc && argv[i] == end; ++i) end += std::strlen(argv[i]) + 1;
    arguments() = {argv[0], static_cast<std::size_t>(end - argv[0])};
}

void set_process_title(std::string_view title, const std::string& name) {
    prctl(PR_SET_NAME, name.c_str(), 0UL, 0UL, 0UL);
    const Arguments& place = arguments();
    if (place.size == 0) return;
    // The last byte stays zero: that tells the kernel that this is still a command line.
    const std::size_t size = std::min(title.size(), place.size - 1);
    std::memset(place.begin, 0, place.size);
    std::memcpy(place.begin, title.data(), size);
}

unsigned usable_processors() {
    cpu_set_t processors;
    CPU_ZERO(&processors);
    // Fails with more than 1,024 of them.
    if (sched_getaffinity(0, sizeof processors, &processors) != 0) {
        return static_cast<unsigned>(std::max(1L, sysconf(_SC_NPROCESSORS_ONLN)));
    }
    return static_cast<unsigned>(std::max(1, CPU_COUNT(&processors)));
}

}  // namespace wspool::io
