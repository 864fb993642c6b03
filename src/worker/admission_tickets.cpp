// Tickets that come back: weighed here, and redeemed at the worker that issued them.
#include "wire/records.h"
#include "worker/worker_state.h"

#include <algorithm>
#include <utility>

namespace wspool::worker {

// Whether it goes ahead of its class; nothing when the worker that issued its ticket was asked.
std::optional<bool> Worker::State::weigh_ticket(Client& client, Arrival& arrival) {
    using metrics::TicketUse;
    if (arrival.ticket.empty()) return false;
    const auto count = [this](TicketUse use) {
        counters.seating.add(use);
        return use == TicketUse::honoured;
    };
    const auto ticket = read_ticket(arrival.ticket, ticket_key);
    if (!ticket || ticket->priority != client.priority || ticket->pool != client.pool)
        return count(TicketUse::bad);
    if (ticket->expiry <= engine.now()) return count(TicketUse::expired);
    if (ticket->issuer == options.exchange.incarnation) {
        return count(tickets.redeem(ticket->number, engine.now()) ? TicketUse::honoured
                                                                  : TicketUse::spent);
    }
    ByteBuffer* out = exchange.outgoing(ticket->issuer);
    if (out == nullptr) return count(TicketUse::lost);
    wire::encode(*out, wire::Redeem{.question = tag_of(client), .number = ticket->number});
    asked_tickets.push_back({tag_of(client), ticket->issuer});
    engine.defer(client.session, arrival.subprotocol);
    client.is_deferred = true;
    keep_arrival(client, std::move(arrival));
    return std::nullopt;
}

// Single use, also where it was not needed. Nobody waits for the answer.
void Worker::State::spend_ticket(const Client& client, const Arrival& arrival) {
    if (arrival.ticket.empty()) return;
    const auto ticket = read_ticket(arrival.ticket, ticket_key);
    if (!ticket || ticket->priority != client.priority || ticket->pool != client.pool) return;
    if (ticket->issuer == options.exchange.incarnation) {
        (void)tickets.redeem(ticket->number, engine.now());
    } else if (ByteBuffer* out = exchange.outgoing(ticket->issuer)) {
        wire::encode(*out, wire::Redeem{.question = 0, .number = ticket->number});
    }
}

bool Worker::State::on_ticket_record(wire::Incarnation peer, ByteView record) {
    wire::Redeem redeem;
    if (wire::decode(record, redeem)) {
        const bool is_honoured = tickets.redeem(redeem.number, engine.now());
        ByteBuffer* out = redeem.question != 0 ? exchange.outgoing(peer) : nullptr;
        if (out != nullptr) {
            wire::encode(*out,
                         wire::Redeemed{.question = redeem.question, .is_honoured = is_honoured});
        }
        return true;
    }
    wire::Redeemed redeemed;
    if (!wire::decode(record, redeemed)) return false;
    const auto asked =
        std::find_if(asked_tickets.begin(), asked_tickets.end(), [&](const AskedTicket& one) {
            return one.issuer == peer && one.question == redeemed.question;
        });
    if (asked == asked_tickets.end()) return true;
    const std::uint64_t question = asked->question;
    asked_tickets.erase(asked);
    settle_ticket(question,
                  redeemed.is_honoured ? metrics::TicketUse::honoured : metrics::TicketUse::spent);
    return true;
}

// The answer will not come from who has died.
void Worker::State::end_asked_tickets() {
    for (std::size_t i = 0; i < asked_tickets.size();) {
        if (exchange.outgoing(asked_tickets[i].issuer) != nullptr) {
            ++i;
            continue;
        }
        const std::uint64_t question = asked_tickets[i].question;
        asked_tickets.erase(asked_tickets.begin() + static_cast<std::ptrdiff_t>(i));
        settle_ticket(question, metrics::TicketUse::lost);
    }
}

void Worker::State::settle_ticket(std::uint64_t question, metrics::TicketUse use) {
    Client* client = find(session_of_tag(question));
    if (client == nullptr || client->state != ClientState::arriving) return;
    counters.seating.add(use);
    ask_for_seat(*client, take_arrival(*client), use == metrics::TicketUse::honoured);
}

}  // namespace wspool::worker
