"""A worker that is full passes connections on to others, and no client notices (R44)."""

import json
import os
import signal
import unittest

from control_api import ControlApi
from gateway import Gateway
from raw_client import TEXT, RawClient, accept_key, frame, upgrade_request
from waiting import Deadline, eventually

WORKERS = 4
SEATS = 10
KEY = "AAAAAAAAAAAAAAAAAAAAAA=="
TAKEN = 'wspool_handovers_total{kind="placement",result="taken"}'


def message(**fields):
    return json.dumps(fields, separators=(",", ":")).encode()


def ask_at_once(gateway, number):
    """Request and two messages in one piece; the answers are read later."""
    client = RawClient(gateway)
    client.send(upgrade_request(f"/?clientId=client{number}", key=KEY)
                + frame(TEXT, message(type="direct", targetId=f"client{number}", payload=number))
                + frame(TEXT, message(type="ping")))
    return client


def sum_of(figures, name):
    """Over the workers."""
    name, _, labels = name.partition("{")
    labels = labels.rstrip("}").split(",") if labels else []
    return sum(value for key, value in figures.items()
               if key.startswith(name + "{") and all(label in key for label in labels))


class Placement(unittest.TestCase):
    def gateway(self):
        gateway = Gateway(workers=WORKERS, control="127.0.0.1:0",
                          config={"limits.max_connections_per_worker": SEATS,
                                  "admission.max_waiters": 0})
        self.addCleanup(gateway.stop)
        # Who has shown no figures yet is offered nothing.
        api = ControlApi(gateway)
        for worker in range(WORKERS):
            age = f'wspool_worker_heartbeat_age_seconds{{worker="{worker}"}}'
            eventually(lambda age=age: api.metrics()[age] > 0, "each worker shows its figures")
        return gateway

    def check_served(self, client, number, response=None):
        response = response or client.read_response()
        self.assertEqual(response.status, 101, response.body)
        self.assertEqual(response.headers["sec-websocket-accept"], accept_key(KEY))
        heard = [json.loads(client.read_text()) for _ in range(2)]
        heard.sort(key=lambda one: one["type"])  # a direct message may go by its home
        self.assertEqual(heard, [{"type": "direct", "payload": number, "from": f"client{number}"},
                                 {"type": "pong"}])

    def test_every_seat_of_every_worker_is_taken_before_anybody_is_refused(self):
        gateway = self.gateway()
        for number in range(WORKERS * SEATS):
            self.check_served(ask_at_once(gateway, number), number)
        api = ControlApi(gateway)
        # That chance alone gives each worker its ten is one in thousands.
        deadline = Deadline()
        while api.connections() != [SEATS] * WORKERS and not deadline.is_over():
            pass
        self.assertEqual(api.connections(), [SEATS] * WORKERS)
        eventually(lambda: sum_of(api.metrics(), TAKEN) > 0, "some were passed on")
        eventually(lambda: sum_of(api.metrics(), "wspool_placements_in_flight") == 0, "each offer is answered")
        for _ in range(2 * WORKERS):
            refused = RawClient(gateway)
            refused.send(upgrade_request(key=KEY))
            refused.expect_refusal(503)

    def test_who_comes_at_once_is_served_while_there_are_seats(self):
        gateway = self.gateway()
        clients = [ask_at_once(gateway, number) for number in range(WORKERS * SEATS)]
        refused = 0
        for number, client in enumerate(clients):
            response = client.read_response()
            if response.status == 101:
                self.check_served(client, number, response)
                continue
            # Figures are a turn old: two workers may have offered to the last seat of a third.
            self.assertEqual(response.status, 503)
            refused += 1
        self.assertLess(refused, SEATS)

    def test_nobody_hangs_when_the_receiver_is_killed_with_connections_under_way(self):
        gateway = self.gateway()
        api = ControlApi(gateway)
        victim = gateway.worker(0)
        os.kill(victim, signal.SIGSTOP)
        clients = [ask_at_once(gateway, number) for number in range(2 * WORKERS * SEATS)]
        deadline = Deadline()
        while sum_of(api.metrics(), "wspool_placements_in_flight") == 0:
            self.assertFalse(deadline.is_over(), "nothing was offered to the worker that froze")
        os.kill(victim, signal.SIGKILL)
        served = 0
        for number, client in enumerate(clients):
            response = client.read_response()
            self.assertIn(response.status, (101, 503))
            if response.status == 101:
                served += 1
        self.assertGreaterEqual(served, (WORKERS - 1) * SEATS)
        eventually(lambda: sum_of(api.metrics(), TAKEN.replace("taken", "returned")) > 0, "some came back")
        eventually(lambda: sum_of(api.metrics(), "wspool_placements_in_flight") == 0, "each offer is answered")

    def test_a_lone_worker_passes_nothing_on(self):
        gateway = Gateway("--single-process", config={"limits.max_connections_per_worker": 2,
                                                      "admission.max_waiters": 0})
        self.addCleanup(gateway.stop)
        RawClient.open(gateway)
        RawClient.open(gateway)
        refused = RawClient(gateway)
        refused.send(upgrade_request(key=KEY))
        refused.expect_refusal(503)


if __name__ == "__main__":
    unittest.main()
