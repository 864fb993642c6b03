// The API over one exchange that is a home, and workers whose replies are made up here.
#include "control/api.h"

#include <gtest/gtest.h>

#include <memory>
#include <new>
#include <string>
#include <vector>

namespace wspool::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr wire::Incarnation own = 9;
constexpr session::SessionId asker{1, 1};

class ApiTest : public testing::Test {
  protected:
    ApiTest() {
        for (std::size_t i = 0; i < workers.size(); ++i) {
            workers[i] = std::make_unique<hub::Exchange>(options_of(i + 1, i), entropy);
            control.add_peer(i + 1, static_cast<std::uint16_t>(i), true, now);
            workers[i]->add_peer(own, wire::control_index, false, now);
            api.set_worker(static_cast<std::uint16_t>(i), i + 1);
        }
        workers[0]->add_peer(2, 1, true, now);
        workers[1]->add_peer(1, 0, true, now);
        for (auto& worker : workers) worker->become_home(now);
        pump();
    }

    static hub::ExchangeOptions options_of(wire::Incarnation incarnation, std::size_t index) {
        hub::ExchangeOptions options;
        options.incarnation = incarnation;
        options.index = static_cast<std::uint16_t>(index);
        options.index_count = 2;
        options.key = {1, 2};
        options.home_wait = seconds(3);
        return options;
    }

    [[nodiscard]] hub::Exchange& node(wire::Incarnation incarnation) {
        return incarnation == own ? control : *workers[incarnation - 1];
    }

    // Moves what lies between the three until nothing does; questions and answers of the control
    // process are kept for the test to reply to.
    void pump() {
        for (bool has_moved = true; has_moved;) {
            has_moved = false;
            take(own);
            for (const wire::Incarnation from : {own, wire::Incarnation{1}, wire::Incarnation{2}}) {
                if (is_dead(from)) continue;
                node(from).flush(now);
                take(from);
                for (const wire::Incarnation to :
                     {own, wire::Incarnation{1}, wire::Incarnation{2}}) {
                    if (to != from && !is_dead(to)) has_moved = move(from, to) || has_moved;
                }
            }
        }
    }
    bool move(wire::Incarnation from, wire::Incarnation to) {
        ByteBuffer* out = node(from).outgoing(to);
        if (out == nullptr || out->empty()) return false;
        const std::string bytes(as_text(out->view()));
        out->clear();
        ByteView rest = as_bytes(bytes);
        wire::Header header;
        while (wire::read_header(rest, SIZE_MAX, header) == wire::HeaderOutcome::ok) {
            const ByteView record = rest.first(header.size);
            rest = rest.subspan(header.size);
            if (wire::is_of_control(header.type)) {
                questions[to].emplace_back(as_text(record));
            } else {
                EXPECT_TRUE(node(to).on_record(from, record, now));
                take(to);
            }
        }
        return true;
    }
    void take(wire::Incarnation who) {
        hub::Action action;
        do {
            while (node(who).next_action(action)) {
                if (who == own) api.on_action(action);
                if (action.kind == hub::ActionKind::deliver) {
                    delivered.emplace_back(as_text(action.delivery.payload));
                }
            }
        } while (who == own && api.advance(now));
    }
    [[nodiscard]] bool is_dead(wire::Incarnation incarnation) const { return incarnation == dead; }

    void kill(wire::Incarnation incarnation) {
        dead = incarnation;
        control.on_peer_ended(incarnation, now);
        workers[2 - incarnation]->on_peer_ended(incarnation, now);
        pass(milliseconds(0));
    }
    void pass(Duration time) {
        now += time;
        control.on_time(now);
        api.on_time(now);
        pump();
    }

