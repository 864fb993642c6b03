#include "sim/sim_loop.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace wspool::sim {

namespace {

// A system call takes some time too; without it, turns that do not wait would stop the world.
constexpr Duration turn_cost = std::chrono::microseconds(5);
constexpr Duration accept_rest = std::chrono::milliseconds(100);

}  // namespace

SimLoop::SimLoop(Network& network, Waiting waiting)
    : network_(network),
      waiting_(waiting),
      now_(network.now()),
      scratch_(io::receive_max + io::receive_slack) {}

// ---- slots

io::StreamId SimLoop::make(Kind kind, std::uint64_t owner) {
    std::uint32_t index = 0;
    if (free_.empty()) {
        index = static_cast<std::uint32_t>(slots_.size());
        slots_.emplace_back();
    } else {
        index = free_.back();
        free_.pop_back();
    }
    Slot fresh;
    fresh.generation = slots_[index].generation;
    fresh.is_queued = slots_[index].is_queued;
    fresh.kind = kind;
    fresh.owner = owner;
    slots_[index] = std::move(fresh);
    ++open_count_;
    return {index, slots_[index].generation};
}

const SimLoop::Slot* SimLoop::find(io::StreamId stream) const {
    if (stream.index >= slots_.size()) return nullptr;
    const Slot& slot = slots_[stream.index];
    return slot.kind != Kind::unused && slot.generation == stream.generation ? &slot : nullptr;
}

SimLoop::Slot* SimLoop::find(io::StreamId stream) {
    return const_cast<Slot*>(std::as_const(*this).find(stream));
}

Result<io::StreamId> SimLoop::listen(const io::Address& address,
                                     const io::ListenOptions& options,
                                     std::uint64_t owner) {
    if (options.tls != nullptr) return io::refuse_tls();
    const io::StreamId id = make(Kind::listener, owner);
    Slot& slot = slots_[id.index];
    slot.address = address;
    slot.refusal = options.refusal;
    slot.queue = network_.listen(slot.address, *this, id.index);
    if (slot.queue == nullptr) {
        retire(id);
        return fail("The simulated address is taken; listen on another.", EADDRINUSE);
    }
    return id;
}

io::StreamId SimLoop::make_stream(LinkRef link, int side, std::uint64_t owner) {
    const io::StreamId id = make(Kind::stream, owner);
    Slot& slot = slots_[id.index];
    slot.link = std::move(link);
    slot.side = side;
    slot.end().loop = this;
    slot.end().index = id.index;
    enqueue(id.index);
    return id;
}

Result<io::StreamId> SimLoop::adopt(int fd, std::uint64_t owner) {
    const Held* known = network_.find(fd);
    if (known == nullptr || !known->link) {
        return fail("The descriptor is no connected stream.", EINVAL);
    }
    const Held held = *network_.take(fd);
    // Whoever waited for room is not the one who has it now.
    held.link->ends[static_cast<std::size_t>(held.side)].wants_room = false;
    return make_stream(held.link, held.side, owner);
}

Result<io::StreamId> SimLoop::adopt_listener(int fd,
                                             const io::ListenOptions& options,
                                             std::uint64_t owner) {
    if (options.tls != nullptr) return io::refuse_tls();
    const Held* known = network_.find(fd);
    if (known == nullptr || !known->queue) {
        return fail("The descriptor is no listening socket.", EINVAL);
    }
    const Held held = *network_.take(fd);
    const io::StreamId id = make(Kind::listener, owner);
    Slot& slot = slots_[id.index];
    slot.refusal = options.refusal;
    slot.queue = held.queue;
    slot.address = slot.queue->address;
    slot.queue->places.push_back({this, id.index});
    enqueue(id.index);
    return id;
}

Result<int> SimLoop::release(io::StreamId stream) {
    Slot* slot = find(stream);
    if (slot == nullptr || slot->kind != Kind::stream || slot->is_connecting) {
        return fail("Only a connected stream can be given away.", EINVAL);
    }
    WSPOOL_ASSERT(!slot->has_send);
    slot->end().loop = nullptr;
    const int fd = network_.hold({slot->link, slot->side, nullptr});
    retire(stream);
    return fd;
}

