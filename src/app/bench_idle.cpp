// bench idle: open N connections, hold them (pings are answered), and tell what one costs in memory
// and how evenly they are spread over the server's processes.
//
// How it works: a process may open only so many files, so the connections are shared out among load
// processes; and one address has only so many ports, so on loopback they come from many. The load
// processes have memory in common with the process that forked them, which measures the server.
#include "app/bench.h"
#include "io/limits.h"
#include "io/process.h"
#include "io/shared_memory.h"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <new>
#include <thread>

namespace wspool::app {
namespace {

// Of the 28,232 ports of an address that Linux gives to those who connect it takes every second;
// when these are used up it searches long for each of the others.
constexpr std::uint64_t connections_per_address = 12'000;
constexpr std::uint64_t addresses_per_net = 250;
constexpr std::uint64_t own_descriptors = 64;
constexpr std::uint64_t processes_max = 200;
constexpr Duration glance = std::chrono::milliseconds(50);
// A load process whose parent has not been heard of for so long ends.
constexpr Duration silence_max = std::chrono::seconds(10);

// What a load process shows, and is told.
struct Share {
    std::atomic<std::uint64_t> opened{0};
    std::atomic<bool> is_open{false};  // all of its connections
    std::atomic<bool> has_failed{false};
    std::array<char, 256> why{};  // to be read when it has failed
};
struct Board {
    std::atomic<std::uint64_t> beat{0};
    std::atomic<bool> is_over{false};
    std::array<Share, processes_max> shares;
};

// The connections of one load process.
class IdleThread final : public LoadThread {
  public:
    IdleThread(BenchContext& context, Board& board, Share& share)
        : LoadThread(context), board_(board), share_(share) {}

    [[nodiscard]] Result<void> run(std::uint64_t first, std::uint64_t count) {
        if (auto ready = set_up(); !ready) return ready;
        const BenchArgs& args = context_.args;
        if (auto opened = open_all(first, count, context_.targets, args.client_ids); !opened)
            return opened;
        share_.is_open = true;
        std::uint64_t beat = board_.beat;
        Instant heard_at = driver().now();
        while (!board_.is_over && !has_failed()) {
            driver().turn(driver().now() + glance);
            if (beat != board_.beat) heard_at = driver().now();
            beat = board_.beat;
            if (driver().now() - heard_at > silence_max) return {};
        }
        if (has_failed()) return wspool::fail(failure());
        return {};
    }

    void on_open(PeerIndex peer) override {
        LoadThread::on_open(peer);
        share_.opened.fetch_add(1, std::memory_order_relaxed);
    }
    void on_message(PeerIndex, std::uint64_t, ByteView) override {}

  private:
    [[nodiscard]] std::optional<io::Address> source_of(std::uint64_t number) const override {
        const Target& target = context_.targets[number % context_.targets.size()];
        const io::Address& address = target.addresses.front();
        const std::uint64_t index = number / connections_per_address;
        const bool is_v4 = address.family == io::Address::Family::ipv4;
        if (index == 0 || !is_v4 || !io::is_loopback(address)) return std::nullopt;
        return io::Address{
            io::Address::Family::ipv4,
            fmt::format(
                "127.0.{}.{}", 1 + index / addresses_per_net, 1 + index % addresses_per_net),
            0};
    }

    Board& board_;
    Share& share_;
};

struct Sample {
    std::uint64_t memory = 0;
    Duration cpu{};
    std::vector<std::uint64_t> descriptors;  // by process
};

class IdleRun {
  public:
    IdleRun(BenchContext& context, Board& board)
        : context_(context), board_(board), servers_(with_children(context.args.server_pids)) {}

    [[nodiscard]] Result<void> run() {
        const BenchArgs& args = context_.args;
        if (auto counted = count_processes(); !counted) return counted;
        auto before = sample();
        if (!before) return tl::unexpected(before.error());
        const auto began = std::chrono::steady_clock::now();
        if (auto forked = fork_all(); !forked) return forked;
        Result<void> outcome;
        run_with_progress(1, context_.progress, [&](std::uint64_t) {
            outcome = wait_for_all();
            if (!outcome) return;
            connect_seconds_ =
                std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
            outcome = hold(args.duration);
        });
        end_all();
        if (!outcome) return outcome;
        report(*before);
        return {};
    }

