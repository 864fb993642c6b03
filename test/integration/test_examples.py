"""The programs of examples/, as a reader would run them, against servers that others wrote."""

import os
import subprocess
import sys
import unittest

from gateway import IO, environment
from peer import EchoServer
from waiting import PATIENCE, Lines

EXAMPLES = os.environ.get("WSPOOL_EXAMPLES", "build/release/examples")
FILTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "without_io_uring.py")
WRAPPER = [sys.executable, FILTER, "all", "EPERM"] if IO == "epoll" else []


class Example:
    def __init__(self, name, *arguments):
        self.process = subprocess.Popen([*WRAPPER, os.path.join(EXAMPLES, name), *arguments],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                        env=environment())
        self.output = Lines(self.process.stdout, name)
        self.errors = Lines(self.process.stderr, f"standard error of {name}")

    def finish(self):
        """The lines of the output; it ends by itself, and well."""
        try:
            status = self.process.wait(PATIENCE + 20)
        finally:
            self.process.kill()
        self.output.wait_end()
        self.errors.wait_end()
        assert status == 0, (status, self.output.all(), self.errors.all())
        return self.output.all()


class Examples(unittest.TestCase):
    def test_send_messages(self):
        for program in ("ws_server.mjs", "websockets_server.py"):
            with self.subTest(program):
                server = EchoServer(program)
                self.addCleanup(server.stop)
                lines = Example("send_messages", server.url).finish()
                for text in ('received {"type":"ping"}', 'received {"type":"subscribe","channel":"updates"}',
                             'received {"type":"second"}', 'answered {"id":1,"type":"time"}'):
                    self.assertIn(text, lines)
                self.assertTrue(any(line.startswith(server.url.rstrip("/") + ": ") for line in lines), lines)

    def test_coroutine(self):
        server = EchoServer("ws_server.mjs")
        self.addCleanup(server.stop)
        lines = Example("coroutine", server.url).finish()
        self.assertEqual(sorted(line for line in lines if line.startswith("answered")),
                         [f'answered {{"id":{number},"type":"time"}}' for number in (1, 2, 3)])
        self.assertNotIn("this is not reached", lines)

    def test_market_data_survives_a_restart_of_the_server(self):
        server = EchoServer("market_server.mjs")
        url = server.url
        example = Example("market_data", url, "2")
        example.output.wait(lambda line: line.startswith("round 1:"))
        server.stop()
        port = url.rstrip("/").rsplit(":", 1)[1]
        again = EchoServer("market_server.mjs", port)
        self.addCleanup(again.stop)
        self.assertEqual(again.url, url)
        lines = example.finish()
        self.assertTrue(any(line.startswith("round 2: all 500 symbols") for line in lines), lines)
        self.assertTrue(any(line.startswith("back at " + url) for line in lines), lines)
        self.assertTrue(lines[-1].endswith("500 subscriptions on 5 connections"), lines)


if __name__ == "__main__":
    unittest.main()
