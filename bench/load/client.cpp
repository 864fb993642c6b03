#include "load/client.h"

#include "arguments.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace wspool::bench {
namespace {

constexpr std::size_t batch_max = 64;
constexpr std::string_view json_head = R"({"type":"broadcast","group":"g","payload":")";
constexpr std::string_view json_tail = R"("})";

std::string frame_head(std::size_t size, bool masked) {
    const auto mask_bit = static_cast<unsigned char>(masked ? 0x80 : 0);
    std::string head(1, static_cast<char>(0x81));
    const auto put = [&head](std::size_t value, int bytes) {
        for (int i = bytes - 1; i >= 0; --i) head += static_cast<char>(value >> (8 * i));
    };
    if (size < 126) {
        put(mask_bit | size, 1);
    } else if (size < 65536) {
        put(mask_bit | 126u, 1);
        put(size, 2);
    } else {
        put(mask_bit | 127u, 1);
        put(size, 8);
    }
    return head;
}

std::string masked_frame(std::string_view text) {
    constexpr char mask[4] = {0x37, 0x5a, 0x21, 0x4d};
    std::string frame = frame_head(text.size(), true);
    frame.append(mask, sizeof mask);
    for (std::size_t i = 0; i < text.size(); ++i) {
        frame += static_cast<char>(text[i] ^ mask[i % sizeof mask]);
    }
    return frame;
}

// A message of exactly `size` bytes. A broadcast of the article's protocol reaches the members with
// the bytes it had, so that requests and replies have the same text on every wire.
std::string text_of(Wire wire, std::size_t size) {
    std::string text;
    if (wire != Wire::json) {
        for (std::size_t i = 0; i < size; ++i) text += static_cast<char>('a' + i % 26);
        return text;
    }
    const std::size_t fixed = json_head.size() + json_tail.size();
    if (size < fixed)
        fail("a broadcast of that protocol needs " + std::to_string(fixed) + " bytes");
    return text.append(json_head).append(size - fixed, 'x').append(json_tail);
}

void send_all(int fd, std::string_view bytes) {
    if (::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) !=
        static_cast<ssize_t>(bytes.size())) {
        fail(std::string("handshake: the server closed the connection: ") + std::strerror(errno));
    }
}

// Receives until `is_whole` says so; a server that sends more than that, or nothing for 10 s, is a
// fault.
void receive_until(int fd,
                   const char* what,
                   const std::function<bool(std::string_view)>& is_whole) {
    char bytes[1024];
    std::size_t size = 0;
    while (!is_whole({bytes, size})) {
        if (size == sizeof bytes) fail(std::string(what) + ": more than 1 KiB came");
        const ssize_t got = recv(fd, bytes + size, sizeof bytes - size, 0);
        if (got <= 0) {
            fail(std::string(what) + ": the server answered " +
                 (got == 0 ? "with the end of the connection: " : "nothing in 10 s: ") +
                 std::string(bytes, size));
        }
        size += static_cast<std::size_t>(got);
    }
}

bool is_upgraded(std::string_view answer) {
    const std::size_t end = answer.find("\r\n\r\n");
    if (end == std::string_view::npos) return false;
    if (answer.rfind("HTTP/1.1 101 ", 0) != 0) {
        fail("the upgrade was refused: " + std::string(answer));
    }
    if (end + 4 != answer.size()) fail("the server spoke before it was asked");
    return true;
}

// Whoever spoke last delays its acknowledgements, and the kernel then sends and handles them in the
// time of the server, on its core. Members that joined by a message would burden their server so,
// and others not: all are put in the same state.
void acknowledge_at_once(int fd) {
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

bool is_one_frame(std::string_view bytes) {
    if (bytes.size() < 2) return false;
    const auto size = static_cast<unsigned char>(bytes[1]);
    return size < 126 && bytes.size() == size + 2u;
}

}  // namespace

Client::Client(Wire wire, int port, std::string path)
    : wire_(wire), port_(port), path_(std::move(path)) {}

std::string Client::request(std::size_t size) const {
    const std::string frame = masked_frame(text_of(wire_, size));
    return frame;
}

std::string Client::reply(std::size_t size) const {
    return frame_head(size, false) + text_of(wire_, size);
}

void Client::open(std::size_t count, Role role, std::vector<int>& sockets) {
    while (count > 0) {
        const std::size_t batch = std::min(count, batch_max);
        open_batch(batch, role, sockets);
        count -= batch;
    }
}

void Client::open_batch(std::size_t count, Role role, std::vector<int>& sockets) {
    const std::size_t first = sockets.size();
    for (std::size_t i = 0; i < count; ++i) {
        sockets.push_back(connect_one());
        if (wire_ == Wire::raw) continue;
        send_all(sockets.back(),
                 "GET " + path_of(role) + " HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(port_) +
                     "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                     "Sec-WebSocket-Version: 13\r\n\r\n");
    }
    for (std::size_t i = first; i < sockets.size(); ++i) {
        if (wire_ == Wire::raw) {
            receive_until(sockets[i], "greeting", [](auto bytes) { return bytes == "R"; });
        } else {
            receive_until(sockets[i], "upgrade", is_upgraded);
        }
    }
    if (role != Role::member) return;
    if (wire_ == Wire::json) join(sockets, first);
    for (std::size_t i = first; i < sockets.size(); ++i) acknowledge_at_once(sockets[i]);
}

void Client::join(const std::vector<int>& sockets, std::size_t first) {
    // A join is not answered; a ping is, by a pong or by an echo, and not before the join was done.
    for (std::size_t i = first; i < sockets.size(); ++i) {
        send_all(sockets[i], masked_frame(R"({"type":"join","group":"g"})"));
        send_all(sockets[i], masked_frame(R"({"type":"ping"})"));
    }
    for (std::size_t i = first; i < sockets.size(); ++i) {
        receive_until(sockets[i], "join", is_one_frame);
    }
}

int Client::connect_one() const {
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0) fail(std::string("no socket: ") + std::strerror(errno));
    const int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const timeval patience{.tv_sec = 10, .tv_usec = 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port_));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
        fail("cannot connect to port " + std::to_string(port_) + ": " + std::strerror(errno));
    }
    return fd;
}

std::string Client::path_of(Role role) {
    ++opened_;
    if (wire_ == Wire::json && role != Role::idle) {
        return path_ + "?clientId=client" + std::to_string(opened_);
    }
    if (!path_.empty()) return path_;
    return role == Role::member ? "/member" : role == Role::publisher ? "/publish" : "/echo";
}

void close_all(std::vector<int>& sockets) {
    for (const int fd : sockets) close(fd);
    sockets.clear();
}

}  // namespace wspool::bench
