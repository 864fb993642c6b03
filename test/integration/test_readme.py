"""The README's transcripts, played as they stand there: the first conversation in one terminal for each
`$ …` line, what an operator asks in a shell, and who comes in first in a shell in each of four terminals."""

import json
import os
import re
import shlex
import signal
import subprocess
import tempfile
import unittest

from control_api import ControlApi
from gateway import BINARY, IO, Gateway
from test_connect import Screen, Terminal
from waiting import PATIENCE, eventually

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def section(heading):
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        return re.search(rf"^## {heading}$(.*?)^## ", file.read(), re.S | re.M).group(1)


def blocks(heading):
    """The blocks of a section, each a list of lines."""
    found = re.findall(r"(?:^    .*\n)+", section(heading), re.M)
    return [re.findall(r"^    (.*)$", block, re.M) for block in found]


def as_pattern(line):
    """What is printed, where `…` stands for what differs from run to run."""
    return re.escape(line).replace(re.escape("…"), '[^"]+')


class TheConversation(unittest.TestCase):
    def test_the_readme_shows_what_happens(self):
        ready, alice, bob, heard = blocks("A first conversation")
        with Gateway() as gateway:
            self.assertEqual([word.partition("=")[0] for word in ready[0].split()],
                             ["wspool", "ready", *gateway.ready])
            terminals = [self.open(block[0], gateway) for block in (alice, bob)]
            for terminal, block in zip(terminals, (alice, bob)):
                for line in block[1:]:
                    if line.startswith('{"type":"ack"'):
                        terminal.see_match(as_pattern(line))
                    else:
                        terminal.type(line + "\n")
            for line in heard:
                terminals[0].see_match(as_pattern(line))
            for terminal in terminals:
                terminal.type("\x04")
                self.assertEqual(terminal.end(), 0)

    def open(self, line, gateway):
        """Runs `$ build/release/wspool connect URL`, with this test's gateway in place of the README's."""
        words = shlex.split(line.removeprefix("$ "))
        self.assertEqual(words[:2], ["build/release/wspool", "connect"])
        self.assertTrue(words[2].startswith("ws://127.0.0.1:8080/"), words[2])
        terminal = Terminal(gateway.url(words[2].removeprefix("ws://127.0.0.1:8080")))
        terminal.see("> ")
        return terminal


