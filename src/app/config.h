// Config: everything a person can set, with its default. Read at the start, and again by a reload
// (app/reload.h), from three sources of which the later wins: file, environment, option. What each
// key is called, and what values it takes, is the table in app/settings.h; the names for people are
// in config/wspool.example.toml.
#pragma once

#include "app/log.h"
#include "auth/origin.h"
#include "auth/verifier.h"
#include "base/time.h"
#include "io/address.h"
#include "io/loop.h"
#include "worker/worker.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace wspool::app {

// Of control.token: too long to be guessed, and short enough for a header.
inline constexpr std::size_t control_token_size_min = 16;
inline constexpr std::size_t control_token_size_max = 1024;

enum class AuthMode : std::uint8_t { none, jwt };

// Sizes in bytes; a size or duration of 0 means "off" where off is allowed.
struct Config {
    struct Server {
        std::vector<io::Address> listen = {{io::Address::Family::ipv4, "127.0.0.1", 8080}};
        std::uint64_t workers = 0;  // 0: one per core
        bool single_process = false;
        hub::DuplicateId duplicate_id = hub::DuplicateId::replace;
        io::LoopChoice io = io::LoopChoice::automatic;
        Duration batch_wait = std::chrono::microseconds(50);
        bool echo = false;
        Duration drain_time = std::chrono::seconds(30);
    } server;
    struct Limits {
        std::uint64_t max_message_size = 64 * 1024;
        std::uint64_t max_connections_per_worker = 10'000;
        std::uint64_t outbox = 1024 * 1024;
        std::uint64_t send_buffer = 0;
        std::uint64_t link_memory = std::uint64_t{1024} * 1024 * 1024;  // unstable, of a worker
        std::uint64_t json_depth = 64;
        std::uint64_t bad_messages = 10;
        std::uint64_t groups_per_client = 128;
        std::uint64_t head_size = 8 * 1024;
        std::uint64_t head_fields = 64;
        std::uint64_t fragments = 131'072;
        std::uint64_t control_frames = 10;
        std::uint64_t control_frames_burst = 20;
        std::uint64_t rate = 0;        // messages of a client in a second
        std::uint64_t rate_bytes = 0;  // and their bytes
        std::uint64_t connections_per_ip = 0;
        std::uint64_t connect_rate_per_ip = 0;
        struct RateClass {
            std::string name;
            std::uint64_t rate = 0;
            std::uint64_t rate_bytes = 0;
            friend bool operator==(const RateClass&, const RateClass&) = default;
        };
        std::vector<RateClass> rate_classes;  // other rates than the above
        Duration handshake_timeout = std::chrono::seconds(5);
        Duration frame_timeout = std::chrono::seconds(15);
        Duration message_timeout = std::chrono::seconds(30);
        Duration write_timeout = std::chrono::seconds(10);
        Duration close_timeout = std::chrono::seconds(5);
    } limits;
    // Of the shared pool of seats; those of dedicated ones follow.
    struct Admission {
        std::optional<pool::PerPriority<std::uint32_t>> shares;
        std::uint64_t max_waiters = 1024;  // of each priority
        pool::PerPriority<Duration> wait_timeout = pool::AdmissionOptions{}.wait_timeout;
        worker::RefuseWay refuse = worker::RefuseWay::http;
        Duration grace = std::chrono::seconds(1);
        Duration min_hold = std::chrono::seconds(5);
        Duration reconnect_delay = std::chrono::seconds(5);
        Duration idle_after = std::chrono::seconds(10);
        std::uint64_t preemption_percent = 10;  // of the seats, in a second
        Duration ticket_time = std::chrono::seconds(60);
    } admission;
    struct Pool {
        std::string name;
        std::string path;
        std::vector<std::string> priorities;
        std::string claim;
        std::string rate_class;              // of those whose token names none
        std::uint64_t max_message_size = 0;  // 0: as in limits
        std::uint64_t capacity = 0;
        std::optional<pool::PerPriority<std::uint32_t>> shares;
        std::uint64_t max_waiters = 1024;
        pool::PerPriority<Duration> wait_timeout = pool::AdmissionOptions{}.wait_timeout;
        friend bool operator==(const Pool&, const Pool&) = default;
    };
    std::vector<Pool> pools;
    struct Keepalive {
        Duration ping_interval = std::chrono::seconds(25);
        Duration pong_timeout = std::chrono::seconds(10);
    } keepalive;
    struct Compression {
        bool enabled = true;
        std::uint64_t min_size = 256;
    } compression;
    struct Control {
        std::optional<io::Address> address =
            io::Address{io::Address::Family::ipv4, "127.0.0.1", 8090};
        std::string token;       // empty: nobody is asked for one
        std::string token_file;  // where it stands instead; see read_secrets()
    } control;
    struct History {
        std::uint64_t messages = 100;            // of a group
        std::uint64_t bytes = 1024 * 1024;       // of a group
        std::uint64_t total = 64 * 1024 * 1024;  // of all groups of a worker
        Duration age = std::chrono::minutes(5);
        struct Groups {
            std::string prefix;
            std::uint64_t messages = 0;
            std::uint64_t bytes = 0;  // 0: as above
            Duration age{};           // likewise
            friend bool operator==(const Groups&, const Groups&) = default;
        };
        std::vector<Groups> groups;  // exceptions from the above
    } history;
    struct Health {
        Duration interval = std::chrono::seconds(30);
        Duration stall = std::chrono::seconds(3);
    } health;
    struct Auth {
        struct Key {
            std::string id;
            auth::Algorithm algorithm = auth::Algorithm::hs256;
            std::string file, secret;  // one of them
            std::string material;      // what that is: read with the configuration
            friend bool operator==(const Key&, const Key&) = default;
        };
        struct Issuer {
            std::string name, audience;
            std::vector<Key> keys;
            friend bool operator==(const Issuer&, const Issuer&) = default;
        };
        AuthMode mode = AuthMode::none;
        Duration leeway = std::chrono::seconds(5);
        bool query_token = false;
        std::optional<std::vector<auth::Origin>> origins;  // absent: "same-host"
        std::vector<Issuer> issuers;
    } auth;
    LogOptions log;
};

