"""Attacks with time and memory: peers that read or write too slowly, too much, or not at all. Each ends
in time, holds no more than its bound, and the others lose nothing."""

import select
import statistics
import threading
import time
import unittest

from attack import AttackTest, send_quietly
from gateway import Gateway
from raw_client import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, RawClient, close_payload, frame
from waiting import PATIENCE, Deadline


class SlowMessages(AttackTest):
    def test_a_message_must_be_complete_in_time_whatever_arrives_meanwhile(self):
        config = {"limits.frame_timeout": "300ms", "limits.message_timeout": "500ms"}
        begun = frame(TEXT, '{"type":', fin=False)
        with self.bystander(config=config) as gateway:
            silent = {
                "half a header": b"\x81", "header alone": frame(TEXT, length=50),
                "half a payload": frame(BINARY, b"x" * 20, length=50), "half a ping": frame(PING, b"x", length=50),
                "between fragments": begun, "inside a fragment": begun + frame(CONTINUATION, "x", length=9),
            }
            clients = {name: RawClient.open(gateway) for name in silent}
            for name, client in clients.items():
                client.send(silent[name])
            drips = {
                "bytes of a frame": (frame(TEXT, "x" * 60_000), 1),
                "fragments of a message": (begun + frame(CONTINUATION, fin=False) * 200, 6),
                "pings in an unfinished message": (begun + frame(PING) * 15, 6),
            }
            for name, (data, step) in drips.items():
                clients[name] = RawClient.open(gateway)
                self.drip(clients[name], data, step)
            for name, client in clients.items():
                with self.subTest(name):
                    client.expect_close(1008)
        self.check_counts(gateway, {"partial_timeout": len(clients)}, "closed")

    def drip(self, client, data, step):
        deadline = Deadline()
        for at in range(0, len(data), step):
            send_quietly(client, data[at:at + step])
            if select.select([client.sock], [], [], 0.015)[0]:
                first = client.sock.recv(1, 2)  # MSG_PEEK: a pong goes on, a close ends it
                if not first or first[0] & 15 == CLOSE:
                    return
                client.read_frame()
            self.assertFalse(deadline.is_over(), "the gateway bears it for ever")

    def test_a_slow_message_that_makes_it_is_served(self):
        config = {"limits.frame_timeout": "5s", "limits.message_timeout": "5s"}
        with self.bystander(config=config) as gateway:
            client = RawClient.open(gateway)
            for byte in frame(TEXT, '{"type":"ping"}'):
                client.send(bytes([byte]))
                select.select([client.sock], [], [], 0.005)
            self.assertEqual(client.read_text(), '{"type":"pong"}')


