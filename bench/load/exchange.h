// Exchange: messages to and from a server under test, and what they cost it.
//
// How it works: a sender writes its `in_flight` messages in one send and, when all answers to them
// are in, writes the next ones. In an echo every connection is a sender and awaits its own
// messages; in a fan-out the first connection sends and all others await every message. Answers are
// counted by their bytes, which are compared with the expected ones in each receiver's first burst.
// All times of a burst start at its send. Limits: a server that answers nothing for 10 s ends the
// program.
#pragma once

#include "base/histogram.h"
#include "load/server_process.h"
#include "ring.h"

#include <cstdint>
#include <string>
#include <vector>

namespace wspool::bench {

struct Window {
    double seconds = 0;
    double messages = 0;
    std::int64_t server_cpu_ns = 0;
    std::int64_t load_cpu_ns = 0;
    Histogram latency_ns;
};

struct ExchangePlan {
    std::string request;  // one message, as the server receives it
    std::string reply;    // one message, as the server sends it
    std::size_t in_flight = 1;
    bool is_fanout = false;
    bool compares = true;  // raw peers answer with the request's bytes, cut to the reply's size
    double warmup_seconds = 0.5;
    double seconds = 1;
};

class Exchange {
  public:
    Exchange(ExchangePlan plan, const std::vector<int>& sockets, const ServerProcess& server);
    [[nodiscard]] Window run();

  private:
    struct Peer {
        int fd = -1;
        std::size_t sent = 0;      // of the burst under way, without the send that is queued
        std::size_t received = 0;  // of the answers to it
        std::int64_t started_ns = 0;
        bool is_blocked = false;   // the rest of the burst waits until there is room
        bool is_compared = false;  // its first answers were the expected ones
    };

    void start_burst(std::size_t index);
    void queue_send(std::size_t index);
    void turn();
    void on_short_send(std::size_t index, int result);
    void on_poll(std::size_t index, int result, bool is_last);
    void receive(std::size_t index);
    void on_received(std::size_t index, std::size_t size);
    void finish_answers(std::size_t index);
    void finish_outstanding();

    ExchangePlan plan_;
    const ServerProcess& server_;
    std::string burst_;
    std::string answers_;
    std::vector<Peer> peers_;
    std::vector<char> scratch_;
    Ring ring_;
    std::size_t bytes_received_ = 0;
    std::size_t members_done_ = 0;  // fan-out: members that have the whole burst
    std::size_t bursts_open_ = 0;
    bool is_stopping_ = false;
    std::int64_t now_ns_ = 0;
    Histogram latency_ns_;
};

}  // namespace wspool::bench
