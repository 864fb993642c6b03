#include "ws/close.h"

namespace wspool::ws {

bool may_be_received(std::uint16_t code) {
    if (code >= 3000 && code <= 4999) return true;
    if (code >= 1000 && code <= 1003) return true;
    // 1012 to 1014 came into IANA's registry after the RFC.
    return code >= 1007 && code <= 1014;
}

std::string_view fit_close_reason(std::string_view reason) {
    if (reason.size() <= close_reason_size_max) return reason;
    std::size_t size = close_reason_size_max;
    // A character has at most three continuation bytes; more of them is no UTF-8 and is not waited
    // for.
    const std::size_t size_min = size - 3;
    while (size > size_min && (static_cast<unsigned char>(reason[size]) & 0xC0) == 0x80) --size;
    return reason.substr(0, size);
}

}  // namespace wspool::ws
