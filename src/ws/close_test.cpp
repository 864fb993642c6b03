#include "ws/close.h"

#include "base/bytes.h"
#include "ws/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace wspool::ws {
namespace {

TEST(CloseCode, MayBeReceivedWhenTheRegistryOrTheApplicationGivesIt) {
    for (unsigned code = 0; code <= 0xFFFF; ++code) {
        const bool is_registered =
            code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006;
        const bool is_of_applications = code >= 3000 && code < 5000;
        EXPECT_EQ(may_be_received(static_cast<std::uint16_t>(code)),
                  is_registered || is_of_applications)
            << code;
    }
}

TEST(CloseReason, IsCutOnlyWhenTooLongAndNeverInsideACharacter) {
    EXPECT_EQ(fit_close_reason(""), "");
    EXPECT_EQ(fit_close_reason(std::string(123, 'a')), std::string(123, 'a'));
    EXPECT_EQ(fit_close_reason(std::string(124, 'a')), std::string(123, 'a'));
    for (const std::string character : {"é", "€", "😀"}) {
        for (std::size_t before = 0; before < 5; ++before) {
            std::string reason(before, 'a');
            while (reason.size() < 200) reason += character;
            const std::string_view fitted = fit_close_reason(reason);
            EXPECT_LE(fitted.size(), close_reason_size_max);
            EXPECT_GT(fitted.size() + character.size(), close_reason_size_max);
            EXPECT_TRUE(is_valid_utf8(as_bytes(fitted)));
        }
    }
}

TEST(CloseReason, ThatIsNoUtf8IsCutAllTheSame) {
    EXPECT_GE(fit_close_reason(std::string(300, '\x80')).size(), close_reason_size_max - 3);
}

}  // namespace
}  // namespace wspool::ws
