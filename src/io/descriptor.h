// Descriptor: an open file descriptor with one owner, for those above io/ that hold some without
// reading or writing them.
#pragma once

#include <utility>

namespace wspool::io {

class Descriptor {
  public:
    Descriptor() = default;
    explicit Descriptor(int fd) : fd_(fd) {}
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~Descriptor() { close(); }

    [[nodiscard]] int get() const { return fd_; }
    // To another owner.
    [[nodiscard]] int release() { return std::exchange(fd_, -1); }
    void close();

  private:
    int fd_ = -1;
};

}  // namespace wspool::io
