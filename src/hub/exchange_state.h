// What is behind Exchange. Private to hub/: the roles share the names, so they are one state, and
// each role is one file of its methods.
#pragma once

#include "base/chunked_array.h"
#include "base/hash.h"
#include "base/index_table.h"
#include "hub/exchange_roles.h"
#include "wire/records.h"

#include <memory>
#include <string>
#include <vector>

namespace wspool::hub {

struct Exchange::State {
    State(const ExchangeOptions& options_in, Entropy& entropy_in);

    // ---- exchange_names.cpp
    [[nodiscard]] std::uint64_t hash_of(wire::Space space, std::string_view text) const;
    [[nodiscard]] std::uint16_t home_of(std::string_view text) const;
    [[nodiscard]] std::uint32_t find(wire::Space space, std::string_view text) const;
    [[nodiscard]] std::uint32_t find(wire::Space space,
                                     std::string_view text,
                                     std::uint64_t hash) const;
    [[nodiscard]] std::uint32_t find_or_make(wire::Space space, std::string_view text, Instant now);
    [[nodiscard]] std::uint32_t find_or_make(wire::Space space,
                                             std::string_view text,
                                             std::uint64_t hash,
                                             Instant now);
    // Puts a name where it belongs: in use, idle, lingering, or forgotten. After every change that
    // may take something away from it.
    void settle(std::uint32_t index, Instant now);
    void use(std::uint32_t index);  // takes it out of the idle ones
    void forget(std::uint32_t index);
    void forget_idle(Instant now);
    void end_linger(Instant now);
    [[nodiscard]] bool is_idle(const Name& name) const;
    [[nodiscard]] bool is_mine(const Name& name) const { return name.home == options.index; }
    [[nodiscard]] HomePart& part_of(std::uint32_t index);
    void add_member(Session session, std::uint32_t index, bool has_offsets);
    void remove_member(std::uint32_t session, std::size_t slot, Instant now);
    [[nodiscard]] const Membership* membership(Session session, std::uint32_t name) const;
    SessionState& session_state(Session session);
    [[nodiscard]] bool is_known(Session session) const;

    // ---- exchange_messages.cpp: histories and logs
    void push_message(std::uint32_t index, const Message& message, const Passing& passing);
    void trim(std::uint32_t index, Instant now);
    void drop_front(Name& name);
    void touch_history(std::uint32_t index, Instant now);
    void bound_history();
    void set_bounds(const ExchangeOptions& wanted, Instant now);  // in exchange_bounds.cpp
    [[nodiscard]] const HistoryRule* rule_of(const Name& name) const;
    [[nodiscard]] bool keeps(const Name& name) const;  // a history
    void expire_history(Instant now);
    [[nodiscard]] std::uint64_t stable_of(const Name& name) const;
    [[nodiscard]] wire::Entry entry_at(const Name& name, std::size_t i) const;
    [[nodiscard]] std::uint64_t offset_at_stable(const Name& name) const;
    struct ReplayChoice {
        std::uint64_t start = 0;
        bool is_recovered = false;
    };
    [[nodiscard]] ReplayChoice choose_start(Name& name,
                                            const Position* since,
                                            std::uint64_t room,
                                            std::uint64_t floor);
    void replay_from_history(const Name& name,
                             std::uint64_t start,
                             std::uint64_t end,
                             std::uint32_t session);

