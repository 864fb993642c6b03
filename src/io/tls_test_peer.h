// A peer that speaks TLS with OpenSSL alone, through memory, over a stream that wants no TLS of the
// loop's: for what our own end would never do. Tests only.
#pragma once

#include "io/loop_driver.h"
#include "io/tls.h"

#include <openssl/ssl.h>

#include <memory>
#include <string>

namespace wspool::io {

class TlsTestPeer {
  public:
    // Does not verify. `version`: TLS1_2_VERSION or TLS1_3_VERSION, and no other.
    static TlsTestPeer client(int version) {
        SSL_CTX* context = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_min_proto_version(context, version);
        SSL_CTX_set_max_proto_version(context, version);
        TlsTestPeer peer(context);
        SSL_CTX_free(context);
        SSL_set_connect_state(peer.ssl());
        return peer;
    }

    [[nodiscard]] SSL* ssl() { return ssl_.get(); }

    // Moves what arrived at `side` into OpenSSL, and what OpenSSL has to say into its outbox.
    void pump(Side& side) {
        BIO_write(
            SSL_get_rbio(ssl()), side.received.data(), static_cast<int>(side.received.size()));
        side.received.clear();
        if (!SSL_is_init_finished(ssl())) SSL_do_handshake(ssl());
        std::string buffer(16 * 1024, '\0');
        int count = 0;
        while ((count = SSL_read(ssl(), buffer.data(), static_cast<int>(buffer.size()))) > 0) {
            received.append(buffer, 0, static_cast<std::size_t>(count));
        }
        take_output(side);
    }

    void write(Side& side, std::string_view text) {
        SSL_write(ssl(), text.data(), static_cast<int>(text.size()));
        take_output(side);
    }

    void take_output(Side& side) {
        std::string buffer(16 * 1024, '\0');
        int count = 0;
        while ((count = BIO_read(
                    SSL_get_wbio(ssl()), buffer.data(), static_cast<int>(buffer.size()))) > 0) {
            side.outbox.append(buffer, 0, static_cast<std::size_t>(count));
        }
    }

    std::string received;

  private:
    explicit TlsTestPeer(SSL_CTX* context) : ssl_(SSL_new(context), &SSL_free) {
        SSL_set_bio(ssl(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    }

    std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
};

}  // namespace wspool::io
