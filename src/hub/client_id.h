// ClientId: the id of one client, kept small. Pure.
//
// An anonymous client's id is "anon_" and 128 random bits in hexadecimal; it is kept as its 16
// bytes, so that an idle anonymous connection stays small.
#pragma once

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

}  // namespace wspool::hub
