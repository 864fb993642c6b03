// TlsConversation: one stream's side of TLS, as bytes in and bytes out; it knows no socket.
// TlsLoop's own.
//
//   receive(input, plain)   takes ciphertext, gives plaintext; moves the handshake on
//   encrypt(pieces)         plaintext to be sent; its ciphertext is added to unsent()
//   unsent(), drop_unsent() ciphertext for the peer: handshake, records, alerts
//
// How it works: OpenSSL reads from the input of the call and writes into the unsent bytes through a
// BIO of ours; it never waits for anything, and never fails for want of room. A record that has not
// wholly arrived is OpenSSL's to keep.
//
// Invariants: 1. input is only set within receive(). 2. failed and ended are final; sentence() says
// why failed.
// Ownership: everything; stays where it was made, because OpenSSL knows its address.
// Limits: key_updates_max changes of keys in one receive(), because each costs the peer 27 bytes
// and us some 20 µs; one more is a failure. The caller bounds what it puts in, and looks at
// unsent().
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "io/tls.h"
#include "io/tls_sentence.h"

#include <cstdint>
#include <memory>
#include <span>
#include <string>

struct bio_st;
struct ssl_session_st;
struct ssl_st;
struct x509_store_ctx_st;

namespace wspool::io {

enum class TlsState : std::uint8_t {
    handshaking,
    open,
    ended,  // the peer said close_notify; we may still send
    failed,
};

class TlsConversation {
  public:
    // Begins with the client's first words in unsent().
    [[nodiscard]] static Result<std::unique_ptr<TlsConversation>> connect(
        const TlsClient& client, const std::string& server_name);
    [[nodiscard]] static Result<std::unique_ptr<TlsConversation>> accept(ssl_ctx_st* context);
    // Conversations of a client's context resume each other's sessions from now on
    // (io/tls_sessions.h). False: no memory.
    [[nodiscard]] static bool keep_sessions(ssl_ctx_st* context);
    ~TlsConversation();
    TlsConversation(const TlsConversation&) = delete;
    TlsConversation& operator=(const TlsConversation&) = delete;

    [[nodiscard]] TlsRole role() const { return role_; }
    [[nodiscard]] TlsState state() const { return state_; }
    [[nodiscard]] const std::string& sentence() const { return sentence_; }

    // Takes from the front of `input` and fills `plain`; returns how much. The rest of `input` is
    // left when `plain` is full, and when the handshake has just been completed.
    [[nodiscard]] std::size_t receive(ByteView& input, MutableBytes plain);
    // There is plaintext that needs no more input.
    [[nodiscard]] bool has_more() const;
    // False, and nothing is sent: the conversation failed, or our half was ended. `gather` is
    // scratch of gather_size bytes.
    [[nodiscard]] bool encrypt(std::span<const ByteView> pieces, MutableBytes gather);
    static constexpr std::size_t gather_size = 16 * 1024;  // the largest record
    static constexpr unsigned key_updates_max = 64;
    // Ends our half with a close_notify, once the handshake is done.
    void end();
    // The handshake or the peer's half cannot go on, for a reason that TLS does not know.
    void fail(std::string sentence) { change_state(TlsState::failed, std::move(sentence)); }

    [[nodiscard]] ByteView unsent() const { return unsent_.view().subspan(unsent_taken_); }
    void drop_unsent(std::size_t count);
    // The unsent bytes, for who outlives this.
    [[nodiscard]] ByteBuffer take_unsent() { return std::move(unsent_); }

  private:
    struct Bio;
    struct SslDeleter {
        void operator()(ssl_st* ssl) const;
    };

    explicit TlsConversation(TlsRole role) : role_(role) {}
    [[nodiscard]] Result<void> open(ssl_ctx_st* context);
    void change_state(TlsState state, std::string sentence = {});
    void shake_hands();
    void note_error();
    [[nodiscard]] bool write(ByteView bytes);
    static void count_key_updates(int is_written,
                                  int version,
                                  int kind,
                                  const void* bytes,
                                  std::size_t size,
                                  ssl_st* ssl,
                                  void* self);
    static int on_session(ssl_st* ssl, ssl_session_st* session);
    static int check_certificate(int is_good, x509_store_ctx_st* context);

    std::unique_ptr<ssl_st, SslDeleter> ssl_;
    ByteView input_;
    ByteBuffer unsent_;
    std::size_t unsent_taken_ = 0;
    std::string sentence_;
    std::string server_name_;
    unsigned key_updates_ = 0;  // in this receive()
    TlsRole role_;
    TlsState state_ = TlsState::handshaking;
};

}  // namespace wspool::io
