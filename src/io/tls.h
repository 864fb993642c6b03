// TlsClient and TlsServer: what a stream needs to speak TLS: whom to trust, and who we are. Made
// once from files, used by any number of streams of any loop (ConnectOptions, ListenOptions); the
// conversation itself is TlsLoop's (io/tls_loop.h).
//
// TLS 1.2 is the least that is spoken and 1.3 preferred; ciphers are the system's OpenSSL defaults;
// there is no renegotiation and no compression.
//
// Ownership: a stream keeps alive what it needs, so these may go once connect() or listen() has
// returned. A TlsServer is not changed after make(), and may be shared by loops of several threads;
// a TlsClient keeps sessions (io/tls_sessions.h), and is used by one thread.
#pragma once

#include "base/result.h"

#include <memory>
#include <string>

struct ssl_ctx_st;

namespace wspool::io {

struct TlsContextDeleter {
    void operator()(ssl_ctx_st* context) const;
};
using TlsContext = std::unique_ptr<ssl_ctx_st, TlsContextDeleter>;

struct TlsClientOptions {
    std::string ca_file;           // PEM: whom to trust; empty: the system's trust store
    std::string certificate_file;  // PEM: who we are, the chain behind it; empty: nobody
    std::string key_file;          // PEM: its key, unencrypted
    // Takes any certificate for any name: whoever is in between can read and change everything.
    // For tests of one's own.
    bool insecure_accept_any_certificate = false;
};

struct TlsServerOptions {
    std::string certificate_file;  // PEM, the chain behind it
    std::string key_file;          // PEM, unencrypted
    std::string client_ca_file;    // PEM: clients must show a certificate of these; empty: need not
    // Session tickets sent to each client of TLS 1.3. A client that closes without having read them
    // resets the connection; without any, a returning client does a full handshake.
    int session_tickets = 2;
};

class TlsClient {
  public:
    [[nodiscard]] static Result<TlsClient> make(const TlsClientOptions& options);
    [[nodiscard]] ssl_ctx_st* context() const { return context_.get(); }
    [[nodiscard]] bool verifies() const { return verifies_; }

  private:
    TlsClient(TlsContext context, bool verifies)
        : context_(std::move(context)), verifies_(verifies) {}
    TlsContext context_;
    bool verifies_;
};

class TlsServer {
  public:
    [[nodiscard]] static Result<TlsServer> make(const TlsServerOptions& options);
    [[nodiscard]] ssl_ctx_st* context() const { return context_.get(); }

  private:
    explicit TlsServer(TlsContext context) : context_(std::move(context)) {}
    TlsContext context_;
};

}  // namespace wspool::io
