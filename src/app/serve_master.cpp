// wspool serve: the master's process.
#include "app/log.h"
#include "app/reload.h"
#include "app/serve.h"
#include "io/entropy.h"
#include "io/loop.h"
#include "master/master.h"
#include "session/engine.h"

#include <string>

namespace wspool::app {
namespace {

struct Probe {
    io::LoopChoice choice{};
    std::string name;
};

// Which loop the workers will have. Made and thrown away here, because what cannot work is to be
// told before anything is started.
Result<Probe> probe_loop(const Config& config) {
    const auto chosen = io::make_loop(loop_options(config));
    if (!chosen) return tl::unexpected(chosen.error());
    log_info("event loop {}: {}", chosen->loop->name(), chosen->reason);
    const bool is_uring = chosen->loop->name() == "uring";
    return Probe{is_uring ? io::LoopChoice::uring : io::LoopChoice::epoll,
                 std::string(chosen->loop->name())};
}

HashKey draw_key() {
    io::SystemEntropy entropy;
    return {entropy.next_u64(), entropy.next_u64()};
}

// Nobody is told of a configuration with a mistake in it.
void reload_all(master::Master& master, Config& config, ConfigSources& sources) {
    if (!read_again(sources) || !reload_and_log(sources, config)) return;
    const auto told =
        master.reload(sources.file_text.value_or(""), config.health.stall, config.health.interval);
    if (!told) log_error("SIGHUP: not all processes could be told: {}", told.error().message);
}

}  // namespace

int serve_master(Config config, ConfigSources sources, std::size_t workers) {
    const auto probe = probe_loop(config);
    if (!probe) return refuse_to_start(probe.error().message);
    const io::LoopChoice choice = probe->choice;
    master::MasterOptions options;
    options.workers = workers;
    options.listen = config.server.listen;
    options.listener = session::listen_options(worker_options(config).engine);
    options.control = config.control.address;
    options.stall = config.health.stall;
    options.health_interval = config.health.interval;
    options.key = draw_key();
    options.run_worker = [&](master::Child child) {
        return run_worker_process(config, sources, choice, std::move(child));
    };
    options.run_control = [&](master::Child child) {
        return run_control_process(config, sources, choice, std::move(child));
    };
    auto master = master::Master::make(options);
    if (!master) return refuse_to_start(master.error().message);
    for (const io::Address& address : (*master)->client_addresses()) warn_if_reachable(address);
    const auto& control = (*master)->control_address();
    if (control && !io::is_loopback(*control)) {
        log_warning(
            "the control API at {} can be reached by others, and its token crosses the network in "
            "the clear: put a proxy with TLS before it",
            io::format_address(*control));
    }

    for (;;) {
        for (const master::Action& action : (*master)->turn()) {
            log_action(**master, action);
            if (action.kind == master::ActionKind::ready) {
                say_ready((*master)->client_addresses(),
                          (*master)->control_address(),
                          workers,
                          probe->name);
            }
            if (action.kind == master::ActionKind::reload) reload_all(**master, config, sources);
            if (action.kind == master::ActionKind::finished) return action.exit_status;
        }
    }
}

}  // namespace wspool::app
