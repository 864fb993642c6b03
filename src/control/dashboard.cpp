#include "control/dashboard.h"

#include "base/assert.h"

#include <algorithm>
#include <array>

namespace wspool::control {
namespace {

struct File {
    std::string_view path;
    std::string_view content_type;
    std::string_view (*text)();
};

constexpr std::array<File, 3> files = {{
    {"/", "text/html; charset=utf-8", dashboard_html},
    {"/dashboard.js", "text/javascript; charset=utf-8", dashboard_js},
    {"/dashboard.css", "text/css; charset=utf-8", dashboard_css},
}};

// Whatever came into the page could neither load, nor send, nor be framed by anything of others.
// no-cache, because a new version of the program has a new page.
constexpr std::string_view headers =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cache-Control: no-cache\r\n";

[[nodiscard]] const File* find(std::string_view path) {
    const auto* found = std::find_if(
        files.begin(), files.end(), [&](const File& file) { return file.path == path; });
    return found == files.end() ? nullptr : found;
}

}  // namespace

bool is_dashboard_path(std::string_view path) {
    return find(path) != nullptr;
}

Answer answer_from_dashboard(std::string_view path) {
    const File* file = find(path);
    WSPOOL_ASSERT(file != nullptr);
    return {200, file->content_type, std::string(file->text()), std::string(headers)};
}

}  // namespace wspool::control
