#include "wire.h"

#include <charconv>

namespace wspool::chaos {
namespace {

constexpr std::string_view payload_begin = R"({"m":)";

bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

std::optional<std::uint64_t> take_number(std::string_view& text) {
    std::uint64_t number = 0;
    const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
    if (result.ec != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(result.ptr - text.data()));
    return number;
}

// A string without escapes, behind its opening quote: names and epochs have none here.
std::optional<std::string_view> take_string(std::string_view& text) {
    const std::size_t end = text.find('"');
    if (end == std::string_view::npos) return std::nullopt;
    const std::string_view string = text.substr(0, end);
    text.remove_prefix(end + 1);
    return string;
}

// The answers' keys come in one order each; which of them are there tells what is answered.
Heard read_answer(std::string_view text, HeardKind kind) {
    Heard heard;
    if (take(text, R"(,"id":)")) {
        heard.id = take_number(text);
        if (!heard.id) return {};
    }
    const auto field = [&text](std::string_view key, std::string_view& into) {
        if (!take(text, key)) return true;
        const auto value = take_string(text);
        if (value) into = *value;
        return value.has_value();
    };
    if (!field(R"(,"group":")", heard.group) || !field(R"(,"epoch":")", heard.epoch) ||
        !field(R"(,"code":")", heard.code)) {
        return {};
    }
    if (take(text, R"(,"offset":)")) {
        heard.offset = take_number(text);
        if (!heard.offset) return {};
    }
    if (take(text, R"(,"recovered":true)")) heard.recovered = true;
    if (take(text, R"(,"recovered":false)")) heard.recovered = false;
    // The message of an error is for people.
    if (kind != HeardKind::error && text != "}") return {};
    heard.kind = kind;
    return heard;
}

}  // namespace

Wire::Wire(std::size_t payload_size) {
    constexpr std::size_t others = 20;  // around a number of six digits
    payload_end_ =
        R"(,"x":")" + std::string(payload_size > others ? payload_size - others : 0, 'x') + R"("})";
}

std::string Wire::payload(MessageIndex message) const {
    return std::string(payload_begin) + std::to_string(message) + payload_end_;
}

MessageIndex Wire::take_payload(std::string_view& text) const {
    if (!take(text, payload_begin)) return none;
    const auto number = take_number(text);
    if (!number || *number >= none || !take(text, payload_end_)) return none;
    return static_cast<MessageIndex>(*number);
}

std::string Wire::join(std::string_view group,
                       bool offsets,
                       std::uint64_t id,
                       std::string_view since_epoch,
                       std::uint64_t since_offset) const {
    std::string text = R"({"type":"join","group":")";
    text.append(group).append(R"(","id":)").append(std::to_string(id));
    if (offsets) text += R"(,"offsets":true)";
    if (!since_epoch.empty()) {
        text.append(R"(,"since":{"epoch":")").append(since_epoch);
        text.append(R"(","offset":)").append(std::to_string(since_offset)).append("}");
    }
    return text + "}";
}

std::string Wire::broadcast(std::string_view group, MessageIndex message) const {
    std::string text = R"({"type":"broadcast","group":")";
    text.append(group).append(R"(","payload":)").append(payload(message));
    return text.append(R"(,"id":)").append(std::to_string(message)).append("}");
}

std::string Wire::direct(std::string_view target, MessageIndex message) const {
    std::string text = R"({"type":"direct","targetId":")";
    text.append(target).append(R"(","payload":)").append(payload(message));
    return text.append(R"(,"id":)").append(std::to_string(message)).append("}");
}

Heard Wire::read(std::string_view text) const {
    Heard heard;
    if (take(text, R"({"type":"broadcast","group":")")) {
        const auto group = take_string(text);
        if (!group || !take(text, R"(,"payload":)")) return {};
        heard.group = *group;
        heard.message = take_payload(text);
        if (take(text, R"(,"offset":)")) heard.offset = take_number(text);
        if (heard.message == none || text != "}") return {};
        heard.kind = HeardKind::broadcast;
        return heard;
    }
    if (take(text, R"({"type":"direct","payload":)")) {
        heard.message = take_payload(text);
        if (heard.message == none || !take(text, R"(,"from":")")) return {};
        const auto from = take_string(text);
        if (!from || text != "}") return {};
        heard.from = *from;
        heard.kind = HeardKind::direct;
        return heard;
    }
    if (take(text, R"({"type":"ack")")) return read_answer(text, HeardKind::ack);
    if (take(text, R"({"type":"error")")) return read_answer(text, HeardKind::error);
    if (take(text, R"({"type":"position")")) return read_answer(text, HeardKind::position);
    if (take(text, R"({"type":"draining")")) heard.kind = HeardKind::draining;
    return heard;
}

}  // namespace wspool::chaos
