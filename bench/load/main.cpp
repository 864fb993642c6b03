// bench_load: the one load generator behind every row of docs/performance.md. Prints what it
// measured as one line of JSON. Started by compare.py.
#include "arguments.h"
#include "load/client.h"
#include "load/exchange.h"
#include "load/server_process.h"

#include <sys/resource.h>

#include <cstdio>
#include <string>
#include <utility>
#include <vector>

namespace wspool::bench {
namespace {

Wire wire_of(const std::string& name) {
    if (name == "raw") return Wire::raw;
    if (name == "websocket") return Wire::websocket;
    if (name == "json") return Wire::json;
    fail("--wire is raw, websocket or json, not " + name);
}

void run_exchange(const Arguments& arguments, Client& client, const ServerProcess& server) {
    const std::size_t size = arguments.count("size", 64);
    const std::size_t count = arguments.count("connections", 200);
    ExchangePlan plan;
    plan.request = client.request(size);
    plan.reply = client.reply(size);
    plan.in_flight = arguments.count("in-flight", 1);
    plan.is_fanout = arguments.text("mode", "") == "fanout";
    plan.compares = arguments.text("wire", "raw") != "raw";
    plan.warmup_seconds = arguments.number("warmup", 0.5);
    plan.seconds = arguments.number("seconds", 1);

    std::vector<int> sockets;
    if (plan.is_fanout) client.open(1, Role::publisher, sockets);
    client.open(count, plan.is_fanout ? Role::member : Role::echo, sockets);
    Window window;
    {
        Exchange exchange(std::move(plan), sockets, server);
        window = exchange.run();
    }
    close_all(sockets);

    const auto us = [&window](double fraction) {
        return static_cast<double>(window.latency_ns.percentile(fraction)) / 1e3;
    };
    const auto cpu_ns = static_cast<double>(window.server_cpu_ns);
    std::printf(
        "{\"cpu_us\": %.4f, \"messages\": %.0f, \"per_second\": %.0f, \"p50_us\": %.1f, "
        "\"p99_us\": %.1f, \"p999_us\": %.1f, \"server_busy\": %.3f, \"load_busy\": %.3f}\n",
        cpu_ns / 1e3 / window.messages,
        window.messages,
        window.messages / window.seconds,
        us(0.50),
        us(0.99),
        us(0.999),
        cpu_ns / 1e9 / window.seconds,
        static_cast<double>(window.load_cpu_ns) / 1e9 / window.seconds);
}

// Opens and closes some connections first: what a server allocates or compiles once is not the
// price of a connection.
void warm_up(const Arguments& arguments, Client& client) {
    std::vector<int> sockets;
    client.open(arguments.count("warm-connections", 200), Role::idle, sockets);
    close_all(sockets);
    sleep_seconds(arguments.number("settle", 1));
}

void run_idle(const Arguments& arguments, Client& client, const ServerProcess& server) {
    const std::size_t count = arguments.count("connections", 15000);
    warm_up(arguments, client);
    const std::int64_t before = server.anonymous_bytes();
    std::vector<int> sockets;
    client.open(count, Role::idle, sockets);
    sleep_seconds(arguments.number("settle", 1));
    const auto grown = static_cast<double>(server.anonymous_bytes() - before);
    close_all(sockets);
    std::printf(
        "{\"bytes\": %.1f, \"connections\": %zu}\n", grown / static_cast<double>(count), count);
}

void run_connect(const Arguments& arguments, Client& client, const ServerProcess& server) {
    const std::size_t count = arguments.count("connections", 10000);
    warm_up(arguments, client);
    const std::int64_t cpu_before = server.cpu_ns();
    const std::int64_t begin = clock_ns();
    std::vector<int> sockets;
    client.open(count, Role::idle, sockets);
    const auto seconds = static_cast<double>(clock_ns() - begin) / 1e9;
    const auto cpu_ns = static_cast<double>(server.cpu_ns() - cpu_before);
    close_all(sockets);
    std::printf("{\"cpu_us\": %.3f, \"messages\": %zu, \"per_second\": %.0f}\n",
                cpu_ns / 1e3 / static_cast<double>(count),
                count,
                static_cast<double>(count) / seconds);
}

void raise_file_limit() {
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

void run(const Arguments& arguments) {
    raise_file_limit();
    const ServerProcess server(arguments.text("pids", ""));
    Client client(wire_of(arguments.text("wire", "raw")),
                  static_cast<int>(arguments.count("port", 0)),
                  arguments.text("path", ""));
    const std::string mode = arguments.text("mode", "echo");
    if (mode == "echo" || mode == "fanout") {
        run_exchange(arguments, client, server);
    } else if (mode == "idle") {
        run_idle(arguments, client, server);
    } else if (mode == "connect") {
        run_connect(arguments, client, server);
    } else {
        fail("--mode is echo, fanout, idle or connect, not " + mode);
    }
}

}  // namespace
}  // namespace wspool::bench

int main(int count, char** words) {
    wspool::bench::run(wspool::bench::Arguments(count, words));
}
