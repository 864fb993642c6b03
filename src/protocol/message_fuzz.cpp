// The clients' JSON: our grammar against another reader's, and what was taken out of the envelope
// against what that reader finds there.
#include "base/assert.h"
#include "base/utf8.h"
#include "protocol/json_oracle.h"
#include "protocol/message.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

namespace {

using namespace wspool;

void compare_members(std::string_view text, const protocol::ClientMessage& message) {
    const auto document = nlohmann::json::parse(text);
    WSPOOL_ASSERT(document.is_object());
    if (message.type == protocol::MessageType::other) return;
    if (!message.group.empty()) WSPOOL_ASSERT(document["group"] == message.group);
    if (!message.target.empty()) WSPOOL_ASSERT(document["targetId"] == message.target);
    if (!message.payload.empty()) {
        WSPOOL_ASSERT(document["payload"] == nlohmann::json::parse(message.payload));
    }
    if (!message.id.empty()) WSPOOL_ASSERT(document["id"] == nlohmann::json::parse(message.id));
    if (message.wants_offsets) WSPOOL_ASSERT(document["offsets"] == true);
    if (message.since) {
        WSPOOL_ASSERT(document["since"]["offset"] == message.since->offset);
        if (is_utf8(message.since->epoch)) {
            WSPOOL_ASSERT(document["since"]["epoch"] == message.since->epoch);
        }
    }
}

void check_answers(const protocol::ClientMessage& message) {
    ByteBuffer out;
    protocol::append_broadcast_prefix(out, message.group);
    out.append(message.payload.empty() ? std::string_view("null") : message.payload);
    out.append('}');
    WSPOOL_ASSERT(nlohmann::json::parse(as_text(out.view()))["group"] == message.group);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // A block of exactly this size: a read beyond it is seen.
    const auto bytes = std::make_unique<std::byte[]>(size);
    if (size > 0) std::memcpy(bytes.get(), data, size);
    const ByteView input(bytes.get(), size);
    const std::string_view text = as_text(input);

    const protocol::ParserOptions options{.depth_max = 8, .name_size_max = 16};
    protocol::Parser parser(options);
    protocol::ClientMessage message;
    const protocol::ParseOutcome outcome = parser.parse(input, false, message);
    const auto verdict = protocol::JsonOracle::judge(text, options.depth_max);
    if (verdict == protocol::Verdict::undecided) return 0;
    const bool is_accepted = outcome != protocol::ParseOutcome::malformed;
    WSPOOL_ASSERT(is_accepted == (verdict == protocol::Verdict::accepted));
    if (outcome != protocol::ParseOutcome::ok) return 0;
    compare_members(text, message);
    check_answers(message);
    return 0;
}
