// A program of somebody else's, built against the installed library: sends through the pool, and
// ends well when the reply came.
#include <wspool/client_pool.h>

#include <future>
#include <iostream>

int main(int argc, char** argv) {
    using namespace std::chrono_literals;
    if (argc < 2) return 2;
    std::promise<std::string> reply;
    wspool::ClientPool pool({.max_connections_per_host = 4, .connect_timeout = 5s});
    pool.on_message([&](std::string_view, std::string_view message, bool) {
        reply.set_value(std::string(message));
    });
    if (const auto sent = pool.send(argv[1], R"({"type":"ping"})"); !sent) {
        std::cerr << sent.error().message() << '\n';
        return 1;
    }
    auto arrival = reply.get_future();
    if (arrival.wait_for(10s) != std::future_status::ready) return 1;
    std::cout << arrival.get() << '\n';
}