  private:
    [[nodiscard]] Result<void> count_processes() {
        const BenchArgs& args = context_.args;
        const auto limit = io::raise_descriptor_limit();
        if (!limit) return tl::unexpected(limit.error());
        const std::uint64_t each = limit->now > own_descriptors ? limit->now - own_descriptors : 1;
        processes_ = args.processes != 0 ? args.processes : (args.connections + each - 1) / each;
        processes_ = std::min(processes_, args.connections);
        if (processes_ > processes_max) {
            return wspool::fail(fmt::format("{} connections need more than {} load processes",
                                            args.connections,
                                            processes_max));
        }
        if ((args.connections + processes_ - 1) / processes_ <= each) return {};
        return wspool::fail(
            fmt::format("{} connections are too many for {} processes, each of which may open {} "
                        "files; leave out --processes",
                        args.connections,
                        processes_,
                        limit->now));
    }

    [[nodiscard]] Result<void> fork_all() {
        const std::uint64_t connections = context_.args.connections;
        std::uint64_t first = 0;
        for (std::uint64_t process = 0; process < processes_; ++process) {
            const std::uint64_t end = connections * (process + 1) / processes_;
            const auto pid = io::fork_process();
            if (!pid) {
                end_all();
                return tl::unexpected(pid.error());
            }
            if (*pid == 0) run_child(process, first, end - first);
            ++living_;
            first = end;
        }
        return {};
    }

    [[noreturn]] void run_child(std::uint64_t process, std::uint64_t first, std::uint64_t count) {
        Share& share = board_.shares[process];
        int status = exit_ok;
        {
            IdleThread thread(context_, board_, share);
            if (const auto done = thread.run(first, count); !done) {
                const std::string& why = done.error().message;
                why.copy(share.why.data(), share.why.size() - 1);
                share.has_failed = true;
                status = exit_failed;
            }
        }
        io::exit_process(status);
    }

    // Empty, or why a load process has failed.
    [[nodiscard]] std::string look() {
        ++board_.beat;
        std::uint64_t opened = 0;
        for (std::uint64_t process = 0; process < processes_; ++process) {
            const Share& share = board_.shares[process];
            if (share.has_failed) return share.why.data();
            opened += share.opened;
        }
        context_.progress.connected = opened;
        if (const auto ended = io::reap_child()) {
            --living_;
            return fmt::format("the load process {} ended, with {} {}",
                               ended->pid,
                               ended->by_signal ? "signal" : "status",
                               ended->detail);
        }
        return {};
    }

    [[nodiscard]] bool are_all_open() const {
        return std::all_of(board_.shares.begin(),
                           board_.shares.begin() + static_cast<std::ptrdiff_t>(processes_),
                           [](const Share& share) { return share.is_open.load(); });
    }

    [[nodiscard]] Result<void> wait_for_all() {
        while (!are_all_open()) {
            if (auto why = look(); !why.empty()) return wspool::fail(std::move(why));
            std::this_thread::sleep_for(glance);
        }
        return {};
    }

    [[nodiscard]] Result<void> hold(Duration duration) {
        auto begun = sample();
        if (!begun) return tl::unexpected(begun.error());
        const auto end = std::chrono::steady_clock::now() + duration;
        while (std::chrono::steady_clock::now() < end) {
            if (auto why = look(); !why.empty()) return wspool::fail(std::move(why));
            std::this_thread::sleep_for(glance);
        }
        auto ended = sample();
        if (!ended) return tl::unexpected(ended.error());
        after_ = std::move(*ended);
        cpu_seconds_ = std::chrono::duration<double>(after_.cpu - begun->cpu).count();
        return {};
    }

