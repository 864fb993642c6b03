// wspool connect: lines in, messages out.
#include "app/input.h"
#include "app/log.h"
#include "app/target.h"
#include "app/verbs.h"
#include "io/entropy.h"
#include "io/signals.h"
#include "session/engine.h"
#include "ws/utf8.h"

#include <fmt/format.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace wspool::app {
namespace {

constexpr std::uint64_t input_tag = 1;
constexpr std::uint64_t signal_tag = 2;
// What a person may be sent; the limit is there because a server may be hostile.
// Of what the server says in an error or as its reason.
constexpr std::size_t shown_size_max = 1024;
constexpr std::uint64_t message_size_max = 64 * 1024 * 1024;
// Lines are taken while less than this waits to be sent.
constexpr std::size_t outbox_size_wanted = 256 * 1024;
constexpr Duration outbox_poll = std::chrono::milliseconds(5);

session::EngineOptions engine_options() {
    session::EngineOptions options;
    options.limits.message_size_max = message_size_max;
    options.outbox_size_max = LineInput::line_size_max * 2;
    // A server may ping as often as it likes: it was asked for its company.
    options.control_frames_per_second = 0;
    // Large messages over slow links are no attack on a person.
    options.frame_timeout = std::chrono::minutes(10);
    options.message_timeout = std::chrono::minutes(10);
    return options;
}

class Conversation {
  public:
    Conversation(const ConnectArgs& args, const Target& target, std::unique_ptr<io::Loop> loop)
        : args_(args),
          target_(target),
          loop_(std::move(loop)),
          engine_(*loop_, engine_options(), entropy_, counters_),
          input_(STDIN_FILENO),
          is_terminal_(::isatty(STDIN_FILENO) == 1),
          prints_to_terminal_(::isatty(STDOUT_FILENO) == 1) {}

    int run(io::Signals& signals) {
        signals_ = &signals;
        if (auto watched = engine_.watch(signals.fd(), signal_tag); !watched) {
            return fail_with(watched.error().message);
        }
        if (!try_next_address()) return exit_failed;
        while (!is_done_) {
            engine_.wait(next_deadline());
            session::Event event;
            while (!is_done_ && engine_.next(event)) on_event(event);
            if (is_open_ && !is_closing_) pump();
            // Not before: the close frame, or the answer to the server's, has still to be sent.
            if (is_closed_ && engine_.session_count() == 0) is_done_ = true;
        }
        return status_;
    }

  private:
    [[nodiscard]] Instant next_deadline() const {
        if (!is_open_ || is_closing_) return never;
        if (has_backlog_) return engine_.now() + outbox_poll;
        return close_at_;
    }

    int fail_with(const std::string& message) {
        std::fprintf(
            stderr, "wspool connect: %s\n", escape_for_terminal(message, shown_size_max).c_str());
        is_done_ = true;
        return status_ = exit_failed;
    }

    bool try_next_address() {
        ws::ClientHandshake handshake;
        handshake.host = target_.url.authority();
        handshake.target = target_.url.target;
        handshake.key = ws::make_key(entropy_);
        handshake.subprotocols = args_.subprotocols;
        handshake.headers = args_.headers;
        handshake.offer_deflate = args_.compression;
        const auto session = engine_.connect(target_.addresses[next_address_++], handshake, 0);
        if (!session) {
            fail_with(session.error().message);
            return false;
        }
        session_ = *session;
        return true;
    }

    void on_event(const session::Event& event) {
        switch (event.kind) {
            case session::EventKind::opened:
                return on_opened(event);
            case session::EventKind::message:
                return print(event);
            case session::EventKind::closed:
                return on_closed(event);
            case session::EventKind::failed:
                if (next_address_ < target_.addresses.size()) {
                    try_next_address();
                } else {
                    fail_with(std::string(event.text));
                }
                return;
            case session::EventKind::readable:
                if (event.tag == input_tag) input_.acknowledge();
                if (event.tag == signal_tag) on_signal();
                return;
            case session::EventKind::abandoned:
            case session::EventKind::opening:
            case session::EventKind::plain:
            case session::EventKind::pong:
            case session::EventKind::released:
            case session::EventKind::stream:
                return;
        }
    }

    void on_opened(const session::Event& event) {
        is_open_ = true;
        if (is_terminal_) {
            const std::string chosen =
                event.text.empty() ? "" : fmt::format(", subprotocol {}", event.text);
            std::fprintf(stderr,
                         "connected to %s%s; each line is one message, Ctrl-D ends\n> ",
                         args_.url.c_str(),
                         escape_for_terminal(chosen, shown_size_max).c_str());
        }
        // Not before: a line that is read before the connection is open could be lost with it.
        auto started = input_.start();
        if (started) started = engine_.watch(input_.event_fd(), input_tag);
        if (!started) fail_with(started.error().message);
    }