[[nodiscard]] worker::SeatOptions seat_options(const Config& config);
[[nodiscard]] auth::VerifierOptions verifier_options(const Config::Auth& config);
[[nodiscard]] worker::WorkerOptions worker_options(const Config& config, std::size_t workers = 1);
// Empty, or why so many workers may hold more than limits.link_memory.
[[nodiscard]] std::string check_link_memory(const Config& config, std::size_t workers);
[[nodiscard]] io::LoopOptions loop_options(const Config& config);

// What the command line said: the setting's option ("max-connections") and its value as text.
// Repeated for a list.
using OptionValue = std::pair<std::string, std::string>;

struct ConfigSources {
    std::optional<std::string> file;
    // getenv, or a test's stand-in; null when unset.
    std::function<const char*(const char*)> environment;
    std::vector<OptionValue> options;
    // In place of the file's content, where somebody has read it already; `file` then only names
    // it.
    std::optional<std::string> file_text = std::nullopt;
};

// Every error of all sources, each one sentence that says where, what and how to mend it; none:
// `config` holds.
struct LoadedConfig {
    Config config;
    std::vector<std::string> errors;
};

// What does not fit together in a configuration whose keys are right, each in one sentence.
[[nodiscard]] std::vector<std::string> contradictions(const Config& config);
// Reads what stands in files of its own into `config`; returns why it could not.
[[nodiscard]] std::vector<std::string> read_secrets(Config& config);
[[nodiscard]] LoadedConfig load_config(const ConfigSources& sources);

}  // namespace wspool::app
