#include <wspool/lease.h>

namespace wspool::api {

Lease detail::make_lease(std::shared_ptr<LeaseOwner> owner,
                         LeaseNumber number,
                         std::stop_token revoked) {
    return {std::move(owner), number, std::move(revoked)};
}

Result<void> Lease::send(std::string_view text) {
    if (!owner_) return Error(errc::lease_released, "this lease was given back already");
    return owner_->send(number_, text, false);
}

Result<void> Lease::send_binary(std::span<const std::byte> bytes) {
    if (!owner_) return Error(errc::lease_released, "this lease was given back already");
    return owner_->send(number_, {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, true);
}

Result<std::uint32_t> Lease::session() const {
    if (!owner_) return Error(errc::lease_released, "this lease was given back already");
    return owner_->session(number_);
}

Result<void> Lease::release() {
    return give_back(true);
}

Result<void> Lease::discard() {
    return give_back(false);
}

Result<void> Lease::give_back(bool may_be_lent_again) {
    // The owner is let go at once: whatever comes of it, this lease is at its end.
    const auto owner = std::exchange(owner_, nullptr);
    if (!owner) {
        return Error(errc::lease_released,
                     "this lease was given back already; nothing else was done");
    }
    return owner->give_back(number_, may_be_lent_again, revoked_.stop_requested());
}

void Lease::drop() noexcept {
    if (owner_) owner_->give_back(number_, true, false);
    owner_ = nullptr;
}

}  // namespace wspool::api