    void end_all() {
        board_.is_over = true;
        while (living_ > 0) {
            if (io::reap_child()) {
                --living_;
            } else {
                std::this_thread::sleep_for(glance);
            }
        }
    }

    [[nodiscard]] Result<Sample> sample() const {
        Sample sample;
        if (servers_.empty()) return sample;
        const auto memory = read_anonymous_memory(servers_);
        const auto cpu = read_cpu_time(servers_);
        if (!memory) return tl::unexpected(memory.error());
        if (!cpu) return tl::unexpected(cpu.error());
        sample.memory = *memory;
        sample.cpu = *cpu;
        for (const std::uint64_t pid : servers_)
            sample.descriptors.push_back(count_descriptors(pid).value_or(0));
        return sample;
    }

    void report(const Sample& before) const {
        const BenchArgs& args = context_.args;
        Report& report = context_.report;
        report.line("held",
                    fmt::format("{} connections from {} processes, {:.1f} s",
                                with_thousands(args.connections),
                                processes_,
                                std::chrono::duration<double>(args.duration).count()));
        report.line("opened in", fmt::format("{:.2f} s", connect_seconds_));
        report.value("connections", args.connections);
        report.value("processes", processes_);
        report.value("connect_seconds", connect_seconds_);
        if (servers_.empty()) return;
        const double growth =
            static_cast<double>(after_.memory) - static_cast<double>(before.memory);
        const double each = growth / static_cast<double>(args.connections);
        report.line("server memory",
                    fmt::format("{:.1f} B anonymous per connection  ({:.1f} MB before, {:.1f} MB "
                                "with them)",
                                each,
                                static_cast<double>(before.memory) / 1e6,
                                static_cast<double>(after_.memory) / 1e6));
        report.line("server CPU", fmt::format("{:.2f} s while they were held", cpu_seconds_));
        report.value("anonymous_before", before.memory);
        report.value("anonymous_after", after_.memory);
        report.value("anonymous_per_connection", each);
        report.value("server_cpu_seconds", cpu_seconds_);
        report_spread(before);
    }

    // A process that holds connections has that many open files more than before.
    void report_spread(const Sample& before) const {
        constexpr double fewest = 0.001;  // of all; a master has none
        Report& report = context_.report;
        const auto all = static_cast<double>(context_.args.connections);
        std::vector<double> counts;
        std::string text;
        for (std::size_t i = 0; i < servers_.size(); ++i) {
            const double count = static_cast<double>(after_.descriptors[i]) -
                                 static_cast<double>(before.descriptors[i]);
            const std::string title = read_process_title(servers_[i]);
            if (count < fewest * all && !title.starts_with("wspool: worker ")) continue;
            counts.push_back(count);
            text += fmt::format("{}{:.0f}", text.empty() ? "" : " ", count);
            report.value(fmt::format("connections_of_{}", servers_[i]), count);
        }
        if (counts.empty()) return;
        const double mean = all / static_cast<double>(counts.size());
        double deviation = 0;
        for (const double count : counts)
            deviation = std::max(deviation, std::abs(count - mean) / mean);
        report.line("spread",
                    fmt::format("{}  (at most {:.1f} % off even)", text, 100 * deviation));
        report.value("spread_processes", std::uint64_t{counts.size()});
        report.value("spread_deviation_percent", 100 * deviation);
    }

    BenchContext& context_;
    Board& board_;
    const std::vector<std::uint64_t> servers_;
    std::uint64_t processes_ = 1;
    std::uint64_t living_ = 0;  // load processes that were not waited for
    double connect_seconds_ = 0, cpu_seconds_ = 0;
    Sample after_;
};

}  // namespace

Result<void> bench_idle(BenchContext& context) {
    context.progress.unit = "messages";
    auto memory = io::SharedMemory::make(sizeof(Board));
    if (!memory) return tl::unexpected(memory.error());
    Board* board = new (memory->bytes().data()) Board;
    return IdleRun(context, *board).run();
}

}  // namespace wspool::app
