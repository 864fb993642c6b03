// Everything at once: random verbs against servers that come and go. After each step all tables
// agree; each call has exactly one outcome; and once the weather is fine, whatever was asked before
// does not keep a new acquire from succeeding.
#include "base/random.h"
#include "client/core.h"
#include "client/core_bed.h"

#include <map>

namespace wspool::client {
namespace {

class CoreStorm : public CoreBed {
  protected:
    void begin(std::uint64_t seed, Overflow overflow) {
        random_ = Prng(seed);
        CoreOptions options = quick_options();
        options.host.max_size = 3;
        options.host.max_waiters = 20;
        options.host.connect_timeout = 60ms;
        options.host.validate_bypass = 5ms;
        options.host.validate_timeout = 50ms;
        options.host.idle_timeout = 30ms;
        options.host.max_lifetime = 80ms;
        options.host.close_timeout = 40ms;
        options.host.reconnect.stable_after = 20ms;
        options.max_total_connections = 5;
        options.max_queued_messages = 4;
        options.max_queued_bytes = 400;
        options.overflow = overflow;
        options.outbox_size_max = 2000;
        options.subscriptions_per_connection = 2;
        options.forget_after = 200ms;
        start(options);
        for (int i = 0; i < 3; ++i) serve();
        serve_raw();
        hook_ = [this](const CoreEvent& event) { on_event(event); };
    }

    void on_event(const CoreEvent& event) {
        switch (event.kind) {
            case CoreEventKind::granted:
                ++outcomes_[event.tag];
                leases_[event.tag] = event.lease;
                return;
            case CoreEventKind::failed:
            case CoreEventKind::replied:
                ++outcomes_[event.tag];
                calls_.erase(event.tag);
                return;
            case CoreEventKind::sent:
                for (const std::uint64_t tag : event.tags) {
                    ++outcomes_[tag];
                    calls_.erase(tag);
                }
                return;
            case CoreEventKind::revoked:
                EXPECT_EQ(leases_.erase(event.tag), 1u);
                return;
            case CoreEventKind::message:
                if (event.lease != LeaseId{}) {
                    EXPECT_EQ(leases_.count(event.tag), 1u);
                }
                return;
            case CoreEventKind::suspended:
            case CoreEventKind::resumed:
            case CoreEventKind::notice:
            case CoreEventKind::leaked:
            case CoreEventKind::closed:
            case CoreEventKind::reconnected:
            case CoreEventKind::stopped:
            case CoreEventKind::readable:
            case CoreEventKind::drained:
                return;
        }
    }

    [[nodiscard]] std::string some_url() {
        const std::uint64_t which = random_.below(7);
        if (which == 6) return raw_servers_.front()->url();
        return servers_[which % 3]->url(which < 3 ? "/" : "/other");
    }
    [[nodiscard]] Instant some_deadline() {
        return random_.chance(0.5)
                   ? never
                   : core().now() + Duration(1ms) * static_cast<int>(random_.below(30));
    }

    void note(const Outcome& outcome) {
        if (outcome.kind == Outcome::Kind::done) leases_[tag_] = outcome.lease;
        if (outcome.kind == Outcome::Kind::pending) calls_[tag_] = outcome.call;
        outcomes_[tag_] += outcome.kind != Outcome::Kind::pending;
    }

    template <class Map>
    [[nodiscard]] auto pick(Map& map) {
        return std::next(map.begin(), static_cast<std::ptrdiff_t>(random_.below(map.size())));
    }

    void ask() {
        const std::string url = some_url();
        ++tag_;
        const std::string text = R"({"id":)" + std::to_string(tag_) + "}";
        switch (random_.below(4)) {
            case 0:
            case 1: {
                const std::string client(random_.below(3), 'c');
                return note(core().acquire(
                    target(url), {.client = client, .deadline = some_deadline(), .tag = tag_}));
            }
            case 2:
                return note(core().send_once(target(url),
                                             ws::Opcode::text,
                                             as_bytes(text + std::string(random_.below(200), ' ')),
                                             {.deadline = some_deadline(), .tag = tag_}));
            default:
                return note(core().request(target(url),
                                           std::to_string(tag_),
                                           as_bytes(text),
                                           {.deadline = some_deadline(), .tag = tag_}));
        }
    }

