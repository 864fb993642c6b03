// Result<T>: a value, or an Error that says in one clear sentence what went wrong, where, and how
// to mend it. Nothing of ours throws; a Result that is dropped is a compiler warning where the
// function is marked [[nodiscard]], and all that return one are.
#pragma once

#include <tl/expected.hpp>

#include <string>
#include <utility>

namespace wspool {

struct Error {
    std::string message;  // one sentence for a person
    int os_code = 0;      // errno where the kernel refused, else 0
};

template <class T>
using Result = tl::expected<T, Error>;

[[nodiscard]] inline tl::unexpected<Error> fail(std::string message, int os_code = 0) {
    return tl::unexpected<Error>(Error{std::move(message), os_code});
}

}  // namespace wspool
