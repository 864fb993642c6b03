#include "hub/client_id.h"

#include <gtest/gtest.h>

namespace wspool::hub {
namespace {

TEST(ClientId, AnonymousIdsAreLongAndDiffer) {
    SeededEntropy entropy(7);
    const ClientId first = ClientId::anonymous(entropy);
    const ClientId second = ClientId::anonymous(entropy);
    ClientId::TextBuffer first_buffer;
    ClientId::TextBuffer second_buffer;
    EXPECT_EQ(first.text(first_buffer).substr(0, 5), "anon_");
    EXPECT_EQ(first.text(first_buffer).size(), 37u);
    EXPECT_NE(first.text(first_buffer), second.text(second_buffer));
}

TEST(ClientId, NamedIdsAreWhatWasGiven) {
    ClientId::TextBuffer buffer;
    const std::string name(128, 'x');
    EXPECT_EQ(ClientId::named(name).text(buffer), name);
}

}  // namespace
}  // namespace wspool::hub
