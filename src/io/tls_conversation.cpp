#include "io/tls_conversation.h"

#include "base/assert.h"
#include "io/tls_sessions.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <climits>
#include <cstring>

namespace wspool::io {

// OpenSSL's door to a conversation's bytes.
struct TlsConversation::Bio {
    static TlsConversation& of(BIO* bio) {
        return *static_cast<TlsConversation*>(BIO_get_data(bio));
    }

    static int read(BIO* bio, char* out, std::size_t size, std::size_t* done) {
        ByteView& input = of(bio).input_;
        BIO_clear_retry_flags(bio);
        *done = std::min(size, input.size());
        if (*done == 0) {
            BIO_set_retry_read(bio);
            return 0;
        }
        std::memcpy(out, input.data(), *done);
        input = input.subspan(*done);
        return 1;
    }

    static int write(BIO* bio, const char* bytes, std::size_t size, std::size_t* done) {
        of(bio).unsent_.append(std::string_view(bytes, size));
        *done = size;
        return 1;
    }

    static long control(BIO*, int command, long, void*) {
        return command == BIO_CTRL_FLUSH ? 1 : 0;
    }

    static int create(BIO* bio) {
        BIO_set_init(bio, 1);
        return 1;
    }

    // One for the whole process; never freed, because any thread may use it to the end.
    static BIO_METHOD* method() {
        static BIO_METHOD* const made = [] {
            BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "wspool");
            WSPOOL_ASSERT(fresh != nullptr);
            BIO_meth_set_read_ex(fresh, &read);
            BIO_meth_set_write_ex(fresh, &write);
            BIO_meth_set_ctrl(fresh, &control);
            BIO_meth_set_create(fresh, &create);
            return fresh;
        }();
        return made;
    }
};

void TlsConversation::SslDeleter::operator()(ssl_st* ssl) const {
    SSL_free(ssl);
}

TlsConversation::~TlsConversation() = default;

Result<void> TlsConversation::open(ssl_ctx_st* context) {
    ERR_clear_error();
    ssl_.reset(SSL_new(context));
    BIO* bio = ssl_ ? BIO_new(Bio::method()) : nullptr;
    if (bio == nullptr) return wspool::fail("no memory to speak TLS: " + take_tls_reason());
    BIO_set_data(bio, this);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_ex_data(ssl_.get(), 0, this);
    SSL_set_msg_callback(ssl_.get(), &count_key_updates);
    SSL_ctrl(ssl_.get(), SSL_CTRL_SET_MSG_CALLBACK_ARG, 0, this);
    return {};
}

Result<std::unique_ptr<TlsConversation>> TlsConversation::connect(const TlsClient& client,
                                                                  const std::string& server_name) {
    std::unique_ptr<TlsConversation> made(new TlsConversation(TlsRole::client));
    if (auto opened = made->open(client.context()); !opened) {
        return tl::unexpected(opened.error());
    }
    SSL* ssl = made->ssl_.get();
    made->server_name_ = server_name;
    std::string& name = made->server_name_;
    if (name.size() > 2 && name.front() == '[' && name.back() == ']') {
        name = name.substr(1, name.size() - 2);
    } else if (name.ends_with('.')) {
        name.pop_back();
    }
    if (name.empty() && client.verifies()) {
        return wspool::fail(
            "TLS cannot verify a server without a name; set ConnectOptions::server_name");
    }
    X509_VERIFY_PARAM* rules = SSL_get0_param(ssl);
    const bool is_address =
        !name.empty() && X509_VERIFY_PARAM_set1_ip_asc(rules, name.c_str()) == 1;
    ERR_clear_error();
    if (!name.empty() && !is_address) {
        X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        if (X509_VERIFY_PARAM_set1_host(rules, name.data(), name.size()) != 1 ||
            SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data()) !=
                1) {
            ERR_clear_error();
            return wspool::fail("\"" + server_name +
                                "\" is no name that a server's certificate could have");
        }
    }
    if (client.verifies()) SSL_set_verify(ssl, SSL_VERIFY_PEER, &check_certificate);
    // Whoever it was verified for then is who it is verified for now.
    if (const TlsSession session = TlsSessions::of(client.context())->take(name))
        SSL_set_session(ssl, session.get());
    SSL_set_connect_state(ssl);
    made->shake_hands();
    return made;
}

Result<std::unique_ptr<TlsConversation>> TlsConversation::accept(ssl_ctx_st* context) {
    std::unique_ptr<TlsConversation> made(new TlsConversation(TlsRole::server));
    if (auto opened = made->open(context); !opened) return tl::unexpected(opened.error());
    SSL* ssl = made->ssl_.get();
    SSL_set_verify(ssl, SSL_get_verify_mode(ssl), &check_certificate);
    SSL_set_accept_state(ssl);
    return made;
}

bool TlsConversation::keep_sessions(ssl_ctx_st* context) {
    if (!TlsSessions::attach(context)) return false;
    SSL_CTX_sess_set_new_cb(context, &on_session);
    return true;
}

// 1: the session is ours.
int TlsConversation::on_session(ssl_st* ssl, ssl_session_st* session) {
    const auto* self = static_cast<TlsConversation*>(SSL_get_ex_data(ssl, 0));
    TlsSessions::of(SSL_get_SSL_CTX(ssl))->put(self->server_name_, TlsSession(session));
    return 1;
}

