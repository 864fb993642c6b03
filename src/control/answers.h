// What the control process answers: the routes of its HTTP API, over the stats page. Pure.
#pragma once

#include "base/time.h"
#include "control/seats.h"
#include "metrics/page.h"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace wspool::control {

struct Facts {
    const metrics::Page& page;
    std::uint64_t connections_max_per_worker = 0;
    Instant now;
    std::span<const SeatPoolFact> pools = {};
};

struct Answer {
    int status = 200;
    std::string_view content_type;
    std::string body;
    std::string_view headers = {};  // whole lines
};

[[nodiscard]] Answer answer(std::string_view method, std::string_view path, const Facts& facts);

}  // namespace wspool::control
