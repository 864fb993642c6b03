// Client: opens connections to a server under test and brings them to where they exchange messages:
// over the greeting of a raw peer, or over the WebSocket handshake and, in the article's protocol,
// a join.
//
// How it works: connections are opened 64 at a time with blocking sockets. On loopback connect()
// returns before the server accepts, so the server sees them as one burst. Limits: what a server
// says during the handshake must fit 1 KiB.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::bench {

enum class Wire {
    raw,        // no protocol: request and reply sizes of WebSocket frames, nothing else
    websocket,  // the role is said by the path: /echo, /member, /publish
    json,       // the article's protocol: everybody connects alike, members join the group
};

enum class Role { echo, member, publisher, idle };

class Client {
  public:
    Client(Wire wire, int port, std::string path);

    // Opens `count` connections and appends their sockets.
    void open(std::size_t count, Role role, std::vector<int>& sockets);

    // What one message is on the wire, to the server and from it.
    [[nodiscard]] std::string request(std::size_t size) const;
    [[nodiscard]] std::string reply(std::size_t size) const;

  private:
    void open_batch(std::size_t count, Role role, std::vector<int>& sockets);
    static void join(const std::vector<int>& sockets, std::size_t first);
    [[nodiscard]] int connect_one() const;
    [[nodiscard]] std::string path_of(Role role);

    Wire wire_;
    int port_;
    std::string path_;
    std::size_t opened_ = 0;  // numbers the clients: the article's server needs distinct ids
};

// Closes with FIN; what the server says later is not waited for.
void close_all(std::vector<int>& sockets);

}  // namespace wspool::bench
