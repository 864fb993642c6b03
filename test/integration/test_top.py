"""`wspool top`: one table in a pipe, a live one in a terminal that is left as it was."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import tempfile
import termios
import unittest

from control_api import ControlApi
from gateway import BINARY, Gateway, environment
from raw_client import RawClient
from waiting import PATIENCE, Deadline, eventually

ANY = "127.0.0.1:0"
ENTER, LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def run_once(*arguments):
    """(status, lines, errors)"""
    done = subprocess.run([BINARY, "top", *arguments], capture_output=True, text=True, env=environment(),
                          timeout=PATIENCE, check=False)
    return done.returncode, done.stdout.splitlines(), done.stderr


class Screen:
    """`wspool top` in a terminal of its own."""

    def __init__(self, *arguments, columns=120, rows=30):
        self.terminal, self._inside = pty.openpty()
        self.resize(columns, rows)
        self.before = termios.tcgetattr(self._inside)
        self.process = subprocess.Popen(
            [BINARY, "top", "--interval", "100ms", *arguments], stdin=self._inside, stdout=self._inside,
            stderr=self._inside, env=environment({"TERM": "xterm"}), start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        self.text = ""

    def resize(self, columns, rows):
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def see(self, is_there):
        """Reads until the last whole picture is as wanted."""
        deadline = Deadline()
        while True:
            pictures = self.text.split("\x1b[H")[1:]
            whole = [picture for picture in pictures if picture.endswith("\x1b[J") or
                     "\x1b[J" in picture]
            if whole and is_there(whole[-1].split("\x1b[J")[0]):
                return whole[-1].split("\x1b[J")[0]
            assert not deadline.is_over(), f"the screen shows {self.text[-3000:]!r}"
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.text += os.read(self.terminal, 65536).decode()

    def end(self):
        """What was written, and the status, after ^C."""
        os.write(self.terminal, b"\x03")
        status = self.process.wait(PATIENCE)
        while select.select([self.terminal], [], [], 0)[0]:
            self.text += os.read(self.terminal, 65536).decode()
        assert termios.tcgetattr(self._inside) == self.before, "the terminal is not as it was"
        os.close(self._inside)
        os.close(self.terminal)
        return self.text, status


class Once(unittest.TestCase):
    def test_a_pipe_gets_one_table(self):
        with Gateway(workers=2, control=ANY) as gateway:
            client = RawClient.open(gateway)
            eventually(lambda: sum(ControlApi(gateway).connections()) == 1, "it is counted")
            for arguments in ((), ("--once",)):
                status, lines, errors = run_once("--control", gateway.ready["control"], *arguments)
                self.assertEqual((status, errors), (0, ""))
                self.assertRegex(lines[0], r"^up \d+s  connections 1 of \d+  peak 1  rejected 0$")
                self.assertRegex(lines[2], r"^WORKER +STATE +PID +UP +CONNS ")
                rows = [line.split() for line in lines[3:6]]
                self.assertEqual([row[:3] for row in rows],
                                 [["0", "ready", str(gateway.worker(0))], ["1", "ready", str(gateway.worker(1))],
                                  ["control", "ready", str(gateway.children()["control"])]])
                self.assertEqual(sum(int(row[4]) for row in rows[:2]), 1)
            client.finish()

    def test_a_unix_socket_will_do(self):
        with tempfile.TemporaryDirectory() as directory, \
                Gateway(control=f"unix:{directory}/control") as gateway:
            status, lines, errors = run_once("--control", gateway.ready["control"])
            self.assertEqual((status, errors), (0, ""))
            self.assertIn("ready", lines[3])

    def test_without_a_gateway_it_says_so(self):
        with Gateway(control=ANY) as gateway:
            address = gateway.ready["control"]
        status, lines, errors = run_once("--control", address)
        self.assertEqual((status, lines), (1, []))
        self.assertIn("is the gateway running", errors)

    def test_who_is_no_gateway_is_told_so(self):
        with Gateway() as gateway:
            status, _, errors = run_once("--control", gateway.addresses[0])
            self.assertEqual(status, 1)
            self.assertIn("/api/stats", errors)


class Live(unittest.TestCase):
    def test_it_follows_what_happens_and_leaves_the_terminal_as_it_was(self):
        with Gateway(workers=2, control=ANY) as gateway:
            screen = Screen("--control", gateway.ready["control"])
            screen.see(lambda text: "connections 0 of" in text)
            client = RawClient.open(gateway)
            screen.see(lambda text: "connections 1 of" in text)
            killed = gateway.worker(1)
            os.kill(killed, signal.SIGKILL)
            screen.see(lambda text: "ready" in text and str(killed) not in text)
            client.reset()
            text, status = screen.end()
            self.assertEqual(status, 0)
            self.assertTrue(text.startswith(ENTER), text[:40])
            self.assertTrue(text.endswith(LEAVE), text[-40:])

    def test_no_line_is_longer_than_the_window(self):
        with Gateway(workers=2, control=ANY) as gateway:
            screen = Screen("--control", gateway.ready["control"], columns=100)
            screen.see(lambda text: "control" in text)
            screen.resize(31, 4)

            def fits(text):
                lines = text.split("\x1b[K")
                return len(lines) <= 5 and all(len(line.strip("\r\n")) <= 31 for line in lines)
            screen.see(fits)
            _, status = screen.end()
            self.assertEqual(status, 0)

    def test_it_waits_for_a_gateway_that_is_gone(self):
        gateway = Gateway(control=ANY)
        screen = Screen("--control", gateway.ready["control"])
        screen.see(lambda text: "connections 0 of" in text)
        gateway.stop()
        screen.see(lambda text: "is the gateway running" in text and "WORKER" in text)
        screen.process.send_signal(signal.SIGTERM)
        _, status = screen.end()
        self.assertEqual(status, 0)


if __name__ == "__main__":
    unittest.main()