class Floods(AttackTest):
    def test_a_flood_of_pings_closes_with_1008(self):
        with self.bystander() as gateway:
            for opcode in (PING, PONG):
                client = RawClient.open(gateway)
                send_quietly(client, frame(opcode, "x") * 100)
                pongs = 0
                while True:
                    kind, data, _, _ = client.read_frame()
                    if kind != PONG:
                        break
                    pongs += 1
                self.assertEqual((kind, data[:2]), (CLOSE, close_payload(1008)))
                self.assertLessEqual(pongs, 21 if opcode == PING else 0)
                client.send_frame(CLOSE, close_payload(1008))
                client.expect_end()
        self.check_counts(gateway, {"control_rate": 2}, "closed")

    def test_a_few_pings_are_no_flood(self):
        with self.bystander() as gateway:
            client = RawClient.open(gateway)
            for number in range(20):
                client.send_frame(PING, str(number))
                self.assertEqual(client.read_frame()[:2], (PONG, str(number).encode()))
            client.check_echo()

    def test_allowed_pings_whose_pongs_are_not_read_cost_no_memory_and_end(self):
        config = {"limits.control_frames": 1_000_000, "limits.control_frames_burst": 255,
                  "limits.write_timeout": "500ms", "limits.send_buffer": "16KiB"}
        with self.bystander(config=config) as gateway:
            client = RawClient.open(gateway, receive_buffer=4096)
            end = select.poll()
            end.register(client.sock, select.POLLERR | select.POLLHUP)
            deadline = Deadline()
            with self.bounded_memory(gateway, 1 << 20):
                while not deadline.is_over() and not end.poll(20):  # a turn, in which the allowance is renewed
                    send_quietly(client, frame(PING, "x" * 125) * 200)
            self.assertFalse(deadline.is_over(), "the gateway bears it for ever")
        self.check_counts(gateway, {"write_timeout": 1}, "closed")

    def test_a_client_that_asks_and_does_not_read_stops_being_read_and_ends(self):
        config = {"limits.write_timeout": "500ms", "limits.send_buffer": "64KiB"}
        with self.bystander("--echo", config=config) as gateway:
            client = RawClient.open(gateway, "/echo", receive_buffer=4096)
            client.sock.settimeout(0)
            question = frame(BINARY, b"x" * 60_000)
            deadline = Deadline()
            with self.bounded_memory(gateway, 2 << 20):
                while not deadline.is_over():
                    try:
                        client.sock.send(question)
                    except BlockingIOError:
                        select.select([], [client.sock], [], 0.05)
                    except OSError:
                        break
            self.assertFalse(deadline.is_over(), "the gateway bears it for ever")
        self.check_counts(gateway, {"write_timeout": 1}, "closed")

    def test_a_flood_of_tiny_segments_does_not_keep_others_waiting(self):
        with self.bystander("--echo") as gateway:
            flooders = [RawClient.open(gateway, "/echo") for _ in range(8)]
            stop = threading.Event()

            def flood(client):
                data = frame(TEXT, "x") * 50
                while not stop.is_set():
                    for at in range(len(data)):
                        client.send(data[at:at + 1])
                    for _ in range(50):
                        client.read_frame()

            threads = [threading.Thread(target=flood, args=(client,)) for client in flooders]
            for thread in threads:
                thread.start()
            try:
                client = RawClient.open(gateway)
                waits = []
                for _ in range(50):
                    began = time.monotonic()
                    client.check_echo()
                    waits.append(time.monotonic() - began)
            finally:
                stop.set()
                for thread in threads:
                    thread.join()
            self.assertLess(statistics.median(waits), 0.5)

    def test_ten_messages_that_are_no_json_close_with_1008(self):
        with self.bystander() as gateway:
            client = RawClient.open(gateway)
            client.send(frame(TEXT, "nonsense") * 30)
            for _ in range(10):
                self.assertEqual(client.read_text(), '{"error":"Invalid message format"}')
            client.expect_close(1008)
        self.check_counts(gateway, {"bad_messages": 1}, "closed")
        self.assertEqual(gateway.figure("wspool_bad_messages_total"), 10)


