// Lease: a connection of a pool, yours until you give it back. Move-only; its destructor gives it
// back, so no path out of a scope keeps a connection.
//
//   if (auto lease = pool.acquire(url)) lease->send(R"({"type":"ping"})");
//
// What it sends goes over one connection, in order. When that connection ends, or the lease is
// taken back, it is revoked: every call then answers with the reason, and giving it back does
// nothing any more. One that was acquired with AcquireOptions::persistent_session is not revoked
// when its connection is lost: send() then answers errc::connection_lost until the pool has given
// it another one, ahead of others of its priority; it counts as no connection meanwhile. A lease
// may outlive its pool (errc::pool_closed).
//
// Threads: a lease of a ClientPool may be used by one thread at a time, of a CallbackPool by the
// thread that runs that pool.
#pragma once

#include "wspool/result.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string_view>
#include <utility>

namespace wspool::api {

class Lease;

namespace detail {

// Which of a pool's leases; never used again.
enum class LeaseNumber : std::uint64_t {};

// The pool as its leases see it. It stays until the last of them is gone, the pool itself need not.
class LeaseOwner {
  public:
    virtual ~LeaseOwner() = default;
    virtual Result<void> send(LeaseNumber lease, std::string_view data, bool is_binary) = 0;
    // `asks_why`: it was revoked, and whoever gives it back wants to hear the reason.
    virtual Result<std::uint32_t> session(LeaseNumber lease) = 0;
    virtual Result<void> give_back(LeaseNumber lease, bool may_be_lent_again, bool asks_why) = 0;
};

[[nodiscard]] Lease make_lease(std::shared_ptr<LeaseOwner> owner,
                               LeaseNumber number,
                               std::stop_token revoked);

}  // namespace detail

class [[nodiscard]] Lease {
  public:
    Lease(Lease&& other) noexcept
        : owner_(std::move(other.owner_)),
          number_(other.number_),
          revoked_(std::move(other.revoked_)) {}
    Lease& operator=(Lease&& other) noexcept {
        if (this == &other) return *this;
        drop();
        owner_ = std::move(other.owner_);
        number_ = other.number_;
        revoked_ = std::move(other.revoked_);
        return *this;
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    ~Lease() { drop(); }

    // Sends one message. ClientPool: returns when it is written to the connection. CallbackPool:
    // when it is queued there, in order. Errors: lease_released, connection_lost, preempted,
    // pool_closed, bad_message, message_queue_full (the peer does not read: the connection is
    // closed), would_deadlock.
    Result<void> send(std::string_view text);
    Result<void> send_binary(std::span<const std::byte> bytes);

    // How many connections the lease has had, with that which it has now: 1, unless it was acquired
    // with persistent_session. 0: it waits for the next one. Whoever has told the peer something
    // that a new connection does not know, who one is for example, compares it with what it was
    // then. Errors: lease_released, preempted, pool_closed.
    [[nodiscard]] Result<std::uint32_t> session() const;

    // Gives the connection back for others. Errors: lease_released (it was before), and the reason
    // when it was revoked; either way nothing else happens.
    Result<void> release();
    // Gives it back to be closed: whoever gets a connection next gets another one. For peers that
    // are in a state that nobody else should meet.
    Result<void> discard();

    // Stop is requested when the lease should be given back, or is no more: its connection ended,
    // the pool closes, or a higher priority needs it, and takes it after Options::preempt.grace.
    // Callbacks on it are called on the thread of the pool, and must not throw.
    [[nodiscard]] std::stop_token revoked() const noexcept { return revoked_; }
    // Not given back yet; it may have been revoked.
    [[nodiscard]] bool is_held() const noexcept { return owner_ != nullptr; }

  private:
    friend Lease detail::make_lease(std::shared_ptr<detail::LeaseOwner> owner,
                                    detail::LeaseNumber number,
                                    std::stop_token revoked);
    Lease(std::shared_ptr<detail::LeaseOwner> owner,
          detail::LeaseNumber number,
          std::stop_token revoked)
        : owner_(std::move(owner)), number_(number), revoked_(std::move(revoked)) {}

    Result<void> give_back(bool may_be_lent_again);
    void drop() noexcept;

    std::shared_ptr<detail::LeaseOwner> owner_;  // null: given back, or moved from
    detail::LeaseNumber number_{};
    std::stop_token revoked_;
};

}  // namespace wspool::api
