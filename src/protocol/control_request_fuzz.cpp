// Any bytes as a body of the control API: what is taken is JSON that another reader takes too, and
// a payload is what that reader finds there.
#include "base/assert.h"
#include "protocol/control_request.h"
#include "protocol/json_oracle.h"
#include "protocol/message.h"

#include <cstdint>
#include <cstring>
#include <memory>

namespace {

using namespace wspool;

void check(const protocol::ControlCommand& command) {
    WSPOOL_ASSERT(command.group.empty() || protocol::is_valid_name(command.group));
    WSPOOL_ASSERT(command.id.empty() || protocol::is_valid_name(command.id));
    WSPOOL_ASSERT(command.reason.size() <= 123);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    // A block of exactly this size: a read beyond it is seen.
    const auto exact = std::make_unique<char[]>(size);
    if (size > 0) std::memcpy(exact.get(), data, size);
    const std::string_view body(exact.get(), size);
    const protocol::ControlLimits limits{.depth_max = 16, .batch_max = 8};
    for (int i = 0; i < 5; ++i) {
        const auto verb = static_cast<protocol::ControlVerb>(i);
        const auto parsed = protocol::parse_control_command(verb, body, limits);
        const auto* command = std::get_if<protocol::ControlCommand>(&parsed);
        if (command == nullptr) continue;
        check(*command);
        const protocol::Verdict verdict = protocol::JsonOracle::judge(body, limits.depth_max);
        WSPOOL_ASSERT(verdict != protocol::Verdict::refused);
        if (verdict == protocol::Verdict::undecided) continue;
        const auto document = nlohmann::json::parse(body);
        if (command->payload.empty()) continue;
        WSPOOL_ASSERT(document["payload"] == nlohmann::json::parse(command->payload));
    }
    const auto parsed = protocol::parse_control_batch(body, limits);
    if (const auto* commands = std::get_if<std::vector<protocol::ControlCommand>>(&parsed)) {
        const std::size_t depth_max = limits.depth_max + 3;
        const protocol::Verdict verdict = protocol::JsonOracle::judge(body, depth_max);
        WSPOOL_ASSERT(verdict != protocol::Verdict::refused);
        if (verdict == protocol::Verdict::accepted) {
            WSPOOL_ASSERT(nlohmann::json::parse(body)["commands"].size() == commands->size());
        }
        for (const auto& command : *commands) check(command);
    }
    return 0;
}
