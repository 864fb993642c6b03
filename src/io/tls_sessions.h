// TlsSessions: what servers gave a client so that it need not do a whole handshake when it comes
// back: half of the round trips of TLS 1.2, and the certificates and signatures of either version.
//
// How it works: OpenSSL tells of each session; it is kept under the name that was verified then,
// and a connection to the same name takes the youngest. One of TLS 1.3 is used once, so that nobody
// who listens can tell two connections for the same client's; a server sends new ones with each.
// A server that does not know a session any more does a whole handshake.
//
// Ownership: the SSL_CTX, whose end is its end. Limits: sessions_max for each name, names_max
// names; the oldest make room. Not thread-safe: a client's context is used by one thread.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <string>
#include <string_view>

struct ssl_ctx_st;
struct ssl_session_st;

namespace wspool::io {

struct TlsSessionDeleter {
    void operator()(ssl_session_st* session) const;
};
using TlsSession = std::unique_ptr<ssl_session_st, TlsSessionDeleter>;

class TlsSessions {
  public:
    static constexpr std::size_t sessions_max = 4;
    static constexpr std::size_t names_max = 64;

    // From now on sessions of the context are kept. False: no memory.
    [[nodiscard]] static bool attach(ssl_ctx_st* context);
    [[nodiscard]] static TlsSessions* of(const ssl_ctx_st* context);

    void put(std::string_view server_name, TlsSession session);
    // Null: there is none.
    [[nodiscard]] TlsSession take(std::string_view server_name);

  private:
    struct Kept {
        std::string server_name;
        std::deque<TlsSession> sessions;  // oldest first
    };
    std::deque<Kept> kept_;  // the one put in last is at the end
};

}  // namespace wspool::io
