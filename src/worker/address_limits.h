// AddressLimits: how many connections one address has, and how fast it makes new ones. For the
// worker, which asks before it looks at a request; each worker counts for itself.
//
// An address is what io::address_block makes of it. How it works: an entry for each address that is
// connected, or was so lately that its bucket is not full again.
// Invariants: an entry's connections are the indexes that point to it.
// Limits: entries without connections, idle_max of them; at the bound they are forgotten, and such
// an address begins anew with a full bucket.
#pragma once

#include "base/chunked_array.h"
#include "base/hash.h"
#include "base/time.h"
#include "worker/rate.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace wspool::worker {

struct AddressLimitOptions {
    std::uint64_t connections_max = 0;      // 0: no limit
    std::uint64_t connects_per_second = 0;  // 0: no limit
    std::size_t idle_max = 65'536;

    [[nodiscard]] bool is_on() const { return connections_max != 0 || connects_per_second != 0; }
};

class AddressLimits {
  public:
    enum class Verdict : std::uint8_t { welcome, too_many, too_fast };

    AddressLimits(const AddressLimitOptions& options, HashKey key);

    // Somebody from there wants to connect. An empty block is nobody's: it is not limited. Not
    // `is_new`: another worker has let it connect, and passed it on.
    [[nodiscard]] Verdict knock(const std::string& block, Instant now, bool is_new = true);
    // Who was let in has an index until it leaves; one that is not here may leave too.
    void enter(std::uint32_t index, const std::string& block, Instant now);
    void leave(std::uint32_t index);

    [[nodiscard]] std::size_t size() const { return entries_.size(); }

  private:
    struct Entry {
        std::uint64_t connections = 0;
        TokenBucket connects;
    };
    struct Hash {
        HashKey key;
        std::size_t operator()(const std::string& text) const { return sip_hash(text, key); }
    };
    using Entries = std::unordered_map<std::string, Entry, Hash>;

    [[nodiscard]] Entries::value_type& find(const std::string& block, Instant now);
    void sweep(Instant now);

    AddressLimitOptions options_;
    double rate_;
    Entries entries_;
    ChunkedArray<Entries::value_type*> of_index_;
    std::size_t sweep_at_ = 1024;
};

}  // namespace wspool::worker
