// TLS on the loop beyond the contract: who is trusted and what a failure says, peers that
// misbehave, and that streams with and without TLS live beside each other.
#include "io/tls_loop.h"

#include "base/random.h"
#include "io/loop_driver.h"
#include "io/tls_conversation.h"
#include "io/tls_test_certificates.h"
#include "io/tls_test_peer.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <cerrno>
#include <optional>

namespace wspool::io {

namespace {

const Address any_ipv4{Address::Family::ipv4, "127.0.0.1", 0};

TlsClient make_client(TlsClientOptions options) {
    if (options.ca_file.empty()) options.ca_file = test_certificates().ca_file();
    return TlsClient::make(options).value();
}

TlsServer make_server(const CertificateWishes& wishes, const std::string& client_ca_file = "") {
    const CertificateFiles files = test_certificates().make(wishes);
    TlsServerOptions options;
    options.certificate_file = files.certificate_file;
    options.key_file = files.key_file;
    options.client_ca_file = client_ca_file;
    return TlsServer::make(options).value();
}

class TlsLoopTest : public testing::TestWithParam<LoopChoice> {
  protected:
    void SetUp() override {
        loop_ = std::make_unique<TlsLoop>(std::move(make_loop({GetParam()})->loop));
        driver_ = std::make_unique<LoopDriver>(*loop_);
        listen(test_server());
        driver_->connect_options = {&test_client(), "localhost"};
    }
    void TearDown() override {
        loop_->check_invariants();
        EXPECT_EQ(driver_->unknown_events, 0);
    }

    void listen(const TlsServer& server) {
        ListenOptions options;
        options.tls = &server;
        ASSERT_TRUE(driver_->listen(any_ipv4, options));
    }

    // A connection without TLS of ours to a listener that speaks it.
    [[nodiscard]] Pair raw_client() {
        const ConnectOptions before = std::exchange(driver_->connect_options, {});
        const Pair pair = driver_->pair();
        driver_->connect_options = before;
        return pair;
    }

    [[nodiscard]] bool secure(TlsTestPeer& peer, const Pair& pair) {
        return driver_->until([&] {
            peer.pump(*pair.client);
            return SSL_is_init_finished(peer.ssl()) && loop_->is_secured(pair.server->id);
        });
    }

    // Why connecting to a server with such a certificate fails.
    [[nodiscard]] std::string failure(const CertificateWishes& wishes,
                                      const TlsClient& client = test_client(),
                                      const std::string& name = "localhost") {
        const TlsServer server = make_server(wishes);
        listen(server);
        driver_->connect_options = {&client, name};
        Side* side = driver_->connect(driver_->listen_address);
        if (side == nullptr) return "no connect";
        const bool is_over =
            driver_->until([&] { return !side->failures.empty() || side->connects > 0; });
        if (!is_over) return "nothing";
        if (side->connects > 0) return "connected";
        driver_->idle();
        EXPECT_EQ(side->failures, std::vector{EPROTO});
        EXPECT_EQ(side->ends, 0);
        return side->failure_text;
    }

    [[nodiscard]] std::string failure_at_server(Side& server) {
        EXPECT_TRUE(driver_->until([&] { return !server.failures.empty(); }));
        driver_->idle();
        EXPECT_EQ(server.failures.size(), 1u);
        return server.failure_text;
    }

    [[nodiscard]] bool echoes(const Pair& pair) {
        if (pair.client == nullptr) return false;
        driver_->write(*pair.client, "ping");
        driver_->write(*pair.server, "pong");
        return driver_->until([&] {
            return pair.client->received.ends_with("pong") &&
                   pair.server->received.ends_with("ping");
        });
    }