    // ---- exchange_publish.cpp: publisher's worker
    [[nodiscard]] PublishAnswer publish(const PublishRequest& request,
                                        wire::Kind kind,
                                        Instant now);
    [[nodiscard]] PublishAnswer publish_here(const PublishRequest& request,
                                             wire::Kind kind,
                                             std::uint64_t hash,
                                             Instant now);
    [[nodiscard]] static std::size_t charge_of(std::string_view name,
                                               std::string_view sender_id,
                                               std::size_t payload_size);
    [[nodiscard]] bool has_window(const Upstream& upstream, std::size_t charge) const;
    [[nodiscard]] PublishAnswer park(Upstream& upstream,
                                     const PublishRequest& request,
                                     wire::Kind kind,
                                     Instant now);
    void take(Upstream& upstream,
              const PublishRequest& request,
              std::string_view sender_id,
              wire::Kind kind,
              Instant asked);
    void serve_parked(Upstream& upstream, Instant now);
    void serve_one_parked(Upstream& upstream, const Parked& parked, Instant now);
    [[nodiscard]] Unfinished* unfinished_at(Upstream& upstream, std::uint64_t sequence);
    void answer_publish(Upstream& upstream,
                        std::uint64_t sequence,
                        std::uint64_t s,
                        const Position& position);
    void refuse_publish(Upstream& upstream,
                        std::uint64_t sequence,
                        wire::Refusal code,
                        Instant now);
    void mark_answered(Upstream& upstream, Unfinished& unfinished);
    [[nodiscard]] static std::string_view tag_of(const Upstream& upstream, std::uint64_t sequence);
    void finish(Upstream& upstream, Unfinished& unfinished);
    void pop_finished(Upstream& upstream, Instant now);
    void publishes_stable(Upstream& upstream, Instant now);
    void give_up_old(Upstream& upstream, Instant now);
    [[nodiscard]] Instant wait_deadline(const Upstream& upstream) const;
    [[nodiscard]] wire::SessionNumber number_of(Session session) const;
    [[nodiscard]] std::uint32_t local_index(const wire::SessionNumber& number) const;
    [[nodiscard]] Session local_session(const wire::SessionNumber& number) const;
    [[nodiscard]] std::string_view sender_id_of(Session session);

    // ---- exchange_home.cpp: home
    struct SequencedMessage {
        Position position;
        std::uint64_t s = 0;
        std::uint32_t name = IndexTable::none;
    };
    // Gives the message its place and sends it to everybody but the members here.
    SequencedMessage sequence(const Passing& passing,
                              std::uint32_t index,
                              std::uint32_t charge,
                              Instant now);
    void send_out(const Passing& passing, const SequencedMessage& at);
    void keep_message(const Passing& passing, const SequencedMessage& at, Instant now);
    void sequence_publish(const wire::Publish& publish,
                          wire::Incarnation peer,
                          PeerSlot slot,
                          bool is_live,
                          Instant now);
    void set_sent(PeerState& peer, std::uint64_t s);
    void set_got(PeerState& peer, std::uint64_t s);
    [[nodiscard]] bool is_opening_processed() const;
    void update_stable(Instant now);
    void on_stable_here(Instant now);
    [[nodiscard]] bool has_target(std::string_view id) const;

    // ---- exchange_join.cpp: join and leave, both sides
    [[nodiscard]] JoinAnswer join(Session session, const JoinRequest& request, Instant now);
    [[nodiscard]] JoinAnswer join_here(Session session,
                                       std::uint32_t index,
                                       const JoinRequest& request,
                                       Instant now);
    void ask(Upstream& upstream, PendingJoin pending, Instant now);
    void send_join(Upstream& upstream, PendingJoin pending);
    void send_held_back(Upstream& upstream, Instant now);
    void give_up_joins(Upstream& upstream, Instant now);
    void drop_pending(const PendingJoin& pending, Instant now);
    bool leave(Session session, std::string_view group, Instant now);
    void send_leave(const Name& name, const wire::SessionNumber& session);
    [[nodiscard]] Result<void> on_joined(Upstream& upstream,
                                         const wire::Joined& joined,
                                         Instant now);
    [[nodiscard]] Result<void> receive_joined(Upstream& upstream,
                                              std::uint32_t index,
                                              const wire::Joined& joined,
                                              Instant now);
    void on_join(PeerSlot slot, const wire::Join& join, Instant now);
    void serve_joins(std::uint32_t index, Instant now);
    void serve_waiting(Instant now);
    void wait_for_stable(std::uint32_t index);
    void answer_join(std::uint32_t index, const WaitingJoin& join, Instant now);
    void write_joined(std::uint32_t index, PeerSlot slot, const wire::Joined& head);
    void on_leave(PeerSlot slot, const wire::Leave& leave, Instant now);
    [[nodiscard]] static bool has_interest(const HomePart& part, PeerSlot slot);
    static void add_interest(HomePart& part, PeerSlot slot);
    static void remove_interest(HomePart& part, PeerSlot slot);

