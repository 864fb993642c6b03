#include "ws/mask.h"

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace wspool::ws {
namespace {

// How every size is done without a loop over the last bytes: the last block is loaded before
// anything is stored, and stored after everything else. Where it overlaps the block before it, both
// hold the same bytes. All blocks are multiples of four bytes, so the key of the last block is the
// key turned by the size of the payload.

std::uint32_t turned(std::uint32_t key, std::size_t offset) {
    const int bits = static_cast<int>(offset & 3) * 8;
    return std::endian::native == std::endian::little ? std::rotr(key, bits) : std::rotl(key, bits);
}

template <class Word>
struct WordBlock {
    using Value = Word;
    static Value load(const std::byte* from) {
        Value value;
        std::memcpy(&value, from, sizeof value);
        return value;
    }
    static void store(std::byte* to, Value value) { std::memcpy(to, &value, sizeof value); }
    static Value spread(std::uint32_t key) {
        if constexpr (sizeof(Word) == sizeof key) {
            return key;
        } else {
            return static_cast<Word>(key) << 32 | key;
        }
    }
    static Value combine(Value left, Value right) { return left ^ right; }
};

#if defined(__x86_64__)

struct Sse2Block {
    using Value = __m128i;
    static Value load(const std::byte* from) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    }
    static void store(std::byte* to, Value value) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), value);
    }
    static Value spread(std::uint32_t key) { return _mm_set1_epi32(static_cast<int>(key)); }
    static Value combine(Value left, Value right) { return _mm_xor_si128(left, right); }
};

using LargeBlock = Sse2Block;

// From this size the wider registers are worth the test for them.
constexpr std::size_t avx2_size_min = 256;

__attribute__((target("avx2"))) void mask_avx2(std::byte* data,
                                               std::size_t size,
                                               std::uint32_t key) {
    constexpr std::size_t width = 32;
    const __m256i wide = _mm256_set1_epi32(static_cast<int>(key));
    std::byte* const last = data + size - width;
    const __m256i last_value =
        _mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(last)),
                         _mm256_set1_epi32(static_cast<int>(turned(key, size))));
    for (; data + 2 * width <= last; data += 2 * width) {
        auto* const low = reinterpret_cast<__m256i*>(data);
        auto* const high = reinterpret_cast<__m256i*>(data + width);
        const __m256i low_value = _mm256_xor_si256(_mm256_loadu_si256(low), wide);
        const __m256i high_value = _mm256_xor_si256(_mm256_loadu_si256(high), wide);
        _mm256_storeu_si256(low, low_value);
        _mm256_storeu_si256(high, high_value);
    }
    for (; data < last; data += width) {
        auto* const block = reinterpret_cast<__m256i*>(data);
        _mm256_storeu_si256(block, _mm256_xor_si256(_mm256_loadu_si256(block), wide));
    }
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(last), last_value);
}

#else

using LargeBlock = WordBlock<std::uint64_t>;

#endif

// Needs at least one block.
template <class Block>
void mask_blocks(std::byte* data, std::size_t size, std::uint32_t key) {
    constexpr std::size_t width = sizeof(typename Block::Value);
    const auto wide = Block::spread(key);
    std::byte* const last = data + size - width;
    const auto last_value = Block::combine(Block::load(last), Block::spread(turned(key, size)));
    for (; data < last; data += width) {
        Block::store(data, Block::combine(Block::load(data), wide));
    }
    Block::store(last, last_value);
}

}  // namespace

std::size_t apply_mask(std::span<std::byte> bytes, MaskKey key, std::size_t offset) {
    std::byte* const data = bytes.data();
    const std::size_t size = bytes.size();
    const std::uint32_t word = turned(std::bit_cast<std::uint32_t>(key), offset);
    const std::size_t end = (offset + size) & 3;
#if defined(__x86_64__)
    if (size >= avx2_size_min && __builtin_cpu_supports("avx2")) {
        mask_avx2(data, size, word);
        return end;
    }
#endif
    if (size >= 16) {
        mask_blocks<LargeBlock>(data, size, word);
    } else if (size >= 8) {
        mask_blocks<WordBlock<std::uint64_t>>(data, size, word);
    } else if (size >= 4) {
        mask_blocks<WordBlock<std::uint32_t>>(data, size, word);
    } else {
        for (std::size_t i = 0; i < size; ++i) data[i] ^= key[(offset + i) & 3];
    }
    return end;
}

}  // namespace wspool::ws