    void ask(std::string_view method, std::string_view target, std::string_view body = {}) {
        api.on_request(asker, {method, target, as_bytes(body)}, now);
        pump();
    }
    // The answer that came; status 0 for none yet.
    [[nodiscard]] Answer heard() {
        Api::Answered answered;
        if (!api.next_answer(answered)) return {0, {}, {}, {}};
        EXPECT_EQ(answered.session, asker);
        Api::Answered more;
        EXPECT_FALSE(api.next_answer(more));
        return std::move(answered.answer);
    }
    [[nodiscard]] Json heard_result() {
        const Answer answer = heard();
        EXPECT_EQ(answer.status, 200) << answer.body;
        return Json::parse(answer.body).at("result");
    }
    [[nodiscard]] std::string heard_code(int status) {
        const Answer answer = heard();
        EXPECT_EQ(answer.status, status) << answer.body;
        return Json::parse(answer.body).at("error").at("code");
    }

    // The question that a worker was asked last.
    [[nodiscard]] wire::Question asked(wire::Incarnation worker) {
        wire::Question question;
        EXPECT_FALSE(questions[worker].empty());
        if (questions[worker].empty()) return question;
        kept = questions[worker].back();
        questions[worker].pop_back();
        EXPECT_TRUE(wire::decode(as_bytes(kept), question));
        return question;
    }
    template <class Item>
    void reply(wire::Incarnation worker,
               const wire::ItemList<Item>& items,
               bool has_more = false,
               std::uint32_t next = 0) {
        const wire::Question question = asked(worker);
        ByteBuffer out;
        wire::encode(out,
                     wire::Reply{.number = question.number,
                                 .kind = question.kind,
                                 .has_more = has_more,
                                 .next = next,
                                 .count = items.count(),
                                 .items = items.view()});
        EXPECT_TRUE(api.on_record(worker, out.view(), now));
        pump();
    }
    static wire::ItemList<wire::ClientItem> clients(const std::vector<std::string>& ids) {
        wire::ItemList<wire::ClientItem> items;
        for (const std::string& id : ids) items.add({.id = id, .connected_ms = 1500});
        return items;
    }
    static std::vector<std::string> ids_of(const Json& result) {
        std::vector<std::string> ids;
        for (const Json& client : result.at("clients")) ids.push_back(client.at("clientId"));
        return ids;
    }

    struct Free {
        void operator()(std::byte* bytes) const {
            ::operator delete[](bytes, std::align_val_t(64));
        }
    };
    const std::size_t size = metrics::Page::size_for(2);
    std::unique_ptr<std::byte, Free> memory{new (std::align_val_t(64)) std::byte[size]()};
    metrics::Page page{{memory.get(), size}, 2};
    SeededEntropy entropy{7};
    Instant now{seconds(100)};
    hub::Exchange control{options_of(own, wire::control_index), entropy};
    std::vector<std::unique_ptr<hub::Exchange>> workers =
        std::vector<std::unique_ptr<hub::Exchange>>(2);
    Api api{{.incarnation = own, .connections_max_per_worker = 50, .pools = {}, .limits = {}},
            page,
            control};
    wire::Incarnation dead = 0;
    std::map<wire::Incarnation, std::vector<std::string>> questions;
    std::vector<std::string> delivered;
    std::string kept;
};

TEST_F(ApiTest, WhatThereIsNotIsToldInJson) {
    ask("GET", "/api/nothing");
    EXPECT_EQ(heard_code(404), "not_found");
    ask("GET", "/dashboard.txt");
    EXPECT_EQ(heard_code(404), "not_found");
    ask("DELETE", "/api/stats");
    EXPECT_EQ(heard().headers, "Allow: GET, HEAD\r\n");
    ask("GET", "/api/broadcast");
    EXPECT_EQ(heard().headers, "Allow: POST\r\n");
    ask("POST", "/api/clients/a");
    EXPECT_EQ(heard_code(405), "bad_request");
    ask("POST", "/api/upgrade");
    EXPECT_EQ(heard_code(501), "not_implemented");
    ask("POST", "/api/rebalance");
    EXPECT_EQ(heard_code(501), "not_implemented");
    ask("HEAD", "/healthz?x");
    EXPECT_EQ(heard().status, 200);
    EXPECT_EQ(api.waiting_count(), 0u);
}

