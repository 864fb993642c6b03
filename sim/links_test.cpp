// Links over the simulated network: latency between the two sockets of a link, short reads and
// writes, deaths at any time, and a client's connection that goes from one process to another.
#include "link/links.h"

#include "link/link_node.h"
#include "session/engine.h"
#include "sim/network.h"
#include "sim/sim_loop.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wspool::sim {
namespace {

using namespace std::chrono_literals;
using link::Heard;
using link::LinkNode;
using link::Peer;

const io::Address gateway{io::Address::Family::ipv4, "10.0.0.1", 80};

Weather rough() {
    Weather weather;
    weather.latency_min = 1us;
    weather.latency_max = 300us;
    weather.buffer_size = 20'000;
    weather.short_read = 0.3;
    weather.short_write = 0.3;
    weather.reset = 0.1;  // of connections; links are spared
    return weather;
}

// Process i is peer i + 1 of the others.
class Cluster {
  public:
    Cluster(std::uint64_t seed, std::size_t count) : network(seed), prng_(seed) {
        network.set_weather(rough());
        for (std::size_t i = 0; i < count; ++i) {
            loops.push_back(std::make_unique<SimLoop>(network, Waiting::yields));
            nodes.push_back(std::make_unique<LinkNode>(*loops[i]));
        }
        for (std::size_t i = 0; i < count; ++i) {
            for (std::size_t j = i + 1; j < count; ++j) join(i, j);
        }
    }

    void join(std::size_t i, std::size_t j) {
        const auto streams = network.make_pair();
        const auto channels = network.make_channel();
        RC_ASSERT(nodes[i]->links().add(j + 1, streams[0], channels[0]).has_value());
        RC_ASSERT(nodes[j]->links().add(i + 1, streams[1], channels[1]).has_value());
    }

