#include "app/input.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <rapidcheck/gtest.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <thread>
#include <vector>

namespace wspool::app {
namespace {

// A pipe whose far end a thread writes, since it may have to wait for the reader.
class Writer {
  public:
    explicit Writer(std::string text) : text_(std::move(text)) {
        std::signal(SIGPIPE, SIG_IGN);  // as main() does
        EXPECT_EQ(::pipe(ends_.data()), 0);
        thread_ = std::thread([this] {
            std::string_view rest = text_;
            while (!rest.empty()) {
                const ssize_t size =
                    ::write(ends_[1], rest.data(), std::min<std::size_t>(rest.size(), 3'000));
                if (size <= 0) break;
                rest.remove_prefix(static_cast<std::size_t>(size));
            }
            ::close(ends_[1]);
        });
    }
    ~Writer() {
        ::close(ends_[0]);
        thread_.join();
    }
    [[nodiscard]] int fd() const { return ends_[0]; }

  private:
    std::string text_;
    std::array<int, 2> ends_{};
    std::thread thread_;
};

void wait_for(LineInput& input) {
    pollfd waited{input.event_fd(), POLLIN, 0};
    ::poll(&waited, 1, -1);
    input.acknowledge();
}

std::vector<std::string> read_all_lines(LineInput& input) {
    std::vector<std::string> lines;
    while (true) {
        while (auto line = input.take()) lines.push_back(std::move(*line));
        if (input.is_at_end()) return lines;
        wait_for(input);
    }
}

TEST(LineInput, gives_lines_without_their_ends_and_a_last_one_that_has_none) {
    Writer writer("one\ntwo\r\n\nlast");
    LineInput input(writer.fd());
    ASSERT_TRUE(input.start());
    EXPECT_EQ(read_all_lines(input), (std::vector<std::string>{"one", "two", "", "last"}));
    EXPECT_EQ(input.error(), "");
}

TEST(LineInput, an_empty_input_has_no_line) {
    Writer writer("");
    LineInput input(writer.fd());
    ASSERT_TRUE(input.start());
    EXPECT_TRUE(read_all_lines(input).empty());
}

TEST(LineInput, more_than_the_queue_holds_comes_through_whole_and_in_order) {
    std::string text;
    std::vector<std::string> expected;
    for (std::size_t i = 0; text.size() < 3 * LineInput::queue_size_max; ++i) {
        expected.push_back(std::to_string(i) + std::string(i % 5'000, 'x'));
        text += expected.back() + "\n";
    }
    Writer writer(text);
    LineInput input(writer.fd());
    ASSERT_TRUE(input.start());
    EXPECT_EQ(read_all_lines(input), expected);
}

TEST(LineInput, a_line_beyond_the_bound_is_an_error) {
    Writer writer(std::string(LineInput::line_size_max + 1, 'x'));
    LineInput input(writer.fd());
    ASSERT_TRUE(input.start());
    EXPECT_TRUE(read_all_lines(input).empty());
    EXPECT_NE(input.error().find("16 MiB"), std::string::npos);
}

TEST(LineInput, ends_while_nothing_comes_and_while_its_queue_is_full) {
    std::array<int, 2> silent{};
    ASSERT_EQ(::pipe(silent.data()), 0);
    {
        LineInput input(silent[0]);
        ASSERT_TRUE(input.start());
    }
    ::close(silent[0]);
    ::close(silent[1]);
    std::string text;
    while (text.size() < 3 * LineInput::queue_size_max) text += "line\n";
    Writer writer(text);
    LineInput input(writer.fd());
    ASSERT_TRUE(input.start());
    wait_for(input);
}

}  // namespace
}  // namespace wspool::app
