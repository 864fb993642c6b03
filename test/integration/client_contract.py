"""What every real client must find: the contract of the client protocol, once, for all four peers.

A test_*.py file mixes these with unittest.TestCase and names the peer's program. Sockets stay open from
test to test; groups are named after the test, so that no test hears another."""

import json
import re
import signal

from gateway import WORKERS, Gateway
from peer import Peer
from raw_client import RawClient

LIMIT = 64 * 1024
INVALID = '{"error":"Invalid message format"}'

# JSON that programs like to change on its way: none of it may change.
PAYLOADS = [
    "null", "true", "0", "-0", "1e400", "1E-400", "0.10", "123456789012345678901234567890", '""', "{}", "[]",
    '"\\ud800"', '"\\u0000\\/\\b"', '"Grüße, 世界, 😀"', '[ 1 ,\t2\r\n, { "b" : null , "a" : [ [ ] ] } ]',
    '{"type":"join","group":"x","a":1,"a":2}', '"' + "\u2028</script>" + '"', "[" * 60 + "]" * 60,
]


def message(**fields):
    return json.dumps(fields, separators=(",", ":"))


class Contract:
    """Runs one peer and one gateway for all tests of a class."""

    program = None
    tells_status = True  # a refusal's HTTP status reaches the program

    @classmethod
    def setUpClass(cls):
        cls.peer = Peer(cls.program)
        cls.addClassCleanup(cls.peer.stop)
        cls.gateway = Gateway("--echo", workers=WORKERS)
        cls.addClassCleanup(cls.gateway.stop)

    def open(self, target="/", gateway=None, **options):
        return self.peer.open((gateway or self.gateway).url(target), **options)

    def expect_refusal(self, status, target="/", gateway=None, **options):
        client = self.peer.try_open((gateway or self.gateway).url(target), **options)
        told = client.expect("refused")["status"]
        self.assertEqual(told, status if self.tells_status else 0)

    def ack(self, client, **fields):
        """Sends a message with an id and returns its ack's text."""
        client.send(message(**fields))
        answer = client.read_text()
        self.assertTrue(answer.startswith(f'{{"type":"ack","id":{json.dumps(fields["id"])}'), answer)
        return answer

    def join(self, client, group):
        self.ack(client, type="join", group=group, id="joined")

    def expect_quiet(self, client):
        """Nothing waits for the client: the next thing it hears is the answer to its own ping."""
        self.assertEqual(client.request(message(type="ping", id="quiet?")), '{"type":"pong","id":"quiet?"}')

    def group(self):
        return self.id().rsplit(".", 1)[1]


