// What there is to know of a terminal.
#pragma once

#include <cstddef>
#include <optional>

namespace wspool::io {

struct TerminalSize {
    std::size_t columns = 0;
    std::size_t rows = 0;
};

// None: the descriptor is no terminal. One that tells no size counts as 80 by 24.
[[nodiscard]] std::optional<TerminalSize> terminal_size(int fd);

}  // namespace wspool::io
