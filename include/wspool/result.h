// Result<T>: a value, or an Error that says in one sentence what went wrong, where, and how to mend
// it. The library throws nothing; whatever can fail returns one of these.
//
//   auto lease = pool.acquire("wss://example.org/feed");
//   if (!lease) std::cerr << lease.error().message() << '\n';
//
// Error::code() is a std::error_code of the category "wspool": compare it with errc to tell errors
// apart, or with std::errc for what they are in general (timed_out, connection_refused, …).
//
// Threads: values; use one from one thread at a time. Limits: reading the value of an error, or the
// error of a value, ends the program with a sentence on standard error.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

namespace wspool {

// All that the library offers lives in wspool::api, and is found as wspool::NAME. Its own sources
// have other types of the same short names inside, and see only the long ones.
namespace api {}
#ifndef WSPOOL_INSIDE
using namespace api;
#endif

namespace api {

enum class errc {
    acquire_timeout = 1,   // no connection came free in time
    capacity,              // it would have to wait, and may not, or too many wait already
    cancelled,             // by whoever asked for it
    pool_closed,           // close_all() was called, or the pool is gone
    not_running,           // the pool could not be started: its error is that of every call
    connect_timeout,       // the connection did not open within Options::connect_timeout
    connect_failed,        // refused, not resolved, not upgraded, or its certificate not accepted
    circuit_open,          // the host keeps failing, and is not asked at the moment
    connection_lost,       // ended while it was needed
    preempted,             // a lease was taken back for a higher priority
    already_leased,        // this client id has a lease or waits for one
    message_queue_full,    // more waits to be sent than the bounds allow
    lease_released,        // the lease was given back already
    lease_leaked,          // held longer than Options::leak_detection_threshold
    bad_url,               // not a ws:// or wss:// URL
    bad_option,            // Options, AcquireOptions or SendOptions that cannot be meant
    bad_message,           // text that is not UTF-8, or larger than the bounds allow
    unknown_subscription,  // nothing is subscribed under this name
    would_deadlock,  // a call that waits, from a handler, which runs on the thread that it waits
                     // for
    handler_threw,   // a handler or callback let an exception out
};

[[nodiscard]] const std::error_category& wspool_category() noexcept;
[[nodiscard]] std::error_code make_error_code(errc code) noexcept;

class Error {
  public:
    Error(errc code, std::string message) : code_(code), message_(std::move(message)) {}
    Error(errc code,
          std::string message,
          std::string last_connect_error,
          std::chrono::nanoseconds waited)
        : code_(code),
          message_(std::move(message)),
          last_connect_error_(std::move(last_connect_error)),
          waited_(waited) {}

    [[nodiscard]] std::error_code code() const noexcept { return make_error_code(code_); }
    [[nodiscard]] errc value() const noexcept { return code_; }
    // One sentence for a person.
    [[nodiscard]] const std::string& message() const noexcept { return message_; }
    // Why the last connect to the host failed, where that is behind this error; else empty.
    [[nodiscard]] const std::string& last_connect_error() const noexcept {
        return last_connect_error_;
    }
    // How long the call had waited when it failed; zero where it did not wait.
    [[nodiscard]] std::chrono::nanoseconds waited() const noexcept { return waited_; }

  private:
    errc code_;
    std::string message_;
    std::string last_connect_error_;
    std::chrono::nanoseconds waited_{};
};

namespace detail {
// The value of an error was read (`error`), or the error of a value (null). Ends the program.
[[noreturn]] void wrong_side(const Error* error) noexcept;
}  // namespace detail

template <class T>
class Result {
  public:
    using value_type = T;

    Result(T value) : held_(std::in_place_index<0>, std::move(value)) {}
    Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool has_value() const noexcept { return held_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }

    [[nodiscard]] T& value() & {
        check_value();
        return *std::get_if<0>(&held_);
    }
    [[nodiscard]] const T& value() const& {
        check_value();
        return *std::get_if<0>(&held_);
    }
    [[nodiscard]] T&& value() && { return std::move(value()); }
    [[nodiscard]] T& operator*() & { return value(); }
    [[nodiscard]] const T& operator*() const& { return value(); }
    [[nodiscard]] T&& operator*() && { return std::move(value()); }
    T* operator->() { return &value(); }
    const T* operator->() const { return &value(); }
    template <class U>
    [[nodiscard]] T value_or(U&& other) && {
        return has_value() ? std::move(value()) : static_cast<T>(std::forward<U>(other));
    }

    [[nodiscard]] const Error& error() const& {
        if (has_value()) detail::wrong_side(nullptr);
        return *std::get_if<1>(&held_);
    }

  private:
    void check_value() const {
        if (!has_value()) detail::wrong_side(std::get_if<1>(&held_));
    }
    std::variant<T, Error> held_;
};

template <>
class Result<void> {
  public:
    using value_type = void;

    Result() = default;
    Result(Error error) : held_(std::in_place_index<1>, std::move(error)) {}

    [[nodiscard]] bool has_value() const noexcept { return held_.index() == 0; }
    explicit operator bool() const noexcept { return has_value(); }
    void value() const {
        if (!has_value()) detail::wrong_side(std::get_if<1>(&held_));
    }
    [[nodiscard]] const Error& error() const& {
        if (has_value()) detail::wrong_side(nullptr);
        return *std::get_if<1>(&held_);
    }

  private:
    std::variant<std::monostate, Error> held_;
};

}  // namespace api
}  // namespace wspool

template <>
struct std::is_error_code_enum<wspool::api::errc> : std::true_type {};
