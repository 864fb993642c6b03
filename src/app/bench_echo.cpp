// bench echo: N connections with k messages in flight each; every answer must have the right size.
#include "app/bench.h"

#include <fmt/format.h>

#include <barrier>
#include <mutex>

namespace wspool::app {
namespace {

constexpr std::string_view json_prefix = R"({"type":"bench","payload":")";
constexpr std::string_view json_suffix = R"("})";
constexpr std::string_view echo_prefix = R"({"type":"echo","payload":)";
// Times of what is in flight, per thread.
constexpr std::uint64_t times_max = 64 * 1024 * 1024;

std::string make_payload(const BenchArgs& args) {
    std::string filler(static_cast<std::size_t>(args.size), 'x');
    if (args.mode == BenchMode::raw) return filler;
    return std::string(json_prefix) + filler + std::string(json_suffix);
}

class EchoThread final : public LoadThread {
  public:
    EchoThread(BenchContext& context, std::uint64_t number)
        : LoadThread(context), window(context.args), number_(number) {
        const BenchArgs& args = context.args;
        const std::string payload = make_payload(args);
        const bool is_json = args.mode == BenchMode::json;
        const auto opcode = is_json || args.text ? ws::Opcode::text : ws::Opcode::binary;
        run_ = std::make_unique<FrameRun>(opcode, payload, io::send_size_max, entropy());
        expected_size_ = payload.size() + (is_json ? echo_prefix.size() + 1 : 0);
    }

    [[nodiscard]] Result<void> connect() {
        const BenchArgs& args = context_.args;
        const std::uint64_t first = number_ * args.connections / args.threads;
        const std::uint64_t count = (number_ + 1) * args.connections / args.threads - first;
        if (auto ready = set_up(); !ready) return ready;
        const bool with_ids = args.client_ids || args.mode == BenchMode::json;
        if (auto opened = open_all(first, count, context_.targets, with_ids); !opened)
            return opened;
        sent_at_.resize(static_cast<std::size_t>(count * args.in_flight));
        next_answer_.resize(static_cast<std::size_t>(count));
        return {};
    }

    [[nodiscard]] Result<void> measure() {
        const auto k = context_.args.in_flight;
        driver().turn(Instant{});  // reads the clock
        std::fill(sent_at_.begin(), sent_at_.end(), driver().now());
        for (PeerIndex peer = 0; peer < driver().peer_count(); ++peer)
            driver().send(peer, *run_, k);
        window.begin_warmup(driver().now());
        while (!window.is_over(driver().now()) && !has_failed()) {
            driver().turn(window.next_edge(driver().now()));
            if (auto updated = window.update(driver().now(), number_ == 0); !updated)
                return updated;
            context_.progress.done.fetch_add(std::exchange(unreported_, 0),
                                             std::memory_order_relaxed);
        }
        if (has_failed()) return wspool::fail(failure());
        return {};
    }

    void on_message(PeerIndex peer, std::uint64_t size, ByteView payload) override {
        if (size != expected_size_) {
            return fail_with(
                fmt::format("an answer of {} bytes came where {} were expected: {}",
                            size,
                            expected_size_,
                            as_text(payload.first(std::min<std::size_t>(payload.size(), 200)))));
        }
        const Instant now = driver().now();
        std::uint32_t& slot = next_answer_[peer];
        Instant& sent_at = sent_at_[peer * context_.args.in_flight + slot];
        if (window.is_counting()) {
            latency->record(static_cast<std::uint64_t>((now - sent_at).count()));
        }
        sent_at = now;
        if (++slot == context_.args.in_flight) slot = 0;
        ++unreported_;
        driver().send(peer, *run_, 1);
    }

    Window window;
    std::unique_ptr<Histogram> latency = std::make_unique<Histogram>();

  private:
    std::uint64_t number_;
    std::unique_ptr<FrameRun> run_;
    std::uint64_t expected_size_ = 0;
    // A ring of k times per connection: answers come in the order of the messages.
    std::vector<Instant> sent_at_;
    std::vector<std::uint32_t> next_answer_;
    std::uint64_t unreported_ = 0;
};

void report_echo(BenchContext& context, const Window& window, const Histogram& latency) {
    const BenchArgs& args = context.args;
    Report& report = context.report;
    const std::uint64_t count = latency.count();
    const double rate = static_cast<double>(count) / window.seconds();
    report.line("load",
                fmt::format("{} connections, {} B, {} in flight, {:.1f} s",
                            args.connections,
                            args.size,
                            args.in_flight,
                            window.seconds()));
    report.line("messages",
                fmt::format("{}  ({}/s, {:.1f} MB/s each way)",
                            with_thousands(count),
                            with_thousands(static_cast<std::uint64_t>(rate)),
                            rate * static_cast<double>(args.size) / 1e6));
    report.value("mode",
                 args.mode == BenchMode::json ? std::string_view("json") : std::string_view("raw"));
    report.value("connections", args.connections);
    report.value("size", args.size);
    report.value("in_flight", args.in_flight);
    report.value("seconds", window.seconds());
    report.value("messages", count);
    report.value("messages_per_second", rate);
    report.latency("round trip", "latency", latency);
    report_cpu(report, window, count, "message");
}

}  // namespace

Result<void> bench_echo(BenchContext& context) {
    const BenchArgs& args = context.args;
    if (args.connections * args.in_flight > times_max) {
        return fail("--connections times --in-flight is too much; keep it below 64 million");
    }
    std::vector<std::unique_ptr<EchoThread>> threads;
    for (std::uint64_t i = 0; i < args.threads; ++i)
        threads.push_back(std::make_unique<EchoThread>(context, i));
    std::mutex mutex;
    std::string failure;
    std::barrier all_connected(static_cast<std::ptrdiff_t>(args.threads));
    const auto note = [&](const Result<void>& result) {
        const std::lock_guard lock(mutex);
        if (!result && failure.empty()) failure = result.error().message;
        return failure.empty();
    };
    run_with_progress(args.threads, context.progress, [&](std::uint64_t i) {
        note(threads[i]->connect());
        all_connected.arrive_and_wait();
        if (note({})) note(threads[i]->measure());
    });
    if (!failure.empty()) return fail(failure);
    const auto latency = std::make_unique<Histogram>();
    for (const auto& thread : threads) latency->merge(*thread->latency);
    if (latency->count() == 0)
        return fail("no answer came: is this an echo server? (on wspool: --echo, path /echo)");
    report_echo(context, threads.front()->window, *latency);
    return {};
}

}  // namespace wspool::app
