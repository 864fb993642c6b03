// Writer and Reader: the two directions of one list of fields. A record names its fields once (see
// records.h), so what is written and what is read cannot differ.
//
// Integers are little endian of fixed width; texts and bytes have a u32 length. The reader is
// strict: it never looks beyond the bytes it was given, refuses values outside their range, and,
// once something is wrong, reads zeros. Views point into its bytes.
#pragma once

#include "base/bytes.h"
#include "wire/types.h"

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace wspool::wire {

static_assert(std::endian::native == std::endian::little, "records are written as memory is");

inline constexpr std::size_t name_size_max = 255;  // of groups and ids

// Of s, offsets and sequence numbers: nobody counts so far, so a higher one is nonsense, and what
// is read can be counted on without a wrap.
inline constexpr std::uint64_t place_max = std::uint64_t{1} << 62;

class Writer {
  public:
    explicit Writer(ByteBuffer& out) : out_(out) {}

    template <std::unsigned_integral Number>
    void number(const Number& value) {
        std::memcpy(out_.reserve_back(sizeof value), &value, sizeof value);
        out_.commit(sizeof value);
    }
    void place(const std::uint64_t& value) { number(value); }
    void flag(const bool& value) { number(static_cast<std::uint8_t>(value ? 1 : 0)); }
    template <class Choice>
    void choice(const Choice& value, Choice /*last*/) {
        number(static_cast<std::uint8_t>(value));
    }
    void name(const std::string_view& value) { text(value); }
    void text(const std::string_view& value) { bytes(as_bytes(value)); }
    void bytes(const ByteView& value) {
        number(static_cast<std::uint32_t>(value.size()));
        out_.append(value);
    }

  private:
    ByteBuffer& out_;
};

class Reader {
  public:
    explicit Reader(ByteView bytes) : rest_(bytes) {}

    // Everything was there, in range, and nothing is left.
    [[nodiscard]] bool is_complete() const { return is_ok_ && rest_.empty(); }
    [[nodiscard]] bool is_ok() const { return is_ok_; }
    [[nodiscard]] ByteView rest() const { return rest_; }

    template <std::unsigned_integral Number>
    void number(Number& value) {
        value = 0;
        const ByteView raw = take(sizeof value);
        if (is_ok_) std::memcpy(&value, raw.data(), sizeof value);
    }
    void place(std::uint64_t& value) {
        number(value);
        if (value > place_max) {
            is_ok_ = false;
            value = 0;
        }
    }
    void flag(bool& value) {
        std::uint8_t raw = 0;
        number(raw);
        if (raw > 1) is_ok_ = false;
        value = raw == 1;
    }
    template <class Choice>
    void choice(Choice& value, Choice last) {
        std::uint8_t raw = 0;
        number(raw);
        if (raw > static_cast<std::uint8_t>(last)) {
            is_ok_ = false;
            raw = 0;
        }
        value = static_cast<Choice>(raw);
    }
    void name(std::string_view& value) {
        text(value);
        if (value.empty()) is_ok_ = false;
    }
    void text(std::string_view& value) {
        ByteView raw;
        bytes(raw);
        if (raw.size() > name_size_max) {
            is_ok_ = false;
            raw = {};
        }
        value = as_text(raw);
    }
    void bytes(ByteView& value) {
        std::uint32_t size = 0;
        number(size);
        value = take(size);
    }

  private:
    [[nodiscard]] ByteView take(std::size_t size) {
        if (!is_ok_ || size > rest_.size()) {
            is_ok_ = false;
            return {};
        }
        const ByteView taken = rest_.first(size);
        rest_ = rest_.subspan(size);
        return taken;
    }

    ByteView rest_;
    bool is_ok_ = true;
};

}  // namespace wspool::wire
