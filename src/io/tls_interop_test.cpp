// Conversations with the openssl program, in both roles and both versions of TLS.
#include "io/loop_driver.h"
#include "io/tls_loop.h"
#include "io/tls_test_certificates.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <vector>

namespace wspool::io {

namespace {

// `openssl ARGUMENTS…` with its input and output in our hands.
class OpensslProgram {
  public:
    explicit OpensslProgram(std::vector<std::string> arguments) {
        std::array<int, 2> in{};
        std::array<int, 2> out{};
        if (::pipe2(in.data(), O_CLOEXEC) != 0 || ::pipe2(out.data(), O_CLOEXEC) != 0) return;
        arguments.insert(arguments.begin(), "openssl");
        std::vector<char*> argv;
        for (std::string& argument : arguments) argv.push_back(argument.data());
        argv.push_back(nullptr);
        child_ = ::fork();
        if (child_ == 0) {
            ::dup2(in[0], STDIN_FILENO);
            ::dup2(out[1], STDOUT_FILENO);
            ::dup2(::open("/dev/null", O_WRONLY), STDERR_FILENO);
            ::execvp("openssl", argv.data());
            ::_exit(127);
        }
        ::close(in[0]);
        ::close(out[1]);
        input_ = in[1];
        output_ = out[0];
        ::fcntl(output_, F_SETFL, O_NONBLOCK);
    }
    ~OpensslProgram() {
        ::kill(child_, SIGKILL);
        ::waitpid(child_, nullptr, 0);
        ::close(input_);
        ::close(output_);
    }
    OpensslProgram(const OpensslProgram&) = delete;
    OpensslProgram& operator=(const OpensslProgram&) = delete;

    [[nodiscard]] int output() const { return output_; }

    void say(std::string_view text) const {
        ASSERT_EQ(::write(input_, text.data(), text.size()), static_cast<ssize_t>(text.size()));
    }

    // All that it has said so far.
    [[nodiscard]] const std::string& said() {
        std::array<char, 4096> buffer;
        for (ssize_t n = 0; (n = ::read(output_, buffer.data(), buffer.size())) > 0;) {
            said_.append(buffer.data(), static_cast<std::size_t>(n));
        }
        return said_;
    }

  private:
    pid_t child_ = -1;
    int input_ = -1;
    int output_ = -1;
    std::string said_;
};

class TlsInterop : public testing::TestWithParam<const char*> {
  protected:
    TlsInterop() : loop_(std::move(make_loop({})->loop)), driver_(loop_) {}

    void watch(const OpensslProgram& program) { ASSERT_TRUE(loop_.watch(program.output(), 1)); }

    TlsLoop loop_;
    LoopDriver driver_;
};

std::string version_name(const testing::TestParamInfo<const char*>& version) {
    return version.param + 1;
}

INSTANTIATE_TEST_SUITE_P(Versions, TlsInterop, testing::Values("-tls1_2", "-tls1_3"), version_name);

TEST_P(TlsInterop, AClientOfOursTalksToOpenssl) {
    const CertificateFiles files = test_certificates().make();
    OpensslProgram server({"s_server",
                           "-accept",
                           "127.0.0.1:0",
                           "-cert",
                           files.certificate_file,
                           "-key",
                           files.key_file,
                           GetParam(),
                           "-rev"});
    watch(server);
    constexpr std::string_view banner = "ACCEPT ";
    ASSERT_TRUE(driver_.until([&] {
        const std::size_t at = server.said().find(banner);
        return at != std::string::npos && server.said().find('\n', at) != std::string::npos;
    }));
    std::string address = server.said().substr(server.said().find(banner) + banner.size());
    address.erase(address.find('\n'));
    driver_.connect_options = {&test_client(), "localhost"};
    Side* client = driver_.connect(parse_address(address).value());
    ASSERT_NE(client, nullptr);
    ASSERT_TRUE(driver_.until([&] { return client->connects == 1; })) << client->failure_text;
    driver_.write(*client, "drawer\n");
    ASSERT_TRUE(driver_.until([&] { return client->received == "reward\n"; }));
    driver_.shutdown_write(*client);
    EXPECT_TRUE(driver_.until([&] { return client->ends == 1; }));
    EXPECT_TRUE(client->failures.empty());
}

TEST_P(TlsInterop, OpensslTalksToAServerOfOurs) {
    ListenOptions options;
    options.tls = &test_server();
    ASSERT_TRUE(driver_.listen({Address::Family::ipv4, "127.0.0.1", 0}, options));
    OpensslProgram client({"s_client",
                           "-connect",
                           format_address(driver_.listen_address),
                           "-CAfile",
                           test_certificates().ca_file(),
                           "-verify_return_error",
                           "-verify_hostname",
                           "localhost",
                           "-quiet",
                           GetParam()});
    watch(client);
    client.say("question\n");
    ASSERT_TRUE(driver_.until([&] {
        return !driver_.accepted.empty() && driver_.accepted.back()->received == "question\n";
    }));
    driver_.write(*driver_.accepted.back(), "answer\n");
    ASSERT_TRUE(driver_.until([&] { return client.said() == "answer\n"; }));
    driver_.close(*driver_.accepted.back());
    driver_.idle();
    EXPECT_TRUE(driver_.accepted.back()->failures.empty());
}

}  // namespace

}  // namespace wspool::io
