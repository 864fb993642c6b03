// Permissions: the groups that a token lets its client join and publish to.
//
// A pattern is a group's name, or the beginning of names with '*' behind it; "*" alone is every
// group. A '*' elsewhere is refused, so that nobody takes it for one that means something.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::auth {

[[nodiscard]] bool is_pattern(std::string_view text);
[[nodiscard]] bool matches(std::string_view pattern, std::string_view name);

struct Permissions {
    using Patterns = std::optional<std::vector<std::string>>;
    Patterns join;     // absent: every group; empty: none
    Patterns publish;  // the same

    [[nodiscard]] bool is_limited() const { return join.has_value() || publish.has_value(); }
    [[nodiscard]] bool may_join(std::string_view group) const { return allows(join, group); }
    [[nodiscard]] bool may_publish(std::string_view group) const { return allows(publish, group); }

  private:
    [[nodiscard]] static bool allows(const Patterns& patterns, std::string_view group);
};

}  // namespace wspool::auth
