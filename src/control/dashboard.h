// The dashboard: a page of our own that shows what the control API tells, and the script and the
// style that belong to it. Pure.
//
// A browser's navigation cannot send a token, so these three are given to whoever may ask at all
// (guard.h). Hence they hold no figure and are the same for everybody; the script asks for the
// figures, with the token. Their headers allow a browser nothing but that
// (docs/decisions/0022-control-api.md).
#pragma once

#include "control/answer.h"

#include <string_view>

namespace wspool::control {

[[nodiscard]] bool is_dashboard_path(std::string_view path);
[[nodiscard]] Answer answer_from_dashboard(std::string_view path);

// src/control/dashboard.html, .js and .css, as the build has put them into the program
// (cmake/embed.cmake).
[[nodiscard]] std::string_view dashboard_html();
[[nodiscard]] std::string_view dashboard_js();
[[nodiscard]] std::string_view dashboard_css();

}  // namespace wspool::control
