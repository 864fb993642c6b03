#include "app/cli.h"

#include "app/cli_options.h"
#include "app/settings.h"
#include "app/units.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>

namespace wspool::app {
namespace {

// Verbs of other versions: named so that the answer is not "unknown".
constexpr std::array<std::string_view, 2> later_verbs = {"rebalance", "upgrade"};

// ---- serve

void add_serve(CLI::App& app, ServeArgs& args) {
    app.add_option("--config", args.config_file, "Configuration file (TOML)")
        ->type_name("FILE")
        ->envname("WSPOOL_CONFIG");
    for (const Setting& setting : settings()) {
        if (setting.option.empty()) continue;
        const std::string name(setting.option);
        const auto take = [&args, name](const CLI::results_t& results) {
            for (const auto& result : results) args.options.emplace_back(name, result);
            return true;
        };
        const std::string help(setting.help);
        if (std::holds_alternative<FlagKind>(setting.kind)) {
            const auto flag = [&args, name](std::int64_t) {
                args.options.emplace_back(name, "true");
            };
            app.add_flag("--" + name, flag, help);
            continue;
        }
        CLI::Option* option = app.add_option("--" + name, take, help)->type_name("VALUE");
        if (std::holds_alternative<AddressesKind>(setting.kind)) {
            option->type_name("ADDR:PORT");
            repeatable(option);
        }
    }
    app.footer(
        "Each option is also a key of the configuration file and an environment variable "
        "WSPOOL_…;\n"
        "later wins: file, environment, option. config/wspool.example.toml explains all keys.");
}

// ---- connect and send

// What both may say in the handshake and about their messages.
template <class Args>
void add_conversation(CLI::App& app, Args& args) {
    auto* header = app.add_option(
        "--header",
        CLI::callback_t([&args](const CLI::results_t& results) {
            for (const std::string& text : results) {
                const std::size_t colon = text.find(':');
                if (colon == std::string::npos || colon == 0) {
                    throw CLI::ValidationError("--header: \"" + text +
                                               "\" is not of the form 'Name: value'");
                }
                const std::size_t value = text.find_first_not_of(" \t", colon + 1);
                args.headers.emplace_back(text.substr(0, colon),
                                          value == std::string::npos ? "" : text.substr(value));
            }
            return true;
        }),
        "Further header field of the upgrade; may be repeated");
    header->type_name("'NAME: VALUE'");
    repeatable(header);
    app.add_option("--token",
                   CLI::callback_t([&args](const CLI::results_t& results) {
                       args.headers.emplace_back("Authorization", "Bearer " + results.back());
                       return true;
                   }),
                   "Token to come with, as 'Authorization: Bearer TOKEN'")
        ->type_name("TOKEN");
    repeatable(
        app.add_option("--subprotocol", args.subprotocols, "Subprotocol to offer; may be repeated")
            ->type_name("NAME"));
    app.add_flag("--no-compression{false},!--compression",
                 args.compression,
                 "Do not offer permessage-deflate");
    app.add_flag("--binary", args.binary, "Send binary messages");
}

void add_connect(CLI::App& app, ConnectArgs& args) {
    app.add_option("url", args.url, "ws://HOST[:PORT]/PATH")->required()->type_name("URL");
    add_duration(app, "--wait", args.wait, "Wait so long for answers after the end of the input");
    add_conversation(app, args);
    app.footer(
        "Each line of the input is sent as one message; each message that comes is printed on a "
        "line.");
}

// CLI11 takes an argument in brackets for a list of its own; a JSON array is one message.
constexpr char bracket_guard = '\x1f';

std::vector<std::string> guard_brackets(int argc, const char* const* argv) {
    std::vector<std::string> words(argv, argv + argc);
    for (std::string& word : words) {
        if (word.starts_with('[') || word.starts_with(bracket_guard))
            word.insert(0, 1, bracket_guard);
    }
    return words;
}

void add_send(CLI::App& app, SendArgs& args) {
    app.add_option("url", args.url, "ws://HOST[:PORT]/PATH, or wss://")
        ->required()
        ->type_name("URL");
    app.add_option("message",
                   CLI::callback_t([&args](const CLI::results_t& results) {
                       for (std::string message : results) {
                           if (message.starts_with(bracket_guard)) message.erase(0, 1);
                           args.messages.push_back(std::move(message));
                       }
                       return true;
                   }),
                   "Messages, sent in this order")
        ->required()
        ->expected(1, -1)
        ->allow_extra_args()
        ->type_name("MESSAGE");
    add_duration(app, "--wait", args.wait, "Wait so long for replies after the last was sent");
    add_conversation(app, args);
    app.add_option(
           "--ca-file", args.ca_file, "Whom to trust (PEM); default: whom the system trusts")
        ->type_name("FILE");
    app.add_option("--certificate-file", args.certificate_file, "Who we are (PEM)")
        ->type_name("FILE");
    app.add_option("--key-file", args.key_file, "Its key (PEM)")->type_name("FILE");
    app.add_flag(
        "--insecure", args.insecure, "Accept any certificate: whoever is in between reads");
    app.footer("Each message that comes is printed on a line.");
}

// ---- token

void add_patterns(CLI::App& app,
                  const std::string& name,
                  std::optional<std::vector<std::string>>& target,
                  const std::string& help) {
    const auto take = [&target](const CLI::results_t& results) {
        target = results;
        return true;
    };
    CLI::Option* option = app.add_option(name, CLI::callback_t(take), help);
    option->type_name("PATTERN");
    repeatable(option);
}

void add_token(CLI::App& app, TokenArgs& args) {
    app.add_option("--id", args.id, "Client id (default: anonymous)")->type_name("ID");
    app.add_option("--priority",
                   CLI::callback_t([&args](const CLI::results_t& results) {
                       args.priority = pool::parse_priority(results.back());
                       if (!args.priority) {
                           throw CLI::ValidationError("--priority: \"" + results.back() +
                                                      "\" is none of critical, high, normal, low");
                       }
                       return true;
                   }),
                   "critical, high, normal or low (default: normal)")
        ->type_name("PRIORITY");
    app.add_option("--pool", args.pool, "Pool to be admitted to")->type_name("NAME");
    app.add_option("--rate-class", args.rate_class, "Class of the rates that it may send with")
        ->type_name("NAME");
    add_patterns(
        app,
        "--join",
        args.join,
        "Group that may be joined, or * behind its beginning; may be repeated (default: all)");
    add_patterns(app, "--publish", args.publish, "The same for publishing");
    add_duration(app,
                 "--expires",
                 args.expires,
                 "How long the token holds",
                 std::chrono::hours(24 * 366 * 10));
    app.add_option("--issuer", args.issuer, "iss: whose token it is")->type_name("NAME");
    app.add_option("--audience", args.audience, "aud: for which gateway")->type_name("NAME");
    app.add_option("--key-id", args.key_id, "kid: which key of the issuer")->type_name("ID");
    app.add_option("--key", args.key_file, "Secret, or private key in PEM (RSA or P-256)")
        ->type_name("FILE");
    app.add_option("--secret", args.secret, "Secret for HS256; seen by all in the process list")
        ->type_name("TEXT");
    app.add_option(
           "--config",
           args.config_file,
           "Take the first [[auth.issuer]] with a key that signs (--issuer, --key-id choose)")
        ->type_name("FILE");
    app.footer("Prints the token alone. For development: who is who is your issuer's business.");
}

// ---- verbs that ask a running gateway

template <class Args>
void add_control(CLI::App& app, Args& args) {
    app.add_option(
           "--control",
           reader(args.control, [](const std::string& text) { return io::parse_address(text); }),
           "The gateway's control API")
        ->type_name("ADDR")
        ->envname("WSPOOL_CONTROL")
        ->default_str(io::format_address(args.control));
    app.add_option("--token", args.token, "For a control API that asks for one")
        ->type_name("TOKEN")
        ->envname("WSPOOL_CONTROL_TOKEN");
}

// ---- top

void add_top(CLI::App& app, TopArgs& args) {
    add_control(app, args);
    const auto parse_interval = [](const std::string& text) -> Result<Duration> {
        auto interval = parse_duration(text);
        if (interval &&
            (*interval < std::chrono::milliseconds(100) || *interval > std::chrono::hours(1))) {
            return fail(fmt::format("\"{}\": write a duration from \"100ms\" to \"1h\"", text));
        }
        return interval;
    };
    app.add_option("--interval", reader(args.interval, parse_interval), "Ask so often")
        ->type_name("TIME")
        ->default_str(format_duration(args.interval));
    app.add_flag("--once", args.once, "Print one table, and end; so it does where no terminal is");
    app.footer("Rates are since the table before; in the first one, since the start.");
}

// ---- drain

void add_drain(CLI::App& app, DrainArgs& args) {
    add_control(app, args);
    app.add_flag("--no-wait{false},!--no-wait", args.waits, "Ask, and do not wait for the end");
    app.footer("Clients are told, and closed over server.drain_time; then the gateway ends.");
}

Parsed refuse(const std::string& message) {
    std::fprintf(stderr, "wspool: %s\n", message.c_str());
    return {std::nullopt, exit_unusable};
}

struct AllArgs {
    ServeArgs serve;
    CheckArgs check;
    ConnectArgs connect;
    SendArgs send;
    TokenArgs token;
    BenchArgs bench;
    TopArgs top;
    DrainArgs drain;
    std::optional<BenchKind> bench_kind;
};

}  // namespace

Parsed parse_command_line(int argc, const char* const* argv) {
    AllArgs args;
    args.bench.loop.batch_wait = Duration::zero();

    CLI::App app("WebSocket gateway", "wspool");
    app.set_version_flag("--version", "wspool " WSPOOL_VERSION);
    CLI::App* serve = app.add_subcommand("serve", "Run the gateway");
    CLI::App* connect =
        app.add_subcommand("connect", "Talk to a WebSocket server: lines in, messages out");
    CLI::App* send = app.add_subcommand("send", "Send messages, and print the replies");
    CLI::App* bench = app.add_subcommand("bench", "Put load on a WebSocket server and measure");
    CLI::App* check = app.add_subcommand("check", "Check a configuration file");
    CLI::App* token = app.add_subcommand("token", "Mint a token for development");
    CLI::App* top = app.add_subcommand("top", "Watch a running gateway");
    CLI::App* drain = app.add_subcommand("drain", "Let a running gateway close all, and end");
    add_serve(*serve, args.serve);
    add_top(*top, args.top);
    add_drain(*drain, args.drain);
    add_token(*token, args.token);
    add_connect(*connect, args.connect);
    add_send(*send, args.send);
    add_bench(*bench, args.bench, args.bench_kind);
    check->add_option("file", args.check.file, "Configuration file")->required()->type_name("FILE");

    if (argc <= 1) {
        std::fputs(app.help().c_str(), stdout);
        return {std::nullopt, exit_ok};
    }
    for (const std::string_view verb : later_verbs) {
        if (verb == argv[1])
            return refuse(fmt::format("{}: this version of wspool does not have it", verb));
    }
    try {
        if (argv[1] == std::string_view("send")) {
            std::vector<std::string> words = guard_brackets(argc - 1, argv + 1);
            std::reverse(words.begin(), words.end());  // as CLI11 wants them
            app.parse(std::move(words));
        } else {
            app.parse(argc, argv);
        }
    } catch (const CLI::Success& success) {
        app.exit(success);
        return {std::nullopt, exit_ok};
    } catch (const CLI::ParseError& error) {
        return refuse(fmt::format("{} (--help tells what there is)", error.what()));
    }
    if (serve->parsed()) return {Command(std::move(args.serve)), exit_ok};
    if (check->parsed()) return {Command(std::move(args.check)), exit_ok};
    if (connect->parsed()) return {Command(std::move(args.connect)), exit_ok};
    if (send->parsed()) return {Command(std::move(args.send)), exit_ok};
    if (token->parsed()) return {Command(std::move(args.token)), exit_ok};
    if (top->parsed()) return {Command(std::move(args.top)), exit_ok};
    if (drain->parsed()) return {Command(std::move(args.drain)), exit_ok};
    if (!bench->parsed() || !args.bench_kind)
        return refuse("name a verb: serve, connect, send, bench, check, token, top or drain");
    args.bench.kind = *args.bench_kind;
    return {Command(std::move(args.bench)), exit_ok};
}

}  // namespace wspool::app
