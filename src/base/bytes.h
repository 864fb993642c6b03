// Bytes: views, and the two buffers that own them.
//
// ByteView and MutableBytes are plain spans; whoever returns one says how long it stays valid.
// ByteBuffer is a growable byte string without the zero-filling and the small-string case of
// std::string: 16 bytes when empty, geometric growth, capacity bounded by what was really appended
// (never by what a peer declared).
#pragma once

#include "base/assert.h"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>
#include <utility>

namespace wspool {

using ByteView = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

[[nodiscard]] inline ByteView as_bytes(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

[[nodiscard]] inline std::string_view as_text(ByteView bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

class ByteBuffer {
  public:
    ByteBuffer() = default;
    ByteBuffer(ByteBuffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    ByteBuffer& operator=(ByteBuffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
    ByteBuffer(const ByteBuffer&) = delete;
    ByteBuffer& operator=(const ByteBuffer&) = delete;
    ~ByteBuffer() { std::free(data_); }

    [[nodiscard]] std::size_t size() const { return size_; }
    [[nodiscard]] std::size_t capacity() const { return capacity_; }
    [[nodiscard]] bool empty() const { return size_ == 0; }
    [[nodiscard]] std::byte* data() { return data_; }
    [[nodiscard]] const std::byte* data() const { return data_; }
    [[nodiscard]] ByteView view() const { return {data_, size_}; }
    [[nodiscard]] MutableBytes bytes() { return {data_, size_}; }

    void clear() { size_ = 0; }
    void release() { *this = ByteBuffer(); }
    void truncate(std::size_t size) {
        WSPOOL_ASSERT(size <= size_);
        size_ = static_cast<std::uint32_t>(size);
    }
    void drop_front(std::size_t count) {
        WSPOOL_ASSERT(count <= size_);
        std::memmove(data_, data_ + count, size_ - count);
        size_ -= static_cast<std::uint32_t>(count);
    }

    // Room for `count` more bytes behind the content; write there, then commit() what was written.
    [[nodiscard]] std::byte* reserve_back(std::size_t count) {
        if (size_ + count > capacity_) grow(size_ + count);
        return data_ + size_;
    }
    void commit(std::size_t count) {
        WSPOOL_ASSERT(size_ + count <= capacity_);
        size_ += static_cast<std::uint32_t>(count);
    }
    void append(ByteView bytes) {
        if (bytes.empty()) return;
        std::memcpy(reserve_back(bytes.size()), bytes.data(), bytes.size());
        commit(bytes.size());
    }
    void append(std::string_view text) { append(as_bytes(text)); }
    void append(char c) {
        *reserve_back(1) = static_cast<std::byte>(c);
        commit(1);
    }

  private:
    void grow(std::size_t needed) {
        WSPOOL_ASSERT(needed <= UINT32_MAX);
        std::size_t capacity = capacity_ == 0 ? 64 : std::size_t{capacity_} * 2;
        if (capacity < needed) capacity = needed;
        if (capacity > UINT32_MAX) capacity = UINT32_MAX;
        data_ = static_cast<std::byte*>(std::realloc(data_, capacity));
        WSPOOL_ASSERT(data_ != nullptr);
        capacity_ = static_cast<std::uint32_t>(capacity);
    }

    std::byte* data_ = nullptr;
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = 0;
};

}  // namespace wspool
