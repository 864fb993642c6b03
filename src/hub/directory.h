// Directory: which client has which id. Pure; knows clients by number only.
//
// An anonymous client's id is "anon_" and 128 random bits in hexadecimal; it is kept as its 16
// bytes, so that an idle anonymous connection stays small. Invariants: 1. an index is in the table
// exactly while it has an id. 2. Several indexes may share an id (the caller's policy decides).
#pragma once

#include "base/chunked_array.h"
#include "base/hash.h"
#include "base/index_table.h"
#include "base/random.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace wspool::hub {

class ClientId {
  public:
    static constexpr std::size_t anonymous_text_size = 37;
    using TextBuffer = std::array<char, anonymous_text_size>;

    ClientId() = default;
    [[nodiscard]] static ClientId named(std::string_view name);
    [[nodiscard]] static ClientId anonymous(Entropy& entropy);

    // Points into this id or into `buffer`.
    [[nodiscard]] std::string_view text(TextBuffer& buffer) const;

  private:
    std::unique_ptr<char[]> name_;  // null: anonymous
    union {
        std::uint64_t size_ = 0;
        std::array<std::byte, 16> bits_;
    };
};

class Directory {
  public:
    explicit Directory(Entropy& entropy) : entropy_(entropy) {
        key_ = {entropy.next_u64(), entropy.next_u64()};
    }

    // `index` has no id yet.
    void add(std::uint32_t index, std::string_view name);
    void add_anonymous(std::uint32_t index);
    void remove(std::uint32_t index);

    // Some index with this id, or IndexTable::none.
    [[nodiscard]] std::uint32_t find(std::string_view id) const;
    // Calls visit(index) for every index with this id; visit must not change the directory.
    template <class Visit>
    void for_each(std::string_view id, Visit visit) const {
        (void)table_.find(sip_hash(id, key_), [&](std::uint32_t index) {
            ClientId::TextBuffer buffer;
            if (ids_[index].text(buffer) == id) visit(index);
            return false;
        });
    }
    // The id of an index that has one; points into the directory or into `buffer`.
    [[nodiscard]] std::string_view id_of(std::uint32_t index, ClientId::TextBuffer& buffer) const {
        return ids_[index].text(buffer);
    }
    [[nodiscard]] std::size_t size() const { return table_.size(); }

  private:
    void insert(std::uint32_t index, ClientId id);

    Entropy& entropy_;
    HashKey key_;
    ChunkedArray<ClientId> ids_;
    IndexTable table_;
};

}  // namespace wspool::hub