std::unique_ptr<io::DescriptorChannel> SimLoop::open_channel(int fd) {
    return network_.open_channel(fd, *this);
}

void SimLoop::retire(io::StreamId stream) {
    Slot& slot = slots_[stream.index];
    slot.kind = Kind::unused;
    slot.link = nullptr;
    slot.queue = nullptr;
    ++slot.generation;
    free_.push_back(stream.index);
    --open_count_;
}

Result<io::StreamId> SimLoop::connect(const io::Address& address,
                                      std::uint64_t owner,
                                      const io::ConnectOptions& options) {
    if (options.tls != nullptr) return io::refuse_tls();
    const io::StreamId id = make(Kind::stream, owner);
    Slot& slot = slots_[id.index];
    slot.is_connecting = true;
    slot.link = network_.connect(address, *this, id.index);
    return id;
}

Result<io::StreamId> SimLoop::watch(int fd, std::uint64_t owner) {
    const io::StreamId id = make(Kind::watched, owner);
    slots_[id.index].fd = fd;
    if (network_.is_channel_readable(fd)) set_readable(fd, true);
    return id;
}

Result<io::Address> SimLoop::local_address(io::StreamId stream) const {
    const Slot* slot = find(stream);
    if (slot == nullptr) return fail("The stream is closed.", EBADF);
    return slot->kind == Kind::stream ? slot->end().address : slot->address;
}

Result<io::Address> SimLoop::peer_address(io::StreamId stream) const {
    const Slot* slot = find(stream);
    if (slot == nullptr || slot->kind != Kind::stream) return fail("The stream is closed.", EBADF);
    return slot->link->ends[static_cast<std::size_t>(1 - slot->side)].address;
}

void SimLoop::set_owner(io::StreamId stream, std::uint64_t owner) {
    if (Slot* slot = find(stream)) slot->owner = owner;
}

void SimLoop::set_readable(int fd, bool is_readable) {
    for (std::uint32_t i = 0; i < slots_.size(); ++i) {
        if (slots_[i].kind != Kind::watched || slots_[i].fd != fd) continue;
        slots_[i].is_readable = is_readable;
        enqueue(i);
    }
}

bool SimLoop::was_disturbed(io::StreamId stream) const {
    const Slot* slot = find(stream);
    return slot != nullptr && slot->link && slot->link->was_disturbed;
}

bool SimLoop::has_peer(io::StreamId stream) const {
    const Slot* slot = find(stream);
    return slot != nullptr && slot->link &&
           !slot->link->ends[static_cast<std::size_t>(1 - slot->side)].is_closed;
}

const SimLoop* SimLoop::acceptor(io::StreamId stream) const {
    const Slot* slot = find(stream);
    return slot != nullptr && slot->link ? slot->link->acceptor : nullptr;
}

void SimLoop::vanish(io::StreamId stream) {
    Slot* slot = find(stream);
    if (slot == nullptr || !slot->link) return;
    slot->link->was_disturbed = true;
    slot->link->has_vanished = true;
}

// ---- orders

void SimLoop::send(io::StreamId stream, std::span<const ByteView> pieces) {
    Slot* slot = find(stream);
    if (slot == nullptr) return;
    WSPOOL_ASSERT(slot->kind == Kind::stream && !slot->is_connecting);
    WSPOOL_ASSERT(!slot->has_send && !slot->is_blocked);
    WSPOOL_ASSERT(pieces.size() <= io::send_pieces_max);
    std::size_t size = 0;
    for (const ByteView piece : pieces) size += piece.size();
    WSPOOL_ASSERT(size <= io::send_size_max);
    slot->has_send = true;
    orders_.push_back(
        Order{Verb::send, stream, slot->link, slot->side, {pieces.begin(), pieces.end()}, {}});
}

void SimLoop::shutdown_write(io::StreamId stream) {
    Slot* slot = find(stream);
    if (slot == nullptr) return;
    orders_.push_back(Order{Verb::shutdown_write, stream, slot->link, slot->side, {}, {}});
}