void TlsConversation::change_state(TlsState state, std::string sentence) {
    WSPOOL_ASSERT(state_ != TlsState::failed && state != TlsState::handshaking);
    WSPOOL_ASSERT(state != TlsState::open || state_ == TlsState::handshaking);
    WSPOOL_ASSERT(state != TlsState::ended || state_ == TlsState::open);
    WSPOOL_ASSERT((state == TlsState::failed) == !sentence.empty());
    state_ = state;
    sentence_ = std::move(sentence);
}

// OpenSSL asks for each certificate of the peer's chain; the first that is not good ends the
// handshake.
int TlsConversation::check_certificate(int is_good, X509_STORE_CTX* context) {
    if (is_good == 1) return 1;
    auto* ssl = static_cast<SSL*>(
        X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
    auto* self = static_cast<TlsConversation*>(SSL_get_ex_data(ssl, 0));
    self->sentence_ = certificate_sentence(self->role_,
                                           X509_STORE_CTX_get_error(context),
                                           X509_STORE_CTX_get_current_cert(context),
                                           X509_STORE_CTX_get0_cert(context),
                                           self->server_name_);
    return 0;
}

// OpenSSL shows each message of a handshake, a change of keys among them.
void TlsConversation::count_key_updates(
    int is_written, int, int kind, const void* bytes, std::size_t size, ssl_st*, void* self) {
    if (is_written != 0 || kind != SSL3_RT_HANDSHAKE || size == 0) return;
    if (*static_cast<const unsigned char*>(bytes) != SSL3_MT_KEY_UPDATE) return;
    auto& conversation = *static_cast<TlsConversation*>(self);
    // Without input OpenSSL comes back, and receive() draws the consequence.
    if (++conversation.key_updates_ > key_updates_max) conversation.input_ = {};
}

void TlsConversation::note_error() {
    std::string sentence = std::move(sentence_);
    if (sentence.empty()) {
        sentence = tls_sentence(role_, state_ == TlsState::handshaking, ERR_peek_error());
    }
    ERR_clear_error();
    change_state(TlsState::failed, std::move(sentence));
}

void TlsConversation::shake_hands() {
    ERR_clear_error();
    const int rc = SSL_do_handshake(ssl_.get());
    if (rc == 1) return change_state(TlsState::open);
    if (SSL_get_error(ssl_.get(), rc) != SSL_ERROR_WANT_READ) note_error();
}

std::size_t TlsConversation::receive(ByteView& input, MutableBytes plain) {
    std::size_t size = 0;
    input_ = input;
    key_updates_ = 0;
    if (state_ == TlsState::handshaking) {
        shake_hands();
    } else if (state_ == TlsState::open) {
        ERR_clear_error();
        while (size < plain.size()) {
            std::size_t done = 0;
            const int rc = SSL_read_ex(ssl_.get(), plain.data() + size, plain.size() - size, &done);
            size += done;
            if (rc == 1) continue;
            const int error = SSL_get_error(ssl_.get(), rc);
            if (error == SSL_ERROR_ZERO_RETURN) {
                change_state(TlsState::ended);
            } else if (error != SSL_ERROR_WANT_READ) {
                note_error();
            }
            break;
        }
    }
    if (key_updates_ > key_updates_max && state_ == TlsState::open) {
        fail((role_ == TlsRole::client ? "the server" : "the client") +
             std::string(" changes its keys without end"));
    }
    // Nothing that a peer says after its end counts.
    const bool is_over = state_ == TlsState::ended || state_ == TlsState::failed;
    input = is_over ? ByteView() : input_;
    input_ = {};
    return size;
}

bool TlsConversation::has_more() const {
    return state_ == TlsState::open && SSL_pending(ssl_.get()) > 0;
}

bool TlsConversation::write(ByteView bytes) {
    std::size_t done = 0;
    if (SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &done) == 1) return true;
    ERR_clear_error();
    return false;
}

// Small pieces share a record: each record costs some 22 bytes and a pass of the cipher.
bool TlsConversation::encrypt(std::span<const ByteView> pieces, MutableBytes gather) {
    WSPOOL_ASSERT(gather.size() == gather_size);
    if (state_ != TlsState::open && state_ != TlsState::ended) return false;
    ERR_clear_error();
    std::size_t total = 0;
    for (const ByteView piece : pieces) total += piece.size();
    static_cast<void>(unsent_.reserve_back(total + (total / gather_size + 1) * 64));
    std::size_t gathered = 0;
    for (ByteView piece : pieces) {
        while (!piece.empty()) {
            std::size_t taken = std::min(piece.size(), gather_size - gathered);
            if (taken == gather_size) {
                taken = piece.size() / gather_size * gather_size;
                if (!write(piece.first(taken))) return false;
            } else {
                std::memcpy(gather.data() + gathered, piece.data(), taken);
                gathered += taken;
                if (gathered == gather_size && !write(gather)) return false;
                gathered %= gather_size;
            }
            piece = piece.subspan(taken);
        }
    }
    return gathered == 0 || write(gather.first(gathered));
}

void TlsConversation::end() {
    if (state_ != TlsState::open && state_ != TlsState::ended) return;
    ERR_clear_error();
    static_cast<void>(SSL_shutdown(ssl_.get()));
    ERR_clear_error();
}

void TlsConversation::drop_unsent(std::size_t count) {
    unsent_taken_ += count;
    WSPOOL_ASSERT(unsent_taken_ <= unsent_.size());
    if (unsent_taken_ < unsent_.size()) return;
    unsent_.release();
    unsent_taken_ = 0;
}

}  // namespace wspool::io
