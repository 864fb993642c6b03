// Why TLS failed, in one sentence for a person. The peer is called by its role: "the server's
// certificate …" is what a client says.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

struct x509_st;

namespace wspool::io {

enum class TlsRole : std::uint8_t { client, server };  // ours

// What is wrong with the peer's certificate: `code` is OpenSSL's X509_V_ERR_…, `certificate` the
// one at fault, `leaf` the peer's own (both may be null), `expected` the name that was asked for.
[[nodiscard]] std::string certificate_sentence(
    TlsRole role, int code, x509_st* certificate, x509_st* leaf, std::string_view expected);

// What OpenSSL's error queue says about a handshake, or about a conversation after it.
[[nodiscard]] std::string tls_sentence(TlsRole role, bool is_handshake, unsigned long code);

// The reason that OpenSSL left in its queue, for files that cannot be used. Empties the queue.
[[nodiscard]] std::string take_tls_reason();

}  // namespace wspool::io
