// For tests and fuzzing only: what another reader of JSON says of the same text, and what the
// clients' protocol makes of that. nlohmann-json accepts two things that the grammar does not (a
// byte order mark; NUL, which it takes for the end) and refuses two that it allows (escapes of lone
// surrogates, numbers beyond a double): the former are refused here, texts with the latter left
// undecided.
#pragma once

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace wspool::protocol {

enum class Verdict { accepted, refused, undecided };

class JsonOracle : public nlohmann::json_sax<nlohmann::json> {
  public:
    [[nodiscard]] static Verdict judge(std::string_view text, std::size_t depth_max) {
        if (text.starts_with("\xef\xbb\xbf") || text.find('\0') != std::string_view::npos) {
            return Verdict::refused;
        }
        JsonOracle oracle;
        const bool is_json = nlohmann::json::sax_parse(text.begin(), text.end(), &oracle);
        if (oracle.is_undecided_ || (!is_json && has_surrogate_escape(text))) {
            return Verdict::undecided;
        }
        return is_json && oracle.is_object_ && !oracle.has_duplicate_ &&
                       oracle.deepest_ <= depth_max
                   ? Verdict::accepted
                   : Verdict::refused;
    }

    bool null() override { return true; }
    bool boolean(bool) override { return true; }
    bool number_integer(number_integer_t) override { return true; }
    bool number_unsigned(number_unsigned_t) override { return true; }
    bool number_float(number_float_t, const string_t&) override { return true; }
    bool string(string_t&) override { return true; }
    bool binary(binary_t&) override { return false; }
    bool start_object(std::size_t) override {
        if (depth_ == 0) is_object_ = true;
        return enter();
    }
    bool start_array(std::size_t) override { return enter(); }
    bool end_object() override { return leave(); }
    bool end_array() override { return leave(); }
    bool key(string_t& key) override {
        if (depth_ != 1) return true;
        has_duplicate_ =
            has_duplicate_ || std::find(keys_.begin(), keys_.end(), key) != keys_.end();
        keys_.push_back(key);
        return true;
    }
    bool parse_error(std::size_t,
                     const std::string&,
                     const nlohmann::json::exception& error) override {
        constexpr int number_out_of_range = 406;
        is_undecided_ = error.id == number_out_of_range;
        return false;
    }

  private:
    static bool has_surrogate_escape(std::string_view text) {
        for (const char* begin : {"\\ud", "\\uD"}) {
            if (text.find(begin) != std::string_view::npos) return true;
        }
        return false;
    }
    bool enter() {
        deepest_ = std::max(deepest_, ++depth_);
        return true;
    }
    bool leave() {
        --depth_;
        return true;
    }

    std::vector<std::string> keys_;
    std::size_t depth_ = 0;
    std::size_t deepest_ = 0;
    bool is_object_ = false;
    bool has_duplicate_ = false;
    bool is_undecided_ = false;
};

}  // namespace wspool::protocol
