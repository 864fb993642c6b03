#include "auth/permissions.h"

#include "base/utf8.h"

namespace wspool::auth {

bool is_pattern(std::string_view text) {
    // The longest name, and the star behind it.
    return !text.empty() && text.size() <= 129 && is_utf8(text) &&
           text.find('*') >= text.size() - 1;
}

bool matches(std::string_view pattern, std::string_view name) {
    if (!pattern.ends_with('*')) return pattern == name;
    return name.starts_with(pattern.substr(0, pattern.size() - 1));
}

bool Permissions::allows(const Patterns& patterns, std::string_view group) {
    if (!patterns) return true;
    for (const std::string& pattern : *patterns) {
        if (matches(pattern, group)) return true;
    }
    return false;
}

}  // namespace wspool::auth
