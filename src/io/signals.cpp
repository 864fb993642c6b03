#include "io/signals.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace wspool::io {

Result<Signals> Signals::block(std::initializer_list<int> signals) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : signals) {
        if (sigaddset(&set, signal) != 0) {
            return fail("signal " + std::to_string(signal) + " does not exist", EINVAL);
        }
    }
    if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
        return fail(std::string("signals cannot be blocked: ") + std::strerror(error), error);
    }
    const int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    if (fd < 0) {
        const int error = errno;
        return fail(std::string("no descriptor for signals: ") + std::strerror(error), error);
    }
    return Signals(fd);
}

Signals::Signals(Signals&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Signals& Signals::operator=(Signals&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

Signals::~Signals() {
    if (fd_ >= 0) ::close(fd_);
}

std::optional<int> Signals::next() {
    signalfd_siginfo info{};
    for (;;) {
        const ssize_t n = ::read(fd_, &info, sizeof info);
        if (n == sizeof info) return static_cast<int>(info.ssi_signo);
        if (n < 0 && errno == EINTR) continue;
        return std::nullopt;
    }
}

}  // namespace wspool::io