void SimLoop::close(io::StreamId stream, io::CloseMode mode) {
    Slot* slot = find(stream);
    if (slot == nullptr) return;
    if (slot->kind == Kind::listener) network_.unlisten(slot->queue, *this, stream.index);
    if (slot->kind == Kind::stream) {
        slot->end().loop = nullptr;
        orders_.push_back(Order{Verb::close, stream, slot->link, slot->side, {}, mode});
    }
    retire(stream);
}

void SimLoop::die() {
    orders_left_.reset();
    // What was closed by its owner is closed; what was to be sent before is not sent.
    std::erase_if(orders_, [](const Order& order) { return order.verb != Verb::close; });
    for (std::uint32_t index = 0; index < slots_.size(); ++index) {
        if (slots_[index].kind == Kind::unused) continue;
        close({index, slots_[index].generation}, io::CloseMode::graceful);
    }
    run_orders();
}

void SimLoop::pause(io::StreamId stream) {
    if (Slot* slot = find(stream)) slot->is_paused = true;
}

void SimLoop::resume(io::StreamId stream) {
    Slot* slot = find(stream);
    if (slot == nullptr) return;
    slot->is_paused = false;
    enqueue(stream.index);
}

void SimLoop::run_orders() {
    short_sends_.clear();
    std::size_t done = 0;
    for (const Order& order : orders_) {
        if (done++ == orders_left_) break;
        switch (order.verb) {
            case Verb::send:
                run_send(order);
                break;
            case Verb::shutdown_write:
                network_.shutdown_write(order.link, order.side);
                break;
            case Verb::close:
                network_.close(order.link, order.side, order.mode);
                break;
        }
    }
    const std::size_t count = std::min(orders_left_.value_or(orders_.size()), orders_.size());
    orders_.erase(orders_.begin(), orders_.begin() + static_cast<std::ptrdiff_t>(count));
}

void SimLoop::run_send(const Order& order) {
    std::size_t size = 0;
    for (const ByteView piece : order.pieces) size += piece.size();
    const Network::Sent sent = network_.send(order.link, order.side, order.pieces);
    Slot* slot = find(order.stream);
    if (slot == nullptr) return;  // closed since: nobody is to be told
    slot->has_send = false;
    if (sent.taken == size && sent.error == 0) return;
    slot->is_blocked = true;
    short_sends_.push_back(io::ShortSend{order.stream, slot->owner, sent.taken, sent.error});
}

// ---- news

bool SimLoop::has_news(const Slot& slot) const {
    if (slot.kind == Kind::unused) return false;
    if (slot.kind == Kind::watched) return slot.is_readable && !slot.is_paused;
    if (slot.kind == Kind::listener) {
        return !slot.queue->backlog.empty() && !slot.is_paused &&
               network_.now() >= slot.resting_until;
    }
    const End& end = slot.end();
    if (slot.has_told_failure) return false;
    if (slot.has_room || (end.error != 0 && !slot.link->is_local)) return true;
    if (slot.is_connecting) return end.is_connected;
    if (slot.is_paused || slot.has_told_end) return false;
    return end.unread() > 0 || end.has_ended || end.error != 0;
}

void SimLoop::enqueue(std::uint32_t index) {
    if (slots_[index].is_queued) return;
    slots_[index].is_queued = true;
    news_.push_back(index);
}

void SimLoop::on_change(std::uint32_t index) {
    enqueue(index);
}

void SimLoop::on_room(std::uint32_t index) {
    slots_[index].has_room = true;
    enqueue(index);
}

void SimLoop::drop_silent() {
    const auto is_silent = [this](std::uint32_t index) {
        if (has_news(slots_[index])) return false;
        slots_[index].is_queued = false;
        return true;
    };
    news_.erase(std::remove_if(news_.begin(), news_.end(), is_silent), news_.end());
}

Instant SimLoop::next_turn_time() const {
    for (const std::uint32_t index : news_) {
        if (has_news(slots_[index])) return network_.now();
    }
    return orders_.empty() && would_block_ ? wake_time_ : network_.now();
}

