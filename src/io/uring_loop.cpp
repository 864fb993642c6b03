#include "io/uring_loop.h"

#include "base/assert.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace wspool::io {

namespace {

// Newer than the packaged header: the wait may take a minimum time, whose microseconds stand where
// the padding of io_uring_getevents_arg was.
constexpr unsigned feature_min_timeout = 1u << 15;
// How often a kernel that takes nothing from the queue is asked again before we give up.
constexpr int refusals_max = 1000;

// What a completion is about: index in bits 0–23, operation in 24–31, generation in 32–63.
enum class Operation : std::uint8_t { none, poll, send };

std::uint64_t pack(Operation operation, StreamId id) {
    return id.index | (std::uint64_t{static_cast<std::uint8_t>(operation)} << 24) |
           (std::uint64_t{id.generation} << 32);
}

// The loop cannot go on: what was promised to the owner cannot be kept. The process is to be
// replaced.
[[noreturn]] void give_up(int error) {
    std::fprintf(stderr,
                 "wspool: io_uring_enter is refused although it worked before (%s); run with --io "
                 "epoll where a sandbox forbids io_uring later on\n",
                 std::strerror(error));
    std::abort();
}

}  // namespace

Result<std::unique_ptr<Loop>> UringLoop::make(Duration batch_wait, RingSize size) {
    std::unique_ptr<UringLoop> loop(new UringLoop(batch_wait));
    if (const int error = loop->set_up(size); error != 0) {
        return fail(std::string("the kernel refused io_uring_setup: ") + std::strerror(error),
                    error);
    }
    if (const int error = loop->prove(); error != 0) {
        return fail(
            std::string("the kernel made a ring and refused its use: ") + std::strerror(error),
            error);
    }
    return std::unique_ptr<Loop>(std::move(loop));
}

UringLoop::~UringLoop() {
    if (is_set_up_) io_uring_queue_exit(&ring_);
}

// Every operation used is older than DEFER_TASKRUN (6.1), so a kernel that takes the flags has them
// all.
int UringLoop::set_up(RingSize size) {
    io_uring_params params{};
    params.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                   IORING_SETUP_SUBMIT_ALL | IORING_SETUP_CQSIZE;
    params.cq_entries = size.completions;
    if (const int rc = io_uring_queue_init_params(size.submissions, &ring_, &params); rc < 0)
        return -rc;
    is_set_up_ = true;
    has_min_wait_ = (params.features & feature_min_timeout) != 0;
    // The submission array names entries; ours are always in order.
    for (unsigned i = 0; i < ring_.sq.ring_entries; ++i) ring_.sq.array[i] = i;
    enter_fd_ = ring_.ring_fd;
    // Saves a look-up per enter; where it is refused the plain descriptor serves.
    if (io_uring_register_ring_fd(&ring_) == 1) {
        enter_fd_ = ring_.enter_ring_fd;
        enter_flags_ = IORING_ENTER_REGISTERED_RING;
    }
    return 0;
}

int UringLoop::prove() {
    io_uring_sqe* entry = next_entry();
    io_uring_prep_nop(entry);
    entry->user_data = 0;
    const int rc = enter(publish(), 1, IORING_ENTER_GETEVENTS, nullptr);
    if (rc < 0) return -rc;
    const unsigned head = *ring_.cq.khead;
    const bool is_done = io_uring_smp_load_acquire(ring_.cq.ktail) == head + 1;
    if (!is_done) return EIO;
    const int result = ring_.cq.cqes[head & ring_.cq.ring_mask].res;
    drain();
    return result == 0 ? 0 : -result;
}

Armed UringLoop::arm(StreamId id, int fd, StreamKind kind) {
    io_uring_sqe* entry = next_entry();
    if (kind == StreamKind::watch) {
        io_uring_prep_poll_add(entry, fd, POLLIN);
    } else {
        io_uring_prep_poll_multishot(entry, fd, poll_events);
    }
    entry->user_data = pack(Operation::poll, id);
    return Armed::yes;
}

void UringLoop::disarm(StreamId id, int, Afterwards) {
    // Not POLL_REMOVE: that one gives up on a poll that is just reporting, which then holds the
    // socket open for ever.
    io_uring_sqe* entry = next_entry();
    io_uring_prep_cancel64(entry, pack(Operation::poll, id), 0);
    entry->flags = IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = 0;
}

void UringLoop::queue_send(StreamId id, int fd, std::span<const ByteView> pieces) {
    constexpr int flags = MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL;
    io_uring_sqe* entry = next_entry();
    if (pieces.size() == 1) {
        io_uring_prep_send(entry, fd, pieces[0].data(), pieces[0].size(), flags);
    } else {
        io_uring_prep_sendmsg(entry, fd, arena_.add(pieces), flags);
    }
    entry->flags = IOSQE_CQE_SKIP_SUCCESS;
    entry->user_data = pack(Operation::send, id);
}

// ---- the submission queue

io_uring_sqe* UringLoop::next_entry() {
    io_uring_sqe* entry = io_uring_get_sqe(&ring_);
    if (entry == nullptr) {
        submit_all();
        entry = io_uring_get_sqe(&ring_);
    }
    WSPOOL_ASSERT(entry != nullptr);
    return entry;
}

