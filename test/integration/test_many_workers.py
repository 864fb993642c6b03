"""Groups, ids and recovery across four workers, and across the death of one."""

import json
import os
import random
import signal
import threading
import unittest

from gateway import Gateway
from raw_client import TEXT, RawClient
from waiting import Deadline

WORKERS = 4


def message(**fields):
    return json.dumps(fields, separators=(",", ":"))


class Client(RawClient):
    """Speaks JSON; `wait` skips what it is not asked for, and keeps all broadcasts in `heard`."""

    @classmethod
    def join_all(cls, gateway, group, count, **fields):
        clients = [cls.open(gateway) for _ in range(count)]
        for client in clients:
            client.heard = []
            client.ask(type="join", group=group, id="joined", **fields)
        return clients

    def say(self, **fields):
        self.text(message(**fields))

    def hear(self):
        opcode, payload = self.read_message()
        assert opcode == TEXT, opcode
        heard = json.loads(payload)
        if heard["type"] == "broadcast":
            self.heard.append(heard)
        return heard

    def ask(self, **fields):
        if not hasattr(self, "heard"):
            self.heard = []
        self.say(**fields)
        while (answer := self.hear()).get("id") != fields["id"]:
            pass
        return answer

    def hear_broadcasts(self, count):
        while len(self.heard) < count:
            self.hear()
        return [one["payload"] for one in self.heard]


