// WorkerBed: a worker and its clients on one thread, over both of the kernel's loops.
#pragma once

#include "worker/worker.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace wspool::worker {

class WorkerBed : public testing::TestWithParam<io::LoopChoice> {
  protected:
    void start(const WorkerOptions& options = {}) {
        server_loop_ = std::move(io::make_loop({GetParam(), {}})->loop);
        client_loop_ = std::move(io::make_loop({GetParam(), {}})->loop);
        worker_.emplace(*server_loop_, options, entropy_);
        clients_.emplace(*client_loop_, session::EngineOptions{}, entropy_, client_counters_);
        address_ = worker_->listen(*io::parse_address("127.0.0.1:0")).value();
    }

    void TearDown() override {
        if (!worker_) return;
        worker_->check_invariants();
        EXPECT_TRUE(worker_->counters().is_conserved());
    }

    bool run_until(const std::function<bool()>& done) {
        const Instant limit = client_loop_->now() + std::chrono::seconds(10);
        while (!done()) {
            if (client_loop_->now() > limit) return false;
            (void)worker_->turn(server_loop_->now() + std::chrono::milliseconds(1));
            clients_->wait(client_loop_->now() + std::chrono::milliseconds(1));
            session::Event event;
            while (clients_->next(event)) on_client(event);
        }
        return true;
    }

    void on_client(const session::Event& event) {
        if (event.kind == session::EventKind::opened) {
            subprotocol_ = event.text;
            ++settled_;
        } else if (event.kind == session::EventKind::message) {
            heard_[event.tag].emplace_back(as_text(event.payload));
        } else if (event.kind == session::EventKind::closed) {
            closed_[event.tag] = event.code;
            reasons_[event.tag] = event.text;
        } else if (event.kind == session::EventKind::failed) {
            refusal_ = event.text;
            ++settled_;
        }
    }

    session::SessionId connect_unanswered(std::uint64_t tag,
                                          std::string target,
                                          std::vector<std::string> subprotocols = {}) {
        ws::ClientHandshake handshake;
        handshake.host = "localhost";
        handshake.target = std::move(target);
        handshake.key = ws::make_key(entropy_);
        handshake.subprotocols = std::move(subprotocols);
        const auto session = clients_->connect(address_, handshake, tag);
        EXPECT_TRUE(session);
        return *session;
    }

    // Connects and waits for the answer; what this client hears is heard_[tag].
    session::SessionId connect(std::uint64_t tag,
                               std::string target,
                               std::vector<std::string> subprotocols = {}) {
        const std::size_t before = settled_;
        const auto session = connect_unanswered(tag, std::move(target), std::move(subprotocols));
        EXPECT_TRUE(run_until([&] { return settled_ > before; }));
        return session;
    }

    void say(session::SessionId session, std::string_view text) {
        (void)clients_->send(session, ws::Opcode::text, as_bytes(text));
    }

    // Says `text` and waits for the next message that this client hears.
    std::string ask(session::SessionId session, std::uint64_t tag, std::string_view text) {
        const std::size_t before = heard_[tag].size();
        say(session, text);
        EXPECT_TRUE(run_until([&] { return heard_[tag].size() > before; })) << text;
        return heard_[tag].size() > before ? heard_[tag][before] : "";
    }

    [[nodiscard]] std::uint64_t closed(metrics::CloseReason reason) const {
        return worker_->counters().connections_closed[static_cast<std::size_t>(reason)];
    }
    [[nodiscard]] std::uint64_t rejected(metrics::RejectReason reason) const {
        return worker_->counters().connections_rejected[static_cast<std::size_t>(reason)];
    }

    SeededEntropy entropy_{5};
    metrics::Counters client_counters_;
    std::unique_ptr<io::Loop> server_loop_, client_loop_;
    std::optional<Worker> worker_;
    std::optional<session::Engine> clients_;
    io::Address address_;
    std::size_t settled_ = 0;
    std::string subprotocol_, refusal_;
    std::map<std::uint64_t, std::vector<std::string>> heard_;
    std::map<std::uint64_t, ws::CloseCode> closed_;
    std::map<std::uint64_t, std::string> reasons_;
};

}  // namespace wspool::worker
