// wspool serve --single-process: one worker in this process, so that a debugger has it all.
#include "app/log.h"
#include "app/reload.h"
#include "app/serve.h"
#include "io/entropy.h"
#include "io/signals.h"
#include "worker/worker.h"

#include <csignal>

namespace wspool::app {
namespace {

constexpr std::uint64_t signal_tag = 1;

class Server {
  public:
    Server(const Config& config, ConfigSources sources, io::ChosenLoop chosen, io::Signals signals)
        : config_(config),
          sources_(std::move(sources)),
          signals_(std::move(signals)),
          loop_(std::move(chosen.loop)),
          worker_(*loop_, worker_options(config), entropy_) {}

    // The addresses with the ports taken.
    [[nodiscard]] Result<std::vector<io::Address>> listen() {
        std::vector<io::Address> taken;
        for (const io::Address& address : config_.server.listen) {
            const auto bound = worker_.listen(address);
            if (!bound) return tl::unexpected(bound.error());
            warn_if_reachable(*bound);
            taken.push_back(*bound);
        }
        if (const auto watched = worker_.watch(signals_.fd(), signal_tag); !watched) {
            return tl::unexpected(watched.error());
        }
        return taken;
    }

    [[nodiscard]] std::string_view loop_name() const { return loop_->name(); }

    void run() {
        plan_report();
        while (!worker_.is_finished()) {
            for (const std::uint64_t tag : worker_.turn(next_report_)) {
                if (tag == signal_tag) handle_signals();
            }
            log_seats(0, worker_.take_seat_events());
            if (loop_->now() >= next_report_) {
                log_figures("figures", worker_.counters());
                plan_report();
            }
        }
        log_figures("stopped", worker_.counters());
    }

  private:
    void handle_signals() {
        while (const auto signal = signals_.next()) {
            if (*signal == SIGHUP) {
                reload_config();
            } else if (*signal == SIGUSR2) {
                log_warning("{}", no_upgrade_sentence);
            } else if (!worker_.is_draining()) {
                log_info("{}", draining_sentence);
                worker_.begin_drain();
            } else {
                log_info("{}", shutting_down_sentence);
                worker_.shut_down();
            }
        }
    }

    void plan_report() {
        const Duration interval = config_.health.interval;
        next_report_ = interval > Duration::zero() ? loop_->now() + interval : never;
    }

    void reload_config() {
        if (!read_again(sources_) || !reload_and_log(sources_, config_)) return;
        worker_.set_options(worker_options(config_));
        plan_report();
    }

    Config config_;
    ConfigSources sources_;
    Instant next_report_ = never;
    io::Signals signals_;
    io::SystemEntropy entropy_;
    std::unique_ptr<io::Loop> loop_;
    worker::Worker worker_;
};

}  // namespace

int serve_single(const Config& config, ConfigSources sources) {
    // Blocked before anything else is made: a signal during the start then waits for the first
    // turn.
    auto signals = io::Signals::block({SIGTERM, SIGINT, SIGHUP, SIGUSR2});
    if (!signals) return refuse_to_start(signals.error().message);
    auto chosen = io::make_loop(loop_options(config));
    if (!chosen) return refuse_to_start(chosen.error().message);
    log_info("event loop {}: {}", chosen->loop->name(), chosen->reason);

    Server server(config, std::move(sources), std::move(*chosen), std::move(*signals));
    const auto clients = server.listen();
    if (!clients) return refuse_to_start(clients.error().message);
    say_ready(*clients, std::nullopt, 1, server.loop_name());
    server.run();
    return exit_ok;
}

}  // namespace wspool::app