// Shows the kernel what was queued; returns how many entries it has still to take.
unsigned UringLoop::publish() {
    io_uring_smp_store_release(ring_.sq.ktail, ring_.sq.sqe_tail);
    return ring_.sq.sqe_tail - io_uring_smp_load_acquire(ring_.sq.khead);
}

int UringLoop::enter(unsigned submit_count,
                     unsigned wait_count,
                     unsigned flags,
                     io_uring_getevents_arg* argument) {
    const std::size_t size = argument != nullptr ? sizeof *argument : _NSIG / 8;
    const long rc = ::syscall(SYS_io_uring_enter,
                              enter_fd_,
                              submit_count,
                              wait_count,
                              flags | enter_flags_,
                              argument,
                              size);
    return rc < 0 ? -errno : static_cast<int>(rc);
}

// Runs everything queued. The kernel may lack memory for a moment, or want its completions fetched
// first; both pass.
void UringLoop::submit_all() {
    for (int refusals = 0; publish() > 0;) {
        const int rc = enter(publish(), 0, refusals > 0 ? IORING_ENTER_GETEVENTS : 0, nullptr);
        if (rc > 0 || rc == -EINTR) continue;
        if (rc != -EAGAIN && rc != -EBUSY && rc != 0) give_up(-rc);
        if (++refusals > refusals_max) give_up(-rc);
        drain();
    }
}

void UringLoop::run_queued() {
    submit_all();
}

// ---- waiting

void UringLoop::wait_for_events(Duration timeout, unsigned expected) {
    arm_again();
    if (!disarmed_.empty()) timeout = Duration::zero();
    __kernel_timespec limit{};
    io_uring_getevents_arg argument{};
    unsigned flags = IORING_ENTER_GETEVENTS;
    unsigned wait_count = timeout > Duration::zero() ? 1 : 0;
    io_uring_getevents_arg* extra = nullptr;
    if (wait_count > 0) {
        const bool has_batch = has_min_wait_ && expected > 1;
        // With a minimum and no limit the kernel would come back empty after the minimum.
        if (has_batch) timeout = std::min<Duration>(timeout, std::chrono::hours(1));
        if (timeout != no_timeout) {
            const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
            limit = {seconds.count(), (timeout - seconds).count()};
            argument.ts = reinterpret_cast<std::uintptr_t>(&limit);
            flags |= IORING_ENTER_EXT_ARG;
            extra = &argument;
        }
        if (has_batch) {
            wait_count = expected;
            argument.pad = static_cast<unsigned>(
                std::chrono::ceil<std::chrono::microseconds>(batch_wait()).count());
        }
    }
    const unsigned queued = publish();
    const int rc = enter(queued, wait_count, flags, extra);
    const bool is_expected =
        rc >= 0 || rc == -ETIME || rc == -EINTR || rc == -EAGAIN || rc == -EBUSY;
    if (!is_expected) give_up(-rc);
    drain();
    if (publish() > 0) submit_all();
    // The kernel keeps what the queue had no room for, and says so.
    while ((IO_URING_READ_ONCE(*ring_.sq.kflags) & IORING_SQ_CQ_OVERFLOW) != 0) {
        const int fetched = enter(0, 0, IORING_ENTER_GETEVENTS, nullptr);
        if (fetched < 0 && fetched != -EINTR && fetched != -EAGAIN && fetched != -EBUSY) {
            give_up(-fetched);
        }
        drain();
    }
    arena_.reset();
}

// An overflow ends every multishot poll that would have reported. Arming one reports at once, so
// arming all of them again, or any before the overflow is fetched, would only overflow anew.
void UringLoop::arm_again() {
    const std::size_t count = std::min<std::size_t>(disarmed_.size(), ring_.cq.ring_entries / 4);
    for (std::size_t i = 0; i < count; ++i) on_disarmed(disarmed_[i]);
    disarmed_.erase(disarmed_.begin(), disarmed_.begin() + static_cast<std::ptrdiff_t>(count));
}

void UringLoop::drain() {
    unsigned head = *ring_.cq.khead;
    const unsigned tail = io_uring_smp_load_acquire(ring_.cq.ktail);
    for (; head != tail; ++head) handle(ring_.cq.cqes[head & ring_.cq.ring_mask]);
    io_uring_smp_store_release(ring_.cq.khead, head);
}

void UringLoop::handle(const io_uring_cqe& completion) {
    const StreamId id{static_cast<std::uint32_t>(completion.user_data & 0xffffff),
                      static_cast<std::uint32_t>(completion.user_data >> 32)};
    switch (static_cast<Operation>((completion.user_data >> 24) & 0xff)) {
        case Operation::none:
            return;
        case Operation::send:
            return on_short_send(id, completion.res);
        case Operation::poll:
            break;
    }
    if (completion.res == -ECANCELED) return;
    if (completion.res < 0) return on_arm_failed(id);
    on_ready(id, static_cast<unsigned>(completion.res));
    if ((completion.flags & IORING_CQE_F_MORE) == 0) disarmed_.push_back(id);
}

}  // namespace wspool::io
