// bench connect: connect, upgrade, close, again and again, N at a time. Connections are closed with
// a reset, so that ports are free at once and a long run does not end for want of them.
#include "app/bench.h"

#include <fmt/format.h>

namespace wspool::app {
namespace {

class ConnectThread final : public LoadThread {
  public:
    explicit ConnectThread(BenchContext& context) : LoadThread(context), window(context.args) {}

    [[nodiscard]] Result<void> run() {
        if (auto ready = set_up(); !ready) return ready;
        driver().turn(Instant{});  // reads the clock
        window.begin_warmup(driver().now());
        last_progress_ = driver().now();
        for (std::uint64_t i = 0; i < context_.args.connections; ++i) {
            const auto peer = driver().connect(next_destination());
            if (!peer) return tl::unexpected(peer.error());
            began_.push_back(driver().now());
        }
        while (!window.is_over(driver().now()) && !has_failed()) {
            const Instant now = driver().now();
            driver().turn(std::min(window.next_edge(now), now + std::chrono::seconds(1)));
            if (auto updated = window.update(driver().now(), true); !updated) return updated;
            if (driver().now() - last_progress_ > context_.args.connect_timeout) {
                return wspool::fail("no connection was opened for the length of --connect-timeout");
            }
        }
        if (has_failed()) return wspool::fail(failure());
        return {};
    }

    void on_open(PeerIndex peer) override {
        const Instant now = driver().now();
        last_progress_ = now;
        if (window.is_counting())
            latency->record(static_cast<std::uint64_t>((now - began_[peer]).count()));
        context_.progress.done.fetch_add(1, std::memory_order_relaxed);
        driver().close(peer);
        began_[peer] = now;
        if (auto again = driver().reconnect(peer, next_destination()); !again)
            fail_with(again.error().message);
    }

    void on_message(PeerIndex, std::uint64_t, ByteView) override {}

    Window window;
    std::unique_ptr<Histogram> latency = std::make_unique<Histogram>();

  private:
    [[nodiscard]] Destination next_destination() {
        const std::uint64_t number = started_++;
        const auto& targets = context_.targets;
        return make_destination(targets[number % targets.size()], number, context_.args.client_ids);
    }

    std::uint64_t started_ = 0;
    std::vector<Instant> began_;
    Instant last_progress_{};
};

}  // namespace

Result<void> bench_connect(BenchContext& context) {
    const BenchArgs& args = context.args;
    context.progress.unit = "connects";
    const auto thread = std::make_unique<ConnectThread>(context);
    Result<void> outcome;
    run_with_progress(1, context.progress, [&](std::uint64_t) { outcome = thread->run(); });
    if (!outcome) return outcome;
    const std::uint64_t count = thread->latency->count();
    if (count == 0) return fail("no connection was opened");
    const double rate = static_cast<double>(count) / thread->window.seconds();
    Report& report = context.report;
    report.line("load",
                fmt::format("{} at a time, {:.1f} s", args.connections, thread->window.seconds()));
    report.line(
        "connections",
        fmt::format(
            "{}  ({}/s)", with_thousands(count), with_thousands(static_cast<std::uint64_t>(rate))));
    report.value("connections", args.connections);
    report.value("seconds", thread->window.seconds());
    report.value("opened", count);
    report.value("opened_per_second", rate);
    report.latency("until upgraded", "latency", *thread->latency);
    report_cpu(report, thread->window, count, "connection");
    return {};
}

}  // namespace wspool::app
