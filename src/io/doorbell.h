// Doorbell: wakes the owner of a loop from another thread. The loop watches fd(); whoever has left
// something for its owner rings.
//
// Threads: ring() from any, the rest from the owner's. Rings that were not answered count as one.
#pragma once

#include "base/result.h"

namespace wspool::io {

class Doorbell {
  public:
    [[nodiscard]] static Result<Doorbell> make();
    Doorbell(Doorbell&& other) noexcept;
    Doorbell& operator=(Doorbell&&) = delete;
    ~Doorbell();

    // Readable after a ring, until silence().
    [[nodiscard]] int fd() const { return fd_; }
    void ring() const;
    // To be called before looking at what was left, so that no ring is missed.
    void silence() const;

  private:
    explicit Doorbell(int fd) : fd_(fd) {}
    int fd_;
};

}  // namespace wspool::io
