"""Many clients at once that behave, misbehave and vanish at random: whatever they do, every message is
accounted for at the end, nothing is left behind, and a bystander is served throughout.

The seed is printed; WSPOOL_TEST_SEED repeats the same requests (not the same timing)."""

import os
import random
import threading
import unittest
import zlib

from attack import ATTACKER_MEMORY, AttackTest
from raw_client import CLOSE, PING, TEXT, RawClient, close_payload, deflated, frame

CLIENTS = 24
CONNECTIONS = 60  # of each, one after the other
HISTORY = 256 << 10  # what broadcasts may leave behind, by its own bound
CONFIG = {"history.total": "256KiB",
    "limits.outbox": "128KiB", "limits.send_buffer": "32KiB", "limits.write_timeout": "300ms",
    "limits.close_timeout": "200ms", "limits.frame_timeout": "300ms", "limits.message_timeout": "400ms",
    "limits.bad_messages": 3,
}


class Misbehaving:
    """One connection's worth of a client without manners."""

    def __init__(self, gateway, chance):
        self.chance = chance
        self.client = RawClient(gateway.address, seconds=chance.choice((0.02, 0.5)))

    def run(self):
        chance, client = self.chance, self.client
        try:
            target = chance.choice(("/", "/echo", f"/?clientId=c{chance.randrange(6)}"))
            client.upgrade(target, deflate=chance.random() < 0.5)
            for _ in range(chance.randrange(30)):
                chance.choice(self.DEEDS)(self)
            chance.choice((client.reset, client.sock.close, self.leave))()
        except (OSError, EOFError, zlib.error):
            pass  # it was shown the door, or did not wait
        finally:
            client.sock.close()

    def payload(self):
        return '"' + "x" * self.chance.choice((1, 10, 300, 5000, 60_000)) + '"'

    def join(self):
        self.client.text(f'{{"type":"join","group":"g{self.chance.randrange(3)}","id":1}}')

    def leave_group(self):
        self.client.text(f'{{"type":"leave","group":"g{self.chance.randrange(3)}"}}')

    def broadcast(self):
        self.client.text(f'{{"type":"broadcast","group":"g{self.chance.randrange(3)}","payload":{self.payload()}}}')

    def direct(self):
        self.client.text(f'{{"type":"direct","targetId":"c{self.chance.randrange(6)}","payload":{self.payload()}}}')

    def ask_much(self):
        self.client.send(frame(TEXT, '{"type":"ping"}') * self.chance.randrange(100))

    def compress(self):
        if self.client.has_deflate:
            self.client.send_frame(TEXT, deflated(b'{"a":1}'), rsv=4)

    def ping(self):
        self.client.send_frame(PING, "x")

    def begin(self):
        self.client.send_frame(TEXT, '{"a":', fin=False)

    def babble(self):
        if self.chance.random() < 0.2:
            self.client.send(self.chance.randbytes(self.chance.randrange(200)))

    def listen(self):
        self.client.read_frame()

    def leave(self):
        self.client.send_frame(CLOSE, close_payload(1000))
        while True:
            self.client.read_frame()

    DEEDS = (join, join, leave_group, broadcast, broadcast, direct, ask_much, compress, ping, begin, babble, listen)


class Mixed(AttackTest):
    def test_the_books_are_kept_whatever_the_clients_do(self):
        seed = int(os.environ.get("WSPOOL_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
        print(f"seed {seed}", flush=True)
        faults = []

        def live(gateway, number):
            chance = random.Random(seed + number)
            try:
                for _ in range(CONNECTIONS):
                    Misbehaving(gateway, chance).run()
            except AssertionError as fault:  # something that RFC 6455 does not allow was sent to it
                faults.append(fault)

        with self.bystander("--echo", config=CONFIG) as gateway:
            witness = RawClient.open(gateway)
            with self.bounded_memory(gateway, HISTORY + CLIENTS * (ATTACKER_MEMORY + (128 << 10))):
                threads = [threading.Thread(target=live, args=(gateway, number)) for number in range(CLIENTS)]
                for thread in threads:
                    thread.start()
                while any(thread.is_alive() for thread in threads):
                    witness.check_echo()
                for thread in threads:
                    thread.join()
        self.assertEqual(faults, [])


if __name__ == "__main__":
    unittest.main()
