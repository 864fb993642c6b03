// What the files of the verb `serve` share: serve.cpp decides, serve_single.cpp runs one worker in
// this process, serve_master.cpp the master, serve_child.cpp its children, serve_report.cpp says
// what happened.
#pragma once

#include "app/cli.h"
#include "app/config.h"
#include "master/child.h"
#include "master/master.h"
#include "metrics/counters.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::app {

[[nodiscard]] int refuse_to_start(const std::string& message);

// Each runs to the end of the gateway and returns the exit status.
// `sources` are where the configuration is from, for a reload.
[[nodiscard]] int serve_single(const Config& config, ConfigSources sources);
[[nodiscard]] int serve_master(Config config, ConfigSources sources, std::size_t workers);

// The programs of the children: they begin with the master's configuration of that moment. `choice`
// is the loop that the master found to work.
[[nodiscard]] int run_worker_process(Config config,
                                     ConfigSources sources,
                                     io::LoopChoice choice,
                                     master::Child child);
[[nodiscard]] int run_control_process(Config config,
                                      ConfigSources sources,
                                      io::LoopChoice choice,
                                      master::Child child);

void warn_if_reachable(const io::Address& address);
void say_ready(std::span<const io::Address> clients,
               const std::optional<io::Address>& control,
               std::size_t workers,
               std::string_view io);
// Every figure that is not zero, as one line.
void log_figures(std::string_view occasion, const metrics::Counters& counters);
// What happened to seats, at level debug.
void log_seats(std::size_t worker, std::span<const worker::SeatEvent> events);
// One sentence for what the master tells, and the lines of the health check.
void log_action(const master::Master& master, const master::Action& action);

inline constexpr std::string_view draining_sentence =
    "draining: new clients are refused, the others closed within drain_time; a second signal "
    "closes "
    "them at once";
inline constexpr std::string_view shutting_down_sentence =
    "shutting down: the remaining clients are closed at once";
inline constexpr std::string_view no_upgrade_sentence =
    "SIGUSR2: this version of wspool cannot upgrade in place; restart it";

}  // namespace wspool::app
