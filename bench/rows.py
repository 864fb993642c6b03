"""What is compared: the servers, the rows, and the limits that a row's ratios are held against.

A server says how it is started and how the load generator speaks to it; a row says which load it is and
who takes part. Nothing here runs anything (compare.py does) or writes anything (report.py does).
"""

import os
from dataclasses import dataclass, field

FOLDER = os.path.dirname(os.path.abspath(__file__))
PEERS = os.path.join(FOLDER, "peers")
BUN = os.path.join(PEERS, "node_modules/@oven/bun-linux-x64/bin/bun")
ARTICLE = "WSPOOL_SEED_ARTICLE"


@dataclass
class Row:
    key: str
    title: str
    mode: str  # echo, fanout, idle or connect
    servers: list
    size: int = 64
    in_flight: int = 1
    connections: int = 200
    unit: str = "µs"
    note: str = ""


@dataclass
class Server:
    key: str
    label: str
    wire: str  # raw, websocket or json
    command: list
    options: dict = field(default_factory=dict)  # of wspool: io and batch_wait

    def arguments(self, row, places):
        words = [word.format(**places) for word in self.command]
        if self.key.startswith("raw-"):
            words += ["--request", str(row.size + head_size(row.size) + 4)]
            words += ["--reply", str(row.size + head_size(row.size))]
        if self.options and row.size > 32 * 1024:
            words += ["--max-message-size", "4MiB"]
        return words

    def environment(self, row):
        # One message of that size is more than the default lets wait for one client.
        return {"WSPOOL_LIMITS_OUTBOX": "16MiB"} if self.options and row.size > 32 * 1024 else {}

    def load_arguments(self, row):
        words = ["--wire", self.wire]
        if self.options and row.mode == "echo":
            return ["--wire", "websocket", "--path", "/echo"]
        if self.wire == "json":
            words += ["--path", "/"]
        return words


def head_size(size):
    """Of the frame that a server sends; a client's has four bytes of mask more."""
    return 2 if size < 126 else 4 if size < 65536 else 10


def wspool(key, io, batch_wait):
    wait = "no wait" if batch_wait == "off" else "wait 50 µs"
    return Server(
        key,
        f"wspool, {'io_uring' if io == 'uring' else io}, {wait}",
        "json",
        ["{wspool}", "serve", "--single-process", "--listen", "127.0.0.1:0", "--echo", "--io", io]
        + ["--batch-wait", batch_wait, "--max-connections", "18000", "--log-level", "error"],
        {"io": io, "batch_wait": batch_wait},
    )


SERVERS = {
    server.key: server
    for server in [
        Server("raw-epoll", "raw TCP, epoll", "raw", ["{programs}/peer_raw_echo_epoll"]),
        Server("raw-uring", "raw TCP, io_uring", "raw", ["{programs}/peer_raw_echo_uring"]),
        Server(
            "raw-uring-wait",
            "raw TCP, io_uring, wait 50 µs",
            "raw",
            ["{programs}/peer_raw_echo_uring", "--batch-wait", "50"],
        ),
        Server("raw-loop", "raw TCP, send loop", "raw", ["{programs}/peer_raw_fanout"]),
        Server(
            "raw-batch",
            "raw TCP, io_uring batch",
            "raw",
            ["{programs}/peer_raw_fanout", "--send", "ring"],
        ),
        Server("bun", "Bun", "websocket", [BUN, os.path.join(PEERS, "bun.js")]),
        Server("ws", "ws on Node", "websocket", ["node", os.path.join(PEERS, "ws.js")]),
        Server("beast", "Boost.Beast", "websocket", ["{programs}/peer_beast"]),
        Server("article", "the article's server", "json", ["node", os.path.join(PEERS, "article.js")]),
        wspool("wspool-uring-wait", "uring", "50us"),
        wspool("wspool-uring", "uring", "off"),
        wspool("wspool-epoll-wait", "epoll", "50us"),
        wspool("wspool-epoll", "epoll", "off"),
    ]
}

