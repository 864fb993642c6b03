// Offers: the connections that this process passes on to its peers before they are answered, and
// those that peers pass on to it (R44). Pure: records and descriptors come in, what has become of a
// connection comes out. For PeerLinks, which brings the two together with the links.
//
// How it works. The giver keeps descriptor and bytes until it has an answer. `taken` ends its part,
// `declined` and the end of the link without an answer bring the connection back (R39). At the
// receiver record and descriptor meet by token, whichever comes first (R41); the owner then says
// take() or decline(). What was taken is handed out only when `taken` lies completely in the link,
// so that a giver that sees the link end without it knows the connection untouched (R38); or when
// the giver has died, as nobody else has it then (R40). Who ends itself cannot know how far the
// other came: it gives up what is under way, and leaves it to the other. There is no timer:
// both halves are written in one turn of the giver, links are always read, and who does not read is
// ended by the master.
//
// Invariants: 1. at most in_flight_max connections unanswered to a peer, and from a peer. 2. each
// descriptor is in one place: here, or handed out in an event. 3. a connection that was offered
// comes out once: taken or returned; one that came once: arrived, discarded, or declined.
// Ownership: descriptors given to it are its own until an event hands them out.
// Limits: in_flight_max: has_room() says no, and a peer that passes on more is nonsense.
// offer_size_max bytes read of one connection: who has more is not passed on.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "wire/records.h"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <utility>

namespace wspool::link {

// A connection that was released unanswered.
struct Connection {
    int fd = -1;
    ByteBuffer bytes;   // all that was read of it
    Duration waited{};  // since it was accepted
    // Of the seat that it wants, by their numbers, as the giver has read its request.
    std::uint8_t pool = 0;
    std::uint8_t priority = 0;
};

enum class OfferEventKind : std::uint8_t {
    asked,     // a peer offers a connection: answer with take() or decline(), now; of `connection`
               // pool and priority alone
    arrived,   // one that was take()n: it is ours to serve; `connection`
    taken,     // one of ours is the peer's; `connection.fd` is to be closed
    declined,  // one of ours comes back, as the peer does not want it; `connection`
    returned,  // one of ours comes back, as the link has ended; `connection`
    discard,   // of one that came to nothing: `connection.fd` is to be closed
};

struct OfferEvent {
    OfferEventKind kind{};
    wire::Incarnation peer = 0;
    std::uint64_t token = 0;
    Connection connection;
};

class Offers {
  public:
    static constexpr std::size_t in_flight_max = 32;  // to one peer, and from one
    static constexpr std::size_t offer_size_max = 64 * 1024;

    // ---- the giver's part
    [[nodiscard]] bool has_room(wire::Incarnation peer) const {
        return outgoing_to(peer) < in_flight_max;
    }
    // For the message that goes with the descriptor; then the record, if the channel took it.
    [[nodiscard]] std::uint64_t next_token() { return ++last_token_; }
    void offer(wire::Incarnation peer, std::uint64_t token, Connection connection, ByteBuffer& out);

    // ---- the receiver's part, after `asked`
    void take(wire::Incarnation peer, std::uint64_t token, ByteBuffer& out);
    void decline(wire::Incarnation peer,
                 std::uint64_t token,
                 wire::Decline reason,
                 ByteBuffer& out);
    // All that was written for `peer` was given to the link, which had been given so much before.
    void on_handed_over(wire::Incarnation peer, std::uint64_t bytes);
    // The link has written so much of it.
    void on_written(wire::Incarnation peer, std::uint64_t bytes);
    // Whether something that was taken waits for its `taken` to be written.
    [[nodiscard]] bool awaits_writing(wire::Incarnation peer) const;

    // ---- what a peer does. An error is a sentence: the peer speaks nonsense, end its link.
    [[nodiscard]] static bool is_ours(ByteView record);
    // What is to be answered at once goes to `out`.
    [[nodiscard]] Result<void> on_record(wire::Incarnation peer, ByteView record, ByteBuffer& out);
    // `fd` is taken over, also with an error; -1: this process had none left.
    [[nodiscard]] Result<void> on_descriptor(wire::Incarnation peer,
                                             int fd,
                                             ByteView message,
                                             ByteBuffer& out);
    // The link has ended. `is_cut`: by this process, as it ends itself, and the peer may live.
    void on_ended(wire::Incarnation peer, bool is_cut);

    [[nodiscard]] bool has_events() const { return !events_.empty(); }
    [[nodiscard]] bool next(OfferEvent& event);

    // Connections offered and not answered.
    [[nodiscard]] std::size_t outgoing() const { return given_.size(); }
    [[nodiscard]] std::size_t outgoing_to(wire::Incarnation peer) const;
    // Connections that were take()n and have not `arrived`: their places are promised.
    [[nodiscard]] std::size_t arriving() const { return arriving_; }
    void check_invariants() const;

  private:
    struct Given {
        wire::Incarnation peer = 0;
        Connection connection;
    };
    enum class Stage : std::uint8_t {
        half,    // record or descriptor is missing
        asked,   // both are there: the owner has the word
        taken,   // `taken` waits to be handed over to the link
        handed,  // and ends at `position` there
    };
    // Of the receiver, by peer and token.
    struct Coming {
        Stage stage = Stage::half;
        bool has_record = false;
        bool has_message = false;  // of the channel, with a descriptor or without one
        Connection connection;
        std::uint64_t position = 0;
    };
    using Key = std::pair<wire::Incarnation, std::uint64_t>;
    using ComingMap = std::map<Key, Coming>;

    [[nodiscard]] Result<Coming*> half_of(const Key& key);
    void meet(const Key& key, ByteBuffer& out);
    ComingMap::iterator hand_out(ComingMap::iterator at, OfferEventKind kind);
    [[nodiscard]] Result<void> on_offer(wire::Incarnation peer, ByteView record, ByteBuffer& out);
    [[nodiscard]] Result<void> on_answer(wire::Incarnation peer,
                                         std::uint64_t token,
                                         OfferEventKind kind);
    [[nodiscard]] ComingMap::iterator begin_of(wire::Incarnation peer);
    [[nodiscard]] ComingMap::iterator end_of(wire::Incarnation peer);

    std::uint64_t last_token_ = 0;
    std::map<std::uint64_t, Given> given_;  // by token
    std::map<wire::Incarnation, std::size_t> given_to_;
    ComingMap coming_;
    std::size_t arriving_ = 0;
    std::deque<OfferEvent> events_;
};

}  // namespace wspool::link
