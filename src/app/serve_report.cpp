// wspool serve: what people are told.
#include "app/log.h"
#include "app/serve.h"
#include "io/process.h"
#include "master/health.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <cstdio>
#include <cstring>

namespace wspool::app {
namespace {

using master::Action;
using master::ActionKind;
using master::Master;

std::string process_name(const Master& master, std::size_t place) {
    return master.is_control(place) ? "the control process" : fmt::format("worker {}", place);
}

std::string how_it_ended(const Action& action) {
    switch (action.death) {
        case metrics::DeathKind::signal: {
            const int signal = static_cast<int>(action.detail);
            return fmt::format("was killed by signal {} ({})", signal, ::strsignal(signal));
        }
        case metrics::DeathKind::stalled:
            return "was killed, as it showed no sign of life";
        case metrics::DeathKind::exited:
        case metrics::DeathKind::none:
            break;
    }
    if (action.pid == 0) return "could not be started";
    return fmt::format("ended with status {}", action.detail);
}

double in_seconds(Duration duration) {
    return std::chrono::duration<double>(duration).count();
}

void log_health(const Master& master) {
    std::vector<std::uint64_t> connections;
    std::uint64_t serving = 0;
    for (std::size_t place = 0; place < master.page().worker_count(); ++place) {
        const auto snapshot = master.page().snapshot(place);
        connections.push_back(snapshot.counters.seating.seats_taken());
        if (snapshot.life.pid != 0) ++serving;
    }
    const master::Health health = master::examine(connections);
    const std::string distribution = fmt::format("{}", fmt::join(connections, ","));
    const std::string deviation = fmt::format("{:.1f}%", 100 * health.deviation);
    const std::vector<LogField> fields = {{"workers", serving},
                                          {"connections", health.connections},
                                          {"distribution", distribution},
                                          {"deviation", deviation}};
    log_line(LogLevel::info, "health", fields);
    for (const std::size_t worker : health.uneven) {
        log_warning("worker {} needs rebalancing: it holds {} connections, the average is {:.1f}",
                    worker,
                    connections[worker],
                    health.average);
    }
    log_figures("figures", master.page().sum_of_workers());
}

}  // namespace

int refuse_to_start(const std::string& message) {
    log_error("{}", message);
    return exit_unusable;
}

void warn_if_reachable(const io::Address& address) {
    if (io::is_loopback(address)) return;
    log_warning(
        "{} can be reached from other machines, and auth.mode is \"none\": whoever connects may "
        "take any client id; listen on a loopback address, or put a proxy that authenticates "
        "before it",
        io::format_address(address));
}

void say_ready(std::span<const io::Address> clients,
               const std::optional<io::Address>& control,
               std::size_t workers,
               std::string_view io) {
    std::string taken;
    for (const io::Address& address : clients) {
        taken += (taken.empty() ? "" : ",") + io::format_address(address);
    }
    const std::string line =
        fmt::format("wspool ready clients={} control={} workers={} io={} pid={}",
                    taken,
                    control ? io::format_address(*control) : "off",
                    workers,
                    io,
                    io::own_process_id());
    std::puts(line.c_str());
    std::fflush(stdout);
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

void log_seats(std::size_t worker, std::span<const worker::SeatEvent> events) {
    for (const worker::SeatEvent& event : events) {
        const auto at = static_cast<std::uint64_t>(event.at.time_since_epoch().count());
        const std::array<LogField, 7> fields = {{{"worker", worker},
                                                 {"at", at},
                                                 {"event", name(event.kind)},
                                                 {"client", event.client},
                                                 {"pool", event.pool},
                                                 {"priority", pool::name(event.priority)},
                                                 {"other", event.other}}};
        log_line(LogLevel::debug, "seat", fields);
    }
}

void log_action(const Master& master, const Action& action) {
    const std::string who = process_name(master, action.place);
    switch (action.kind) {
        case ActionKind::check_health:
            return log_health(master);
        case ActionKind::died:
            return log_warning("{} (pid {}) {} after {:.1f} s",
                               who,
                               action.pid,
                               how_it_ended(action),
                               in_seconds(action.duration));
        case ActionKind::stalled:
            return log_error("{} (pid {}) has shown no sign of life for {:.1f} s, and is killed",
                             who,
                             action.pid,
                             in_seconds(action.duration));
        case ActionKind::crash_loop:
            return log_error(
                "{} keeps dying within a second of its start: the next start is in {:.1f} s; its "
                "last words are above",
                who,
                in_seconds(action.duration));
        case ActionKind::start_failed:
            return log_error("{} ended before the gateway was ready: everything is stopped", who);
        case ActionKind::draining:
            return log_info("{}", draining_sentence);
        case ActionKind::shutting_down:
            return log_info("{}", shutting_down_sentence);
        case ActionKind::cannot_upgrade:
            return log_warning("{}", no_upgrade_sentence);
        case ActionKind::finished:
            return log_figures("stopped", master.page().sum_of_workers());
        case ActionKind::ready:   // told on standard output
        case ActionKind::reload:  // by who does it
        case ActionKind::start:
        case ActionKind::kill:
        case ActionKind::drain:
        case ActionKind::shut_down:
        case ActionKind::stop:
            return;  // those are done by the master
    }
}

}  // namespace wspool::app
