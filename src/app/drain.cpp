// wspool drain: asks a running gateway to end, and tells how far it is until it has.
#include "app/control_client.h"
#include "app/verbs.h"

#include <nlohmann/json.hpp>

#include <cstdio>
#include <optional>
#include <string>
#include <thread>

namespace wspool::app {
namespace {

constexpr Duration patience = std::chrono::seconds(10);
constexpr Duration interval = std::chrono::milliseconds(500);

int fail_with(const std::string& message) {
    std::fprintf(stderr, "wspool drain: %s\n", message.c_str());
    return exit_failed;
}

// What the gateway says of itself in an error; its status, where it says nothing of the kind.
std::string sentence_of(const HttpAnswer& answer) {
    const auto said = nlohmann::json::parse(answer.body, nullptr, false);
    if (said.is_object() && said.contains("error") && said["error"].is_object()) {
        const auto& message = said["error"]["message"];
        if (message.is_string()) return message.get<std::string>();
    }
    return "the control API answered with status " + std::to_string(answer.status);
}

// {"result":{"connections":N}}, or with {"current":N} in place of the number.
std::optional<std::uint64_t> connections_in(const std::string& body) {
    const auto said = nlohmann::json::parse(body, nullptr, false);
    if (!said.is_object() || !said.contains("result")) return std::nullopt;
    const auto& result = said["result"];
    if (!result.is_object() || !result.contains("connections")) return std::nullopt;
    const auto& connections = result["connections"];
    const bool is_table = connections.is_object() && connections.contains("current");
    const auto& number = is_table ? connections["current"] : connections;
    if (!number.is_number_unsigned()) return std::nullopt;
    return number.get<std::uint64_t>();
}

void tell(std::optional<std::uint64_t> left) {
    if (!left) return;
    std::printf("draining, connections left: %llu\n", static_cast<unsigned long long>(*left));
    std::fflush(stdout);
}

// Connections that are left; nothing when the gateway does not answer.
std::optional<std::uint64_t> connections_left(const DrainArgs& args) {
    const auto answer =
        control_request(args.control, "GET", "/api/stats", {}, args.token, patience);
    if (!answer || answer->status != 200) return std::nullopt;
    return connections_in(answer->body);
}

}  // namespace

int run_drain(const DrainArgs& args) {
    const auto asked =
        control_request(args.control, "POST", "/api/drain", {}, args.token, patience);
    if (!asked) return fail_with(asked.error().message);
    if (asked->status != 200) return fail_with(sentence_of(*asked));
    if (!args.waits) {
        std::puts("draining");
        return exit_ok;
    }
    // The control process is there until all workers have closed their connections; one that died
    // and is being replaced is back after the interval.
    std::optional<std::uint64_t> told = connections_in(asked->body);
    tell(told);
    for (int silences = 0; silences < 2;) {
        const auto left = connections_left(args);
        silences = left ? 0 : silences + 1;
        if (left && told != left) {
            tell(left);
            told = left;
        }
        std::this_thread::sleep_for(interval);
    }
    std::puts("the gateway has ended");
    return exit_ok;
}

}  // namespace wspool::app
