// What the loops' contract (io/loop_contract.h) is run against: a loop, the network it lives in,
// and the fixture of the tests. A file that instantiates the contract needs only this. Tests only.
#pragma once

#include "base/random.h"
#include "io/descriptor_channel.h"
#include "io/listener.h"
#include "io/loop.h"
#include "io/loop_driver.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace wspool::io {

// A loop and the network it lives in.
class LoopBed {
  public:
    virtual ~LoopBed() = default;
    [[nodiscard]] virtual Loop& loop() = 0;
    [[nodiscard]] virtual Address
    listen_address() = 0;  // one to listen on, with port 0 where it has ports
    [[nodiscard]] virtual Address dead_address() = 0;  // one where nobody listens
    // What both ends of every conversation are made with, where that is anything special.
    [[nodiscard]] virtual ListenOptions listen_options() { return {}; }
    [[nodiscard]] virtual ConnectOptions connect_options() { return {}; }
    // An accepted stream takes what is sent (LoopDriver::is_ready).
    [[nodiscard]] virtual bool is_ready(StreamId) { return true; }
    // `connected` comes although nobody has accepted yet: what a kernel does, and a handshake does
    // not.
    [[nodiscard]] virtual bool connects_unaccepted() const { return true; }
    // Connections through the listener can be released.
    [[nodiscard]] virtual bool gives_away() const { return true; }

    // ---- descriptors, as another process would bring them
    [[nodiscard]] virtual std::array<int, 2> socket_pair() {
        return make_socket_pair(PairKind::stream).value();
    }
    [[nodiscard]] virtual std::array<int, 2> channel_pair() {
        return make_socket_pair(PairKind::seqpacket).value();
    }
    // One that listens, and its address.
    [[nodiscard]] virtual std::pair<int, Address> listening_socket() {
        const Listening listening =
            open_listeners({Address::Family::ipv4, "127.0.0.1", 0}, {}, 1).value();
        return {listening.descriptors[0], listening.address};
    }
    [[nodiscard]] virtual int duplicate(int fd) { return ::fcntl(fd, F_DUPFD_CLOEXEC, 0); }
};

struct LoopBedFactory {
    const char* name;
    std::unique_ptr<LoopBed> (*make)();
};

inline void PrintTo(const LoopBedFactory& factory, std::ostream* out) {
    *out << factory.name;
}

inline std::string loop_bed_name(const testing::TestParamInfo<LoopBedFactory>& info) {
    return info.param.name;
}

class LoopContract : public testing::TestWithParam<LoopBedFactory> {
  protected:
    void SetUp() override { fresh(); }

    // A new world; several in one test keep them independent.
    void fresh() {
        driver_.reset();
        bed_ = GetParam().make();
        ASSERT_NE(bed_, nullptr);
        driver_ = std::make_unique<LoopDriver>(bed_->loop());
        driver_->connect_options = bed_->connect_options();
        driver_->is_ready = [this](StreamId id) { return bed_->is_ready(id); };
        ASSERT_TRUE(driver_->listen(bed_->listen_address(), bed_->listen_options()));
    }

    [[nodiscard]] LoopDriver& driver() { return *driver_; }
    [[nodiscard]] Loop& loop() { return bed_->loop(); }
    [[nodiscard]] LoopBed& bed() { return *bed_; }

    // Text that tells its own position, so that a hole or an exchange cannot hide.
    [[nodiscard]] static std::string pattern(std::size_t size, std::uint64_t seed = 1) {
        Prng prng(seed);
        std::string text(size, '\0');
        for (char& c : text) c = static_cast<char>(prng.next() & 0xff);
        return text;
    }

    // Fills the way from `from` to a peer that does not read, until the loop says it is blocked.
    [[nodiscard]] bool block(Side& from, Side& peer) {
        loop().pause(peer.id);
        for (int i = 0; i < 256 && !from.blocked; ++i) {
            driver().write(from, pattern(send_size_max, static_cast<std::uint64_t>(i) + 7));
            driver().turn(Duration::zero());
        }
        return from.blocked;
    }

    [[nodiscard]] std::vector<Pair> pairs(std::size_t count) {
        std::vector<Pair> made;
        for (std::size_t i = 0; i < count; ++i) made.push_back(driver().pair());
        return made;
    }

  private:
    std::unique_ptr<LoopBed> bed_;
    std::unique_ptr<LoopDriver> driver_;
};

// For networks that can reset a connection; unix sockets cannot, there a reset looks like an end.
using LoopResetContract = LoopContract;

// Misuse by our own code is a broken invariant, not an outcome.
using LoopContractDeathTest = LoopContract;

}  // namespace wspool::io
