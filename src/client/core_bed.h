// CoreBed: a Core over loopback, with servers of every kind, all on one thread: each turn runs the
// core and each server once, and all invariants are checked. Tests wait for events, never for time.
// Tests only.
#pragma once

#include "client/core.h"
#include "io/entropy.h"
#include "io/loop.h"
#include "io/tls_loop.h"
#include "session/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wspool::client {

using namespace std::chrono_literals;

inline std::unique_ptr<io::Loop> make_test_loop() {
    return std::make_unique<io::TlsLoop>(
        std::move(io::make_loop({io::LoopChoice::epoll, Duration::zero()}).value().loop));
}

// A real WebSocket server that records what it is told.
class TestServer {
  public:
    enum class Manner { echo, mute, close_at_once, refuse };

    explicit TestServer(Manner its_manner = Manner::echo) : manner(its_manner) { start(0); }

    void start(std::uint16_t port, const io::TlsServer* tls = nullptr) {
        loop_ = make_test_loop();
        session::EngineOptions options;
        options.close_timeout = 200ms;
        engine_ = std::make_unique<session::Engine>(*loop_, options, entropy_, counters_);
        auto address = engine_->listen({io::Address::Family::ipv4, "127.0.0.1", port}, tls);
        ASSERT_TRUE(address) << address.error().message;
        address_ = *address;
    }
    // Everybody is cut off, and nobody listens any more.
    void stop() {
        engine_.reset();
        loop_.reset();
        open.clear();
    }
    void restart() { start(address_.port); }
    [[nodiscard]] bool is_running() const { return engine_ != nullptr; }

    [[nodiscard]] std::uint16_t port() const { return address_.port; }
    [[nodiscard]] std::string url(const std::string& target = "/") const {
        return "ws://127.0.0.1:" + std::to_string(port()) + target;
    }
    session::Engine& engine() { return *engine_; }

    void pump() {
        if (engine_ == nullptr) return;
        engine_->wait(Instant::min());
        session::Event event;
        while (engine_->next(event)) on_event(event);
    }

    void close_all(ws::CloseCode code) {
        for (const auto session : open)
            engine_->close(session, code, "as the test wishes", metrics::CloseReason::drained);
    }
    void cut_all() {
        for (const auto session : open) engine_->abort(session);
    }

    Manner manner;
    std::uint32_t accepted = 0;  // upgrades
    std::size_t peak = 0;
    std::vector<session::SessionId> open;
    std::vector<std::string> received;                       // in order, over all connections
    std::map<std::uint32_t, std::vector<std::string>> told;  // by the number of the connection
    std::vector<std::string> targets;
    std::vector<std::string> subprotocols_offered;
    std::string subprotocol;
    std::vector<Instant> accepted_at;

  private:
    void on_event(const session::Event& event) {
        switch (event.kind) {
            case session::EventKind::opening:
                if (manner == Manner::refuse) {
                    engine_->refuse(
                        event.session, 503, "go away\n", metrics::RejectReason::capacity);
                    return;
                }
                targets.emplace_back(event.request->target);
                for (const auto offered : event.upgrade->subprotocols)
                    subprotocols_offered.emplace_back(offered);
                ++accepted;
                accepted_at.push_back(engine_->now());
                open.push_back(event.session);
                peak = std::max(peak, open.size());
                engine_->accept(event.session, subprotocol, accepted);
                if (manner == Manner::close_at_once)
                    engine_->close(event.session,
                                   ws::CloseCode::normal,
                                   "not today",
                                   metrics::CloseReason::drained);
                return;
            case session::EventKind::message:
                received.emplace_back(as_text(event.payload));
                told[static_cast<std::uint32_t>(event.tag)].push_back(received.back());
                if (manner == Manner::echo)
                    (void)engine_->send(event.session, event.opcode, event.payload);
                return;
            case session::EventKind::closed:
                std::erase(open, event.session);
                return;
            case session::EventKind::plain:
                engine_->refuse(event.session, 426, {}, metrics::RejectReason::upgrade);
                return;
            case session::EventKind::opened:
            case session::EventKind::failed:
            case session::EventKind::pong:
            case session::EventKind::abandoned:
            case session::EventKind::released:
            case session::EventKind::readable:
            case session::EventKind::stream:
                return;
        }
    }

    io::SystemEntropy entropy_;
    metrics::Counters counters_;
    std::unique_ptr<io::Loop> loop_;
    std::unique_ptr<session::Engine> engine_;
    io::Address address_;
};

