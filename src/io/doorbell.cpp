#include "io/doorbell.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

namespace wspool::io {

Result<Doorbell> Doorbell::make() {
    const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0) {
        return fail(std::string("cannot make an event descriptor: ") + std::strerror(errno), errno);
    }
    return Doorbell(fd);
}

Doorbell::Doorbell(Doorbell&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}

Doorbell::~Doorbell() {
    if (fd_ >= 0) ::close(fd_);
}

void Doorbell::ring() const {
    // Fails only when 2^64 - 2 rings are unanswered; then the owner is being woken anyway.
    (void)::eventfd_write(fd_, 1);
}

void Doorbell::silence() const {
    eventfd_t rings = 0;
    (void)::eventfd_read(fd_, &rings);
}

}  // namespace wspool::io