class AcrossWorkers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway(workers=WORKERS)
        cls.addClassCleanup(cls.gateway.stop)

    def group(self):
        return self.id().rsplit(".", 1)[1]

    def test_all_members_hear_one_order_from_several_senders(self):
        group = self.group()
        members = Client.join_all(self.gateway, group, 24)
        senders = [Client.open(self.gateway) for _ in range(8)]
        each = 50

        def publish(sender, number):
            for n in range(each):
                sender.say(type="broadcast", group=group, payload=[number, n])

        threads = [threading.Thread(target=publish, args=pair) for pair in zip(senders, range(8))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        orders = [member.hear_broadcasts(8 * each) for member in members]
        for order in orders[1:]:
            self.assertEqual(order, orders[0])
        for number in range(8):
            self.assertEqual([n for sender, n in orders[0] if sender == number], list(range(each)))

    def test_acknowledgements_carry_the_offsets_that_members_are_told(self):
        group = self.group()
        members = Client.join_all(self.gateway, group, 8, offsets=True)
        sender = Client.open(self.gateway)
        acks = [sender.ask(type="broadcast", group=group, payload=n, id=n) for n in range(20)]
        self.assertEqual([ack["offset"] for ack in acks], list(range(1, 21)))
        self.assertEqual(len({ack["epoch"] for ack in acks}), 1)
        for member in members:
            member.hear_broadcasts(20)
            self.assertEqual([(one["payload"], one["offset"]) for one in member.heard],
                             [(n, n + 1) for n in range(20)])

    def test_a_direct_message_finds_its_target_on_whatever_worker(self):
        targets = [Client.open(self.gateway, f"/?clientId=target{n}") for n in range(12)]
        sender = Client.open(self.gateway, "/?clientId=sender")
        for n in range(12):
            answer = sender.ask(type="direct", targetId=f"target{n}", payload=n, id=n)
            self.assertEqual(answer, {"type": "ack", "id": n})
        for n, target in enumerate(targets):
            target.heard = []
            self.assertEqual(target.hear(), {"type": "direct", "payload": n, "from": "sender"})
        for n in range(12):
            answer = sender.ask(type="direct", targetId=f"nobody{n}", payload=1, id=n)
            self.assertEqual(answer["code"], "unknown_target")

    def test_an_id_is_held_by_its_newest_connection_alone(self):
        for n in range(4):
            connections = [Client.open(self.gateway, f"/?clientId=one{n}") for _ in range(6)]
            for old in connections[:-1]:
                self.assertEqual(old.read_close()[0], 4409)
            newest = connections[-1]
            newest.heard = []
            newest.say(type="direct", targetId=f"one{n}", payload="me")
            self.assertEqual(newest.hear()["payload"], "me")

    def test_what_was_missed_is_replayed_after_the_ack(self):
        group = self.group()
        Client.join_all(self.gateway, group, 6)
        sender = Client.open(self.gateway)
        first = sender.ask(type="broadcast", group=group, payload=0, id=0)
        for n in range(1, 30):
            sender.ask(type="broadcast", group=group, payload=n, id=n)
        since = {"epoch": first["epoch"], "offset": first["offset"]}
        for _ in range(6):
            returning = Client.open(self.gateway)
            ack = returning.ask(type="join", group=group, since=since, offsets=True, id="back")
            self.assertTrue(ack["recovered"])
            self.assertEqual((ack["epoch"], ack["offset"]), (since["epoch"], since["offset"]))
            self.assertEqual(returning.heard, [])
            returning.hear_broadcasts(29)
            self.assertEqual([(one["payload"], one["offset"]) for one in returning.heard],
                             [(n, n + 1) for n in range(1, 30)])

    def test_who_asks_for_what_is_not_kept_is_told(self):
        group = self.group()
        Client.join_all(self.gateway, group, 2)
        returning = Client.open(self.gateway)
        ack = returning.ask(type="join", group=group, since={"epoch": "00", "offset": 7}, id=1)
        self.assertFalse(ack["recovered"])
        self.assertEqual(ack["offset"], 0)

    def test_the_order_of_what_one_client_says_is_kept_over_all_its_targets(self):
        group = self.group()
        (member,) = Client.join_all(self.gateway, group, 1)
        sender = Client.open(self.gateway)
        for n in range(200):
            sender.say(type="broadcast", group=group, payload=n)
        self.assertEqual(member.hear_broadcasts(200), list(range(200)))


class Rejecting(unittest.TestCase):
    def test_an_id_that_is_taken_anywhere_is_refused(self):
        with_policy = Gateway(workers=WORKERS, config={"server.duplicate_id": "reject"})
        self.addCleanup(with_policy.stop)
        for n in range(4):
            holder = Client.open(with_policy, f"/?clientId=held{n}")
            for _ in range(3):
                other = RawClient(with_policy)
                with self.assertRaisesRegex(AssertionError, "409"):
                    other.upgrade(f"/?clientId=held{n}")
            holder.finish()
            Client.open(with_policy, f"/?clientId=held{n}")


class WhenAWorkerDies(unittest.TestCase):
    def setUp(self):
        self.gateway = Gateway(workers=WORKERS)
        self.addCleanup(self.gateway.stop)

    def workers(self):
        return [pid for name, pid in self.gateway.children().items() if "worker" in name]

    def test_clients_of_the_others_miss_nothing(self):
        groups = [f"g{n}" for n in range(8)]
        members = [Client.open(self.gateway) for _ in range(24)]
        for member in members:
            member.heard = []
            for group in groups:
                member.ask(type="join", group=group, id="joined", offsets=True)
        senders = [Client.open(self.gateway) for _ in range(6)]
        stop = threading.Event()
        published = [[] for _ in senders]  # acknowledged, in order

        def publish(sender, mine, number):
            n = 0
            try:
                while not stop.is_set():
                    group = random.choice(groups)
                    answer = sender.ask(type="broadcast", group=group, payload=[number, n], id=n)
                    if answer["type"] == "ack":
                        mine.append((group, [number, n]))
                    n += 1
            except (EOFError, ConnectionError):
                pass

        threads = [threading.Thread(target=publish, args=(sender, published[i], i))
                   for i, sender in enumerate(senders)]
        for thread in threads:
            thread.start()
        while sum(map(len, published)) < 300:
            pass
        before = self.workers()
        victim = random.choice(before)
        os.kill(victim, signal.SIGKILL)
        deadline = Deadline()
        while len(set(self.workers()) - {victim}) < WORKERS and not deadline.is_over():
            pass
        reached = sum(map(len, published))
        while sum(map(len, published)) < reached + 300 and not deadline.is_over():
            pass
        stop.set()
        for thread in threads:
            thread.join()

        marker = Client.open(self.gateway)
        stayers = 0
        for group in groups:
            marker.ask(type="broadcast", group=group, payload="end", id=0)
        for member in members:
            try:
                while sum(one["payload"] == "end" for one in member.heard) < len(groups):
                    member.hear()
            except (EOFError, ConnectionError):
                continue  # it was the victim's
            stayers += 1
            self.check(member.heard, published, groups)
        self.assertGreater(stayers, 0)

    def check(self, heard, published, groups):
        acknowledged = {(group, tuple(payload)) for mine in published for group, payload in mine}
        told = [(one["group"], tuple(one["payload"])) for one in heard if one["payload"] != "end"]
        self.assertEqual(len(told), len(set(told)), "something came twice")
        self.assertEqual(acknowledged - set(told), set(), "something acknowledged never came")
        for group in groups:
            offsets = [one["offset"] for one in heard if one["group"] == group]
            self.assertEqual(offsets, sorted(set(offsets)))
        for number in range(len(published)):
            for group in groups:
                mine = [payload[1] for at, payload in told if at == group and payload[0] == number]
                self.assertEqual(mine, sorted(mine))


if __name__ == "__main__":
    unittest.main()
