#include "ws/utf8.h"

#include "ws/utf8_avx2.h"

#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace wspool::ws {
namespace {

// The state is what the next byte must be: how many continuation bytes are still owed (bits 0 to 7)
// and the range of the next one (lowest in bits 8 to 15, highest in bits 16 to 23). Only the first
// continuation byte ever has a range narrower than 80..BF; that range is what keeps out overlong
// forms, surrogates and everything above U+10FFFF. 0: between characters.
constexpr std::uint32_t make_state(std::uint32_t owed,
                                   std::uint32_t lowest,
                                   std::uint32_t highest) {
    return owed | lowest << 8 | highest << 16;
}

// No byte lies in its range, so it is never left.
constexpr std::uint32_t refused_state = make_state(0xFF, 0xFF, 0x00);

std::uint32_t state_after_lead(unsigned byte) {
    if (byte < 0x80) return 0;
    if (byte < 0xC2) return refused_state;
    if (byte < 0xE0) return make_state(1, 0x80, 0xBF);
    if (byte < 0xF0) {
        return make_state(2, byte == 0xE0 ? 0xA0u : 0x80u, byte == 0xED ? 0x9Fu : 0xBFu);
    }
    if (byte < 0xF5) {
        return make_state(3, byte == 0xF0 ? 0x90u : 0x80u, byte == 0xF4 ? 0x8Fu : 0xBFu);
    }
    return refused_state;
}

std::uint32_t next_state(std::uint32_t state, unsigned byte) {
    if (state == 0) return state_after_lead(byte);
    if (byte < (state >> 8 & 0xFF) || byte > (state >> 16 & 0xFF)) return refused_state;
    const std::uint32_t owed = (state & 0xFF) - 1;
    return owed == 0 ? 0 : make_state(owed, 0x80, 0xBF);
}

bool is_ascii(std::uint64_t word) {
    return (word & 0x8080808080808080ull) == 0;
}

template <class Word>
bool both_ends_are_ascii(const std::byte* data, std::size_t size) {
    Word front;
    Word back;
    std::memcpy(&front, data, sizeof front);
    std::memcpy(&back, data + size - sizeof back, sizeof back);
    return is_ascii(front | back);
}

// A position at or before the first byte that is not ASCII; `end` only when there is none.
inline const std::byte* skip_ascii(const std::byte* data, const std::byte* end) {
    const auto size = static_cast<std::size_t>(end - data);
    if (size < 16) {
        if (size >= 8) return both_ends_are_ascii<std::uint64_t>(data, size) ? end : data;
        if (size >= 4) return both_ends_are_ascii<std::uint32_t>(data, size) ? end : data;
        while (data != end && std::to_integer<unsigned>(*data) < 0x80) ++data;
        return data;
    }
#if defined(__SSE2__)
    const auto load = [](const std::byte* from) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    };
    for (; end - data >= 32; data += 32) {
        if (_mm_movemask_epi8(_mm_or_si128(load(data), load(data + 16))) != 0) return data;
    }
    if (end - data > 16) {
        if (_mm_movemask_epi8(load(data)) != 0) return data;
    }
    return _mm_movemask_epi8(load(end - 16)) == 0 ? end : data;
#else
    for (; end - data >= 16; data += 16) {
        if (!both_ends_are_ascii<std::uint64_t>(data, 16)) return data;
    }
    return both_ends_are_ascii<std::uint64_t>(end - 16, 16) ? end : data;
#endif
}

}  // namespace

bool Utf8Validator::accept(std::span<const std::byte> bytes) {
    const std::byte* data = bytes.data();
    const std::byte* const end = data + bytes.size();
    std::uint32_t state = state_;
    while (state != 0 && data != end && state != refused_state) {
        state = next_state(state, std::to_integer<unsigned>(*data++));
    }
    if (state == 0) {
        data = skip_ascii(data, end);
        if (data != end) {
            data = skip_valid_blocks(data, end);
            if (data == nullptr) state = refused_state;
        }
    }
    while (state != refused_state && data != end) {
        const auto byte = std::to_integer<unsigned>(*data);
        if (state == 0 && byte < 0x80 && end - data >= 8) {
            // A run of ASCII in other text: eight at a time, without leaving the loop.
            std::uint64_t word;
            std::memcpy(&word, data, sizeof word);
            data += is_ascii(word) ? sizeof word : 1;
            continue;
        }
        state = next_state(state, byte);
        ++data;
    }
    state_ = state;
    return state != refused_state;
}

bool is_valid_utf8(std::span<const std::byte> bytes) {
    const std::byte* const end = bytes.data() + bytes.size();
    const std::byte* const data = skip_ascii(bytes.data(), end);
    if (data == end) return true;
    Utf8Validator validator;
    return validator.accept({data, end}) && validator.is_complete();
}

}  // namespace wspool::ws
