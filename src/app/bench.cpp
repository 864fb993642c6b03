// wspool bench: chooses the kind of load, and what the kinds share.
#include "app/bench.h"

#include "app/log.h"
#include "app/verbs.h"
#include "io/limits.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

namespace wspool::app {
namespace {

// Fewer than the backlog of any server, so that no SYN is dropped and repeated a second later.
constexpr std::uint64_t handshakes_at_a_time = 128;

std::string_view name_of(BenchKind kind) {
    switch (kind) {
        case BenchKind::echo:
            return "echo";
        case BenchKind::fanout:
            return "fanout";
        case BenchKind::idle:
            return "idle";
        case BenchKind::connect:
            return "connect";
    }
    return "";
}

// Exit status; 0: `context` is ready.
int prepare(BenchContext& context) {
    const auto refuse = [](const std::string& why, int status) {
        std::fprintf(stderr, "wspool bench: %s\n", why.c_str());
        return status;
    };
    const BenchArgs& args = context.args;
    std::vector<std::string> urls = args.urls;
    if (!args.publish_url.empty()) urls.push_back(args.publish_url);
    for (const std::string& text : urls) {
        const auto url = parse_target(text);
        if (!url) return refuse(url.error().message, exit_unusable);
        auto target = resolve_target(*url);
        if (!target) return refuse(target.error().message, exit_failed);
        context.targets.push_back(std::move(*target));
    }
    if (!args.publish_url.empty()) {
        context.publish_target = std::move(context.targets.back());
        context.targets.pop_back();
    }
    const auto limit = io::raise_descriptor_limit();
    const bool is_fanout = args.kind == BenchKind::fanout;
    const std::uint64_t wanted = is_fanout ? args.members + args.publishers : args.connections;
    // The connections of `idle` are spread over processes.
    const bool is_one_process = args.kind != BenchKind::idle;
    if (limit && is_one_process && wanted + 64 > limit->now) {
        return refuse(
            fmt::format(
                "{} connections need more than the {} files that this process may open; ask "
                "for {} or fewer, or run several at once",
                wanted,
                limit->now,
                limit->now > 64 ? limit->now - 64 : 0),
            exit_unusable);
    }
    if (args.threads > wanted || args.threads > 256) {
        return refuse("--threads: more threads than connections, or than 256", exit_unusable);
    }
    if (const auto cpu = read_cpu_time(args.server_pids); !cpu)
        return refuse(cpu.error().message, exit_unusable);
    return exit_ok;
}

Result<void> run(BenchContext& context) {
    switch (context.args.kind) {
        case BenchKind::echo:
            return bench_echo(context);
        case BenchKind::fanout:
            return bench_fanout(context);
        case BenchKind::idle:
            return bench_idle(context);
        case BenchKind::connect:
            return bench_connect(context);
    }
    WSPOOL_UNREACHABLE();
}

}  // namespace

int run_bench(const BenchArgs& args) {
    BenchContext context;
    context.args = args;
    if (const int status = prepare(context); status != exit_ok) return status;
    context.report.value("bench", name_of(args.kind));
    context.report.value("url", std::string_view(args.urls.front()));
    context.report.line(std::string(name_of(args.kind)), args.urls.front());
    if (const auto done = run(context); !done) {
        const std::string why = escape_for_terminal(done.error().message, 1024);
        std::fprintf(stderr, "wspool bench: %s\n", why.c_str());
        return exit_failed;
    }
    context.report.print(args.json);
    return exit_ok;
}

Destination make_destination(const Target& target, std::uint64_t number, bool with_client_id) {
    Destination destination;
    destination.address = target.addresses.front();
    destination.host = target.url.authority();
    destination.target = target.url.target;
    if (with_client_id) {
        const bool has_query = destination.target.find('?') != std::string::npos;
        destination.target +=
            fmt::format("{}clientId=bench-{}-{}", has_query ? '&' : '?', ::getpid(), number);
    }
    return destination;
}

Result<void> LoadThread::set_up() {
    auto chosen = io::make_loop(context_.args.loop);
    if (!chosen) return tl::unexpected(chosen.error());
    loop_ = std::move(chosen->loop);
    Driver::Headers headers;
    if (!context_.args.token.empty())
        headers.emplace_back("Authorization", "Bearer " + context_.args.token);
    driver_ = std::make_unique<Driver>(*loop_, entropy_, *this, std::move(headers));
    return {};
}

void LoadThread::on_open(PeerIndex) {
    ++opened_;
    context_.progress.connected.fetch_add(1, std::memory_order_relaxed);
}

void LoadThread::on_lost(PeerIndex peer, const std::string& why) {
    fail_with(fmt::format("connection {}: {}", peer, why));
}

Result<void> LoadThread::open_all(std::uint64_t first,
                                  std::uint64_t count,
                                  const std::vector<Target>& targets,
                                  bool with_client_ids) {
    loop_->wait(Instant{});  // reads the clock
    const Instant deadline = loop_->now() + context_.args.connect_timeout;
    const std::uint64_t opened_before = opened_;
    std::uint64_t started = 0;
    while (opened_ - opened_before < count) {
        while (started < count && started - (opened_ - opened_before) < handshakes_at_a_time) {
            const std::uint64_t number = first + started;
            auto destination =
                make_destination(targets[number % targets.size()], number, with_client_ids);
            destination.source = source_of(number);
            if (const auto peer = driver_->connect(destination); !peer)
                return tl::unexpected(peer.error());
            ++started;
        }
        driver_->turn(deadline);
        if (has_failed()) return wspool::fail(failure_);
        if (loop_->now() >= deadline) {
            return wspool::fail(
                fmt::format("only {} of {} connections were open after {} s",
                            opened_ - opened_before,
                            count,
                            context_.args.connect_timeout / std::chrono::seconds(1)));
        }
    }
    return {};
}

Result<void> Window::update(Instant now, bool measures_server) {
    const bool should_count = now >= start_ && now < end_;
    if (should_count == is_counting_) return {};
    is_counting_ = should_count;
    (should_count ? began_ : ended_) = now;
    if (!measures_server) return {};
    const std::uint64_t own_pid = static_cast<std::uint64_t>(::getpid());
    const auto own_cpu = read_cpu_time(std::span(&own_pid, 1));
    const auto server_cpu = read_cpu_time(args_.server_pids);
    if (!own_cpu) return tl::unexpected(own_cpu.error());
    if (!server_cpu) return tl::unexpected(server_cpu.error());
    if (should_count) {
        own_cpu_before_ = *own_cpu;
        cpu_before_ = *server_cpu;
        return {};
    }
    own_cpu_ = *own_cpu - own_cpu_before_;
    if (!args_.server_pids.empty()) server_cpu_ = *server_cpu - cpu_before_;
    return {};
}

double Window::seconds() const {
    return std::chrono::duration<double>(ended_ - began_).count();
}

std::string with_thousands(std::uint64_t value) {
    std::string text = std::to_string(value);
    for (std::size_t i = text.size(); i > 3; i -= 3) text.insert(i - 3, ",");
    return text;
}

void report_cpu(Report& report, const Window& window, std::uint64_t count, std::string_view unit) {
    const auto add = [&](std::string_view label, std::string_view name, Duration cpu) {
        const double used = std::chrono::duration<double>(cpu).count();
        const double each = used / static_cast<double>(count) * 1e6;
        const double percent = used / window.seconds() * 100;
        report.line(label,
                    fmt::format("{:.3f} us per {}  ({:.0f} % of a core)", each, unit, percent));
        report.value(fmt::format("{}_cpu_us_per_{}", name, unit), each);
        report.value(fmt::format("{}_cpu_seconds", name), used);
        report.value(fmt::format("{}_cpu_percent", name), percent);
    };
    if (count == 0) return;
    if (window.server_cpu()) add("server CPU", "server", *window.server_cpu());
    add("generator CPU", "generator", window.own_cpu());
}

}  // namespace wspool::app
