// Arguments: `--key value` pairs of a benchmark program. The programs are started by compare.py
// only, so a wrong pair is a fault of that script: it is named on stderr and the program ends with
// status 2.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

namespace wspool::bench {

[[noreturn]] inline void fail(const std::string& what) {
    std::fprintf(stderr, "%s\n", what.c_str());
    std::exit(2);
}

class Arguments {
  public:
    Arguments(int count, char** words) {
        for (int i = 1; i < count; i += 2) {
            const std::string key = words[i];
            if (key.rfind("--", 0) != 0 || i + 1 == count) fail("expected --key value at " + key);
            values_[key.substr(2)] = words[i + 1];
        }
    }
    [[nodiscard]] std::string text(const std::string& key, const std::string& otherwise) const {
        const auto found = values_.find(key);
        return found == values_.end() ? otherwise : found->second;
    }
    [[nodiscard]] double number(const std::string& key, double otherwise) const {
        const auto found = values_.find(key);
        if (found == values_.end()) return otherwise;
        char* end = nullptr;
        const double value = std::strtod(found->second.c_str(), &end);
        if (end == found->second.c_str() || *end != 0) fail("--" + key + " wants a number");
        return value;
    }
    [[nodiscard]] std::size_t count(const std::string& key, std::size_t otherwise) const {
        return static_cast<std::size_t>(number(key, static_cast<double>(otherwise)));
    }

  private:
    std::map<std::string, std::string> values_;
};

}  // namespace wspool::bench
