"""Rates of messages, and connections of one address."""

import os
import subprocess
import tempfile
import time
import unittest

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway import BINARY, Gateway, Toml, environment
from raw_client import TEXT, RawClient, frame, upgrade_request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Rates(unittest.TestCase):
    def test_messages_beyond_the_rate_wait_and_none_is_lost(self):
        with Gateway(config={"limits.rate": "50/s"}) as gateway:
            client = RawClient.open(gateway)
            begin = time.monotonic()
            client.send(frame(TEXT, '{"type":"x"}') * 150)
            for _ in range(150):
                client.read_text()
            took = time.monotonic() - begin
            # A hundred at once, fifty more in a second.
            self.assertGreater(took, 0.9)
            self.assertLess(took, 4)
            client.finish()

    def test_who_goes_on_beyond_the_rate_is_closed_with_4429_and_others_stay(self):
        with Gateway(config={"limits.rate": "20/s"}) as gateway:
            honest = RawClient.open(gateway)
            client = RawClient.open(gateway)
            client.send(frame(TEXT, '{"type":"x"}') * 400)
            client.expect_close(4429)
            honest.check_echo()
            honest.finish()
            gateway.stop()
            self.assertEqual(gateway.closed("rate"), 1)

    @staticmethod
    def sized(size):
        text = '{"type":"x","y":""}'
        return text[:-2] + "x" * (size - len(text)) + text[-2:]

    def test_a_pool_may_have_rates_and_a_size_of_its_own(self):
        config = {"limits.rate_class": Toml('[{ name = "slow", rate = "1/s" }]'),
                  "pool": Toml('[{ name = "small", path = "/small", capacity = 5, rate_class = "slow", '
                               'max_message_size = "1KiB" }]')}
        with Gateway(config=config) as gateway:
            slow = RawClient.open(gateway, "/small")
            begin = time.monotonic()
            slow.send(frame(TEXT, '{"type":"x"}') * 4)
            for _ in range(4):
                slow.read_text()
            self.assertGreater(time.monotonic() - begin, 0.9)
            slow.finish()

            big = RawClient.open(gateway, "/small")
            self.assertIn(self.sized(1024), big.request(self.sized(1024)))
            # What comes behind it is not heard.
            big.send(frame(TEXT, self.sized(1025)) + frame(TEXT, '{"type":"broadcast","group":"g","payload":1}'))
            big.expect_close(1009)

            shared = RawClient.open(gateway)
            for _ in range(100):
                shared.request(self.sized(2000))
            shared.finish()
            gateway.stop()
            self.assertEqual(gateway.closed("too_big"), 1)

    def test_bytes_are_limited_too(self):
        with Gateway(config={"limits.rate_bytes": "32KiB"}) as gateway:
            client = RawClient.open(gateway)
            begin = time.monotonic()
            for _ in range(8):
                client.request('"' + "x" * 16_000 + '"')
            self.assertGreater(time.monotonic() - begin, 1.2)
            client.finish()

    def test_an_ack_that_comes_late_does_not_end_the_wait(self):
        with Gateway(config={"limits.rate": "10/s"}, workers=2) as gateway:
            client = RawClient.open(gateway)
            begin = time.monotonic()
            for number in range(40):
                client.text(f'{{"type":"join","group":"g{number}","id":{number}}}')
            for number in range(40):
                self.assertIn(f'"id":{number},', client.read_text())
            self.assertGreater(time.monotonic() - begin, 1.7)
            client.finish()


class Addresses(unittest.TestCase):
    def refused(self, gateway):
        client = RawClient(gateway)
        client.send(upgrade_request())
        answer = client.expect_refusal(429)
        self.assertTrue(1 <= int(answer.headers["retry-after"]) <= 10)

    def test_an_address_has_so_many_connections_and_no_more(self):
        with Gateway(config={"limits.connections_per_ip": 3}) as gateway:
            clients = [RawClient.open(gateway) for _ in range(3)]
            self.refused(gateway)
            clients.pop().finish()
            clients.append(RawClient.open(gateway))
            self.refused(gateway)
            for client in clients:
                client.finish()
            gateway.stop()
            self.assertEqual(gateway.rejected("connections_per_ip"), 2)

    def test_an_address_connects_so_often_and_no_faster(self):
        with Gateway(config={"limits.connect_rate_per_ip": "2/s"}) as gateway:
            for _ in range(4):
                RawClient.open(gateway).finish()
            self.refused(gateway)
            gateway.stop()
            self.assertGreaterEqual(gateway.rejected("connect_rate_per_ip"), 1)

    def test_unix_sockets_have_no_address_to_limit(self):
        path = f"/tmp/wspool-rates-{os.getpid()}"
        with Gateway(config={"limits.connections_per_ip": 1}, listen=f"unix:{path}") as gateway:
            clients = [RawClient.open(gateway) for _ in range(3)]
            for client in clients:
                client.finish()


class Hardened(unittest.TestCase):
    def test_the_example_is_accepted_with_a_key_in_its_place(self):
        with open(f"{ROOT}/config/wspool.hardened.toml", encoding="utf-8") as file:
            example = file.read()
        with tempfile.TemporaryDirectory() as directory:
            key, path = os.path.join(directory, "public.pem"), os.path.join(directory, "wspool.toml")
            public = ec.generate_private_key(ec.SECP256R1()).public_key()
            with open(key, "wb") as file:
                file.write(public.public_bytes(serialization.Encoding.PEM,
                                               serialization.PublicFormat.SubjectPublicKeyInfo))
            self.assertIn("/etc/wspool/id.public.pem", example)
            with open(path, "w", encoding="utf-8") as file:
                file.write(example.replace("/etc/wspool/id.public.pem", key))
            done = subprocess.run([BINARY, "check", path], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, env=environment(), timeout=30, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)


if __name__ == "__main__":
    unittest.main()
