#include "io/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

namespace wspool::io {

std::optional<TerminalSize> terminal_size(int fd) {
    if (::isatty(fd) != 1) return std::nullopt;
    winsize size{};
    if (::ioctl(fd, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0)
        return TerminalSize{80, 24};
    return TerminalSize{size.ws_col, size.ws_row};
}

}  // namespace wspool::io
