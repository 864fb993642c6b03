"""Seats under a crowd: a hundred for five hundred real clients of mixed priority, checked worker by worker against
an oracle that is fed with what that worker saw, against what the clients saw, and against the figures."""

import base64
import collections
import json
import random
import unittest

from admission_oracle import PRIORITIES, SECOND, Oracle, events_by_worker
from control_api import ControlApi
from gateway import Gateway
from peer import Peer
from waiting import eventually

SEATS, CLIENTS = 100, 500
TIMEOUTS = {"critical": 1500, "high": 2500, "normal": 3500, "low": 4500}  # ms
MIN_HOLD, GRACE = 300, 100
SHARES = {"critical": 10, "high": 20, "normal": 40, "low": 30}


def table(values, unit=""):
    return {key: f"{value}{unit}" if unit else value for key, value in values.items()}


class Client:
    """One connection, and what has become of it."""

    def __init__(self, socket, priority):
        self.socket, self.priority = socket, priority
        self.state, self.code, self.ticket, self.was_queued = "asking", None, None, False

    def look(self):
        """Takes what the client heard; True if it was told to come back."""
        is_preempted = False
        for event in self.socket.pending():
            kind = event["event"]
            if kind == "refused":
                self.state, self.code = "refused", event["status"]
            elif kind == "closed":
                self.state, self.code, self.reason = "closed", event["code"], event["reason"]
            elif kind == "message":
                is_preempted |= self.hear(json.loads(base64.b64decode(event["data"])))
        return is_preempted

    def hear(self, message):
        if message["type"] == "welcome":
            self.state = "welcomed"
        elif message["type"] == "queued":
            assert self.state == "welcomed", (self.state, message)
            assert message["position"] >= 1 and message["timeout"] == TIMEOUTS[self.priority], message
            self.state, self.was_queued = "queued", True
        elif message["type"] == "admitted":
            assert self.was_queued and self.state in ("queued", "leaving"), self.state
            if self.state == "queued":
                self.state = "admitted"
        elif message["type"] == "preempted":
            assert message["reason"] == "Higher priority connection needed", message
            assert 2500 <= message["reconnectDelay"] <= 7500, message
            self.ticket = message["ticket"]
            return self.state != "leaving"
        else:
            assert message["type"] == "draining", message
        return False


