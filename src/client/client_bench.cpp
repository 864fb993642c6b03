// What the client pool adds to a session: the same messages to the same server, over one bare
// session and through the pool, in turns. Everything runs on loopback; the server is a thread that
// reads and does not answer. Counters of send_paired: nanoseconds of CPU per message of the sending
// thread, and the medians of the ratios of the pairs. Where the server falls behind, all of them
// sleep until the socket takes more: turning meanwhile would cost by how late it is, and not by
// what a message costs. The blocking flavour waits for each message, so its cost is the time of a
// call.
#include "client/client_test_server.h"

#include <benchmark/benchmark.h>
#include <time.h>
#include <wspool/callback_pool.h>
#include <wspool/client_pool.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

namespace wspool::client {
namespace {

using namespace std::chrono_literals;

constexpr int messages = 50'000;

double cpu_ns() {
    timespec at{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return static_cast<double>(at.tv_sec) * 1e9 + static_cast<double>(at.tv_nsec);
}

const std::string message(64, 'x');

// One session of an engine, as the core has them.
class Bare {
  public:
    explicit Bare(const ThreadedServer& server)
        : loop_(std::move(io::make_loop({io::LoopChoice::automatic, Duration::zero()})->loop)),
          engine_(loop_, {}, entropy_, counters_) {
        ws::ClientHandshake handshake;
        handshake.host = server.address();
        handshake.target = "/";
        handshake.key = ws::make_key(entropy_);
        session_ = *engine_.connect(*io::parse_address(server.address()), handshake, 0);
        while (!engine_.is_open(session_)) turn(never);
    }

    double cost(int batch, int count = messages) {
        const double before = cpu_ns();
        for (int sent = 0; sent < count; sent += batch) {
            for (int i = 0; i < batch; ++i) {
                (void)engine_.send(session_, ws::Opcode::text, as_bytes(message));
            }
            turn(engine_.now());
            while (engine_.outbox_size(session_) > 0) turn(engine_.now() + 100us);
        }
        return (cpu_ns() - before) / count;
    }

  private:
    void turn(Instant deadline) {
        engine_.wait(deadline);
        session::Event event;
        while (engine_.next(event)) continue;
    }

    io::SystemEntropy entropy_;
    metrics::Counters counters_;
    io::TlsLoop loop_;
    session::Engine engine_;
    session::SessionId session_;
};

// Each message with a callback, which is told when the kernel has taken it.
class Pooled {
  public:
    explicit Pooled(const ThreadedServer& server) : url_(server.url()) { (void)cost(1, 1); }

    double cost(int batch, int count = messages) {
        const double before = cpu_ns();
        for (int sent = 0; sent < count; sent += batch) {
            int unsent = batch;
            for (int i = 0; i < batch; ++i) {
                pool_.send(url_, message, {}, [this, &unsent](const auto&) {
                    if (--unsent == 0) pool_.stop();
                });
            }
            (void)pool_.run();
        }
        return (cpu_ns() - before) / count;
    }

  private:
    std::string url_;
    api::CallbackPool pool_{{.max_connections_per_host = 1}};
};

// Over a lease, which is held.
class Leased {
  public:
    explicit Leased(const ThreadedServer& server) {
        pool_.acquire(server.url(), {}, [this](auto lease) {
            lease_.emplace(std::move(*lease));
            pool_.stop();
        });
        (void)pool_.run();
    }

    double cost(int batch, int count = messages) {
        const double before = cpu_ns();
        for (int sent = 0; sent < count; sent += batch) {
            for (int i = 0; i < batch; ++i) {
                while (!lease_->send(message)) (void)pool_.run_for(100us);
            }
            (void)pool_.poll();
        }
        return (cpu_ns() - before) / count;
    }

  private:
    api::CallbackPool pool_{{.max_connections_per_host = 1}};
    std::optional<api::Lease> lease_;
};

double median(std::vector<double> values) {
    std::nth_element(
        values.begin(), values.begin() + static_cast<long>(values.size() / 2), values.end());
    return values[values.size() / 2];
}

// Arg: messages sent in one turn, and so with one system call.
void send_paired(benchmark::State& state) {
    const auto batch = static_cast<int>(state.range(0));
    ThreadedServer server(ServerWay::is_silent);
    Bare bare(server);
    Pooled pooled(server);
    Leased leased(server);
    (void)bare.cost(batch);
    (void)pooled.cost(batch);
    (void)leased.cost(batch);
    std::vector<double> plain;
    std::vector<double> by_pool;
    std::vector<double> by_lease;
    while (state.KeepRunning()) {
        plain.push_back(bare.cost(batch));
        by_pool.push_back(pooled.cost(batch) / plain.back());
        by_lease.push_back(leased.cost(batch) / plain.back());
    }
    state.counters["bare_ns"] = median(plain);
    state.counters["ratio_by_lease"] = median(by_lease);
    state.counters["ratio_by_send"] = median(by_pool);
}
BENCHMARK(send_paired)->Arg(1)->Arg(16)->Iterations(21)->Unit(benchmark::kMillisecond);

void blocking_send(benchmark::State& state) {
    ThreadedServer server(ServerWay::is_silent);
    api::ClientPool pool({.max_connections_per_host = 1});
    (void)pool.send(server.url(), message);
    while (state.KeepRunning()) (void)pool.send(server.url(), message);
}
BENCHMARK(blocking_send)->UseRealTime()->Unit(benchmark::kMicrosecond);

void blocking_acquire_and_release(benchmark::State& state) {
    ThreadedServer server(ServerWay::is_silent);
    api::ClientPool pool({.max_connections_per_host = 1});
    (void)pool.send(server.url(), message);
    while (state.KeepRunning()) (void)pool.acquire(server.url());
}
BENCHMARK(blocking_acquire_and_release)->UseRealTime()->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace wspool::client
