#include "app/verbs.h"

#include <csignal>

namespace {

using namespace wspool::app;

struct Run {
    int operator()(const ServeArgs& args) const { return run_serve(args); }
    int operator()(const CheckArgs& args) const { return run_check(args); }
    int operator()(const ConnectArgs& args) const { return run_connect(args); }
    int operator()(const BenchArgs& args) const { return run_bench(args); }
};

}  // namespace

int main(int argc, char** argv) {
    // A write to a closed pipe or socket is an error to handle, not a reason to die.
    std::signal(SIGPIPE, SIG_IGN);
    const Parsed parsed = parse_command_line(argc, argv);
    if (!parsed.command) return parsed.exit_status;
    return std::visit(Run{}, *parsed.command);
}
