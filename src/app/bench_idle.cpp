// bench idle: open N connections, hold them (pings are answered), and tell what one costs in
// memory.
#include "app/bench.h"

#include <fmt/format.h>

namespace wspool::app {
namespace {

class IdleThread final : public LoadThread {
  public:
    explicit IdleThread(BenchContext& context) : LoadThread(context) {}

    [[nodiscard]] Result<void> run() {
        const BenchArgs& args = context_.args;
        if (auto ready = set_up(); !ready) return ready;
        if (auto sampled = sample(memory_before); !sampled) return sampled;
        driver().turn(Instant{});  // reads the clock
        const Instant began = driver().now();
        if (auto opened = open_all(0, args.connections, context_.targets, args.client_ids); !opened)
            return opened;
        connect_seconds = std::chrono::duration<double>(driver().now() - began).count();
        const auto cpu_before = read_cpu_time(args.server_pids);
        const Instant end = driver().now() + args.duration;
        while (driver().now() < end && !has_failed()) driver().turn(end);
        if (has_failed()) return wspool::fail(failure());
        const auto cpu_after = read_cpu_time(args.server_pids);
        if (!cpu_before || !cpu_after) return wspool::fail("the server's process went away");
        cpu_seconds = std::chrono::duration<double>(*cpu_after - *cpu_before).count();
        return sample(memory_after);
    }

    void on_message(PeerIndex, std::uint64_t, ByteView) override {}

    std::uint64_t memory_before = 0, memory_after = 0;
    double connect_seconds = 0, cpu_seconds = 0;

  private:
    [[nodiscard]] Result<void> sample(std::uint64_t& into) const {
        if (context_.args.server_pids.empty()) return {};
        const auto memory = read_anonymous_memory(context_.args.server_pids);
        if (!memory) return tl::unexpected(memory.error());
        into = *memory;
        return {};
    }
};

}  // namespace

Result<void> bench_idle(BenchContext& context) {
    const BenchArgs& args = context.args;
    context.progress.unit = "messages";
    const auto thread = std::make_unique<IdleThread>(context);
    Result<void> outcome;
    run_with_progress(1, context.progress, [&](std::uint64_t) { outcome = thread->run(); });
    if (!outcome) return outcome;
    Report& report = context.report;
    report.line("held",
                fmt::format("{} connections, {:.1f} s",
                            with_thousands(args.connections),
                            std::chrono::duration<double>(args.duration).count()));
    report.line("opened in", fmt::format("{:.2f} s", thread->connect_seconds));
    report.value("connections", args.connections);
    report.value("connect_seconds", thread->connect_seconds);
    if (args.server_pids.empty()) return {};
    const double growth =
        static_cast<double>(thread->memory_after) - static_cast<double>(thread->memory_before);
    const double each = growth / static_cast<double>(args.connections);
    report.line(
        "server memory",
        fmt::format("{:.1f} B anonymous per connection  ({:.1f} MB before, {:.1f} MB with them)",
                    each,
                    static_cast<double>(thread->memory_before) / 1e6,
                    static_cast<double>(thread->memory_after) / 1e6));
    report.line("server CPU", fmt::format("{:.2f} s while they were held", thread->cpu_seconds));
    report.value("anonymous_before", thread->memory_before);
    report.value("anonymous_after", thread->memory_after);
    report.value("anonymous_per_connection", each);
    report.value("server_cpu_seconds", thread->cpu_seconds);
    return {};
}

}  // namespace wspool::app
