#include "ws/utf8_avx2.h"

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace wspool::ws {

#if defined(__x86_64__)

namespace {

constexpr std::ptrdiff_t block_size = 32;

// The ways in which two neighbouring bytes can be wrong.
constexpr unsigned too_short = 1u << 0;          // a lead byte, then no continuation
constexpr unsigned too_long = 1u << 1;           // ASCII, then a continuation
constexpr unsigned overlong_3 = 1u << 2;         // E0, then below A0
constexpr unsigned too_large = 1u << 3;          // F4 and up, then 90 and up
constexpr unsigned surrogate = 1u << 4;          // ED, then A0 and up
constexpr unsigned overlong_2 = 1u << 5;         // C0 or C1
constexpr unsigned overlong_4 = 1u << 6;         // F0, then below 90; F5 and up, then below 90
constexpr unsigned two_continuations = 1u << 7;  // right only as a third or fourth byte
// Ways which the lower half of the first byte says nothing about.
constexpr unsigned told_by_the_rest = too_short | too_long | two_continuations;

struct Table {
    alignas(16) std::uint8_t ways[16];
};

constexpr Table make_first_high() {
    Table table{};
    for (unsigned i = 0; i < 16; ++i) {
        unsigned ways = i < 0x8 ? too_long : i < 0xC ? two_continuations : too_short;
        if (i == 0xC) ways |= overlong_2;
        if (i == 0xE) ways |= overlong_3 | surrogate;
        if (i == 0xF) ways |= too_large | overlong_4;
        table.ways[i] = static_cast<std::uint8_t>(ways);
    }
    return table;
}

constexpr Table make_first_low() {
    Table table{};
    for (unsigned i = 0; i < 16; ++i) {
        unsigned ways = told_by_the_rest;
        if (i == 0x0) ways |= overlong_3 | overlong_2 | overlong_4;
        if (i == 0x1) ways |= overlong_2;
        if (i >= 0x4) ways |= too_large;
        if (i >= 0x5) ways |= overlong_4;
        if (i == 0xD) ways |= surrogate;
        table.ways[i] = static_cast<std::uint8_t>(ways);
    }
    return table;
}

constexpr Table make_second_high() {
    Table table{};
    for (unsigned i = 0; i < 16; ++i) {
        unsigned ways = too_short;
        if (i >= 0x8 && i < 0xC) ways = too_long | two_continuations | overlong_2;
        if (i == 0x8) ways |= overlong_3 | overlong_4;
        if (i == 0x9) ways |= overlong_3 | too_large;
        if (i == 0xA || i == 0xB) ways |= surrogate | too_large;
        table.ways[i] = static_cast<std::uint8_t>(ways);
    }
    return table;
}

constexpr Table first_high = make_first_high();
constexpr Table first_low = make_first_low();
constexpr Table second_high = make_second_high();

#define WSPOOL_AVX2 __attribute__((target("avx2"), always_inline)) inline

WSPOOL_AVX2 __m256i look_up(const Table& table, __m256i halves) {
    const __m128i half = _mm_load_si128(reinterpret_cast<const __m128i*>(table.ways));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(half), halves);
}

WSPOOL_AVX2 __m256i upper_half(__m256i bytes) {
    return _mm256_and_si256(_mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(0x0F));
}

// `block` moved up by `count`, with the end of the block before it moved in.
template <int count>
WSPOOL_AVX2 __m256i shifted(__m256i block, __m256i before) {
    return _mm256_alignr_epi8(block, _mm256_permute2x128_si256(before, block, 0x21), 16 - count);
}

WSPOOL_AVX2 __m256i find_errors(__m256i block, __m256i before) {
    const __m256i first = shifted<1>(block, before);
    const __m256i low = _mm256_and_si256(first, _mm256_set1_epi8(0x0F));
    const __m256i pairs = _mm256_and_si256(
        _mm256_and_si256(look_up(first_high, upper_half(first)), look_up(first_low, low)),
        look_up(second_high, upper_half(block)));
    // Bit 7 where a third or fourth byte belongs: the byte two before is E0 and up, or three before
    // F0.
    const __m256i third =
        _mm256_subs_epu8(shifted<2>(block, before), _mm256_set1_epi8(0xE0 - 0x80));
    const __m256i fourth =
        _mm256_subs_epu8(shifted<3>(block, before), _mm256_set1_epi8(0xF0 - 0x80));
    const __m256i owed =
        _mm256_and_si256(_mm256_or_si256(third, fourth), _mm256_set1_epi8(static_cast<char>(0x80)));
    return _mm256_xor_si256(pairs, owed);
}

// The beginning of the character that may be cut off at `end`; looks at most three bytes back.
const std::byte* character_boundary(const std::byte* begin, const std::byte* end) {
    const std::byte* position = end;
    for (int i = 1; i <= 3 && position != begin; ++i) {
        const auto byte = std::to_integer<unsigned>(*--position);
        if (byte < 0x80) return end;
        if (byte >= 0xC0) return position;
    }
    return end;
}

__attribute__((target("avx2"))) const std::byte* skip_avx2(const std::byte* data,
                                                           const std::byte* end) {
    const std::byte* const begin = data;
    __m256i before = _mm256_setzero_si256();
    __m256i errors = _mm256_setzero_si256();
    // Errors are gathered over a few blocks and looked at once.
    while (end - data >= block_size) {
        for (int i = 0; i < 4 && end - data >= block_size; ++i, data += block_size) {
            const __m256i block = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(data));
            errors = _mm256_or_si256(errors, find_errors(block, before));
            before = block;
        }
        if (_mm256_testz_si256(errors, errors) == 0) return nullptr;
    }
    return character_boundary(begin, data);
}

#undef WSPOOL_AVX2

}  // namespace

const std::byte* skip_valid_blocks(const std::byte* data, const std::byte* end) {
    if (end - data < block_size || !__builtin_cpu_supports("avx2")) return data;
    return skip_avx2(data, end);
}

#else

const std::byte* skip_valid_blocks(const std::byte* data, const std::byte*) {
    return data;
}

#endif

}  // namespace wspool::ws
