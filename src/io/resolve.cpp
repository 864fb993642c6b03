#include "io/resolve.h"

#include "io/socket.h"

#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace wspool::io {

Result<std::vector<Address>> resolve(const std::string& host, std::uint16_t port) {
    const bool has_brackets = host.size() > 2 && host.front() == '[' && host.back() == ']';
    const std::string name = has_brackets ? host.substr(1, host.size() - 2) : host;
    addrinfo hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    const int code = getaddrinfo(name.c_str(), std::to_string(port).c_str(), &hints, &found);
    const int error = code == EAI_SYSTEM ? errno : 0;
    if (code != 0) {
        const char* why = code == EAI_SYSTEM ? std::strerror(error) : gai_strerror(code);
        return fail("host \"" + host + "\" has no address: " + why, error);
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, &freeaddrinfo);
    std::vector<Address> addresses;
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
        SocketAddress socket_address;
        if (at->ai_addrlen > sizeof socket_address.storage) continue;
        std::memcpy(&socket_address.storage, at->ai_addr, at->ai_addrlen);
        socket_address.size = at->ai_addrlen;
        Address address = from_socket_address(socket_address);
        if (std::find(addresses.begin(), addresses.end(), address) == addresses.end()) {
            addresses.push_back(std::move(address));
        }
    }
    if (addresses.empty()) return fail("host \"" + host + "\" has no address");
    return addresses;
}

}  // namespace wspool::io