void SimLoop::wait(Instant deadline) {
    std::fill_n(scratch_.begin(), scratch_used_, std::byte{0xdd});
    run_orders();
    if (waiting_ == Waiting::blocks) {
        network_.advance(network_.now() + turn_cost);
        drop_silent();
        while (news_.empty() && network_.next_event_time() <= deadline) {
            WSPOOL_ASSERT(network_.next_event_time() != never);  // would wait for ever
            network_.run_next();
            drop_silent();
        }
        if (news_.empty()) network_.advance(deadline);
    }
    drop_silent();
    wake_time_ = deadline;
    now_ = network_.now();
    turn_left_ = orders_left_ ? 0 : news_.size();
    would_block_ = news_.empty() && now_ < deadline;
    for (const std::uint32_t index : news_) slots_[index].accepts = 0;
}

bool SimLoop::next_event(io::Event& event) {
    std::fill_n(scratch_.begin(), scratch_used_, std::byte{0xdd});
    while (turn_left_ > 0) {
        const std::uint32_t index = news_.front();
        bool is_done = true;
        const bool has_told = tell(index, event, is_done);
        if (is_done) {
            news_.pop_front();
            --turn_left_;
            slots_[index].is_queued = false;
            if (has_news(slots_[index])) enqueue(index);
        }
        if (has_told) return true;
    }
    return false;
}

bool SimLoop::tell(std::uint32_t index, io::Event& event, bool& is_done) {
    Slot& slot = slots_[index];
    if (!has_news(slot)) return false;
    event = io::Event{};
    event.stream = {index, slot.generation};
    event.owner = slot.owner;
    if (slot.kind == Kind::watched) {
        event.kind = io::EventKind::readable;
    } else if (slot.kind == Kind::listener) {
        tell_listener(index, event, is_done);
    } else {
        tell_stream(slot, event, is_done);
    }
    return true;
}

void SimLoop::tell_stream(Slot& slot, io::Event& event, bool& is_done) {
    End& end = slot.end();
    if (end.error != 0 && (!slot.link->is_local || end.unread() == 0)) {
        slot.has_told_failure = true;
        event.kind = io::EventKind::failed;
        event.error = end.error;
    } else if (slot.is_connecting) {
        slot.is_connecting = false;
        is_done = false;
        event.kind = io::EventKind::connected;
    } else if (slot.has_room) {
        slot.has_room = false;
        slot.is_blocked = false;
        is_done = false;
        event.kind = io::EventKind::writable;
    } else if (end.unread() > 0) {
        scratch_used_ =
            network_.receive(slot.link, slot.side, MutableBytes(scratch_.data(), io::receive_max));
        event.kind = io::EventKind::received;
        event.bytes = MutableBytes(scratch_.data(), scratch_used_);
        scratch_used_ += io::receive_slack;
    } else {
        slot.has_told_end = true;
        event.kind = io::EventKind::ended;
    }
}

void SimLoop::tell_listener(std::uint32_t index, io::Event& event, bool& is_done) {
    const AcceptQueueRef queue = slots_[index].queue;
    const LinkRef link = queue->backlog.front();
    if (network_.finds_no_descriptor()) {
        // Half the time not even the spare descriptor is to be had.
        if (network_.finds_no_descriptor()) {
            rest(index);
            event.kind = io::EventKind::accept_paused;
            return;
        }
        queue->backlog.pop_front();
        const ByteView refusal = as_bytes(slots_[index].refusal);
        static_cast<void>(network_.send(link, 1, {&refusal, 1}));
        network_.close(link, 1, io::CloseMode::graceful);
        event.kind = io::EventKind::accept_refused;
    } else {
        queue->backlog.pop_front();
        event.kind = io::EventKind::accepted;
        link->acceptor = this;
        event.stream = make_stream(link, 1, slots_[index].owner);
    }
    is_done = ++slots_[index].accepts >= io::accepts_max || queue->backlog.empty();
}

void SimLoop::rest(std::uint32_t index) {
    slots_[index].resting_until = network_.now() + accept_rest;
    network_.schedule(slots_[index].resting_until, [this, index] { enqueue(index); });
}

}  // namespace wspool::sim
