// bench fanout: publishers say something, every member must get it. k in flight: k messages of each
// publisher are outstanding, and the next is sent when all members have the oldest.
#include "app/bench.h"

#include <fmt/format.h>
#include <unistd.h>

namespace wspool::app {
namespace {

// Nothing arrives for so long: some member will never get its message.
constexpr Duration stall_max = std::chrono::seconds(10);

class FanoutThread final : public LoadThread {
  public:
    explicit FanoutThread(BenchContext& context)
        : LoadThread(context),
          window(context.args),
          is_seed_(context.args.protocol == FanoutProtocol::seed),
          group_(fmt::format("bench-{:010}", ::getpid())),
          members_(context.args.members) {
        const std::string filler(static_cast<std::size_t>(context.args.size), 'x');
        const std::string payload =
            is_seed_ ? fmt::format(
                           R"({{"type":"broadcast","group":"{}","payload":"{}"}})", group_, filler)
                     : filler;
        const auto opcode = is_seed_ || context.args.text ? ws::Opcode::text : ws::Opcode::binary;
        run_ = std::make_unique<FrameRun>(opcode, payload, io::send_size_max, entropy());
        // What the seed sends on has the same members in the same order.
        expected_size_ = payload.size();
        outstanding_max_ = context.args.in_flight * context.args.publishers;
        pending_.resize(static_cast<std::size_t>(outstanding_max_));
        received_.resize(static_cast<std::size_t>(members_));
    }

    [[nodiscard]] Result<void> connect() {
        const BenchArgs& args = context_.args;
        const bool with_ids = is_seed_ || args.client_ids;
        if (auto ready = set_up(); !ready) return ready;
        if (auto opened = open_all(0, members_, context_.targets, with_ids); !opened) return opened;
        if (is_seed_) {
            if (auto joined = join(); !joined) return joined;
        }
        const std::vector<Target> publish_targets =
            context_.publish_target ? std::vector<Target>{*context_.publish_target}
                                    : context_.targets;
        return open_all(members_, args.publishers, publish_targets, with_ids);
    }

    [[nodiscard]] Result<void> measure() {
        driver().turn(Instant{});  // reads the clock
        is_publishing_ = true;
        last_progress_ = driver().now();
        for (std::uint64_t i = 0; i < outstanding_max_; ++i) publish();
        window.begin_warmup(driver().now());
        while (!window.is_over(driver().now()) && !has_failed()) {
            const Instant now = driver().now();
            driver().turn(std::min(window.next_edge(now), now + std::chrono::seconds(1)));
            if (auto updated = window.update(driver().now(), true); !updated) return updated;
            check_stall();
            context_.progress.done.fetch_add(std::exchange(unreported_, 0),
                                             std::memory_order_relaxed);
        }
        if (has_failed()) return wspool::fail(failure());
        return {};
    }

    void on_message(PeerIndex peer, std::uint64_t size, ByteView payload) override {
        if (peer >= members_) return on_publisher_message(size, payload);
        if (!is_publishing_) {
            ++joined_;
            return;
        }
        std::uint64_t& received = received_[peer];
        if (size != expected_size_ || received == published_) return refuse(size, payload);
        Pending& pending = pending_[received % outstanding_max_];
        ++received;
        ++unreported_;
        const Instant now = driver().now();
        const auto taken = static_cast<std::uint64_t>((now - pending.sent_at).count());
        if (window.is_counting()) delivery->record(taken);
        if (++pending.received < members_) return;
        if (window.is_counting()) complete->record(taken);
        last_progress_ = now;
        publish();
    }

    Window window;
    std::unique_ptr<Histogram> delivery = std::make_unique<Histogram>();  // to each member
    std::unique_ptr<Histogram> complete = std::make_unique<Histogram>();  // to the last member

  private:
    struct Pending {
        Instant sent_at{};
        std::uint64_t received = 0;
    };

