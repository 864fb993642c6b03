// What the kinds of load share: where to connect, the opening of many connections, the measured
// window.
#pragma once

#include "app/bench_driver.h"
#include "app/bench_measure.h"
#include "app/bench_report.h"
#include "app/cli.h"
#include "app/target.h"
#include "io/entropy.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wspool::app {

struct BenchContext {
    BenchArgs args;
    std::vector<Target> targets;
    std::optional<Target> publish_target;
    Report report;
    Progress progress;
};

// Each runs to its end and fills the report, or says in one sentence what went wrong.
[[nodiscard]] Result<void> bench_echo(BenchContext& context);
[[nodiscard]] Result<void> bench_fanout(BenchContext& context);
[[nodiscard]] Result<void> bench_idle(BenchContext& context);
[[nodiscard]] Result<void> bench_connect(BenchContext& context);

// Address, Host and target of connection `number`; with a client id of its own where asked for.
[[nodiscard]] Destination make_destination(const Target& target,
                                           std::uint64_t number,
                                           bool with_client_id);

// A loop with its driver, and the counting of connections that opened. Derive and add what messages
// mean.
class LoadThread : public DriverHandler {
  public:
    explicit LoadThread(BenchContext& context) : context_(context) {}

    [[nodiscard]] Result<void> set_up();
    // Opens `count` connections, numbered from `first`, a few hundred handshakes at a time.
    [[nodiscard]] Result<void> open_all(std::uint64_t first,
                                        std::uint64_t count,
                                        const std::vector<Target>& targets,
                                        bool with_client_ids);
    [[nodiscard]] const std::string& failure() const { return failure_; }

    void on_open(PeerIndex peer) override;
    void on_lost(PeerIndex peer, const std::string& why) override;

  protected:
    [[nodiscard]] Driver& driver() { return *driver_; }
    // Where connection `number` comes from; none: the kernel chooses.
    [[nodiscard]] virtual std::optional<io::Address> source_of(std::uint64_t) const { return {}; }
    [[nodiscard]] Entropy& entropy() { return entropy_; }
    void fail_with(std::string why) {
        if (failure_.empty()) failure_ = std::move(why);
    }
    [[nodiscard]] bool has_failed() const { return !failure_.empty(); }

    BenchContext& context_;

  private:
    io::SystemEntropy entropy_;
    std::unique_ptr<io::Loop> loop_;
    std::unique_ptr<Driver> driver_;
    std::uint64_t opened_ = 0;
    std::string failure_;
};

// The measured part of a run: begins after the warm-up, lasts args.duration, and knows what the
// server's CPU did in it. One per run; ask it once per turn.
class Window {
  public:
    explicit Window(const BenchArgs& args) : args_(args) {}
    void begin_warmup(Instant now) {
        start_ = now + args_.warmup;
        end_ = start_ + args_.duration;
    }
    [[nodiscard]] bool is_over(Instant now) const { return now >= end_; }
    [[nodiscard]] Instant next_edge(Instant now) const { return now < start_ ? start_ : end_; }
    // Counting is on between the edges. `measures_server`: exactly one thread does.
    [[nodiscard]] Result<void> update(Instant now, bool measures_server);
    [[nodiscard]] bool is_counting() const { return is_counting_; }
    [[nodiscard]] double seconds() const;
    // Of the server, in the window; none when no process was named.
    [[nodiscard]] std::optional<Duration> server_cpu() const { return server_cpu_; }
    // Of this process, in the window.
    [[nodiscard]] Duration own_cpu() const { return own_cpu_; }

  private:
    const BenchArgs& args_;
    Instant start_{}, end_{};
    Instant began_{}, ended_{};
    bool is_counting_ = false;
    Duration cpu_before_{};
    Duration own_cpu_before_{}, own_cpu_{};
    std::optional<Duration> server_cpu_;
};

// "server_cpu_us_per_message" and utilisation where a process was named, and the same of the load
// generator: where that is the larger, it is the generator that was measured.
void report_cpu(Report& report, const Window& window, std::uint64_t count, std::string_view unit);
[[nodiscard]] std::string with_thousands(std::uint64_t value);

}  // namespace wspool::app
