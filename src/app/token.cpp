// wspool token: mints a token for development, and prints it alone on stdout.
#include "app/config_file.h"
#include "app/verbs.h"
#include "auth/mint.h"
#include "io/clock.h"

#include <fmt/format.h>

#include <cstdio>

namespace wspool::app {
namespace {

struct Signer {
    auth::Key key;
    std::string issuer, audience, key_id;
};

// Which algorithm a key is for shows in what it is.
[[nodiscard]] Result<auth::Key> key_from(std::string_view material) {
    using enum auth::Algorithm;
    if (material.find("-----BEGIN") == std::string_view::npos)
        return auth::Key::make(hs256, auth::secret_in(material));
    auto key = auth::Key::make(rs256, material);
    return key ? std::move(key) : auth::Key::make(es256, material);
}

[[nodiscard]] Result<Signer> signer_from_options(const TokenArgs& args) {
    if (args.issuer.empty() || args.audience.empty() ||
        args.key_file.empty() == args.secret.empty()) {
        return fail(
            "name whose token it is and for whom: --issuer, --audience, and --key or --secret; or "
            "--config, which has all of these");
    }
    std::string material = args.secret;
    if (!args.key_file.empty()) {
        auto text = read_small_file(args.key_file);
        if (!text) return tl::unexpected(text.error());
        material = std::move(*text);
    }
    auto key = key_from(material);
    if (!key) {
        return fail(fmt::format(
            "{} {}", args.key_file.empty() ? "--secret" : args.key_file, key.error().message));
    }
    return Signer{std::move(*key), args.issuer, args.audience, args.key_id};
}

// The first key that can sign, of the issuer and id that were named if they were.
[[nodiscard]] Result<Signer> signer_from_config(const TokenArgs& args) {
    Config config;
    const auto errors = read_config_file(args.config_file, config);
    if (!errors.empty()) return fail(errors.front());
    for (const Config::Auth::Issuer& issuer : config.auth.issuers) {
        if (!args.issuer.empty() && issuer.name != args.issuer) continue;
        for (const Config::Auth::Key& key : issuer.keys) {
            if (!args.key_id.empty() && key.id != args.key_id) continue;
            auto made = auth::Key::make(key.algorithm, key.material);
            if (!made || !made->sign("").has_value()) continue;
            return Signer{std::move(*made), issuer.name, issuer.audience, key.id};
        }
    }
    return fail(
        fmt::format("{} has no such key that can sign: a secret, or a private key in PEM below "
                    "[[auth.issuer]]",
                    args.config_file));
}

[[nodiscard]] Result<std::string> mint(const TokenArgs& args) {
    for (const auto& list : {args.join, args.publish}) {
        for (const std::string& pattern : list.value_or(std::vector<std::string>())) {
            if (!auth::is_pattern(pattern)) {
                return fail(
                    fmt::format("\"{}\" is no pattern: write a group's name, or its beginning with "
                                "* behind it",
                                pattern));
            }
        }
    }
    auto signer = args.config_file.empty() ? signer_from_options(args) : signer_from_config(args);
    if (!signer) return tl::unexpected(signer.error());
    auth::MintOptions options;
    options.issuer = signer->issuer;
    options.audience = signer->audience;
    options.key_id = signer->key_id;
    options.subject = args.id;
    options.priority = args.priority;
    options.pool = args.pool;
    options.rate_class = args.rate_class;
    options.permissions = {args.join, args.publish};
    options.issued = io::read_wall_clock();
    options.expires =
        options.issued + std::chrono::duration_cast<WallClock::duration>(args.expires);
    return auth::mint(options, signer->key);
}

}  // namespace

int run_token(const TokenArgs& args) {
    const auto token = mint(args);
    if (!token) {
        std::fprintf(stderr, "wspool: %s\n", token.error().message.c_str());
        return exit_unusable;
    }
    std::printf("%s\n", token->c_str());
    return exit_ok;
}

}  // namespace wspool::app
