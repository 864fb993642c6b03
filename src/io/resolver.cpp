#include "io/resolver.h"

#include "io/resolve.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>

namespace wspool::io {

namespace {

// An address that needs no looking up.
std::optional<Address> numeric_address(const std::string& host, std::uint16_t port) {
    const bool needs_brackets = host.find(':') != std::string::npos && !host.starts_with('[');
    const std::string name = needs_brackets ? "[" + host + "]" : host;
    if (name.starts_with("unix:")) return std::nullopt;
    auto address = parse_address(name + ":" + std::to_string(port));
    if (!address) return std::nullopt;
    return std::move(*address);
}

}  // namespace

// What the thread and its owner share. The thread may be left alone with it.
struct Resolver::Shared {
    struct Request {
        ResolveId id;
        std::uint64_t tag;
        std::string host;
        std::uint16_t port;
    };

    Shared(int fd_in, Lookup lookup_in) : fd(fd_in), lookup(lookup_in) {}
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;
    ~Shared() { ::close(fd); }

    void run();
    void answer(Resolution resolution);

    const int fd;
    const Lookup lookup;
    std::mutex mutex;  // guards all that follows
    std::condition_variable changed;
    std::deque<Request> requests;
    std::deque<Resolution> answers;
    std::optional<ResolveId> looking_up;
    bool is_cancelled = false;  // what is being looked up
    bool is_stopping = false;
};

void Resolver::Shared::run() {
    std::unique_lock lock(mutex);
    for (;;) {
        changed.wait(lock, [this] { return is_stopping || !requests.empty(); });
        if (is_stopping) return;
        const Request request = std::move(requests.front());
        requests.pop_front();
        looking_up = request.id;
        is_cancelled = false;
        lock.unlock();
        auto addresses = lookup(request.host, request.port);
        lock.lock();
        looking_up.reset();
        if (!is_cancelled) answer({request.id, request.tag, std::move(addresses)});
    }
}

// With the mutex held. The descriptor is readable exactly while there are answers.
void Resolver::Shared::answer(Resolution resolution) {
    answers.push_back(std::move(resolution));
    if (answers.size() == 1) static_cast<void>(::eventfd_write(fd, 1));
}

Result<std::unique_ptr<Resolver>> Resolver::make() {
    return make(&resolve);
}

Result<std::unique_ptr<Resolver>> Resolver::make(Lookup lookup) {
    const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0) {
        const int error = errno;
        return fail(std::string("no descriptor for the resolver: ") + std::strerror(error), error);
    }
    return std::unique_ptr<Resolver>(new Resolver(std::make_shared<Shared>(fd, lookup)));
}

Resolver::Resolver(std::shared_ptr<Shared> shared) : shared_(std::move(shared)) {}

Resolver::~Resolver() {
    bool is_busy = false;
    {
        const std::lock_guard lock(shared_->mutex);
        shared_->is_stopping = true;
        shared_->requests.clear();
        is_busy = shared_->looking_up.has_value();
    }
    shared_->changed.notify_one();
    if (!thread_.joinable()) return;
    if (is_busy) {
        thread_.detach();
    } else {
        thread_.join();
    }
}

int Resolver::fd() const {
    return shared_->fd;
}

Result<ResolveId> Resolver::start(std::string host, std::uint16_t port, std::uint64_t tag) {
    const std::lock_guard lock(shared_->mutex);
    const std::size_t waiting = shared_->requests.size() + shared_->answers.size() +
                                (shared_->looking_up.has_value() ? 1 : 0);
    if (waiting >= requests_max) {
        return fail("the address of \"" + host + "\" is not looked up: " +
                    std::to_string(requests_max) + " names wait already; try again later");
    }
    const auto id = static_cast<ResolveId>(++last_id_);
    if (auto address = numeric_address(host, port)) {
        shared_->answer({id, tag, std::vector<Address>{std::move(*address)}});
        return id;
    }
    if (!thread_.joinable()) {
        if (auto started = start_thread(); !started) return tl::unexpected(started.error());
    }
    shared_->requests.push_back({id, tag, std::move(host), port});
    shared_->changed.notify_one();
    return id;
}

// Signals are for the threads of the program, so this one starts with all of them blocked.
Result<void> Resolver::start_thread() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    Result<void> outcome;
    try {
        thread_ = std::thread([shared = shared_] { shared->run(); });
    } catch (const std::system_error& error) {
        outcome = fail(std::string("no thread for looking up names: ") + error.what(),
                       error.code().value());
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return outcome;
}

void Resolver::cancel(ResolveId id) {
    const std::lock_guard lock(shared_->mutex);
    std::erase_if(shared_->requests, [id](const auto& request) { return request.id == id; });
    if (shared_->looking_up == id) shared_->is_cancelled = true;
    if (std::erase_if(shared_->answers, [id](const auto& answer) { return answer.id == id; }) > 0 &&
        shared_->answers.empty()) {
        eventfd_t count = 0;
        static_cast<void>(::eventfd_read(shared_->fd, &count));
    }
}

bool Resolver::next(Resolution& resolution) {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->answers.empty()) return false;
    resolution = std::move(shared_->answers.front());
    shared_->answers.pop_front();
    if (shared_->answers.empty()) {
        eventfd_t count = 0;
        static_cast<void>(::eventfd_read(shared_->fd, &count));
    }
    return true;
}

std::vector<Address> interleave_families(std::vector<Address> addresses) {
    if (addresses.empty()) return addresses;
    const auto second = std::stable_partition(
        addresses.begin(), addresses.end(), [family = addresses.front().family](const Address& a) {
            return a.family == family;
        });
    std::vector<Address> ordered;
    ordered.reserve(addresses.size());
    auto one = addresses.begin();
    auto other = second;
    while (one != second || other != addresses.end()) {
        if (one != second) ordered.push_back(std::move(*one++));
        if (other != addresses.end()) ordered.push_back(std::move(*other++));
    }
    return ordered;
}

}  // namespace wspool::io
