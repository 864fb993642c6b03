#include "auth/base64url.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace wspool::auth {
namespace {

RC_GTEST_PROP(Base64url, what_was_written_is_read, (const std::string& bytes)) {
    std::string text;
    append_base64url(text, bytes);
    std::string read = "before";
    RC_ASSERT(decode_base64url(text, read));
    RC_ASSERT(read == "before" + bytes);
}

RC_GTEST_PROP(Base64url, a_text_that_is_read_is_the_only_one_for_its_bytes, ()) {
    const auto text = *rc::gen::container<std::string>(rc::gen::elementOf(std::string("AQgwBR_-")));
    std::string bytes;
    if (!decode_base64url(text, bytes)) return;
    std::string again;
    append_base64url(again, bytes);
    RC_ASSERT(again == text);
}

TEST(Base64url, knows_the_vectors_of_the_standard) {
    for (const auto& [bytes, text] : {std::pair("", ""),
                                      std::pair("f", "Zg"),
                                      std::pair("fo", "Zm8"),
                                      std::pair("foo", "Zm9v"),
                                      std::pair("foob", "Zm9vYg"),
                                      std::pair("\xfb\xff", "-_8")}) {
        std::string written;
        append_base64url(written, bytes);
        EXPECT_EQ(written, text);
    }
}

TEST(Base64url, refuses_padding_other_alphabets_lone_digits_and_stray_bits) {
    for (const std::string_view text : {"Zg==",
                                        "Zg=",
                                        "+_8",
                                        "-/8",
                                        "Z",
                                        "Zm9vY",
                                        "Zh",
                                        "Zm9",
                                        "Z g",
                                        "Zg\n",
                                        "Zg.",
                                        "\xc3\xa4"}) {
        std::string bytes;
        EXPECT_FALSE(decode_base64url(text, bytes)) << text;
    }
}

}  // namespace
}  // namespace wspool::auth
