// The command line of `wspool bench`.
#include "app/cli_options.h"
#include "app/units.h"

namespace wspool::app {
namespace {

void add_bench_common(CLI::App& app, BenchArgs& args) {
    auto* url = app.add_option("url", args.urls, "ws://HOST[:PORT]/PATH; several are used in turn");
    url->required()->type_name("URL");
    add_duration(app, "--duration", args.duration, "Measure so long");
    add_duration(app,
                 "--connect-timeout",
                 args.connect_timeout,
                 "Give up when not all are connected by then");
    app.add_flag("--json", args.json, "Report as one JSON object");
    add_choice<io::LoopChoice>(app,
                               "--io",
                               args.loop.choice,
                               {{"auto", io::LoopChoice::automatic},
                                {"uring", io::LoopChoice::uring},
                                {"epoll", io::LoopChoice::epoll}},
                               "Event loop of the load generator")
        ->type_name("auto|uring|epoll");
    app.add_option("--batch-wait",
                   CLI::callback_t([&args](const CLI::results_t& results) {
                       if (results.back() == "off") {
                           args.loop.batch_wait = Duration::zero();
                           return true;
                       }
                       const auto duration = parse_duration(results.back());
                       if (!duration)
                           throw CLI::ValidationError("--batch-wait: " + duration.error().message);
                       args.loop.batch_wait = *duration;
                       return true;
                   }),
                   "Batching wait of the load generator (default off)")
        ->type_name("TIME|off");
    auto* pid = app.add_option(
        "--server-pid",
        CLI::callback_t([&args](const CLI::results_t& results) {
            for (const auto& text : results) {
                const auto number = parse_count(text);
                if (!number) {
                    throw CLI::ValidationError("--server-pid: " + number.error().message);
                }
                args.server_pids.push_back(*number);
            }
            return true;
        }),
        "Process of a local server to measure; may be repeated");
    pid->type_name("PID");
    repeatable(pid);
    app.add_option("--token", args.token, "Token to come with, as 'Authorization: Bearer TOKEN'")
        ->type_name("TOKEN");
    app.add_flag(
        "--client-ids", args.client_ids, "Add ?clientId=… to the URL, one for each connection");
}

void add_load(CLI::App& app, BenchArgs& args) {
    add_size(app, "--size", args.size, "Bytes of payload of each message");
    add_count(app, "--in-flight", args.in_flight, 1, "Messages sent ahead of their answers");
    add_duration(app, "--warmup", args.warmup, "Run so long before measuring");
}

}  // namespace

void add_bench(CLI::App& app, BenchArgs& args, std::optional<BenchKind>& kind) {
    app.require_subcommand(1);
    const auto add = [&](const char* name, BenchKind which, const char* help) {
        CLI::App* sub = app.add_subcommand(name, help);
        sub->callback([&kind, which] { kind = which; });
        add_bench_common(*sub, args);
        return sub;
    };
    CLI::App* echo = add("echo", BenchKind::echo, "Messages to an echo server and back");
    add_load(*echo, args);
    add_count(*echo, "--connections", args.connections, 1, "Connections");
    add_count(*echo, "--threads", args.threads, 1, "Threads of the load generator");
    add_choice<BenchMode>(
        *echo,
        "--mode",
        args.mode,
        {{"raw", BenchMode::raw}, {"json", BenchMode::json}},
        "raw: the server returns the very message; json: {\"type\":\"echo\",\"payload\":…}")
        ->type_name("raw|json");
    echo->add_flag("--text", args.text, "Text messages (default binary; json is always text)");

    CLI::App* fanout =
        add("fanout", BenchKind::fanout, "Messages from publishers to every member of a group");
    add_load(*fanout, args);
    add_count(*fanout, "--members", args.members, 1, "Members of the group");
    add_count(*fanout, "--publishers", args.publishers, 1, "Publishers, which are not members");
    add_choice<FanoutProtocol>(
        *fanout,
        "--protocol",
        args.protocol,
        {{"seed", FanoutProtocol::seed}, {"plain", FanoutProtocol::plain}},
        "seed: JSON join and broadcast; plain: the server sends on what a publisher says")
        ->type_name("seed|plain");
    fanout
        ->add_option(
            "--publish-url", args.publish_url, "URL for the publishers (default: the same)")
        ->type_name("URL");
    fanout->add_flag(
        "--text", args.text, "Text messages with --protocol plain (seed is always text)");

    CLI::App* idle =
        add("idle", BenchKind::idle, "Open connections, hold them, report their memory");
    add_count(*idle, "--connections", args.connections, 1, "Connections");
    add_count(*idle,
              "--processes",
              args.processes,
              0,
              "Load processes; 0: as many as the limit of open files asks for");

    CLI::App* connect =
        add("connect", BenchKind::connect, "Connect, upgrade, close, again and again");
    add_count(*connect, "--connections", args.connections, 1, "Connections at a time");
    add_duration(*connect, "--warmup", args.warmup, "Run so long before measuring");
}

}  // namespace wspool::app
