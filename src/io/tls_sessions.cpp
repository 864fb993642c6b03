#include "io/tls_sessions.h"

#include <openssl/ssl.h>

#include <algorithm>

namespace wspool::io {

namespace {

// One for the process. What lies under it goes with its context.
int context_index() {
    static const int index = SSL_CTX_get_ex_new_index(
        0, nullptr, nullptr, nullptr, [](void*, void* sessions, CRYPTO_EX_DATA*, int, long, void*) {
            delete static_cast<TlsSessions*>(sessions);
        });
    return index;
}

}  // namespace

void TlsSessionDeleter::operator()(ssl_session_st* session) const {
    SSL_SESSION_free(session);
}

bool TlsSessions::attach(ssl_ctx_st* context) {
    auto sessions = std::make_unique<TlsSessions>();
    if (SSL_CTX_set_ex_data(context, context_index(), sessions.get()) != 1) return false;
    static_cast<void>(sessions.release());
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    return true;
}

TlsSessions* TlsSessions::of(const ssl_ctx_st* context) {
    return static_cast<TlsSessions*>(SSL_CTX_get_ex_data(context, context_index()));
}

void TlsSessions::put(std::string_view server_name, TlsSession session) {
    Kept kept{std::string(server_name), {}};
    const auto known = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) {
        return one.server_name == server_name;
    });
    if (known != kept_.end()) {
        kept = std::move(*known);
        kept_.erase(known);
    }
    kept.sessions.push_back(std::move(session));
    if (kept.sessions.size() > sessions_max) kept.sessions.pop_front();
    kept_.push_back(std::move(kept));
    if (kept_.size() > names_max) kept_.pop_front();
}

TlsSession TlsSessions::take(std::string_view server_name) {
    const auto known = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& one) {
        return one.server_name == server_name;
    });
    while (known != kept_.end() && !known->sessions.empty()) {
        TlsSession session = std::move(known->sessions.back());
        known->sessions.pop_back();
        // One whose connection broke is not good any more.
        if (SSL_SESSION_is_resumable(session.get()) != 1) continue;
        if (SSL_SESSION_get_protocol_version(session.get()) < TLS1_3_VERSION) {
            SSL_SESSION_up_ref(session.get());
            known->sessions.emplace_back(session.get());
        }
        return session;
    }
    return nullptr;
}

}  // namespace wspool::io
