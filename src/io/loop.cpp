#include "io/loop.h"

#include "io/epoll_loop.h"
#include "io/uring_loop.h"

#include <cerrno>

namespace wspool::io {

namespace {

// Rings count as locked memory of the user, over all processes: where the limit is low, a smaller
// ring may still fit.
constexpr RingSize ring_sizes[] = {{512, 4096}, {256, 1024}, {64, 128}};

std::string why_not(const Error& error) {
    std::string why = error.message;
    if (error.os_code == EPERM) {
        why += " (a seccomp filter, or the sysctl kernel.io_uring_disabled)";
    } else if (error.os_code == ENOSYS) {
        why += " (the kernel has no io_uring, or a seccomp filter hides it)";
    } else if (error.os_code == EINVAL) {
        why += " (the kernel is older than 6.1)";
    } else if (error.os_code == ENOMEM) {
        why += " (raise the limit of locked memory, ulimit -l)";
    }
    return why;
}

Result<ChosenLoop> make_uring_loop(Duration batch_wait) {
    Error refusal;
    for (const RingSize& size : ring_sizes) {
        auto loop = UringLoop::make(batch_wait, size);
        if (loop) {
            return ChosenLoop{std::move(*loop),
                              "io_uring: a no-op went through a ring of " +
                                  std::to_string(size.submissions) + "/" +
                                  std::to_string(size.completions) + " entries"};
        }
        refusal = loop.error();
        if (refusal.os_code != ENOMEM) break;
    }
    return fail(why_not(refusal), refusal.os_code);
}

Result<ChosenLoop> make_epoll_loop(Duration batch_wait, std::string reason) {
    auto loop = EpollLoop::make(batch_wait);
    if (!loop) return tl::unexpected(loop.error());
    return ChosenLoop{std::move(*loop), std::move(reason)};
}

}  // namespace

tl::unexpected<Error> refuse_tls() {
    return fail("this loop speaks no TLS; put a TlsLoop over it (io/tls_loop.h)");
}

Result<ChosenLoop> make_loop(const LoopOptions& options) {
    if (options.choice == LoopChoice::epoll) {
        return make_epoll_loop(options.batch_wait, "epoll: as asked");
    }
    auto uring = make_uring_loop(options.batch_wait);
    if (uring) return uring;
    if (options.choice == LoopChoice::uring) {
        return fail("io_uring was asked for and cannot be used: " + uring.error().message +
                        "; use --io epoll or --io auto",
                    uring.error().os_code);
    }
    return make_epoll_loop(options.batch_wait, "epoll: " + uring.error().message);
}

}  // namespace wspool::io
