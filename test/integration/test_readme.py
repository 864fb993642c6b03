"""The README's transcripts, played as they stand there: the first conversation in one terminal for each
`$ …` line, and what an operator asks in a shell."""

import os
import re
import shlex
import subprocess
import unittest

from gateway import Gateway
from test_connect import Terminal
from waiting import PATIENCE

README = os.path.join(os.path.dirname(__file__), "../../README.md")


def blocks(heading):
    """The blocks of a section, each a list of lines."""
    with open(README, encoding="utf-8") as file:
        section = re.search(rf"^## {heading}$(.*?)^## ", file.read(), re.S | re.M).group(1)
    return [re.findall(r"^    (.*)$", block, re.M) for block in re.findall(r"(?:^    .*\n)+", section, re.M)]


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


if __name__ == "__main__":
    unittest.main()
