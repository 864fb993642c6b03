// wspool send: messages through the client pool, replies to the output.
#include "app/log.h"
#include "app/verbs.h"

#include <fmt/format.h>
#include <unistd.h>
#include <wspool/callback_pool.h>

#include <cstdio>

namespace wspool::app {
namespace {

// Of what a server says as its reason.
constexpr std::size_t shown_size_max = 1024;

api::Options pool_options(const SendArgs& args) {
    api::Options options;
    // One connection, so that messages and replies keep their order.
    options.max_connections_per_host = 1;
    // Whoever types a command would rather hear of a failure than wait.
    options.reconnect.max_attempts = 0;
    options.headers = args.headers;
    options.subprotocols = args.subprotocols;
    options.compression = args.compression;
    options.tls = {args.ca_file, args.certificate_file, args.key_file, args.insecure};
    options.measure_durations = false;
    return options;
}

class Sending {
  public:
    explicit Sending(const SendArgs& args)
        : args_(args), pool_(pool_options(args)), is_terminal_(::isatty(STDOUT_FILENO) == 1) {
        pool_.on_message([this](std::string_view, std::string_view message, bool) {
            if (!print(message)) fail_with("the output was closed", exit_failed);
        });
        pool_.on_close([this](std::string_view, std::uint16_t code, std::string_view reason) {
            on_close(code, reason);
        });
    }

    int run() {
        unsent_ = args_.messages.size();
        for (const std::string& message : args_.messages) {
            pool_.send(args_.url, message, {.binary = args_.binary}, [this](auto sent) {
                if (!sent) return on_error(sent.error());
                if (--unsent_ == 0) pool_.stop();  // what comes from now on has --wait to come
            });
        }
        if (const auto ran = pool_.run(); !ran && status_ == exit_ok) on_error(ran.error());
        if (status_ != exit_ok || is_closed_) return status_;
        (void)pool_.run_for(args_.wait);
        is_leaving_ = true;
        pool_.close_all();
        (void)pool_.run();
        return status_;
    }

  private:
    void fail_with(std::string_view message, int status) {
        pool_.stop();
        if (status_ != exit_ok) return;  // the first error says it
        status_ = status;
        const std::string text = escape_for_terminal(message, shown_size_max);
        std::fprintf(stderr, "wspool send: %s\n", text.c_str());
    }

    void on_error(const api::Error& error) {
        const bool is_unusable = error.value() == api::errc::bad_url ||
                                 error.value() == api::errc::bad_option ||
                                 error.value() == api::errc::bad_message;
        fail_with(error.message(), is_unusable ? exit_unusable : exit_failed);
    }

    void on_close(std::uint16_t code, std::string_view reason) {
        if (is_leaving_) return;
        // Nothing more can come.
        constexpr std::uint16_t normal = 1000;
        constexpr std::uint16_t no_status = 1005;
        is_closed_ = true;
        pool_.stop();
        const std::string text = escape_for_terminal(reason, shown_size_max);
        std::fprintf(stderr, "closed: %u%s%s\n", code, text.empty() ? "" : " ", text.c_str());
        if (code != normal && code != no_status) status_ = exit_failed;
    }

    [[nodiscard]] bool print(std::string_view message) const {
        // A server must not steer the terminal.
        const std::string text = is_terminal_ ? escape_for_terminal(message) : std::string(message);
        std::fwrite(text.data(), 1, text.size(), stdout);
        std::fputc('\n', stdout);
        // Each message is for someone who may be waiting for it.
        return std::fflush(stdout) == 0;
    }

    const SendArgs& args_;
    api::CallbackPool pool_;
    std::size_t unsent_ = 0;
    bool is_terminal_;
    bool is_closed_ = false;
    bool is_leaving_ = false;
    int status_ = exit_ok;
};

}  // namespace

int run_send(const SendArgs& args) {
    return Sending(args).run();
}

}  // namespace wspool::app
