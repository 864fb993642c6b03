"""Attacks with what a message says, and the answers to the byte: nothing that is no JSON passes, what is
JSON passes unchanged, and nobody can speak in another's name."""

import json
import unittest

from attack import ATTACKER_MEMORY, AttackTest
from raw_client import BINARY, TEXT, RawClient

INVALID = '{"error":"Invalid message format"}'

NO_JSON = [
    "", " ", "null", "true", "1", '"x"', "[]", "[{}]", "{", "}", "{}}", "{} {}", "{}x", "x{}", "{,}", '{"a"}', '{"a":}',
    '{"a":1,}', '{"a" 1}', '{"a":1 "b":2}', "{'a':1}", "{a:1}", '{"a":01}', '{"a":-}', '{"a":+1}', '{"a":.5}',
    '{"a":1.}', '{"a":1e}', '{"a":0x10}', '{"a":NaN}', '{"a":Infinity}', '{"a":tru}', '{"a":True}', '{"a":nulll}',
    '{"a":[1,]}', '{"a":[,1]}', '{"a":[1 2]}', '{"a":[1}}', '{"a":{"b":1]}', '{"a":"\\q"}', '{"a":"\\u12"}',
    '{"a":"\\u12G4"}', '{"a":"\t"}', '{"a":"\n"}', '{"a":"\x00"}', '{"a":"x}', '{"a\x01":1}', '{"a":1}\x00', "\ufeff{}",
    '{"a":1/*c*/}', '{"a":1}//c', '{"type":"ping","type":"join"}', '{"type":"ping","t\\u0079pe":"ping"}',
    '{"type":"broadcast","group":"g","payload":1,"payload":2}', '{"type":"broadcast","group":"g","payload":[1,,2]}',
    '{"type":"broadcast","group":"g","payload":01}', '{"type":"broadcast","group":"g","payload":{"a":tru}}',
    '{"type":"direct","targetId":"honest","payload":"\\x"}', '{"type":"unknown","payload":[1,2}',
]


class Grammar(AttackTest):
    def test_what_is_no_json_is_refused_whole_and_never_forwarded(self):
        with self.bystander(config={"limits.bad_messages": 1000}) as gateway:
            client, member = RawClient.open(gateway), RawClient.open(gateway)
            member.request('{"type":"join","group":"g","id":1}')
            for text in NO_JSON:
                with self.subTest(text):
                    self.assertEqual(client.request(text), INVALID)
            for data in (b"\xff", b'{"a":"\xc3"}', b'{"a":"\xed\xa0\x80"}', b'{"\xff":1}'):
                client.send_frame(BINARY, data)
                self.assertEqual(client.read_text(), INVALID)
            member.check_echo()
            client.check_echo()
        self.assertEqual(gateway.figure("wspool_bad_messages_total"), len(NO_JSON) + 4)

    def test_nesting_is_allowed_up_to_its_limit(self):
        def nested(depth):  # with the object around it
            return '{"a":' + "[" * (depth - 1) + "]" * (depth - 1) + "}"

        def mixed(depth):
            return '{"a":' * (depth - 1) + "{}" + "}" * (depth - 1)

        config = {"limits.max_message_size": "4MiB", "limits.bad_messages": 1000}
        with self.bystander(config=config) as gateway, self.bounded_memory(gateway, 64 * ATTACKER_MEMORY):
            client = RawClient.open(gateway)
            for shape in (nested, mixed):
                self.assertEqual(client.request(shape(64)), f'{{"type":"echo","payload":{shape(64)}}}')
                for depth in (65, 66, 100_000):
                    self.assertEqual(client.request(shape(depth)), INVALID)
            self.assertEqual(client.request('{"a":' * 300_000), INVALID)
            self.assertEqual(client.request("[" * 1_000_000), INVALID)
            client.check_echo()

    def test_large_and_odd_documents_pass_unchanged(self):
        texts = ["{" + ",".join(f'"k{n}":{n}' for n in range(3000)) + "}", '{"' + "k" * 60_000 + '":1}',
                 '{"a":' + "9" * 60_000 + "}", '{"a":-1e+999999}', '{"":""}', '{"__proto__":{"constructor":1}}']
        with self.bystander() as gateway:
            client = RawClient.open(gateway)
            for text in texts:
                self.assertEqual(client.request(text), f'{{"type":"echo","payload":{text}}}')


