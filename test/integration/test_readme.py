"""The README's first conversation, played as it stands there: one terminal for each `$ …` line."""

import os
import re
import shlex
import unittest

from gateway import Gateway
from test_connect import Terminal

README = os.path.join(os.path.dirname(__file__), "../../README.md")


def first_conversation():
    """The section's blocks, each a list of lines."""
    with open(README, encoding="utf-8") as file:
        section = re.search(r"^## A first conversation$(.*?)^## ", file.read(), re.S | re.M).group(1)
    return [re.findall(r"^    (.*)$", block, re.M) for block in re.findall(r"(?:^    .*\n)+", section, re.M)]


def as_pattern(line):
    """What is printed, where `…` stands for what differs from run to run."""
    return re.escape(line).replace(re.escape("…"), '[^"]+')


class TheConversation(unittest.TestCase):
    def test_the_readme_shows_what_happens(self):
        ready, alice, bob, heard = first_conversation()
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


if __name__ == "__main__":
    unittest.main()
