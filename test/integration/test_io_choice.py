"""Which loop runs: what was asked for, and where the kernel refuses io_uring, epoll or a clear error."""

import os
import subprocess
import sys
import unittest

from gateway import BINARY, Gateway, environment
from raw_client import RawClient
from waiting import PATIENCE

FILTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "without_io_uring.py")
REFUSALS = [("all", "EPERM"), ("all", "ENOSYS"), ("enter", "EPERM")]


class IoChoice(unittest.TestCase):
    def check(self, gateway, expected):
        self.assertEqual(gateway.ready["io"], expected)
        client = RawClient.open(gateway)
        client.check_echo()
        client.finish()

    def test_the_loop_that_was_asked_for_runs(self):
        for io in ("uring", "epoll"):
            with self.subTest(io), Gateway(io=io) as gateway:
                self.check(gateway, io)

    def test_auto_takes_io_uring_where_it_works(self):
        with Gateway(io="auto") as gateway:
            self.check(gateway, "uring")

    def test_auto_falls_back_to_epoll_where_the_kernel_refuses(self):
        for which, error in REFUSALS:
            for io in ("auto", None):
                with self.subTest(which=which, error=error, io=io):
                    with Gateway(io=io, wrapper=(sys.executable, FILTER, which, error)) as gateway:
                        self.check(gateway, "epoll")

    def test_io_uring_by_name_is_an_error_where_the_kernel_refuses(self):
        for which, error in REFUSALS:
            with self.subTest(which=which, error=error):
                run = subprocess.run(
                    [sys.executable, FILTER, which, error, BINARY, "serve", "--listen", "127.0.0.1:0", "--io", "uring"],
                    capture_output=True, text=True, timeout=PATIENCE, env=environment(), check=False)
                self.assertIn(run.returncode, (1, 2))
                self.assertEqual(run.stdout, "")
                self.assertIn("io_uring", run.stderr)
                self.assertIn("epoll", run.stderr)  # the way out is named


if __name__ == "__main__":
    unittest.main()
