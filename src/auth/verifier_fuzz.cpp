// Tokens and origins: any bytes are judged. As signatures do not come about by chance, the first
// byte chooses whether the rest is a token, or a header and a payload that are then signed.
#include "auth/mint.h"
#include "auth/origin.h"
#include "auth/test_keys.h"
#include "auth/verifier.h"
#include "base/assert.h"
#include "protocol/message.h"

#include <cstdint>
#include <cstring>
#include <memory>

namespace {

using namespace wspool;

constexpr WallTime now{std::chrono::seconds(1'800'000'000)};

auth::Verifier make_verifier() {
    auth::VerifierOptions options;
    options.issuers = {{"i", "a", {{"", auth::Algorithm::hs256, std::string(auth::test_secret)}}}};
    return *auth::Verifier::make(options);
}

auth::Refusal judge(std::string_view token, auth::Claims& claims) {
    static auth::Verifier verifier = make_verifier();
    // A block of exactly this size: a read beyond it is seen.
    const auto exact = std::make_unique<char[]>(token.size());
    std::memcpy(exact.get(), token.data(), token.size());
    return verifier.verify({exact.get(), token.size()}, now, claims);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::string_view rest(reinterpret_cast<const char*>(data + 1), size - 1);
    auth::Claims claims;
    if (data[0] % 2 == 0) {
        (void)judge(rest, claims);
        (void)auth::is_allowed(rest, "a.example", {});
        return 0;
    }
    const std::size_t cut = rest.find('\n');
    if (cut == std::string_view::npos) return 0;
    static auth::Key key = *auth::Key::make(auth::Algorithm::hs256, auth::test_secret);
    const auto token = auth::sign(rest.substr(0, cut), rest.substr(cut + 1), key);
    WSPOOL_ASSERT(token.has_value());
    if (judge(*token, claims) != auth::Refusal::none) return 0;
    WSPOOL_ASSERT(claims.expires > now);
    WSPOOL_ASSERT(claims.subject.empty() || protocol::is_valid_name(claims.subject));
    return 0;
}