TEST_F(ApiTest, ThePathsThatThereAreAreNamed) {
    ask("GET", "/nowhere");
    const std::string body = heard().body;
    for (const char* path : {" / ", "/metrics", "stats", "drain"}) {
        EXPECT_NE(body.find(path), std::string::npos) << path;
    }
}

TEST_F(ApiTest, TheDashboardIsTheSameWhateverHappens) {
    for (const char* path : {"/", "/dashboard.js", "/dashboard.css"}) {
        ask("GET", path);
        const Answer before = heard();
        EXPECT_EQ(before.status, 200) << path;
        metrics::Counters counters;
        counters.seating.seats[0][1] = 37;
        page.publish(0, counters, now);
        ask("HEAD", std::string(path) + "?x=1");
        EXPECT_EQ(heard().body, before.body) << path;
        ask("POST", path, "{}");
        EXPECT_EQ(heard().headers, "Allow: GET, HEAD\r\n") << path;
    }
}

TEST_F(ApiTest, ABroadcastIsAnsweredWithItsPosition) {
    ask("POST", "/api/broadcast", R"({"group":"g","payload": {"a" : 1} })");
    const Json first = heard_result();
    EXPECT_EQ(first.at("offset"), 1);
    EXPECT_EQ(first.at("epoch").get<std::string>().size(), 16u);
    ask("POST", "/api/broadcast", R"({"group":"g","payload":2})");
    const Json second = heard_result();
    EXPECT_EQ(second.at("offset"), 2);
    EXPECT_EQ(second.at("epoch"), first.at("epoch"));
}

TEST_F(ApiTest, WhatIsForNobodyIsAnUnknownTarget) {
    ask("POST", "/api/direct", R"({"targetId":"nobody","payload":1})");
    EXPECT_EQ(heard_code(404), "unknown_target");
    ask("POST", "/api/disconnect", R"({"clientId":"nobody"})");
    EXPECT_EQ(heard_code(404), "unknown_target");
    ask("POST", "/api/join", R"({"clientId":"nobody","group":5})");
    EXPECT_EQ(heard_code(400), "bad_request");
}

TEST_F(ApiTest, ACommandIsDoneWhenItsWorkerSaysSo) {
    const hub::Session client{3, 1};
    (void)workers[0]->register_id(client, "alice", now);
    pump();
    ask("POST", "/api/join", R"({"clientId":"alice","group":"g"})");
    EXPECT_EQ(heard().status, 0);
    ASSERT_EQ(delivered.size(), 1u);
    wire::Command command;
    ASSERT_TRUE(wire::decode(as_bytes(delivered[0]), command));
    EXPECT_EQ(command.group, "g");
    EXPECT_EQ(command.asker, own);
    ByteBuffer out;
    wire::encode(out, wire::CommandAnswer{.number = command.number, .epoch = 1, .offset = 7});
    EXPECT_TRUE(api.on_record(1, out.view(), now));
    pump();
    EXPECT_EQ(heard_result(), (Json{{"group", "g"}, {"epoch", "0000000000000001"}, {"offset", 7}}));
    EXPECT_TRUE(api.on_record(1, out.view(), now));  // once more: nobody waits
}

TEST_F(ApiTest, ACommandWithoutAnAnswerIsUnknownInTime) {
    (void)workers[0]->register_id({3, 1}, "alice", now);
    pump();
    ask("POST", "/api/leave", R"({"clientId":"alice","group":"g"})");
    pass(run_patience - milliseconds(1));
    EXPECT_EQ(heard().status, 0);
    pass(milliseconds(1));
    EXPECT_EQ(heard_code(504), "unavailable");
    EXPECT_EQ(api.waiting_count(), 0u);
}

