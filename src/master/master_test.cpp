// The master with real processes whose program is a test's: that all are linked with all.
#include "master/master.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <functional>
#include <map>

namespace wspool::master {
namespace {

// Says its incarnation over each link, hears the peer's, and counts the links over which the right
// one was heard: `accepted` of the stream, `delivered` of the channel for descriptors.
class Introductions {
  public:
    explicit Introductions(Child child)
        : child_(std::move(child)), line_(std::move(child_.master_link)) {
        for (Peer& peer : child_.peers) greet(std::move(peer));
        line_.say_ready();
    }

    int run() {
        for (;;) {
            std::vector<pollfd> wanted = {{line_.fd(), POLLIN, 0}};
            for (const Peer& peer : peers_) {
                wanted.push_back({peer.stream.get(), POLLIN, 0});
                wanted.push_back({peer.channel.get(), POLLIN, 0});
            }
            ::poll(wanted.data(), wanted.size(), 50);
            Peer peer;
            for (MasterSays said = line_.next(peer); said != MasterSays::nothing;
                 said = line_.next(peer)) {
                if (said == MasterSays::peer) greet(std::move(peer));
                if (said == MasterSays::drain) line_.say_drained();
                if (said == MasterSays::stop || said == MasterSays::lost) return 0;
            }
            for (Peer& each : peers_) {
                counters_.accepted += hear(each.stream, each.incarnation);
                counters_.delivered += hear(each.channel, each.incarnation);
            }
            child_.page->publish(child_.place, counters_, Instant(Duration(++beats_)));
        }
    }

  private:
    void greet(Peer peer) {
        for (const int fd : {peer.stream.get(), peer.channel.get()}) {
            (void)::send(fd, &child_.incarnation, sizeof child_.incarnation, MSG_NOSIGNAL);
        }
        peers_.push_back(std::move(peer));
    }
    // 1 when it was heard now. A link that ended is closed.
    static std::uint64_t hear(io::Descriptor& link, std::uint64_t expected) {
        if (link.get() < 0) return 0;
        std::uint64_t heard = 0;
        const ssize_t size = ::recv(link.get(), &heard, sizeof heard, MSG_DONTWAIT);
        if (size == 0) link.close();
        return size == sizeof heard && heard == expected ? 1 : 0;
    }

    Child child_;
    ChildLink line_;
    std::vector<Peer> peers_;
    metrics::Counters counters_;
    std::int64_t beats_ = 0;
};

class MasterTest : public testing::Test {
  protected:
    void start(std::size_t workers) {
        MasterOptions options;
        options.workers = workers;
        options.listen = {{io::Address::Family::ipv4, "127.0.0.1", 0}};
        options.control = io::Address{io::Address::Family::ipv4, "127.0.0.1", 0};
        options.health_interval = std::chrono::milliseconds(20);
        options.run_worker =
            options.run_control = [](Child child) { return Introductions(std::move(child)).run(); };
        auto made = Master::make(options);
        ASSERT_TRUE(made) << made.error().message;
        master_ = std::move(*made);
    }

    // Turns until `is_so`; the health check's interval sees to it that turns end.
    void turn_until(const std::function<bool()>& is_so) {
        for (int i = 0; i < 1000 && !is_so(); ++i) {
            for (const Action& action : master_->turn()) ++told_[action.kind];
        }
        ASSERT_TRUE(is_so());
    }

    [[nodiscard]] bool all_introduced(const std::vector<std::uint64_t>& links) const {
        for (std::size_t place = 0; place < links.size(); ++place) {
            const metrics::Counters counters = master_->page().snapshot(place).counters;
            if (counters.accepted != links[place] || counters.delivered != links[place])
                return false;
        }
        return true;
    }

    void end() {
        ::kill(::getpid(), SIGTERM);
        turn_until([&] { return told_.contains(ActionKind::finished); });
    }

    std::unique_ptr<Master> master_;
    std::map<ActionKind, int> told_;
};

TEST_F(MasterTest, EveryTwoProcessesAreLinkedAlsoAfterADeath) {
    start(3);
    turn_until([&] { return all_introduced({3, 3, 3, 3}); });
    EXPECT_EQ(told_[ActionKind::ready], 1);
    // The control process is place 3. Its replacement meets three, and each of these one more.
    ::kill(static_cast<pid_t>(master_->page().life(3).pid), SIGKILL);
    turn_until([&] { return all_introduced({4, 4, 4, 6}); });
    ::kill(static_cast<pid_t>(master_->page().life(1).pid), SIGKILL);
    turn_until([&] { return all_introduced({5, 7, 5, 7}); });
    EXPECT_EQ(told_[ActionKind::died], 2);
    EXPECT_EQ(master_->page().life(1).restarts, 1u);
    end();
}

TEST_F(MasterTest, OneAfterTheOtherIsReplaced) {
    start(2);
    turn_until([&] { return all_introduced({2, 2, 2}); });
    ::kill(static_cast<pid_t>(master_->page().life(0).pid), SIGKILL);
    ::kill(static_cast<pid_t>(master_->page().life(1).pid), SIGKILL);
    turn_until([&] {
        return master_->page().life(0).restarts == 1 && master_->page().life(1).restarts == 1 &&
               master_->page().snapshot(0).counters.accepted == 4 &&
               master_->page().snapshot(1).counters.accepted == 4;
    });
    end();
}

TEST_F(MasterTest, AnAddressThatCannotBeHadIsToldBeforeAnythingIsStarted) {
    start(1);
    MasterOptions options;
    options.listen = master_->client_addresses();
    const auto refused = Master::make(options);
    ASSERT_FALSE(refused);
    EXPECT_NE(refused.error().message.find("127.0.0.1"), std::string::npos);
    end();
}

}  // namespace
}  // namespace wspool::master
