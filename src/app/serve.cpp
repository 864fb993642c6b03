// wspool serve: the gateway: a master with its workers, or one worker alone.
#include "app/serve.h"

#include "app/log.h"
#include "app/verbs.h"
#include "io/limits.h"
#include "io/process.h"

#include <fmt/format.h>

#include <cstdio>
#include <cstdlib>

namespace wspool::app {
namespace {

// Descriptors that are no client's: standard streams, log, ring, epoll, timers, signals, and the
// one that answers clients when there is none left.
constexpr std::uint64_t own_descriptors = 32;
// Of each link to another process, while it is taken over.
constexpr std::uint64_t descriptors_per_link = 2;

// Empty, or why so many connections cannot be held.
std::uint64_t own_descriptors_of(const Config& config, std::size_t workers) {
    const std::uint64_t links = workers - 1 + (config.control.address ? 1 : 0);
    return own_descriptors + config.server.listen.size() + descriptors_per_link * links;
}

std::string check_descriptors(const Config& config, std::size_t workers, std::uint64_t limit) {
    const std::uint64_t others = own_descriptors_of(config, workers);
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

// Who waits for a seat is connected too. No error: nobody may ever wait, and without a descriptor a
// client waits at the listener, as everywhere.
void warn_of_waiters(const Config& config, std::size_t workers, std::uint64_t limit) {
    const std::uint64_t seats = config.limits.max_connections_per_worker;
    const std::uint64_t others = own_descriptors_of(config, workers);
    std::uint64_t waiters = config.admission.max_waiters;
    for (const Config::Pool& pool : config.pools) waiters += pool.max_waiters;
    waiters *= pool::priority_count;
    if (seats + waiters + others <= limit) return;
    log_warning(
        "this process may open {} files: beside {} seats and {} of its own that is room for {} of "
        "the "
        "{} clients that may wait for a seat; who comes then waits unaccepted. Raise the hard "
        "limit of "
        "open files, or lower admission.max_waiters",
        limit,
        seats,
        others,
        limit - seats - others,
        waiters);
}

int serve(const Config& config, const ConfigSources& sources) {
    const bool is_single = config.server.single_process;
    if (is_single && config.server.workers > 1) {
        return refuse_to_start(
            fmt::format("server.single_process runs one worker, but server.workers is {}: leave "
                        "one of them out",
                        config.server.workers));
    }
    const std::size_t workers = is_single                    ? 1
                                : config.server.workers != 0 ? config.server.workers
                                                             : io::usable_processors();
    if (const auto error = check_link_memory(config, workers); !error.empty()) {
        return refuse_to_start(error);
    }
    io::keep_freed_memory();
    const auto limit = io::raise_descriptor_limit();
    if (!limit) return refuse_to_start(limit.error().message);
    if (const auto error = check_descriptors(config, workers, limit->now); !error.empty()) {
        return refuse_to_start(error);
    }
    warn_of_waiters(config, workers, limit->now);
    return is_single ? serve_single(config, sources) : serve_master(config, sources, workers);
}

}  // namespace

int run_serve(const ServeArgs& args) {
    const auto environment = [](const char* name) -> const char* { return std::getenv(name); };
    ConfigSources sources;
    sources.file = args.config_file;
    sources.environment = environment;
    sources.options = args.options;
    LoadedConfig loaded = load_config(sources);
    if (loaded.errors.empty()) loaded.errors = read_secrets(loaded.config);
    if (!loaded.errors.empty()) {
        for (const auto& error : loaded.errors) std::fprintf(stderr, "wspool: %s\n", error.c_str());
        return exit_unusable;
    }
    set_up_log(loaded.config.log);
    if (loaded.config.auth.mode == AuthMode::none)
        log_info("auth.mode is \"none\", for development: clients are who they say");
    return serve(loaded.config, sources);
}

}  // namespace wspool::app
