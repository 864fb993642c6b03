#include "http/head.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace wspool::http {
namespace {

const std::string plain_request =
    "GET /chat?clientId=a%20b HTTP/1.1\r\n"
    "Host: example.com:8080\r\n"
    "Upgrade: websocket\r\n"
    "Connection: keep-alive, Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    "Sec-WebSocket-Version: 13\r\n"
    "\r\n";

const std::string plain_response =
    "HTTP/1.1 101 Switching Protocols\r\n"
    "Upgrade: websocket\r\n"
    "Connection: Upgrade\r\n"
    "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
    "\r\n";

// The bytes in a block of exactly their size, so that ASan sees a read beyond them.
class ExactBytes {
  public:
    explicit ExactBytes(std::string_view text)
        : bytes_(std::make_unique<std::byte[]>(text.size())), size_(text.size()) {
        std::copy(as_bytes(text).begin(), as_bytes(text).end(), bytes_.get());
    }
    [[nodiscard]] ByteView view() const { return {bytes_.get(), size_}; }

  private:
    std::unique_ptr<std::byte[]> bytes_;
    std::size_t size_;
};

template <class Head>
std::string verdict_of(const std::variant<NeedMore, Head, Refused>& outcome) {
    if (std::holds_alternative<NeedMore>(outcome)) return "more";
    if (const auto* refused = std::get_if<Refused>(&outcome)) {
        return std::to_string(refused->status) + ' ' + std::string(refused->reason) + ' ' +
               refused->message;
    }
    const Head& head = std::get<Head>(outcome);
    std::string text = "ok " + std::to_string(head.size);
    for (const HeaderField& field : head.fields) {
        text += '\n';
        text += field.name;
        text += '=';
        text += field.value;
    }
    return text;
}

std::string request_verdict(std::string_view text, const HeadLimits& limits = {}) {
    return verdict_of(parse_request_head(ExactBytes(text).view(), limits));
}

std::string request_reason(std::string_view text, const HeadLimits& limits = {}) {
    const ExactBytes bytes(text);
    const auto outcome = parse_request_head(bytes.view(), limits);
    if (std::holds_alternative<NeedMore>(outcome)) return "more";
    const auto* refused = std::get_if<Refused>(&outcome);
    return refused == nullptr
               ? "ok"
               : std::to_string(refused->status) + ' ' + std::string(refused->reason);
}

// Feeds ever longer beginnings, as a connection would, and returns the first verdict.
template <class Parse>
std::string verdict_when_split(const Parse& parse,
                               std::string_view text,
                               const std::vector<std::size_t>& ends) {
    std::size_t scanned = 0;
    for (const std::size_t end : ends) {
        const ExactBytes bytes(text.substr(0, end));
        const auto outcome = parse(bytes.view(), HeadLimits{}, scanned);
        if (const auto* more = std::get_if<NeedMore>(&outcome)) {
            EXPECT_LE(more->scanned, end);
            scanned = more->scanned;
        } else {
            return verdict_of(outcome);
        }
    }
    return "more";
}

std::vector<std::size_t> some_ends(std::size_t size) {
    std::vector<std::size_t> ends;
    const auto step_max = *rc::gen::inRange<std::size_t>(1, 60);
    for (std::size_t end = 0; end < size;) {
        end = std::min(size, end + *rc::gen::inRange<std::size_t>(1, step_max + 1));
        ends.push_back(end);
    }
    return ends;
}

std::string mutated(std::string text) {
    const auto mutation_count = *rc::gen::inRange(0, 4);
    for (int i = 0; i < mutation_count; ++i) {
        const auto at = *rc::gen::inRange<std::size_t>(0, text.size());
        const std::string piece = *rc::gen::element<std::string>("\r\n",
                                                                 "\n",
                                                                 "\r",
                                                                 " ",
                                                                 "\t",
                                                                 ":",
                                                                 "\r\n\r\n",
                                                                 "\r\n ",
                                                                 "HTTP/1.0",
                                                                 "Host: b\r\n",
                                                                 "#",
                                                                 std::string(1, '\0'),
                                                                 "\x7f",
                                                                 "\x80",
                                                                 "GET",
                                                                 "Content-Length: 5\r\n",
                                                                 "=",
                                                                 "%");
        if (*rc::gen::arbitrary<bool>()) text.erase(at, *rc::gen::inRange<std::size_t>(1, 4));
        if (*rc::gen::arbitrary<bool>()) text.insert(std::min(at, text.size()), piece);
    }
    return text;
}

RC_GTEST_PROP(RequestHead, has_the_same_verdict_however_its_bytes_are_split, ()) {
    for (int i = 0; i < 20; ++i) {
        const std::string text = mutated(plain_request + "frame bytes");
        RC_ASSERT(verdict_when_split(parse_request_head, text, some_ends(text.size())) ==
                  request_verdict(text));
    }
}

RC_GTEST_PROP(ResponseHead, has_the_same_verdict_however_its_bytes_are_split, ()) {
    for (int i = 0; i < 20; ++i) {
        const std::string text = mutated(plain_response + "frame bytes");
        RC_ASSERT(verdict_when_split(parse_response_head, text, some_ends(text.size())) ==
                  verdict_of(parse_response_head(ExactBytes(text).view(), {})));
    }
}

RC_GTEST_PROP(RequestHead, never_crashes_on_arbitrary_bytes, (const std::string& text)) {
    (void)request_verdict(text);
    (void)request_verdict("GET / HTTP/1.1\r\nHost: a\r\n" + text + "\r\n\r\n");
}

RC_GTEST_PROP(RequestHead, gives_back_the_fields_that_were_written, ()) {
    const auto token = rc::gen::nonEmpty(rc::gen::container<std::string>(
        rc::gen::elementOf(std::string("abcXYZ019!#$%&'*+-.^_`|~"))));
    const auto value = rc::gen::container<std::string>(
        rc::gen::elementOf(std::string("abc XYZ,;=\"()<>@:/[]?{}\t\xc3\xa9")));
    const auto fields =
        *rc::gen::resize(12,
                         rc::gen::container<std::vector<std::pair<std::string, std::string>>>(
                             rc::gen::pair(token, value)));
    std::string text = "GET / HTTP/1.1\r\nHost: h\r\n";
    // "X-" keeps clear of the names that mean something to the parser.
    for (const auto& [name, content] : fields) text += "X-" + name + ": " + content + "\r\n";
    text += "\r\n";
    const auto outcome = parse_request_head(as_bytes(text), {});
    RC_ASSERT(std::holds_alternative<RequestHead>(outcome));
    const auto& head = std::get<RequestHead>(outcome);
    RC_ASSERT(head.size == text.size());
    RC_ASSERT(head.fields.size() == fields.size() + 1);
    for (std::size_t i = 0; i < fields.size(); ++i) {
        std::string trimmed = fields[i].second;
        trimmed.erase(0, trimmed.find_first_not_of(" \t"));
        trimmed.erase(trimmed.find_last_not_of(" \t") + 1);
        RC_ASSERT(head.fields[i + 1].name == "X-" + fields[i].first);
        RC_ASSERT(head.fields[i + 1].value == trimmed);
    }
}

TEST(RequestHead, is_taken_apart) {
    const auto outcome = parse_request_head(as_bytes(plain_request), {});
    ASSERT_TRUE(std::holds_alternative<RequestHead>(outcome));
    const auto& head = std::get<RequestHead>(outcome);
    EXPECT_EQ(head.size, plain_request.size());
    EXPECT_EQ(head.method, "GET");
    EXPECT_EQ(head.target, "/chat?clientId=a%20b");
    EXPECT_EQ(head.fields.size(), 5u);
    EXPECT_EQ(head.field("hOST"), "example.com:8080");
    EXPECT_EQ(head.field("connection"), "keep-alive, Upgrade");
    EXPECT_EQ(head.field("__proto__"), "");
}

TEST(RequestHead, leaves_the_bytes_behind_it_alone) {
    const std::string text = plain_request + std::string("\x81\x85\0\0\n\r", 6);
    const auto outcome = parse_request_head(as_bytes(text), {});
    ASSERT_TRUE(std::holds_alternative<RequestHead>(outcome));
    EXPECT_EQ(std::get<RequestHead>(outcome).size, plain_request.size());
}

struct Attack {
    std::string name;
    std::string head;
    std::string answer;
};

std::string with_line(std::string_view line) {
    return "GET / HTTP/1.1\r\nHost: a\r\n" + std::string(line) + "\r\n\r\n";
}

std::string with_start(std::string_view line) {
    return std::string(line) + "\r\nHost: a\r\n\r\n";
}

std::string with_host(std::string_view line) {
    return "GET / HTTP/1.1\r\n" + std::string(line) + "\r\n\r\n";
}

const std::vector<Attack>& attacks() {
    static const std::vector<Attack> table = {
        // line ends and white space
        {"bare LF everywhere", "GET / HTTP/1.1\nHost: a\n\n", "400 malformed"},
        {"bare LF after a field", with_line("X: 1\nY: 2"), "400 malformed"},
        {"bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", "400 malformed"},
        {"bare CR in a value", with_line("X: 1\r2"), "400 malformed"},
        {"CR CR LF", with_line("X: 1\r"), "400 malformed"},
        {"folded line", with_line("X: 1\r\n 2"), "400 malformed"},
        {"folded line with a tab", with_line("X: 1\r\n\t2"), "400 malformed"},
        {"folded Host", with_host("Host: a\r\n .example"), "400 malformed"},
        {"white space before the first field", with_host(" Host: a"), "400 malformed"},
        {"space before the colon", with_line("X : 1"), "400 malformed"},
        {"tab before the colon", with_line("X\t: 1"), "400 malformed"},
        {"leading empty line", "\r\n" + plain_request, "400 malformed"},
        {"NUL in a value", with_line(std::string("X: a\0b", 6)), "400 malformed"},
        {"NUL in a name", with_line(std::string("X\0Y: a", 6)), "400 malformed"},
        {"escape in a value", with_line("X: \x1b[2J"), "400 malformed"},
        {"DEL in a value", with_line("X: \x7f"), "400 malformed"},
        // names
        {"no colon", with_line("nonsense"), "400 malformed"},
        {"empty name", with_line(": 1"), "400 malformed"},
        {"name with a space", with_line("X Y: 1"), "400 malformed"},
        {"name with a bracket", with_line("X(Y): 1"), "400 malformed"},
        {"name beyond ASCII", with_line("X\xc3\xa9: 1"), "400 malformed"},
        {"name __proto__ is harmless", with_line("__proto__: 1"), "ok"},
        {"empty value is harmless", with_line("X:"), "ok"},
        {"value beyond ASCII is harmless", with_line("X-Client-Id: \xc3\xa9"), "ok"},
        // the request line
        {"HTTP/1.0", with_start("GET / HTTP/1.0"), "505 http_version"},
        {"HTTP/2.0", with_start("GET / HTTP/2.0"), "505 http_version"},
        {"HTTP/1.2", with_start("GET / HTTP/1.2"), "505 http_version"},
        {"HTTP/0.9", with_start("GET / HTTP/0.9"), "505 http_version"},
        {"HTTP/1.11", with_start("GET / HTTP/1.11"), "400 malformed"},
        {"lower-case http", with_start("GET / http/1.1"), "400 malformed"},
        {"no version", with_start("GET /"), "400 malformed"},
        {"no version, one space", with_start("GET / "), "400 malformed"},
        {"space behind the version", with_start("GET / HTTP/1.1 "), "400 malformed"},
        {"two spaces before the target", with_start("GET  / HTTP/1.1"), "400 malformed"},
        {"two spaces before the version", with_start("GET /  HTTP/1.1"), "400 malformed"},
        {"tab instead of space", with_start("GET\t/ HTTP/1.1"), "400 malformed"},
        {"tab in the target", with_start("GET /\ta HTTP/1.1"), "400 malformed"},
        {"lower-case method", with_start("get / HTTP/1.1"), "400 malformed"},
        {"no method", with_start(" / HTTP/1.1"), "400 malformed"},
        {"method without end", std::string(60, 'A'), "400 malformed"},
        {"absolute target", with_start("GET http://a/ HTTP/1.1"), "400 malformed"},
        {"authority target", with_start("CONNECT a:80 HTTP/1.1"), "400 malformed"},
        {"asterisk target", with_start("OPTIONS * HTTP/1.1"), "400 malformed"},
        {"fragment", with_start("GET /#a HTTP/1.1"), "400 malformed"},
        {"target beyond ASCII", with_start("GET /\xc3\xa9 HTTP/1.1"), "400 malformed"},
        {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 malformed"},
        {"TLS hello", std::string("\x16\x03\x01\x02\x00\x01", 6), "400 malformed"},
        {"SSH banner", "SSH-2.0-OpenSSH_9.2\r\n", "400 malformed"},
        {"PROXY line", "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", "400 malformed"},
        {"WebSocket frame", "\x81\x85", "400 malformed"},
        {"digit", "0", "400 malformed"},
        {"other methods are parsed", with_start("POST / HTTP/1.1"), "ok"},
        {"method with a hyphen is parsed", with_start("M-SEARCH / HTTP/1.1"), "ok"},
        // Host
        {"no Host", "GET / HTTP/1.1\r\nX: 1\r\n\r\n", "400 malformed"},
        {"no field at all", "GET / HTTP/1.1\r\n\r\n", "400 malformed"},
        {"two Hosts", with_line("Host: b"), "400 malformed"},
        {"two equal Hosts in another case", with_line("hOsT: a"), "400 malformed"},
        {"empty Host", with_host("Host:"), "400 malformed"},
        {"Host list", with_host("Host: a b"), "400 malformed"},
        {"Host with user", with_host("Host: u@a"), "400 malformed"},
        {"Host with path", with_host("Host: a/b"), "400 malformed"},
        {"Host with a word as port", with_host("Host: a:http"), "400 malformed"},
        {"Host with a long port", with_host("Host: a:123456"), "400 malformed"},
        {"Host beyond ASCII", with_host("Host: \xc3\xa9"), "400 malformed"},
        {"Host with an open bracket", with_host("Host: [::1"), "400 malformed"},
        {"Host with empty brackets", with_host("Host: []"), "400 malformed"},
        {"Host behind brackets", with_host("Host: [::1]x"), "400 malformed"},
        {"IPv6 Host", with_host("Host: [::1]:8080"), "ok"},
        {"Host and port", with_host("Host: a.example:8080"), "ok"},
        // bodies and smuggling
        {"chunked", with_line("Transfer-Encoding: chunked"), "400 body"},
        {"chunked in capitals", with_line("TRANSFER-ENCODING: Chunked"), "400 body"},
        {"xchunked", with_line("Transfer-Encoding: xchunked"), "400 body"},
        {"identity", with_line("Transfer-Encoding: identity"), "400 body"},
        {"empty Transfer-Encoding", with_line("Transfer-Encoding:"), "400 body"},
        {"length", with_line("Content-Length: 5"), "400 body"},
        {"length and chunked",
         with_line("Content-Length: 5\r\nTransfer-Encoding: chunked"),
         "400 body"},
        {"zero and chunked",
         with_line("Content-Length: 0\r\nTransfer-Encoding: chunked"),
         "400 body"},
        {"two lengths of zero", with_line("Content-Length: 0\r\nContent-Length: 0"), "400 body"},
        {"list of zeros", with_line("Content-Length: 0, 0"), "400 body"},
        {"signed length", with_line("Content-Length: +0"), "400 body"},
        {"negative length", with_line("Content-Length: -1"), "400 body"},
        {"length beyond 64 bits", with_line("Content-Length: 99999999999999999999"), "400 body"},
        {"empty length", with_line("Content-Length:"), "400 body"},
        {"two digits of zero", with_line("Content-Length: 00"), "400 body"},
        {"length of zero is no body", with_line("Content-Length: 0"), "ok"},
        {"length of a post", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n", "400 body"},
        {"Connection that is no list", with_line("Connection: \"close"), "400 malformed"},
    };
    return table;
}

TEST(RequestHead, answers_every_attack_of_the_table_at_once_and_byte_by_byte) {
    for (const Attack& attack : attacks()) {
        EXPECT_EQ(request_reason(attack.head), attack.answer) << attack.name;
        std::vector<std::size_t> ends;
        for (std::size_t end = 1; end <= attack.head.size(); ++end) ends.push_back(end);
        EXPECT_EQ(verdict_when_split(parse_request_head, attack.head, ends),
                  request_verdict(attack.head))
            << attack.name;
    }
}

TEST(RequestHead, judges_every_byte_at_every_place_of_a_value_and_a_name) {
    for (int value = 0; value < 256; ++value) {
        const char c = static_cast<char>(value);
        const bool is_control = (value < 0x20 && c != '\t') || value == 0x7f;
        for (const std::string name : {"Upgrade-X",
                                       "Sec-WebSocket-Key",
                                       "Sec-WebSocket-Version",
                                       "Sec-WebSocket-Protocol",
                                       "Sec-WebSocket-Extensions",
                                       "Origin",
                                       "X-Client-Id",
                                       "Authorization"}) {
            const std::string text = with_line(name + ": a" + c + "b");
            EXPECT_EQ(request_reason(text), is_control ? "400 malformed" : "ok") << name << value;
        }
        const bool is_name_char =
            std::isalnum(value) != 0 ||
            (value > 0 && value < 0x80 &&
             std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos) ||
            c == ':';  // "X:Y: a" is the name X
        EXPECT_EQ(request_reason(with_line(std::string("X") + c + "Y: a")),
                  is_name_char ? "ok" : "400 malformed")
            << value;
        const bool is_target_char = value > 0x20 && value < 0x7f && c != '#';
        const std::string start =
            request_reason(with_start(std::string("GET /a") + c + " HTTP/1.1"));
        EXPECT_EQ(start, is_target_char ? "ok" : "400 malformed") << value;
    }
}

// What a head says of its body, where bodies of up to 10 bytes are taken.
std::string body_verdict(std::string_view method, std::string_view lines) {
    const std::string text =
        std::string(method) + " / HTTP/1.1\r\nHost: a\r\n" + std::string(lines) + "\r\n";
    const HeadLimits limits{.body_size_max = 10};
    const ExactBytes bytes(text);
    const auto outcome = parse_request_head(bytes.view(), limits);
    if (const auto* refused = std::get_if<Refused>(&outcome)) {
        return std::to_string(refused->status) + ' ' + std::string(refused->reason);
    }
    const auto* head = std::get_if<RequestHead>(&outcome);
    return head == nullptr ? "more" : std::to_string(head->body_size);
}

TEST(RequestHead, says_how_long_its_body_is_where_one_is_taken) {
    EXPECT_EQ(body_verdict("POST", "Content-Length: 10\r\n"), "10");
    EXPECT_EQ(body_verdict("POST", "Content-Length: 0\r\n"), "0");
    EXPECT_EQ(body_verdict("POST", ""), "0");
    EXPECT_EQ(body_verdict("DELETE", "content-length: 1\r\n"), "1");
}

TEST(RequestHead, refuses_a_body_that_is_too_large_or_of_unknown_length) {
    EXPECT_EQ(body_verdict("POST", "Content-Length: 11\r\n"), "413 body");
    EXPECT_EQ(body_verdict("POST", "Content-Length: 999999999999999999\r\n"), "413 body");
    EXPECT_EQ(body_verdict("POST", "Content-Length: 99999999999999999999\r\n"), "400 body");
    EXPECT_EQ(body_verdict("POST", "Transfer-Encoding: chunked\r\n"), "411 body");
    EXPECT_EQ(body_verdict("POST", "Transfer-Encoding: identity\r\n"), "411 body");
}

TEST(RequestHead, refuses_a_length_that_two_readers_may_read_differently) {
    for (const char* length : {"+5", "-5", "5,5", "0x5", "05", "", "5 5", "5;", "\x01"}) {
        const std::string line = std::string("Content-Length: ") + length + "\r\n";
        EXPECT_EQ(body_verdict("POST", line).substr(0, 3), "400") << length;
    }
    EXPECT_EQ(body_verdict("POST", "Content-Length: 5\r\nContent-Length: 5\r\n"), "400 body");
    EXPECT_EQ(body_verdict("POST", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
              "400 body");
}

TEST(RequestHead, refuses_a_body_of_a_request_that_only_asks) {
    for (const char* method : {"GET", "HEAD"}) {
        EXPECT_EQ(body_verdict(method, "Content-Length: 5\r\n"), "400 body");
        EXPECT_EQ(body_verdict(method, "Transfer-Encoding: chunked\r\n"), "400 body");
        EXPECT_EQ(body_verdict(method, "Content-Length: 0\r\n"), "0");
    }
}

TEST(RequestHead, refuses_what_begins_with_no_method_at_its_first_byte) {
    for (int value = 0; value < 256; ++value) {
        const std::string first(1, static_cast<char>(value));
        const bool may_begin = (value >= 'A' && value <= 'Z') || value == '-' || value == '_';
        EXPECT_EQ(request_reason(first), may_begin ? "more" : "400 malformed") << value;
    }
}

TEST(RequestHead, has_a_bound_on_its_size) {
    const std::string begin = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
    const HeadLimits limits;
    const std::string fits =
        begin + std::string(limits.size_max - begin.size() - 4, 'x') + "\r\n\r\n";
    ASSERT_EQ(fits.size(), limits.size_max);
    EXPECT_EQ(request_reason(fits), "ok");
    EXPECT_EQ(request_reason(begin + "x" + fits.substr(begin.size())), "431 header_size");
    EXPECT_EQ(request_reason(begin + std::string(limits.size_max - begin.size() - 1, 'x')), "more");
    EXPECT_EQ(request_reason(begin + std::string(100'000, 'x')), "431 header_size");
}

TEST(RequestHead, has_a_bound_on_its_fields) {
    for (const auto& [count, answer] :
         std::vector<std::pair<int, std::string>>{{63, "ok"},
                                                  {64, "431 header_count"},
                                                  {65, "431 header_count"},
                                                  {1'000, "431 header_count"}}) {
        std::string text = "GET / HTTP/1.1\r\nHost: a\r\n";
        for (int i = 0; i < count; ++i) text += "a:\r\n";
        EXPECT_EQ(request_reason(text + "\r\n"), answer) << count;
    }
}

TEST(RequestHead, has_a_bound_on_its_target) {
    const auto with_target = [](std::size_t size) {
        return with_start("GET /" + std::string(size - 1, 'a') + " HTTP/1.1");
    };
    EXPECT_EQ(request_reason(with_target(2048)), "ok");
    EXPECT_EQ(request_reason(with_target(2049)), "414 uri");
    // Too long even for the head: still the target's fault.
    EXPECT_EQ(request_reason(with_target(20'000)), "414 uri");
    EXPECT_EQ(request_reason("GET /" + std::string(20'000, 'a')), "414 uri");
}

// What was scanned is overwritten with bytes that would be refused: nobody may look at them again.
// Only the start line's shape and the last bytes are context.
TEST(RequestHead, is_scanned_once_when_it_arrives_byte_by_byte) {
    std::string text = "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(8'000, 'x');
    std::size_t scanned = 0;
    for (std::size_t end = 1; end <= text.size(); ++end) {
        const auto outcome = parse_request_head(as_bytes(text).first(end), {}, scanned);
        ASSERT_TRUE(std::holds_alternative<NeedMore>(outcome)) << end;
        scanned = std::get<NeedMore>(outcome).scanned;
        ASSERT_EQ(scanned, end);
        if (end > 40) text[end - 4] = '\0';
    }
}

TEST(ResponseHead, is_taken_apart) {
    const auto outcome = parse_response_head(as_bytes(plain_response), {});
    ASSERT_TRUE(std::holds_alternative<ResponseHead>(outcome));
    const auto& head = std::get<ResponseHead>(outcome);
    EXPECT_EQ(head.size, plain_response.size());
    EXPECT_EQ(head.status, 101);
    EXPECT_EQ(head.reason_phrase, "Switching Protocols");
    EXPECT_EQ(head.fields.size(), 3u);
}

TEST(ResponseHead, answers_every_attack_of_the_table) {
    const std::vector<Attack> table = {
        {"body announced", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "ok"},
        {"chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "ok"},
        {"no phrase", "HTTP/1.1 101 \r\n\r\n", "ok"},
        {"phrase beyond ASCII", "HTTP/1.1 101 \xc3\xa9\r\n\r\n", "ok"},
        {"no space behind the status", "HTTP/1.1 101\r\n\r\n", "400 malformed"},
        {"HTTP/1.0", "HTTP/1.0 101 x\r\n\r\n", "505 http_version"},
        {"HTTP/2.0", "HTTP/2.0 101 x\r\n\r\n", "505 http_version"},
        {"two digits", "HTTP/1.1 10 x\r\n\r\n", "400 malformed"},
        {"four digits", "HTTP/1.1 1010 x\r\n\r\n", "400 malformed"},
        {"status 099", "HTTP/1.1 099 x\r\n\r\n", "400 malformed"},
        {"status 600", "HTTP/1.1 600 x\r\n\r\n", "400 malformed"},
        {"signed status", "HTTP/1.1 +10 x\r\n\r\n", "400 malformed"},
        {"bare LF", "HTTP/1.1 101 x\nA: b\r\n\r\n", "400 malformed"},
        {"folded line", "HTTP/1.1 101 x\r\nA: b\r\n c\r\n\r\n", "400 malformed"},
        {"control in the phrase", "HTTP/1.1 101 \x01\r\n\r\n", "400 malformed"},
        {"name with a space", "HTTP/1.1 101 x\r\nA b: c\r\n\r\n", "400 malformed"},
        {"another protocol", "SSH-2.0", "400 malformed"},
        {"too large", "HTTP/1.1 101 " + std::string(9'000, 'x'), "431 header_size"},
    };
    for (const Attack& attack : table) {
        const auto outcome = parse_response_head(as_bytes(attack.head), {});
        const std::string verdict = verdict_of(outcome);
        EXPECT_TRUE(verdict.starts_with(attack.answer)) << attack.name << ": " << verdict;
    }
}

TEST(Response, is_complete_and_closes) {
    EXPECT_EQ(make_response(426, "Upgrade.\n", "Sec-WebSocket-Version: 13\r\n"),
              "HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\n"
              "Content-Type: text/plain; charset=utf-8\r\nContent-Length: 9\r\n"
              "Sec-WebSocket-Version: 13\r\n\r\nUpgrade.\n");
}

TEST(Response, is_read_back_by_our_own_parser_for_every_status) {
    for (const int status :
         {200, 400, 401, 403, 404, 405, 408, 409, 414, 426, 429, 431, 500, 503, 505}) {
        const std::string text = make_response(status, "body");
        const auto outcome = parse_response_head(as_bytes(text), {});
        ASSERT_TRUE(std::holds_alternative<ResponseHead>(outcome)) << status;
        EXPECT_EQ(std::get<ResponseHead>(outcome).status, status);
        EXPECT_NE(std::get<ResponseHead>(outcome).reason_phrase, "Unknown");
        EXPECT_EQ(std::get<ResponseHead>(outcome).size + 4, text.size());
    }
}

}  // namespace
}  // namespace wspool::http
