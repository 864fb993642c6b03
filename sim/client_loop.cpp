#include "sim/client_loop.h"

#include <algorithm>

namespace wspool::sim {

namespace {

constexpr Duration remembered = std::chrono::seconds(1);
constexpr int nobodys_fd = 4711;

}  // namespace

void ClientLoop::wait(Instant deadline) {
    if (plant_.kind == ClientPlantKind::lose_timers && plant_.is_armed) {
        plant_.is_done = true;
        deadline = never;
    }
    inner_.wait(deadline);
}

Result<io::StreamId> ClientLoop::connect(const io::Address& address,
                                         std::uint64_t owner,
                                         const io::ConnectOptions& options) {
    ++connects_;
    recent_.push_back(network_.now());
    while (recent_.front() + remembered <= network_.now()) recent_.pop_front();
    return inner_.connect(address, owner, options);
}

std::size_t ClientLoop::recent_connects(Duration span) const {
    const auto first = std::upper_bound(recent_.begin(), recent_.end(), network_.now() - span);
    return static_cast<std::size_t>(recent_.end() - first);
}

void ClientLoop::close(io::StreamId stream, io::CloseMode mode) {
    if (plant_.strikes(ClientPlantKind::keep_descriptor)) {
        static_cast<void>(inner_.watch(nobodys_fd, 0));
    }
    inner_.close(stream, mode);
}

}  // namespace wspool::sim
