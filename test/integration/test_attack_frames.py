"""Attacks with frames: each is answered with its close code at once, counted under its reason, costs no
memory, and disturbs nobody."""

import collections
import unittest
import zlib

from attack import ATTACKER_MEMORY, AttackTest, send_quietly
from raw_client import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawClient, close_payload, deflated, frame)

LIMIT = 64 * 1024
BEGUN = frame(TEXT, "begun", fin=False)
RESERVED_OPCODES = (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)
TOO_BIG = (LIMIT + 1, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, (1 << 32) - 1, 1 << 32, (1 << 32) + 1, 1 << 62,
           (1 << 63) - 1)

# name, bytes, close code, reason
PROTOCOL = [
    ("unmasked text", frame(TEXT, "x", mask=None), 1002, "bad_mask"),
    ("unmasked empty text", frame(TEXT, mask=None), 1002, "bad_mask"),
    ("unmasked ping", frame(PING, mask=None), 1002, "bad_mask"),
    ("unmasked close", frame(CLOSE, close_payload(1000), mask=None), 1002, "bad_mask"),
    ("unmasked with a huge length", frame(BINARY, mask=None, length=1 << 62), 1002, "bad_mask"),
    *((f"reserved bits {rsv:03b}", frame(TEXT, "x", rsv=rsv), 1002, "bad_reserved_bits") for rsv in range(1, 8)),
    *((f"reserved bits {rsv:03b} on a ping", frame(PING, rsv=rsv), 1002, "bad_reserved_bits") for rsv in (1, 2, 4)),
    ("RSV1 on a continuation", BEGUN + frame(CONTINUATION, rsv=4), 1002, "bad_reserved_bits"),
    *((f"opcode {code}", frame(code), 1002, "bad_opcode") for code in RESERVED_OPCODES),
    *((f"opcode {code} with a huge length", frame(code, length=1 << 62), 1002, "bad_opcode")
      for code in RESERVED_OPCODES),
    *((f"control frame {code} of 126 bytes", frame(code, b"x" * 126), 1002, "bad_control_frame")
      for code in (CLOSE, PING, PONG)),
    *((f"control frame {code} that says {length}", frame(code, length=length), 1002, "bad_control_frame")
      for code in (CLOSE, PING, PONG) for length in TOO_BIG),
    *((f"control frame {code} in fragments", frame(code, fin=False), 1002, "bad_control_frame")
      for code in (CLOSE, PING, PONG)),
    ("lone continuation", frame(CONTINUATION, "x"), 1002, "bad_continuation"),
    ("lone last continuation", frame(CONTINUATION, "x", fin=False), 1002, "bad_continuation"),
    ("text inside a message", BEGUN + frame(TEXT, "x"), 1002, "bad_continuation"),
    ("binary inside a message", BEGUN + frame(BINARY, "x", fin=False), 1002, "bad_continuation"),
    *((f"length {size} in {form} bits", frame(code, b"x" * size, form=form), 1002, "bad_length")
      for code in (TEXT, BINARY)
      for size, form in ((0, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65535, 64))),
    *((f"length {length} for {code}", frame(code, length=length), 1002, "bad_length")
      for code in (TEXT, BINARY) for length in (1 << 63, (1 << 63) + 1, (1 << 64) - 1)),
    *((f"length {length} for a continuation", BEGUN + frame(CONTINUATION, length=length), 1002, "bad_length")
      for length in (1 << 63, (1 << 64) - 1)),
    *((f"declared {length} for {code}", frame(code, length=length), 1009, "too_big")
      for code in (TEXT, BINARY) for length in TOO_BIG),
    *((f"declared {length} for a continuation", BEGUN + frame(CONTINUATION, length=length), 1009, "too_big")
      for length in (LIMIT - 4, *TOO_BIG)),
]
CLOSES = [
    ("one byte", frame(CLOSE, b"\x03"), 1002, "bad_close_frame"),
    *((f"code {code}", frame(CLOSE, close_payload(code)), 1002, "bad_close_frame")
      for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)),
    ("reason that is no UTF-8", frame(CLOSE, close_payload(1000, b"\xff")), 1007, "bad_utf8"),
    ("reason cut inside a character", frame(CLOSE, close_payload(1000, b"caf\xc3")), 1007, "bad_utf8"),
]
UTF8 = [
    *((f"text {data!r}", frame(TEXT, data), 1007, "bad_utf8")
      for data in (b"\xff", b"\x80", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf0\x80\x80\xaf",
                   b"\xf4\x90\x80\x80", b"\xf5\x80\x80\x80", b"abc\xc3", b"\xe2\x82",
                   b"x" * 5000 + b"\xfe" + b"y" * 5000)),
    ("bad character cut by fragments",
     frame(TEXT, b"\xf4", fin=False) + frame(CONTINUATION, b"\x90\x80\x80"), 1007, "bad_utf8"),
    ("message that ends inside a character",
     frame(TEXT, b"\xe2\x82", fin=False) + frame(CONTINUATION, b""), 1007, "bad_utf8"),
    ("bad byte early in an unfinished frame", frame(TEXT, b"abc\xff", length=60_000), 1007, "bad_utf8"),
    ("bad byte across a ping, in an unfinished frame",
     frame(TEXT, b"\xe2", fin=False) + frame(PING) + frame(CONTINUATION, b"\x28", length=1000), 1007, "bad_utf8"),
]
COMPRESSED = [
    ("RSV1 on a ping", frame(PING, rsv=4), 1002, "bad_reserved_bits"),
    ("RSV2 on a compressed message", frame(TEXT, deflated(b"x"), rsv=6), 1002, "bad_reserved_bits"),
    ("RSV1 on a continuation",
     frame(TEXT, deflated(b"x"), rsv=4, fin=False) + frame(CONTINUATION, rsv=4), 1002, "bad_reserved_bits"),
    ("no deflate data", frame(TEXT, b"\xff" * 50, rsv=4), 1007, "bad_deflate"),
    ("distance before the beginning", frame(BINARY, b"\x4b\x04\x62\x00", rsv=4), 1007, "bad_deflate"),
    ("reserved block type", frame(BINARY, b"\x07\x00", rsv=4), 1007, "bad_deflate"),
    ("bad UTF-8 inside", frame(TEXT, deflated(b"ok \xff"), rsv=4), 1007, "bad_utf8"),
    *((f"compressed, and declared {length}", frame(TEXT, rsv=4, length=length), 1009, "too_big")
      for length in (2 * LIMIT, *TOO_BIG[1:])),
    ("bomb of zeros", frame(BINARY, deflated(bytes(60 << 20)), rsv=4), 1009, "inflated_too_big"),
    ("bomb of one byte too many", frame(BINARY, deflated(bytes(LIMIT + 1)), rsv=4), 1009, "inflated_too_big"),
]