class SlowReaders(AttackTest):
    PAYLOAD = '"' + "x" * 8000 + '"'

    def publish(self, publisher, reader, number):
        """One broadcast, sequenced and heard by the reader that keeps up."""
        publisher.text(f'{{"type":"broadcast","group":"g","payload":{self.PAYLOAD},"id":{number}}}')
        self.assertTrue(publisher.read_text().startswith(f'{{"type":"ack","id":{number},'))
        self.assertEqual(reader.read_text(),
                         f'{{"type":"broadcast","group":"g","payload":{self.PAYLOAD},"offset":{number}}}')

    def member(self, gateway, **options):
        client = RawClient.open(gateway, **options)
        client.request('{"type":"join","group":"g","offsets":true,"id":0}')
        return client

    def test_a_member_that_does_not_read_is_closed_and_the_others_lose_nothing(self):
        config = {"limits.outbox": "256KiB", "limits.send_buffer": "64KiB", "limits.close_timeout": "300ms"}
        with self.bystander(config=config) as gateway:
            publisher, reader = RawClient.open(gateway), self.member(gateway)
            slow = [self.member(gateway, receive_buffer=4096) for _ in range(10)]
            with self.bounded_memory(gateway, 10 * (300 << 10) + (1 << 20)):
                for number in range(1, 301):
                    self.publish(publisher, reader, number)
            gateway.wait_closed("slow_consumer", 10)
            for client in slow:
                client.expect_gone()
            self.publish(publisher, reader, 301)
            for client in (publisher, reader):
                client.finish()
        self.check_counts(gateway, {"slow_consumer": 10}, "closed")
        self.assertGreater(gateway.dropped("slow_consumer"), 10)

    def test_who_reads_on_after_all_gets_what_was_begun_and_is_told_1013(self):
        config = {"limits.outbox": "64KiB", "limits.send_buffer": "64KiB"}
        with self.bystander(config=config) as gateway:
            publisher, reader = RawClient.open(gateway), self.member(gateway)
            slow = self.member(gateway, receive_buffer=4096)
            number = 0
            while not any('reason="slow_consumer"' in line for line in gateway.log.all()):
                number += 1
                self.publish(publisher, reader, number)
            heard = 0
            while True:
                kind, data, _, _ = slow.read_frame()
                if kind == CLOSE:
                    break
                heard += 1
                self.assertTrue(data.endswith(f',"offset":{heard}}}'.encode()))
            self.assertEqual(data[:2], close_payload(1013))
            self.assertLess(heard, number)
        self.assertEqual(gateway.closed("slow_consumer"), 1)

    def test_a_member_that_takes_nothing_for_too_long_is_reset(self):
        config = {"limits.write_timeout": "500ms", "limits.send_buffer": "64KiB", "limits.outbox": "8MiB"}
        with self.bystander(config=config) as gateway:
            publisher, reader = RawClient.open(gateway), self.member(gateway)
            slow = self.member(gateway, receive_buffer=4096)
            for number in range(1, 101):
                self.publish(publisher, reader, number)
            gateway.wait_closed("write_timeout")
            slow.expect_gone()
            for client in (publisher, reader):
                client.finish()
        self.check_counts(gateway, {"write_timeout": 1}, "closed")

    def test_a_slow_but_steady_reader_stays(self):
        config = {"limits.write_timeout": "1s", "limits.send_buffer": "64KiB", "limits.outbox": "8MiB"}
        with self.bystander(config=config) as gateway:
            publisher, reader = RawClient.open(gateway), self.member(gateway)
            slow = self.member(gateway, receive_buffer=4096)
            for number in range(1, 151):
                self.publish(publisher, reader, number)
            for number in range(1, 151):
                self.assertTrue(slow.read_text().endswith(f',"offset":{number}}}'))
                if number % 15 == 0:
                    reader.check_echo()
            for client in (publisher, reader, slow):
                client.finish()


class DeadPeers(unittest.TestCase):
    KEEPALIVE = {"keepalive.ping_interval": "100ms", "keepalive.pong_timeout": "400ms"}

    def test_a_peer_that_answers_no_ping_is_closed_and_others_stay(self):
        with Gateway(config=self.KEEPALIVE) as gateway:
            honest, silent = RawClient.open(gateway), RawClient.open(gateway)
            kind = PING
            while kind == PING:
                ready = select.select([honest.sock, silent.sock], [], [], PATIENCE)[0]
                self.assertTrue(ready, "no pings")
                if honest.sock in ready:
                    honest.count_pings(1)
                if silent.sock in ready:
                    kind, data, _, _ = silent.read_frame()
            self.assertEqual((kind, data[:2]), (CLOSE, close_payload(1001)))
            silent.sock.close()
            honest.check_echo()
            honest.finish()
        self.assertEqual((gateway.closed("pong_timeout"), gateway.closed("by_peer")), (1, 1))

    def test_pings_come_at_their_interval_however_long_a_pong_may_take(self):
        with Gateway(config={"keepalive.ping_interval": "50ms", "keepalive.pong_timeout": "1h"}) as gateway:
            client = RawClient.open(gateway)
            client.count_pings(4)
            client.finish()

    def test_any_sign_of_life_counts_as_an_answer(self):
        with Gateway(config=self.KEEPALIVE) as gateway:
            client = RawClient.open(gateway)
            for _ in range(8):
                self.assertEqual(client.read_frame()[0], PING)
                client.check_echo()
            client.finish()
        self.assertEqual(gateway.closed("pong_timeout"), 0)


