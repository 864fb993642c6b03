// What is behind Worker. Private to worker/.
#pragma once

#include "hub/directory.h"
#include "hub/hub.h"
#include "protocol/message.h"
#include "worker/worker.h"

#include <optional>
#include <string_view>
#include <vector>

namespace wspool::worker {

// What the worker knows about one session, under the session's index.
struct Client {
    session::SessionId session;
    hub::Memberships memberships;
    std::uint32_t bad_messages = 0;
    bool is_active = false;  // admitted, and neither closed nor replaced
    bool is_echo = false;    // on the raw echo endpoint: in no directory, in no group
};

struct Worker::State {
    State(io::Loop& loop, const WorkerOptions& options_in, Entropy& entropy);

    // ---- worker.cpp: who comes and goes
    void handle(const session::Event& event);
    void on_opening(const session::Event& event);
    void on_plain(const session::Event& event);
    // The id asked for; nothing when the request was refused. Empty: anonymous.
    [[nodiscard]] std::optional<std::string> identify(const session::Event& event);
    [[nodiscard]] bool make_way(const session::Event& event, std::string_view id);
    void admit(const session::Event& event, std::string_view id, bool is_echo);
    void deactivate(Client& client);
    void refuse(const session::Event& event,
                int status,
                std::string_view body,
                metrics::RejectReason reason);
    [[nodiscard]] Instant drain_step();

    // ---- router.cpp: what is said
    void on_message(const session::Event& event);
    void on_bad_message(Client& client, protocol::ParseOutcome outcome);
    void join(Client& client);
    void leave(Client& client);
    void broadcast(Client& client);
    void fan_out(const Client& sender, const hub::Hub::Publication& publication);
    void direct(Client& client);
    void answer(Client& client);  // sends `scratch`
    void answer_error(Client& client, std::string_view code, std::string_view sentence);

    WorkerOptions options;
    metrics::Counters counters;
    session::Engine engine;
    hub::Hub hub;
    hub::Directory directory;
    protocol::Parser parser;
    Prng jitter;
    ChunkedArray<Client> clients;

    protocol::ClientMessage message;  // the one being routed
    ByteBuffer scratch;               // the answer being written
    std::vector<std::uint64_t> readable;

    bool is_draining = false;
    Instant drain_started{};
    std::vector<session::SessionId> to_drain;  // from the back
    std::size_t drain_count = 0;
};

inline constexpr std::string_view subprotocol_name = "wspool.v1";

}  // namespace wspool::worker