OURS = ["wspool-uring-wait", "wspool-uring", "wspool-epoll-wait", "wspool-epoll"]
RAW_ECHO = ["raw-epoll", "raw-uring", "raw-uring-wait"]
OTHERS = ["bun", "ws", "beast"]
FANOUT = ["raw-loop", "raw-batch"] + OTHERS + ["article"] + OURS
FANOUT_NOTE = (
    "Every message is the same 64 bytes of text on every wire, a broadcast of the JSON protocol that members"
    " receive with the bytes it was sent with. wspool and the article's server parse it, find the group and"
    " leave the sender out; Bun (`publish`), ws (a loop) and Beast pass the text on unread; the raw peers"
    " pass on as many bytes."
)

ROWS = [
    Row("echo-1", "Echo, 64 B, 1 in flight", "echo", RAW_ECHO + OTHERS + OURS),
    Row("echo-16", "Echo, 64 B, 16 in flight", "echo", RAW_ECHO + OTHERS + OURS, in_flight=16),
    Row(
        "echo-16k",
        "Echo, 16 KiB, 1 in flight",
        "echo",
        ["raw-epoll", "raw-uring-wait"] + OTHERS + OURS[:2],
        size=16 * 1024,
        connections=50,
    ),
    Row(
        "echo-1m",
        "Echo, 1 MiB, 1 in flight",
        "echo",
        ["raw-epoll", "raw-uring-wait"] + OTHERS + OURS[:2],
        size=1024 * 1024,
        connections=8,
    ),
    Row("fanout-1", "Fan-out 1 → 1,000, 64 B, 1 in flight", "fanout", FANOUT, connections=1000,
        note=FANOUT_NOTE),
    Row("fanout-16", "Fan-out 1 → 1,000, 64 B, 16 in flight", "fanout", FANOUT, in_flight=16,
        connections=1000, note=FANOUT_NOTE),
    Row(
        "idle",
        "User memory per idle connection, 15,000 held",
        "idle",
        OTHERS + ["wspool-uring-wait", "wspool-epoll-wait"],
        connections=15000,
        unit="B",
        note="Growth of the server's anonymous memory. Anonymous ids, no group. Each round starts the"
        " server anew; 200 connections are opened and closed before the count begins.",
    ),
    Row(
        "connect",
        "Accepted connections, upgrade included",
        "connect",
        OTHERS + ["wspool-uring-wait", "wspool-epoll-wait"],
        connections=10000,
        note="Server CPU per connection accepted and upgraded, 64 at a time; the ratio of connections per"
        " CPU second is its inverse.",
    ),
]


@dataclass
class Limit:
    """`ours` ÷ `theirs` in `row` is to stay at or below `accepted` now, and `aim` in the end.

    Without `theirs` the figure itself is held against them. None: no such limit.
    """

    row: str
    ours: str
    theirs: str
    accepted: float
    aim: float


LIMITS = [
    Limit("echo-1", "wspool-uring-wait", "bun", 0.95, 0.90),
    Limit("echo-1", "wspool-uring-wait", "raw-epoll", 1.00, 0.95),
    Limit("echo-1", "wspool-uring", "raw-epoll", 1.10, 1.00),
    Limit("echo-16", "wspool-uring-wait", "bun", 0.70, 0.60),
    Limit("echo-16", "wspool-uring-wait", "raw-epoll", 1.15, 1.10),
    Limit("echo-16", "wspool-uring", "raw-epoll", 1.25, None),
    Limit("echo-16k", "wspool-uring-wait", "bun", None, 1.00),
    Limit("echo-1m", "wspool-uring-wait", "bun", None, 1.00),
    Limit("fanout-1", "wspool-uring-wait", "bun", 0.90, 0.90),
    Limit("fanout-1", "wspool-uring-wait", "raw-batch", None, 1.10),
    Limit("fanout-1", "wspool-uring-wait", "article", 0.45, 0.45),
    Limit("fanout-16", "wspool-uring-wait", "bun", 0.90, 0.90),
    Limit("fanout-16", "wspool-uring-wait", "raw-batch", None, 1.10),
    Limit("fanout-16", "wspool-uring-wait", "article", 0.08, 0.06),
    Limit("idle", "wspool-uring-wait", None, 320, 256),
    Limit("connect", "wspool-uring-wait", "bun", None, 1.00),
]
