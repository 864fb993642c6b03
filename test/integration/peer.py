"""Client and server processes of ../peers, driven through their pipes (../peers/README.md)."""

import base64
import itertools
import json
import os
import queue
import shutil
import subprocess
import threading

from gateway import environment
from waiting import Deadline, Lines, take

PEERS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "peers")
# Debian's packages belong to Debian's interpreter, whatever else is called python3 here.
PYTHON = "/usr/bin/python3"
NODE = shutil.which("node") or "/usr/bin/node"


def start(program, *arguments):
    runner = NODE if program.endswith(".mjs") else PYTHON
    return subprocess.Popen(
        [runner, os.path.join(PEERS, program), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment({"PYTHONDONTWRITEBYTECODE": "1"}))


class Peer:
    """One client process with any number of sockets."""

    def __init__(self, program):
        self._process = start(program)
        self._log = Lines(self._process.stderr, program)
        self._events = {}
        self._lock = threading.Lock()
        self._names = (f"socket {number}" for number in itertools.count(1))
        threading.Thread(target=self._read, daemon=True).start()
        take(self._queue(None), f"ready line of {program}: {self._log.all()}", 60)

    def _queue(self, name):
        with self._lock:
            return self._events.setdefault(name, queue.Queue())

    def _read(self):
        for line in self._process.stdout:
            event = json.loads(line)
            self._queue(event.get("name")).put(event)

    def command(self, op, **fields):
        self._process.stdin.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        self._process.stdin.flush()

    def next_event(self, name):
        try:
            return take(self._queue(name), f"event for {name}")
        except AssertionError as silence:
            raise AssertionError(f"{silence}; the peer's log: {self._log.all()}") from None

    def pending_events(self, name):
        events, source = [], self._queue(name)
        while True:
            try:
                events.append(source.get_nowait())
            except queue.Empty:
                return events

    def try_open(self, url, *, subprotocols=(), headers=None, deflate=True):
        """A socket, opened or refused; its first event is not yet read."""
        client = PeerClient(self, next(self._names))
        self.command("open", name=client.name, url=url, subprotocols=list(subprotocols),
                     headers=headers or {}, deflate=deflate)
        return client

    def open(self, url, **options):
        client = self.try_open(url, **options)
        answer = client.expect("open")
        client.protocol, client.extensions = answer["protocol"], answer["extensions"]
        return client

    def tab(self, url, **options):
        tab = Tab(self, next(self._names))
        self.command("tab", name=tab.name, url=url, **options)
        return tab

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self._log.wait_end()


class PeerClient:
    """One socket of a peer."""

    def __init__(self, peer, name):
        self.peer, self.name = peer, name
        self.protocol = self.extensions = None

    def expect(self, kind):
        event = self.peer.next_event(self.name)
        assert event["event"] == kind, f"{event} instead of {kind}"
        return event

    def pending(self):
        """The events that have come, without waiting."""
        return self.peer.pending_events(self.name)

    def send(self, message, *, binary=False, fragment=None):
        data = message.encode() if isinstance(message, str) else message
        fields = {"fragment": fragment} if fragment else {}
        self.peer.command("send", name=self.name, data=base64.b64encode(data).decode(), binary=binary,
                          **fields)

    def receive(self):
        """(bytes, is binary) of the next message."""
        event = self.expect("message")
        return base64.b64decode(event["data"]), event["binary"]

    def read_text(self):
        data, is_binary = self.receive()
        assert not is_binary, "a binary answer"
        return data.decode()

    def request(self, message, **options):
        self.send(message, **options)
        return self.read_text()

    def ping(self, data):
        self.peer.command("ping", name=self.name, data=base64.b64encode(data).decode())
        return base64.b64decode(self.expect("pong")["data"])

    def close(self, code=1000, reason=""):
        self.peer.command("close", name=self.name, code=code, reason=reason)
        return self.closed()

    def closed(self):
        event = self.expect("closed")
        return event["code"], event["reason"]


class Tab:
    """A page of a browser peer."""

    def __init__(self, peer, name):
        self.peer, self.name = peer, name

    def next(self):
        event = self.peer.next_event(self.name)
        assert event["event"] == "page", event
        return event["value"]

    def type(self, text):
        self.peer.command("type", name=self.name, text=text)

    def watch(self):
        """From now on the page's events say what can be seen on it, by id."""
        self.peer.command("watch", name=self.name)

    def see(self, is_there):
        """The first picture that is as wanted."""
        deadline = Deadline()
        while not is_there(page := self.next()):
            assert not deadline.is_over(), f"the page shows {page}"
        return page

    def _ask(self, op, answer):
        self.peer.command(op, name=self.name)
        while (event := self.peer.next_event(self.name))["event"] != answer:
            pass
        return event

    def reload(self):
        self._ask("reload", "reloaded")
        self.watch()

    def record(self):
        """(errors of the console, addresses that were asked) since it was opened."""
        event = self._ask("record", "record")
        return event["errors"], event["requests"]


class EchoServer:
    """One of the server programs; `url` once it listens."""

    def __init__(self, program, *arguments):
        self._process = start(program, *arguments)
        self.log = Lines(self._process.stderr, program)
        port = Lines(self._process.stdout, program).wait(str.isdigit, 30)
        self.url = f"ws://127.0.0.1:{port}/"

    def stop(self):
        self._process.stdin.close()
        try:
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            self.log.wait_end()