class Crowd(unittest.TestCase):
    def setUp(self):
        self.peers = [Peer("ws_client.mjs") for _ in range(2)]
        self.random = random.Random(20)
        self.clients = []

    def tearDown(self):
        for peer in self.peers:
            peer.stop()

    def gateway(self, workers, shares):
        config = {
            "limits.max_connections_per_worker": SEATS // workers, "admission.max_waiters": 40 // workers,
            "admission.wait_timeout": table(TIMEOUTS, "ms"), "admission.min_hold": f"{MIN_HOLD}ms",
            "admission.grace": f"{GRACE}ms", "admission.idle_after": "1h", "log.level": "debug"}
        if shares:
            config["admission.shares"] = table(shares)
        return Gateway(workers=workers, control="127.0.0.1:0", config=config)

    def arrive(self, priority, ticket=None):
        target = f"/?priority={priority}" + (f"&ticket={ticket}" if ticket else "")
        socket = self.peers[len(self.clients) % 2].try_open(self.gw.url(target), subprotocols=["wspool.v1"])
        self.clients.append(Client(socket, priority))

    def look(self):
        """Takes what everybody heard. Who was preempted comes back at once, with its ticket."""
        for client in list(self.clients):
            if client.look():
                self.arrive(client.priority, client.ticket)

    def settled(self):
        self.look()
        return all(client.state != "asking" for client in self.clients)

    def state(self, *states):
        return [client for client in self.clients if client.state in states]

    def depart(self, count):
        seated = self.state("welcomed", "admitted")
        waiting = self.state("queued")
        leaving = self.random.sample(seated, min(count, len(seated)))
        leaving += self.random.sample(waiting, min(count // 3, len(waiting)))
        for client in leaving:
            client.socket.peer.command("close", name=client.socket.name, code=1000, reason="")
            client.state = "leaving"

    def crowd(self, workers, shares):
        with self.gateway(workers, shares) as self.gw:
            api = ControlApi(self.gw)
            # Those whose seats may be taken back come first, the others mixed among the rest.
            order = ["low", "normal"] * 75
            rest = self.random.choices(PRIORITIES, weights=(2, 4, 2, 2), k=CLIENTS - len(order))
            for priority in order + rest:
                self.arrive(priority)
                if len(self.clients) % 25 == 0:
                    eventually(self.settled, "everybody is answered")
                    stats = api.stats()
                    self.assertLessEqual(stats["connections"]["current"], SEATS)
                    if len(self.clients) > 300:
                        self.depart(6)
            self.wait_for_the_end(api)
            stats, each = api.stats(), api.workers()
            self.check(stats, each, workers, shares)
            for client in self.state("welcomed", "admitted"):
                client.socket.peer.command("close", name=client.socket.name, code=1000, reason="")
            eventually(lambda: sum(api.connections()) == 0, "all seats are given back")
        return stats

    def wait_for_the_end(self, api):
        """Until nobody waits any more: seated, or timed out."""
        def is_over():
            self.look()
            stats = api.stats()
            return (sum(stats["waiting"].values()) == 0 and self.settled() and not self.state("queued")
                    and stats["connections"]["current"] == len(self.state("welcomed", "admitted")))
        eventually(is_over, "each wait ends", 60)

    def check(self, stats, each, workers, shares):
        """Oracle, figures, and clients."""
        counts, preempted, queued = collections.Counter(), collections.Counter(), 0
        seen = events_by_worker(self.gw.log.all())
        self.assertEqual(len(seen), workers)
        for worker, events in seen.items():
            oracle = Oracle(SEATS // workers, shares=list(shares.values()) if shares else None,
                            waiters=40 // workers, timeouts=[ms * 1_000_000 for ms in TIMEOUTS.values()],
                            min_hold=MIN_HOLD * 1_000_000, grace=GRACE * 1_000_000)
            for number, event in enumerate(events):
                try:
                    oracle.feed(*event)
                except AssertionError as broken:
                    raise AssertionError(f"worker {worker}, event {number} {event}: {broken}") from broken
            oracle.end()
            figures = each[worker]
            self.assertEqual(figures["byPriority"], oracle.by_priority())
            self.assertEqual(figures["waiting"], oracle.waiting())
            self.assertEqual(figures["acquire"], oracle.counts)
            told = {(of, to): n for of, row in figures["preemptions"].items() for to, n in row.items() if n}
            self.assertEqual(told, oracle.preemptions)
            self.assertLessEqual(oracle.peak, SEATS // workers)
            counts.update(oracle.counts)
            preempted.update(oracle.preemptions)
            queued += oracle.queued
        self.assertEqual(stats["acquire"], {**dict.fromkeys(stats["acquire"], 0), **counts})
        self.assertEqual(stats["connections"]["current"], sum(stats["byPriority"].values()))
        self.check_clients(counts, sum(preempted.values()), queued)

    def check_clients(self, counts, preemptions, queued):
        ends = collections.Counter((client.state, client.code) for client in self.clients)
        reasons = collections.Counter(c.reason for c in self.state("closed") if c.code == 1013)
        self.assertEqual(ends[("refused", 503)], counts["refused"], ends)
        self.assertEqual(reasons["Server at capacity"], counts["timed_out"], reasons)
        self.assertEqual(sum(client.was_queued for client in self.clients), queued)
        self.assertEqual(sum(client.ticket is not None for client in self.clients), preemptions)
        self.assertLessEqual(reasons["Higher priority connection needed"], preemptions)


class WithShares(Crowd):
    def run_with(self, workers):
        stats = self.crowd(workers, SHARES)
        acquire = stats["acquire"]
        for result in ("seated", "waited", "timed_out", "refused", "cancelled"):
            self.assertGreater(acquire[result], 0, acquire)
        taken = sum(n for row in stats["preemptions"].values() for n in row.values())
        self.assertGreater(taken, 0)
        self.assertGreater(stats["tickets"]["honoured"], 0, stats["tickets"])

    def test_one_worker_follows_the_rules(self):
        self.run_with(1)

    def test_each_of_two_workers_follows_the_rules(self):
        self.run_with(2)

    def test_each_of_four_workers_follows_the_rules(self):
        self.run_with(4)


class WithoutShares(Crowd):
    def test_all_seats_serve_all_and_nobody_is_preempted(self):
        for workers in (1, 4):
            with self.subTest(workers=workers):
                self.clients = []
                stats = self.crowd(workers, None)
                self.assertEqual(sum(n for row in stats["preemptions"].values() for n in row.values()), 0)
                self.assertGreater(stats["acquire"]["timed_out"], 0)


if __name__ == "__main__":
    unittest.main()