TEST_F(ApiTest, ABatchIsDoneInOrderAndEachCommandHasItsAnswer) {
    ask("POST",
        "/api/batch",
        R"({"commands":[{"broadcast":{"group":"g","payload":1}},
            {"direct":{"targetId":"x","payload":1}},{"broadcast":{"group":"g","payload":2}}]})");
    const Json result = heard_result();
    EXPECT_EQ(result.at("failed"), 1);
    const Json& results = result.at("results");
    ASSERT_EQ(results.size(), 3u);
    EXPECT_EQ(results[0]["result"]["offset"], 1);
    EXPECT_EQ(results[1]["error"]["code"], "unknown_target");
    EXPECT_EQ(results[2]["result"]["offset"], 2);
    ask("POST", "/api/batch", R"({"commands":[]})");
    EXPECT_EQ(heard_result().at("results").size(), 0u);
}

TEST_F(ApiTest, ABatchWhoseTimeIsUpSaysWhatWasNotBegun) {
    (void)workers[0]->register_id({3, 1}, "alice", now);
    pump();
    ask("POST",
        "/api/batch",
        R"({"commands":[{"leave":{"clientId":"alice","group":"g"}},
            {"broadcast":{"group":"g","payload":2}}]})");
    pass(run_patience);
    const Json results = heard_result().at("results");
    EXPECT_EQ(results[0]["error"]["code"], "unavailable");
    EXPECT_NE(results[1]["error"]["message"].get<std::string>().find("not begun"),
              std::string::npos);
}

TEST_F(ApiTest, AHomeThatIsGoneIsUnavailableInTime) {
    kill(1);
    kill(2);
    ask("POST", "/api/broadcast", R"({"group":"g","payload":1})");
    EXPECT_EQ(heard().status, 0);
    pass(seconds(3));
    EXPECT_EQ(heard_code(504), "unavailable");
}

TEST_F(ApiTest, ClientsAreListedWorkerByWorkerInPages) {
    ask("GET", "/api/clients?limit=3");
    EXPECT_TRUE(questions[2].empty());
    reply(1, clients({"a", "b"}));
    EXPECT_EQ(asked(2).limit, 1u);
    questions[2].push_back(kept);
    reply(2, clients({"c"}), true, 17);
    Json result = heard_result();
    EXPECT_EQ(ids_of(result), (std::vector<std::string>{"a", "b", "c"}));
    EXPECT_EQ(result.at("next"), "1.17");
    EXPECT_EQ(result.at("missing"), Json::array());
    EXPECT_EQ(result.at("clients")[2].at("worker"), 1);
    EXPECT_EQ(result.at("clients")[2].at("connectedSeconds"), 1.5);

    ask("GET", "/api/clients?after=1.17");
    const wire::Question question = asked(2);
    EXPECT_EQ(question.from, 17u);
    EXPECT_EQ(question.limit, page_default);
    questions[2].push_back(kept);
    reply(2, clients({"d"}));
    result = heard_result();
    EXPECT_EQ(ids_of(result), std::vector<std::string>{"d"});
    EXPECT_FALSE(result.contains("next"));
}

TEST_F(ApiTest, PagesThatCannotBeAreRefused) {
    for (const char* query : {"limit=0",
                              "limit=1001",
                              "limit=x",
                              "limit=",
                              "after=1",
                              "after=.",
                              "after=1.x",
                              "after=-1.0",
                              "after=70000.0"}) {
        ask("GET", std::string("/api/clients?") + query);
        EXPECT_EQ(heard_code(400), "bad_request") << query;
    }
    ask("GET", "/api/clients?after=5.0");
    EXPECT_EQ(heard_result().at("clients").size(), 0u);
}

TEST_F(ApiTest, AWorkerThatIsSilentIsNamedAndPassedOver) {
    ask("GET", "/api/clients");
    pass(ask_patience);
    EXPECT_EQ(heard().status, 0);
    reply(2, clients({"c"}));
    const Json result = heard_result();
    EXPECT_EQ(ids_of(result), std::vector<std::string>{"c"});
    EXPECT_EQ(result.at("missing"), Json::array({0}));
}

