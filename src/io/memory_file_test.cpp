#include "io/memory_file.h"

#include <gtest/gtest.h>

namespace wspool::io {
namespace {

TEST(MemoryFile, GivesBackWhatWasPutIn) {
    for (const std::size_t size : {0u, 1u, 4096u, 1'000'000u}) {
        const std::string content(size, 'x');
        const auto file = make_memory_file(content);
        ASSERT_TRUE(file) << file.error().message;
        EXPECT_EQ(read_memory_file(*file, size), content);
        // A second reader finds it from its beginning as well.
        EXPECT_EQ(read_memory_file(*file, size), content);
    }
}

TEST(MemoryFile, IsRefusedBeyondTheBound) {
    const auto file = make_memory_file("12345");
    ASSERT_TRUE(file);
    EXPECT_TRUE(read_memory_file(*file, 5));
    EXPECT_FALSE(read_memory_file(*file, 4));
}

TEST(MemoryFile, ThatIsNoneIsTold) {
    EXPECT_FALSE(read_memory_file(Descriptor(), 10));
}

}  // namespace
}  // namespace wspool::io