    // ---- exchange_ids.cpp: directory
    [[nodiscard]] RegisterOutcome register_id(Session session, std::string_view id, Instant now);
    void register_anonymous(Session session);
    void hold(Session session);
    void on_id_joined(const PendingJoin& pending, const wire::Joined& joined, Instant now);
    void settle_id(Name& name, std::uint32_t index, Instant now);
    void on_evict(const wire::Evict& evict);
    void on_check(const wire::Check& check);
    void held(Session session, std::uint64_t question);
    void remove(Session session, Instant now);
    void give_up_id(Session session, Instant now);
    void on_register(PeerSlot slot, const wire::Join& join, Instant now);
    void add_register(std::uint32_t index, const WaitingRegister& waiting, Instant now);
    void serve_registers(std::uint32_t index, Instant now);
    [[nodiscard]] bool serve_register(std::uint32_t index, WaitingRegister& waiting);
    void grant(std::uint32_t index, const WaitingRegister& waiting);
    void refuse_register(const WaitingRegister& waiting);
    [[nodiscard]] bool has_other_holders(const Name& name,
                                         const wire::SessionNumber& session) const;
    void ask_holders(const Name& name, WaitingRegister& waiting);
    void on_held(PeerSlot slot,
                 const wire::SessionNumber& session,
                 std::string_view id,
                 std::uint64_t question);
    void drop_holder(std::uint32_t index,
                     PeerSlot slot,
                     const wire::SessionNumber& session,
                     Instant now);
    template <class Visit>
    void for_each_holder_here(std::string_view id, Visit visit) const {
        (void)ids.find(sip_hash(id, options.key), [&](std::uint32_t session) {
            ClientId::TextBuffer buffer;
            if (sessions[session].id.text(buffer) == id) visit(session);
            return false;
        });
    }
    [[nodiscard]] bool is_held_here(std::string_view id) const;

    // ---- exchange_peers.cpp: who is there; records are dispatched
    [[nodiscard]] PeerSlot slot_of(wire::Incarnation peer) const;
    void add_peer(wire::Incarnation incarnation, std::uint16_t index, bool is_home, Instant now);
    void set_home(PeerSlot slot, Instant now);
    void on_peer_ended(wire::Incarnation incarnation, Instant now);
    void forget_peer_at_home(PeerSlot slot, Instant now);
    [[nodiscard]] Result<void> on_record(PeerSlot slot, ByteView record_in, Instant now);
    [[nodiscard]] Result<void> defer(PeerSlot slot, ByteView record_in);
    [[nodiscard]] Result<void> on_record_for_home(wire::Incarnation peer,
                                                  PeerSlot slot,
                                                  wire::RecordType type,
                                                  ByteView record_in,
                                                  bool is_live,
                                                  Instant now);
    [[nodiscard]] Result<void> on_record_from_home(Upstream& upstream,
                                                   wire::RecordType type,
                                                   ByteView record_in,
                                                   Instant now);
    [[nodiscard]] Result<void> on_deliver(Upstream& upstream,
                                          const wire::Deliver& deliver,
                                          Instant now);
    void process(Upstream& upstream, std::uint64_t s);
    [[nodiscard]] bool log_entry(Upstream& upstream,
                                 std::uint32_t index,
                                 const wire::Entry& entry,
                                 Instant now);
    void on_stable(Upstream& upstream, std::uint64_t s, Instant now);
    void flush(Instant now);
    template <class Record>
    void send(PeerSlot slot, const Record& record_out) {
        if (slot < peers.size() && peers[slot]->incarnation != 0) {
            wire::encode(peers[slot]->out, record_out);
        }
    }

    // ---- exchange_recover.cpp: a home has ended, seen from the others
    void lose(Upstream& upstream);
    void announce(Upstream& upstream, PeerSlot slot, Instant now);
    void announce_names(const Upstream& upstream);
    void announce_resends(Upstream& upstream);
    [[nodiscard]] Result<void> on_opened(Upstream& upstream,
                                         const wire::Opened& opened,
                                         Instant now);
    void reopen_name(const Upstream& upstream, const wire::OpenedName& opened);
    void take_s_from_log(Upstream& upstream);