class Closing(AttackTest):
    CONFIG = {"limits.close_timeout": "300ms"}

    def test_what_follows_a_close_is_ignored(self):
        with self.bystander("--echo") as gateway:
            for more in (frame(TEXT, "x"), frame(CLOSE, close_payload(1001)), frame(3), b"garbage" * 100):
                client = RawClient.open(gateway, "/echo")
                client.send(frame(CLOSE, close_payload(1000, "bye")) + more)
                self.assertEqual(client.read_close()[0], 1000)
                client.expect_end()

    def test_every_valid_code_is_echoed(self):
        with self.bystander() as gateway:
            for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000,
                         4999):
                client = RawClient.open(gateway)
                client.send_frame(CLOSE, close_payload(code, "x" * 123))
                client.expect_close(code, answer=False)
            client = RawClient.open(gateway)
            client.send_frame(CLOSE)
            self.assertEqual(client.read_close()[0], 1005)
            client.expect_end()

    def test_a_peer_that_never_ends_its_stream_is_gone_after_close_timeout(self):
        with self.bystander(config=self.CONFIG) as gateway:
            before = gateway.descriptors()
            spent = gateway.cpu_seconds()
            closed, failed = RawClient.open(gateway), RawClient.open(gateway)
            closed.send_frame(CLOSE, close_payload(1000))
            self.assertEqual(closed.read_close()[0], 1000)
            failed.send_frame(3)
            self.assertEqual(failed.read_close()[0], 1002)
            refused = RawClient(gateway)
            refused.send(b"nonsense\r\n\r\n")
            self.assertEqual(refused.read_response().status, 400)
            for client in (closed, failed, refused):
                client.expect_gone()
            RawClient.open(gateway).finish()
            self.assertLessEqual(gateway.descriptors(), before + 1)
            if not gateway.is_sanitized():
                self.assertLess(gateway.cpu_seconds() - spent, 0.2)
        self.assertEqual(gateway.figure("wspool_close_timeouts_total"), 3)

    def test_a_peer_that_does_not_answer_a_close_is_gone_after_close_timeout(self):
        with self.bystander(config=self.CONFIG) as gateway:
            older = RawClient.open(gateway, "/?clientId=twin")
            newer = RawClient.open(gateway, "/?clientId=twin")
            self.assertEqual(older.read_close()[0], 4409)
            older.expect_gone()
            newer.finish()
        self.assertEqual(gateway.closed("replaced"), 1)

    def test_a_peer_that_floods_after_its_close_is_cut(self):
        with self.bystander(config=self.CONFIG) as gateway:
            client = RawClient.open(gateway)
            client.send_frame(CLOSE, close_payload(1000))
            self.assertEqual(client.read_close()[0], 1000)
            deadline = Deadline()
            with self.assertRaises(OSError):
                while not deadline.is_over():
                    client.send(b"x" * 65536)

    def test_resets_in_every_state_harm_nobody(self):
        begun = frame(TEXT, '{"a":"', fin=False)
        states = [b"", b"\x81", frame(TEXT, "x", length=50), begun, begun + frame(CONTINUATION, "x", length=50),
                  frame(TEXT, '{"type":"join","group":"g"}') + frame(TEXT, '{"type":"ping"}'),
                  frame(PING, "x"), frame(CLOSE, close_payload(1000)), frame(3), frame(TEXT, b"\xff"),
                  frame(TEXT, '{"type":"broadcast","group":"g","payload":1}') * 50,
                  frame(TEXT, '{"type":"direct","targetId":"honest too","payload":1}') * 3]
        with self.bystander() as gateway:
            before = gateway.descriptors()
            target = RawClient.open(gateway, "/?clientId=honest%20too")
            for deflate in (False, True):
                for data in states:
                    for ends in (lambda c: c.reset(), lambda c: c.sock.close()):
                        client = RawClient.open(gateway, deflate=deflate)
                        client.send(data)
                        ends(client)
            for _ in range(12):
                self.assertTrue(target.read_text().startswith('{"type":"direct","payload":1,"from":"anon_'))
            target.check_echo()
            target.finish()
            gateway.log.wait(lambda line: "wspool_connections=1 " in line)
            self.assertLessEqual(gateway.descriptors(), before + 2)


if __name__ == "__main__":
    unittest.main()
