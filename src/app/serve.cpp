// wspool serve: the gateway, in one process with one worker.
#include "app/config.h"
#include "app/log.h"
#include "app/verbs.h"
#include "io/entropy.h"
#include "io/limits.h"
#include "io/signals.h"
#include "metrics/counters.h"
#include "worker/worker.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace wspool::app {
namespace {

constexpr std::uint64_t signal_tag = 1;
// Descriptors that are no client's: standard streams, log, ring, epoll, timers, signals, and the
// one that answers clients when there is none left.
constexpr std::uint64_t own_descriptors = 32;

int refuse_to_start(const std::string& message) {
    log_error("{}", message);
    return exit_unusable;
}

// Empty, or why so many connections cannot be held.
std::string check_descriptors(const Config& config, std::uint64_t limit) {
    const std::uint64_t others = own_descriptors + config.server.listen.size();
    const std::uint64_t wanted = config.limits.max_connections_per_worker;
    if (wanted + others <= limit) return {};
    return fmt::format(
        "limits.max_connections_per_worker is {}, but this process may open only {} files, of "
        "which {} are "
        "kept for itself: set it to {} or less (--max-connections), or raise the hard limit of "
        "open files "
        "(ulimit -Hn, or LimitNOFILE= of the service)",
        wanted,
        limit,
        others,
        limit > others ? limit - others : 0);
}

void log_figures(std::string_view occasion, const metrics::Counters& counters) {
    const auto figures = metrics::list(counters, true);
    std::vector<LogField> fields;
    fields.reserve(figures.size());
    for (const auto& [name, value] : figures) {
        if (value != 0) fields.push_back({name, value});
    }
    log_line(LogLevel::info, occasion, fields);
}

class Server {
  public:
    Server(const Config& config, io::ChosenLoop chosen, io::Signals signals)
        : config_(config),
          signals_(std::move(signals)),
          loop_(std::move(chosen.loop)),
          worker_(*loop_, worker_options(config), entropy_) {}

    // The addresses with the ports taken, separated by commas.
    [[nodiscard]] Result<std::string> listen() {
        std::string taken;
        for (const io::Address& address : config_.server.listen) {
            const auto bound = worker_.listen(address);
            if (!bound) return tl::unexpected(bound.error());
            if (!io::is_loopback(*bound)) {
                log_warning(
                    "{} can be reached from other machines, and auth.mode is \"none\": whoever "
                    "connects may "
                    "take any client id; listen on a loopback address, or put a proxy that "
                    "authenticates "
                    "before it",
                    io::format_address(*bound));
            }
            taken += (taken.empty() ? "" : ",") + io::format_address(*bound);
        }
        if (const auto watched = worker_.watch(signals_.fd(), signal_tag); !watched) {
            return tl::unexpected(watched.error());
        }
        return taken;
    }

    void announce(const std::string& clients) {
        std::printf("wspool ready clients=%s control=off workers=1 io=%.*s pid=%ld\n",
                    clients.c_str(),
                    static_cast<int>(loop_->name().size()),
                    loop_->name().data(),
                    static_cast<long>(::getpid()));
        std::fflush(stdout);
    }

    void run() {
        const Duration interval = config_.health.interval;
        Instant next_report = interval > Duration::zero() ? loop_->now() + interval : never;
        while (!worker_.is_finished()) {
            for (const std::uint64_t tag : worker_.turn(next_report)) {
                if (tag == signal_tag) handle_signals();
            }
            if (loop_->now() >= next_report) {
                log_figures("figures", worker_.counters());
                next_report = loop_->now() + interval;
            }
        }
        log_figures("stopped", worker_.counters());
    }

  private:
    void handle_signals() {
        while (const auto signal = signals_.next()) {
            if (*signal == SIGHUP) {
                log_warning(
                    "SIGHUP: this version of wspool cannot reload its configuration; restart it");
            } else if (*signal == SIGUSR2) {
                log_warning("SIGUSR2: this version of wspool cannot upgrade in place; restart it");
            } else if (!worker_.is_draining()) {
                log_info(
                    "draining: new clients are refused, the others closed within drain_time; "
                    "a second signal closes them at once");
                worker_.begin_drain();
            } else {
                log_info("shutting down: the remaining clients are closed at once");
                worker_.shut_down();
            }
        }
    }

    const Config& config_;
    io::Signals signals_;
    io::SystemEntropy entropy_;
    std::unique_ptr<io::Loop> loop_;
    worker::Worker worker_;
};

int serve(const Config& config) {
    io::keep_freed_memory();
    const auto limit = io::raise_descriptor_limit();
    if (!limit) return refuse_to_start(limit.error().message);
    if (const auto error = check_descriptors(config, limit->now); !error.empty()) {
        return refuse_to_start(error);
    }
    // Blocked before anything else is made: a signal during the start then waits for the first
    // turn.
    auto signals = io::Signals::block({SIGTERM, SIGINT, SIGHUP, SIGUSR2});
    if (!signals) return refuse_to_start(signals.error().message);
    auto chosen = io::make_loop(loop_options(config));
    if (!chosen) return refuse_to_start(chosen.error().message);
    log_info("event loop {}: {}", chosen->loop->name(), chosen->reason);

    Server server(config, std::move(*chosen), std::move(*signals));
    const auto clients = server.listen();
    if (!clients) return refuse_to_start(clients.error().message);
    server.announce(*clients);
    server.run();
    return exit_ok;
}

}  // namespace

int run_serve(const ServeArgs& args) {
    const auto environment = [](const char* name) -> const char* { return std::getenv(name); };
    const LoadedConfig loaded = load_config({args.config_file, environment, args.options});
    if (!loaded.errors.empty()) {
        for (const auto& error : loaded.errors) std::fprintf(stderr, "wspool: %s\n", error.c_str());
        return exit_unusable;
    }
    set_up_log(loaded.config.log);
    return serve(loaded.config);
}

}  // namespace wspool::app