// Listens, and speaks no HTTP: says `greeting`, and nothing more.
class RawServer {
  public:
    explicit RawServer(std::string greeting = {}) : greeting_(std::move(greeting)) {
        const auto listener =
            loop_->listen({io::Address::Family::ipv4, "127.0.0.1", 0}, io::ListenOptions{}, 1);
        EXPECT_TRUE(listener);
        port_ = loop_->local_address(*listener)->port;
    }
    [[nodiscard]] std::string url() const {
        return "ws://127.0.0.1:" + std::to_string(port_) + "/";
    }
    void pump() {
        loop_->wait(Instant::min());
        io::Event event{};
        while (loop_->next_event(event)) {
            if (event.kind == io::EventKind::accepted) ++accepted;
            if (event.kind == io::EventKind::accepted && !greeting_.empty()) {
                const ByteView bytes = as_bytes(greeting_);
                loop_->send(event.stream, std::span(&bytes, 1));
            }
            if (event.kind == io::EventKind::ended || event.kind == io::EventKind::failed)
                loop_->close(event.stream);
        }
    }
    std::uint32_t accepted = 0;

  private:
    std::string greeting_;
    std::unique_ptr<io::Loop> loop_ = make_test_loop();
    std::uint16_t port_ = 0;
};

// Answers what the test has written down, when it says so.
class FakeResolver final : public NameResolver {
  public:
    [[nodiscard]] int fd() const override { return -1; }
    [[nodiscard]] Result<io::ResolveId> start(const std::string& host,
                                              std::uint16_t port,
                                              std::uint64_t tag) override {
        ++started;
        asked_.push_back({io::ResolveId{++last_}, tag, host, port});
        return io::ResolveId{last_};
    }
    void cancel(io::ResolveId id) override {
        std::erase_if(asked_, [&](const Asked& asked) { return asked.id == id; });
    }
    [[nodiscard]] bool next(io::Resolution& resolution) override {
        if (is_stuck || asked_.empty()) return false;
        const Asked asked = asked_.front();
        asked_.erase(asked_.begin());
        resolution.id = asked.id;
        resolution.tag = asked.tag;
        const auto known = names.find(asked.host);
        if (known == names.end()) {
            resolution.addresses = fail("the name " + asked.host + " is not known");
            return true;
        }
        std::vector<io::Address> addresses = known->second;
        for (io::Address& address : addresses) {
            if (address.port == 0) address.port = asked.port;
        }
        resolution.addresses = std::move(addresses);
        return true;
    }

    std::map<std::string, std::vector<io::Address>> names;
    bool is_stuck = false;
    std::uint32_t started = 0;

  private:
    struct Asked {
        io::ResolveId id;
        std::uint64_t tag;
        std::string host;
        std::uint16_t port;
    };
    std::vector<Asked> asked_;
    std::uint64_t last_ = 0;
};

// An event that outlives its views.
struct SeenEvent {
    CoreEventKind kind{};
    std::uint64_t tag = 0;
    ErrorCode error{};
    LeaseId lease;
    std::string url, text, payload;
    bool is_binary = false;
    pool::SlotEnd end{};
    ws::CloseCode code{};
    std::uint32_t attempts = 0;
};

class CoreBed : public testing::Test {
  protected:
    // Times short enough that tests which need them to pass are quick.
    static CoreOptions quick_options() {
        CoreOptions options;
        options.host.connect_timeout = 2s;
        options.host.close_timeout = 300ms;
        options.host.reconnect.initial_delay = 20ms;
        options.host.reconnect.max_delay = 50ms;
        options.host.reconnect.min_delay = 5ms;
        options.host.breaker.probe_interval = 40ms;
        return options;
    }

    void start(const CoreOptions& options = quick_options()) {
        if (const auto checked = check(options); !checked) FAIL() << checked.error().message;
        loop_ = make_test_loop();
        core_.emplace(*loop_, resolver_, options, entropy_);
    }
    Core& core() { return *core_; }
    TargetId target(const std::string& url) {
        const auto made = core_->target(url);
        EXPECT_TRUE(made) << made.error().message;
        return made.value_or(TargetId{});
    }

    TestServer& serve(TestServer::Manner manner = TestServer::Manner::echo) {
        return *servers_.emplace_back(std::make_unique<TestServer>(manner));
    }
    RawServer& serve_raw(std::string greeting = {}) {
        return *raw_servers_.emplace_back(std::make_unique<RawServer>(std::move(greeting)));
    }

