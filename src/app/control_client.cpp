#include "app/control_client.h"

#include "app/units.h"
#include "base/bytes.h"
#include "base/header_field.h"
#include "base/token.h"
#include "http/head.h"
#include "io/loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>
#include <variant>

namespace wspool::app {
namespace {

constexpr std::size_t answer_size_max = 64 * 1024 * 1024;
constexpr std::string_view what_else = "is it the control API of a gateway (control.address)?";

std::string make_request(const io::Address& address,
                         std::string_view method,
                         std::string_view path,
                         std::string_view body,
                         std::string_view token) {
    const bool is_unix = address.family == io::Address::Family::unix_path;
    std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n",
                                   method,
                                   path,
                                   is_unix ? "localhost" : io::format_address(address));
    if (!token.empty()) text += fmt::format("Authorization: Bearer {}\r\n", token);
    if (!body.empty()) {
        text +=
            fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body.size());
    }
    text += "\r\n";
    text += body;
    return text;
}

class Request {
  public:
    Request(io::Loop& loop, const io::Address& address, std::string text)
        : loop_(loop), name_(io::format_address(address)), text_(std::move(text)) {}

    Result<HttpAnswer> run(const io::Address& address, Duration timeout) {
        auto stream = loop_.connect(address, 0);
        if (!stream) return tl::unexpected(stream.error());
        stream_ = *stream;
        const Instant deadline = loop_.now() + timeout;
        while (true) {
            send_some();
            // What one send does not take is no reason to wait.
            const bool has_more = can_send_ && sent_ + in_flight_ < text_.size();
            loop_.wait(has_more ? Instant::min() : deadline);
            settle_send();
            io::Event event{};
            while (loop_.next_event(event)) {
                if (auto answer = handle(event)) return *std::move(answer);
            }
            if (loop_.now() >= deadline) {
                return fail(fmt::format("{} gave no whole answer within {}; {}",
                                        name_,
                                        format_duration(timeout),
                                        what_else));
            }
        }
    }

  private:
    using Outcome = std::optional<Result<HttpAnswer>>;

    void send_some() {
        if (!can_send_ || sent_ == text_.size()) return;
        in_flight_ = std::min(text_.size() - sent_, io::send_size_max);
        const ByteView piece = as_bytes(std::string_view(text_).substr(sent_, in_flight_));
        loop_.send(stream_, {&piece, 1});
    }

    // An error of a send is left to the event that tells the same.
    void settle_send() {
        for (const io::ShortSend& short_send : loop_.short_sends()) {
            in_flight_ = short_send.sent;
            can_send_ = false;
        }
        sent_ += std::exchange(in_flight_, 0);
    }

    Outcome handle(const io::Event& event) {
        switch (event.kind) {
            case io::EventKind::connected:
            case io::EventKind::writable:
                can_send_ = true;
                return std::nullopt;
            case io::EventKind::received:
                received_ += as_text(event.bytes);
                return read(false);
            case io::EventKind::ended:
                return read(true);
            case io::EventKind::failed:
                return fail(fmt::format("{}: {}; is the gateway running, and is this its "
                                        "control.address?",
                                        name_,
                                        std::strerror(event.error)),
                            event.error);
            case io::EventKind::accepted:
            case io::EventKind::accept_refused:
            case io::EventKind::accept_paused:
            case io::EventKind::readable:
                return std::nullopt;
        }
        return std::nullopt;
    }

    Outcome read(bool is_ended) {
        const auto parsed = http::parse_response_head(as_bytes(received_), {});
        if (const auto* refused = std::get_if<http::Refused>(&parsed)) {
            return fail(fmt::format(
                "{} does not answer as HTTP: {} {}", name_, refused->message, what_else));
        }
        const auto* head = std::get_if<http::ResponseHead>(&parsed);
        if (head == nullptr) return is_ended ? cut_short() : std::nullopt;
        HttpAnswer answer;
        answer.status = head->status;
        std::size_t size = 0;
        for (const HeaderField& field : head->fields) {
            if (equals_ignoring_case(field.name, "Content-Type")) answer.content_type = field.value;
            if (!equals_ignoring_case(field.name, "Content-Length")) continue;
            const char* end = field.value.data() + field.value.size();
            const auto [at, error] = std::from_chars(field.value.data(), end, size);
            if (error != std::errc() || at != end || size > answer_size_max) {
                return fail(
                    fmt::format("{} announces an answer of {} bytes, which is no number "
                                "up to 64 MiB; {}",
                                name_,
                                field.value,
                                what_else));
            }
        }
        if (received_.size() - head->size < size) return is_ended ? cut_short() : std::nullopt;
        answer.body = received_.substr(head->size, size);
        return answer;
    }

    Outcome cut_short() const {
        return fail(fmt::format("{} ended in the middle of its answer; {}", name_, what_else));
    }

    io::Loop& loop_;
    const std::string name_;
    const std::string text_;
    io::StreamId stream_;
    std::size_t sent_ = 0;
    std::size_t in_flight_ = 0;
    bool can_send_ = false;
    std::string received_;
};

}  // namespace

Result<HttpAnswer> control_request(const io::Address& address,
                                   std::string_view method,
                                   std::string_view path,
                                   std::string_view body,
                                   std::string_view token,
                                   Duration timeout) {
    for (const std::string_view part : {method, path, token}) {
        if (!is_visible_ascii(part)) {
            return fail(
                fmt::format("\"{}\" cannot be sent: it holds blanks, or what is not ASCII", part));
        }
    }
    const auto chosen = io::make_loop({.choice = io::LoopChoice::epoll});
    if (!chosen) return tl::unexpected(chosen.error());
    Request request(*chosen->loop, address, make_request(address, method, path, body, token));
    return request.run(address, timeout);
}

}  // namespace wspool::app
