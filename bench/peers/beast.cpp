// Boost.Beast, asynchronous, one thread: /echo echoes, /member is a member of the one group, and
// what /publish sends goes to every member.
#include "listener.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/version.hpp>
#include <boost/beast/websocket.hpp>

#include <deque>
#include <memory>
#include <string>
#include <unordered_set>
#include <utility>

namespace {

namespace beast = boost::beast;
namespace http = beast::http;
namespace websocket = beast::websocket;
using tcp = boost::asio::ip::tcp;

class Session;
using Group = std::unordered_set<Session*>;
using Message = std::shared_ptr<const std::string>;

class Session : public std::enable_shared_from_this<Session> {
  public:
    Session(tcp::socket socket, Group& group) : stream_(std::move(socket)), group_(group) {}
    ~Session() { group_.erase(this); }

    void start() {
        stream_.auto_fragment(false);
        http::async_read(stream_.next_layer(),
                         buffer_,
                         request_,
                         [self = shared_from_this()](beast::error_code error, std::size_t) {
                             if (!error) self->accept();
                         });
    }

  private:
    void accept() {
        stream_.async_accept(request_, [self = shared_from_this()](beast::error_code error) {
            if (error) return;
            self->publishes_ = self->request_.target() == "/publish";
            if (self->request_.target() == "/member") self->group_.insert(self.get());
            self->request_ = {};
            self->buffer_.clear();
            self->read();
        });
    }
    void read() {
        stream_.async_read(buffer_,
                           [self = shared_from_this()](beast::error_code error, std::size_t) {
                               if (error) return;
                               if (self->publishes_) {
                                   self->publish();
                               } else {
                                   self->echo();
                               }
                           });
    }
    void echo() {
        stream_.text(stream_.got_text());
        stream_.async_write(buffer_.data(),
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                                if (error) return;
                                self->buffer_.consume(self->buffer_.size());
                                self->read();
                            });
    }
    void publish() {
        const auto message =
            std::make_shared<const std::string>(beast::buffers_to_string(buffer_.data()));
        buffer_.consume(buffer_.size());
        for (Session* member : group_) member->send(message);
        read();
    }
    void send(const Message& message) {
        outbox_.push_back(message);
        if (outbox_.size() == 1) write();
    }
    void write() {
        stream_.async_write(boost::asio::buffer(*outbox_.front()),
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                                if (error) return;
                                self->outbox_.pop_front();
                                if (!self->outbox_.empty()) self->write();
                            });
    }

    websocket::stream<tcp::socket> stream_;
    Group& group_;
    beast::flat_buffer buffer_;
    http::request<http::empty_body> request_;
    std::deque<Message> outbox_;  // the front is being written
    bool publishes_ = false;
};

void accept_next(tcp::acceptor& acceptor, Group& group) {
    acceptor.async_accept([&](beast::error_code error, tcp::socket socket) {
        if (!error) {
            socket.set_option(tcp::no_delay(true), error);
            std::make_shared<Session>(std::move(socket), group)->start();
        }
        accept_next(acceptor, group);
    });
}

}  // namespace

int main() {
    Group group;
    boost::asio::io_context context(1);
    tcp::acceptor acceptor(context, tcp::v4(), wspool::bench::open_listener());
    accept_next(acceptor, group);
    wspool::bench::print_ready(acceptor.local_endpoint().port(), BOOST_LIB_VERSION);
    context.run();
}
