// Questions: workers are asked, and what they reply is put together.
#include "control/api.h"
#include "http/head.h"
#include "protocol/message.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace wspool::control {
namespace {

constexpr std::array<std::string_view, 4> priority_names = {"critical", "high", "normal", "low"};

template <class Number>
[[nodiscard]] bool read_number(std::string_view text, Number& number) {
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, number);
    return error == std::errc() && at == end;
}

// "WORKER.PLACE": where a list goes on.
[[nodiscard]] bool read_cursor(std::string_view text, std::uint16_t& worker, std::uint32_t& from) {
    const std::size_t dot = text.find('.');
    return dot != std::string_view::npos && read_number(text.substr(0, dot), worker) &&
           read_number(text.substr(dot + 1), from);
}

[[nodiscard]] Json client_to_json(const wire::ClientItem& item,
                                  std::uint16_t worker,
                                  bool has_groups) {
    Json client{{"clientId", item.id}, {"worker", worker}};
    client["priority"] =
        item.priority < priority_names.size() ? Json(priority_names[item.priority]) : Json(nullptr);
    client["connectedSeconds"] = static_cast<double>(item.connected_ms) / 1000;
    client["groupCount"] = item.group_count;
    client["outboxBytes"] = item.outbox_bytes;
    if (!has_groups) return client;
    client["groups"] = Json::array();
    wire::NameCursor cursor(item.groups, item.listed);
    wire::NameItem name;
    while (cursor.next(name)) client["groups"].push_back(name.name);
    return client;
}

}  // namespace

bool Api::is_list(const Survey& survey) {
    return survey.kind == SurveyKind::clients || survey.kind == SurveyKind::groups;
}

// What is asked for now is the list, from one worker after the other.
bool Api::is_listing(const Survey& survey) {
    return is_list(survey) && !survey.is_counting;
}

void Api::go_on_with_next_worker(Survey& survey) {
    ++survey.worker;
    survey.from = 0;
}

void Api::begin_list(session::SessionId session,
                     SurveyKind kind,
                     std::string_view target,
                     Instant now) {
    Survey survey;
    survey.session = session;
    survey.kind = kind;
    survey.limit = page_default;
    survey.deadline = now + survey_patience;
    const http::QueryValue limit = http::query_value(target, "limit");
    if (limit.found && (!limit.ok || !read_number(limit.value, survey.limit) || survey.limit == 0 ||
                        survey.limit > page_max)) {
        return answer(session, failure(400, "bad_request", "limit is a number from 1 to 1000."));
    }
    const http::QueryValue after = http::query_value(target, "after");
    if (after.found && (!after.ok || !read_cursor(after.value, survey.worker, survey.from))) {
        return answer(session,
                      failure(400, "bad_request", "after is the \"next\" of an earlier answer."));
    }
    surveys_.push_back(std::move(survey));
    if (step(surveys_.back(), now)) surveys_.pop_back();
}

void Api::begin_detail(session::SessionId session,
                       SurveyKind kind,
                       std::string_view encoded,
                       Instant now) {
    auto name = http::percent_decoded(encoded);
    if (!name || !protocol::is_valid_name(*name)) {
        return answer(session,
                      failure(400,
                              "bad_name",
                              "A name is 1 to 128 bytes of UTF-8 without control characters, "
                              "percent-encoded in a path."));
    }
    Survey survey;
    survey.session = session;
    survey.kind = kind;
    survey.name = std::move(*name);
    survey.deadline = now + survey_patience;
    if (kind == SurveyKind::group) {
        survey.order.push_back(survey.name);
        ask_for_members(survey, now);
    } else {
        const wire::Question question{.kind = wire::QuestionKind::client, .name = survey.name};
        for (std::uint16_t worker = 0; worker < worker_count(); ++worker) {
            ask(survey, worker, question, now);
        }
    }
    surveys_.push_back(std::move(survey));
    if (step(surveys_.back(), now)) surveys_.pop_back();
}

void Api::ask(Survey& survey, std::uint16_t worker, const wire::Question& question, Instant now) {
    ByteBuffer* out = workers_[worker] == 0 ? nullptr : exchange_.outgoing(workers_[worker]);
    if (out == nullptr) {
        survey.missing.push_back(worker);
        return;
    }
    wire::Question numbered = question;
    numbered.number = ++last_number_;
    wire::encode(*out, numbered);
    survey.asked.push_back(
        {worker, workers_[worker], numbered.number, std::min(now + ask_patience, survey.deadline)});
}

void Api::ask_for_members(Survey& survey, Instant now) {
    survey.is_counting = true;
    if (survey.order.empty()) return;
    wire::ItemList<wire::NameItem> names;
    for (const std::string& name : survey.order) names.add({name});
    const wire::Question question{
        .kind = wire::QuestionKind::members, .count = names.count(), .names = names.view()};
    for (std::uint16_t worker = 0; worker < worker_count(); ++worker) {
        ask(survey, worker, question, now);
    }
}

