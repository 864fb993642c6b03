"""What the attack tests share: every one of them runs beside a client that does nothing wrong and must
not notice."""

import contextlib
import unittest

from gateway import Gateway
from raw_client import RawClient

# What an attacker may cost in memory beyond the named bounds (docs/security.md).
ATTACKER_MEMORY = 64 * 1024


class AttackTest(unittest.TestCase):
    @contextlib.contextmanager
    def bystander(self, *options, config=None, **starting):
        with Gateway(*options, config=config, **starting) as gateway:
            honest = RawClient.open(gateway, "/?clientId=honest")
            honest.check_echo()
            yield gateway
            honest.check_echo()
            honest.finish()

    @contextlib.contextmanager
    def bounded_memory(self, gateway, growth):
        """That the gateway holds no more than `growth` bytes after the body than before it."""
        before = gateway.memory()
        yield
        grown = gateway.memory() - before
        if not gateway.is_sanitized():
            self.assertLess(grown, growth)

    def check_counts(self, gateway, expected, kind):
        """That exactly the `expected` reasons were counted, as many times."""
        name = f"wspool_connections_{kind}_total"
        counted = {key.split('"')[1]: value for key, value in gateway.figures.items()
                   if key.split("{")[0] == name}
        counted.pop("by_peer", None)
        self.assertEqual(counted, dict(expected))


def send_quietly(client, data):
    """Writes to a gateway that may have had enough already."""
    try:
        client.send(data)
    except (BrokenPipeError, ConnectionResetError):
        pass