class Protocol(AttackTest):
    def error(self, client, text):
        answer = json.loads(client.request(text))
        self.assertEqual(answer.pop("type"), "error")
        self.assertTrue(answer.pop("message"))
        return answer

    def test_the_order_of_members_and_white_space_do_not_matter(self):
        with self.bystander() as gateway:
            member, sender = RawClient.open(gateway), RawClient.open(gateway)
            self.assertTrue(member.request(
                ' {\t"id" : 1 ,\r\n "group" : "g" , "x" : [ { "type" : 1 } ] , "type" : "j\\u006fin" } ')
                .startswith('{"type":"ack","id":1,"group":"g",'))
            sender.text('\n{ "payload" :  {"type" : "leave"}  , "group" : "\\u0067" , "type" : "broadcast" }\n')
            self.assertEqual(member.read_text(), '{"type":"broadcast","group":"g","payload":{"type" : "leave"}}')

    def test_names_are_compared_decoded_and_written_escaped(self):
        with self.bystander() as gateway:
            member, sender = RawClient.open(gateway), RawClient.open(gateway)
            for name in ("caf\u00e9", 'quo"te', "back\\slash", "sl/ash", "😀", "__proto__", "x" * 128, "\u2028"):
                ascii_name, plain_name = json.dumps(name), json.dumps(name, ensure_ascii=False)
                member.request(f'{{"type":"join","group":{ascii_name},"id":1}}')
                sender.text(f'{{"type":"broadcast","group":{plain_name},"payload":1}}')
                heard = json.loads(member.read_text())
                self.assertEqual(heard, {"type": "broadcast", "group": name, "payload": 1})
            for name in ("Caf\u00e9", "cafe\u0301", " x", "x" * 127):
                sender.text(json.dumps({"type": "broadcast", "group": name, "payload": 1}))
            sender.check_echo()
            member.check_echo()

    def test_bad_names_are_told_with_the_id(self):
        bad = ['""', '"a\\u0000"', '"\\n"', '"\\u007f"', '"\\u0080"', '"\\u009f"', '"' + "x" * 129 + '"',
               '"' + "ü" * 65 + '"', '"\\ud800"']
        with self.bystander() as gateway:
            client = RawClient.open(gateway)
            for name in bad:
                for text in (f'{{"type":"join","group":{name},"id":7}}', f'{{"type":"leave","group":{name},"id":7}}',
                             f'{{"type":"broadcast","group":{name},"payload":1,"id":7}}',
                             f'{{"type":"direct","targetId":{name},"payload":1,"id":7}}'):
                    with self.subTest(text):
                        self.assertEqual(self.error(client, text), {"id": 7, "code": "bad_name"})

    def test_ids_are_integers_or_short_strings_and_come_back_as_they_were(self):
        good = ["0", "-1", "9007199254740993", '""', '"' + "x" * 64 + '"', '"\\u00fc\\n"', '"ü"']
        bad = ["1.5", "1e3", "true", "null", "[]", "{}", '"' + "x" * 65 + '"']
        with self.bystander() as gateway:
            client = RawClient.open(gateway)
            for text in good:
                self.assertEqual(client.request(f'{{"type":"ping","id":{text}}}'), f'{{"type":"pong","id":{text}}}')
            for text in bad:
                with self.subTest(text):
                    answer = self.error(client, f'{{"type":"ping","id":{text}}}')
                    self.assertEqual(answer, {"code": "bad_request"})

    def test_members_of_the_wrong_type_are_a_bad_request(self):
        with self.bystander() as gateway:
            client = RawClient.open(gateway)
            for text in ('{"type":"join","group":null,"id":1}', '{"type":"join","group":["g"],"id":1}',
                         '{"type":"join","group":"g","offsets":1,"id":1}',
                         '{"type":"join","group":"g","since":1,"id":1}',
                         '{"type":"join","group":"g","since":{},"id":1}',
                         '{"type":"join","group":"g","since":{"epoch":1,"offset":1},"id":1}',
                         '{"type":"join","group":"g","since":{"epoch":"x","offset":-1},"id":1}',
                         '{"type":"join","group":"g","since":{"epoch":"x","offset":1.5},"id":1}',
                         '{"type":"direct","targetId":5,"payload":1,"id":1}'):
                with self.subTest(text):
                    self.assertEqual(self.error(client, text), {"id": 1, "code": "bad_request"})

    def test_nobody_can_write_the_sender_of_a_direct_message(self):
        with self.bystander() as gateway:
            target, sender = RawClient.open(gateway, "/?clientId=t"), RawClient.open(gateway, '/?clientId=%22%7D')
            sender.text('{"type":"direct","targetId":"t","payload":{"from":"boss"},"from":"boss"}')
            self.assertEqual(target.read_text(), '{"type":"direct","payload":{"from":"boss"},"from":"\\"}"}')

    def test_joining_twice_is_being_in_once(self):
        with self.bystander() as gateway:
            member, sender = RawClient.open(gateway), RawClient.open(gateway)
            for _ in range(3):
                member.request('{"type":"join","group":"g","id":1}')
            sender.text('{"type":"broadcast","group":"g","payload":1}')
            self.assertEqual(member.read_text(), '{"type":"broadcast","group":"g","payload":1}')
            member.check_echo()
            member.request('{"type":"leave","group":"g","id":1}')
            self.assertEqual(member.request('{"type":"leave","group":"g","id":2}'), '{"type":"ack","id":2}')
            sender.request('{"type":"broadcast","group":"g","payload":1,"id":1}')
            member.check_echo()

    def test_a_message_that_only_fits_with_its_envelope_stripped_is_still_delivered(self):
        """What goes out may be larger than what may come in."""
        with self.bystander() as gateway:
            client = RawClient.open(gateway)
            text = '{"x":"' + "y" * (65536 - 8) + '"}'
            self.assertEqual(client.request(text), f'{{"type":"echo","payload":{text}}}')

    def test_a_thousand_joins_and_leaves_leave_nothing_behind(self):
        with self.bystander() as gateway:
            client = RawClient.open(gateway)
            for number in range(1000):
                client.text(f'{{"type":"join","group":"g{number}"}}')
                client.text(f'{{"type":"leave","group":"g{number}"}}')
            client.check_echo()
            client.text('{"type":"join","group":"last"}')
            client.check_echo()
        self.assertEqual(gateway.figure("wspool_groups"), 0)


if __name__ == "__main__":
    unittest.main()
