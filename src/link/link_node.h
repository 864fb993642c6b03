// LinkNode: one process with links, for the tests over every loop: plays the owner's turn and notes
// what it is told. Tests only.
#pragma once

#include "base/bytes.h"
#include "link/links.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::link {

// A record whose content is `text`.
inline std::string make_record(std::string_view text, std::uint8_t type = 7) {
    const auto size = static_cast<std::uint32_t>(text.size() + record_header_size);
    std::string record;
    for (int shift = 0; shift < 32; shift += 8) record += static_cast<char>(size >> shift & 0xff);
    record += static_cast<char>(type);
    record += static_cast<char>(record_version);
    record.append(2, '\0');
    return record.append(text);
}

// What a node was told of one peer.
struct Heard {
    std::vector<std::string> records;  // without their headers
    std::vector<std::string> messages;
    std::vector<int> descriptors;
    std::vector<std::string> ends;
    bool spoke_after_its_end = false;
};

class LinkNode {
  public:
    explicit LinkNode(io::Loop& loop, const LinkOptions& options = {})
        : loop_(loop), links_(loop, options) {}

    [[nodiscard]] Links& links() { return links_; }
    [[nodiscard]] io::Loop& loop() { return loop_; }
    [[nodiscard]] Heard& heard(Peer peer) { return heard_[peer]; }

    void say(Peer peer, std::string_view text) { outbox_[peer].append(make_record(text)); }
    void say_raw(Peer peer, std::string_view bytes) { outbox_[peer].append(bytes); }

    void turn(Duration limit = Duration::zero()) {
        for (auto& [peer, records] : outbox_) {
            if (!records.empty()) links_.send(peer, records);
            EXPECT_TRUE(records.empty());
        }
        links_.flush();
        loop_.wait(links_.wants_turn() ? Instant::min() : loop_.now() + limit);
        for (const io::ShortSend& send : loop_.short_sends()) links_.on_short_send(send);
        io::Event event{};
        pull();
        while (loop_.next_event(event)) {
            EXPECT_NE(event.owner & owner_bit, 0u);
            links_.on_event(event);
            pull();
        }
        links_.check_invariants();
    }

  private:
    void pull() {
        Event event;
        while (links_.next(event)) {
            Heard& heard = heard_[event.peer];
            heard.spoke_after_its_end = heard.spoke_after_its_end || !heard.ends.empty();
            switch (event.kind) {
                case EventKind::record:
                    heard.records.emplace_back(as_text(event.bytes.subspan(record_header_size)));
                    break;
                case EventKind::descriptor:
                    heard.messages.emplace_back(as_text(event.bytes));
                    heard.descriptors.push_back(event.fd);
                    break;
                case EventKind::ended:
                    heard.ends.emplace_back(event.text);
                    break;
            }
        }
    }

    io::Loop& loop_;
    Links links_;
    std::map<Peer, Heard> heard_;
    std::map<Peer, ByteBuffer> outbox_;
};

}  // namespace wspool::link
