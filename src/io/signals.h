// Signals: signals as something to wait for, next to sockets: blocks them for this thread, and
// those it starts later, and offers a descriptor for Loop::watch().
//
// Ownership: owns the descriptor. The signals stay blocked when it goes, so that one that arrives
// late cannot end the process in the middle of its own ending.
#pragma once

#include "base/result.h"

#include <initializer_list>
#include <optional>

namespace wspool::io {

class Signals {
  public:
    [[nodiscard]] static Result<Signals> block(std::initializer_list<int> signals);
    Signals(Signals&& other) noexcept;
    Signals& operator=(Signals&& other) noexcept;
    ~Signals();

    [[nodiscard]] int fd() const { return fd_; }
    // The next signal that arrived, none when there is no more.
    [[nodiscard]] std::optional<int> next();

  private:
    explicit Signals(int fd) : fd_(fd) {}
    int fd_ = -1;
};

}  // namespace wspool::io
