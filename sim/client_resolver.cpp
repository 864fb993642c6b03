#include "sim/client_resolver.h"

#include <algorithm>
#include <utility>

namespace wspool::sim {

namespace {

constexpr int resolver_fd = 1000;

}  // namespace

int ClientResolver::fd() const {
    return swarm_.resolver_has_fd ? resolver_fd : -1;
}

Result<std::vector<io::Address>> ClientResolver::look_up(const std::string& host) {
    const auto found = std::find_if(
        swarm_.hosts.begin(), swarm_.hosts.end(), [&](const auto& h) { return h.name == host; });
    if (found == swarm_.hosts.end()) return fail("The simulator knows no host of this name.");
    std::vector<io::Address> addresses;
    const auto add = [&](const std::vector<io::Address>& list) {
        addresses.insert(addresses.end(), list.begin(), list.end());
    };
    const bool is_wrong = is_stormy_ && prng_.chance(swarm_.resolves_wrongly);
    if (is_wrong && prng_.chance(0.5)) {
        add(swarm_.hosts[prng_.below(swarm_.hosts.size())].live);
    } else if (!is_wrong) {
        add(found->live);
    }
    add(found->dead);
    add(found->holes);
    if (addresses.empty()) return fail("The simulated name has no address.");
    for (std::size_t i = addresses.size(); i > 1; --i) {
        std::swap(addresses[i - 1], addresses[prng_.below(i)]);
    }
    return addresses;
}

Result<io::ResolveId> ClientResolver::start(const std::string& host,
                                            std::uint16_t port,
                                            std::uint64_t tag) {
    WSPOOL_ASSERT(port == 80);
    if (is_stormy_ && prng_.chance(swarm_.resolver_is_full)) {
        return fail("The simulated resolver is full.");
    }
    const io::ResolveId id{++last_id_};
    open_.emplace(id, tag);
    if (is_stormy_ && prng_.chance(swarm_.resolves_never)) return id;
    Result<std::vector<io::Address>> addresses = look_up(host);
    if (is_stormy_ && prng_.chance(swarm_.resolves_to_nothing)) {
        addresses = fail("The simulated name is not known.");
    }
    Duration delay = std::chrono::microseconds(1 + prng_.below(2'000));
    if (is_stormy_ && prng_.chance(swarm_.resolves_late)) {
        delay += Duration(static_cast<Duration::rep>(
            prng_.below(static_cast<std::uint64_t>(swarm_.lateness_max.count()))));
    }
    network_.schedule(network_.now() + delay,
                      [this, id, addresses = std::move(addresses)] { answer(id, addresses); });
    return id;
}

void ClientResolver::answer(io::ResolveId id, Result<std::vector<io::Address>> addresses) {
    const auto found = open_.find(id);
    if (found == open_.end()) return;  // cancelled
    answers_.push_back(io::Resolution{id, found->second, std::move(addresses)});
    if (fd() >= 0 && loop_ != nullptr) loop_->set_readable(fd(), true);
}

void ClientResolver::cancel(io::ResolveId id) {
    open_.erase(id);
    const auto is_it = [id](const io::Resolution& answer) { return answer.id == id; };
    answers_.erase(std::remove_if(answers_.begin(), answers_.end(), is_it), answers_.end());
}

bool ClientResolver::next(io::Resolution& resolution) {
    if (answers_.empty()) {
        if (fd() >= 0 && loop_ != nullptr) loop_->set_readable(fd(), false);
        return false;
    }
    resolution = std::move(answers_.front());
    answers_.pop_front();
    open_.erase(resolution.id);
    return true;
}

}  // namespace wspool::sim
