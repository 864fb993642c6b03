#include "app/bench_report.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <mutex>
#include <thread>

namespace wspool::app {
namespace {

std::string format_nanoseconds(double value) {
    if (value < 1e3) return fmt::format("{:.0f} ns", value);
    if (value < 1e6) return fmt::format("{:.1f} us", value / 1e3);
    if (value < 1e9) return fmt::format("{:.2f} ms", value / 1e6);
    return fmt::format("{:.2f} s", value / 1e9);
}

struct Percentile {
    double fraction;
    std::string_view label;
    std::string_view name;
};
constexpr std::array<Percentile, 4> percentiles = {
    {{0.5, "p50", "p50"}, {0.9, "p90", "p90"}, {0.99, "p99", "p99"}, {0.999, "p99.9", "p99_9"}}};

}  // namespace

void Report::value(std::string_view name, double value) {
    values_.emplace_back(name, nlohmann::json(value).dump());
}
void Report::value(std::string_view name, std::uint64_t value) {
    values_.emplace_back(name, nlohmann::json(value).dump());
}
void Report::value(std::string_view name, std::string_view value) {
    const auto replace = nlohmann::json::error_handler_t::replace;
    values_.emplace_back(name, nlohmann::json(value).dump(-1, ' ', false, replace));
}

void Report::latency(std::string_view label, std::string_view name, const Histogram& histogram) {
    std::string text;
    for (const Percentile& p : percentiles) {
        const auto told = static_cast<double>(histogram.percentile(p.fraction));
        text += fmt::format("{} {}  ", p.label, format_nanoseconds(told));
        value(fmt::format("{}_{}_us", name, p.name), told / 1e3);
    }
    text += fmt::format("max {}", format_nanoseconds(static_cast<double>(histogram.max())));
    value(fmt::format("{}_max_us", name), static_cast<double>(histogram.max()) / 1e3);
    value(fmt::format("{}_mean_us", name), histogram.mean() / 1e3);
    line(label, std::move(text));
}

void Report::print(bool as_json) const {
    if (as_json) {
        std::string text = "{";
        for (const auto& [name, json] : values_) {
            text += fmt::format("{}\"{}\":{}", text.size() > 1 ? "," : "", name, json);
        }
        std::printf("%s}\n", text.c_str());
    } else {
        for (const auto& [label, text] : lines_)
            std::printf("%-16s%s\n", label.c_str(), text.c_str());
    }
    std::fflush(stdout);
}

void run_with_progress(std::uint64_t threads,
                       const Progress& progress,
                       const std::function<void(std::uint64_t)>& work) {
    std::mutex mutex;
    std::condition_variable ended;
    std::uint64_t running = threads;
    std::vector<std::thread> pool;
    for (std::uint64_t i = 0; i < threads; ++i) {
        pool.emplace_back([&, i] {
            work(i);
            const std::lock_guard lock(mutex);
            --running;
            ended.notify_one();
        });
    }
    const bool is_terminal = ::isatty(STDERR_FILENO) == 1;
    std::uint64_t before = 0;
    std::unique_lock lock(mutex);
    for (int second = 1;
         !ended.wait_for(lock, std::chrono::seconds(1), [&] { return running == 0; });
         ++second) {
        const std::uint64_t done = progress.done.load(std::memory_order_relaxed);
        const std::string text = fmt::format("{:3} s  {} connected  {} {}/s",
                                             second,
                                             progress.connected.load(std::memory_order_relaxed),
                                             done - before,
                                             progress.unit);
        std::fprintf(stderr, is_terminal ? "\r%-70s" : "%s\n", text.c_str());
        std::fflush(stderr);
        before = done;
    }
    lock.unlock();
    for (auto& thread : pool) thread.join();
    if (is_terminal) std::fprintf(stderr, "\r%-70s\r", "");
}

}  // namespace wspool::app
