#include "io/entropy.h"

#include "base/assert.h"

#include <sys/random.h>

#include <algorithm>
#include <cerrno>

namespace wspool::io {

namespace {

void draw(std::span<std::byte> out) {
    while (!out.empty()) {
        const ssize_t n = getrandom(out.data(), out.size(), 0);
        if (n < 0 && errno == EINTR) continue;
        // Every kernel we run on has the call, and it has no other way to fail; going on without
        // entropy would mean predictable masks and ids.
        WSPOOL_ASSERT(n > 0);
        out = out.subspan(static_cast<std::size_t>(n));
    }
}

}  // namespace

void SystemEntropy::fill(std::span<std::byte> out) {
    if (out.size() > buffer_.size()) return draw(out);
    while (!out.empty()) {
        if (used_ == buffer_.size()) {
            draw(buffer_);
            used_ = 0;
        }
        const std::size_t n = std::min(out.size(), buffer_.size() - used_);
        const auto from = std::span(buffer_).subspan(used_, n);
        std::copy(from.begin(), from.end(), out.begin());
        std::fill(from.begin(), from.end(), std::byte{0});
        used_ += n;
        out = out.subspan(n);
    }
}

}  // namespace wspool::io
