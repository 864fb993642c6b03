#include "hub/values.h"

#include <cstddef>

namespace wspool::hub {

std::string format_epoch(std::uint64_t epoch) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string text(16, '0');
    for (std::size_t i = 16; i-- > 0; epoch >>= 4) text[i] = digits[epoch & 15];
    return text;
}

}  // namespace wspool::hub
