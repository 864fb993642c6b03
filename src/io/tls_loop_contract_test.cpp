// The contract of io/loop.h with both ends of every conversation speaking TLS, and with neither,
// over both of the kernel's loops.
#include "io/epoll_loop.h"
#include "io/loop_bed.h"
#include "io/tls_loop.h"
#include "io/tls_test_certificates.h"
#include "io/uring_loop.h"

namespace wspool::io {

namespace {

constexpr Duration batch_wait = std::chrono::microseconds(50);
const Address any_ipv4{Address::Family::ipv4, "127.0.0.1", 0};

std::unique_ptr<Loop> uring() {
    return UringLoop::make(batch_wait, {}).value();
}
std::unique_ptr<Loop> tiny_uring() {
    return UringLoop::make(batch_wait, {4, 8}).value();
}
std::unique_ptr<Loop> epoll() {
    return EpollLoop::make(batch_wait).value();
}

class TlsBed final : public LoopBed {
  public:
    TlsBed(std::unique_ptr<Loop> inner, bool speaks_tls)
        : loop_(std::move(inner)), speaks_tls_(speaks_tls) {}
    Loop& loop() override { return loop_; }
    Address listen_address() override { return any_ipv4; }
    Address dead_address() override {
        const StreamId listener = loop_.listen(any_ipv4, {}, 0).value();
        const Address address = loop_.local_address(listener).value();
        loop_.close(listener);
        loop_.wait(loop_.now());
        return address;
    }
    ListenOptions listen_options() override {
        ListenOptions options;
        if (speaks_tls_) options.tls = &test_server();
        return options;
    }
    ConnectOptions connect_options() override {
        if (!speaks_tls_) return {};
        return {&test_client(), "localhost"};
    }
    bool is_ready(StreamId id) override { return !speaks_tls_ || loop_.is_secured(id); }
    bool connects_unaccepted() const override { return !speaks_tls_; }
    bool gives_away() const override { return !speaks_tls_; }

  private:
    TlsLoop loop_;
    bool speaks_tls_;
};

template <std::unique_ptr<Loop> (*make)(), bool speaks_tls>
std::unique_ptr<LoopBed> bed() {
    return std::make_unique<TlsBed>(make(), speaks_tls);
}

const auto tls_beds = testing::Values(LoopBedFactory{"uring", &bed<&uring, true>},
                                      LoopBedFactory{"uring_tiny", &bed<&tiny_uring, true>},
                                      LoopBedFactory{"epoll", &bed<&epoll, true>},
                                      LoopBedFactory{"uring_without", &bed<&uring, false>},
                                      LoopBedFactory{"epoll_without", &bed<&epoll, false>});

}  // namespace

INSTANTIATE_TEST_SUITE_P(Tls, LoopContract, tls_beds, loop_bed_name);
INSTANTIATE_TEST_SUITE_P(Tls, LoopResetContract, tls_beds, loop_bed_name);
INSTANTIATE_TEST_SUITE_P(Tls, LoopContractDeathTest, tls_beds, loop_bed_name);

}  // namespace wspool::io
