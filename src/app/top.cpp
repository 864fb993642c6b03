// wspool top: a live table of a running gateway, from its control API.
#include "app/control_client.h"
#include "app/log.h"
#include "app/top_table.h"
#include "app/verbs.h"
#include "io/clock.h"
#include "io/loop.h"
#include "io/signals.h"
#include "io/terminal.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace wspool::app {
namespace {

// For one answer; a gateway answers within a millisecond, or is in trouble.
constexpr Duration patience = std::chrono::seconds(5);

Result<std::string> ask(const TopArgs& args, std::string_view path) {
    auto answer = control_request(args.control, "GET", path, "", args.token, patience);
    if (!answer) return tl::unexpected(answer.error());
    if (answer->status != 200) {
        return fail(fmt::format("{} answers {} to {}: {}",
                                io::format_address(args.control),
                                answer->status,
                                path,
                                escape_for_terminal(answer->body, 200)));
    }
    return std::move(answer->body);
}

Result<TopSample> take_sample(const TopArgs& args) {
    const auto stats = ask(args, "/api/stats");
    if (!stats) return tl::unexpected(stats.error());
    const auto workers = ask(args, "/api/workers");
    if (!workers) return tl::unexpected(workers.error());
    // Not every gateway tells of its groups.
    const auto groups = ask(args, "/api/groups");
    return read_top({*stats, *workers, groups ? std::string_view(*groups) : ""}, io::read_clock());
}

int fail_top(const Error& error) {
    std::fprintf(stderr, "wspool top: %s\n", error.message.c_str());
    return exit_failed;
}

int show_once(const TopArgs& args) {
    const auto sample = take_sample(args);
    if (!sample) return fail_top(sample.error());
    for (const std::string& line : render_top(*sample, nullptr, SIZE_MAX, SIZE_MAX)) {
        std::printf("%s\n", line.c_str());
    }
    return std::fflush(stdout) == 0 ? exit_ok : exit_failed;
}

// The terminal's other screen, without a cursor, for as long as this lives: what was on the screen
// is there again afterwards, however the table ended.
class Screen {
  public:
    Screen() { write("\x1b[?1049h\x1b[?25l"); }
    Screen(const Screen&) = delete;
    Screen& operator=(const Screen&) = delete;
    ~Screen() { write("\x1b[?25h\x1b[?1049l"); }

    // Each line over the one that was there, so that nothing flickers.
    static void draw(const std::vector<std::string>& lines) {
        std::string out = "\x1b[H";
        for (std::size_t i = 0; i < lines.size(); ++i) {
            if (i != 0) out += "\r\n";
            out += lines[i];
            out += "\x1b[K";
        }
        out += "\x1b[J";
        write(out);
    }

  private:
    static void write(const std::string& text) {
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fflush(stdout);
    }
};

class LiveTable {
  public:
    LiveTable(const TopArgs& args, io::Loop& loop, io::Signals& signals)
        : args_(args), loop_(loop), signals_(signals) {}

    void run() {
        const Screen screen;
        while (!is_over_) {
            take();
            const Instant next = io::read_clock() + args_.interval;
            do {
                draw();
                loop_.wait(next);
                handle_signals();
            } while (!is_over_ && io::read_clock() < next);
        }
    }

  private:
    // What was seen last stays while the gateway cannot be asked: it may be restarting.
    void take() {
        auto sample = take_sample(args_);
        trouble_ = sample ? std::string() : sample.error().message;
        if (!sample) return;
        before_ = std::move(now_);
        now_ = std::move(*sample);
    }

    void draw() const {
        const auto size = io::terminal_size(STDOUT_FILENO).value_or(io::TerminalSize{80, 24});
        std::vector<std::string> lines = {
            fmt::format("wspool {}  every {}",
                        io::format_address(args_.control),
                        std::chrono::duration<double>(args_.interval).count()) +
            " s; ^C ends"};
        if (!trouble_.empty()) lines.push_back(trouble_);
        for (std::string& line : lines) line.resize(std::min(line.size(), size.columns));
        if (now_) {
            const TopSample* before = before_ ? &*before_ : nullptr;
            const std::size_t rows = size.rows - std::min(size.rows, lines.size());
            for (std::string& line : render_top(*now_, before, size.columns, rows)) {
                lines.push_back(std::move(line));
            }
        }
        Screen::draw(lines);
    }

    // A change of the window's size only draws anew.
    void handle_signals() {
        io::Event event{};
        while (loop_.next_event(event)) {
        }
        while (const auto signal = signals_.next()) {
            if (*signal != SIGWINCH) is_over_ = true;
        }
    }

    const TopArgs& args_;
    io::Loop& loop_;
    io::Signals& signals_;
    std::optional<TopSample> now_;
    std::optional<TopSample> before_;
    std::string trouble_;
    bool is_over_ = false;
};

}  // namespace

int run_top(const TopArgs& args) {
    if (args.once || !io::terminal_size(STDOUT_FILENO)) return show_once(args);
    auto signals = io::Signals::block({SIGINT, SIGTERM, SIGHUP, SIGWINCH});
    if (!signals) return fail_top(signals.error());
    auto chosen = io::make_loop({.choice = io::LoopChoice::epoll});
    if (!chosen) return fail_top(chosen.error());
    if (auto watched = chosen->loop->watch(signals->fd(), 0); !watched) {
        return fail_top(watched.error());
    }
    LiveTable(args, *chosen->loop, *signals).run();
    return exit_ok;
}

}  // namespace wspool::app
