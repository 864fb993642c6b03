// What a load run tells: a progress line on stderr while it runs, a report on stdout at its end,
// for people or as one JSON object.
#pragma once

#include "base/histogram.h"

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wspool::app {

class Report {
  public:
    // A line for people, and its values for JSON (without a line when `text` is empty).
    void line(std::string_view label, std::string text) {
        lines_.emplace_back(label, std::move(text));
    }
    void value(std::string_view name, double value);
    void value(std::string_view name, std::uint64_t value);
    void value(std::string_view name, std::string_view value);
    // count, mean, p50, p90, p99, p99.9 and max of nanoseconds, as `NAME_p50_us` and so on.
    void latency(std::string_view label, std::string_view name, const Histogram& histogram);

    void print(bool as_json) const;

  private:
    std::vector<std::pair<std::string, std::string>> lines_;
    std::vector<std::pair<std::string, std::string>> values_;  // JSON texts
};

// Counts that the load threads raise and the progress line shows.
struct Progress {
    std::atomic<std::uint64_t> connected = 0;
    std::atomic<std::uint64_t> done = 0;  // messages, deliveries or connects
    std::string_view unit = "messages";
};

// Runs `work` in `threads` threads (with their number) and shows the progress each second until all
// end.
void run_with_progress(std::uint64_t threads,
                       const Progress& progress,
                       const std::function<void(std::uint64_t)>& work);

}  // namespace wspool::app
