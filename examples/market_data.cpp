// Follows the prices of 500 symbols, over as many connections as the server's limits ask for, and
// goes on by itself when the server was restarted.
//
//   market_data ws://127.0.0.1:9000/ [ROUNDS]
//
// A symbol is subscribed once. The pool spreads subscriptions over connections, a hundred on each,
// and when one of them is lost, it reconnects with growing, random delays, and subscribes again
// what was on it. Ends when every symbol was heard of ROUNDS times (2).
#include <wspool/callback_pool.h>

#include <iostream>
#include <map>
#include <string>

using namespace std::chrono_literals;

namespace {

constexpr int symbols = 500;

std::string name_of(int symbol) {
    return "SYM" + std::to_string(symbol);
}

// What stands between `"symbol":"` and the next quote.
std::string symbol_in(std::string_view message) {
    constexpr std::string_view key = R"("symbol":")";
    const auto begin = message.find(key);
    if (begin == std::string_view::npos) return {};
    const auto rest = message.substr(begin + key.size());
    return std::string(rest.substr(0, rest.find('"')));
}

}  // namespace

int main(int argc, char** argv) {
    const std::string url = argc > 1 ? argv[1] : "wss://market.example.com/feed";
    const int rounds = argc > 2 ? std::stoi(argv[2]) : 2;

    // No thread: everything happens in run(), one callback after the other, so that `heard` needs
    // no lock.
    wspool::CallbackPool pool({
        .max_connections_per_host = 5,
        .reconnect = {.initial_delay = 100ms, .max_attempts = wspool::unlimited},
        .subscriptions_per_connection = 100,
    });

    std::map<std::string, int> heard;  // of each symbol, how often
    std::map<int, int> reached;        // by how many symbols each count was reached
    pool.on_message([&](std::string_view, std::string_view message, bool) {
        const std::string symbol = symbol_in(message);
        if (symbol.empty()) return;
        const int count = ++heard[symbol];
        if (++reached[count] < symbols || count > rounds) return;
        std::cout << "round " << count << ": all " << symbols << " symbols heard" << std::endl;
        if (count == rounds) pool.stop();
    });
    pool.on_close([](std::string_view from, std::uint16_t code, std::string_view) {
        std::cout << "lost a connection to " << from << " (" << code << ")" << std::endl;
    });
    pool.on_reconnect([](std::string_view to, std::uint32_t attempts) {
        std::cout << "back at " << to << " after " << attempts << " attempts" << std::endl;
    });

    for (int symbol = 0; symbol < symbols; ++symbol) {
        const std::string name = name_of(symbol);
        const auto subscribed =
            pool.subscribe(url,
                           name,
                           R"({"type":"subscribe","symbol":")" + name + "\"}",
                           R"({"type":"unsubscribe","symbol":")" + name + "\"}");
        if (!subscribed) {
            std::cerr << "subscribe failed: " << subscribed.error().message() << '\n';
            return 1;
        }
    }
    pool.run_for(60s);  // until stop(), or a minute: an example has to end

    for (const auto& [host, stats] : pool.stats().hosts) {
        std::cout << host << ": " << stats.subscriptions << " subscriptions on " << stats.total
                  << " connections" << std::endl;
    }
    return reached[rounds] >= symbols ? 0 : 1;
}