// A list of clients or groups goes through the workers in order; each gives what it has from
// `from` on, and the page is full, or the last has given all.
bool Api::step(Survey& survey, Instant now) {
    if (!survey.asked.empty()) return false;
    while (is_listing(survey) && survey.worker < workers_.size()) {
        const std::size_t found = survey.clients.size() + survey.order.size();
        if (found >= survey.limit || now >= survey.deadline) break;
        ask(survey,
            survey.worker,
            {.kind = survey.kind == SurveyKind::clients ? wire::QuestionKind::clients
                                                        : wire::QuestionKind::groups,
             .from = survey.from,
             .limit = static_cast<std::uint32_t>(survey.limit - found)},
            now);
        if (!survey.asked.empty()) return false;
        go_on_with_next_worker(survey);
    }
    if (survey.kind == SurveyKind::groups && !survey.is_counting && now < survey.deadline) {
        ask_for_members(survey, now);
        if (!survey.asked.empty()) return false;
    }
    finish_survey(survey);
    return true;
}

// Who does not reply is passed over: a list goes on with the next worker.
void Api::give_up_on_the_silent(Survey& survey, Instant now) {
    for (auto asked = survey.asked.begin(); asked != survey.asked.end();) {
        const bool is_gone = exchange_.outgoing(asked->incarnation) == nullptr;
        if (!is_gone && now < asked->deadline) {
            ++asked;
            continue;
        }
        survey.missing.push_back(asked->worker);
        asked = survey.asked.erase(asked);
        if (is_listing(survey)) go_on_with_next_worker(survey);
    }
}

void Api::take_reply(Survey& survey, std::uint16_t worker, const wire::Reply& reply) {
    const bool is_list = is_listing(survey);
    if (is_list && reply.has_more) {
        survey.from = reply.next;
    } else if (is_list) {
        go_on_with_next_worker(survey);
    }
    if (wire::is_about_clients(reply.kind)) {
        wire::ClientCursor cursor(reply.items, reply.count);
        wire::ClientItem item;
        while (cursor.next(item)) {
            survey.clients.push_back(client_to_json(item, worker, !is_list));
        }
        return;
    }
    wire::GroupCursor cursor(reply.items, reply.count);
    wire::GroupItem item;
    while (cursor.next(item)) {
        if (is_list) survey.order.emplace_back(item.name);
        Group& group = survey.groups[std::string(item.name)];
        if (item.epoch != 0) {
            group.epoch = item.epoch;
            group.offset = item.offset;
            group.history = item.history;
        }
        if (item.members > 0) group.members[worker] = item.members;
    }
}

Json Api::groups_of(const Survey& survey) const {
    Json list = Json::array();
    for (const std::string& name : survey.order) {
        const auto found = survey.groups.find(name);
        if (found == survey.groups.end()) continue;
        const Group& group = found->second;
        std::uint64_t members = 0;
        Json workers = Json::array();
        for (const auto& [worker, count] : group.members) {
            members += count;
            workers.push_back({{"worker", worker}, {"members", count}});
        }
        Json one{{"group", name}, {"members", members}, {"workers", std::move(workers)}};
        const bool is_known = group.epoch != 0;
        one["home"] = exchange_.home_of(wire::Space::group, name);
        one["epoch"] = is_known ? Json(hub::format_epoch(group.epoch)) : Json(nullptr);
        one["offset"] = is_known ? Json(group.offset) : Json(nullptr);
        one["history"] = is_known ? Json(group.history) : Json(nullptr);
        list.push_back(std::move(one));
    }
    return list;
}

void Api::finish_survey(const Survey& survey) {
    std::vector<std::uint16_t> missing = survey.missing;
    std::sort(missing.begin(), missing.end());
    missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
    const bool is_about_clients =
        survey.kind == SurveyKind::clients || survey.kind == SurveyKind::client;
    Json list = is_about_clients ? survey.clients : groups_of(survey);
    if (is_list(survey)) {
        Json page{{is_about_clients ? "clients" : "groups", std::move(list)}};
        if (survey.worker < workers_.size()) {
            page["next"] = std::to_string(survey.worker) + "." + std::to_string(survey.from);
        }
        page["missing"] = missing;
        return answer(survey.session, result(std::move(page)));
    }
    if (list.empty() && !missing.empty()) {
        return answer(survey.session,
                      failure(504, "unavailable", "Not every worker has replied in time."));
    }
    if (list.empty()) {
        return answer(survey.session,
                      is_about_clients
                          ? failure(404, "unknown_target", "No client of this id is connected.")
                          : failure(404, "not_found", "There is no group of this name."));
    }
    // Under server.duplicate_id = "allow" an id may have several sessions.
    Json one = std::move(list.front());
    list.erase(list.begin());
    if (!list.empty()) one["others"] = std::move(list);
    one["missing"] = missing;
    answer(survey.session, result(std::move(one)));
}

}  // namespace wspool::control
