#include "sim/sim_loop.h"

#include "io/loop_contract.h"

#include <cerrno>
#include <numeric>

namespace wspool::sim {
namespace {

using namespace std::chrono_literals;

const io::Address any_port{io::Address::Family::ipv4, "10.0.0.1", 0};

class SimBed final : public io::LoopBed {
  public:
    explicit SimBed(const Weather& weather) : network_(7), loop_(network_, Waiting::blocks) {
        network_.set_weather(weather);
    }
    io::Loop& loop() override { return loop_; }
    io::Address listen_address() override { return any_port; }
    io::Address dead_address() override { return {io::Address::Family::ipv4, "10.0.0.99", 1}; }
    std::array<int, 2> socket_pair() override { return network_.make_pair(); }
    std::array<int, 2> channel_pair() override { return network_.make_channel(); }
    std::pair<int, io::Address> listening_socket() override {
        io::Address address = any_port;
        const int fd = network_.open_listener(address);
        return {fd, address};
    }
    int duplicate(int fd) override { return network_.duplicate(fd); }

  private:
    Network network_;
    SimLoop loop_;
};

std::unique_ptr<io::LoopBed> calm_bed() {
    return std::make_unique<SimBed>(Weather{});
}

// What TCP does to streams without breaking them. Short enough that what was sent twenty turns ago
// has arrived: the suite takes that for granted.
std::unique_ptr<io::LoopBed> rough_bed() {
    Weather weather;
    weather.latency_min = 1us;
    weather.latency_max = 60us;
    weather.buffer_size = 150'000;
    weather.short_read = 0.3;
    weather.stall = 0.1;
    weather.stall_max = 40us;
    return std::make_unique<SimBed>(weather);
}

}  // namespace
}  // namespace wspool::sim

namespace wspool::io {

INSTANTIATE_TEST_SUITE_P(Sim,
                         LoopContract,
                         testing::Values(LoopBedFactory{"calm", &sim::calm_bed},
                                         LoopBedFactory{"rough", &sim::rough_bed}),
                         loop_bed_name);
INSTANTIATE_TEST_SUITE_P(Sim,
                         LoopContractDeathTest,
                         testing::Values(LoopBedFactory{"calm", &sim::calm_bed}),
                         loop_bed_name);

}  // namespace wspool::io