    // The seed does not answer a join, so a ping is sent behind it: what comes back says that the
    // join was handled.
    [[nodiscard]] Result<void> join() {
        const std::string text = fmt::format(R"({{"type":"join","group":"{}"}})", group_);
        for (PeerIndex peer = 0; peer < members_; ++peer) {
            driver().send_text(peer, text);
            driver().send_text(peer, R"({"type":"ping"})");
        }
        const Instant deadline = driver().now() + context_.args.connect_timeout;
        while (joined_ < members_ && !has_failed() && driver().now() < deadline)
            driver().turn(deadline);
        if (has_failed()) return wspool::fail(failure());
        if (joined_ < members_) {
            return wspool::fail(
                fmt::format("only {} of {} members answered after their join", joined_, members_));
        }
        return {};
    }

    void publish() {
        pending_[published_ % outstanding_max_] = {driver().now(), 0};
        const auto publisher =
            static_cast<PeerIndex>(members_ + published_ % context_.args.publishers);
        ++published_;
        driver().send(publisher, *run_, 1);
    }

    void on_publisher_message(std::uint64_t size, ByteView payload) {
        // A plain server may send the publisher its own message; the seed's answers only errors.
        if (is_seed_) refuse(size, payload);
    }

    void refuse(std::uint64_t size, ByteView payload) {
        fail_with(fmt::format("an unexpected message of {} bytes came: {}",
                              size,
                              as_text(payload.first(std::min<std::size_t>(payload.size(), 200)))));
    }

    void check_stall() {
        if (driver().now() - last_progress_ < stall_max) return;
        const std::uint64_t oldest = published_ - outstanding_max_;
        fail_with(fmt::format("message {} reached only {} of {} members",
                              oldest + 1,
                              pending_[oldest % outstanding_max_].received,
                              members_));
    }

    bool is_seed_;
    bool is_publishing_ = false;
    std::string group_;
    std::uint64_t members_;
    std::unique_ptr<FrameRun> run_;
    std::uint64_t expected_size_ = 0;
    std::uint64_t outstanding_max_ = 0;
    std::uint64_t published_ = 0;
    std::uint64_t joined_ = 0;
    std::uint64_t unreported_ = 0;
    Instant last_progress_{};
    // A member's n-th message is the n-th that was published: a ring of what is outstanding.
    std::vector<Pending> pending_;
    std::vector<std::uint64_t> received_;
};

}  // namespace

Result<void> bench_fanout(BenchContext& context) {
    const BenchArgs& args = context.args;
    if (args.in_flight * args.publishers > 1'000'000)
        return fail("--in-flight times --publishers is too much");
    context.progress.unit = "deliveries";
    const auto thread = std::make_unique<FanoutThread>(context);
    Result<void> outcome;
    run_with_progress(1, context.progress, [&](std::uint64_t) {
        outcome = thread->connect();
        if (outcome) outcome = thread->measure();
    });
    if (!outcome) return outcome;
    const Window& window = thread->window;
    const std::uint64_t count = thread->delivery->count();
    if (count == 0) return fail("no member got anything");
    const double rate = static_cast<double>(count) / window.seconds();
    Report& report = context.report;
    report.line("load",
                fmt::format("{} members, {} publishers, {} B, {} in flight, {:.1f} s",
                            args.members,
                            args.publishers,
                            args.size,
                            args.in_flight,
                            window.seconds()));
    report.line(
        "deliveries",
        fmt::format(
            "{}  ({}/s)", with_thousands(count), with_thousands(static_cast<std::uint64_t>(rate))));
    report.value("protocol",
                 args.protocol == FanoutProtocol::seed ? std::string_view("seed")
                                                       : std::string_view("plain"));
    report.value("members", args.members);
    report.value("publishers", args.publishers);
    report.value("size", args.size);
    report.value("in_flight", args.in_flight);
    report.value("seconds", window.seconds());
    report.value("deliveries", count);
    report.value("deliveries_per_second", rate);
    report.value("broadcasts", thread->complete->count());
    report.latency("each member", "latency", *thread->delivery);
    report.latency("last member", "complete", *thread->complete);
    report_cpu(report, window, count, "delivery");
    return {};
}

}  // namespace wspool::app
