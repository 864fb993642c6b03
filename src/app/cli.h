// The command line: what was asked for, as a value. CLI11 is included in cli.cpp alone, because it
// costs ten seconds per file.
#pragma once

#include "app/config.h"
#include "base/time.h"
#include "io/loop.h"
#include "pool/priority.h"

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace wspool::app {

// Exit status of every verb.
inline constexpr int exit_ok = 0;
inline constexpr int exit_failed = 1;
inline constexpr int exit_unusable = 2;  // options or configuration; nothing was started

struct ServeArgs {
    std::optional<std::string> config_file;
    std::vector<OptionValue> options;
};

struct CheckArgs {
    std::string file;
};

struct ConnectArgs {
    std::string url;
    Duration wait = std::chrono::seconds(1);
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<std::string> subprotocols;
    bool compression = true;
    bool binary = false;
};

struct SendArgs {
    std::string url;
    std::vector<std::string> messages;
    Duration wait = std::chrono::seconds(1);
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<std::string> subprotocols;
    std::string ca_file;
    std::string certificate_file;
    std::string key_file;
    bool compression = true;
    bool binary = false;
    bool insecure = false;
};

struct TokenArgs {
    std::string id;  // empty: anonymous
    std::optional<pool::Priority> priority;
    std::string pool;
    std::string rate_class;
    std::optional<std::vector<std::string>> join, publish;  // absent: every group
    Duration expires = std::chrono::hours(1);
    std::string issuer, audience, key_id;
    std::string key_file, secret;
    std::string config_file;  // has issuer, audience and key
};

enum class BenchKind : std::uint8_t { echo, fanout, idle, connect };
enum class BenchMode : std::uint8_t { raw, json };  // of echo
enum class FanoutProtocol : std::uint8_t { seed, plain };

struct BenchArgs {
    BenchKind kind{};
    std::vector<std::string> urls;
    std::string publish_url;          // fanout; empty: the first of urls
    std::uint64_t connections = 200;  // echo, idle; connect: attempts at a time
    std::uint64_t size = 64;          // bytes of payload
    std::uint64_t in_flight = 1;
    std::uint64_t members = 1000;
    std::uint64_t publishers = 1;
    std::uint64_t threads = 1;
    std::uint64_t processes = 0;  // idle; 0: as many as the limit of open files asks for
    Duration duration = std::chrono::seconds(5);
    Duration warmup = std::chrono::seconds(1);
    Duration connect_timeout = std::chrono::seconds(30);  // for all connections together
    BenchMode mode = BenchMode::raw;
    FanoutProtocol protocol = FanoutProtocol::seed;
    bool text = false;
    bool client_ids = false;
    std::string token;  // empty: none
    bool json = false;
    std::vector<std::uint64_t> server_pids;
    io::LoopOptions loop;
};

struct TopArgs {
    io::Address control{io::Address::Family::ipv4, "127.0.0.1", 8090};
    Duration interval = std::chrono::seconds(2);
    std::string token;
    bool once = false;
};

struct DrainArgs {
    io::Address control{io::Address::Family::ipv4, "127.0.0.1", 8090};
    std::string token;
    bool waits = true;  // until it has ended
};

using Command = std::
    variant<ServeArgs, CheckArgs, ConnectArgs, SendArgs, TokenArgs, BenchArgs, TopArgs, DrainArgs>;

struct Parsed {
    std::optional<Command> command;
    int exit_status =
        exit_ok;  // when there is no command: help and version were printed, or an error
};

[[nodiscard]] Parsed parse_command_line(int argc, const char* const* argv);

}  // namespace wspool::app
