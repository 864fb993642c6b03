// What include/wspool/result.h declares: the category of errors, and the end of who reads the wrong
// side of a Result.
#include "base/assert.h"

#include <wspool/result.h>

namespace wspool::api {
namespace {

const char* text_of(errc code) {
    switch (code) {
        case errc::acquire_timeout:
            return "no connection came free in time";
        case errc::capacity:
            return "too many calls wait already";
        case errc::cancelled:
            return "the call was cancelled";
        case errc::pool_closed:
            return "the pool was closed";
        case errc::not_running:
            return "the pool cannot run";
        case errc::connect_timeout:
            return "the connection did not open in time";
        case errc::connect_failed:
            return "the connection could not be opened";
        case errc::circuit_open:
            return "the host keeps failing, and is not asked at the moment";
        case errc::connection_lost:
            return "the connection was lost";
        case errc::preempted:
            return "the lease was taken back for a higher priority";
        case errc::already_leased:
            return "this client has a lease already";
        case errc::message_queue_full:
            return "too much waits to be sent";
        case errc::lease_released:
            return "the lease was given back already";
        case errc::lease_leaked:
            return "a lease has been held for too long";
        case errc::bad_url:
            return "the URL cannot be used";
        case errc::bad_option:
            return "the options cannot be meant";
        case errc::bad_message:
            return "the message cannot be sent";
        case errc::unknown_subscription:
            return "nothing is subscribed under this name";
        case errc::would_deadlock:
            return "a call that waits, from a handler";
        case errc::handler_threw:
            return "a handler let an exception out";
    }
    return "an error that this version does not know";
}

class Category final : public std::error_category {
  public:
    [[nodiscard]] const char* name() const noexcept override { return "wspool"; }
    [[nodiscard]] std::string message(int code) const override {
        return text_of(static_cast<errc>(code));
    }
    // What the errors are in general, for who compares with std::errc.
    [[nodiscard]] std::error_condition default_error_condition(int code) const noexcept override {
        switch (static_cast<errc>(code)) {
            case errc::acquire_timeout:
            case errc::connect_timeout:
                return std::errc::timed_out;
            case errc::capacity:
            case errc::circuit_open:
                return std::errc::resource_unavailable_try_again;
            case errc::cancelled:
                return std::errc::operation_canceled;
            case errc::pool_closed:
            case errc::not_running:
            case errc::lease_released:
                return std::errc::not_connected;
            case errc::connect_failed:
                return std::errc::connection_refused;
            case errc::connection_lost:
            case errc::preempted:
                return std::errc::connection_reset;
            case errc::already_leased:
                return std::errc::device_or_resource_busy;
            case errc::message_queue_full:
                return std::errc::no_buffer_space;
            case errc::bad_url:
            case errc::bad_option:
            case errc::bad_message:
            case errc::unknown_subscription:
                return std::errc::invalid_argument;
            case errc::would_deadlock:
                return std::errc::resource_deadlock_would_occur;
            case errc::lease_leaked:
            case errc::handler_threw:
                return {code, *this};
        }
        return {code, *this};
    }
};

}  // namespace

const std::error_category& wspool_category() noexcept {
    static const Category category;
    return category;
}

std::error_code make_error_code(errc code) noexcept {
    return {static_cast<int>(code), wspool_category()};
}

namespace detail {

void wrong_side(const Error* error) noexcept {
    const std::string said =
        error == nullptr ? "the error of a Result was read that has a value; ask has_value() first"
                         : "the value of a Result was read that has none; ask has_value() first; "
                           "the error is: " +
                               error->message();
    assertion_failed(said.c_str(), "wspool/result.h", 0);
}

}  // namespace detail

}  // namespace wspool::api
