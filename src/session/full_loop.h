// FullLoop: a loop that takes every send whole and calls the stream blocked all the same, as TLS
// does when the kernel is full: the rest is the loop's, and `writable` comes a turn later. Who
// shuts or closes a stream before that loses what is left: here the connection is reset, so that a
// test cannot overlook it. Tests only.
#pragma once

#include "io/descriptor_channel.h"
#include "io/loop.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <vector>

namespace wspool::session {

class FullLoop final : public io::Loop {
  public:
    explicit FullLoop(std::unique_ptr<io::Loop> inner) : inner_(std::move(inner)) {}

    [[nodiscard]] Instant now() const override { return inner_->now(); }

    void wait(Instant deadline) override {
        const bool is_awaited = !sent_.empty() || !full_.empty() || !roomy_.empty();
        inner_->wait(is_awaited ? Instant::min() : deadline);
        const auto shorts = inner_->short_sends();
        short_sends_.assign(shorts.begin(), shorts.end());
        roomy_.insert(roomy_.end(), full_.begin(), full_.end());
        full_.clear();
        for (const Sent& sent : sent_) {
            const bool is_short = std::any_of(shorts.begin(), shorts.end(), [&](const auto& s) {
                return s.stream == sent.stream;
            });
            if (is_short) continue;
            short_sends_.push_back({sent.stream, owner_of(sent.stream), sent.size, 0});
            full_.push_back(sent.stream);
        }
        sent_.clear();
    }

    [[nodiscard]] std::span<const io::ShortSend> short_sends() const override {
        return short_sends_;
    }

    [[nodiscard]] bool next_event(io::Event& event) override {
        if (!roomy_.empty()) {
            event = io::Event{};
            event.kind = io::EventKind::writable;
            event.stream = roomy_.front();
            event.owner = owner_of(event.stream);
            roomy_.pop_front();
            return true;
        }
        return inner_->next_event(event);
    }

    [[nodiscard]] Result<io::StreamId> listen(const io::Address& address,
                                              const io::ListenOptions& options,
                                              std::uint64_t owner) override {
        return inner_->listen(address, options, owner);
    }
    [[nodiscard]] Result<io::StreamId> connect(const io::Address& address,
                                               std::uint64_t owner,
                                               const io::ConnectOptions& options = {}) override {
        auto stream = inner_->connect(address, owner, options);
        if (stream) set_owner(*stream, owner);
        return stream;
    }
    [[nodiscard]] Result<io::StreamId> adopt(int fd, std::uint64_t owner) override {
        auto stream = inner_->adopt(fd, owner);
        if (stream) set_owner(*stream, owner);
        return stream;
    }
    [[nodiscard]] Result<io::StreamId> adopt_listener(int fd,
                                                      const io::ListenOptions& options,
                                                      std::uint64_t owner) override {
        return inner_->adopt_listener(fd, options, owner);
    }
    [[nodiscard]] Result<int> release(io::StreamId stream) override {
        return inner_->release(stream);
    }
    [[nodiscard]] std::unique_ptr<io::DescriptorChannel> open_channel(int fd) override {
        return inner_->open_channel(fd);
    }
    void discard(int fd) override { inner_->discard(fd); }
    [[nodiscard]] Result<io::StreamId> watch(int fd, std::uint64_t owner) override {
        return inner_->watch(fd, owner);
    }
    [[nodiscard]] Result<io::Address> local_address(io::StreamId stream) const override {
        return inner_->local_address(stream);
    }
    [[nodiscard]] Result<io::Address> peer_address(io::StreamId stream) const override {
        return inner_->peer_address(stream);
    }
    void set_owner(io::StreamId stream, std::uint64_t owner) override {
        if (stream.index >= owners_.size()) owners_.resize(stream.index + 1);
        owners_[stream.index] = owner;
        inner_->set_owner(stream, owner);
    }
    void send(io::StreamId stream, std::span<const ByteView> pieces) override {
        std::size_t size = 0;
        for (const ByteView piece : pieces) size += piece.size();
        if (size > 0) sent_.push_back({stream, size});
        inner_->send(stream, pieces);
    }
    void pause(io::StreamId stream) override { inner_->pause(stream); }
    void resume(io::StreamId stream) override { inner_->resume(stream); }
    void shutdown_write(io::StreamId stream) override {
        if (is_full(stream)) return inner_->close(stream, io::CloseMode::reset);
        inner_->shutdown_write(stream);
    }
    void close(io::StreamId stream, io::CloseMode mode = io::CloseMode::graceful) override {
        inner_->close(stream, is_full(stream) ? io::CloseMode::reset : mode);
        std::erase(full_, stream);
        std::erase(roomy_, stream);
        std::erase_if(sent_, [stream](const Sent& sent) { return sent.stream == stream; });
    }
    [[nodiscard]] std::string_view name() const override { return inner_->name(); }

  private:
    struct Sent {
        io::StreamId stream;
        std::size_t size;
    };

    [[nodiscard]] std::uint64_t owner_of(io::StreamId stream) const {
        return stream.index < owners_.size() ? owners_[stream.index] : 0;
    }
    [[nodiscard]] bool is_full(io::StreamId stream) const {
        return std::find(full_.begin(), full_.end(), stream) != full_.end() ||
               std::find(roomy_.begin(), roomy_.end(), stream) != roomy_.end();
    }

    std::unique_ptr<io::Loop> inner_;
    std::vector<std::uint64_t> owners_;  // by index
    std::vector<Sent> sent_;
    std::vector<io::ShortSend> short_sends_;
    std::vector<io::StreamId> full_;  // told of in short_sends()
    std::deque<io::StreamId> roomy_;  // to be told of as writable
};

}  // namespace wspool::session
