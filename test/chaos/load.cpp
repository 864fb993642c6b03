// chaos_load: clients of a gateway whose workers are being killed, and a checker that knows every
// message (crowd.h, ledger.h, judge.h). Prints one JSON object; exit status 1 when anything was
// lost, doubled or out of order, or was not answered as promised.
//
//   chaos_load ADDRESS:PORT [--OPTION VALUE]…      without arguments: lists the options
#include "crowd.h"
#include "io/limits.h"

#include <nlohmann/json.hpp>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <exception>
#include <string_view>
#include <vector>

namespace wspool::chaos {
namespace {

struct Arguments {
    CrowdOptions crowd;
    std::string address;
    std::string deaths;
    std::uint64_t tail_ms = 1000;
    std::uint64_t seconds = 10, patience = 15, jitter_ms = 250, drains = 0, epoll = 0;
};

struct Option {
    std::string_view name;
    std::uint64_t* value;
    std::string_view help;
};

std::vector<Option> options_of(Arguments& arguments) {
    CrowdOptions& crowd = arguments.crowd;
    return {
        {"--seed", &crowd.seed, "of the random choices"},
        {"--groups", &crowd.groups, "groups"},
        {"--members", &crowd.members, "members that do not publish, over all groups"},
        {"--publishers", &crowd.publishers, "of each group; every second is a member, too"},
        {"--offsets", &crowd.offsets_percent, "percent of the members that ask for offsets"},
        {"--directs", &crowd.directs_percent, "percent of the messages that go to one client"},
        {"--size", &crowd.size, "bytes of payload"},
        {"--window", &crowd.window, "unanswered messages of each publisher"},
        {"--rate", &crowd.rate, "messages per second in all; 0: as many as the windows allow"},
        {"--connects", &crowd.connects_per_second, "per second, of clients that only pass by"},
        {"--history", &crowd.history, "messages that the gateway keeps; 0: not judged"},
        {"--seconds", &arguments.seconds, "of load"},
        {"--patience", &arguments.patience, "seconds for each other phase"},
        {"--jitter", &arguments.jitter_ms, "milliseconds at most before coming back"},
        {"--tail", &arguments.tail_ms, "milliseconds before a disconnect that may deviate"},
        {"--drains", &arguments.drains, "1: the gateway will drain under load"},
        {"--epoll", &arguments.epoll, "1: not io_uring"},
    };
}

int refuse(const std::string& why) {
    std::fprintf(stderr, "chaos_load: %s\n", why.c_str());
    return 2;
}

int show_help() {
    std::puts("chaos_load ADDRESS:PORT [--deaths FILE] [--OPTION VALUE]...");
    Arguments defaults;
    for (const Option& option : options_of(defaults)) {
        std::printf("  %-13.*s %.*s (%llu)\n",
                    static_cast<int>(option.name.size()),
                    option.name.data(),
                    static_cast<int>(option.help.size()),
                    option.help.data(),
                    static_cast<unsigned long long>(*option.value));
    }
    return 2;
}

// Empty, or what is wrong.
std::string parse(int argc, char** argv, Arguments& arguments) {
    arguments.address = argv[1];
    const std::vector<Option> options = options_of(arguments);
    for (int i = 2; i < argc; i += 2) {
        const std::string_view name = argv[i];
        if (i + 1 == argc) return std::string(name) + " wants a value";
        const std::string_view value = argv[i + 1];
        if (name == "--deaths") {
            arguments.deaths = value;
            continue;
        }
        const Option* found = nullptr;
        for (const Option& option : options) {
            if (option.name == name) found = &option;
        }
        if (found == nullptr) return "there is no option " + std::string(name);
        const auto result =
            std::from_chars(value.data(), value.data() + value.size(), *found->value);
        if (result.ec != std::errc() || result.ptr != value.data() + value.size())
            return std::string(name) + " wants a whole number";
    }
    CrowdOptions& crowd = arguments.crowd;
    if (crowd.groups == 0 || crowd.publishers == 0) return "there must be groups and publishers";
    if (crowd.offsets_percent > 100 || crowd.directs_percent > 100) return "percent end at 100";
    crowd.duration = std::chrono::seconds(arguments.seconds);
    crowd.patience = std::chrono::seconds(arguments.patience);
    crowd.jitter = std::chrono::milliseconds(arguments.jitter_ms);
    crowd.drains = arguments.drains != 0;
    crowd.loop.choice = arguments.epoll != 0 ? io::LoopChoice::epoll : io::LoopChoice::automatic;
    crowd.loop.batch_wait = Duration::zero();
    return {};
}

nlohmann::ordered_json percentiles(const Histogram& histogram) {
    const auto ms = [](std::uint64_t ns) {
        return std::round(static_cast<double>(ns) / 1e3) / 1e3;
    };
    return {{"count", histogram.count()},
            {"p50", ms(histogram.percentile(0.5))},
            {"p99", ms(histogram.percentile(0.99))},
            {"max", ms(histogram.max())}};
}

void report(const Arguments& arguments, Crowd& crowd) {
    const LedgerFigures& ledger = crowd.ledger().figures();
    const CrowdFigures& figures = crowd.figures();
    const auto per_second = [&](std::uint64_t count) {
        return figures.load_seconds > 0 ? static_cast<double>(count) / figures.load_seconds : 0.0;
    };
    const Violations& violations = crowd.ledger().violations();
    const nlohmann::ordered_json all = {
        {"seed", arguments.crowd.seed},
        {"clients", crowd.client_count()},
        {"groups", arguments.crowd.groups},
        {"seconds", figures.load_seconds},
        {"published", ledger.published},
        {"directs", ledger.directs},
        {"acknowledged", ledger.acknowledged},
        {"unavailable", ledger.unavailable},
        {"abandoned", ledger.abandoned},
        {"delivered", ledger.delivered},
        {"directs_received", ledger.directs_received},
        {"published_per_second", per_second(figures.load_published)},
        {"delivered_per_second", per_second(figures.load_delivered)},
        {"disconnected", figures.disconnected},
        {"returned", figures.returned},
        {"drained", figures.drained},
        {"recovered", ledger.recovered},
        {"told_not_recovered", ledger.told},
        {"returned_no_member", figures.returned_no_member},
        {"returned_without_since", figures.returned_without_since},
        {"epoch_changes_told", ledger.epoch_changes},
        {"connects", figures.connects},
        {"connects_failed",
         {{"refused", figures.refused},
          {"reset", figures.reset},
          {"unanswered", figures.unanswered},
          {"rejected", figures.rejected}}},
        {"deviating_tails", ledger.deviations},
        {"lost_with_publisher", ledger.lost_with_publisher},
        {"answer_ms", percentiles(figures.answer)},
        {"delivery_ms", percentiles(figures.delivery)},
        {"connect_ms", percentiles(figures.connect)},
        {"longest_pause_ms", static_cast<double>(figures.longest_pause.count()) / 1e6},
        {"violations", violations.counts()},
        {"sentences", violations.sentences()},
    };
    std::printf("%s\n", all.dump().c_str());
    for (const std::string& sentence : violations.sentences())
        std::fprintf(stderr, "chaos_load: %s\n", sentence.c_str());
    if (!violations.empty()) {
        std::fprintf(stderr,
                     "chaos_load: violations, with seed %llu\n",
                     static_cast<unsigned long long>(arguments.crowd.seed));
    }
}

int run(int argc, char** argv) {
    if (argc < 2) return show_help();
    Arguments arguments;
    if (const auto wrong = parse(argc, argv, arguments); !wrong.empty()) return refuse(wrong);
    auto address = io::parse_address(arguments.address);
    if (!address) return refuse(address.error().message);
    arguments.crowd.address = *address;
    if (const auto limit = io::raise_descriptor_limit(); !limit)
        return refuse(limit.error().message);
    auto chosen = io::make_loop(arguments.crowd.loop);
    if (!chosen) return refuse(chosen.error().message);

    Crowd crowd(arguments.crowd, std::move(chosen->loop));
    crowd.run();
    if (!arguments.deaths.empty()) {
        const auto deaths = Deaths::read(arguments.deaths);
        if (!deaths) return refuse(deaths.error().message);
        crowd.judge_losses(*deaths);
    }
    crowd.ledger().close(std::chrono::milliseconds(arguments.tail_ms));
    report(arguments, crowd);
    return crowd.ledger().violations().empty() ? 0 : 1;
}

}  // namespace
}  // namespace wspool::chaos

int main(int argc, char** argv) {
    try {
        return wspool::chaos::run(argc, argv);
    } catch (const std::exception& error) {  // of the JSON library
        std::fprintf(stderr, "chaos_load: %s\n", error.what());
        return 2;
    }
}
