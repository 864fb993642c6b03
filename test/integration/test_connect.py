"""`wspool connect` against the gateway and three servers that others wrote, from a pipe and in a terminal."""

import fcntl
import os
import pty
import re
import select
import socket
import subprocess
import termios
import unittest

from gateway import BINARY, Gateway, environment
from peer import EchoServer
from raw_client import CLOSE, RawClient, accept_key, close_payload, frame, masked
from waiting import PATIENCE, Deadline, Lines


class Piped:
    """`wspool connect` between two pipes."""

    def __init__(self, *arguments):
        # Short, because the tests end the input when they have heard all they wait for.
        self.process = subprocess.Popen([BINARY, "connect", "--wait", "50ms", *arguments], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
        self.output = Lines(self.process.stdout, "standard output")
        self.errors = Lines(self.process.stderr, "standard error")

    def say(self, line):
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def hear(self, text):
        return self.output.wait(lambda line: line == text)

    def finish(self):
        """Ends the input; returns the exit status and all that was printed."""
        if not self.process.stdin.closed:
            self.process.stdin.close()
        status = self.process.wait(PATIENCE)
        self.output.wait_end()
        self.errors.wait_end()
        return status, self.output.all()


class Screen:
    """A program in a terminal of its own."""

    def __init__(self, command, extra=None, cwd=None):
        self.screen, inside = pty.openpty()
        self.process = subprocess.Popen(command, stdin=inside, stdout=inside, stderr=inside, cwd=cwd,
                                        env=environment({"TERM": "xterm", **(extra or {})}), start_new_session=True,
                                        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(inside)
        self.text = ""

    def type(self, text):
        os.write(self.screen, text.encode())

    def see(self, text):
        """Waits until the screen has shown `text` anew."""
        self.see_match(re.escape(text))

    def see_match(self, pattern):
        """The same for a pattern; what was found."""
        deadline = Deadline()
        while not (found := re.search(pattern, self.text)):
            if not select.select([self.screen], [], [], deadline.left())[0] or not self._read():
                raise AssertionError(f"{pattern!r} is not on the screen: {self.text!r}")
        self.text = self.text[found.end():]
        return found

    def _read(self):
        try:
            data = os.read(self.screen, 65536)
        except OSError:  # how Linux tells that nobody is at the other end any more
            data = b""
        self.text += data.decode(errors="replace")
        return bool(data)

    def end(self):
        deadline = Deadline()
        while self.process.poll() is None and not deadline.is_over():
            if select.select([self.screen], [], [], 0.05)[0] and not self._read():
                break
        status = self.process.wait(deadline.left() + 1)
        os.close(self.screen)
        return status


class Terminal(Screen):
    """`wspool connect` in a terminal of its own."""

    def __init__(self, *arguments):
        super().__init__([BINARY, "connect", "--wait", "50ms", *arguments])


class WithTheGateway(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway("--echo")
        cls.addClassCleanup(cls.gateway.stop)

    def pipe(self, given, *options):
        """What `echo … | wspool connect` prints."""
        run = subprocess.run([BINARY, "connect", *options, self.gateway.url()], input=given, capture_output=True,
                             timeout=PATIENCE, env=environment(), check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        return run.stdout

    def test_lines_from_a_pipe_go_out_and_answers_come_back(self):
        self.assertEqual(self.pipe(b'{"type":"ping"}\n{"type":"ping","id":2}\n'),
                         b'{"type":"pong"}\n{"type":"pong","id":2}\n')

    def test_no_input_is_no_error(self):
        self.assertEqual(self.pipe(b"", "--wait", "10ms"), b"")

    def test_a_last_line_without_a_line_end_counts(self):
        self.assertEqual(self.pipe(b'{"type":"ping"}'), b'{"type":"pong"}\n')

    def test_large_and_many_lines_pass(self):
        lines = [str(number) + "x" * 5000 for number in range(200)] + ["y" * 65536]
        client = Piped(self.gateway.url("/echo"))
        for line in lines:
            client.say(line)
        client.hear(lines[-1])
        status, output = client.finish()
        self.assertEqual((status, output), (0, lines))

    def test_two_terminals_hold_a_conversation(self):
        ann = Terminal(self.gateway.url("/?clientId=ann"))
        bob = Terminal(self.gateway.url("/?clientId=bob"))
        for terminal in (ann, bob):
            terminal.type('{"type":"join","group":"room","id":1}\n')
            terminal.see('{"type":"ack","id":1,"group":"room"')
        ann.type('{"type":"broadcast","group":"room","payload":"hello, room"}\n')
        bob.see('{"type":"broadcast","group":"room","payload":"hello, room"}')
        bob.type('{"type":"direct","targetId":"ann","payload":{"just":"us"}}\n')
        ann.see('{"type":"direct","payload":{"just":"us"},"from":"bob"}')
        for terminal in (ann, bob):
            terminal.type("\x04")
            self.assertEqual(terminal.end(), 0)

    def test_two_pipes_hold_a_conversation(self):
        ann, bob = Piped(self.gateway.url("/?clientId=pipe-ann")), Piped(self.gateway.url("/?clientId=pipe-bob"))
        for client in (ann, bob):
            client.say('{"type":"join","group":"pipes","id":1}')
            client.output.wait(lambda line: line.startswith('{"type":"ack","id":1,"group":"pipes"'))
        ann.say('{"type":"broadcast","group":"pipes","payload":[1,2]}')
        bob.hear('{"type":"broadcast","group":"pipes","payload":[1,2]}')
        bob.say('{"type":"direct","targetId":"pipe-ann","payload":null}')
        ann.hear('{"type":"direct","payload":null,"from":"pipe-bob"}')
        for client in (ann, bob):
            self.assertEqual(client.finish()[0], 0)

    def test_however_it_is_ended_it_closes_properly(self):
        with Gateway() as gateway:
            for key in ("\x03", "\x04"):
                terminal = Terminal(gateway.url())
                terminal.type('{"type":"ping"}\n')
                terminal.see('{"type":"pong"}')
                terminal.type(key)
                terminal.see("closed: 1000")
                self.assertEqual(terminal.end(), 0)
            piped = Piped(gateway.url())
            piped.say('{"type":"ping"}')
            piped.hear('{"type":"pong"}')
            self.assertEqual(piped.finish()[0], 0)
            terminated = Piped(gateway.url())
            terminated.say('{"type":"ping"}')
            terminated.hear('{"type":"pong"}')
            terminated.process.terminate()
            terminated.process.wait(PATIENCE)
            terminated.finish()
            gateway.wait_closed("by_peer", 4)
        self.assertEqual(gateway.sum("wspool_connections_closed_total"), 4)

    def test_it_answers_the_close_of_the_server(self):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            client = Piped(f"ws://127.0.0.1:{listener.getsockname()[1]}/")
            stream, _ = listener.accept()
            with stream:
                stream.settimeout(PATIENCE)
                request = b""
                while not request.endswith(b"\r\n\r\n"):
                    request += stream.recv(65536)
                key = re.search(rb"(?i)sec-websocket-key: (\S+)", request).group(1).decode()
                stream.sendall((f"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                                f"Sec-WebSocket-Accept: {accept_key(key)}\r\n\r\n").encode())
                stream.sendall(frame(CLOSE, close_payload(1000, "that is all"), mask=None))
                answer = stream.recv(65536)
                self.assertEqual((answer[0], answer[1] & 0x80), (0x80 | CLOSE, 0x80))
                mask = answer[2:6]
                self.assertEqual(masked(answer[6:8], mask), close_payload(1000))
            self.assertEqual(client.finish()[0], 0)
            self.assertTrue(any("1000 that is all" in line for line in client.errors.all()), client.errors.all())

    def test_the_close_of_the_server_is_told_and_ends_it(self):
        first = Piped(self.gateway.url("/?clientId=once"))
        first.say('{"type":"ping"}')
        first.hear('{"type":"pong"}')
        RawClient.open(self.gateway, "/?clientId=once").finish()
        first.process.wait(PATIENCE)
        status, _ = first.finish()
        self.assertEqual(status, 1)
        self.assertTrue(any("4409" in line for line in first.errors.all()), first.errors.all())

    def test_a_refusal_is_told_with_its_status(self):
        client = Piped(self.gateway.url("/?priority=urgent"))
        status, output = client.finish()
        self.assertEqual((status, output), (1, []))
        self.assertTrue(any("400" in line for line in client.errors.all()), client.errors.all())

    def test_nobody_there_is_told(self):
        with Gateway() as gone:
            url = gone.url()
        client = Piped(url)
        status, output = client.finish()
        self.assertEqual((status, output), (1, []))
        self.assertTrue(client.errors.all())

    def test_an_unusable_url_is_told(self):
        for url in ("http://127.0.0.1/", "ws://", "127.0.0.1:80", "ws://127.0.0.1:99999/", "ws://127.0.0.1/#x"):
            with self.subTest(url):
                client = Piped(url)
                self.assertEqual(client.finish(), (2, []))
                self.assertTrue(client.errors.all())


class WithOtherServers(unittest.TestCase):
    def check(self, program):
        server = EchoServer(program)
        self.addCleanup(server.stop)
        lines = ["hello", "Grüße 😀", "", "x" * 126, "y" * 70_000, '{"a":1}']
        client = Piped(server.url)
        for line in lines:
            client.say(line)
        client.hear('{"a":1}')
        status, output = client.finish()
        self.assertEqual(status, 0, client.errors.all())
        self.assertEqual([line for line in output if line], [line for line in lines if line])

        terminal = Terminal(server.url)
        terminal.type("typed by hand\n")
        terminal.see("typed by hand")  # as the terminal shows it
        terminal.see("typed by hand")  # as it came back
        terminal.type("\x04")
        self.assertEqual(terminal.end(), 0)

    def test_ws(self):
        self.check("ws_server.mjs")

    def test_websockets(self):
        self.check("websockets_server.py")

    def test_autobahn(self):
        self.check("autobahn_server.py")


if __name__ == "__main__":
    unittest.main()
