#include "io/tls_sessions.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

namespace wspool::io {
namespace {

// One that counts as resumable, of whichever version.
TlsSession make_session(int version) {
    TlsSession session(SSL_SESSION_new());
    const unsigned char id[] = {1};
    SSL_SESSION_set1_id(session.get(), id, sizeof id);
    SSL_SESSION_set_protocol_version(session.get(), version);
    return session;
}

TEST(TlsSessions, OneOfTls13IsUsedOnceAndTheYoungestFirst) {
    TlsSessions sessions;
    TlsSession old = make_session(TLS1_3_VERSION);
    TlsSession young = make_session(TLS1_3_VERSION);
    const auto* first = young.get();
    const auto* second = old.get();
    sessions.put("a", std::move(old));
    sessions.put("a", std::move(young));
    EXPECT_EQ(sessions.take("b"), nullptr);
    EXPECT_EQ(sessions.take("a").get(), first);
    EXPECT_EQ(sessions.take("a").get(), second);
    EXPECT_EQ(sessions.take("a"), nullptr);
}

TEST(TlsSessions, OneOfTls12IsUsedAgain) {
    TlsSessions sessions;
    sessions.put("a", make_session(TLS1_2_VERSION));
    EXPECT_NE(sessions.take("a"), nullptr);
    EXPECT_NE(sessions.take("a"), nullptr);
}

TEST(TlsSessions, OneThatIsNoGoodIsSkipped) {
    TlsSessions sessions;
    sessions.put("a", TlsSession(SSL_SESSION_new()));
    EXPECT_EQ(sessions.take("a"), nullptr);
}

TEST(TlsSessions, TheOldestMakeRoomAtTheBounds) {
    TlsSessions sessions;
    for (std::size_t i = 0; i <= TlsSessions::names_max; ++i)
        sessions.put(std::to_string(i), make_session(TLS1_3_VERSION));
    EXPECT_EQ(sessions.take("0"), nullptr);
    EXPECT_NE(sessions.take("1"), nullptr);
    for (std::size_t i = 0; i < TlsSessions::sessions_max * 2; ++i)
        sessions.put("a", make_session(TLS1_3_VERSION));
    for (std::size_t i = 0; i < TlsSessions::sessions_max; ++i)
        EXPECT_NE(sessions.take("a"), nullptr);
    EXPECT_EQ(sessions.take("a"), nullptr);
}

}  // namespace
}  // namespace wspool::io
