#include "control/dashboard.h"

#include <gtest/gtest.h>

#include <array>
#include <cctype>
#include <string>
#include <vector>

namespace wspool::control {
namespace {

constexpr std::array<std::string_view, 3> paths = {"/", "/dashboard.js", "/dashboard.css"};

bool has(std::string_view text, std::string_view part) {
    return text.find(part) != std::string_view::npos;
}

// What stands between each `begin` and the next quote.
std::vector<std::string> quoted_after(std::string_view text, std::string_view begin, char quote) {
    std::vector<std::string> found;
    for (std::size_t at = text.find(begin); at != std::string_view::npos;
         at = text.find(begin, at + 1)) {
        const std::size_t from = at + begin.size();
        found.emplace_back(text.substr(from, text.find(quote, from) - from));
    }
    return found;
}

// The text of a page, as a reader sees it.
std::string without_tags(std::string_view html) {
    std::string text;
    bool is_tag = false;
    for (const char c : html) {
        if (c == '<') is_tag = true;
        if (!is_tag) text += c;
        if (c == '>') is_tag = false;
    }
    return text;
}

TEST(Dashboard, HasThreePathsAndNoOther) {
    for (const std::string_view path : paths) EXPECT_TRUE(is_dashboard_path(path)) << path;
    for (const char* path : {"", "//", "/dashboard", "/dashboard.html", "/dashboard.js/", "/x"}) {
        EXPECT_FALSE(is_dashboard_path(path)) << path;
    }
}

TEST(Dashboard, EachFileHasItsType) {
    EXPECT_EQ(answer_from_dashboard("/").content_type, "text/html; charset=utf-8");
    EXPECT_EQ(answer_from_dashboard("/dashboard.js").content_type,
              "text/javascript; charset=utf-8");
    EXPECT_EQ(answer_from_dashboard("/dashboard.css").content_type, "text/css; charset=utf-8");
}

TEST(Dashboard, TheHeadersAllowABrowserNothingElse) {
    for (const std::string_view path : paths) {
        EXPECT_EQ(answer_from_dashboard(path).headers,
                  "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src "
                  "'self'; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
                  "form-action 'none'\r\n"
                  "X-Content-Type-Options: nosniff\r\n"
                  "Referrer-Policy: no-referrer\r\n"
                  "Cache-Control: no-cache\r\n");
    }
}

TEST(Dashboard, TheFilesAreThereWhole) {
    EXPECT_TRUE(dashboard_html().starts_with("<!doctype html>\n"));
    EXPECT_TRUE(dashboard_html().ends_with("</html>\n"));
    EXPECT_TRUE(dashboard_js().starts_with("// The dashboard"));
    EXPECT_TRUE(dashboard_js().ends_with("\nwatch();\n"));
    EXPECT_TRUE(dashboard_css().ends_with("}\n"));
    // Bytes beyond ASCII pass as they are.
    EXPECT_TRUE(has(dashboard_js(), "const none = '\xe2\x80\x93';"));
}

TEST(Dashboard, ThePageHoldsNoFigure) {
    for (const char c : without_tags(dashboard_html())) EXPECT_FALSE(std::isdigit(c)) << c;
}

TEST(Dashboard, NothingStandsInlineAndNothingComesFromElsewhere) {
    EXPECT_EQ(quoted_after(dashboard_html(), "src=\"", '"'),
              std::vector<std::string>{"dashboard.js"});
    EXPECT_EQ(quoted_after(dashboard_html(), "href=\"", '"'),
              std::vector<std::string>{"dashboard.css"});
    for (const char* inlined : {"style=", "<style", "onclick", "onload", "onsubmit", "://"}) {
        EXPECT_FALSE(has(dashboard_html(), inlined)) << inlined;
    }
    for (const char* elsewhere : {"url(", "@import", "://"}) {
        EXPECT_FALSE(has(dashboard_css(), elsewhere)) << elsewhere;
    }
}

TEST(Dashboard, TextBecomesTextOnly) {
    for (const char* markup :
         {"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "Function("}) {
        EXPECT_FALSE(has(dashboard_js(), markup)) << markup;
    }
}

TEST(Dashboard, WhatTheScriptWritesToIsOnThePage) {
    std::vector<std::string> ids = quoted_after(dashboard_js(), "byId('", '\'');
    for (const std::string& table : quoted_after(dashboard_js(), " fill('", '\'')) {
        ids.push_back(table);
        ids.push_back(table + "-none");
    }
    EXPECT_GT(ids.size(), 20u);
    for (const std::string& id : ids) {
        EXPECT_TRUE(has(dashboard_html(), "id=\"" + id + "\"")) << id;
    }
}

}  // namespace
}  // namespace wspool::control