    void turn() {
        core_->wait(loop_->now() + 1ms);
        core_->check_invariants();
        CoreEvent event;
        while (core_->next(event)) {
            see(event);
            if (hook_) hook_(event);
        }
        core_->check_invariants();
        for (auto& server : servers_) server->pump();
        for (auto& server : raw_servers_) server->pump();
    }
    void see(const CoreEvent& event) {
        SeenEvent seen{event.kind,
                       event.tag,
                       event.error,
                       event.lease,
                       std::string(event.url),
                       std::string(event.text),
                       std::string(as_text(event.payload)),
                       event.is_binary,
                       event.end,
                       event.code,
                       event.attempts};
        if (event.kind != CoreEventKind::sent) return seen_.push_back(seen);
        for (const std::uint64_t tag : event.tags) {
            seen.tag = tag;
            seen_.push_back(seen);
        }
    }
    // False when that takes longer than ten seconds.
    bool run_until(const std::function<bool()>& done) {
        const Instant limit = loop_->now() + 10s;
        while (!done()) {
            if (loop_->now() > limit) return false;
            turn();
        }
        return true;
    }
    bool run_until_seen(CoreEventKind kind, std::size_t times = 1) {
        return run_until([&] { return count(kind) >= times; });
    }
    void run_for(Duration duration) {
        const Instant limit = loop_->now() + duration;
        (void)run_until([&] { return loop_->now() >= limit; });
    }

    [[nodiscard]] std::size_t count(CoreEventKind kind) const {
        return static_cast<std::size_t>(std::count_if(
            seen_.begin(), seen_.end(), [&](const auto& seen) { return seen.kind == kind; }));
    }
    [[nodiscard]] const SeenEvent* first(CoreEventKind kind, std::uint64_t tag) const {
        for (const auto& seen : seen_) {
            if (seen.kind == kind && seen.tag == tag) return &seen;
        }
        return nullptr;
    }
    [[nodiscard]] SeenEvent last(CoreEventKind kind) const {
        for (auto at = seen_.rbegin(); at != seen_.rend(); ++at) {
            if (at->kind == kind) return *at;
        }
        return {};
    }
    [[nodiscard]] std::vector<std::string> messages() const {
        std::vector<std::string> payloads;
        for (const auto& seen : seen_) {
            if (seen.kind == CoreEventKind::message) payloads.push_back(seen.payload);
        }
        return payloads;
    }

    // Acquires, and waits for the lease. Its failure is the test's.
    LeaseId lease(const std::string& url, std::uint64_t tag = 1000) {
        const Outcome outcome = core_->acquire(target(url), {.tag = tag});
        if (outcome.kind == Outcome::Kind::done) return outcome.lease;
        EXPECT_EQ(outcome.kind, Outcome::Kind::pending) << outcome.text;
        const std::size_t before = seen_.size();
        LeaseId granted;
        EXPECT_TRUE(run_until([&] {
            for (std::size_t i = before; i < seen_.size(); ++i) {
                if (seen_[i].tag != tag) continue;
                if (seen_[i].kind != CoreEventKind::granted) ADD_FAILURE() << seen_[i].text;
                granted = seen_[i].lease;
                return true;
            }
            return false;
        }));
        return granted;
    }
    Outcome send_once(const std::string& url, std::string_view text, std::uint64_t tag) {
        return core_->send_once(
            target(url), ws::Opcode::text, as_bytes(text), {.deadline = never, .tag = tag});
    }
    [[nodiscard]] HostStats host() const {
        const auto stats = core_->stats();
        EXPECT_EQ(stats.hosts.size(), 1u);
        return stats.hosts.empty() ? HostStats{} : stats.hosts.front();
    }
    // A port that nobody listens on.
    static std::string refusing_url() {
        auto loop = make_test_loop();
        const auto listener =
            loop->listen({io::Address::Family::ipv4, "127.0.0.1", 0}, io::ListenOptions{}, 1);
        return "ws://127.0.0.1:" + std::to_string(loop->local_address(*listener)->port) + "/";
    }

    io::SystemEntropy entropy_;
    FakeResolver resolver_;
    std::unique_ptr<io::Loop> loop_;
    std::optional<Core> core_;
    std::vector<std::unique_ptr<TestServer>> servers_;
    std::vector<std::unique_ptr<RawServer>> raw_servers_;
    std::vector<SeenEvent> seen_;
    std::function<void(const CoreEvent&)> hook_;
};

}  // namespace wspool::client