    void use_a_lease() {
        const auto held = pick(leases_);
        switch (random_.below(3)) {
            case 0:
                (void)core().send(held->second, ws::Opcode::text, as_bytes("hello"));
                return;
            case 1:
                if (!core().release(held->second)) return;  // it was revoked: that is told soon
                break;
            default:
                if (!core().discard(held->second)) return;
                break;
        }
        EXPECT_FALSE(core().release(held->second));
        leases_.erase(held);
    }

    void change_subscriptions() {
        const std::string topic = std::to_string(random_.below(9));
        if (const auto made = core().subscribe(target(some_url()), topic, "+" + topic, "-"))
            subscriptions_.push_back(*made);
        if (subscriptions_.empty() || random_.chance(0.5)) return;
        const std::size_t which = random_.below(subscriptions_.size());
        (void)core().unsubscribe(subscriptions_[which]);
        subscriptions_.erase(subscriptions_.begin() + static_cast<std::ptrdiff_t>(which));
    }

    void change_the_weather() {
        TestServer& server = *servers_[random_.below(servers_.size())];
        switch (random_.below(6)) {
            case 0:
                return server.is_running() ? server.stop() : server.restart();
            case 1:
                return server.is_running() ? server.cut_all() : server.restart();
            case 2:
                return server.is_running() ? server.close_all(ws::CloseCode::service_restart)
                                           : server.restart();
            default:
                server.manner = std::array{TestServer::Manner::echo,
                                           TestServer::Manner::mute,
                                           TestServer::Manner::close_at_once,
                                           TestServer::Manner::refuse}[random_.below(4)];
                return;
        }
    }

    void step() {
        const std::uint64_t which = random_.below(12);
        if (which < 5) {
            ask();
        } else if (which < 8) {
            if (!leases_.empty()) use_a_lease();
        } else if (which < 9) {
            if (calls_.empty()) return;
            const auto call = pick(calls_);
            if (core().cancel(call->second)) ++outcomes_[call->first];
            calls_.erase(call);
        } else if (which < 10) {
            change_subscriptions();
        } else if (which < 11 && random_.chance(0.3)) {
            change_the_weather();
        }
        core().check_invariants();
        for (std::uint64_t turns = random_.below(3); turns > 0; --turns) turn();
    }

    Prng random_{0};
    std::uint64_t tag_ = 0;
    std::map<std::uint64_t, int> outcomes_;
    std::map<std::uint64_t, LeaseId> leases_;
    std::map<std::uint64_t, CallId> calls_;
    std::vector<SubscriptionId> subscriptions_;
};

TEST_F(CoreStorm, EachCallHasOneOutcomeAndFineWeatherHelpsEverybody) {
    for (const std::uint64_t seed : {1u, 2u, 3u, 4u, 5u, 6u}) {
        SCOPED_TRACE(seed);
        begin(seed, seed % 2 == 0 ? Overflow::reject : Overflow::drop_oldest);
        for (int i = 0; i < 800; ++i) step();

        for (auto& server : servers_) {
            server->manner = TestServer::Manner::echo;
            if (!server->is_running()) server->restart();
        }
        // Requests that were never answered, and holders, may keep what they have for ever.
        for (const auto& [tag, call] : calls_) outcomes_[tag] += core().cancel(call);
        calls_.clear();
        std::erase_if(leases_, [&](const auto& held) { return core().discard(held.second); });
        for (const SubscriptionId id : subscriptions_) (void)core().unsubscribe(id);
        EXPECT_TRUE(run_until([&] {
            ++tag_;
            const Outcome outcome = core().acquire(target(servers_.front()->url()),
                                                   {.deadline = core().now() + 1s, .tag = tag_});
            note(outcome);
            if (outcome.kind == Outcome::Kind::done) return true;
            if (outcome.kind == Outcome::Kind::failed) return false;
            EXPECT_TRUE(run_until([&] { return outcomes_[tag_] > 0; }));
            return leases_.contains(tag_);
        }));

        core().drain(core().now() + 10ms);
        EXPECT_TRUE(run_until_seen(CoreEventKind::drained));
        for (std::uint64_t tag = 1; tag <= tag_; ++tag) EXPECT_EQ(outcomes_[tag], 1) << tag;
        EXPECT_EQ(core().stats().connections, 0u);
        core_.reset();
        servers_.clear();
        raw_servers_.clear();
        outcomes_.clear();
        leases_.clear();
        calls_.clear();
        subscriptions_.clear();
        seen_.clear();
        tag_ = 0;
    }
}

}  // namespace
}  // namespace wspool::client