TEST_F(ApiTest, AWorkerThatDiesMeanwhileIsNamedAtOnce) {
    ask("GET", "/api/clients");
    kill(1);
    EXPECT_EQ(heard().status, 0);
    reply(2, clients({}));
    EXPECT_EQ(heard_result().at("missing"), Json::array({0}));
    ask("GET", "/api/clients/alice");
    reply(2, clients({}));
    EXPECT_EQ(heard_code(504), "unavailable");
}

TEST_F(ApiTest, OneClientIsAskedForEverywhere) {
    ask("GET", "/api/clients/a%2Fb%20c");
    EXPECT_EQ(asked(1).name, "a/b c");
    questions[1].push_back(kept);
    reply(1, clients({}));
    EXPECT_EQ(heard().status, 0);
    wire::ItemList<wire::NameItem> groups;
    groups.add({"news"});
    wire::ItemList<wire::ClientItem> items;
    items.add({.id = "a/b c",
               .priority = 1,
               .group_count = 1,
               .listed = groups.count(),
               .groups = groups.view()});
    reply(2, items);
    const Json result = heard_result();
    EXPECT_EQ(result.at("worker"), 1);
    EXPECT_EQ(result.at("priority"), "high");
    EXPECT_EQ(result.at("groups"), Json::array({"news"}));
    ask("GET", "/api/clients/%zz");
    EXPECT_EQ(heard_code(400), "bad_name");
    ask("GET", "/api/clients/nobody");
    reply(1, clients({}));
    reply(2, clients({}));
    EXPECT_EQ(heard_code(404), "unknown_target");
}

TEST_F(ApiTest, GroupsAreListedByTheirHomesAndCountedEverywhere) {
    ask("GET", "/api/groups");
    wire::ItemList<wire::GroupItem> at_home;
    at_home.add({.name = "g", .members = 2, .epoch = 5, .offset = 6, .history = 4});
    reply(1, at_home);
    reply(2, wire::ItemList<wire::GroupItem>());
    wire::ItemList<wire::GroupItem> elsewhere;
    elsewhere.add({.name = "g", .members = 3});
    reply(1, at_home);
    reply(2, elsewhere);
    const Json group = heard_result().at("groups").at(0);
    EXPECT_EQ(group.at("group"), "g");
    EXPECT_EQ(group.at("members"), 5);
    EXPECT_EQ(group.at("offset"), 6);
    EXPECT_EQ(group.at("history"), 4);
    EXPECT_EQ(group.at("workers").size(), 2u);
}

TEST_F(ApiTest, AGroupWhoseHomeIsSilentHasNoPosition) {
    ask("GET", "/api/groups/g");
    wire::ItemList<wire::GroupItem> elsewhere;
    elsewhere.add({.name = "g", .members = 3});
    reply(2, elsewhere);
    pass(ask_patience);
    const Json group = heard_result();
    EXPECT_EQ(group.at("members"), 3);
    EXPECT_TRUE(group.at("epoch").is_null());
    EXPECT_EQ(group.at("missing"), Json::array({0}));
}

TEST_F(ApiTest, NobodyIsAnsweredWhoIsGone) {
    ask("GET", "/api/clients");
    api.on_abandoned(asker);
    EXPECT_EQ(api.waiting_count(), 0u);
    reply(1, clients({"a"}));
    EXPECT_EQ(heard().status, 0);
}

TEST_F(ApiTest, NonsenseOfAWorkerIsToldApart) {
    EXPECT_FALSE(api.on_record(1, as_bytes("nonsense"), now));
}

TEST_F(ApiTest, ADrainIsToldOnceAndReadinessEndsWithIt) {
    EXPECT_FALSE(api.take_drain());
    ask("POST", "/api/drain");
    EXPECT_EQ(heard_result().at("draining"), true);
    ask("GET", "/readyz");
    EXPECT_EQ(heard().status, 503);
    EXPECT_TRUE(api.take_drain());
    EXPECT_FALSE(api.take_drain());
}

}  // namespace
}  // namespace wspool::control
