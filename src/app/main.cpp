#include "app/verbs.h"
#include "io/process.h"

#include <csignal>

namespace wspool::app {
namespace {

int run(const Command& command) {
    if (const auto* serve = std::get_if<ServeArgs>(&command)) return run_serve(*serve);
    if (const auto* check = std::get_if<CheckArgs>(&command)) return run_check(*check);
    if (const auto* connect = std::get_if<ConnectArgs>(&command)) return run_connect(*connect);
    if (const auto* send = std::get_if<SendArgs>(&command)) return run_send(*send);
    if (const auto* top = std::get_if<TopArgs>(&command)) return run_top(*top);
    if (const auto* drain = std::get_if<DrainArgs>(&command)) return run_drain(*drain);
    return run_bench(*std::get_if<BenchArgs>(&command));
}

}  // namespace
}  // namespace wspool::app

int main(int argc, char** argv) {
    // A write to a closed pipe or socket is an error to handle, not a reason to die.
    std::signal(SIGPIPE, SIG_IGN);
    wspool::io::remember_arguments(argc, argv);
    const wspool::app::Parsed parsed = wspool::app::parse_command_line(argc, argv);
    if (!parsed.command) return parsed.exit_status;
    return wspool::app::run(*parsed.command);
}
