// One exchange between a peer that sends any records whatever and clients that do anything: no
// invariant may break. Bytes choose what happens and fill the records' fields.
#include "base/assert.h"
#include "hub/exchange.h"
#include "wire/records.h"

#include <array>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>

namespace {

using namespace wspool;

constexpr std::array<std::string_view, 6> names = {"a", "b", "c", "d", "e", "f"};

// Fills the fields of a record from bytes; mostly with small values, so that they meet.
class Filler {
  public:
    explicit Filler(ByteView bytes) : rest_(bytes) {}
    [[nodiscard]] bool is_empty() const { return rest_.empty(); }
    [[nodiscard]] std::uint8_t byte() {
        if (rest_.empty()) return 0;
        const auto value = std::to_integer<std::uint8_t>(rest_.front());
        rest_ = rest_.subspan(1);
        return value;
    }
    template <std::unsigned_integral Number>
    void number(Number& value) {
        const std::uint8_t raw = byte();
        value = raw >= 250 ? static_cast<Number>(std::numeric_limits<Number>::max() - (255u - raw))
                           : Number{raw};
    }
    void place(std::uint64_t& value) {
        const std::uint8_t raw = byte();
        value = raw >= 250 ? wire::place_max - (255u - raw) : raw;
    }
    void flag(bool& value) { value = (byte() & 1) != 0; }
    template <class Choice>
    void choice(Choice& value, Choice last) {
        value = static_cast<Choice>(byte() % (static_cast<int>(last) + 1));
    }
    void name(std::string_view& value) { value = names[byte() % names.size()]; }
    void text(std::string_view& value) { value = names[byte() % names.size()]; }
    void bytes(ByteView& value) { value = as_bytes(names[byte() % names.size()]); }

  private:
    ByteView rest_;
};

class Fuzz {
  public:
    explicit Fuzz(ByteView bytes) : filler_(bytes), entropy_(1) {
        hub::ExchangeOptions options;
        options.index_count = 2;
        options.window_records = 3;
        options.history[0].messages = 3;
        options.duplicate_id = static_cast<hub::DuplicateId>(filler_.byte() % 3);
        exchange_ = std::make_unique<hub::Exchange>(options, entropy_);
        if ((filler_.byte() & 1) != 0) meet();
        exchange_->become_home(now_);
        if (peer_ == 0) meet();
    }

    void run() {
        while (!filler_.is_empty()) {
            step();
            drain();
            exchange_->check_invariants();
        }
    }

  private:
    void meet() {
        peer_ = ++last_peer_;
        exchange_->add_peer(peer_, 1, true, now_);
    }
    void part() {
        exchange_->on_peer_ended(peer_, now_);
        drain();
        exchange_->check_invariants();
        meet();
    }
    void drain() {
        hub::Action action;
        while (exchange_->next_action(action)) {
            if (action.kind == hub::ActionKind::evict) remove(action.session);
            if (action.kind == hub::ActionKind::rejected) ++generations_.at(action.session.index);
        }
        if (ByteBuffer* out = exchange_->outgoing(peer_)) out->clear();
    }

    void remove(hub::Session session) {
        exchange_->remove(session, now_);
        ++generations_.at(session.index);
    }

    template <class Record>
    void hear() {
        Record record;
        Record::fields(filler_, record);
        out_.clear();
        wire::encode(out_, record);
        hear_out();
    }
    template <class Writer, class Record, class Item>
    void hear_list() {
        Record record;
        Record::fields(filler_, record);
        record.count = 0;
        if constexpr (requires { record.entries; }) {
            record.entries = {};
        } else {
            record.names = {};
        }
        out_.clear();
        Writer writer(out_, record);
        for (int left = filler_.byte() % 4; left > 0; --left) {
            Item item;
            Item::fields(filler_, item);
            writer.add(item);
        }
        writer.finish();
        hear_out();
    }
    void hear_out() {
        const auto result = exchange_->on_record(peer_, out_.view(), now_);
        drain();
        if (!result) part();
    }

    void step() {
        const std::uint32_t index = filler_.byte() % 4u;
        const hub::Session session{index, generations_.at(index)};
        const std::string_view name = names[filler_.byte() % names.size()];
        switch (filler_.byte() % 26) {
            case 0:
                return hear<wire::Publish>();
            case 1:
                return hear<wire::Refused>();
            case 2:
                return hear<wire::Deliver>();
            case 3:
                return hear<wire::Sequenced>();
            case 4:
                return hear<wire::Got>();
            case 5:
                return hear<wire::Stable>();
            case 6:
                return hear<wire::Join>();
            case 7:
                return hear_list<wire::JoinedWriter, wire::Joined, wire::Entry>();
            case 8:
                return hear<wire::Leave>();
            case 9:
                return hear<wire::Evict>();
            case 10:
                return hear<wire::Check>();
            case 11:
                return hear<wire::Held>();
            case 12:
                return hear<wire::Announce>();
            case 13:
                return hear<wire::AnnounceName>();
            case 14:
                return hear<wire::AnnounceEntry>();
            case 15:
                return hear<wire::AnnounceResend>();
            case 16:
                return hear<wire::Announced>();
            case 17:
                return hear_list<wire::OpenedWriter, wire::Opened, wire::OpenedName>();
            case 18:
                return part();
            default:
                return step_client(session, name);
        }
    }

    void step_client(hub::Session session, std::string_view name) {
        const bool is_new = known_.at(session.index) != session.generation;
        if (is_new) {
            known_.at(session.index) = session.generation;
            if ((filler_.byte() & 1) != 0) {
                exchange_->register_anonymous(session);
            } else {
                (void)exchange_->register_id(session, name, now_);
            }
            return;
        }
        switch (filler_.byte() % 7) {
            case 0: {
                hub::JoinRequest request{.group = name};
                if ((filler_.byte() & 1) != 0) request.since = hub::Position{filler_.byte(), 1};
                request.room = filler_.byte();
                (void)exchange_->join(session, request, now_);
                return;
            }
            case 1:
                (void)exchange_->leave(session, name, now_);
                return;
            case 2:
                (void)exchange_->broadcast({name, as_bytes(name), session, name}, now_);
                return;
            case 3:
                (void)exchange_->direct(
                    {name, as_bytes(name), session, name}, wire::Kind::direct, now_);
                return;
            case 4:
                return remove(session);
            case 5:
                now_ += std::chrono::milliseconds(100) * filler_.byte();
                exchange_->on_time(now_);
                return;
            default:
                exchange_->flush(now_);
        }
    }

    Filler filler_;
    SeededEntropy entropy_;
    std::unique_ptr<hub::Exchange> exchange_;
    Instant now_{};
    wire::Incarnation last_peer_ = 1;
    wire::Incarnation peer_ = 0;
    std::array<std::uint32_t, 4> generations_ = {1, 1, 1, 1};
    std::array<std::uint32_t, 4> known_{};
    ByteBuffer out_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Fuzz(std::as_bytes(std::span(data, size))).run();
    return 0;
}
