#include "worker/address_limits.h"

#include "base/assert.h"

namespace wspool::worker {

AddressLimits::AddressLimits(const AddressLimitOptions& options, HashKey key)
    : options_(options),
      rate_(static_cast<double>(options.connects_per_second)),
      entries_(16, Hash{key}) {}

AddressLimits::Entries::value_type& AddressLimits::find(const std::string& block, Instant now) {
    if (entries_.size() >= sweep_at_) sweep(now);
    return *entries_.try_emplace(block, Entry{0, TokenBucket(rate_, now)}).first;
}

AddressLimits::Verdict AddressLimits::knock(const std::string& block, Instant now, bool is_new) {
    if (block.empty()) return Verdict::welcome;
    Entry& entry = find(block, now).second;
    if (options_.connections_max != 0 && entry.connections >= options_.connections_max)
        return Verdict::too_many;
    if (options_.connects_per_second == 0 || !is_new) return Verdict::welcome;
    entry.connects.refill(rate_, now);
    if (entry.connects.tokens() < 1) return Verdict::too_fast;
    entry.connects.spend(1);
    return Verdict::welcome;
}

void AddressLimits::enter(std::uint32_t index, const std::string& block, Instant now) {
    if (block.empty()) return;
    of_index_.grow_to(index);
    WSPOOL_ASSERT(of_index_[index] == nullptr);
    Entries::value_type& entry = find(block, now);
    ++entry.second.connections;
    of_index_[index] = &entry;
}

void AddressLimits::leave(std::uint32_t index) {
    if (index >= of_index_.size() || of_index_[index] == nullptr) return;
    Entries::value_type& entry = *of_index_[index];
    of_index_[index] = nullptr;
    WSPOOL_ASSERT(entry.second.connections > 0);
    --entry.second.connections;
}

// Amortised: the next one comes when the table has doubled.
void AddressLimits::sweep(Instant now) {
    std::size_t idle = 0;
    for (auto at = entries_.begin(); at != entries_.end();) {
        Entry& entry = at->second;
        entry.connects.refill(rate_, now);
        const bool is_idle = entry.connections == 0;
        if (is_idle && entry.connects.is_full(rate_)) {
            at = entries_.erase(at);
        } else {
            idle += is_idle ? 1 : 0;
            ++at;
        }
    }
    if (idle >= options_.idle_max)
        std::erase_if(entries_, [](const auto& one) { return one.second.connections == 0; });
    sweep_at_ = std::max<std::size_t>(1024, 2 * entries_.size());
}

}  // namespace wspool::worker
