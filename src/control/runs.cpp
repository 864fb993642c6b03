// Commands: published by the exchange, one after the other, and ended by what comes back.
#include "control/api.h"

#include <cstring>

namespace wspool::control {
namespace {

using protocol::ControlCommand;
using protocol::ControlVerb;

constexpr std::string_view not_begun =
    "It was not begun: the time of the batch was used up by the commands before it.";

[[nodiscard]] std::string_view tag_of(const std::uint64_t& number) {
    return {reinterpret_cast<const char*>(&number), sizeof number};
}

// 0: of nobody here.
[[nodiscard]] std::uint64_t number_of(std::string_view tag) {
    std::uint64_t number = 0;
    if (tag.size() == sizeof number) std::memcpy(&number, tag.data(), sizeof number);
    return number;
}

[[nodiscard]] bool is_for_client(ControlVerb verb) {
    return verb != ControlVerb::broadcast && verb != ControlVerb::direct;
}

[[nodiscard]] wire::CommandKind kind_of(ControlVerb verb) {
    if (verb == ControlVerb::join) return wire::CommandKind::join;
    return verb == ControlVerb::leave ? wire::CommandKind::leave : wire::CommandKind::disconnect;
}

[[nodiscard]] Outcome at_position(const ControlCommand& command, const hub::Position& position) {
    Json value = Json::object();
    if (command.verb == ControlVerb::join) value["group"] = command.group;
    if (command.verb == ControlVerb::join || command.verb == ControlVerb::broadcast) {
        value["epoch"] = hub::format_epoch(position.epoch);
        value["offset"] = position.offset;
    }
    return make_result(std::move(value));
}

}  // namespace

void Api::begin_run(session::SessionId session, std::string_view verb, ByteView body, Instant now) {
    Run run;
    run.session = session;
    run.body.append(body);
    run.deadline = now + run_patience;
    const std::string_view text = as_text(run.body.view());
    std::optional<protocol::ControlRefusal> refusal;
    if (const auto single = protocol::control_verb(verb)) {
        auto parsed = protocol::parse_control_command(*single, text, options_.limits);
        if (auto* command = std::get_if<ControlCommand>(&parsed)) {
            run.commands.push_back(std::move(*command));
        } else {
            refusal = std::get<protocol::ControlRefusal>(std::move(parsed));
        }
    } else {
        run.is_batch = true;
        auto parsed = protocol::parse_control_batch(text, options_.limits);
        if (auto* commands = std::get_if<std::vector<ControlCommand>>(&parsed)) {
            run.commands = std::move(*commands);
        } else {
            refusal = std::get<protocol::ControlRefusal>(std::move(parsed));
        }
    }
    if (refusal) return answer(session, failure(400, refusal->code, refusal->message));
    runs_.push_back(std::move(run));
}

bool Api::advance(Instant now) {
    for (auto run = runs_.begin(); run != runs_.end();) {
        if (run->number != 0) {
            ++run;
            continue;
        }
        if (run->outcomes.size() == run->commands.size()) {
            finish_run(*run);
            run = runs_.erase(run);
            continue;
        }
        begin_command(*run, now);
        return true;
    }
    return false;
}

void Api::begin_command(Run& run, Instant now) {
    using enum hub::PublishAnswer::Outcome;
    const ControlCommand& command = run.commands[run.outcomes.size()];
    run.number = ++last_number_;
    const hub::PublishAnswer published = publish(command, run, now);
    if (published.outcome == refused) {
        end_command(run.number, make_refusal(published.refusal));
    } else if (published.outcome == sequenced && !is_for_client(command.verb)) {
        end_command(run.number, at_position(command, published.position));
    }
}

hub::PublishAnswer Api::publish(const ControlCommand& command, Run& run, Instant now) {
    hub::PublishRequest request;
    request.tag = tag_of(run.number);
    request.payload = as_bytes(command.payload);
    if (command.verb == ControlVerb::broadcast) {
        request.name = command.group;
        return exchange_.broadcast(request, now);
    }
    request.name = command.id;
    if (command.verb == ControlVerb::direct) {
        return exchange_.direct(request, wire::Kind::direct, now);
    }
    ByteBuffer record;
    wire::encode(record,
                 wire::Command{.number = run.number,
                               .asker = options_.incarnation,
                               .kind = kind_of(command.verb),
                               .group = command.group,
                               .code = command.code,
                               .reason = command.reason});
    request.payload = record.view();
    return exchange_.direct(request, wire::Kind::command, now);
}

// What comes late, or for a request that was abandoned, finds nobody.
void Api::end_command(std::uint64_t number, Outcome outcome) {
    Run* run = find_run(number);
    if (run == nullptr) return;
    run->outcomes.push_back(std::move(outcome));
    run->number = 0;
}

Api::Run* Api::find_run(std::uint64_t number) {
    if (number == 0) return nullptr;
    for (Run& run : runs_) {
        if (run.number == number) return &run;
    }
    return nullptr;
}

// A command for a client is done when its worker says so, not when it is on its way.
void Api::on_action(const hub::Action& action) {
    const std::uint64_t number = number_of(action.tag);
    const Run* run = find_run(number);
    if (run == nullptr) return;
    const ControlCommand& command = run->commands[run->outcomes.size()];
    if (action.kind == hub::ActionKind::refused) {
        end_command(number, make_refusal(action.refusal));
    } else if (action.kind == hub::ActionKind::published && !is_for_client(command.verb)) {
        end_command(number, at_position(command, action.position));
    }
}

bool Api::on_record(wire::Incarnation peer, ByteView record, Instant now) {
    wire::CommandAnswer done;
    if (wire::decode(record, done)) {
        const Run* run = find_run(done.number);
        if (run == nullptr) return true;
        const ControlCommand& command = run->commands[run->outcomes.size()];
        if (!is_for_client(command.verb)) return false;
        end_command(done.number,
                    done.refusal == wire::Refusal::none
                        ? at_position(command, {done.epoch, done.offset})
                        : make_refusal(done.refusal));
        return true;
    }
    wire::Reply reply;
    if (!wire::decode(record, reply)) return false;
    for (auto survey = surveys_.begin(); survey != surveys_.end(); ++survey) {
        for (auto asked = survey->asked.begin(); asked != survey->asked.end(); ++asked) {
            if (asked->number != reply.number || asked->incarnation != peer) continue;
            const std::uint16_t worker = asked->worker;
            survey->asked.erase(asked);
            take_reply(*survey, worker, reply);
            if (step(*survey, now)) surveys_.erase(survey);
            return true;
        }
    }
    return true;  // too late
}

void Api::on_time(Instant now) {
    for (Run& run : runs_) {
        if (now < run.deadline) continue;
        if (run.number != 0) end_command(run.number, make_refusal(wire::Refusal::unavailable));
        while (run.outcomes.size() < run.commands.size()) {
            run.outcomes.push_back(make_failure(504, "unavailable", not_begun));
        }
    }
    for (auto survey = surveys_.begin(); survey != surveys_.end();) {
        give_up_on_the_silent(*survey, now);
        survey = step(*survey, now) ? surveys_.erase(survey) : std::next(survey);
    }
}

void Api::finish_run(const Run& run) {
    if (!run.is_batch) return answer(run.session, to_answer(run.outcomes.front()));
    Json results = Json::array();
    std::size_t failed = 0;
    for (const Outcome& outcome : run.outcomes) {
        if (outcome.status != 200) ++failed;
        results.push_back(outcome.json);
    }
    answer(run.session, result({{"results", std::move(results)}, {"failed", failed}}));
}

}  // namespace wspool::control
