#include "auth/verifier.h"

#include "auth/base64url.h"
#include "auth/mint.h"
#include "auth/test_keys.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <array>

namespace wspool::auth {
namespace {

using std::chrono::seconds;

constexpr WallTime now{seconds(1'800'000'000)};

VerifierOptions options() {
    VerifierOptions result;
    result.issuers = {
        {"https://id.example",
         "wspool",
         {{"h", Algorithm::hs256, std::string(test_secret)},
          {"r", Algorithm::rs256, std::string(rsa_public_key)},
          {"e", Algorithm::es256, std::string(ec_public_key)}}},
        {"other", "wspool", {{"h", Algorithm::hs256, std::string(other_test_secret)}}},
        {"solo", "wspool", {{"", Algorithm::hs256, std::string(test_secret)}}},
    };
    return result;
}

Key private_key(Algorithm algorithm) {
    constexpr std::array materials = {test_secret, rsa_private_key, ec_private_key};
    auto key = Key::make(algorithm, materials[static_cast<std::size_t>(algorithm)]);
    EXPECT_TRUE(key.has_value());
    return std::move(*key);
}

class TokenTest : public testing::Test {
  protected:
    Refusal verdict(std::string_view token) { return verifier_.verify(token, now, claims_); }

    std::string signed_with(Algorithm algorithm,
                            std::string_view header,
                            std::string_view payload) {
        Key key = private_key(algorithm);
        return *sign(header, payload, key);
    }

    Verifier verifier_ = *Verifier::make(options());
    Claims claims_;
};

constexpr std::string_view good_header = R"({"alg":"HS256","typ":"JWT","kid":"h"})";
constexpr std::string_view good_payload =
    R"({"iss":"https://id.example","aud":"wspool","exp":1800000060})";

// The good payload without its last brace, and `more` behind it.
std::string with(std::string_view more) {
    return std::string(good_payload.substr(0, good_payload.size() - 1)) + "," + std::string(more) +
           "}";
}

TEST_F(TokenTest, holds_with_each_algorithm) {
    for (const auto& [algorithm, id] : {std::pair(Algorithm::hs256, "h"),
                                        std::pair(Algorithm::rs256, "r"),
                                        std::pair(Algorithm::es256, "e")}) {
        MintOptions mint_options;
        mint_options.issuer = "https://id.example";
        mint_options.audience = "wspool";
        mint_options.key_id = id;
        mint_options.subject = "alice \"ä\"";
        mint_options.priority = pool::Priority::high;
        mint_options.pool = "gold";
        mint_options.permissions = {{{"room-*", "lobby"}}, {std::vector<std::string>{}}};
        mint_options.issued = now;
        mint_options.expires = now + seconds(60);
        Key key = private_key(algorithm);
        ASSERT_EQ(verdict(*mint(mint_options, key)), Refusal::none) << name(algorithm);
        EXPECT_EQ(claims_.subject, "alice \"ä\"");
        EXPECT_EQ(claims_.priority, pool::Priority::high);
        EXPECT_EQ(claims_.pool, "gold");
        EXPECT_EQ(claims_.expires, now + seconds(60));
        EXPECT_TRUE(claims_.permissions.may_join("room-5"));
        EXPECT_FALSE(claims_.permissions.may_join("hall"));
        EXPECT_FALSE(claims_.permissions.may_publish("room-5"));
    }
}

TEST_F(TokenTest, without_claims_of_ours_is_anonymous_and_may_do_all) {
    ASSERT_EQ(verdict(signed_with(Algorithm::hs256, good_header, good_payload)), Refusal::none);
    EXPECT_EQ(claims_.subject, "");
    EXPECT_FALSE(claims_.priority.has_value());
    EXPECT_FALSE(claims_.permissions.is_limited());
}

struct Case {
    std::string_view what;
    std::string header;
    std::string payload;
};

TEST_F(TokenTest, in_other_forms_that_mean_the_same_holds) {
    const Case cases[] = {
        {"a list of audiences",
         std::string(good_header),
         R"({"iss":"https://id.example","aud":["x","wspool"],"exp":1800000060})"},
        {"a fraction",
         std::string(good_header),
         R"({"iss":"https://id.example","aud":"wspool","exp":1800000000.5})"},
        {"an exponent",
         std::string(good_header),
         R"({"iss":"https://id.example","aud":"wspool","exp":18.0000001e8})"},
        {"white space and escapes",
         " {\"alg\" :\"HS\\u0032\\u0035\\u0036\", \"k\\u0069d\":\"h\"}\n",
         std::string(good_payload)},
        {"other members",
         R"({"alg":"HS256","kid":"h","x5t":"x","cty":"y"})",
         with(R"("name":"A","deep":{"a":[1,{"b":null}]},"jti":"1")")},
        {"clocks that differ a little",
         std::string(good_header),
         with(R"("nbf":1800000005,"iat":1800000005)")},
        {"any type", R"({"alg":"HS256","kid":"h","typ":"at+jwt"})", std::string(good_payload)},
        {"the only key of its issuer, not named",
         R"({"alg":"HS256"})",
         R"({"iss":"solo","aud":"wspool","exp":1800000060})"},
        {"the only key of its issuer, however named",
         R"({"alg":"HS256","kid":"2026"})",
         R"({"iss":"solo","aud":"wspool","exp":1800000060})"},
        {"priorities", std::string(good_header), with(R"("priority":"critical")")},
        {"no group at all", std::string(good_header), with(R"("groups":{"join":[],"publish":[]})")},
        {"half a limit", std::string(good_header), with(R"("groups":{"join":["a*"]})")},
    };
    for (const Case& one : cases) {
        EXPECT_EQ(verdict(signed_with(Algorithm::hs256, one.header, one.payload)), Refusal::none)
            << one.what;
    }
}

struct BadCase {
    Refusal refusal;
    std::string header;
    std::string payload;
};

// Signed with the right secret: what they say is what is wrong with them.
std::vector<BadCase> bad_cases() {
    const std::string header(good_header);
    const std::string payload(good_payload);
    const auto timed = [&](std::string_view exp) {
        return R"({"iss":"https://id.example","aud":"wspool","exp":)" + std::string(exp) + "}";
    };
    using enum Refusal;
    return {
        {bad_header, "", payload},
        {bad_header, "null", payload},
        {bad_header, "[]", payload},
        {bad_header, "{", payload},
        {bad_header, "{}", payload},
        {bad_header, R"({"kid":"h"})", payload},
        {bad_header, R"({"alg":5,"kid":"h"})", payload},
        {bad_header, R"({"alg":null,"kid":"h"})", payload},
        {bad_header, R"({"alg":["HS256"],"kid":"h"})", payload},
        {bad_header, R"({"alg":"HS256","kid":5})", payload},
        {bad_header, R"({"alg":"HS256","kid":null})", payload},
        {bad_header, R"({"alg":"HS256","kid":"h","typ":1})", payload},
        {bad_header, R"({"alg":"HS256","alg":"HS256","kid":"h"})", payload},
        {bad_header, R"({"alg":"none","al\u0067":"HS256","kid":"h"})", payload},
        {bad_header, R"({"alg":"HS256","kid":"h"}{})", payload},
        {bad_header, R"({"alg":"HS256","kid":"h",})", payload},
        {bad_header, "{'alg':'HS256'}", payload},
        {bad_header, "{\"alg\":\"HS256\",\"kid\":\"\xff\"}", payload},
        {bad_header, "\xef\xbb\xbf" + header, payload},
        {unknown_algorithm, R"({"alg":"none","kid":"h"})", payload},
        {unknown_algorithm, R"({"alg":"None","kid":"h"})", payload},
        {unknown_algorithm, R"({"alg":"NONE"})", payload},
        {unknown_algorithm, R"({"alg":"","kid":"h"})", payload},
        {unknown_algorithm, R"({"alg":"hs256","kid":"h"})", payload},
        {unknown_algorithm, R"({"alg":"HS512","kid":"h"})", payload},
        {unknown_algorithm, R"({"alg":"PS256","kid":"r"})", payload},
        {unknown_algorithm, R"({"alg":"EdDSA","kid":"e"})", payload},
        {unknown_algorithm, R"({"alg":"dir","enc":"A128GCM","kid":"h"})", payload},
        {unknown_algorithm, R"({"alg":"HS256\u0000","kid":"h"})", payload},
        {critical, R"({"alg":"HS256","kid":"h","crit":["exp"],"exp":1})", payload},
        {critical, R"({"alg":"HS256","kid":"h","crit":[],"b64":false})", payload},
        {critical, R"({"alg":"HS256","kid":"h","crit":null})", payload},
        {bad_payload, header, "5"},
        {bad_payload, header, "[]"},
        {bad_payload, header, payload + payload},
        {bad_payload, header, payload.substr(0, payload.size() - 1)},
        {bad_payload, header, with(R"("exp":1900000000)")},
        {bad_payload, header, with(R"("i\u0073s":"other")")},
        {bad_payload, header, with(R"("a":NaN)")},
        {bad_payload, header, with("\"sub\":\"\xc0\xaf\"")},
        {bad_payload, header, with("\"deep\":" + std::string(20, '[') + std::string(20, ']'))},
        {unknown_issuer, header, R"({"aud":"wspool","exp":1800000060})"},
        {unknown_issuer, header, R"({"iss":null,"aud":"wspool","exp":1800000060})"},
        {unknown_issuer,
         header,
         R"({"iss":["https://id.example"],"aud":"wspool","exp":1800000060})"},
        {unknown_issuer, header, R"({"iss":"","aud":"wspool","exp":1800000060})"},
        {unknown_issuer,
         header,
         R"({"iss":"https://id.example/","aud":"wspool","exp":1800000060})"},
        {unknown_issuer, header, R"({"iss":"HTTPS://id.example","aud":"wspool","exp":1800000060})"},
        {unknown_issuer,
         header,
         R"({"iss":"https://id.example\u0000","aud":"wspool","exp":1800000060})"},
        {unknown_issuer, header, R"({"iss":"__proto__","aud":"wspool","exp":1800000060})"},
        {unknown_key, R"({"alg":"HS256"})", payload},
        {unknown_key, R"({"alg":"HS256","kid":""})", payload},
        {unknown_key, R"({"alg":"HS256","kid":"H"})", payload},
        {unknown_key, R"({"alg":"HS256","kid":"../h"})", payload},
        {unknown_key, R"({"alg":"HS256","kid":"h' OR 1=1"})", payload},
        {unknown_key,
         R"({"alg":"HS256","kid":"r"})",
         R"({"iss":"other","aud":"wspool","exp":1800000060})"},
        {wrong_algorithm, R"({"alg":"HS256","kid":"r"})", payload},
        {wrong_algorithm, R"({"alg":"HS256","kid":"e"})", payload},
        {wrong_algorithm, R"({"alg":"RS256","kid":"h"})", payload},
        {wrong_algorithm, R"({"alg":"ES256","kid":"r"})", payload},
        {bad_signature, header, R"({"iss":"other","aud":"wspool","exp":1800000060})"},
        {bad_signature, R"({"alg":"RS256","kid":"r"})", payload},
        {bad_signature, R"({"alg":"ES256","kid":"e"})", payload},
        {wrong_audience, header, R"({"iss":"https://id.example","exp":1800000060})"},
        {wrong_audience, header, R"({"iss":"https://id.example","aud":null,"exp":1800000060})"},
        {wrong_audience, header, R"({"iss":"https://id.example","aud":"","exp":1800000060})"},
        {wrong_audience,
         header,
         R"({"iss":"https://id.example","aud":"wspool2","exp":1800000060})"},
        {wrong_audience, header, R"({"iss":"https://id.example","aud":[],"exp":1800000060})"},
        {wrong_audience, header, R"({"iss":"https://id.example","aud":["x"],"exp":1800000060})"},
        {wrong_audience,
         header,
         R"({"iss":"https://id.example","aud":["wspool",1],"exp":1800000060})"},
        {wrong_audience,
         header,
         R"({"iss":"https://id.example","aud":{"wspool":1},"exp":1800000060})"},
        {no_expiry, header, R"({"iss":"https://id.example","aud":"wspool"})"},
        {bad_time, header, timed("null")},
        {bad_time, header, timed(R"("1800000060")")},
        {bad_time, header, timed("-1")},
        {bad_time, header, timed("1e400")},
        {bad_time, header, timed("1800000060000")},  // milliseconds
        {bad_time, header, timed("253402300800")},
        {bad_time, header, timed("[1800000060]")},
        {bad_time, header, timed("true")},
        {bad_time, header, with(R"("nbf":"0")")},
        {bad_time, header, with(R"("iat":null)")},
        {expired, header, timed("0")},
        {expired, header, timed("1799999999")},
        {expired, header, timed("1800000000")},
        {expired, header, timed("1799999999.999")},
        {expired, header, timed("1e-300")},
        {not_yet_valid, header, with(R"("nbf":1800000006)")},
        {not_yet_valid, header, with(R"("iat":1800000006)")},
        {not_yet_valid, header, with(R"("iat":0,"nbf":1900000000)")},
        {bad_subject, header, with(R"("sub":"")")},
        {bad_subject, header, with(R"("sub":5)")},
        {bad_subject, header, with(R"("sub":null)")},
        {bad_subject, header, with(R"("sub":"a\nb")")},
        {bad_subject, header, with(R"("sub":"a\u0000")")},
        {bad_subject, header, with(R"("sub":"\ud800")")},
        {bad_subject, header, with("\"sub\":\"" + std::string(129, 'a') + "\"")},
        {bad_priority, header, with(R"("priority":"urgent")")},
        {bad_priority, header, with(R"("priority":"High")")},
        {bad_priority, header, with(R"("priority":0)")},
        {bad_pool, header, with(R"("pool":"")")},
        {bad_pool, header, with(R"("pool":["gold"])")},
        {bad_rate_class, header, with(R"("rate_class":"")")},
        {bad_rate_class, header, with(R"("rate_class":7)")},
        {bad_groups, header, with(R"("groups":null)")},
        {bad_groups, header, with(R"("groups":["room"])")},
        {bad_groups, header, with(R"("groups":{"joins":["room"]})")},
        {bad_groups, header, with(R"("groups":{"join":"room"})")},
        {bad_groups, header, with(R"("groups":{"join":null})")},
        {bad_groups, header, with(R"("groups":{"join":[5]})")},
        {bad_groups, header, with(R"("groups":{"join":[""]})")},
        {bad_groups, header, with(R"("groups":{"join":["a*b"]})")},
        {bad_groups, header, with(R"("groups":{"publish":["*a"]})")},
        {bad_groups, header, with(R"("groups":{"join":[],"join":["*"]})")},
    };
}

TEST_F(TokenTest, that_is_signed_but_bad_is_refused_for_what_is_bad_about_it) {
    claims_.subject = "before";
    for (const BadCase& bad : bad_cases()) {
        const std::string token = signed_with(Algorithm::hs256, bad.header, bad.payload);
        // An empty header leaves an empty part.
        const Refusal expected = bad.header.empty() ? Refusal::not_three_parts : bad.refusal;
        EXPECT_EQ(verdict(token), expected)
            << bad.header << " " << bad.payload << ": " << sentence(verdict(token));
        EXPECT_EQ(claims_.subject, "before");
    }
    EXPECT_GE(bad_cases().size(), 60u);
}

TEST_F(TokenTest, that_is_no_token_is_refused_for_its_form) {
    const std::string good = signed_with(Algorithm::hs256, good_header, good_payload);
    ASSERT_EQ(verdict(good), Refusal::none);
    const std::string head = good.substr(0, good.find('.'));
    const std::string body = good.substr(0, good.rfind('.'));
    const std::string signature = good.substr(good.rfind('.') + 1);
    const std::pair<std::string, Refusal> cases[] = {
        {"", Refusal::not_three_parts},
        {"..", Refusal::not_three_parts},
        {head, Refusal::not_three_parts},
        {body, Refusal::not_three_parts},
        {body + ".", Refusal::not_three_parts},
        {good + ".", Refusal::not_three_parts},
        {good + ".x.y", Refusal::not_three_parts},
        {"." + body, Refusal::not_three_parts},
        {" " + good, Refusal::bad_base64},
        {good + " ", Refusal::bad_base64},
        {good + "=", Refusal::bad_base64},
        {good + "\n", Refusal::bad_base64},
        {head + "=" + good.substr(head.size()), Refusal::bad_base64},
        {body + "." + signature.substr(0, 42) + "B", Refusal::bad_base64},  // stray bits at the end
        {body + "." + signature + "AAAA", Refusal::bad_signature},
        {body + "." + signature.substr(4), Refusal::bad_signature},
        {body + ".AAAA", Refusal::bad_signature},
        {std::string(8193, 'A'), Refusal::too_long},
        {good + std::string(9000, 'A'), Refusal::too_long},
        {std::string(8192, '.'), Refusal::not_three_parts},
    };
    for (const auto& [token, refusal] : cases) EXPECT_EQ(verdict(token), refusal) << token;
}

// The same two keys, used the other way round: an RSA public key is known to all.
TEST_F(TokenTest, signed_with_a_public_key_as_secret_is_refused) {
    VerifierOptions confused = options();
    confused.issuers[0].keys[0].material = std::string(rsa_public_key);
    const auto made = Verifier::make(confused);
    ASSERT_FALSE(made.has_value());
    EXPECT_NE(made.error().message.find("key \"h\" is a key pair's"), std::string::npos);
}

TEST_F(TokenTest, cannot_bring_its_own_key) {
    for (const std::string_view extra : {R"("jku":"http://127.0.0.1:1/keys")",
                                         R"("x5u":"http://127.0.0.1:1/cert")",
                                         R"("jwk":{"kty":"oct","k":"ZmVkY2JhOTg3NjU0MzIxMA"})",
                                         R"("x5c":["AAAA"])"}) {
        Key key = *Key::make(Algorithm::hs256, other_test_secret);
        const std::string header = R"({"alg":"HS256","kid":"h",)" + std::string(extra) + "}";
        EXPECT_EQ(verdict(*sign(header, good_payload, key)), Refusal::bad_signature) << extra;
    }
}

TEST_F(TokenTest, of_one_issuer_is_not_taken_for_that_of_another_with_the_same_key_id) {
    Key key = *Key::make(Algorithm::hs256, other_test_secret);
    EXPECT_EQ(
        verdict(*sign(good_header, R"({"iss":"other","aud":"wspool","exp":1800000060})", key)),
        Refusal::none);
    EXPECT_EQ(verdict(*sign(good_header, good_payload, key)), Refusal::bad_signature);
}

RC_GTEST_FIXTURE_PROP(TokenTest, with_any_bit_flipped_is_refused, ()) {
    const auto which = *rc::gen::inRange<std::size_t>(0, 3);
    constexpr std::array ids = {"h", "r", "e"};
    const auto algorithm = static_cast<Algorithm>(which);
    std::string token = signed_with(
        algorithm,
        R"({"alg":")" + std::string(name(algorithm)) + R"(","kid":")" + ids[which] + "\"}",
        good_payload);
    RC_ASSERT(verdict(token) == Refusal::none);
    const auto bit = *rc::gen::inRange<std::size_t>(0, token.size() * 8);
    token[bit / 8] = static_cast<char>(token[bit / 8] ^ (1 << (bit % 8)));
    RC_ASSERT(verdict(token) != Refusal::none);
}

RC_GTEST_FIXTURE_PROP(TokenTest,
                      without_a_good_signature_holds_never,
                      (const std::string& header, const std::string& payload)) {
    std::string token;
    append_base64url(token, header);
    token += '.';
    append_base64url(token, payload);
    token += ".AAAA";
    RC_ASSERT(verdict(token) != Refusal::none);
}

// ---- configuration

TEST(Verifier, what_cannot_be_told_apart_is_refused) {
    VerifierOptions twice = options();
    twice.issuers[1].name = "solo";
    EXPECT_FALSE(Verifier::make(twice).has_value());
    VerifierOptions same_id = options();
    same_id.issuers[0].keys[1].id = "h";
    EXPECT_FALSE(Verifier::make(same_id).has_value());
    VerifierOptions no_id = options();
    no_id.issuers[0].keys[1].id = "";
    EXPECT_FALSE(Verifier::make(no_id).has_value());
    VerifierOptions no_audience = options();
    no_audience.issuers[0].audience = "";
    EXPECT_FALSE(Verifier::make(no_audience).has_value());
    VerifierOptions no_keys = options();
    no_keys.issuers[0].keys.clear();
    EXPECT_FALSE(Verifier::make(no_keys).has_value());
}

TEST(Verifier, without_issuers_takes_nothing) {
    Verifier verifier = *Verifier::make({});
    Claims claims;
    Key key = private_key(Algorithm::hs256);
    EXPECT_EQ(verifier.verify(*sign(good_header, good_payload, key), now, claims),
              Refusal::unknown_issuer);
}

}  // namespace
}  // namespace wspool::auth
