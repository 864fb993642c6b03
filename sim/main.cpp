// wspool_sim: simulates one seed, or many, and says how to replay what was found.
//
//   wspool_sim [--workers | --client] --seed N [--trace]
//   wspool_sim [--workers | --client] [--seeds COUNT | --seeds FIRST..LAST] [--trace]
//
// The gateway with one worker, with --workers several of them that die, with --client the client
// pool.
#include "sim/client_simulation.h"
#include "sim/simulation.h"

#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace {

using wspool::sim::ClientReport;
using wspool::sim::ClientSimulation;
using wspool::sim::Report;
using wspool::sim::Simulation;

struct Arguments {
    std::uint64_t first = 1;
    std::uint64_t last = 1000;
    bool prints = false;
    bool is_client = false;
    bool has_workers = false;
};

bool parse_number(std::string_view text, std::uint64_t& number) {
    const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
    return result.ec == std::errc() && result.ptr == text.data() + text.size();
}

bool parse_range(std::string_view text, Arguments& arguments) {
    const std::size_t dots = text.find("..");
    if (dots == text.npos) return parse_number(text, arguments.last);
    return parse_number(text.substr(0, dots), arguments.first) &&
           parse_number(text.substr(dots + 2), arguments.last);
}

std::optional<Arguments> parse(int argc, char** argv) {
    Arguments arguments;
    for (int i = 1; i < argc; ++i) {
        const std::string_view option = argv[i];
        const std::string_view value = i + 1 < argc ? argv[i + 1] : "";
        if (option == "--trace") {
            arguments.prints = true;
            continue;
        }
        if (option == "--client" || option == "--workers") {
            (option == "--client" ? arguments.is_client : arguments.has_workers) = true;
            continue;
        }
        ++i;
        if (option == "--seed") {
            if (!parse_number(value, arguments.first)) return std::nullopt;
            arguments.last = arguments.first;
        } else if (option == "--seeds" || option == "--count") {
            if (!parse_range(value, arguments)) return std::nullopt;
        } else {
            return std::nullopt;
        }
    }
    return arguments;
}

// Whether there was no violation.
bool tell(std::uint64_t seed, const std::string& violation, const char* option) {
    if (violation.empty()) return true;
    std::printf("seed %" PRIu64 ": %s\n  replay: ./dev sim %s--seed %" PRIu64 " --trace\n",
                seed,
                violation.c_str(),
                option,
                seed);
    return false;
}

bool run_gateway(std::uint64_t seed, const Arguments& arguments, std::uint64_t& turns) {
    wspool::sim::SimulationOptions options;
    const bool prints = arguments.prints;
    options.prints = prints;
    options.has_workers = arguments.has_workers;
    const Report report = Simulation(seed, options).run();
    turns += report.turns;
    if (prints) {
        std::printf("seed %" PRIu64 ": %zu clients, %zu deliveries, %" PRIu64
                    " deaths, %zu + %zu came back, %" PRIu64
                    " turns, %.1f s of virtual time, hash %016" PRIx64 "\n",
                    seed,
                    report.sessions,
                    report.deliveries,
                    report.deaths,
                    report.recovered,
                    report.unrecovered,
                    report.turns,
                    std::chrono::duration<double>(report.virtual_time).count(),
                    report.hash);
    }
    return tell(seed, report.violation, arguments.has_workers ? "--workers " : "");
}

bool run_client(std::uint64_t seed, const Arguments& arguments, std::uint64_t& turns) {
    wspool::sim::ClientSimulationOptions options;
    const bool prints = arguments.prints;
    options.prints = prints;
    const ClientReport report = ClientSimulation(seed, options).run();
    turns += report.turns;
    if (prints) {
        std::printf("seed %" PRIu64 ": %" PRIu64 " leases, %" PRIu64 " texts delivered, %" PRIu64
                    " connects, %" PRIu64 " turns, %.1f s of virtual time, hash %016" PRIx64 "\n",
                    seed,
                    report.granted,
                    report.delivered,
                    report.connects,
                    report.turns,
                    std::chrono::duration<double>(report.virtual_time).count(),
                    report.hash);
    }
    return tell(seed, report.violation, "--client ");
}

}  // namespace

int main(int argc, char** argv) {
    const std::optional<Arguments> arguments = parse(argc, argv);
    if (!arguments) {
        std::fputs(
            "usage: wspool_sim [--workers | --client] [--seed N | --seeds COUNT | --seeds "
            "FIRST..LAST] "
            "[--trace]\n",
            stderr);
        return 2;
    }
    wspool::sim::announce_seed_on_abort();
    std::uint64_t turns = 0;
    std::uint64_t bad = 0;
    std::uint64_t count = 0;
    for (std::uint64_t seed = arguments->first; seed <= arguments->last; ++seed) {
        const auto run = arguments->is_client ? run_client : run_gateway;
        if (!run(seed, *arguments, turns)) ++bad;
        if (++count % 100 == 0) {
            std::fprintf(stderr,
                         "%" PRIu64 " seeds, %" PRIu64 " turns, %" PRIu64 " violations\n",
                         count,
                         turns,
                         bad);
        }
    }
    std::printf("%" PRIu64 " seeds, %" PRIu64 " with a violation\n", count, bad);
    return bad == 0 ? 0 : 1;
}
