// Ring: an io_uring for the load generator and for the raw peers, deliberately apart from src/io,
// so that the limit wspool is held against does not share its faults.
//
// How it works: requests are queued with poll() and send() and handed over by the next enter(),
// which also waits. A send whose bytes were all taken completes silently; one that was not
// completes with the exact count or -EAGAIN, because MSG_WAITALL makes a partial send a failure and
// MSG_DONTWAIT forbids the kernel to finish it later. So when enter() returns, no queued send still
// needs its bytes. Limits: 512 queued requests, then they are submitted early.
#pragma once

#include "arguments.h"

#include <liburing.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>

namespace wspool::bench {

class Ring {
  public:
    Ring() {
        io_uring_params params{};
        params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                       IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
        params.cq_entries = 4096;
        const int result = io_uring_queue_init_params(512, &ring_, &params);
        if (result < 0) fail(std::string("io_uring is refused here: ") + std::strerror(-result));
        io_uring_register_ring_fd(&ring_);
        can_batch_ = (params.features & feature_min_timeout) != 0;
    }
    ~Ring() { io_uring_queue_exit(&ring_); }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;

    void poll(int fd, std::uint64_t tag) {
        io_uring_sqe* request = next();
        io_uring_prep_poll_multishot(request, fd, POLLIN | POLLOUT | POLLRDHUP);
        io_uring_sqe_set_data64(request, tag);
    }
    // The poll completes once more, without IORING_CQE_F_MORE, and then nothing bears its tag.
    void cancel_poll(std::uint64_t tag) {
        io_uring_sqe* request = next();
        io_uring_prep_poll_remove(request, tag);
        request->flags |= IOSQE_CQE_SKIP_SUCCESS;
        io_uring_sqe_set_data64(request, ignored);
    }
    void send(int fd, const char* bytes, std::size_t size, std::uint64_t tag) {
        io_uring_sqe* request = next();
        io_uring_prep_send(request, fd, bytes, size, MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL);
        request->flags |= IOSQE_CQE_SKIP_SUCCESS;
        io_uring_sqe_set_data64(request, tag);
    }

    // Submits what is queued. Waits for one completion, or, when `expected` > 1, for that many or
    // `batch_wait_us`, whichever is first; `expected` 0 does not wait at all.
    void enter(unsigned expected, unsigned batch_wait_us, std::int64_t timeout_ns) {
        __kernel_timespec timeout{};
        timeout.tv_sec = timeout_ns / 1'000'000'000;
        timeout.tv_nsec = timeout_ns % 1'000'000'000;
        io_uring_getevents_arg argument{};
        argument.ts = reinterpret_cast<std::uintptr_t>(&timeout);
        const bool batches = expected > 1 && can_batch_;
        // min_wait_usec of newer headers; the field has this place since EXT_ARG exists.
        if (batches) argument.pad = batch_wait_us;
        unsigned flags = IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG;
        if (ring_.enter_ring_fd != ring_.ring_fd) flags |= IORING_ENTER_REGISTERED_RING;
        const unsigned wait_count = expected == 0 ? 0 : batches ? expected : 1;
        const int result = io_uring_enter2(static_cast<unsigned>(ring_.enter_ring_fd),
                                           flush(),
                                           wait_count,
                                           flags,
                                           reinterpret_cast<sigset_t*>(&argument),
                                           sizeof argument);
        if (result < 0 && result != -ETIME && result != -EINTR && result != -EBUSY) {
            fail(std::string("io_uring_enter: ") + std::strerror(-result));
        }
    }

    // Calls handle(tag, result, flags) for every completion at hand; returns their number.
    template <class Handle>
    unsigned drain(Handle&& handle) {
        unsigned head = 0;
        unsigned count = 0;
        io_uring_cqe* completion = nullptr;
        io_uring_for_each_cqe(&ring_, head, completion) {
            ++count;
            if (completion->user_data == ignored) continue;
            handle(completion->user_data, completion->res, completion->flags);
        }
        io_uring_cq_advance(&ring_, count);
        return count;
    }

    [[nodiscard]] bool can_batch() const { return can_batch_; }

  private:
    static constexpr std::uint64_t ignored = UINT64_MAX;
    static constexpr unsigned feature_min_timeout = 1u << 15;

    // Makes the queued requests visible to the kernel and counts them.
    unsigned flush() {
        ring_.sq.sqe_head = ring_.sq.sqe_tail;
        io_uring_smp_store_release(ring_.sq.ktail, ring_.sq.sqe_tail);
        return ring_.sq.sqe_tail - io_uring_smp_load_acquire(ring_.sq.khead);
    }
    io_uring_sqe* next() {
        io_uring_sqe* request = io_uring_get_sqe(&ring_);
        if (request != nullptr) return request;
        enter(0, 0, 0);
        request = io_uring_get_sqe(&ring_);
        if (request == nullptr) fail("io_uring: no room for a request after a submission");
        return request;
    }

    io_uring ring_{};
    bool can_batch_ = false;
};

}  // namespace wspool::bench
