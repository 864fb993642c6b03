#include "app/log.h"

#include <fmt/format.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace wspool::app {
namespace {

constexpr std::size_t message_size_max = 2048;
constexpr std::size_t value_size_max = 1024;

// Size of the UTF-8 character at the front of `text`, 0 when it is none. Bytes from a file name or
// an environment need not be UTF-8, but a JSON line must be.
std::size_t character_size(std::string_view text) {
    const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    const std::size_t size = lead < 0x80   ? 1
                             : lead < 0xC2 ? 0
                             : lead < 0xE0 ? 2
                             : lead < 0xF0 ? 3
                                           : 4;
    if (size == 0 || lead > 0xF4 || size > text.size()) return 0;
    for (std::size_t i = 1; i < size; ++i) {
        if ((byte(i) & 0xC0) != 0x80) return 0;
    }
    const bool is_overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
    const bool is_out_of_range =
        (lead == 0xED && byte(1) > 0x9F) || (lead == 0xF4 && byte(1) > 0x8F);
    return is_overlong || is_out_of_range ? 0 : size;
}

bool is_control(std::string_view character) {
    const auto lead = static_cast<unsigned char>(character[0]);
    // U+0080 to U+009F hold the one-byte terminal sequences (C1).
    return lead < 0x20 || lead == 0x7F ||
           (lead == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0);
}

void append_escaped(std::string& out,
                    std::string_view text,
                    std::size_t size_max,
                    LogFormat format) {
    const std::size_t size_before = out.size();
    while (!text.empty()) {
        if (out.size() - size_before >= size_max) {
            out += "...";
            return;
        }
        const std::size_t size = character_size(text);
        if (size == 0) {
            out += "\xEF\xBF\xBD";  // U+FFFD
            text.remove_prefix(1);
            continue;
        }
        const std::string_view character = text.substr(0, size);
        text.remove_prefix(size);
        if (is_control(character)) {
            const auto code = static_cast<unsigned char>(character.back());
            out += fmt::format("\\u{:04x}", unsigned{code});
        } else if (format == LogFormat::json && (character == "\"" || character == "\\")) {
            out += '\\';
            out += character;
        } else {
            out += character;
        }
    }
}

spdlog::level::level_enum spdlog_level(LogLevel level) {
    switch (level) {
        case LogLevel::debug:
            return spdlog::level::debug;
        case LogLevel::info:
            return spdlog::level::info;
        case LogLevel::warning:
            return spdlog::level::warn;
        case LogLevel::error:
            return spdlog::level::err;
    }
    return spdlog::level::info;
}

struct State {
    LogFormat format = LogFormat::text;
    std::shared_ptr<spdlog::logger> logger;

    State()
        : logger(std::make_shared<spdlog::logger>(
              "wspool", std::make_shared<spdlog::sinks::stderr_sink_st>())) {
        apply(LogOptions{});
    }
    void apply(const LogOptions& options) {
        format = options.format;
        logger->set_level(spdlog_level(options.level));
        const bool is_json = format == LogFormat::json;
        logger->set_pattern(is_json ? R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ","level":"%l",%v})"
                                    : "%Y-%m-%dT%H:%M:%S.%eZ %l: %v",
                            spdlog::pattern_time_type::utc);
        logger->flush_on(spdlog::level::debug);
    }
};

State& state() {
    static State the_state;
    return the_state;
}

}  // namespace

void set_up_log(const LogOptions& options) {
    state().apply(options);
}

std::string escape_for_terminal(std::string_view text, std::size_t size_max) {
    std::string out;
    append_escaped(out, text, size_max, LogFormat::text);
    return out;
}

std::string format_log_body(LogFormat format,
                            std::string_view message,
                            std::span<const LogField> fields) {
    const bool is_json = format == LogFormat::json;
    std::string out = is_json ? R"("message":")" : "";
    append_escaped(out, message, message_size_max, format);
    if (is_json) out += '"';
    for (const LogField& field : fields) {
        out += is_json ? ",\"" : " ";
        append_escaped(out, field.name, value_size_max, format);
        out += is_json ? "\":" : "=";
        if (const auto* number = std::get_if<std::uint64_t>(&field.value)) {
            out += fmt::format("{}", *number);
        } else {
            if (is_json) out += '"';
            append_escaped(out, std::get<std::string_view>(field.value), value_size_max, format);
            if (is_json) out += '"';
        }
    }
    return out;
}

void log_line(LogLevel level, std::string_view message, std::span<const LogField> fields) {
    State& log = state();
    if (!log.logger->should_log(spdlog_level(level))) return;
    const std::string body = format_log_body(log.format, message, fields);
    log.logger->log(spdlog_level(level), spdlog::string_view_t(body.data(), body.size()));
}

void vlog(LogLevel level, fmt::string_view format, fmt::format_args args) {
    log_line(level, fmt::vformat(format, args));
}

}  // namespace wspool::app
