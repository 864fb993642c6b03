#include "base/assert.h"
#include "http/head.h"

#include <string>
#include <string_view>

namespace wspool::http {
namespace {

std::string_view reason_phrase(int status) {
    switch (status) {
        case 200:
            return "OK";
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 411:
            return "Length Required";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 426:
            return "Upgrade Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 505:
            return "HTTP Version Not Supported";
        default:
            return "Unknown";
    }
}

}  // namespace

std::string make_response(int status,
                          std::string_view body,
                          std::string_view extra,
                          std::string_view content_type) {
    WSPOOL_ASSERT(status >= 100 && status <= 599);
    WSPOOL_ASSERT(extra.empty() || extra.ends_with("\r\n"));
    std::string response = "HTTP/1.1 " + std::to_string(status) + ' ';
    response += reason_phrase(status);
    response += "\r\nConnection: close\r\nContent-Type: ";
    response += content_type;
    response += "\r\nContent-Length: ";
    response += std::to_string(body.size());
    response += "\r\n";
    response += extra;
    response += "\r\n";
    response += body;
    return response;
}

}  // namespace wspool::http
