// UringLoop: the readiness loop over io_uring: one multishot poll per stream, and one
// io_uring_enter per turn that runs the turn's sends and waits.
//
// How it works: a send goes in with MSG_DONTWAIT, so the kernel runs it inside the enter, never
// later; with MSG_WAITALL, so that a part taken counts as a failure and is reported with its size
// (without that flag a short send would look like a whole one and bytes would vanish); and with
// CQE_SKIP_SUCCESS, so that a send taken whole costs no completion. Hence after the enter nothing
// refers to the owner's bytes. Received bytes do not come through the ring: readiness does, and
// ReadinessLoop reads.
//
// Under load, where several messages are expected within batch_wait, the enter waits for that many,
// at most batch_wait (kernel 6.12, IORING_FEAT_MIN_TIMEOUT; without it every wait ends with the
// first).
//
// Invariants: 1. only the thread that made the loop uses it (SINGLE_ISSUER), and the process does
// not
//                fork afterwards: a child that holds the ring keeps closed connections open.
//             2. a completion names its stream with generation, so a late one is recognised.
// Limits: RingSize; a full submission queue is submitted early, an overflown completion queue is
//         fetched from the kernel's list.
#pragma once

#include "io/gather_arena.h"
#include "io/readiness_loop.h"

#include <liburing.h>

#include <memory>
#include <vector>

namespace wspool::io {

struct RingSize {
    unsigned submissions = 512;
    unsigned completions = 4096;
};

class UringLoop final : public ReadinessLoop {
  public:
    // Makes a ring of this size and proves it with a no-op, because a sandbox may allow to make a
    // ring and forbid to use it. The error's os_code is the kernel's.
    [[nodiscard]] static Result<std::unique_ptr<Loop>> make(Duration batch_wait, RingSize size);
    ~UringLoop() override;

    [[nodiscard]] std::string_view name() const override { return "uring"; }

  private:
    explicit UringLoop(Duration batch_wait) : ReadinessLoop(batch_wait, WatchStyle::oneshot) {}

    [[nodiscard]] int set_up(RingSize size);
    [[nodiscard]] int prove();

    Armed arm(StreamId id, int fd, StreamKind kind) override;
    void disarm(StreamId id, int fd, Afterwards afterwards) override;
    void queue_send(StreamId id, int fd, std::span<const ByteView> pieces) override;
    void run_queued() override;
    void wait_for_events(Duration timeout, unsigned expected) override;

    [[nodiscard]] io_uring_sqe* next_entry();
    [[nodiscard]] unsigned publish();
    [[nodiscard]] int enter(unsigned submit_count,
                            unsigned wait_count,
                            unsigned flags,
                            io_uring_getevents_arg* argument);
    void submit_all();
    void arm_again();
    void drain();
    void handle(const io_uring_cqe& completion);

    io_uring ring_{};
    bool is_set_up_ = false;
    unsigned enter_flags_ = 0;
    int enter_fd_ = -1;
    bool has_min_wait_ = false;
    std::vector<StreamId> disarmed_;  // polls that ended by themselves
    GatherArena arena_;
};

}  // namespace wspool::io
