// ThreadedServer: a WebSocket server on a thread of its own, for tests of the library's flavours:
// it echoes, or misbehaves as asked. Tests only.
//
// Threads: all functions from any thread. wait_until() waits for what the server has seen, with a
// limit that only a failing test reaches.
#pragma once

#include "io/doorbell.h"
#include "io/entropy.h"
#include "io/tls_loop.h"
#include "session/engine.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace wspool::client {

enum class ServerWay { echoes, is_silent, closes_at_once, refuses };

class ThreadedServer {
  public:
    explicit ThreadedServer(ServerWay way = ServerWay::echoes,
                            const std::string& address = "127.0.0.1:0",
                            const io::TlsServer* tls = nullptr)
        : way_(way), tls_(tls), bell_(*io::Doorbell::make()) {
        thread_ = std::thread([this, address] { run(address); });
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return has_started_; });
    }
    ~ThreadedServer() {
        post([this](session::Engine&) { is_stopping_ = true; });
        thread_.join();
    }
    ThreadedServer(const ThreadedServer&) = delete;
    ThreadedServer& operator=(const ThreadedServer&) = delete;

    [[nodiscard]] const std::string& address() const { return address_; }
    [[nodiscard]] std::string url(const std::string& target = "/") const {
        return (tls_ == nullptr ? "ws://" : "wss://") + address_ + target;
    }

    // Closes everybody with `code`.
    void close_all(ws::CloseCode code) {
        post([this, code](session::Engine& engine) {
            for (const session::SessionId session : sessions_) {
                engine.close(session, code, "as the test asked", metrics::CloseReason::shutdown);
            }
        });
    }
    void send_to_all(std::string text) {
        post([this, text = std::move(text)](session::Engine& engine) {
            for (const session::SessionId session : sessions_) {
                (void)engine.send(session, ws::Opcode::text, as_bytes(text));
            }
        });
    }

    // What was received, in order, by all sessions.
    [[nodiscard]] std::vector<std::string> received() {
        const std::lock_guard lock(mutex_);
        return received_;
    }
    [[nodiscard]] std::size_t open_count() {
        const std::lock_guard lock(mutex_);
        return open_;
    }
    [[nodiscard]] std::size_t accepted_count() {
        const std::lock_guard lock(mutex_);
        return accepted_;
    }
    // False: it did not become true in time.
    [[nodiscard]] bool wait_until(const std::function<bool(ThreadedServer&)>& is_so) {
        const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!is_so(*this)) {
            std::unique_lock lock(mutex_);
            if (changed_.wait_until(lock, std::min(limit, soon())) == std::cv_status::timeout &&
                std::chrono::steady_clock::now() >= limit) {
                return false;
            }
        }
        return true;
    }

  private:
    static std::chrono::steady_clock::time_point soon() {
        return std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
    }

    void post(std::function<void(session::Engine&)> command) {
        {
            const std::lock_guard lock(mutex_);
            commands_.push_back(std::move(command));
        }
        bell_.ring();
    }

    void run(const std::string& address) {
        io::SystemEntropy entropy;
        metrics::Counters counters;
        auto made = io::make_loop({io::LoopChoice::epoll, {}});
        io::TlsLoop loop(std::move(made->loop));
        session::EngineOptions options;
        options.control_frames_per_second = 0;
        options.limits.message_size_max = 64 * 1024 * 1024;
        options.outbox_size_max = 64 * 1024 * 1024;
        options.close_timeout = std::chrono::milliseconds(200);
        session::Engine engine(loop, options, entropy, counters);
        const auto listening = engine.listen(*io::parse_address(address), tls_);
        if (!listening || !engine.watch(bell_.fd(), 0)) std::abort();
        {
            const std::lock_guard lock(mutex_);
            address_ = io::format_address(*listening);
            has_started_ = true;
            changed_.notify_all();
        }
        while (!is_stopping_) {
            engine.wait(never);
            session::Event event;
            while (engine.next(event)) on_event(engine, event);
            bell_.silence();
            std::vector<std::function<void(session::Engine&)>> commands;
            {
                const std::lock_guard lock(mutex_);
                commands.swap(commands_);
            }
            for (const auto& command : commands) command(engine);
        }
    }

    void on_event(session::Engine& engine, const session::Event& event) {
        const std::lock_guard lock(mutex_);
        if (event.kind == session::EventKind::opening) {
            on_opening(engine, event);
        } else if (event.kind == session::EventKind::plain) {
            engine.refuse(event.session, 426, "", metrics::RejectReason::upgrade);
        } else if (event.kind == session::EventKind::message) {
            received_.emplace_back(as_text(event.payload));
            if (way_ == ServerWay::echoes) {
                (void)engine.send(event.session, event.opcode, event.payload);
            }
        } else if (event.kind == session::EventKind::closed) {
            --open_;
            std::erase(sessions_, event.session);
        }
        changed_.notify_all();
    }

    void on_opening(session::Engine& engine, const session::Event& event) {
        if (way_ == ServerWay::refuses) {
            engine.refuse(event.session, 503, "not today", metrics::RejectReason::upgrade);
            return;
        }
        engine.accept(event.session, "", 0);
        ++accepted_;
        ++open_;
        sessions_.push_back(event.session);
        if (way_ == ServerWay::closes_at_once) {
            engine.close(
                event.session, ws::CloseCode::going_away, "", metrics::CloseReason::shutdown);
        }
    }

    ServerWay way_;
    const io::TlsServer* tls_;
    io::Doorbell bell_;
    std::string address_;
    std::thread thread_;

    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::function<void(session::Engine&)>> commands_;
    std::vector<std::string> received_;
    std::size_t open_ = 0;
    std::size_t accepted_ = 0;
    bool has_started_ = false;

    // The thread's:
    std::vector<session::SessionId> sessions_;
    bool is_stopping_ = false;
};

// Accepts connections in the kernel's backlog, and says nothing to them.
class SilentListener {
  public:
    SilentListener() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in any{};
        any.sin_family = AF_INET;
        any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof any;
        auto* address = reinterpret_cast<sockaddr*>(&any);
        if (::bind(fd_, address, size) != 0 || ::listen(fd_, 64) != 0 ||
            ::getsockname(fd_, address, &size) != 0) {
            std::abort();
        }
        url_ = "ws://127.0.0.1:" + std::to_string(ntohs(any.sin_port)) + "/";
    }
    ~SilentListener() { ::close(fd_); }
    SilentListener(const SilentListener&) = delete;
    SilentListener& operator=(const SilentListener&) = delete;
    [[nodiscard]] const std::string& url() const { return url_; }

  private:
    int fd_;
    std::string url_;
};

// Where nobody listens.
[[nodiscard]] inline std::string dead_url() {
    SilentListener gone;
    return gone.url();
}

}  // namespace wspool::client