def bomb_in_fragments():
    data = deflated(bytes(30 << 20))
    parts = [data[at:at + 30] for at in range(0, len(data), 30)]
    frames = [frame(BINARY, parts[0], rsv=4, fin=False)]
    frames += [frame(CONTINUATION, part, fin=False) for part in parts[1:-1]]
    return b"".join([*frames, frame(CONTINUATION, parts[-1])])


class BadFrames(AttackTest):
    def run_cases(self, cases, *, deflate=False, config=None):
        expected = collections.Counter()
        with self.bystander("--echo", config=config) as gateway:
            with self.bounded_memory(gateway, 16 * ATTACKER_MEMORY):
                for name, data, code, reason in cases:
                    for target in ("/", "/echo"):
                        with self.subTest(name, target=target):
                            client = RawClient.open(gateway, target, deflate=deflate)
                            self.assertEqual(client.has_deflate, deflate)
                            send_quietly(client, data)
                            client.expect_close(code)
                        expected[reason] += 1
        self.check_counts(gateway, expected, "closed")

    def test_frames_against_the_protocol(self):
        self.run_cases(PROTOCOL)

    def test_bad_close_frames(self):
        self.run_cases(CLOSES)

    def test_text_that_is_no_utf8_is_told_at_its_first_bad_byte(self):
        self.run_cases(UTF8)

    def test_bad_compression_and_bombs(self):
        self.run_cases([*COMPRESSED, ("bomb in fragments", bomb_in_fragments(), 1009, "inflated_too_big")],
                       deflate=True)

    def test_messages_of_too_many_fragments(self):
        fragments = BEGUN + b"".join(frame(CONTINUATION, "x", fin=False) for _ in range(200))
        self.run_cases([("fragments", fragments, 1008, "too_many_fragments")], config={"limits.fragments": 100})

    def test_messages_of_empty_fragments(self):
        for opcode in (TEXT, BINARY):
            fragments = frame(opcode, fin=False) + frame(CONTINUATION, fin=False) * 1000
            self.run_cases([("empty fragments", fragments, 1008, "too_many_fragments")])

    def test_a_bomb_costs_little_time(self):
        bomb = frame(BINARY, deflated(bytes(60 << 20)), rsv=4)
        with self.bystander() as gateway:
            spent = gateway.cpu_seconds()
            for _ in range(20):
                client = RawClient.open(gateway, deflate=True)
                client.send(bomb)
                client.expect_close(1009)
            if not gateway.is_sanitized():
                self.assertLess((gateway.cpu_seconds() - spent) / 20, 0.005)

    def test_fragments_that_never_end_cost_no_more_than_their_bytes(self):
        with self.bystander() as gateway:
            with self.bounded_memory(gateway, 200 * 4096):
                clients = [RawClient.open(gateway) for _ in range(100)]
                for client in clients:
                    client.send(BEGUN + frame(CONTINUATION, "x", fin=False) * 500)
                    client.send_frame(PING, "read so far?")
                    self.assertEqual(client.read_frame()[:2], (PONG, b"read so far?"))
            for client in clients:
                client.reset()

    def test_a_declared_length_costs_nothing_until_its_bytes_come(self):
        with self.bystander(config={"limits.max_message_size": "64MiB"}) as gateway:
            with self.bounded_memory(gateway, 200 * 4096):
                clients = [RawClient.open(gateway) for _ in range(100)]
                for client in clients:
                    client.send_frame(PING, "1")
                    client.send_frame(BINARY, b"begun", length=60 << 20)
                    self.assertEqual(client.read_frame()[0], PONG)
                RawClient.open(gateway).check_echo()
            for client in clients:
                client.reset()