class ClientContract(Contract):
    # ---- groups

    def test_a_broadcast_goes_to_the_other_members_byte_for_byte_and_not_to_its_sender(self):
        group = self.group()
        sender, first, second, stranger = (self.open() for _ in range(4))
        for client in (sender, first, second):
            self.join(client, group)
        for payload in PAYLOADS:
            sender.send(f'{{"type":"broadcast","group":"{group}","payload": {payload} }}')
        for member in (first, second):
            for payload in PAYLOADS:
                self.assertEqual(member.read_text(),
                                 f'{{"type":"broadcast","group":"{group}","payload":{payload}}}')
        for client in (sender, first, second, stranger):
            self.expect_quiet(client)

    def test_whoever_publishes_need_not_be_a_member(self):
        group = self.group()
        sender, member = self.open(), self.open()
        self.join(member, group)
        self.ack(sender, type="broadcast", group=group, payload=1, id=1)
        self.assertEqual(member.read_text(), f'{{"type":"broadcast","group":"{group}","payload":1}}')

    def test_who_has_left_hears_nothing_more(self):
        group = self.group()
        sender, leaver, member = (self.open() for _ in range(3))
        for client in (leaver, member):
            self.join(client, group)
        self.assertEqual(self.ack(leaver, type="leave", group=group, id=5), '{"type":"ack","id":5}')
        self.ack(sender, type="broadcast", group=group, payload="x", id=6)
        self.assertEqual(member.read_text(), f'{{"type":"broadcast","group":"{group}","payload":"x"}}')
        self.expect_quiet(leaver)

    def test_who_has_closed_hears_nothing_more_and_disturbs_nobody(self):
        group = self.group()
        sender, closer, member = (self.open() for _ in range(3))
        for client in (closer, member):
            self.join(client, group)
        self.assertEqual(closer.close(1000)[0], 1000)
        self.ack(sender, type="broadcast", group=group, payload=[], id=1)
        self.assertEqual(member.read_text(), f'{{"type":"broadcast","group":"{group}","payload":[]}}')

    def test_acks_of_join_and_broadcast_carry_epoch_and_offset(self):
        group = self.group()
        client = self.open()
        joined = self.ack(client, type="join", group=group, id=1)
        match = re.fullmatch(
            rf'{{"type":"ack","id":1,"group":"{group}","epoch":"([^"]+)","offset":0}}', joined)
        self.assertTrue(match, joined)
        epoch = re.escape(match.group(1))
        for offset in (1, 2, 3):
            told = self.ack(client, type="broadcast", group=group, payload=0, id="n")
            self.assertRegex(told, rf'^{{"type":"ack","id":"n","epoch":"{epoch}","offset":{offset}}}$')
        returning = self.open()
        rejoined = self.ack(returning, type="join", group=group, id=2,
                            since={"epoch": match.group(1), "offset": 1})
        self.assertRegex(
            rejoined,
            rf'^{{"type":"ack","id":2,"group":"{group}","epoch":"{epoch}","offset":1,"recovered":true}}$')
        for _ in (2, 3):  # the messages behind that offset follow the ack
            self.assertEqual(returning.read_text(), f'{{"type":"broadcast","group":"{group}","payload":0}}')

    def test_a_member_that_asked_for_offsets_is_told_them_last(self):
        group = self.group()
        sender, member = self.open(), self.open()
        self.ack(member, type="join", group=group, offsets=True, id=1)
        for offset in (1, 2):
            self.ack(sender, type="broadcast", group=group, payload={"n": offset}, id=offset)
            self.assertEqual(
                member.read_text(),
                f'{{"type":"broadcast","group":"{group}","payload":{{"n":{offset}}},"offset":{offset}}}')

    def test_messages_of_one_sender_arrive_in_their_order(self):
        group = self.group()
        sender, member = self.open(), self.open()
        self.join(member, group)
        for number in range(200):
            sender.send(message(type="broadcast", group=group, payload=number))
        heard = [json.loads(member.read_text())["payload"] for _ in range(200)]
        self.assertEqual(heard, list(range(200)))

    # ---- direct

    def test_a_direct_message_reaches_its_target_with_its_sender_written_by_the_gateway(self):
        sender, target = self.open("/?clientId=d-sender"), self.open("/?clientId=d-target")
        for payload in PAYLOADS:
            sender.send(f'{{"type":"direct","from":"forged","targetId":"d-target","payload":{payload}}}')
            self.assertEqual(target.read_text(),
                             f'{{"type":"direct","payload":{payload},"from":"d-sender"}}')
        self.ack(sender, type="direct", targetId="d-target", payload=1, id=9)
        self.expect_quiet(sender)

    def test_a_direct_message_to_oneself_is_delivered(self):
        client = self.open("/?clientId=narcissus")
        client.send(message(type="direct", targetId="narcissus", payload="me"))
        self.assertEqual(client.read_text(), '{"type":"direct","payload":"me","from":"narcissus"}')

    def test_an_unknown_target_is_told(self):
        client = self.open()
        for identity in ({}, {"id": 3}, {"id": "three"}):
            answer = json.loads(client.request(message(
                type="direct", targetId="nobody at all", payload=1, **identity)))
            self.assertEqual(list(answer), ["type", *identity, "code", "message"])
            self.assertEqual((answer["type"], answer["code"]), ("error", "unknown_target"))
            self.assertEqual(answer.get("id"), identity.get("id"))

    # ---- everything else that may be said

    def test_unknown_types_and_messages_without_a_type_are_echoed_whole(self):
        client = self.open()
        for text in ('{"type":"weather","city":"Köln"}', '{"type":"weather","id":4}', '{"a":1}', "{}",
                     '{ "type" : "x" , "n" : 1e400 }', '{"type":5}'):
            self.assertEqual(client.request(text), f'{{"type":"echo","payload":{text}}}')

    def test_binary_messages_may_hold_json_and_are_answered_in_text(self):
        client = self.open()
        self.assertEqual(client.request(b'{"type":"ping"}', binary=True), '{"type":"pong"}')
        self.assertEqual(client.request(b'{"a":"\xff"}', binary=True), INVALID)

    def test_pings_are_answered_with_their_id(self):
        client = self.open()
        for given, answered in ((b'{"type":"ping"}', '{"type":"pong"}'),
                                (b'{"type":"ping","id":12}', '{"type":"pong","id":12}'),
                                (b'{"id":"a\\n","type":"ping"}', '{"type":"pong","id":"a\\n"}')):
            self.assertEqual(client.request(given), answered)

    def test_what_is_no_json_object_is_told_and_the_connection_stays(self):
        client = self.open()
        for text in ("", "x", "[1]", '"text"', '{"type":"ping"', '{"type":"ping"} {}', '{"a":01}'):
            self.assertEqual(client.request(text), INVALID)
        self.expect_quiet(client)

    def test_a_known_type_that_lacks_something_is_a_bad_request(self):
        client = self.open()
        for text in ('{"type":"join"}', '{"type":"leave","id":1}', '{"type":"broadcast","group":"g"}',
                     '{"type":"broadcast","payload":1}', '{"type":"direct","targetId":"x"}',
                     '{"type":"direct","payload":1}', '{"type":"join","group":7}'):
            answer = json.loads(client.request(text))
            self.assertEqual((answer["type"], answer["code"]), ("error", "bad_request"), text)

    def test_a_bad_group_name_is_told(self):
        client = self.open()
        for name in ("", "a\nb", "x" * 129, "\u0085"):
            answer = json.loads(client.request(message(type="join", group=name, id=1)))
            self.assertEqual((answer["type"], answer["id"], answer["code"]), ("error", 1, "bad_name"))
        self.ack(client, type="join", group="ü" * 64, id=2)

    def test_a_client_may_be_in_128_groups_and_no_more(self):
        client = self.open()
        for number in range(128):
            self.ack(client, type="join", group=f"{self.group()} {number}", id=number)
        answer = json.loads(client.request(message(type="join", group=f"{self.group()} 128", id=128)))
        self.assertEqual((answer["type"], answer["id"], answer["code"]), ("error", 128, "too_many_groups"))
        self.ack(client, type="join", group=f"{self.group()} 5", id="again")
        self.ack(client, type="leave", group=f"{self.group()} 5", id="leave")
        self.ack(client, type="join", group=f"{self.group()} 128", id="now")

    # ---- sizes

    def test_the_raw_echo_returns_every_size_up_to_the_limit(self):
        client = self.open("/echo")
        for size in (0, 1, 125, 126, 127, 65534, 65535, LIMIT):
            client.send("x" * size)
            self.assertEqual(client.receive(), (b"x" * size, False))
            data = bytes(range(256)) * (size // 256) + bytes(size % 256)
            client.send(data, binary=True)
            self.assertEqual(client.receive(), (data, True))

    def test_the_raw_echo_repeats_anything_that_is_utf8(self):
        client = self.open("/echo/below?it=too")
        for text in ("not json", "{", "\x00", "😀" * 1000):
            self.assertEqual(client.request(text), text)

    def test_json_of_every_size_is_echoed_up_to_the_limit(self):
        client = self.open()
        for size in (20, 125, 126, 127, 65535, LIMIT):
            text = '{"type":"x","p":"' + "y" * (size - 19) + '"}'
            self.assertEqual(len(text), size)
            self.assertEqual(client.request(text), f'{{"type":"echo","payload":{text}}}')

    def test_a_message_beyond_the_limit_closes_with_1009(self):
        for target in ("/", "/echo"):
            for binary in (False, True):
                client = self.open(target)
                client.send(b"z" * (LIMIT + 1), binary=binary)
                self.assertEqual(client.closed()[0], 1009)

    # ---- compression

    def test_messages_are_compressed_in_both_directions(self):
        with Gateway("--echo") as gateway:
            group = self.group()
            sender, member, echo = self.open("/", gateway), self.open("/", gateway), self.open("/echo", gateway)
            for client in (sender, member, echo):
                self.assertIn("permessage-deflate", client.extensions)
            self.join(member, group)
            payload = '"' + "wspool " * 8000 + '"'
            for _ in range(3):
                sender.send(f'{{"type":"broadcast","group":"{group}","payload":{payload}}}')
                self.assertEqual(member.read_text(),
                                 f'{{"type":"broadcast","group":"{group}","payload":{payload}}}')
                echo.send(payload.encode(), binary=True)
                self.assertEqual(echo.receive(), (payload.encode(), True))
            for client in (sender, member, echo):
                client.close()
        self.assertLess(gateway.figure("wspool_bytes_received_total"), len(payload))
        self.assertLess(gateway.figure("wspool_bytes_sent_total"), len(payload))

    def test_compressed_messages_count_by_what_they_inflate_to(self):
        client = self.open("/echo")
        self.assertIn("permessage-deflate", client.extensions)
        client.send(b"z" * (LIMIT + 1), binary=True)
        self.assertEqual(client.closed()[0], 1009)

    # ---- identity

    def test_the_client_id_comes_from_the_query(self):
        target = self.open("/somewhere?a=b&clientId=J%C3%BCrgen%20%2B1")
        self.open().send(message(type="direct", targetId="Jürgen +1", payload=1))
        self.assertTrue(target.read_text().startswith('{"type":"direct","payload":1,"from":"anon_'))

    def test_a_client_that_speaks_wspool_v1_is_welcomed_with_its_id(self):
        client = self.open("/?clientId=guest", subprotocols=["wspool.v1"])
        self.assertEqual(client.protocol, "wspool.v1")
        self.assertEqual(client.read_text(), '{"type":"welcome","clientId":"guest"}')
        anonymous = self.open(subprotocols=["else", "wspool.v1"])
        self.assertEqual(anonymous.protocol, "wspool.v1")
        self.assertRegex(anonymous.read_text(), r'^{"type":"welcome","clientId":"anon_[A-Za-z0-9_-]{16,}"}$')

    def test_a_bearer_entry_is_selected_where_nothing_better_is_offered(self):
        self.assertEqual(self.open(subprotocols=["bearer.abc"]).protocol, "bearer.abc")
        both = self.open(subprotocols=["bearer.abc", "wspool.v1"])
        self.assertEqual(both.protocol, "wspool.v1")

    def test_a_bad_client_id_is_refused_before_the_upgrade(self):
        for name in ("", "%0a", "x" * 129, "%ff", "%zz", "%C2%85"):
            self.expect_refusal(400, f"/?clientId={name}")

    def test_a_known_priority_is_taken_and_an_unknown_one_refused(self):
        for priority in ("critical", "high", "normal", "low"):
            self.expect_quiet(self.open(f"/?priority={priority}"))
        self.expect_refusal(400, "/?priority=urgent")

    def test_a_newer_connection_of_an_id_replaces_the_older_one(self):
        older, newer = self.open("/?clientId=twin"), None
        newer = self.open("/?clientId=twin")
        self.assertEqual(older.closed()[0], 4409)
        self.open().send(message(type="direct", targetId="twin", payload=1))
        self.assertTrue(newer.read_text().startswith('{"type":"direct","payload":1,'))

    def test_a_second_connection_of_an_id_can_be_rejected(self):
        with Gateway(config={"server.duplicate_id": "reject"}) as gateway:
            first = self.open("/?clientId=only", gateway)
            self.expect_refusal(409, "/?clientId=only", gateway)
            self.expect_quiet(first)
            first.close()
            self.expect_quiet(self.open("/?clientId=only", gateway))
        self.assertEqual(gateway.rejected("duplicate_id"), 1)

    def test_several_connections_of_an_id_can_be_allowed(self):
        with Gateway(config={"server.duplicate_id": "allow"}) as gateway:
            both = [self.open("/?clientId=many", gateway) for _ in range(2)]
            self.ack(self.open("/", gateway), type="direct", targetId="many", payload=1, id=1)
            for client in both:
                self.assertTrue(client.read_text().startswith('{"type":"direct","payload":1,'))
                self.expect_quiet(client)

    # ---- the end

    def test_a_client_that_closes_is_answered_with_its_code(self):
        self.assertEqual(self.open().close(1000)[0], 1000)
        self.assertEqual(self.open().close(4321, "Grüße")[0], 4321)

    def test_ten_bad_messages_close_with_1008(self):
        client = self.open()
        for _ in range(9):
            self.assertEqual(client.request("nonsense"), INVALID)
        client.send("nonsense")
        event = client.peer.next_event(client.name)
        if event["event"] == "message":
            event = client.expect("closed")
        self.assertEqual(event["code"], 1008)

    def test_a_drain_is_announced_and_closes_with_1012(self):
        with Gateway() as gateway:
            clients = [self.open("/", gateway) for _ in range(3)]
            gateway.signal(signal.SIGTERM)
            for client in clients:
                told = json.loads(client.read_text())
                self.assertEqual(list(told), ["type", "reconnectDelay"])
                self.assertEqual(told["type"], "draining")
                self.assertEqual(client.closed()[0], 1012)
            self.assertEqual(gateway.wait(), 0)
        self.assertEqual(gateway.closed("drained"), 3)

    def test_a_client_that_answers_pings_stays(self):
        keepalive = {"keepalive.ping_interval": "40ms", "keepalive.pong_timeout": "2s"}
        with Gateway(config={**keepalive, "limits.control_frames": 1000}) as gateway:
            client = self.open("/", gateway)
            RawClient.open(gateway).count_pings(5)  # it is as idle as the peer, and can count
            self.expect_quiet(client)
        self.assertEqual(gateway.closed("pong_timeout"), 0)


class ChoosesCompression:
    def test_without_an_offer_nothing_is_compressed(self):
        client = self.open("/echo", deflate=False)
        self.assertEqual(client.extensions, "")
        for size in (1000, LIMIT):
            self.assertEqual(client.request("x" * size), "x" * size)


class SendsFragments:
    def test_fragments_are_put_together(self):
        for deflate in (True, False):
            echo = self.open("/echo", deflate=deflate)
            for size in (1, 7, 1000):
                text = "Grüße 😀 " * 100
                echo.send(text, fragment=size)
                self.assertEqual(echo.receive(), (text.encode(), False))
                echo.send(bytes(range(256)) * 4, binary=True, fragment=size)
                self.assertEqual(echo.receive(), (bytes(range(256)) * 4, True))
            self.assertEqual(self.open(deflate=deflate).request('{"type":"ping","id":1}', fragment=3),
                             '{"type":"pong","id":1}')

    def test_fragments_may_fill_the_limit_but_not_exceed_it(self):
        for deflate in (True, False):
            client = self.open("/echo", deflate=deflate)
            client.send(b"x" * LIMIT, binary=True, fragment=1000)
            self.assertEqual(client.receive(), (b"x" * LIMIT, True))
            client.send(b"x" * (LIMIT + 1), binary=True, fragment=1000)
            self.assertEqual(client.closed()[0], 1009)


class SendsPings:
    def test_protocol_pings_are_answered_with_their_payload(self):
        client = self.open()
        for data in (b"1", b"x" * 125, bytes(range(100))):
            self.assertEqual(client.ping(data), data)
        self.expect_quiet(client)


class SendsHeaders:
    def test_the_client_id_comes_from_a_header(self):
        target = self.open(headers={"X-Client-Id": "by header"})
        self.open().send(message(type="direct", targetId="by header", payload=1))
        self.assertTrue(target.read_text().startswith('{"type":"direct","payload":1,'))
        self.expect_refusal(400, headers={"X-Client-Id": "x" * 129})
