"""`wspool send` against the gateway, servers that others wrote, and servers that misbehave."""

import datetime
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

from gateway import BINARY, IO, Gateway, environment
from peer import EchoServer
from raw_client import CLOSE, accept_key, close_payload, frame
from tls_server import TlsServer, make_authority, make_certificate
from waiting import PATIENCE

FILTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "without_io_uring.py")
# The library takes io_uring where the kernel offers it; without it, it has to do with epoll.
WRAPPER = [sys.executable, FILTER, "all", "EPERM"] if IO == "epoll" else []


def send(*arguments, wait="200ms"):
    return subprocess.run([*WRAPPER, BINARY, "send", "--wait", wait, *arguments], capture_output=True, text=True,
                          timeout=PATIENCE + 20, env=environment(), check=False)


class Misbehaving:
    """A server on a thread; `serve` is given each connection."""

    def __init__(self, serve):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}/"
        self._serve = serve
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return
            with stream:
                self._serve(stream)

    def stop(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


def upgrade(stream):
    request = b""
    while not request.endswith(b"\r\n\r\n"):
        request += stream.recv(65536)
    key = next(line.split(b":")[1].strip() for line in request.split(b"\r\n")
               if line.lower().startswith(b"sec-websocket-key:"))
    stream.sendall(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   b"Sec-WebSocket-Accept: " + accept_key(key.decode()).encode() + b"\r\n\r\n")


class Sending(unittest.TestCase):
    def test_replies_are_printed_in_order(self):
        with Gateway() as gateway:
            ran = send(gateway.url(), '{"type":"ping","id":1}', '{"type":"ping","id":2}')
            self.assertEqual((ran.returncode, ran.stdout),
                             (0, '{"type":"pong","id":1}\n{"type":"pong","id":2}\n'), ran.stderr)
            gateway.wait_closed("by_peer")

    def test_other_servers_answer(self):
        for program in ("ws_server.mjs", "websockets_server.py"):
            with self.subTest(program):
                server = EchoServer(program)
                self.addCleanup(server.stop)
                messages = ["hello", "Grüße 😀", "", "[1,2]", "x" * 70_000]
                ran = send(server.url, *messages)
                self.assertEqual((ran.returncode, ran.stdout.split("\n")[:-1]), (0, messages), ran.stderr)

    def test_it_waits_for_replies_as_long_as_it_was_told(self):
        def answer_late(stream):
            upgrade(stream)
            stream.recv(65536)
            stream.sendall(frame(1, b"late", mask=None))
            stream.recv(65536)

        server = Misbehaving(answer_late)
        self.addCleanup(server.stop)
        self.assertEqual(send(server.url, "x", wait="2s").stdout, "late\n")

    def test_a_server_that_closes_at_once_is_told(self):
        def close(stream):
            upgrade(stream)
            stream.sendall(frame(CLOSE, close_payload(1013, "too many"), mask=None))
            stream.recv(65536)

        server = Misbehaving(close)
        self.addCleanup(server.stop)
        ran = send(server.url, "x", wait="5s")
        self.assertEqual(ran.returncode, 1)
        self.assertTrue(ran.stderr)
        self.assertEqual(ran.stdout, "")

    def test_a_server_that_hangs_up_at_once_is_told(self):
        server = Misbehaving(lambda stream: None)
        self.addCleanup(server.stop)
        ran = send(server.url, "x")
        self.assertEqual(ran.returncode, 1)
        self.assertTrue(ran.stderr.startswith("wspool send: "), ran.stderr)

    def test_a_server_that_never_answers_is_given_up(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ran = send(f"ws://127.0.0.1:{listener.getsockname()[1]}/", "x")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("ws://127.0.0.1", ran.stderr)

    def test_nobody_there_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        ran = send(url, "x")
        self.assertEqual(ran.returncode, 1)
        self.assertIn("refused", ran.stderr)

    def test_what_cannot_be_used_has_status_two(self):
        for arguments in (["http://127.0.0.1/", "x"], ["ws://127.0.0.1:99999/", "x"], ["ws://h/"],
                          ["ws://h/", "x", "--header", "Bad\nName: x"], ["wss://h/", "x", "--ca-file", "/nowhere"]):
            with self.subTest(arguments):
                ran = send(*arguments)
                self.assertEqual((ran.returncode, ran.stdout), (2, ""))
                self.assertTrue(ran.stderr)

    def test_the_terminal_may_end_it(self):
        def hold(stream):
            upgrade(stream)
            stream.recv(65536)
            held.set()
            stream.recv(65536)

        held = threading.Event()
        server = Misbehaving(hold)
        self.addCleanup(server.stop)
        with subprocess.Popen([*WRAPPER, BINARY, "send", "--wait", "1h", server.url, "x"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, env=environment()) as process:
            self.assertTrue(held.wait(PATIENCE))
            process.send_signal(signal.SIGINT)
            self.assertNotEqual(process.wait(PATIENCE), 0)


class OverTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="wspool-send-")
        cls.addClassCleanup(directory.cleanup)
        cls.directory = directory.name
        cls.authority = make_authority(cls.directory)

    def serve(self, name, **wishes):
        server = TlsServer(make_certificate(self.directory, name, self.authority, **wishes))
        self.addCleanup(server.stop)
        return server

    def send_to(self, server, *options):
        return send(f"wss://localhost:{server.port}/", "secret", *options)

    def test_a_good_certificate_is_trusted(self):
        ran = self.send_to(self.serve("good"), "--ca-file", self.authority.certificate)
        self.assertEqual((ran.returncode, ran.stdout), (0, "secret\n"), ran.stderr)

    def test_bad_certificates_are_refused_with_the_reason(self):
        past = datetime.timedelta(days=-1)
        for name, wishes, reason in (("wrong-name", {"names": "DNS:elsewhere.example"}, "localhost"),
                                     ("expired", {"ends": past}, "expired"),
                                     ("self-signed", {"signs_itself": True}, "self-signed")):
            with self.subTest(name):
                server = self.serve(name, **wishes)
                ran = self.send_to(server, "--ca-file", self.authority.certificate)
                self.assertEqual((ran.returncode, ran.stdout), (1, ""))
                self.assertIn(reason, ran.stderr)
                self.assertEqual(self.send_to(server, "--insecure").stdout, "secret\n")

    def test_the_system_does_not_know_our_authority(self):
        ran = self.send_to(self.serve("unknown"))
        self.assertEqual((ran.returncode, ran.stdout), (1, ""))
        self.assertIn("certificate", ran.stderr)


if __name__ == "__main__":
    unittest.main()
