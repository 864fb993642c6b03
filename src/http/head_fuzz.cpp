// Heads of requests and responses: the verdict on the whole must be the verdict on its pieces.
#include "base/assert.h"
#include "http/head.h"

#include <cstdint>
#include <memory>
#include <string>
#include <variant>

namespace {

using namespace wspool;

template <class Head>
std::string verdict_of(const std::variant<http::NeedMore, Head, http::Refused>& outcome) {
    if (std::holds_alternative<http::NeedMore>(outcome)) return "more";
    if (const auto* refused = std::get_if<http::Refused>(&outcome)) {
        return std::to_string(refused->status) + std::string(refused->reason) + refused->message;
    }
    const Head& head = std::get<Head>(outcome);
    std::string text = std::to_string(head.size);
    for (const HeaderField& field : head.fields) {
        text += field.name;
        text += ':';
        text += field.value;
    }
    return text;
}

template <class Parse>
void compare(const Parse& parse, ByteView input, std::size_t step, const http::HeadLimits& limits) {
    const std::string whole = verdict_of(parse(input, limits, 0));
    std::string in_pieces = "more";
    std::size_t scanned = 0;
    for (std::size_t end = 0; end < input.size() && in_pieces == "more";) {
        end = input.size() - end < step ? input.size() : end + step;
        // A block of exactly this size: a read beyond it is seen.
        const auto piece = std::make_unique<std::byte[]>(end);
        std::memcpy(piece.get(), input.data(), end);
        const auto outcome = parse(ByteView(piece.get(), end), limits, scanned);
        if (const auto* more = std::get_if<http::NeedMore>(&outcome)) scanned = more->scanned;
        in_pieces = verdict_of(outcome);
    }
    WSPOOL_ASSERT(whole == in_pieces);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::size_t step = data[0] % 16 + 1u;
    const ByteView input = std::as_bytes(std::span(data + 1, size - 1));
    // Small limits, so that small inputs reach them.
    const http::HeadLimits limits{.size_max = 512, .fields_max = 8, .target_size_max = 32};
    compare(http::parse_request_head, input, step, limits);
    compare(http::parse_response_head, input, step, limits);
    http::HeadLimits with_body = limits;
    with_body.body_size_max = 100;
    compare(http::parse_request_head, input, step, with_body);
    const auto with = http::parse_request_head(input, with_body);
    if (const auto* head = std::get_if<http::RequestHead>(&with)) {
        WSPOOL_ASSERT(head->body_size <= with_body.body_size_max);
        WSPOOL_ASSERT(head->body_size == 0 || head->method != "GET");
    }
    const auto outcome = http::parse_request_head(input, limits);
    if (const auto* head = std::get_if<http::RequestHead>(&outcome)) {
        (void)http::query_value(head->target, "id");
        WSPOOL_ASSERT(head->target.starts_with('/'));
        WSPOOL_ASSERT(!head->field("Host").empty());
        WSPOOL_ASSERT(head->body_size == 0);
    }
    return 0;
}
