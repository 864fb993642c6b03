#include "master/master.h"

#include "io/listener.h"
#include "io/memory_file.h"
#include "io/process.h"

#include <algorithm>
#include <csignal>
#include <utility>

namespace wspool::master {

namespace {

// Owners of watched descriptors: the signals, and behind them the lines by place.
constexpr std::uint64_t signals_owner = 0;
constexpr std::uint64_t lines_owner = 1;
// A child's line was full: it is tried again so often, until the child reads or is killed.
constexpr Duration retry_interval = std::chrono::milliseconds(10);

}  // namespace

Result<std::unique_ptr<Master>> Master::make(const MasterOptions& options) {
    auto memory = io::SharedMemory::make(metrics::Page::size_for(options.workers));
    if (!memory) return tl::unexpected(memory.error());
    // Blocked before anything else is made: a signal during the start then waits for the first
    // turn.
    auto signals = io::Signals::block({SIGTERM, SIGINT, SIGHUP, SIGUSR2, SIGCHLD});
    if (!signals) return tl::unexpected(signals.error());
    // Not io_uring: see io/process.h.
    io::LoopOptions loop_options;
    loop_options.choice = io::LoopChoice::epoll;
    loop_options.batch_wait = Duration::zero();
    auto chosen = io::make_loop(loop_options);
    if (!chosen) return tl::unexpected(chosen.error());
    std::unique_ptr<Master> master(
        new Master(options, std::move(*memory), std::move(*signals), std::move(chosen->loop)));
    if (auto opened = master->open_listeners(); !opened) return tl::unexpected(opened.error());
    if (auto watched = master->loop_->watch(master->signals_.fd(), signals_owner); !watched) {
        return tl::unexpected(watched.error());
    }
    return master;
}

Master::Master(const MasterOptions& options,
               io::SharedMemory memory,
               io::Signals signals,
               std::unique_ptr<io::Loop> loop)
    : options_(options),
      memory_(std::move(memory)),
      page_(memory_.bytes(), options.workers),
      signals_(std::move(signals)),
      loop_(std::move(loop)),
      supervisor_(
          {options.workers, options.control.has_value(), options.stall, options.health_interval},
          loop_->now()),
      processes_(supervisor_.place_count()),
      listeners_(supervisor_.place_count()) {
    own_life_.pid = static_cast<std::uint64_t>(io::own_process_id());
    own_life_.started_at = loop_->now();
}

Master::~Master() {
    for (const io::Address& address : clients_) io::remove_socket_file(address);
    if (control_) io::remove_socket_file(*control_);
}

Result<void> Master::open_listeners() {
    for (const io::Address& address : options_.listen) {
        auto opened = io::open_listeners(address, options_.listener, options_.workers);
        if (!opened) return tl::unexpected(opened.error());
        clients_.push_back(opened->address);
        for (std::size_t worker = 0; worker < options_.workers; ++worker) {
            listeners_[worker].emplace_back(opened->descriptors[worker]);
        }
    }
    if (!options_.control) return {};
    auto opened = io::open_listeners(*options_.control, {}, 1);
    if (!opened) return tl::unexpected(opened.error());
    control_ = opened->address;
    listeners_.back().emplace_back(opened->descriptors.front());
    return {};
}

// -------------------------------------------------------------------------------------------------
// one turn

std::span<const Action> Master::turn() {
    told_.clear();
    Instant deadline = supervisor_.next_deadline();
    for (const Process& process : processes_) {
        if (!process.outgoing.empty()) deadline = std::min(deadline, now() + retry_interval);
    }
    loop_->wait(deadline);
    io::Event event;
    while (loop_->next_event(event)) {
        if (event.owner == signals_owner) {
            read_signals();
        } else {
            hear(event.owner - lines_owner);
        }
    }
    reap();
    look_at_page();
    for (std::size_t place = 0; place < processes_.size(); ++place) flush(place);
    Action action;
    while (supervisor_.next_action(action)) {
        act(action);
        publish_lives();
    }
    publish_lives();
    return told_;
}

void Master::read_signals() {
    while (const auto signal = signals_.next()) {
        switch (*signal) {
            case SIGHUP:
                supervisor_.on_order(Order::reload, now());
                break;
            case SIGUSR2:
                supervisor_.on_order(Order::upgrade, now());
                break;
            case SIGTERM:
            case SIGINT:
                supervisor_.on_order(Order::end, now());
                break;
            default:
                break;  // SIGCHLD: see reap()
        }
    }
}

void Master::hear(std::size_t place) {
    Process& process = processes_[place];
    if (!process.line) return;
    io::ChannelMessage received;
    io::ChannelReceive outcome = process.line->receive(received);
    for (; outcome == io::ChannelReceive::received; outcome = process.line->receive(received)) {
        const io::Descriptor unwanted(received.fd);
        const auto message = decode(received.message);
        if (!message) continue;
        if (message->kind == LinkMessageKind::ready) supervisor_.on_ready(place, now());
        if (message->kind == LinkMessageKind::drained) supervisor_.on_drained(place, now());
        // As the first signal does; asked again it is no second one.
        if (message->kind == LinkMessageKind::ask_drain && is_control(place) &&
            !supervisor_.is_draining()) {
            supervisor_.on_order(Order::end, now());
        }
    }
    if (outcome == io::ChannelReceive::nothing) return;
    // It has ended, or is about to; the line would be readable for ever.
    loop_->close(process.watch);
    process.line.reset();
    process.outgoing.clear();
}

void Master::reap() {
    while (const auto ended = io::reap_child()) {
        const auto pid = static_cast<std::uint64_t>(ended->pid);
        const auto at = std::find_if(
            processes_.begin(), processes_.end(), [&](const Process& p) { return p.pid == pid; });
        if (at == processes_.end()) continue;  // of whoever we were before exec
        const auto place = static_cast<std::size_t>(at - processes_.begin());
        // What it said before it died counts.
        hear(place);
        if (at->line) loop_->close(at->watch);
        *at = Process{};
        page_.bury(place);
        supervisor_.on_ended(place, ended->by_signal, ended->detail, now());
    }
}

void Master::look_at_page() {
    for (std::size_t place = 0; place < processes_.size(); ++place) {
        supervisor_.on_heartbeat(place, page_.heartbeat(place), now());
    }
    supervisor_.on_time(now());
}

void Master::act(const Action& action) {
    switch (action.kind) {
        case ActionKind::start:
            start(action.place, action.incarnation);
            break;
        case ActionKind::kill:
            if (processes_[action.place].pid != 0) {
                io::send_signal(static_cast<pid_t>(processes_[action.place].pid), SIGKILL);
            }
            break;
        case ActionKind::drain:
            tell(action.place, LinkMessageKind::drain);
            break;
        case ActionKind::shut_down:
            tell(action.place, LinkMessageKind::shut_down);
            break;
        case ActionKind::stop:
            tell(action.place, LinkMessageKind::stop);
            break;
        case ActionKind::check_health:
        case ActionKind::ready:
        case ActionKind::died:
        case ActionKind::stalled:
        case ActionKind::crash_loop:
        case ActionKind::start_failed:
        case ActionKind::draining:
        case ActionKind::shutting_down:
        case ActionKind::reload:
        case ActionKind::cannot_upgrade:
        case ActionKind::finished:
            told_.push_back(action);
            break;
    }
}

// What readers of the page are told: that the gateway drains comes before anybody is told to.
void Master::publish_lives() {
    own_life_.state =
        supervisor_.is_draining() ? metrics::ProcessState::draining : metrics::ProcessState::ready;
    const auto set = [this](std::size_t place, const metrics::Life& life) {
        if (page_.life(place) != life) page_.set_life(place, life);
    };
    set(page_.master_place(), own_life_);
    for (std::size_t place = 0; place < processes_.size(); ++place) {
        set(place, supervisor_.life(place));
    }
}

// -------------------------------------------------------------------------------------------------
// births

void Master::start(std::size_t place, std::uint64_t incarnation) {
    auto birth = prepare(place, incarnation);
    if (!birth) {
        supervisor_.on_start_failed(place, now());
        return;
    }
    const pid_t parent = io::own_process_id();
    auto pid = io::fork_process();
    if (!pid) {
        supervisor_.on_start_failed(place, now());
        return;
    }
    if (*pid == 0) {
        std::vector<int> keep = {birth->child_line.get()};
        for (const io::Descriptor& listener : listeners_[place]) keep.push_back(listener.get());
        for (const NewLink& link : birth->links) {
            keep.push_back(link.near.stream.get());
            keep.push_back(link.near.channel.get());
        }
        io::become_child(parent, keep);
        run_child(place, incarnation, std::move(*birth));
    }
    enlist(place, static_cast<std::uint64_t>(*pid), std::move(*birth));
}

Peer Master::describe(std::size_t place, std::uint64_t incarnation) const {
    Peer peer;
    const bool is_control = supervisor_.is_control(place);
    peer.index = is_control ? control_index : static_cast<std::uint32_t>(place);
    peer.incarnation = incarnation;
    peer.is_home = !is_control;
    return peer;
}

Result<Master::Birth> Master::prepare(std::size_t place, std::uint64_t incarnation) {
    Birth birth;
    auto line = io::make_socket_pair(io::PairKind::seqpacket);
    if (!line) return tl::unexpected(line.error());
    birth.line = io::Descriptor((*line)[0]);
    birth.child_line = io::Descriptor((*line)[1]);
    for (std::size_t other = 0; other < processes_.size(); ++other) {
        if (other == place || processes_[other].pid == 0) continue;
        NewLink link;
        link.to = other;
        link.near = describe(other, supervisor_.life(other).incarnation);
        link.far = describe(place, incarnation);
        auto stream = io::make_socket_pair(io::PairKind::stream);
        if (!stream) return tl::unexpected(stream.error());
        link.near.stream = io::Descriptor((*stream)[0]);
        link.far.stream = io::Descriptor((*stream)[1]);
        auto channel = io::make_socket_pair(io::PairKind::seqpacket);
        if (!channel) return tl::unexpected(channel.error());
        link.near.channel = io::Descriptor((*channel)[0]);
        link.far.channel = io::Descriptor((*channel)[1]);
        birth.links.push_back(std::move(link));
    }
    return birth;
}

// Everything of the master but what is handed over here is closed, and its objects are left as they
// are: destroying them would close descriptors that are others' by now.
void Master::run_child(std::size_t place, std::uint64_t incarnation, Birth birth) {
    Child child;
    child.index = describe(place, incarnation).index;
    child.incarnation = incarnation;
    child.workers = options_.workers;
    child.place = place;
    child.page = &page_;
    child.key = options_.key;
    child.listeners = std::move(listeners_[place]);
    child.master_link = std::move(birth.child_line);
    for (NewLink& link : birth.links) {
        child.peers.push_back(std::move(link.near));
        // Closed already.
        static_cast<void>(link.far.stream.release());
        static_cast<void>(link.far.channel.release());
    }
    static_cast<void>(birth.line.release());
    const Program& program =
        supervisor_.is_control(place) ? options_.run_control : options_.run_worker;
    io::exit_process(program(std::move(child)));
}

void Master::enlist(std::size_t place, std::uint64_t pid, Birth birth) {
    Process& process = processes_[place];
    process.pid = pid;
    process.line = std::make_unique<io::SocketChannel>(birth.line.release());
    auto watch = loop_->watch(process.line->fd(), lines_owner + place);
    if (watch) {
        process.watch = *watch;
    } else {
        // Nothing would be heard of it. Its line closed, it ends by itself, and is started again.
        process.line.reset();
    }
    for (NewLink& link : birth.links) {
        auto& outgoing = processes_[link.to].outgoing;
        if (!processes_[link.to].line) continue;  // it is about to end
        LinkMessage message;
        message.index = link.far.index;
        message.incarnation = link.far.incarnation;
        message.is_home = link.far.is_home ? 1 : 0;
        message.kind = LinkMessageKind::peer_stream;
        outgoing.push_back({message, std::move(link.far.stream)});
        message.kind = LinkMessageKind::peer_channel;
        outgoing.push_back({message, std::move(link.far.channel)});
        flush(link.to);
    }
    supervisor_.on_started(place, pid, now());
}

// Each child gets a file of its own: what waits for one that does not read is then its alone.
Result<void> Master::reload(std::string_view config, Duration stall, Duration health_interval) {
    for (std::size_t place = 0; place < processes_.size(); ++place) {
        if (!processes_[place].line) continue;
        auto file = io::make_memory_file(config);
        if (!file) return tl::unexpected(file.error());
        tell(place, LinkMessageKind::reload, std::move(*file));
    }
    supervisor_.set_health(stall, health_interval, now());
    return {};
}

void Master::tell(std::size_t place, LinkMessageKind kind, io::Descriptor descriptor) {
    if (!processes_[place].line) return;
    LinkMessage message;
    message.kind = kind;
    processes_[place].outgoing.push_back({message, std::move(descriptor)});
    flush(place);
}

void Master::flush(std::size_t place) {
    Process& process = processes_[place];
    while (!process.outgoing.empty()) {
        const Outgoing& next = process.outgoing.front();
        const io::ChannelSend outcome =
            process.line->send(next.descriptor.get(), encode(next.message));
        if (outcome == io::ChannelSend::full) return;
        process.outgoing.pop_front();
    }
}

}  // namespace wspool::master
