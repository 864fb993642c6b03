// Sends two messages through a pool, and says what the pool then looks like.
//
//   send_messages ws://127.0.0.1:9000/
//
// The pool opens connections as they are needed, at most four to one host, and lends them to
// whoever sends. What comes back, on whatever connection, goes to one handler.
#include <wspool/client_pool.h>

#include <iostream>
#include <string>

using namespace std::chrono_literals;

int main(int argc, char** argv) {
    const std::string url = argc > 1 ? argv[1] : "wss://api.example.com/socket";

    wspool::ClientPool pool({.max_connections_per_host = 4, .connect_timeout = 5s});
    // Called on the pool's own thread.
    pool.on_message([](std::string_view, std::string_view message, bool) {
        std::cout << "received " << message << std::endl;
    });

    // Returns when the message is written, or with the reason why it could not be.
    if (const auto sent = pool.send(url, R"({"type":"ping"})"); !sent) {
        std::cerr << "send failed: " << sent.error().message() << '\n';
        return 1;
    }

    // "Send me updates" is no message to any connection: it belongs to one, and has to be said
    // again when that is lost. So it is a subscription, which the pool looks after.
    const auto subscribed =
        pool.subscribe(url, "updates", R"({"type":"subscribe","channel":"updates"})");
    if (!subscribed) {
        std::cerr << "subscribe failed: " << subscribed.error().message() << '\n';
        return 1;
    }

    // Several messages in a row, over one connection, in order: borrow it for as long as it takes.
    // The lease's destructor gives it back.
    if (auto lease = pool.acquire(url, {.timeout = 1s})) {
        lease->send(R"({"type":"first"})");
        lease->send(R"({"type":"second"})");
    } else {
        std::cerr << "no connection: " << lease.error().message() << '\n';
    }

    // A question, and the message that answers it.
    const auto reply = pool.request(url, "1", R"({"id":1,"type":"time"})", {.timeout = 1s});
    if (reply) std::cout << "answered " << *reply << '\n';

    for (const auto& [host, stats] : pool.stats().hosts) {
        std::cout << host << ": " << stats.total << " connections, " << stats.active << " in use, "
                  << stats.idle << " idle, " << stats.pending << " calls waiting\n";
    }
    pool.close_all(2s);  // leases that are out get two seconds to come back
}
