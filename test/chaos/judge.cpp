#include "judge.h"

#include "judge_group.h"

#include <algorithm>

namespace wspool::chaos {
namespace {

class Judge {
  public:
    Judge(const Records& records, const JudgeOptions& options, Violations& violations)
        : records_(records),
          options_(options),
          violations_(violations),
          places_(records.messages.size()),
          publishers_(records.groups.size()),
          runs_(records.groups.size()),
          connections_(records.clients.size()) {
        for (const Run& run : records_.runs) runs_[run.group].push_back(&run);
        for (const Connection& connection : records_.connections)
            connections_[connection.client].push_back(&connection);
    }

    [[nodiscard]] Judgement judge() {
        for (GroupIndex group = 0; group < records_.groups.size(); ++group) judge_group(group);
        for (MessageIndex index = 0; index < records_.messages.size(); ++index) {
            if (records_.messages[index].is_direct) {
                judge_direct(index);
            } else {
                judge_broadcast(index);
            }
        }
        return judgement_;
    }

  private:
    void judge_group(GroupIndex group) {
        std::vector<bool>& publishers = publishers_[group];
        publishers.resize(records_.clients.size());
        for (const Message& message : records_.messages) {
            if (!message.is_direct && message.target == group)
                publishers[records_.connections[message.sender].client] = true;
        }
        GroupJudge one(records_, options_, publishers, places_, violations_);
        judgement_.deviations += one.judge(runs_[group]);
    }

    // Whether what `begun` before and `ended` after lived over the message, from sending to answer.
    [[nodiscard]] bool covers(Instant begun, Instant ended, const Message& message) const {
        if (begun >= message.sent_at) return false;
        return ended == never || ended - options_.tail > message.answered_at;
    }

    // What was seen is known by whole milliseconds, rounded down.
    [[nodiscard]] bool saw(const Run& run, MessageIndex index) const {
        const Instant sent_at = records_.messages[index].sent_at - std::chrono::milliseconds(1);
        for (auto seen = run.seen.rbegin(); seen != run.seen.rend(); ++seen) {
            if (seen->message == index) return true;
            if (records_.time_of(*seen) < sent_at) return false;
        }
        return false;
    }

    // It was acknowledged, and nobody got it: allowed only where its publisher was lost with it.
    void judge_lost(const Message& message, const std::string& sentence) {
        const Connection& sender = records_.connections[message.sender];
        if (!sender.is_live() && sender.ended_at - options_.tail <= message.answered_at) {
            ++judgement_.lost_with_publisher;
        } else {
            violations_.add("missing", sentence);
        }
    }

    // With its times on the monotonic clock, as kill.py tells those of its kills.
    [[nodiscard]] std::string what(const Message& message) const {
        return "message " + std::to_string(&message - records_.messages.data()) + " of " +
               records_.clients[records_.connections[message.sender].client] + " (sent at " +
               std::to_string(message.sent_at.time_since_epoch().count()) + ", answered at " +
               std::to_string(message.answered_at.time_since_epoch().count()) + ")";
    }

    void judge_broadcast(MessageIndex index) {
        const Message& message = records_.messages[index];
        if (message.outcome != Outcome::acknowledged || places_[index].segment != none) return;
        for (const Run* run : runs_[message.target]) {
            // Who publishes there is only compared with the order.
            if (publishers_[message.target][run->client]) continue;
            if (!covers(run->joined_at, run->ended_at, message)) continue;
            // It has no place if they saw it, all of them, within the tail of their ends.
            if (saw(*run, index)) continue;
            judge_lost(message,
                       what(message) + " was acknowledged, and did not reach " +
                           records_.groups[message.target] + ", of which " +
                           records_.clients[run->client] + " was a member");
            return;
        }
    }

    void judge_direct(MessageIndex index) {
        const Message& message = records_.messages[index];
        const bool was_refused = message.outcome == Outcome::refused;
        const bool is_lost = message.outcome == Outcome::acknowledged && !message.was_received;
        if (!was_refused && !is_lost) return;
        const auto& targets = connections_[message.target];
        const bool was_there =
            std::any_of(targets.begin(), targets.end(), [&](const Connection* connection) {
                return covers(connection->opened_at, connection->ended_at, message);
            });
        if (!was_there) return;
        if (was_refused) {
            violations_.add("refused",
                            "the direct " + what(message) + " was refused although " +
                                records_.clients[message.target] + " was connected");
        } else {
            judge_lost(message,
                       "the direct " + what(message) + " was acknowledged, and did not reach " +
                           records_.clients[message.target] + ", which was connected");
        }
    }

    const Records& records_;
    const JudgeOptions& options_;
    Violations& violations_;
    Judgement judgement_;
    std::vector<Place> places_;                                // by message
    std::vector<std::vector<bool>> publishers_;                // by group, by client
    std::vector<std::vector<const Run*>> runs_;                // by group
    std::vector<std::vector<const Connection*>> connections_;  // by client
};

}  // namespace

Judgement judge(const Records& records, const JudgeOptions& options, Violations& violations) {
    return Judge(records, options, violations).judge();
}

}  // namespace wspool::chaos
