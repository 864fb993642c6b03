// Randomness as an argument. Pure code takes an Entropy; io/ implements it with getrandom(2), the
// simulator with a seeded generator, so that one seed replays a whole node.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace wspool {

class Entropy {
  public:
    virtual ~Entropy() = default;
    // Fills `out` with unpredictable bytes (predictable ones in the simulator only).
    virtual void fill(std::span<std::byte> out) = 0;

    [[nodiscard]] std::uint64_t next_u64() {
        std::array<std::byte, sizeof(std::uint64_t)> raw;
        fill(raw);
        return std::bit_cast<std::uint64_t>(raw);
    }
};

// splitmix64 (Steele, Lea, Flood 2014): for jitter, tests and the simulator. Never for masks or
// ids.
class Prng {
  public:
    explicit Prng(std::uint64_t seed) : state_(seed) {}

    [[nodiscard]] std::uint64_t next() {
        std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return z ^ (z >> 31);
    }
    // Uniform in [0, bound); bound > 0. The bias of the multiply-shift is below 2^-32.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) {
        __extension__ using Wide = unsigned __int128;
        return static_cast<std::uint64_t>((static_cast<Wide>(next()) * bound) >> 64);
    }
    [[nodiscard]] bool chance(double probability) {
        return static_cast<double>(next() >> 11) * 0x1.0p-53 < probability;
    }

  private:
    std::uint64_t state_;
};

class SeededEntropy final : public Entropy {
  public:
    explicit SeededEntropy(std::uint64_t seed) : prng_(seed) {}
    void fill(std::span<std::byte> out) override {
        while (!out.empty()) {
            const std::uint64_t word = prng_.next();
            const std::size_t n = out.size() < sizeof word ? out.size() : sizeof word;
            std::memcpy(out.data(), &word, n);
            out = out.subspan(n);
        }
    }

  private:
    Prng prng_;
};

}  // namespace wspool