class TheOperator(unittest.TestCase):
    def test_curl_shows_what_the_readme_says(self):
        (transcript,) = blocks("What an operator sees")
        with Gateway(workers=2, control="127.0.0.1:0") as gateway:
            self.assertTrue(transcript[0].startswith("$ "), transcript[0])
            said = []
            for line in transcript:
                if line.startswith("$ "):
                    self.assertEqual(said, [], "the README leaves out what is printed")
                    said = self.run_in_shell(line.removeprefix("$ "), gateway)
                else:
                    self.assertRegex(said.pop(0), f"^{as_pattern(line)}$")
            self.assertEqual(said, [])

    def run_in_shell(self, command, gateway):
        """What is printed, with this test's gateway in place of the README's."""
        self.assertIn("http://127.0.0.1:8090/", command)
        command = command.replace("127.0.0.1:8090", gateway.ready["control"])
        done = subprocess.run(["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""), command)
        return done.stdout.splitlines()


class Shell(Screen):
    """A shell in a terminal of its own, whose screen must show what the README shows, line by line."""

    PROMPT = re.escape("$ ")
    # What the README leaves out: what `connect` says to who types, the log, and a figure that often comes too late.
    LEFT_OUT = (r"(> )?|connected to .*; each line is one message, Ctrl-D ends|\d{4}-.*Z info: .*|"
                r"draining, connections left: 0")

    def __init__(self, directory, environment):
        # Without job control all that it starts is in its group, and ends with it.
        super().__init__(["bash", "--norc", "--noprofile", "--noediting", "-i", "+m"], cwd=directory,
                         extra={"PS1": "$ ", "PS2": "", "HISTFILE": "/dev/null", **environment})

    def play(self, block, translate=lambda line: line):
        """Types what stands behind `$ `, and the lines that it takes in, and sees all of it and the others."""
        end = None
        for line in map(translate, block):
            if line.startswith("$ "):
                self.see_line(self.PROMPT)
                line = line.removeprefix("$ ")
                taken_in = re.search(r"<<(\w+)$", line)
                end = taken_in and taken_in.group(1)
                self.type(line + "\n")
            elif end:
                self.type(line + "\n")
                end = None if line == end else end
            self.see_line(as_pattern(line))

    def see_line(self, pattern):
        """The next line, or the prompt, must be this; how the pattern was found there."""
        while True:
            try:
                line = self.see_match(r"\A(\$ |[^\n]*\n)").group().rstrip("\r\n")
            except AssertionError as silence:
                raise AssertionError(f"the README says {pattern!r}, and nothing came: {silence}") from None
            # A carriage return begins the line anew: a message takes the place of the prompt.
            line = line.rpartition("\r")[2]
            found = re.fullmatch(pattern, line)
            if found:
                return found
            assert re.fullmatch(self.LEFT_OUT, line), f"the README says {pattern!r}, the screen {line!r}"

    def stop(self):
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.screen)


class WhoGoesFirst(unittest.TestCase):
    HEADING = "Who comes in, and who goes first"

    def setUp(self):
        """A directory that looks like the repository's after a build."""
        self.directory = self.enterContext(tempfile.TemporaryDirectory(prefix="wspool-readme-"))
        os.makedirs(f"{self.directory}/build/release")
        os.symlink(os.path.abspath(BINARY), f"{self.directory}/build/release/wspool")
        os.symlink(os.path.join(ROOT, "config"), f"{self.directory}/config")
        self.shells = []

    def shell(self, **environment):
        shell = Shell(self.directory, environment)
        self.addCleanup(shell.stop)
        self.shells.append(shell)
        return shell

    def start(self, block):
        """Serves on ports of this test's own: the shell, and what puts these ports in for the README's."""
        serve = self.shell(WSPOOL_LISTEN="127.0.0.1:0", WSPOOL_CONTROL="127.0.0.1:0", WSPOOL_IO=IO)
        serve.play(block[:-1])
        ready = as_pattern(block[-1]).replace(":8080", r":(\d+)").replace(":8090", r":(\d+)")
        clients, control = serve.see_line(ready).groups()
        self.ready = {"control": f"127.0.0.1:{control}"}
        return serve, lambda line: line.replace(":8080", f":{clients}").replace(":8090", f":{control}")

    def wait_for_figures(self, lines):
        """A worker tells its figures once in a turn: what a client knows may be there a little later."""
        api = ControlApi(self)
        wanted = {name: float(value) for name, value in (line.split() for line in lines)}
        eventually(lambda: wanted.items() <= api.metrics().items(), f"/metrics says {wanted}")

    def test_it_goes_as_the_readme_says(self):
        start, comes_in, goes_first, comes_back, ends = blocks(self.HEADING)
        serve, translate = self.start(start)
        low, high, operator = self.shell(), self.shell(), self.shell(WSPOOL_CONTROL=self.ready["control"])
        low.play(comes_in, translate)
        high.play(goes_first, translate)
        preempted = low.see_line(as_pattern(comes_back[0])).group()
        ticket = json.loads(preempted)["ticket"]
        low.play(comes_back[1:], lambda line: translate(line).replace("…", ticket))
        drain = ends.index("$ build/release/wspool drain")
        self.wait_for_figures(ends[1:drain])
        operator.play(ends[:drain], translate)
        high.type("\x04")
        high.see_line("closed: 1000")
        behind_the_last_block = re.split(r"^    .*\n", section(self.HEADING), flags=re.M)[-1]
        _, admitted, draining, closed, status = re.findall("`([^`]+)`", behind_the_last_block)
        low.play([admitted])
        self.wait_for_figures([ends[1].replace("high", "low")])
        operator.play(ends[drain:], translate)
        low.play([draining, closed])
        serve.play([status])
        for shell in self.shells:
            shell.see_line(Shell.PROMPT)


if __name__ == "__main__":
    unittest.main()