    std::unique_ptr<TlsLoop> loop_;
    std::unique_ptr<LoopDriver> driver_;
};

std::string loop_name(const testing::TestParamInfo<LoopChoice>& choice) {
    return choice.param == LoopChoice::uring ? "uring" : "epoll";
}

INSTANTIATE_TEST_SUITE_P(Tls,
                         TlsLoopTest,
                         testing::Values(LoopChoice::uring, LoopChoice::epoll),
                         loop_name);

// ---- whom to trust

TEST_P(TlsLoopTest, AVerifiedServerIsConnectedToByNameAndByAddress) {
    for (const char* name : {"localhost", "localhost.", "127.0.0.1", "::1", "[::1]"}) {
        driver_->connect_options.server_name = name;
        EXPECT_TRUE(echoes(driver_->pair())) << name;
    }
}

TEST_P(TlsLoopTest, AWrongNameIsRefusedAndTheNamesOfTheCertificateAreSaid) {
    EXPECT_EQ(
        failure({"DNS:a.example,DNS:*.b.example,IP:10.0.0.1"}),
        "the server's certificate is for \"a.example\", \"*.b.example\", \"10.0.0.1\", not for "
        "\"localhost\"");
    EXPECT_EQ(failure({"DNS:localhost"}, test_client(), "127.0.0.1"),
              "the server's certificate is for \"localhost\", not for \"127.0.0.1\"");
    EXPECT_EQ(
        failure({"DNS:1.a,DNS:2.a,DNS:3.a,DNS:4.a,DNS:5.a,DNS:6.a,DNS:7.a"}),
        "the server's certificate is for \"1.a\", \"2.a\", \"3.a\", \"4.a\", \"5.a\" and 2 more, "
        "not for \"localhost\"");
}

TEST_P(TlsLoopTest, ACertificateOutOfItsTimeIsRefusedWithTheDay) {
    CertificateWishes expired;
    expired.days_from = -30;
    expired.days_to = -10;
    EXPECT_TRUE(failure(expired).starts_with("the server's certificate expired on 20"));
    CertificateWishes future;
    future.days_from = 10;
    EXPECT_TRUE(failure(future).starts_with("the server's certificate is not valid before 20"));
}

TEST_P(TlsLoopTest, ASelfSignedCertificateIsRefusedUnlessItIsTrustedItself) {
    CertificateWishes wishes;
    wishes.issuer = Issuer::itself;
    EXPECT_EQ(failure(wishes),
              "the server's certificate is self-signed and not trusted; name it as the CA file to "
              "trust it");
    const CertificateFiles files = test_certificates().make(wishes);
    TlsServerOptions options;
    options.certificate_file = files.certificate_file;
    options.key_file = files.key_file;
    const TlsServer server = TlsServer::make(options).value();
    const TlsClient client = make_client({files.certificate_file, {}, {}});
    listen(server);
    driver_->connect_options.tls = &client;
    EXPECT_TRUE(echoes(driver_->pair()));
}

TEST_P(TlsLoopTest, AnUnknownAuthorityIsRefusedAndNamed) {
    CertificateWishes wishes;
    wishes.issuer = Issuer::unknown;
    EXPECT_EQ(failure(wishes),
              "the server's certificate was issued by an authority that is not trusted, \"an "
              "unknown authority\"; name that authority's certificate as the CA file to trust it");
    const TlsClient system = TlsClient::make({}).value();
    EXPECT_TRUE(failure({}, system).starts_with("the server's certificate was issued by"));
}

TEST_P(TlsLoopTest, WhoAcceptsAnyCertificateConnectsAndSaysSoInItsOptions) {
    TlsClientOptions options;
    options.insecure_accept_any_certificate = true;
    const TlsClient client = TlsClient::make(options).value();
    CertificateWishes wishes;
    wishes.issuer = Issuer::itself;
    wishes.names = "DNS:elsewhere";
    EXPECT_EQ(failure(wishes, client), "connected");
    EXPECT_EQ(failure(wishes, client, ""), "connected");
}

TEST_P(TlsLoopTest, AServerWithoutANameToVerifyIsNotConnectedTo) {
    auto refused = loop_->connect(driver_->listen_address, 0, {&test_client(), ""});
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("server_name"), std::string::npos);
    EXPECT_FALSE(loop_->connect(
        driver_->listen_address, 0, {&test_client(), std::string("a\0b.example", 11)}));
}

TEST_P(TlsLoopTest, AClientCertificateIsDemandedAndVerified) {
    const TlsServer server = make_server({}, test_certificates().ca_file());
    listen(server);
    const CertificateFiles good = test_certificates().make({""});
    const TlsClient known = make_client({{}, good.certificate_file, good.key_file});
    driver_->connect_options.tls = &known;
    EXPECT_TRUE(echoes(driver_->pair()));

    // With TLS 1.3 the client is connected before the server has looked at its certificate.
    driver_->connect_options.tls = &test_client();
    const Pair without = driver_->pair();
    ASSERT_NE(without.client, nullptr);
    EXPECT_EQ(failure_at_server(*without.server), "the client showed no certificate, and has to");
    EXPECT_EQ(without.client->failure_text,
              "the server wants to see a certificate of ours, and we have none for it");

    CertificateWishes wishes{""};
    wishes.issuer = Issuer::itself;
    const CertificateFiles bad = test_certificates().make(wishes);
    const TlsClient unknown = make_client({{}, bad.certificate_file, bad.key_file});
    driver_->connect_options.tls = &unknown;
    const Pair refused = driver_->pair();
    ASSERT_NE(refused.client, nullptr);
    EXPECT_TRUE(failure_at_server(*refused.server)
                    .starts_with("the client's certificate is self-signed and not trusted"));
    EXPECT_EQ(refused.client->failure_text,
              "the server refused to go on with TLS and says: unknown CA");
}

TEST(TlsContexts, AFileThatCannotBeUsedIsNamedInTheSentence) {
    const CertificateFiles one = test_certificates().make();
    const CertificateFiles other = test_certificates().make();
    EXPECT_NE(TlsClient::make({"/nowhere/ca.pem", {}, {}}).error().message.find("/nowhere/ca.pem"),
              std::string::npos);
    EXPECT_NE(TlsClient::make({{}, one.certificate_file, {}}).error().message.find("key_file"),
              std::string::npos);
    TlsServerOptions options;
    options.certificate_file = "/nowhere/cert.pem";
    options.key_file = one.key_file;
    EXPECT_NE(TlsServer::make(options).error().message.find("/nowhere/cert.pem"),
              std::string::npos);
    options.certificate_file = other.certificate_file;
    const std::string mismatch = TlsServer::make(options).error().message;
    EXPECT_NE(mismatch.find(one.key_file), std::string::npos);
    EXPECT_NE(mismatch.find("mismatch"), std::string::npos) << mismatch;
    options.key_file = other.key_file;
    options.session_tickets = 17;
    EXPECT_FALSE(TlsServer::make(options));
}

TEST(TlsContexts, ALoopWithoutTlsRefusesWhoAsksForIt) {
    auto loop = std::move(make_loop({LoopChoice::automatic})->loop);
    ListenOptions options;
    options.tls = &test_server();
    EXPECT_FALSE(loop->listen(any_ipv4, options, 0));
    EXPECT_FALSE(loop->connect(any_ipv4, 0, {&test_client(), "localhost"}));
}

// ---- peers that misbehave

TEST_P(TlsLoopTest, AServerThatSpeaksNoTlsIsCalledThat) {
    ASSERT_TRUE(driver_->listen(any_ipv4));
    for (const std::string& answer : {std::string("HTTP/1.1 400 Bad Request\r\n\r\n"),
                                      std::string("\x05hello"),
                                      std::string(300, '\xff')}) {
        const std::size_t accepted = driver_->accepted.size();
        Side* client = driver_->connect(driver_->listen_address);
        ASSERT_TRUE(driver_->until([&] { return driver_->accepted.size() > accepted; }));
        driver_->write(*driver_->accepted.back(), answer);
        ASSERT_TRUE(driver_->until([&] { return !client->failures.empty(); }));
        EXPECT_EQ(client->failure_text, "the server does not speak TLS: what it sent is none");
        EXPECT_EQ(client->connects, 0);
    }
}

TEST_P(TlsLoopTest, AClientThatSpeaksNoTlsIsRefusedAndOthersAreServed) {
    for (const char* request : {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "\x80\x80\x80\x80\x80\x80"}) {
        const Pair pair = raw_client();
        ASSERT_NE(pair.client, nullptr);
        driver_->write(*pair.client, request);
        EXPECT_EQ(failure_at_server(*pair.server),
                  "the client does not speak TLS: what it sent is none");
        driver_->close(*pair.server);
    }
    EXPECT_TRUE(echoes(driver_->pair()));
}

TEST_P(TlsLoopTest, AConnectionCutInTheMiddleOfAHandshakeFailsWithASentence) {
    ASSERT_TRUE(driver_->listen(any_ipv4));
    for (const CloseMode mode : {CloseMode::graceful, CloseMode::reset}) {
        const std::size_t accepted = driver_->accepted.size();
        Side* client = driver_->connect(driver_->listen_address);
        ASSERT_TRUE(driver_->until([&] { return driver_->accepted.size() > accepted; }));
        Side& server = *driver_->accepted.back();
        // The client's first words are read, so that the end is no reset.
        ASSERT_TRUE(driver_->until([&] { return !server.received.empty(); }));
        driver_->close(server, mode);
        ASSERT_TRUE(driver_->until([&] { return !client->failures.empty(); }));
        driver_->idle();
        EXPECT_EQ(client->failures.size(), 1u);
        EXPECT_NE(client->failure_text.find("in the middle of the TLS handshake"),
                  std::string::npos)
            << client->failure_text;
        EXPECT_EQ(client->ends, 0);
    }
}

TEST_P(TlsLoopTest, GarbageInTheMiddleOfAConversationFailsAfterWhatWasGood) {
    const Pair pair = raw_client();
    ASSERT_NE(pair.client, nullptr);
    TlsTestPeer peer = TlsTestPeer::client(TLS1_3_VERSION);
    ASSERT_TRUE(secure(peer, pair));
    peer.write(*pair.client, "good");
    driver_->write(*pair.client, std::string("\x17\x03\x03\x00\x20", 5) + std::string(32, 'x'));
    EXPECT_EQ(failure_at_server(*pair.server),
              "TLS with the client failed: decryption failed or bad record mac");
    EXPECT_EQ(pair.server->received, "good");
}

TEST_P(TlsLoopTest, AnEndWithoutACloseNotifyIsAnEnd) {
    const Pair pair = raw_client();
    ASSERT_NE(pair.client, nullptr);
    TlsTestPeer peer = TlsTestPeer::client(TLS1_3_VERSION);
    ASSERT_TRUE(secure(peer, pair));
    peer.write(*pair.client, "last words");
    driver_->turn(Duration::zero());
    driver_->shutdown_write(*pair.client);
    ASSERT_TRUE(driver_->until([&] { return pair.server->ends == 1; }));
    EXPECT_EQ(pair.server->received, "last words");
    driver_->write(*pair.server, "answer");
    ASSERT_TRUE(driver_->until([&] {
        peer.pump(*pair.client);
        return peer.received == "answer";
    }));
}

TEST_P(TlsLoopTest, TheKeysAreUpdatedInTheMiddleOfAConversation) {
    const Pair pair = raw_client();
    ASSERT_NE(pair.client, nullptr);
    TlsTestPeer peer = TlsTestPeer::client(TLS1_3_VERSION);
    ASSERT_TRUE(secure(peer, pair));
    for (int round = 1; round <= 3; ++round) {
        ASSERT_EQ(SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
        peer.write(*pair.client, "ping");
        driver_->write(*pair.server, "pong");
        const auto size = static_cast<std::size_t>(4 * round);
        ASSERT_TRUE(driver_->until([&] {
            peer.pump(*pair.client);
            return peer.received.size() == size && pair.server->received.size() == size;
        }));
    }
}

TEST_P(TlsLoopTest, KeyUpdatesWithoutEndAreRefused) {
    const Pair pair = raw_client();
    ASSERT_NE(pair.client, nullptr);
    TlsTestPeer peer = TlsTestPeer::client(TLS1_3_VERSION);
    ASSERT_TRUE(secure(peer, pair));
    for (int i = 0; i < 1000; ++i) {
        SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED);
        SSL_do_handshake(peer.ssl());
        peer.take_output(*pair.client);
    }
    EXPECT_EQ(failure_at_server(*pair.server), "the client changes its keys without end");
}

TEST_P(TlsLoopTest, RenegotiationIsRefusedWithoutEndingTheConversation) {
    const Pair pair = raw_client();
    ASSERT_NE(pair.client, nullptr);
    TlsTestPeer peer = TlsTestPeer::client(TLS1_2_VERSION);
    ASSERT_TRUE(secure(peer, pair));
    peer.write(*pair.client, "before");
    ASSERT_TRUE(driver_->until([&] { return pair.server->received == "before"; }));
    ASSERT_EQ(SSL_renegotiate(peer.ssl()), 1);
    SSL_do_handshake(peer.ssl());
    peer.take_output(*pair.client);
    ASSERT_TRUE(driver_->until([&] { return !pair.client->received.empty(); }));
    driver_->idle();
    EXPECT_TRUE(pair.server->failures.empty());
    EXPECT_EQ(pair.server->ends, 0);
    ERR_clear_error();
    peer.pump(*pair.client);
    EXPECT_EQ(ERR_GET_REASON(ERR_peek_error()), SSL_R_NO_RENEGOTIATION);
    ERR_clear_error();
}

// ---- beside each other

TEST_P(TlsLoopTest, StreamsWithAndWithoutTlsLiveInOneLoop) {
    const Pair with = driver_->pair();
    ASSERT_TRUE(driver_->listen(any_ipv4));
    driver_->connect_options = {};
    const Pair without = driver_->pair();
    EXPECT_TRUE(echoes(with));
    EXPECT_TRUE(echoes(without));
    EXPECT_TRUE(loop_->is_secured(with.client->id) && loop_->is_secured(with.server->id));
    EXPECT_FALSE(loop_->is_secured(without.client->id));
}

TEST_P(TlsLoopTest, ASendBeforeTheHandshakeIsShortAndGoesOutAfterIt) {
    const std::size_t accepted = driver_->accepted.size();
    Side* client = driver_->connect(driver_->listen_address);
    ASSERT_TRUE(driver_->until([&] { return driver_->accepted.size() > accepted; }));
    Side& server = *driver_->accepted.back();
    ASSERT_FALSE(loop_->is_secured(server.id));
    driver_->write(server, "welcome");
    driver_->turn(Duration::zero());
    EXPECT_EQ(server.short_sends, 1u);
    EXPECT_EQ(server.taken, 0u);
    ASSERT_TRUE(driver_->until([&] { return client->received == "welcome"; }));
    EXPECT_EQ(server.writables, 1);
}

TEST_P(TlsLoopTest, APauseDuringTheHandshakeTakesEffectAfterIt) {
    const std::size_t accepted = driver_->accepted.size();
    Side* client = driver_->connect(driver_->listen_address);
    driver_->write(*client, "early");
    ASSERT_TRUE(driver_->until([&] { return driver_->accepted.size() > accepted; }));
    Side& server = *driver_->accepted.back();
    loop_->pause(server.id);
    ASSERT_TRUE(
        driver_->until([&] { return loop_->is_secured(server.id) && client->is_flushed(); }));
    driver_->idle();
    EXPECT_EQ(server.received, "");
    loop_->resume(server.id);
    EXPECT_TRUE(driver_->until([&] { return server.received == "early"; }));
}

TEST_P(TlsLoopTest, AnEndDuringTheHandshakeComesAfterIt) {
    const std::size_t accepted = driver_->accepted.size();
    Side* client = driver_->connect(driver_->listen_address);
    ASSERT_TRUE(driver_->until([&] { return driver_->accepted.size() > accepted; }));
    Side& server = *driver_->accepted.back();
    ASSERT_FALSE(loop_->is_secured(server.id));
    loop_->shutdown_write(server.id);
    driver_->write(*client, "still heard");
    ASSERT_TRUE(driver_->until([&] { return client->ends == 1; }));
    EXPECT_EQ(client->connects, 1);
    ASSERT_TRUE(driver_->until([&] { return server.received == "still heard"; }));
}

TEST_P(TlsLoopTest, AnEndIsSentWithoutWaitingForAnythingElse) {
    auto other = std::move(make_loop({GetParam()})->loop);
    LoopDriver peer(*other);
    Side* client = peer.connect(driver_->listen_address);
    TlsTestPeer talker = TlsTestPeer::client(TLS1_3_VERSION);
    const auto is_secured = [&] {
        return !driver_->accepted.empty() && loop_->is_secured(driver_->accepted.back()->id);
    };
    const Instant limit = loop_->now() + std::chrono::seconds(10);
    while (!is_secured() && loop_->now() < limit) {
        driver_->turn(std::chrono::milliseconds(1));
        peer.turn(std::chrono::milliseconds(1));
        if (client->connects == 1) talker.pump(*client);
    }
    ASSERT_TRUE(is_secured());
    driver_->idle();
    loop_->shutdown_write(driver_->accepted.back()->id);
    const Instant before = loop_->now();
    driver_->turn(std::chrono::seconds(5));
    EXPECT_LT(loop_->now() - before, std::chrono::seconds(4));
    EXPECT_TRUE(peer.until([&] { return client->ends == 1; }));
}

TEST_P(TlsLoopTest, MuchGoesBothWaysAtOnceThroughFullBuffers) {
    const Pair pair = driver_->pair();
    ASSERT_NE(pair.client, nullptr);
    std::string text(8'000'000, '\0');
    Prng prng(5);
    for (char& c : text) c = static_cast<char>(prng.next() & 0xff);
    driver_->write(*pair.client, text);
    driver_->write(*pair.server, text);
    ASSERT_TRUE(driver_->until([&] {
        return pair.client->received.size() == text.size() &&
               pair.server->received.size() == text.size();
    }));
    EXPECT_TRUE(pair.client->received == text && pair.server->received == text);
    EXPECT_GT(pair.client->short_sends + pair.server->short_sends, 0u);
    EXPECT_LE(pair.client->receive_largest, receive_max);
}

// A client that asks for new keys, each of which is answered, and reads nothing.
TEST_P(TlsLoopTest, APeerThatAsksWithoutTakingTheAnswersFailsAtTheBound) {
    TlsTestPeer peer = TlsTestPeer::client(TLS1_3_VERSION);
    const Pair pair = raw_client();
    ASSERT_TRUE(secure(peer, pair));
    loop_->pause(pair.client->id);
    // The kernel's buffers are filled first: answers go behind this.
    driver_->write(*pair.server, std::string(8 * 1024 * 1024, 'x'));
    std::size_t asked = 0;
    const bool has_failed = driver_->until([&] {
        for (unsigned i = 0; i < TlsConversation::key_updates_max / 2; ++i, ++asked) {
            SSL_key_update(peer.ssl(), SSL_KEY_UPDATE_REQUESTED);
            SSL_do_handshake(peer.ssl());
        }
        peer.take_output(*pair.client);
        return !pair.server->failures.empty();
    });
    ASSERT_TRUE(has_failed);
    EXPECT_EQ(pair.server->failure_text, "the peer asks for more of TLS than it takes");
    // An answer has 27 bytes: far more than one send's worth was kept for it until then.
    EXPECT_GT(asked * 27, std::size_t{64} * 1024);
}

// ---- sessions

TEST_P(TlsLoopTest, AClientThatComesBackResumesItsSessionWithTheSameName) {
    const TlsServer server = make_server({});  // sends tickets
    listen(server);
    const TlsClient client = make_client({});
    driver_->connect_options = {&client, "localhost"};
    const auto resumed = [&] { return SSL_CTX_sess_hits(client.context()); };
    ASSERT_TRUE(echoes(driver_->pair()));
    EXPECT_EQ(resumed(), 0);
    ASSERT_TRUE(echoes(driver_->pair()));
    EXPECT_EQ(resumed(), 1);
    // Another name, which is verified for itself.
    driver_->connect_options.server_name = "127.0.0.1";
    ASSERT_TRUE(echoes(driver_->pair()));
    EXPECT_EQ(resumed(), 1);
    // Another client's are nobody else's.
    const TlsClient other = make_client({});
    driver_->connect_options = {&other, "localhost"};
    ASSERT_TRUE(echoes(driver_->pair()));
    EXPECT_EQ(SSL_CTX_sess_hits(other.context()), 0);
}

TEST_P(TlsLoopTest, AServerThatForgotASessionIsVerifiedAnew) {
    const TlsServer server = make_server({});  // sends tickets
    listen(server);
    const TlsClient client = make_client({});
    driver_->connect_options = {&client, "localhost"};
    ASSERT_TRUE(echoes(driver_->pair()));
    // It has another certificate, which is not for this name.
    EXPECT_EQ(failure({"DNS:a.example"}, client),
              "the server's certificate is for \"a.example\", not for \"localhost\"");
}

TEST_P(TlsLoopTest, AFailedConnectStillSaysWhyTheKernelRefused) {
    loop_->close(driver_->listener);
    driver_->idle(2);
    Side* client = driver_->connect(driver_->listen_address);
    ASSERT_TRUE(driver_->until([&] { return !client->failures.empty(); }));
    EXPECT_EQ(client->failures, std::vector{ECONNREFUSED});
    EXPECT_EQ(client->failure_text, "");
}

}  // namespace

}  // namespace wspool::io
