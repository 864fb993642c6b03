"""Attacks before the upgrade: each request gets its status, the connection its end, the books their
reason, and the others their service."""

import collections
import json
import select
import time
import unittest

from attack import ATTACKER_MEMORY, AttackTest, send_quietly
from gateway import Gateway
from raw_client import CLOSE, TEXT, RawClient, close_payload, frame, upgrade_request

GOOD = upgrade_request()


def replaced(old, new):
    assert old in GOOD, old
    return GOOD.replace(old, new)


def with_line(line):
    return GOOD[:-2] + line + b"\r\n\r\n"


MALFORMED = {
    "bare LF for all line ends": GOOD.replace(b"\r\n", b"\n"),
    "bare LF for one line end": replaced(b"Upgrade: websocket\r\n", b"Upgrade: websocket\n"),
    "bare LF for the empty line": GOOD[:-2] + b"\n",
    "bare CR in a value": with_line(b"X: a\rb"),
    "bare CR for a line end": replaced(b"Upgrade: websocket\r\n", b"Upgrade: websocket\r"),
    "line folding": with_line(b"X: a\r\n b"),
    "line folding by a tab": with_line(b"X: a\r\n\tb"),
    "folded Host": replaced(b"Host: gateway.test", b"Host: gateway\r\n .test"),
    "NUL in a value": with_line(b"X: a\0b"),
    "NUL in a name": with_line(b"X\0: a"),
    "control character in a value": with_line(b"X: a\x1bb"),
    "DEL in a value": with_line(b"X: a\x7fb"),
    "space before a colon": replaced(b"Upgrade: ", b"Upgrade : "),
    "tab before a colon": replaced(b"Upgrade: ", b"Upgrade\t: "),
    "field without a colon": with_line(b"X"),
    "field without a name": with_line(b": x"),
    "name with a space": with_line(b"X Y: a"),
    "name beyond ASCII": with_line(b"X\xc3\xbc: a"),
    "two Hosts": with_line(b"Host: gateway.test"),
    "two different Hosts": with_line(b"Host: other.test"),
    "no Host": replaced(b"Host: gateway.test\r\n", b""),
    "empty Host": replaced(b"Host: gateway.test", b"Host:"),
    "Host with a path": replaced(b"Host: gateway.test", b"Host: gateway.test/x"),
    "Host with user information": replaced(b"Host: gateway.test", b"Host: a@gateway.test"),
    "leading empty line": b"\r\n" + GOOD,
    "leading space": b" " + GOOD,
    "two spaces after the method": replaced(b"GET / ", b"GET  / "),
    "two spaces after the target": replaced(b"GET / ", b"GET /  "),
    "tab between method and target": replaced(b"GET / ", b"GET\t/ "),
    "lower-case method": replaced(b"GET / ", b"get / "),
    "no target": replaced(b"GET / ", b"GET "),
    "fragment in the target": replaced(b"GET / ", b"GET /#x "),
    "control character in the target": replaced(b"GET / ", b"GET /\x01 "),
    "byte beyond ASCII in the target": replaced(b"GET / ", b"GET /\xff "),
    "absolute target without a slash": replaced(b"GET / ", b"GET * "),
    "lower-case version": replaced(b"HTTP/1.1", b"http/1.1"),
    "no version": replaced(b" HTTP/1.1", b""),
    "TLS hello": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    "SSH banner": b"SSH-2.0-OpenSSH_9.2p1\r\n",
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "WebSocket frame": frame(TEXT, "hello"),
    "PROXY header": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + GOOD,
}
VERSION = {
    "HTTP/1.0": replaced(b"HTTP/1.1", b"HTTP/1.0"),
    "HTTP/1.2": replaced(b"HTTP/1.1", b"HTTP/1.2"),
    "HTTP/2.0": replaced(b"HTTP/1.1", b"HTTP/2.0"),
}
BODY = {
    "Content-Length": with_line(b"Content-Length: 5") + b"hello",
    "Content-Length without its body": with_line(b"Content-Length: 5"),
    "two equal Content-Lengths": with_line(b"Content-Length: 0\r\nContent-Length: 0"),
    "two different Content-Lengths": with_line(b"Content-Length: 0\r\nContent-Length: 5"),
    "a list of Content-Lengths": with_line(b"Content-Length: 0, 0"),
    "signed Content-Length": with_line(b"Content-Length: +0"),
    "Content-Length beyond 64 bits": with_line(b"Content-Length: 18446744073709551616"),
    "chunked": with_line(b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
    "chunked, spelt oddly": with_line(b"tRANSFER-eNCODING:\tCHUNKED") + b"0\r\n\r\n",
    "unknown coding": with_line(b"Transfer-Encoding: xchunked"),
    "identity": with_line(b"Transfer-Encoding: identity"),
    "both": with_line(b"Content-Length: 5\r\nTransfer-Encoding: chunked") + b"0\r\n\r\n",
    "both, the other way round": with_line(b"Transfer-Encoding: chunked\r\nContent-Length: 0"),
    "a request inside the body": with_line(b"Content-Length: 60") + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
}
UPGRADE = {
    "another protocol": replaced(b"Upgrade: websocket", b"Upgrade: h2c"),
    "another protocol besides": replaced(b"Upgrade: websocket", b"Upgrade: websocket, h2c"),
    "a protocol of similar name": replaced(b"Upgrade: websocket", b"Upgrade: websocketx"),
    "two Upgrade fields": with_line(b"Upgrade: h2c"),
    "no Connection": replaced(b"Connection: Upgrade\r\n", b""),
    "Connection without upgrade": replaced(b"Connection: Upgrade", b"Connection: keep-alive"),
    "POST": replaced(b"GET / ", b"POST / "),
    "CONNECT": replaced(b"GET / ", b"CONNECT / "),
}
KEY = {
    "no key": b"\r\n".join(line for line in GOOD.split(b"\r\n") if b"-Key" not in line),
    "empty key": upgrade_request(key=" "),
    "short key": upgrade_request(key="dGhlIHNhbXBsZQ=="),
    "long key": upgrade_request(key="dGhlIHNhbXBsZSBub25jZXM="[:-1] + "A="),
    "key that is no base64": upgrade_request(key="dGhlIHNhbXBsZSBub25j!Q=="),
    "two keys": with_line(b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="),
}
WRONG_VERSION = {
    "version 8": replaced(b"Version: 13", b"Version: 8"),
    "version 130": replaced(b"Version: 13", b"Version: 130"),
}
REFUSALS = [
    (400, "malformed", MALFORMED), (505, "http_version", VERSION), (400, "body", BODY),
    (400, "upgrade", UPGRADE), (400, "key", KEY), (426, "version", WRONG_VERSION),
]


class BadRequests(AttackTest):
    def test_each_gets_its_status_and_is_counted_under_its_reason(self):
        expected = collections.Counter()
        with self.bystander() as gateway:
            for status, reason, requests in REFUSALS:
                for name, request in requests.items():
                    with self.subTest(name):
                        client = RawClient(gateway)
                        client.send(request)
                        response = client.expect_refusal(status)
                        if status == 426:
                            self.assertEqual(response.headers["sec-websocket-version"], "13")
                    expected[reason] += 1
        self.check_counts(gateway, expected, "rejected")

    def test_each_gets_the_same_status_when_it_comes_byte_by_byte(self):
        with self.bystander() as gateway:
            for status, _, requests in REFUSALS:
                for name, request in requests.items():
                    with self.subTest(name):
                        client = RawClient(gateway)
                        for at in range(len(request)):
                            send_quietly(client, request[at:at + 1])
                        self.assertEqual(client.read_response().status, status)
                        client.reset()

    def test_a_missing_version_field_is_refused(self):
        with self.bystander() as gateway:
            client = RawClient(gateway)
            client.send(replaced(b"Sec-WebSocket-Version: 13\r\n", b""))
            client.expect_refusal(400, 426)

    def test_a_plain_request_is_told_to_upgrade_and_healthz_is_answered(self):
        with self.bystander() as gateway:
            for method in (b"GET", b"POST", b"HEAD", b"DELETE"):
                client = RawClient(gateway)
                client.send(method + b" /x HTTP/1.1\r\nHost: x\r\n\r\n")
                client.expect_refusal(426, has_body=method != b"HEAD")
            client = RawClient(gateway)
            client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            client.expect_refusal(200)
        self.assertEqual(gateway.rejected("upgrade"), 4)


class HeaderBombs(AttackTest):
    def refuse(self, gateway, request, status):
        client = RawClient(gateway)
        send_quietly(client, request)
        self.assertEqual(client.read_response().status, status)
        client.reset()

    def test_a_head_may_not_be_larger_than_its_limit(self):
        with self.bystander() as gateway:
            # The buffer that all connections receive into grows with the largest read so far; that is
            # the worker's, not the attacker's.
            self.refuse(gateway, with_line(b"X: " + b"a" * 3_000_000), 431)
            with self.bounded_memory(gateway, 4 * ATTACKER_MEMORY):
                fits = 8191 - len(with_line(b"X: "))
                RawClient.open(gateway, "/", ["X: " + "a" * fits]).reset()
                for size in (8193, 100_000, 3_000_000):
                    self.refuse(gateway, with_line(b"X: " + b"a" * size), 431)
                self.refuse(gateway, b"GET / HTTP/1.1\r\n" + b"X" * 9000, 431)
        self.assertEqual(gateway.rejected("header_size"), 5)

    def test_a_head_may_not_have_more_fields_than_its_limit(self):
        with self.bystander() as gateway:
            RawClient.open(gateway, "/", [f"X{n}: 1" for n in range(64 - 5)]).reset()
            for count in (64 - 4, 500):
                self.refuse(gateway, upgrade_request("/", [f"X{n}:" for n in range(count)]), 431)
            self.refuse(gateway, upgrade_request("/", ["Host:"] * 500), 431)
        self.assertEqual(gateway.rejected("header_count"), 3)

    def test_a_target_may_not_be_longer_than_its_limit(self):
        with self.bystander() as gateway:
            RawClient.open(gateway, "/" + "a" * 2047).reset()
            for size in (2048, 7000, 100_000):
                self.refuse(gateway, upgrade_request("/" + "a" * size), 414)
        self.assertEqual(gateway.rejected("uri"), 3)

    def test_a_hostile_extension_or_subprotocol_list_costs_no_time(self):
        lists = ["permessage-deflate; " + "a=b; " * 1300 + "c", "," * 7000, ";" * 7000, '"' * 7000,
                 "permessage-deflate; a=\"" + "\\\\" * 3000, "__proto__; constructor=1", "a, " * 2000]
        with self.bystander() as gateway:
            spent = gateway.cpu_seconds()
            for value in lists:
                for field in ("Sec-WebSocket-Extensions", "Sec-WebSocket-Protocol"):
                    for _ in range(10):
                        client = RawClient(gateway)
                        client.send(upgrade_request("/", [f"{field}: {value}"]))
                        status = client.read_response().status
                        self.assertIn(status, (101, 400))
                        client.reset()
            if not gateway.is_sanitized():
                self.assertLess(gateway.cpu_seconds() - spent, 1.0)


class Smuggling(AttackTest):
    def test_what_follows_a_refused_request_is_not_looked_at(self):
        second = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        with self.bystander() as gateway:
            for status, first in ((400, BODY["both"]), (426, second.replace(b"healthz", b"x")),
                                  (426, WRONG_VERSION["version 8"]), (200, second)):
                client = RawClient(gateway)
                client.send(first + second)
                client.expect_refusal(status)  # which also checks that nothing comes after it

    def test_what_follows_an_upgrade_is_frames_and_nothing_else(self):
        with self.bystander() as gateway:
            client = RawClient(gateway)
            client.send(GOOD + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(client.read_response().status, 101)
            client.expect_close(1002)
        self.check_counts(gateway, {"bad_reserved_bits": 1}, "closed")

    def test_frames_sent_along_with_the_request_are_served_after_the_answer(self):
        with self.bystander() as gateway:
            client = RawClient(gateway)
            client.send(GOOD + frame(TEXT, '{"type":"ping"}') + frame(CLOSE, close_payload(1000)))
            self.assertEqual(client.read_response().status, 101)
            self.assertEqual(client.read_text(), '{"type":"pong"}')
            client.expect_close(1000, answer=False)

    def test_a_content_length_of_0_is_no_body(self):
        with self.bystander() as gateway:
            RawClient.open(gateway, "/", ["Content-Length: 0"]).check_echo()


class Slowloris(AttackTest):
    def drip(self, client, data):
        """One byte at a time, as slowly as the gateway lets us: until it says something."""
        for at in range(len(data)):
            send_quietly(client, data[at:at + 1])
            if select.select([client.sock], [], [], 0.02)[0]:
                return

    def test_a_head_must_be_complete_in_time_whatever_arrives_meanwhile(self):
        with self.bystander(config={"limits.handshake_timeout": "400ms"}) as gateway:
            silent, partial, dripping = (RawClient(gateway) for _ in range(3))
            began = time.monotonic()
            partial.send(GOOD[:-2])
            self.drip(dripping, with_line(b"X: " + b"a" * 7000))
            dripping.expect_refusal(408)
            for client in (silent, partial):
                client.expect_refusal(408)
            self.assertGreater(time.monotonic() - began, 0.3)
        self.check_counts(gateway, {"timeout": 3}, "rejected")

    def test_an_honest_client_gets_in_among_a_thousand_slow_ones(self):
        with self.bystander(config={"limits.handshake_timeout": "2s"}) as gateway:
            with self.bounded_memory(gateway, 1000 * 4096 + (4 << 20)):
                slow = []
                for _ in range(1000):
                    slow.append(RawClient(gateway))
                    slow[-1].send(GOOD[:100])
                began = time.monotonic()
                RawClient.open(gateway).check_echo()
                self.assertLess(time.monotonic() - began, 1)
            for client in slow:
                client.expect_refusal(408)
        self.check_counts(gateway, {"timeout": 1000}, "rejected")


class Capacity(AttackTest):
    def test_who_comes_when_the_gateway_is_full_gets_503_and_a_time_to_return(self):
        with self.bystander("--max-connections", "3", config={"admission.max_waiters": 0}) as gateway:
            others = [RawClient.open(gateway) for _ in range(2)]
            client = RawClient(gateway)
            client.send(GOOD)
            self.assertGreater(int(client.expect_refusal(503).headers["retry-after"]), 0)
            others.pop().finish()
            gateway.wait_closed("by_peer")
            RawClient.open(gateway).check_echo()
        self.check_counts(gateway, {"capacity": 1}, "rejected")

    def test_without_descriptors_left_it_neither_spins_nor_dies_and_serves_again_later(self):
        limits = {"limits.handshake_timeout": "1500ms", "limits.max_connections_per_worker": 30}
        with self.bystander(config=limits, nofile=64) as gateway:
            spent, began = gateway.cpu_seconds(), time.monotonic()
            crowd = [RawClient(gateway) for _ in range(200)]
            honest = RawClient(gateway)
            told = collections.Counter()
            for client in crowd:  # first refused for want of descriptors, at last for their silence
                try:
                    told[client.read_response().status] += 1
                except (ConnectionResetError, EOFError):
                    told["reset"] += 1
                client.reset()
            self.assertGreater(told[503], 0, told)
            self.assertGreater(told[408], 0, told)
            passed = time.monotonic() - began
            if not gateway.is_sanitized():
                self.assertLess(gateway.cpu_seconds() - spent, 0.25 * max(passed, 1))
            honest.reset()
            # The resets and the next connection may reach it in one turn, and in any order.
            statuses = []
            while statuses[-1:] != [101] and len(statuses) < 100:
                client = RawClient(gateway)
                client.send(GOOD)
                statuses.append(client.read_response().status)
                client.reset()
            self.assertEqual(set(statuses) | {503}, {101, 503})
            self.assertEqual(statuses[-1], 101)
            RawClient.open(gateway).check_echo()
        self.assertGreater(gateway.rejected("descriptors"), 0)
        self.assertGreater(gateway.figure("wspool_accept_pauses_total") + gateway.rejected("descriptors"), 0)


class LogInjection(AttackTest):
    NAMES = ["a%0aINFO+forged", "a%0d%0aforged", "%1b[2J", "%00", "%7f", "%C2%9b31m", "a%09b"]

    def attack(self, gateway):
        for name in self.NAMES:
            client = RawClient(gateway)
            client.send(upgrade_request(f"/?clientId={name}"))
            client.expect_refusal(400)
        client = RawClient(gateway)
        client.send(upgrade_request("/?clientId=%E2%80%A8forged%22%7D"))
        self.assertEqual(client.read_response().status, 101)
        client.send(frame(CLOSE, close_payload(1000, '"}\n{"forged":"')))
        client.expect_close(1000, answer=False)

    def test_ids_with_control_characters_are_refused_and_text_logs_stay_one_line_a_record(self):
        with self.bystander("--log-level", "debug") as gateway:
            self.attack(gateway)
        self.assertEqual(gateway.rejected("bad_name"), len(self.NAMES))
        for line in gateway.log.all():
            self.assertRegex(line, r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z (debug|info|warning|error): ")

    def test_json_logs_stay_json(self):
        with self.bystander("--log-level", "debug", "--log-format", "json") as gateway:
            self.attack(gateway)
        for line in gateway.log.all():
            record = json.loads(line)
            self.assertIn(record["level"], ("debug", "info", "warning", "error"))
            self.assertNotIn("forged", record)


class Disappearing(AttackTest):
    def test_resets_and_ends_in_every_state_of_the_handshake_harm_nobody(self):
        with self.bystander() as gateway:
            before = gateway.descriptors()
            cuts = (0, 1, 20, len(GOOD) - 1)
            for cut in cuts:
                client = RawClient(gateway)
                client.send(GOOD[:cut])
                client.reset()
                client = RawClient(gateway)
                client.send(GOOD[:cut])
                client.sock.close()
            gateway.wait_figure('wspool_connections_rejected_total{reason="peer_lost"}', 2 * len(cuts))
            client = RawClient(gateway)
            client.send(GOOD)
            client.reset()
            client = RawClient(gateway)
            client.send(GOOD)
            client.sock.close()
            gateway.wait_closed("peer_lost", 1)
            RawClient.open(gateway).finish()
            self.assertLessEqual(gateway.descriptors(), before + 2)
        self.assertEqual(gateway.rejected("peer_lost"), 2 * len(cuts))


class Unwatched(unittest.TestCase):
    def test_refusals_leave_no_descriptors_behind(self):
        with Gateway() as gateway:
            before = gateway.descriptors()
            for _ in range(300):
                client = RawClient(gateway)
                client.send(MALFORMED["two Hosts"])
                client.expect_refusal(400)
            probe = RawClient.open(gateway)
            probe.finish()
            gateway.wait_closed("by_peer")
            self.assertLessEqual(gateway.descriptors(), before + 3)


if __name__ == "__main__":
    unittest.main()
