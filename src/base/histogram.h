// Histogram: counts of durations (or any whole numbers) in buckets whose width grows with the
// value, for percentiles with a bounded relative error in fixed memory.
//
// How it works: values below 128 have a bucket each; above, every power of two is cut into 64 equal
// buckets. A percentile is answered with the middle of its bucket, so it is wrong by at most 1/128
// < 1 %. Memory: 3,776 counters (30 KB), whatever is recorded; values beyond 2^64-1 do not exist.
// Two histograms add up to the histogram of both (merge), so each thread may keep its own.
// Invariants: 1. count() is the sum of all buckets. 2. min() <= percentile(p) <= max(), rising with
// p.
#pragma once

#include "base/assert.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace wspool {

class Histogram {
  public:
    void record(std::uint64_t value) { record(value, 1); }
    void record(std::uint64_t value, std::uint64_t times) {
        if (times == 0) return;
        buckets_[bucket_of(value)] += times;
        count_ += times;
        sum_ += static_cast<double>(value) * static_cast<double>(times);
        max_ = std::max(max_, value);
        min_ = std::min(min_, value);
    }
    void merge(const Histogram& other) {
        for (std::size_t i = 0; i < bucket_count; ++i) buckets_[i] += other.buckets_[i];
        count_ += other.count_;
        sum_ += other.sum_;
        max_ = std::max(max_, other.max_);
        min_ = std::min(min_, other.min_);
    }
    void clear() { *this = Histogram(); }

    [[nodiscard]] std::uint64_t count() const { return count_; }
    // Exact. 0 when nothing was recorded.
    [[nodiscard]] std::uint64_t min() const { return count_ == 0 ? 0 : min_; }
    [[nodiscard]] std::uint64_t max() const { return max_; }
    [[nodiscard]] double mean() const {
        return count_ == 0 ? 0.0 : sum_ / static_cast<double>(count_);
    }
    // The value that `fraction` (0 to 1) of what was recorded does not exceed; 0 when nothing was
    // recorded.
    [[nodiscard]] std::uint64_t percentile(double fraction) const {
        if (count_ == 0) return 0;
        const double exact = std::clamp(fraction, 0.0, 1.0) * static_cast<double>(count_);
        auto rank = static_cast<std::uint64_t>(exact);
        if (static_cast<double>(rank) < exact) ++rank;
        rank = std::clamp<std::uint64_t>(rank, 1, count_);
        if (rank == count_) return max_;
        std::uint64_t seen = 0;
        for (std::size_t i = 0; i < bucket_count; ++i) {
            seen += buckets_[i];
            if (seen >= rank) return std::clamp(middle_of(i), min_, max_);
        }
        WSPOOL_UNREACHABLE();
    }

  private:
    static constexpr unsigned half_bits = 6;  // 64 buckets per power of two
    static constexpr std::uint64_t half = 1ull << half_bits;
    static constexpr std::size_t bucket_count = half * (64 - half_bits + 1);

    [[nodiscard]] static std::size_t bucket_of(std::uint64_t value) {
        if (value < 2 * half) return static_cast<std::size_t>(value);
        const auto shift = static_cast<unsigned>(std::bit_width(value)) - half_bits - 1;
        return static_cast<std::size_t>(shift * half + (value >> shift));
    }
    [[nodiscard]] static std::uint64_t middle_of(std::size_t bucket) {
        if (bucket < 2 * half) return bucket;
        const auto shift = static_cast<unsigned>(bucket / half - 1);
        const std::uint64_t low = (bucket - shift * half) << shift;
        return low + ((1ull << shift) >> 1);
    }

    std::array<std::uint64_t, bucket_count> buckets_{};
    std::uint64_t count_ = 0;
    std::uint64_t max_ = 0;
    std::uint64_t min_ = UINT64_MAX;
    double sum_ = 0;
};

}  // namespace wspool
