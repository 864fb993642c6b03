#include "io/tls.h"

#include "io/tls_conversation.h"
#include "io/tls_sentence.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

namespace wspool::io {

namespace {

// What both ends agree on before any file is read.
Result<TlsContext> make_context(const SSL_METHOD* method) {
    TlsContext context(SSL_CTX_new(method));
    if (!context) return fail("OpenSSL gives no TLS context: " + take_tls_reason());
    SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
    SSL_CTX_set_options(context.get(), SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    // An idle stream holds no record buffers: 34 KiB less each.
    SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS);
    // Tickets carry what a server needs; a cache would only grow beside them.
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
    return context;
}

Result<void> load_identity(SSL_CTX* context,
                           const std::string& certificate_file,
                           const std::string& key_file) {
    if (SSL_CTX_use_certificate_chain_file(context, certificate_file.c_str()) != 1) {
        return fail("the certificate cannot be read from " + certificate_file + ": " +
                    take_tls_reason());
    }
    // A key of another certificate is refused here, as well.
    if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
        return fail("the key in " + key_file + " cannot be used with the certificate in " +
                    certificate_file + ": " + take_tls_reason());
    }
    return {};
}

Result<void> trust(SSL_CTX* context, const std::string& ca_file) {
    if (SSL_CTX_load_verify_file(context, ca_file.c_str()) != 1) {
        return fail("the authorities to trust cannot be read from " + ca_file + ": " +
                    take_tls_reason());
    }
    return {};
}

}  // namespace

void TlsContextDeleter::operator()(ssl_ctx_st* context) const {
    SSL_CTX_free(context);
}

Result<TlsClient> TlsClient::make(const TlsClientOptions& options) {
    ERR_clear_error();
    if (options.certificate_file.empty() != options.key_file.empty()) {
        return fail("a client certificate needs both certificate_file and key_file");
    }
    auto context = make_context(TLS_client_method());
    if (!context) return tl::unexpected(context.error());
    if (!TlsConversation::keep_sessions(context->get()))
        return fail("OpenSSL gives no TLS context: " + take_tls_reason());
    const bool verifies = !options.insecure_accept_any_certificate;
    if (verifies && options.ca_file.empty()) {
        if (SSL_CTX_set_default_verify_paths(context->get()) != 1) {
            return fail("the system's trust store cannot be read: " + take_tls_reason());
        }
    } else if (verifies) {
        if (auto read = trust(context->get(), options.ca_file); !read) {
            return tl::unexpected(read.error());
        }
    }
    if (!options.certificate_file.empty()) {
        auto loaded = load_identity(context->get(), options.certificate_file, options.key_file);
        if (!loaded) return tl::unexpected(loaded.error());
    }
    return TlsClient(std::move(*context), verifies);
}

Result<TlsServer> TlsServer::make(const TlsServerOptions& options) {
    ERR_clear_error();
    auto context = make_context(TLS_server_method());
    if (!context) return tl::unexpected(context.error());
    auto loaded = load_identity(context->get(), options.certificate_file, options.key_file);
    if (!loaded) return tl::unexpected(loaded.error());
    if (options.session_tickets < 0 || options.session_tickets > 16) {
        return fail("session_tickets must be from 0 to 16");
    }
    SSL_CTX_set_num_tickets(context->get(), static_cast<std::size_t>(options.session_tickets));
    if (!options.client_ca_file.empty()) {
        if (auto read = trust(context->get(), options.client_ca_file); !read) {
            return tl::unexpected(read.error());
        }
        SSL_CTX_set_client_CA_list(context->get(),
                                   SSL_load_client_CA_file(options.client_ca_file.c_str()));
        SSL_CTX_set_verify(
            context->get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
        // A resumed session is only as good as the certificate it was begun with.
        constexpr unsigned char session_context[] = "wspool";
        SSL_CTX_set_session_id_context(context->get(), session_context, sizeof session_context - 1);
    }
    return TlsServer(std::move(*context));
}

}  // namespace wspool::io