    void step() {
        const std::size_t i = prng_.below(nodes.size());
        if (nodes[i] != nullptr) nodes[i]->turn();
        network.advance(network.now() + Duration(static_cast<Duration::rep>(prng_.below(50'000))));
    }

    template <class Done>
    [[nodiscard]] bool run_until(Done done) {
        const Instant limit = network.now() + 10s;
        while (!done()) {
            if (network.now() > limit) return false;
            step();
        }
        return true;
    }

    void kill(std::size_t i) {
        loops[i]->die();
        nodes[i].reset();
    }

    Network network;
    std::vector<std::unique_ptr<SimLoop>> loops;
    std::vector<std::unique_ptr<LinkNode>> nodes;

  private:
    Prng prng_;
};

std::string numbered(std::size_t number, std::size_t size) {
    return std::to_string(number) + std::string(size, 'r');
}

RC_GTEST_PROP(SimLinks, EverybodyHearsEverybodyInOrder, (std::uint64_t seed)) {
    Cluster cluster(seed, 3);
    Prng prng(seed + 1);
    constexpr std::size_t count = 30;
    std::vector<std::string> said;
    for (std::size_t n = 0; n < count; ++n) {
        said.push_back(numbered(n, prng.below(prng.chance(0.1) ? 60'000 : 200)));
        for (std::size_t i = 0; i < 3; ++i) {
            for (Peer peer = 1; peer <= 3; ++peer) {
                if (peer != i + 1) cluster.nodes[i]->say(peer, said[n]);
            }
        }
        if (prng.chance(0.5)) cluster.step();
    }
    const auto all_heard = [&] {
        for (std::size_t i = 0; i < 3; ++i) {
            for (Peer peer = 1; peer <= 3; ++peer) {
                if (peer != i + 1 && cluster.nodes[i]->heard(peer).records.size() < count) {
                    return false;
                }
            }
        }
        return true;
    };
    RC_ASSERT(cluster.run_until(all_heard));
    for (std::size_t i = 0; i < 3; ++i) {
        for (Peer peer = 1; peer <= 3; ++peer) {
            if (peer != i + 1) RC_ASSERT(cluster.nodes[i]->heard(peer).records == said);
        }
    }
}

// R1 to R3: what the kernel had taken of a dead peer's words is heard, up to the last whole record
// and the last descriptor; then its end, once; and nothing is left of it.
RC_GTEST_PROP(SimLinks, ADeathCutsNothingThatWasSaid, (std::uint64_t seed)) {
    Cluster cluster(seed, 2);
    LinkNode& dying = *cluster.nodes[0];
    LinkNode& other = *cluster.nodes[1];
    Prng prng(seed + 1);
    const auto ends = cluster.network.make_pair();
    std::vector<std::string> said;
    std::size_t tokens = 0;
    for (std::uint64_t steps = prng.below(60); steps > 0; --steps) {
        if (prng.chance(0.4)) {
            said.push_back(numbered(said.size(), prng.below(5'000)));
            dying.say(2, said.back());
        }
        if (prng.chance(0.4)) other.say(1, "to who may not read it");
        if (prng.chance(0.3)) {
            const auto outcome =
                dying.links().send_descriptor(2, ends[0], as_bytes(std::to_string(tokens)));
            RC_ASSERT(outcome == io::ChannelSend::sent);
            ++tokens;
        }
        cluster.step();
    }
    dying.links().flush();
    cluster.loops[0]->wait(Instant::min());
    for (const io::ShortSend& send : cluster.loops[0]->short_sends()) {
        dying.links().on_short_send(send);
    }
    dying.links().flush();
    std::uint64_t taken = dying.links().figures().bytes_out;
    cluster.kill(0);
    RC_ASSERT(cluster.run_until([&] { return !other.heard(1).ends.empty(); }));
    const Heard& heard = other.heard(1);
    std::size_t whole = 0;
    while (whole < said.size() && taken >= said[whole].size() + link::record_header_size) {
        taken -= said[whole++].size() + link::record_header_size;
    }
    said.resize(whole);
    RC_ASSERT(heard.records == said);
    RC_ASSERT(heard.descriptors.size() == tokens);
    RC_ASSERT(!heard.spoke_after_its_end);
    for (const int fd : heard.descriptors) cluster.network.discard(fd);
    for (const int fd : ends) cluster.network.discard(fd);
    for (int i = 0; i < 100; ++i) cluster.step();
    RC_ASSERT(heard.ends.size() == 1u);
    RC_ASSERT(cluster.network.open_ends() == 0u);
    RC_ASSERT(cluster.network.held_count() == 0u);
}

// ---- placement

constexpr Peer front_peer = 1;
constexpr Peer back_peer = 2;

// An engine with links; all it does with a client's request is what the test says.
struct Worker {
    explicit Worker(Network& network)
        : loop(network, Waiting::yields), engine(loop, {}, entropy, counters), links(loop, {}) {}

    void turn() {
        links.flush();
        engine.wait(loop.now());
        for (const io::ShortSend& send : engine.foreign_short_sends()) links.on_short_send(send);
        session::Event event;
        while (engine.next(event)) {
            if (event.kind == session::EventKind::stream) {
                links.on_event(*event.stream);
                link::Event told;
                while (links.next(told)) on_link(told);
            } else if (event.kind == session::EventKind::opening && places) {
                place(event.session);
            } else if (event.kind == session::EventKind::opening) {
                engine.accept(event.session, "", 0);
            } else if (event.kind == session::EventKind::message) {
                (void)engine.send(event.session, event.opcode, event.payload);
            }
        }
        engine.check_invariants();
        links.check_invariants();
    }

    void place(session::SessionId session) {
        const auto released = engine.release(session).value();
        ByteBuffer record;
        record.append(link::make_record(as_text(released.bytes.view())));
        links.send(back_peer, record);
        ASSERT_EQ(links.send_descriptor(back_peer, released.fd, as_bytes("token")),
                  io::ChannelSend::sent);
        loop.discard(released.fd);
    }

    void on_link(const link::Event& event) {
        if (event.kind == link::EventKind::record) {
            bytes.emplace().append(event.bytes.subspan(link::record_header_size));
        } else if (event.kind == link::EventKind::descriptor) {
            fd = event.fd;
        }
        // Whichever comes first (R41).
        if (!bytes || fd < 0) return;
        EXPECT_TRUE(engine.adopt(fd, bytes->view()));
        bytes.reset();
        fd = -1;
    }

    SimLoop loop;
    SeededEntropy entropy{1};
    metrics::Counters counters;
    session::Engine engine;
    link::Links links;
    bool places = false;
    std::optional<ByteBuffer> bytes;
    int fd = -1;
};

RC_GTEST_PROP(SimLinks, AClientIsPlacedWithAnotherWorkerAndNoticesNothing, (std::uint64_t seed)) {
    Network network(seed);
    Weather weather = rough();
    weather.reset = 0;
    network.set_weather(weather);
    Worker front(network);
    Worker back(network);
    front.places = true;
    const auto streams = network.make_pair();
    const auto channels = network.make_channel();
    RC_ASSERT(front.links.add(back_peer, streams[0], channels[0]).has_value());
    RC_ASSERT(back.links.add(front_peer, streams[1], channels[1]).has_value());
    RC_ASSERT(front.engine.listen(gateway).has_value());

    SimLoop client_loop(network, Waiting::yields);
    SeededEntropy entropy(2);
    metrics::Counters counters;
    session::Engine client(client_loop, {}, entropy, counters);
    ws::ClientHandshake handshake;
    handshake.host = "gateway";
    handshake.target = "/";
    handshake.key = ws::make_key(entropy);
    RC_ASSERT(client.connect(gateway, handshake, 0).has_value());
    std::string echoed;
    const Instant limit = network.now() + 10s;
    while (echoed.empty() && network.now() < limit) {
        front.turn();
        back.turn();
        client.wait(client_loop.now());
        session::Event event;
        while (client.next(event)) {
            if (event.kind == session::EventKind::opened) {
                (void)client.send(event.session, ws::Opcode::text, as_bytes("hello"));
            } else if (event.kind == session::EventKind::message) {
                echoed = as_text(event.payload);
            }
        }
        network.advance(network.now() + 20us);
    }
    RC_ASSERT(echoed == "hello");
    RC_ASSERT(front.engine.session_count() == 0u);
    RC_ASSERT(back.counters.connections == 1u);
    RC_ASSERT(network.held_count() == 0u);
}

}  // namespace
}  // namespace wspool::sim