    // Moves lines from the input to the outbox, as long as it has room.
    void pump() {
        bool has_sent = false;
        while (engine_.outbox_size(session_) < outbox_size_wanted) {
            const auto line = input_.take();
            if (!line) break;
            const auto opcode = args_.binary ? ws::Opcode::binary : ws::Opcode::text;
            if (opcode == ws::Opcode::text && !ws::is_valid_utf8(as_bytes(*line))) {
                fail_with(
                    "a line of the input is not UTF-8, and text messages must be; use --binary");
                return;
            }
            if (engine_.send(session_, opcode, as_bytes(*line)) != session::SendOutcome::queued)
                return;
            has_sent = true;
        }
        if (has_sent && is_terminal_) std::fputs("> ", stderr);
        has_backlog_ = input_.next_size().has_value();
        if (!input_.is_at_end()) return;
        if (const auto error = input_.error(); !error.empty()) {
            fail_with(error);
        } else if (engine_.outbox_size(session_) > 0) {
            has_backlog_ = true;  // the waiting begins when all is sent
        } else if (close_at_ == never) {
            has_backlog_ = false;
            close_at_ = engine_.now() + args_.wait;
        } else if (engine_.now() >= close_at_) {
            begin_close();
        }
    }

    void begin_close() {
        is_closing_ = true;
        engine_.close(session_, ws::CloseCode::normal, "", metrics::CloseReason::by_peer);
    }

    void on_signal() {
        while (signals_->next()) {
            if (!is_open_ || is_closing_) {
                is_done_ = true;
                status_ = exit_failed;
            } else {
                begin_close();
            }
        }
    }

    void print(const session::Event& event) {
        const ByteView payload = event.payload;
        if (is_terminal_ && prints_to_terminal_) std::fputs("\r", stderr);
        if (event.opcode == ws::Opcode::binary && prints_to_terminal_) {
            print_summary(payload);
        } else if (prints_to_terminal_) {
            // A server must not steer the terminal.
            std::fputs(escape_for_terminal(as_text(payload)).c_str(), stdout);
        } else {
            std::fwrite(payload.data(), 1, payload.size(), stdout);
        }
        std::fputc('\n', stdout);
        // Each message is for someone who may be waiting for it.
        if (std::fflush(stdout) != 0) {
            fail_with("the output was closed");
            return;
        }
        if (is_terminal_ && prints_to_terminal_) std::fputs("> ", stderr);
    }

    static void print_summary(ByteView payload) {
        constexpr std::size_t shown_max = 32;
        std::string text = fmt::format("<binary, {} bytes:", payload.size());
        for (const std::byte byte : payload.first(std::min(payload.size(), shown_max))) {
            text += fmt::format(" {:02x}", static_cast<unsigned>(byte));
        }
        text += payload.size() > shown_max ? " ...>" : ">";
        std::fputs(text.c_str(), stdout);
    }

    void on_closed(const session::Event& event) {
        is_closed_ = true;
        is_closing_ = true;
        const bool is_normal =
            event.code == ws::CloseCode::normal || event.code == ws::CloseCode::no_status;
        status_ = is_normal ? exit_ok : exit_failed;
        std::string text = fmt::format("closed: {}", static_cast<unsigned>(event.code));
        if (!event.text.empty()) text += fmt::format(" {}", event.text);
        // What the peer wanted shows in its code; else it was us, and why is worth a word.
        if (!is_normal && event.reason != metrics::CloseReason::by_peer)
            text += fmt::format(" ({})", metrics::name(event.reason));
        std::fprintf(stderr,
                     "%s%s\n",
                     is_terminal_ ? "\n" : "",
                     escape_for_terminal(text, shown_size_max).c_str());
    }

    const ConnectArgs& args_;
    const Target& target_;
    io::SystemEntropy entropy_;
    metrics::Counters counters_;
    std::unique_ptr<io::Loop> loop_;
    session::Engine engine_;
    LineInput input_;
    io::Signals* signals_ = nullptr;
    session::SessionId session_;
    std::size_t next_address_ = 0;
    Instant close_at_ = never;  // set when the input has ended and all was sent
    bool is_terminal_;
    bool prints_to_terminal_;
    bool is_open_ = false;
    bool is_closing_ = false;
    bool is_closed_ = false;
    bool has_backlog_ = false;
    bool is_done_ = false;
    int status_ = exit_failed;
};

int refuse(const std::string& message, int status) {
    std::fprintf(stderr, "wspool connect: %s\n", message.c_str());
    return status;
}

}  // namespace

int run_connect(const ConnectArgs& args) {
    const auto url = parse_target(args.url);
    if (!url) return refuse(url.error().message, exit_unusable);
    // Judges headers and subprotocols before anything is asked of the network.
    io::SystemEntropy entropy;
    ws::ClientHandshake handshake;
    handshake.host = url->authority();
    handshake.target = url->target;
    handshake.key = ws::make_key(entropy);
    handshake.subprotocols = args.subprotocols;
    handshake.headers = args.headers;
    if (const auto request = ws::make_upgrade_request(handshake); !request) {
        return refuse(request.error().message, exit_unusable);
    }
    const auto target = resolve_target(*url);
    if (!target) return refuse(target.error().message, exit_failed);
    auto signals = io::Signals::block({SIGINT, SIGTERM});
    if (!signals) return refuse(signals.error().message, exit_failed);
    io::LoopOptions options;
    options.batch_wait = Duration::zero();
    auto chosen = io::make_loop(options);
    if (!chosen) return refuse(chosen.error().message, exit_failed);
    Conversation conversation(args, *target, std::move(chosen->loop));
    return conversation.run(*signals);
}

}  // namespace wspool::app