class Order(AttackTest):
    def test_messages_before_a_bad_frame_in_the_same_write_are_answered(self):
        bad = [(frame(TEXT, b"\xff"), 1007), (frame(3), 1002), (frame(TEXT, length=LIMIT + 1), 1009),
               (frame(TEXT, "x", mask=None), 1002), (frame(CLOSE, b"\x00"), 1002)]
        with self.bystander() as gateway:
            for data, code in bad:
                client = RawClient.open(gateway)
                good = b"".join(frame(TEXT, f'{{"type":"ping","id":{n}}}') for n in range(5))
                client.send(good + frame(PING, "p") + data + frame(TEXT, '{"type":"ping","id":"too late"}'))
                for number in range(5):
                    self.assertEqual(client.read_text(), f'{{"type":"pong","id":{number}}}')
                self.assertEqual(client.read_frame()[:2], (PONG, b"p"))
                client.expect_close(code)

    def test_a_broadcast_before_a_bad_frame_is_delivered(self):
        with self.bystander() as gateway:
            member, sender = RawClient.open(gateway), RawClient.open(gateway)
            member.request('{"type":"join","group":"g","id":1}')
            sender.send(frame(TEXT, '{"type":"broadcast","group":"g","payload":"last words"}') + frame(7))
            self.assertEqual(member.read_text(), '{"type":"broadcast","group":"g","payload":"last words"}')
            sender.expect_close(1002)
            member.finish()

    def test_pings_between_fragments_are_answered_at_once(self):
        with self.bystander() as gateway:
            client = RawClient.open(gateway)
            client.send(frame(TEXT, '{"type":', fin=False) + frame(PING, "now"))
            self.assertEqual(client.read_frame()[:2], (PONG, b"now"))
            client.send(frame(CONTINUATION, '"ping"}'))
            self.assertEqual(client.read_text(), '{"type":"pong"}')

    def test_any_cut_of_the_bytes_gives_the_same_answers(self):
        data = (frame(TEXT, '{"type":"ping","id":1}') + frame(TEXT, '{"a":"', fin=False) + frame(PING, "p")
                + frame(CONTINUATION, 'ü"}') + frame(BINARY, b'{"type":"ping"}', form=7)
                + frame(TEXT, '{"p":"' + "x" * 200 + '"}') + frame(TEXT, b"\xc3\x28"))
        with self.bystander() as gateway:
            for step in (1, 2, 3, 7, 50, len(data)):
                client = RawClient.open(gateway)
                for at in range(0, len(data), step):
                    client.send(data[at:at + step])
                self.assertEqual(client.read_text(), '{"type":"pong","id":1}')
                self.assertEqual(client.read_frame()[:2], (PONG, b"p"))
                self.assertEqual(client.read_text(), '{"type":"echo","payload":{"a":"ü"}}')
                self.assertEqual(client.read_text(), '{"type":"pong"}')
                self.assertEqual(client.read_text(), '{"type":"echo","payload":{"p":"' + "x" * 200 + '"}}')
                client.expect_close(1007)


class Compression(AttackTest):
    def test_odd_but_valid_deflate_streams_are_understood(self):
        message = b'{"type":"ping","id":1}'
        finished = zlib.compressobj(9, zlib.DEFLATED, -15)
        stored = zlib.compressobj(0, zlib.DEFLATED, -15)
        narrow = zlib.compressobj(9, zlib.DEFLATED, -9)
        streams = {
            "usual": deflated(message),
            "final block, as RFC 7692 section 7.2.3.4 has it":
                finished.compress(message) + finished.flush(zlib.Z_FINISH) + b"\0",
            "stored": (stored.compress(message) + stored.flush(zlib.Z_SYNC_FLUSH))[:-4],
            "narrow window": (narrow.compress(message) + narrow.flush(zlib.Z_SYNC_FLUSH))[:-4],
        }
        with self.bystander() as gateway:
            client = RawClient.open(gateway, deflate=True)
            for name, data in streams.items():
                with self.subTest(name):
                    client.send_frame(TEXT, data, rsv=4)
                    self.assertEqual(client.read_text(), '{"type":"pong","id":1}')
                    client.send(b"".join(frame(TEXT if at == 0 else CONTINUATION, data[at:at + 1],
                                               rsv=4 if at == 0 else 0, fin=at == len(data) - 1)
                                         for at in range(len(data))))
                    self.assertEqual(client.read_text(), '{"type":"pong","id":1}')
            client.text(message)
            self.assertEqual(client.read_text(), '{"type":"pong","id":1}')

    def test_an_empty_compressed_message_is_an_empty_message(self):
        with self.bystander("--echo") as gateway:
            client = RawClient.open(gateway, "/echo", deflate=True)
            client.send_frame(BINARY, b"\0", rsv=4)
            self.assertEqual(client.read_message(), (BINARY, b""))


if __name__ == "__main__":
    unittest.main()
