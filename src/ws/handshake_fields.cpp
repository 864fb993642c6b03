#include "ws/handshake_fields.h"

#include "base/token.h"

#include <utility>

namespace wspool::ws {
namespace {

class FieldReader {
  public:
    explicit FieldReader(std::string_view text) : left_(trim_ows(text)) {}

    [[nodiscard]] bool at_end() const { return left_.empty(); }

    // White space around a separator means nothing: RFC 6455 keeps RFC 2616's implied rule.
    [[nodiscard]] bool take_separator(char separator) {
        skip_ows();
        if (left_.empty() || left_.front() != separator) return false;
        left_.remove_prefix(1);
        skip_ows();
        return true;
    }

    [[nodiscard]] std::string_view take_token() {
        std::size_t size = 0;
        while (size < left_.size() && is_token_char(left_[size])) ++size;
        const std::string_view token = left_.substr(0, size);
        left_.remove_prefix(size);
        return token;
    }

    // A quoted string must be a token once it is unescaped (RFC 6455 section 9.1).
    [[nodiscard]] std::optional<std::string> take_value() {
        if (left_.empty() || left_.front() != '"') {
            std::string token(take_token());
            return token.empty() ? std::nullopt : std::optional(std::move(token));
        }
        std::string value;
        for (std::size_t i = 1; i < left_.size(); ++i) {
            if (left_[i] == '"') {
                left_.remove_prefix(i + 1);
                return value.empty() ? std::nullopt : std::optional(std::move(value));
            }
            if (left_[i] == '\\' && ++i == left_.size()) break;
            if (!is_token_char(left_[i])) break;
            value += left_[i];
        }
        return std::nullopt;
    }

  private:
    void skip_ows() {
        while (!left_.empty() && is_ows(left_.front())) left_.remove_prefix(1);
    }

    std::string_view left_;
};

bool read_tokens(std::string_view text,
                 EmptyElements empty_elements,
                 std::vector<std::string_view>& tokens) {
    FieldReader reader(text);
    do {
        const std::string_view token = reader.take_token();
        if (!token.empty()) {
            tokens.push_back(token);
        } else if (empty_elements == EmptyElements::refused) {
            return false;
        }
    } while (reader.take_separator(','));
    return reader.at_end();
}

bool read_extension(FieldReader& reader, Extension& extension) {
    extension.name = reader.take_token();
    if (extension.name.empty()) return false;
    while (reader.take_separator(';')) {
        ExtensionParameter parameter{reader.take_token(), std::nullopt};
        if (parameter.name.empty()) return false;
        if (reader.take_separator('=')) {
            parameter.value = reader.take_value();
            if (!parameter.value) return false;
        }
        extension.parameters.push_back(std::move(parameter));
    }
    return true;
}

bool read_extensions(std::string_view text, std::vector<Extension>& extensions) {
    FieldReader reader(text);
    do {
        Extension extension;
        if (!read_extension(reader, extension)) return false;
        extensions.push_back(std::move(extension));
    } while (reader.take_separator(','));
    return reader.at_end();
}

}  // namespace

FieldCount count_fields(Fields fields, std::string_view name) {
    FieldCount found;
    for (const HeaderField& field : fields) {
        if (!equals_ignoring_case(field.name, name)) continue;
        if (found.count++ == 0) found.first = field.value;
    }
    return found;
}

std::optional<std::vector<std::string_view>> tokens_of(Fields fields,
                                                       std::string_view name,
                                                       EmptyElements empty_elements) {
    std::vector<std::string_view> tokens;
    for (const HeaderField& field : fields) {
        if (!equals_ignoring_case(field.name, name)) continue;
        if (!read_tokens(field.value, empty_elements, tokens)) return std::nullopt;
    }
    return tokens;
}

bool contains_ignoring_case(std::span<const std::string_view> tokens, std::string_view token) {
    for (const std::string_view candidate : tokens) {
        if (equals_ignoring_case(candidate, token)) return true;
    }
    return false;
}

std::optional<std::vector<Extension>> extensions_of(Fields fields) {
    std::vector<Extension> extensions;
    for (const HeaderField& field : fields) {
        if (!equals_ignoring_case(field.name, "Sec-WebSocket-Extensions")) continue;
        if (!read_extensions(field.value, extensions)) return std::nullopt;
    }
    return extensions;
}

}  // namespace wspool::ws
