// Subscriptions, and the shards they live in: each shard is a lease of the Core's own, on one
// connection, and says on every new one what is wanted then, in the order in which it was asked
// for.
#include "client/core_state.h"

#include <algorithm>

namespace wspool::client {

Result<SubscriptionId> Core::State::subscribe(std::uint32_t target,
                                              std::string_view topic,
                                              std::string_view subscribe_frame,
                                              std::string_view unsubscribe_frame) {
    wake(target);  // before it is added, so that what is replayed now is not said again below
    const std::uint64_t hash = sip_hash(topic, hash_key) + target * 0x9e3779b97f4a7c15ull;
    const std::uint32_t known = topics.find(hash, [&](std::uint32_t i) {
        return subscriptions[i].topic == topic && calls[subscriptions[i].shard].target == target;
    });
    if (known != none) return SubscriptionId{known, subscriptions[known].generation};
    const std::uint32_t shard = shard_with_room(target);
    if (shard == none) {
        return fail(targets[target].url + ": " + std::to_string(targets[target].shards.size()) +
                    " connections hold " + std::to_string(options.subscriptions_per_connection) +
                    " subscriptions each; raise subscriptions_per_connection");
    }
    const std::uint32_t index = subscription_indexes.take();
    subscriptions.grow_to(index);
    Subscription& subscription = subscriptions[index];
    subscription.shard = shard;
    subscription.hash = hash;
    subscription.topic = topic;
    subscription.subscribe_frame = subscribe_frame;
    subscription.unsubscribe_frame = unsubscribe_frame;
    topics.insert(hash, index);
    calls[shard].subscriptions.push_back(subscription_links(), index);
    ++host_of_target(target).subscriptions;
    const SubscriptionId id{index, subscription.generation};
    // One that rests goes on resting; one that is new has nothing under way.
    if (calls[shard].state == Call::State::leased) {
        if (!push_frame(shard, subscription.subscribe_frame)) on_shard_lost(shard);
    } else if (calls[shard].state == Call::State::idle) {
        start_shard(shard);
    }
    settle();
    return id;
}

void Core::State::unsubscribe(std::uint32_t index) {
    const std::uint32_t shard = subscriptions[index].shard;
    Call& call = calls[shard];
    const std::uint32_t target = call.target;
    const std::string frame = std::move(subscriptions[index].unsubscribe_frame);
    free_subscription(index);
    const bool is_told = call.state != Call::State::leased || push_frame(shard, frame);
    // Without a word, or where it finds no room, the server goes on sending.
    if (call.state == Call::State::leased && (frame.empty() || !is_told)) call.must_discard = true;
    if (call.subscriptions.is_empty()) {
        end_shard(shard);
        serve_queue(target);
    } else if (!is_told) {
        on_shard_lost(shard);
    }
    settle();
}

void Core::State::free_subscription(std::uint32_t index) {
    Subscription& subscription = subscriptions[index];
    Call& shard = calls[subscription.shard];
    topics.erase(subscription.hash, index);
    shard.subscriptions.remove(subscription_links(), index);
    --host_of_target(shard.target).subscriptions;
    const std::uint32_t generation = subscription.generation + 1;
    subscription = Subscription{};
    subscription.generation = generation;
    subscription_indexes.give_back(index);
}

// The first with room, else a new one as long as the host may have another connection.
std::uint32_t Core::State::shard_with_room(std::uint32_t index) {
    Target& target = targets[index];
    for (const std::uint32_t shard : target.shards) {
        if (calls[shard].subscriptions.size() < options.subscriptions_per_connection) return shard;
    }
    if (target.shards.size() >= hosts[target.host].pool->options().max_size) return none;
    target.shards.push_back(make_call(Call::Kind::shard, index, 0));
    return target.shards.back();
}

std::uint32_t Core::State::open_shard(const Target& target) const {
    for (const std::uint32_t shard : target.shards) {
        if (calls[shard].state == Call::State::leased &&
            connections[calls[shard].connection].state == Connection::State::open)
            return shard;
    }
    return none;
}

void Core::State::start_shard(std::uint32_t shard) {
    const std::uint32_t target = calls[shard].target;
    const ErrorCode error = ask(shard, {});
    if (error != ErrorCode::none) {
        rest_shard(shard, failure_delay());
        on_carrier_failed(target, error);
        return;
    }
    targets[target].is_down = false;
    if (calls[shard].state == Call::State::leased) replay(shard);
}

void Core::State::replay(std::uint32_t shard) {
    Call& call = calls[shard];
    call.must_discard = false;
    for (std::uint32_t i = call.subscriptions.front(); i != none; i = subscriptions[i].links.next) {
        if (push_frame(shard, subscriptions[i].subscribe_frame)) continue;
        on_shard_lost(shard);
        return;
    }
    flush(call.target, call.connection);
}

// False: the connection does not take it. (One that is ending takes nothing, and tells so soon.)
bool Core::State::push_frame(std::uint32_t shard, std::string_view frame) {
    if (frame.empty()) return true;
    return push(connections[calls[shard].connection], ws::Opcode::text, as_bytes(frame)) !=
           SendOutcome::full;
}

// It has no connection any more, or gives up the one that it has. Those who lost one server do not
// come back to it together: nobody waits for an answer, so this may be spread.
void Core::State::on_shard_lost(std::uint32_t shard) {
    if (calls[shard].state == Call::State::leased) end_lease(shard, true);
    const bool rests_for_good =
        targets[calls[shard].target].is_stopped || options.host.reconnect.max_attempts == 0;
    calls[shard].state = Call::State::resting;
    rest_until(shard,
               rests_for_good ? never : now() + pool::spread_delay(options.host.reconnect, random));
}

void Core::State::rest_shard(std::uint32_t shard, Duration delay) {
    calls[shard].state = Call::State::resting;
    rest_until(shard, options.host.reconnect.max_attempts == 0 ? never : now() + delay);
}

// Nothing is subscribed in it any more, or the pool is closed.
void Core::State::end_shard(std::uint32_t shard) {
    Call& call = calls[shard];
    Target& target = targets[call.target];
    while (!call.subscriptions.is_empty()) free_subscription(call.subscriptions.front());
    if (call.state == Call::State::leased) {
        end_lease(shard, call.must_discard);
    } else if (call.state == Call::State::waiting) {
        hosts[target.host].pool->cancel(call.waiter, now());
        touch(target.host);
    }
    std::erase(target.shards, shard);
    free_call(shard);
}

void Core::State::wake(std::uint32_t index) {
    Target& target = targets[index];
    target.is_stopped = false;
    for (const std::uint32_t shard : target.shards) {
        Call& call = calls[shard];
        if (call.state != Call::State::resting || call.deadline_position != UINT32_MAX) continue;
        call.state = Call::State::idle;
        start_shard(shard);
    }
    settle();
}

// The pool has given up, or asks nobody for a while: it is asked again when it may ask the host.
Duration Core::State::failure_delay() {
    const Duration interval =
        std::max(options.host.breaker.probe_interval, options.host.reconnect.min_delay);
    return interval / 2 + Duration(random.below(static_cast<std::uint64_t>(interval.count()) + 1));
}

}  // namespace wspool::client
