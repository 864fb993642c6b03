// Two conversations over memory: any split of the bytes gives the same plaintext, and no bytes of a
// peer's do worse than end it.
#include "io/tls_conversation.h"

#include "base/random.h"
#include "io/tls_test_certificates.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <array>
#include <string>
#include <vector>

namespace wspool::io {

namespace {

struct End {
    std::unique_ptr<TlsConversation> tls;
    std::string wire;      // on its way to this end
    std::string received;  // plaintext
    std::vector<std::byte> plain = std::vector<std::byte>(1024);

    // Takes `size` bytes of the wire, and what they open.
    void take(std::size_t size) {
        std::string taken = wire.substr(0, size);
        wire.erase(0, taken.size());
        ByteView input = as_bytes(taken);
        do {
            const std::size_t count = tls->receive(input, plain);
            received.append(as_text(ByteView(plain).first(count)));
        } while (!input.empty() || tls->has_more());
    }
};

class Line {
  public:
    Line() {
        ends_[0].tls = TlsConversation::connect(test_client(), "localhost").value();
        ends_[1].tls = TlsConversation::accept(test_server().context()).value();
        collect();
    }

    [[nodiscard]] End& client() { return ends_[0]; }
    [[nodiscard]] End& server() { return ends_[1]; }

    void send(End& end, ByteView bytes) {
        RC_ASSERT(end.tls->encrypt({&bytes, 1}, gather_));
        collect();
    }
    void send(End& end, std::span<const ByteView> pieces) {
        RC_ASSERT(end.tls->encrypt(pieces, gather_));
        collect();
    }

    void take(End& end, std::size_t size) {
        end.take(size);
        collect();
    }

    void settle() {
        while (!client().wire.empty() || !server().wire.empty()) {
            take(client(), SIZE_MAX);
            take(server(), SIZE_MAX);
        }
    }

    void collect() {
        for (std::size_t i = 0; i < 2; ++i) {
            const ByteView unsent = ends_[i].tls->unsent();
            ends_[1 - i].wire.append(as_text(unsent));
            ends_[i].tls->drop_unsent(unsent.size());
        }
    }

  private:
    std::array<End, 2> ends_;
    std::vector<std::byte> gather_ = std::vector<std::byte>(TlsConversation::gather_size);
};

std::string text_of(std::size_t size, std::uint64_t seed) {
    Prng prng(seed);
    std::string text(size, '\0');
    for (char& c : text) c = static_cast<char>(prng.next() & 0xff);
    return text;
}

TEST(TlsConversation, AnySplitOfTheBytesGivesTheSameConversation) {
    const bool holds = rc::check([](std::uint64_t seed) {
        Prng prng(seed);
        Line line;
        std::string there;
        std::string back;
        for (int step = 0; step < 200; ++step) {
            const bool is_client = prng.chance(0.5);
            End& end = is_client ? line.client() : line.server();
            if (end.tls->state() == TlsState::open && prng.chance(0.3)) {
                const std::string text = text_of(1 + prng.below(40'000), prng.next());
                line.send(end, as_bytes(text));
                (is_client ? there : back).append(text);
            } else if (!end.wire.empty()) {
                line.take(end, 1 + prng.below(prng.chance(0.5) ? 10 : 20'000));
            }
        }
        line.settle();
        RC_ASSERT(line.client().tls->state() == TlsState::open);
        RC_ASSERT(line.server().tls->state() == TlsState::open);
        RC_ASSERT(line.server().received == there);
        RC_ASSERT(line.client().received == back);
    });
    EXPECT_TRUE(holds);
}

TEST(TlsConversation, AnyPiecesAreEncryptedAsTheirConcatenation) {
    const bool holds = rc::check([](const std::vector<std::uint16_t>& sizes) {
        Line line;
        line.settle();
        std::vector<std::string> texts;
        std::vector<ByteView> pieces;
        std::string whole;
        for (std::size_t i = 0; i < sizes.size() && i < 8; ++i) {
            texts.push_back(text_of(sizes[i], i));
            whole.append(texts.back());
        }
        for (const std::string& text : texts) pieces.push_back(as_bytes(text));
        line.send(line.client(), pieces);
        // Small pieces share records: what is added per record stays far below what is sent.
        RC_ASSERT(line.server().wire.size() <= whole.size() + (whole.size() / 8192 + 2) * 32);
        line.settle();
        RC_ASSERT(line.server().received == whole);
    });
    EXPECT_TRUE(holds);
}

TEST(TlsConversation, AChangedByteAnywhereEndsItAndNothingWrongIsEverGivenOut) {
    const bool holds = rc::check([](std::uint64_t seed) {
        Prng prng(seed);
        Line line;
        if (prng.chance(0.7)) line.settle();
        std::string sent;
        for (int round = 0; round < 6; ++round) {
            for (End* end : {&line.client(), &line.server()}) {
                if (!end->wire.empty() && round == 2) {
                    char& hit = end->wire[prng.below(end->wire.size())];
                    hit = static_cast<char>(hit ^ (1 << prng.below(8)));
                }
                line.take(*end, SIZE_MAX);
            }
            if (line.client().tls->state() != TlsState::open) continue;
            const std::string text = text_of(1 + prng.below(500), prng.next());
            line.send(line.client(), as_bytes(text));
            sent.append(text);
        }
        RC_ASSERT(sent.starts_with(line.server().received));
        for (End* end : {&line.client(), &line.server()}) {
            RC_ASSERT((end->tls->state() == TlsState::failed) == !end->tls->sentence().empty());
        }
    });
    EXPECT_TRUE(holds);
}

TEST(TlsConversation, GarbageFromAPeerFailsWithASentenceAndAlwaysComesToAnEnd) {
    const bool holds = rc::check([](const std::string& garbage, bool is_client) {
        Line line;
        End& end = is_client ? line.client() : line.server();
        end.wire = garbage + std::string(70'000, '\x16');
        end.take(SIZE_MAX);
        RC_ASSERT(end.received.empty());
        RC_ASSERT(end.tls->state() == TlsState::failed);
        RC_ASSERT(!end.tls->sentence().empty());
    });
    EXPECT_TRUE(holds);
}

TEST(TlsConversation, ACloseNotifyEndsOneHalfOnly) {
    Line line;
    line.settle();
    line.client().tls->end();
    line.collect();
    line.settle();
    EXPECT_EQ(line.server().tls->state(), TlsState::ended);
    EXPECT_EQ(line.client().tls->state(), TlsState::open);
    line.send(line.server(), as_bytes("answer"));
    line.settle();
    EXPECT_EQ(line.client().received, "answer");
}

}  // namespace

}  // namespace wspool::io
