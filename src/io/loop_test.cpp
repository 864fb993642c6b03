// The contract over the kernel's loops: io_uring and epoll, over TCP and unix sockets, and io_uring
// with queues so small that submitting early and overflowing is the rule.
#include "io/epoll_loop.h"
#include "io/loop_contract.h"
#include "io/uring_loop.h"

#include <stdlib.h>
#include <unistd.h>

namespace wspool::io {

namespace {

constexpr Duration batch_wait = std::chrono::microseconds(50);

std::unique_ptr<Loop> uring() {
    return UringLoop::make(batch_wait, {}).value();
}
std::unique_ptr<Loop> tiny_uring() {
    return UringLoop::make(batch_wait, {4, 8}).value();
}
std::unique_ptr<Loop> epoll() {
    return EpollLoop::make(batch_wait).value();
}

class TcpBed final : public LoopBed {
  public:
    TcpBed(std::unique_ptr<Loop> loop, Address address)
        : loop_(std::move(loop)), address_(std::move(address)) {}
    Loop& loop() override { return *loop_; }
    Address listen_address() override { return address_; }
    // A port that was ours a moment ago, and that the kernel does not give away again at once.
    Address dead_address() override {
        const StreamId listener = loop_->listen(address_, {}, 0).value();
        const Address address = loop_->local_address(listener).value();
        loop_->close(listener);
        loop_->wait(loop_->now());
        return address;
    }

  private:
    std::unique_ptr<Loop> loop_;
    Address address_;
};

class UnixBed final : public LoopBed {
  public:
    explicit UnixBed(std::unique_ptr<Loop> loop) : loop_(std::move(loop)) {
        std::string pattern = "/tmp/wspool-io-test-XXXXXX";
        if (::mkdtemp(pattern.data()) != nullptr) directory_ = pattern;
    }
    ~UnixBed() override {
        loop_.reset();
        ::rmdir(directory_.c_str());
    }
    Loop& loop() override { return *loop_; }
    Address listen_address() override {
        return {Address::Family::unix_path, directory_ + "/socket", 0};
    }
    Address dead_address() override {
        return {Address::Family::unix_path, directory_ + "/nobody", 0};
    }

  private:
    std::unique_ptr<Loop> loop_;
    std::string directory_;
};

const Address any_ipv4{Address::Family::ipv4, "127.0.0.1", 0};
const Address any_ipv6{Address::Family::ipv6, "::1", 0};

template <std::unique_ptr<Loop> (*make)()>
std::unique_ptr<LoopBed> ipv4_bed() {
    return std::make_unique<TcpBed>(make(), any_ipv4);
}

template <std::unique_ptr<Loop> (*make)()>
std::unique_ptr<LoopBed> ipv6_bed() {
    return std::make_unique<TcpBed>(make(), any_ipv6);
}

template <std::unique_ptr<Loop> (*make)()>
std::unique_ptr<LoopBed> unix_bed() {
    return std::make_unique<UnixBed>(make());
}

const auto kernel_beds = testing::Values(LoopBedFactory{"uring", &ipv4_bed<&uring>},
                                         LoopBedFactory{"uring_tiny", &ipv4_bed<&tiny_uring>},
                                         LoopBedFactory{"uring_ipv6", &ipv6_bed<&uring>},
                                         LoopBedFactory{"uring_unix", &unix_bed<&uring>},
                                         LoopBedFactory{"epoll", &ipv4_bed<&epoll>},
                                         LoopBedFactory{"epoll_ipv6", &ipv6_bed<&epoll>},
                                         LoopBedFactory{"epoll_unix", &unix_bed<&epoll>});

const auto tcp_beds = testing::Values(LoopBedFactory{"uring", &ipv4_bed<&uring>},
                                      LoopBedFactory{"uring_tiny", &ipv4_bed<&tiny_uring>},
                                      LoopBedFactory{"uring_ipv6", &ipv6_bed<&uring>},
                                      LoopBedFactory{"epoll", &ipv4_bed<&epoll>},
                                      LoopBedFactory{"epoll_ipv6", &ipv6_bed<&epoll>});

}  // namespace

INSTANTIATE_TEST_SUITE_P(Kernel, LoopContract, kernel_beds, loop_bed_name);
INSTANTIATE_TEST_SUITE_P(Kernel, LoopResetContract, tcp_beds, loop_bed_name);
INSTANTIATE_TEST_SUITE_P(Kernel, LoopContractDeathTest, kernel_beds, loop_bed_name);

}  // namespace wspool::io
