// PeerLinks: an exchange over real sockets, and the test at the other end of one link.
#include "link/peer_links.h"

#include "io/descriptor_channel.h"
#include "wire/records.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <memory>
#include <string>

namespace wspool::link {
namespace {

constexpr wire::Incarnation peer = 77;

class PeerLinksTest : public testing::TestWithParam<io::LoopChoice> {
  protected:
    // Made within the process that may die.
    struct Process {
        explicit Process(const LinkOptions& options = {})
            : loop(std::move(io::make_loop({GetParam(), {}})->loop)),
              exchange(exchange_options(), entropy),
              links(*loop, options, exchange) {
            const auto streams = io::make_socket_pair(io::PairKind::stream).value();
            const auto channels = io::make_socket_pair(io::PairKind::seqpacket).value();
            other = streams[1];
            other_channel = channels[1];
            links.add({peer, 1, true, streams[0], channels[0]}, loop->now());
            exchange.become_home(loop->now());
            take();
        }
        ~Process() { end(); }

        void write(ByteView bytes) const {
            EXPECT_EQ(::write(other, bytes.data(), bytes.size()),
                      static_cast<ssize_t>(bytes.size()));
        }
        void end() {
            for (int* fd : {&other, &other_channel}) {
                if (*fd >= 0) ::close(std::exchange(*fd, -1));
            }
        }
        void take() {
            hub::Action action;
            while (exchange.next_action(action)) continue;
        }
        bool run_until(const std::function<bool()>& done) {
            const Instant limit = loop->now() + std::chrono::seconds(10);
            while (!done()) {
                if (loop->now() > limit) return false;
                exchange.flush(loop->now());
                take();
                links.flush();
                loop->wait(links.wants_turn() ? Instant::min()
                                              : loop->now() + std::chrono::milliseconds(1));
                for (const io::ShortSend& send : loop->short_sends()) links.on_short_send(send);
                while (links.next(loop->now())) take();
                io::Event event{};
                while (loop->next_event(event)) {
                    links.on_event(event);
                    while (links.next(loop->now())) take();
                }
            }
            return true;
        }
        static hub::ExchangeOptions exchange_options() {
            hub::ExchangeOptions options;
            options.index_count = 2;
            return options;
        }

        SeededEntropy entropy{1};
        std::unique_ptr<io::Loop> loop;
        hub::Exchange exchange;
        PeerLinks links;
        int other = -1;
        int other_channel = -1;
    };

    // What happens to a process whose peer says this and lives.
    static void hear(ByteView bytes, const LinkOptions& options = {}) {
        Process process(options);
        process.write(bytes);
        (void)process.run_until([] { return false; });
    }
};

template <class Record>
std::string encoded(const Record& record) {
    ByteBuffer bytes;
    wire::encode(bytes, record);
    return std::string(as_text(bytes.view()));
}

TEST_P(PeerLinksTest, TheEndOfAPeerIsItsDeathAndNothingElse) {
    Process process;
    EXPECT_EQ(process.exchange.figures().peers, 1u);
    process.write(as_bytes(encoded(wire::Announce{}) + encoded(wire::Announced{})));
    process.write(as_bytes(std::string_view("\x20", 1)));  // R3: of a record that was cut off
    ASSERT_TRUE(process.run_until([&] { return process.exchange.is_open(); }));
    process.end();
    EXPECT_TRUE(process.run_until([&] { return process.exchange.figures().peers == 0; }));
}

TEST_P(PeerLinksTest, ARecordThatCannotBeEndsTheProcessWithASentence) {
    const std::string announced = encoded(wire::Announce{}) + encoded(wire::Announced{});
    const std::string nonsense = announced + encoded(wire::Got{.s = 1000});
    EXPECT_DEATH(hear(as_bytes(nonsense)),
                 "broken invariant: the link to incarnation 77 is lost, and not by its end: "
                 "A peer sent a record that is no proper got: more than it was sent");
}

TEST_P(PeerLinksTest, BytesThatAreNoRecordEndTheProcessWithASentence) {
    const std::string noise(64, '\xEE');
    EXPECT_DEATH(hear(as_bytes(noise)), "incarnation 77 .*header is none of ours");
}

INSTANTIATE_TEST_SUITE_P(Loops,
                         PeerLinksTest,
                         testing::Values(io::LoopChoice::uring, io::LoopChoice::epoll),
                         [](const auto& loop) {
                             return loop.param == io::LoopChoice::uring ? "uring" : "epoll";
                         });

}  // namespace
}  // namespace wspool::link
