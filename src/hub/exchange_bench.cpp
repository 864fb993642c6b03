// What a broadcast costs the hub: alone, with and without history; and by a link, with and without
// stable marks.
#include "hub/exchange.h"
#include "wire/records.h"

#include <benchmark/benchmark.h>

#include <string>

namespace wspool {
namespace {

constexpr std::uint32_t members = 100;

void alone(benchmark::State& state) {
    SeededEntropy entropy(1);
    hub::ExchangeOptions options;
    options.history[0].messages = static_cast<std::uint32_t>(state.range(0));
    hub::Exchange exchange(options, entropy);
    exchange.become_home({});
    for (std::uint32_t index = 0; index < members; ++index) {
        exchange.register_anonymous({index, 1});
        (void)exchange.join({index, 1}, {.group = "market"}, {});
    }
    const std::string payload(64, 'x');
    while (state.KeepRunning()) {
        const hub::PublishAnswer answer =
            exchange.broadcast({"market", as_bytes(payload), {3, 1}, "1"}, {});
        benchmark::DoNotOptimize(answer.delivery.members.data());
    }
}
BENCHMARK(alone)->Arg(0)->Arg(100);

// Two workers; the members are at the one that is not home.
void by_link(benchmark::State& state) {
    SeededEntropy entropy(1);
    hub::ExchangeOptions options;
    options.index_count = 2;
    options.plant.no_marks = state.range(1) == 0;
    hub::Exchange home(options, entropy);
    options.index = 1;
    options.incarnation = 2;
    hub::Exchange other(options, entropy);
    hub::Action action;
    const auto move = [&](hub::Exchange& from,
                          wire::Incarnation from_peer,
                          hub::Exchange& to,
                          wire::Incarnation to_peer) {
        from.flush({});
        ByteBuffer* out = from.outgoing(to_peer);
        ByteView rest = out->view();
        wire::Header header;
        while (wire::read_header(rest, SIZE_MAX, header) == wire::HeaderOutcome::ok) {
            (void)to.on_record(from_peer, rest.first(header.size), {});
            while (to.next_action(action)) benchmark::DoNotOptimize(action.delivery.members.data());
            rest = rest.subspan(header.size);
        }
        out->clear();
    };
    const auto turn = [&] {
        move(home, 1, other, 2);
        move(other, 2, home, 1);
    };
    home.become_home({});
    other.add_peer(1, 0, true, {});
    other.become_home({});
    home.add_peer(2, 1, true, {});
    for (int i = 0; i < 4; ++i) turn();
    std::string group = "g";
    while (home.home_of(wire::Space::group, group) != 0) group += "g";
    for (std::uint32_t index = 0; index < members; ++index) {
        other.register_anonymous({index, 1});
        (void)other.join({index, 1}, {.group = group}, {});
        turn();
        turn();
    }
    home.register_anonymous({3, 1});
    const std::string payload(64, 'x');
    const auto batch = static_cast<int>(state.range(0));
    while (state.KeepRunning()) {
        for (int i = 0; i < batch; ++i) {
            (void)home.broadcast({group, as_bytes(payload), {3, 1}, "1"}, {});
        }
        turn();
        turn();
    }
    state.SetItemsProcessed(state.iterations() * batch);
}
BENCHMARK(by_link)->ArgNames({"batch", "marks"})->ArgsProduct({{1, 32}, {0, 1}});

}  // namespace
}  // namespace wspool
