// Requests: which of them is for whom, and what is waited for.
#include "control/api.h"

#include "control/answers.h"
#include "control/dashboard.h"
#include "http/head.h"

#include <algorithm>
#include <array>
#include <utility>

namespace wspool::control {
namespace {

constexpr std::string_view prefix = "/api/";

enum class Method : std::uint8_t { none, get, post };

constexpr std::array<std::string_view, 9> posts = {
    "broadcast", "direct", "join", "leave", "disconnect", "batch", "drain", "rebalance", "upgrade"};

[[nodiscard]] bool is_below(std::string_view path, std::string_view folder) {
    return path.size() > folder.size() && path.starts_with(folder);
}

// What a path answers to.
[[nodiscard]] Method method_of(std::string_view path) {
    if (is_page_path(path) || is_dashboard_path(path)) return Method::get;
    if (!path.starts_with(prefix)) return Method::none;
    const std::string_view name = path.substr(prefix.size());
    if (std::find(posts.begin(), posts.end(), name) != posts.end()) return Method::post;
    if (name == "clients" || name == "groups") return Method::get;
    if (is_below(name, "clients/") || is_below(name, "groups/")) return Method::get;
    return Method::none;
}

[[nodiscard]] Answer not_found() {
    return failure(404,
                   "not_found",
                   "There are / (the dashboard), /metrics, /healthz, /readyz and, below /api/, "
                   "stats, workers, clients, groups, and by POST broadcast, direct, join, leave, "
                   "disconnect, batch and drain.");
}

[[nodiscard]] Answer wrong_method(Method method) {
    const bool is_get = method == Method::get;
    Answer refused = failure(
        405, "bad_request", is_get ? "Only GET is answered here." : "Only POST is answered here.");
    refused.headers = is_get ? "Allow: GET, HEAD\r\n" : "Allow: POST\r\n";
    return refused;
}

}  // namespace

Api::Api(const ApiOptions& options, const metrics::Page& page, hub::Exchange& exchange)
    : options_(options), page_(page), exchange_(exchange), workers_(page.worker_count()) {}

void Api::set_worker(std::uint16_t index, wire::Incarnation incarnation) {
    if (index < workers_.size()) workers_[index] = incarnation;
}

void Api::on_request(session::SessionId session, const Request& request, Instant now) {
    const std::string_view path = http::path_of(request.target);
    const Method method = method_of(path);
    if (method == Method::none) return answer(session, not_found());
    const bool is_get = request.method == "GET" || request.method == "HEAD";
    if (method == Method::get) {
        if (!is_get) return answer(session, wrong_method(method));
        return answer_get(session, request.target, now);
    }
    if (request.method != "POST") return answer(session, wrong_method(method));
    answer_post(session, path.substr(prefix.size()), request.body, now);
}

void Api::answer_get(session::SessionId session, std::string_view target, Instant now) {
    const std::string_view path = http::path_of(target);
    if (is_dashboard_path(path)) return answer(session, answer_from_dashboard(path));
    if (is_page_path(path)) {
        const Facts facts{
            page_, options_.connections_max_per_worker, now, options_.pools, is_drain_asked_};
        return answer(session, answer_from_page(path, facts));
    }
    const std::string_view name = path.substr(prefix.size());
    if (name == "clients") return begin_list(session, SurveyKind::clients, target, now);
    if (name == "groups") return begin_list(session, SurveyKind::groups, target, now);
    const bool is_client = is_below(name, "clients/");
    begin_detail(session,
                 is_client ? SurveyKind::client : SurveyKind::group,
                 name.substr(name.find('/') + 1),
                 now);
}

void Api::answer_post(session::SessionId session,
                      std::string_view name,
                      ByteView body,
                      Instant now) {
    if (name == "drain") {
        is_drain_asked_ = is_drain_due_ = true;
        return answer(
            session,
            result({{"draining", true}, {"connections", page_.sum_of_workers().connections}}));
    }
    if (name == "rebalance") {
        return answer(session,
                      failure(501,
                              "not_implemented",
                              "This version of wspool moves no connections between workers."));
    }
    if (name == "upgrade") {
        return answer(session,
                      failure(501,
                              "not_implemented",
                              "This version of wspool cannot upgrade in place; drain it and start "
                              "the new one."));
    }
    begin_run(session, name, body, now);
}

void Api::answer(session::SessionId session, Answer answer) {
    answered_.push_back({session, std::move(answer)});
}

bool Api::next_answer(Answered& answered) {
    if (answered_.empty()) return false;
    answered = std::move(answered_.front());
    answered_.pop_front();
    return true;
}

bool Api::take_drain() {
    return std::exchange(is_drain_due_, false);
}

void Api::on_abandoned(session::SessionId session) {
    const auto is_its = [&](const auto& waiting) { return waiting.session == session; };
    runs_.remove_if(is_its);
    surveys_.remove_if(is_its);
    std::erase_if(answered_, is_its);
}

Instant Api::next_deadline() const {
    Instant deadline = never;
    for (const Run& run : runs_) deadline = std::min(deadline, run.deadline);
    for (const Survey& survey : surveys_) {
        deadline = std::min(deadline, survey.deadline);
        for (const Asked& asked : survey.asked) deadline = std::min(deadline, asked.deadline);
    }
    return deadline;
}

}  // namespace wspool::control