namespace wspool::sim {
namespace {

// Two ends through one blocking loop, in the weather given.
struct World {
    explicit World(const Weather& weather, std::uint64_t seed = 1)
        : network(seed), loop(network, Waiting::blocks), driver(loop) {
        EXPECT_TRUE(driver.listen(any_port));
        network.set_weather(weather);
    }
    Network network;
    SimLoop loop;
    io::LoopDriver driver;
};

TEST(SimLoop, ShortWritesLoseAndExchangeNothing) {
    EXPECT_TRUE(rc::check([](std::uint64_t seed) {
        Weather weather;
        weather.latency_max = 1ms;
        weather.short_write = 0.5;
        weather.short_read = 0.5;
        weather.buffer_size = 5'000;
        World world(weather, seed);
        const auto [client, server] = world.driver.pair();
        std::string text(40'000, '\0');
        std::iota(text.begin(), text.end(), '\0');
        world.driver.write(*client, text);
        RC_ASSERT(
            world.driver.until([&, s = server] { return s->received.size() == text.size(); }));
        RC_ASSERT(server->received == text);
        RC_ASSERT(client->short_sends > 0u);
    }));
}

TEST(SimLoop, AConnectIsRefusedInThatWeather) {
    Weather weather;
    weather.refuse = 1;
    World world(weather);
    io::Side* client = world.driver.connect(world.driver.listen_address);
    ASSERT_TRUE(world.driver.until([&] { return !client->failures.empty(); }));
    EXPECT_EQ(client->failures[0], ECONNREFUSED);
    EXPECT_TRUE(world.driver.accepted.empty());
}

TEST(SimLoop, AResetByTheWeatherFailsBothEnds) {
    World world(Weather{});
    const auto [client, server] = world.driver.pair();
    Weather weather;
    weather.reset = 1;
    world.network.set_weather(weather);
    world.driver.write(*client, "never read");
    ASSERT_TRUE(world.driver.until(
        [c = client, s = server] { return !c->failures.empty() && !s->failures.empty(); }));
    EXPECT_TRUE(world.loop.was_disturbed(client->id));
}

TEST(SimLoop, AVanishedConnectionTellsNobody) {
    World world(Weather{});
    const auto [client, server] = world.driver.pair();
    Weather weather;
    weather.vanish = 1;
    world.network.set_weather(weather);
    world.driver.write(*client, "into the void");
    world.driver.turn(1ms);
    world.driver.close(*client, io::CloseMode::reset);
    world.driver.turn(60s);
    EXPECT_TRUE(server->received.empty());
    EXPECT_TRUE(server->failures.empty());
    EXPECT_EQ(server->ends, 0);
}

TEST(SimLoop, ClosingWithUnreadBytesResetsThePeer) {
    World world(Weather{});
    const auto [client, server] = world.driver.pair();
    world.loop.pause(server->id);
    world.driver.write(*client, "unread");
    world.driver.turn(1ms);
    world.driver.write(*server, "destroyed on its way");
    world.driver.close(*server);
    ASSERT_TRUE(world.driver.until([c = client] { return !c->failures.empty(); }));
    EXPECT_EQ(client->failures[0], ECONNRESET);
}

TEST(SimLoop, SendingToWhoHasClosedBringsAReset) {
    World world(Weather{});
    const auto [client, server] = world.driver.pair();
    world.driver.close(*server);
    world.driver.turn(1ms);
    world.driver.write(*client, "too late");
    EXPECT_TRUE(world.driver.until([c = client] { return !c->failures.empty(); }));
}

TEST(SimLoop, WithoutADescriptorTheConnectionIsAnsweredAndClosed) {
    Network network(1);
    SimLoop loop(network, Waiting::blocks);
    io::LoopDriver driver(loop);
    io::ListenOptions options;
    options.refusal = "full";
    ASSERT_TRUE(driver.listen(any_port, options));
    Weather weather;
    weather.no_descriptors = 0.7;
    network.set_weather(weather);
    for (int i = 0; i < 50; ++i) ASSERT_NE(driver.connect(driver.listen_address), nullptr);
    std::deque<io::Side>& sides = driver.sides;
    ASSERT_TRUE(driver.until([&] {
        const auto refused = std::count_if(sides.begin(), sides.end(), [](const io::Side& side) {
            return side.received == "full" && side.ends == 1;
        });
        return static_cast<std::size_t>(refused) + driver.accepted.size() == 50;
    }));
    EXPECT_GT(driver.refusals, 0);
    EXPECT_GT(driver.pauses, 0);
    EXPECT_GT(driver.accepted.size(), 0u);
}

TEST(SimLoop, AWatchedDescriptorIsReadableUntilItIsNot) {
    Network network(1);
    SimLoop loop(network, Waiting::blocks);
    io::LoopDriver driver(loop);
    ASSERT_TRUE(loop.watch(5, 77));
    loop.set_readable(5, true);
    driver.turn(1ms);
    driver.turn(1ms);
    EXPECT_EQ(driver.readable, (std::vector<std::uint64_t>{77, 77}));
    loop.set_readable(5, false);
    driver.turn(1ms);
    EXPECT_EQ(driver.readable.size(), 2u);
}

TEST(SimLoop, AYieldingLoopNeverMovesTheTimeAndSaysWhenItsTurnIs) {
    Network network(1);
    SimLoop loop(network, Waiting::yields);
    const Instant start = network.now();
    loop.wait(start + 5s);
    EXPECT_EQ(network.now(), start);
    EXPECT_EQ(loop.next_turn_time(), start + 5s);
    ASSERT_TRUE(loop.watch(1, 0));
    loop.set_readable(1, true);
    EXPECT_EQ(loop.next_turn_time(), start);
}

TEST(SimLoop, EveryEndIsAccountedFor) {
    World world(Weather{});
    auto first = world.driver.pair();
    auto second = world.driver.pair();
    EXPECT_EQ(world.network.open_ends(), 4u);
    EXPECT_EQ(world.loop.open_count(), 5u);
    world.driver.close(*first.client);
    world.driver.close(*first.server, io::CloseMode::reset);
    world.driver.close(*second.server);
    world.driver.turn(1ms);
    EXPECT_EQ(world.network.open_ends(), 1u);
    EXPECT_EQ(world.loop.open_count(), 2u);
}

TEST(Network, EventsOfOneInstantHappenInTheOrderOfTheirScheduling) {
    Network network(1);
    std::string order;
    const Instant at = network.now() + 1s;
    network.schedule(at, [&] { order += 'b'; });
    network.schedule(at - 1ms, [&] {
        order += 'a';
        network.schedule(at, [&] { order += 'd'; });
    });
    network.schedule(at, [&] { order += 'c'; });
    network.advance(at);
    EXPECT_EQ(order, "abcd");
    EXPECT_EQ(network.now(), at);
}

}  // namespace
}  // namespace wspool::sim
