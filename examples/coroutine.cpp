// Three conversations at a time, each written from top to bottom, on one thread and over two
// connections.
//
//   coroutine ws://127.0.0.1:9000/
#include <wspool/callback_pool.h>

#include <coroutine>
#include <exception>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

// The smallest coroutine type that will do: begins at once, and is destroyed with its owner,
// wherever it waits then. The pool's awaitables work in any other as well.
class Task {
  public:
    struct promise_type {
        Task get_return_object() {
            return Task(std::coroutine_handle<promise_type>::from_promise(*this));
        }
        std::suspend_never initial_suspend() noexcept { return {}; }
        std::suspend_always final_suspend() noexcept { return {}; }
        void return_void() {}
        void unhandled_exception() { std::terminate(); }
    };
    explicit Task(std::coroutine_handle<promise_type> coroutine) : coroutine_(coroutine) {}
    Task(Task&& other) noexcept : coroutine_(std::exchange(other.coroutine_, nullptr)) {}
    Task& operator=(Task&&) = delete;
    ~Task() {
        if (coroutine_) coroutine_.destroy();
    }

  private:
    std::coroutine_handle<promise_type> coroutine_;
};

Task converse(wspool::CallbackPool& pool, std::string url, int id, int& unfinished) {
    // Waits for the message with this id; meanwhile the others go on.
    const std::string number = std::to_string(id);
    const auto reply = co_await pool.async_request(
        url, number, R"({"id":)" + number + R"(,"type":"time"})", {.timeout = 2s});
    std::cout << (reply ? "answered " + *reply : "no answer: " + reply.error().message()) << '\n';

    // Three conversations, two connections: one of them waits here.
    auto lease = co_await pool.async_acquire(url, {.timeout = 2s});
    if (lease) {
        lease->send("conversation " + number + " says goodbye");
    } else {
        std::cout << "no connection: " << lease.error().message() << '\n';
    }
    if (--unfinished == 0) pool.stop();
}

// The longest of them will be cut short: destroying a coroutine that waits cancels what it waits
// for, and what it would have been given goes back to the pool.
Task wait_in_vain(wspool::CallbackPool& pool, std::string url) {
    (void)co_await pool.async_request(url, "\"never\"", R"({"type":"nothing with this id"})");
    std::cout << "this is not reached\n";
}

}  // namespace

int main(int argc, char** argv) {
    const std::string url = argc > 1 ? argv[1] : "wss://api.example.com/socket";
    wspool::CallbackPool pool({.max_connections_per_host = 2});
    int unfinished = 3;
    std::vector<Task> tasks;
    for (int id = 1; id <= 3; ++id) tasks.push_back(converse(pool, url, id, unfinished));
    tasks.push_back(wait_in_vain(pool, url));
    pool.run_for(30s);
    tasks.clear();
    pool.close_all(1s);
    pool.run();
    return unfinished == 0 ? 0 : 1;
}