    // ---- exchange_opening.cpp: a home begins
    struct Merge;
    void become_home(Instant now);
    [[nodiscard]] Result<void> on_announcement(PeerSlot slot,
                                               wire::RecordType type,
                                               ByteView record_in,
                                               Instant now);
    [[nodiscard]] Result<void> on_late_announcement(PeerSlot slot,
                                                    wire::RecordType type,
                                                    ByteView record_in,
                                                    Instant now);
    void check_barrier(Instant now);
    void open(Instant now);
    void collect(Merge& merge, Instant now);
    void collect_name(Merge& merge,
                      PeerSlot slot,
                      const wire::AnnounceName& announced,
                      Instant now);
    void collect_entry(Merge& merge, const wire::AnnounceEntry& announced, Instant now);
    void merge_names(Merge& merge);
    void log_merged(Merge& merge, Instant now);
    void send_opened(const Merge& merge);
    void send_missing(const Merge& merge);
    void serve_resends(const Merge& merge, Instant now);
    void serve_deferred(Instant now);
    void serve_own(Instant now);
    void serve_own_publishes(Instant now);
    [[nodiscard]] bool serve_own_join();

    // ---- exchange_actions.cpp
    [[nodiscard]] Queued::Part keep(std::string_view text);
    [[nodiscard]] Queued::Part keep(ByteView bytes) { return keep(as_text(bytes)); }
    Queued& queue(ActionKind kind);
    void queue_deliver(const Passing& passing,
                       std::uint32_t name,
                       const Position& position,
                       bool is_live);
    void queue_published(Session session, std::string_view tag, const Position& position);
    void queue_refused(Session session,
                       std::string_view tag,
                       std::string_view group,
                       wire::Refusal refusal);
    void queue_session(ActionKind kind, Session session, std::uint64_t question = 0);
    [[nodiscard]] bool next_action(Action& action);
    [[nodiscard]] bool fill(const Queued& queued, Action& action);
    [[nodiscard]] bool fill_deliver(const Queued& queued, Action& action);
    void fill_replay(const Queued& queued, Action& action);
    [[nodiscard]] std::span<const Member> members_of_id(std::string_view id);
    [[nodiscard]] std::string_view kept(Queued::Part part) const {
        return as_text(arena.view().subspan(part.begin, part.size));
    }
    [[nodiscard]] Instant next_deadline() const;
    void on_time(Instant now);
    [[nodiscard]] ExchangeFigures figures() const;

    // ---- exchange_check.cpp
    void check_invariants() const;
    void check_memberships() const;
    void check_windows() const;
    void check_messages() const;
    void check_ids() const;
    void check_stable() const;
    [[nodiscard]] bool is_at_rest() const;

    [[nodiscard]] Upstream& own() { return upstreams[options.index]; }
    [[nodiscard]] std::uint16_t index_of(const Upstream& upstream) const {
        return static_cast<std::uint16_t>(&upstream - upstreams.data());
    }
    // Sequences here and now.
    [[nodiscard]] bool serves(std::uint16_t index) const {
        return index == options.index && home.phase == HomePhase::open;
    }

    ExchangeOptions options;
    Entropy& entropy;
    MakePrefix make_prefix = nullptr;

    ChunkedArray<Name> names;
    IndexPool name_pool;
    IndexTable by_text;
    NameList<&Name::idle> idle;                       // homed here
    NameList<&Name::idle> lingering;                  // homed elsewhere
    std::vector<NameList<&Name::history>> histories;  // by rule
    std::size_t history_bytes = 0;
    std::size_t history_messages = 0;
    std::size_t log_bytes = 0;  // of all logs
    std::size_t groups_homed = 0;
    std::size_t groups_with_members = 0;

    ChunkedArray<SessionState> sessions;
    IndexTable ids;  // of sessions that hold theirs

    std::vector<std::unique_ptr<PeerState>> peers;
    std::vector<Upstream> upstreams;  // by index
    Home home;

    ByteBuffer record{};  // the publish being encoded
    std::vector<Queued> actions;
    std::size_t actions_taken = 0;
    ByteBuffer arena{};
    std::vector<Replay> replay;
    std::vector<Member> id_members;
    ClientId::TextBuffer id_buffer{};
    ExchangeFigures totals;  // only the *_total ones
};

}  // namespace wspool::hub
