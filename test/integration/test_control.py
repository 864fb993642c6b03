"""The control API: figures, health, and what it refuses."""

import shutil
import subprocess
import unittest

from control_api import ControlApi
from gateway import Gateway, parse_address
from raw_client import RawClient, upgrade_request
from waiting import eventually

ANY = "127.0.0.1:0"

ONE_NORMAL = 'wspool_connections{worker="0",pool="default",priority="normal"}'

# Per worker, and there from the first scrape on.
PER_WORKER = [
    "wspool_connections_max", "wspool_connections_peak", "wspool_connections_opened_total",
    "wspool_messages_received_total", "wspool_messages_sent_total", "wspool_bytes_received_total",
    "wspool_bytes_sent_total", "wspool_deliveries_total", "wspool_outbox_bytes", "wspool_groups", "wspool_worker_up",
    "wspool_worker_restarts_total", "wspool_accepted_total", "wspool_queued"]
BY_REASON = {
    "wspool_connections_closed_total": "worker_lost", "wspool_connections_rejected_total": "capacity",
    "wspool_dropped_total": "slow_consumer"}


class Metrics(unittest.TestCase):
    def test_every_name_is_there_for_every_worker(self):
        with Gateway("--max-connections", "77", workers=2, control=ANY) as gateway:
            found = ControlApi(gateway).metrics()
            for worker in "01":
                for name in PER_WORKER:
                    self.assertIn(f'{name}{{worker="{worker}"}}', found)
                for name, reason in BY_REASON.items():
                    self.assertIn(f'{name}{{worker="{worker}",reason="{reason}"}}', found)
                for name in ("wspool_connections", "wspool_waiters"):
                    for priority in ("critical", "high", "normal", "low"):
                        self.assertIn(f'{name}{{worker="{worker}",pool="default",priority="{priority}"}}', found)
                self.assertEqual(found[f'wspool_connections_max{{worker="{worker}"}}'], 77)
                self.assertEqual(found[f'wspool_worker_up{{worker="{worker}"}}'], 1)

    def test_they_follow_what_happens(self):
        with Gateway(control=ANY) as gateway:
            api = ControlApi(gateway)
            client = RawClient.open(gateway)
            client.check_echo()
            eventually(lambda: api.metrics()['wspool_deliveries_total{worker="0"}'] == 1, "it is counted")
            self.assertEqual(api.metrics()[ONE_NORMAL], 1)
            client.finish()
            closed = 'wspool_connections_closed_total{worker="0",reason="by_peer"}'
            eventually(lambda: api.metrics()[closed] == 1, "the end is counted")
            self.assertEqual(api.metrics()[ONE_NORMAL], 0)

    def test_prometheus_has_nothing_to_say_against_them(self):
        promtool = shutil.which("promtool")
        self.assertIsNotNone(promtool, "promtool is in Debian's package prometheus")
        with Gateway(workers=2, control=ANY) as gateway:
            status, headers, text = ControlApi(gateway).ask("/metrics")
            self.assertEqual(status, 200)
            self.assertEqual(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
            check = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True,
                                   check=False)
            self.assertEqual((check.returncode, check.stdout, check.stderr), (0, "", ""))


class Figures(unittest.TestCase):
    def test_stats_are_the_sum_over_the_workers(self):
        with Gateway("--max-connections", "100", workers=2, control=ANY) as gateway:
            api = ControlApi(gateway)
            clients = [RawClient.open(gateway) for _ in range(50)]
            for client in clients:
                client.check_echo()
            eventually(lambda: api.stats()["messages"]["delivered"] == 50, "all is counted")
            stats = api.stats()
            self.assertEqual(stats["connections"]["current"], sum(api.connections()))
            self.assertEqual((stats["connections"]["max"], stats["connections"]["created"]), (200, 50))
            self.assertEqual(stats["connections"]["utilization"], 25.0)
            self.assertEqual((stats["workers"], stats["draining"]), (2, False))
            self.assertGreater(stats["uptime"], 0)
            self.assertGreater(stats["throughput"]["messagesPerSecond"], 0)
            self.assertEqual(stats["throughput"]["messagesIn"], 50)
            for client in clients:
                client.finish()
            eventually(lambda: api.stats()["closedBy"]["by_peer"] == 50, "the ends are counted")

    def test_workers_are_told_one_by_one(self):
        with Gateway(workers=2, control=ANY) as gateway:
            api = ControlApi(gateway)
            facts = api.workers()
            self.assertEqual([worker["worker"] for worker in facts], [0, 1])
            self.assertEqual([worker["pid"] for worker in facts], [gateway.worker(0), gateway.worker(1)])
            self.assertEqual({worker["state"] for worker in facts}, {"ready"})
            self.assertEqual([worker["lastDeath"] for worker in facts], [None, None])
            self.assertEqual(api.control()["pid"], gateway.children()["control"])


class Requests(unittest.TestCase):
    def test_what_there_is_not(self):
        with Gateway(control=ANY) as gateway:
            api = ControlApi(gateway)
            status, headers, text = api.ask("/api/nothing")
            self.assertEqual((status, headers["content-type"]), (404, "application/json"))
            self.assertIn('"code":"not_found"', text)
            status, headers, _ = api.ask("/api/stats", "DELETE")
            self.assertEqual((status, headers["allow"]), (405, "GET, HEAD"))

    def test_a_query_changes_nothing(self):
        with Gateway(control=ANY) as gateway:
            self.assertEqual(ControlApi(gateway).status("/healthz?full=1"), 200)

    def test_a_client_of_the_gateway_is_at_the_wrong_door(self):
        with Gateway(control=ANY) as gateway:
            client = RawClient(parse_address(gateway.ready["control"]))
            client.send(upgrade_request())
            client.expect_refusal(404)
            client.sock.close()
            self.assertEqual(ControlApi(gateway).status("/healthz"), 200)

    def test_nonsense_is_refused_and_the_next_is_answered(self):
        with Gateway(control=ANY) as gateway:
            for nonsense in (b"\x16\x03\x01\n\n", b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"):
                client = RawClient(parse_address(gateway.ready["control"]))
                client.send(nonsense)
                client.expect_refusal(400)
                client.sock.close()
            self.assertEqual(ControlApi(gateway).status("/healthz"), 200)


if __name__ == "__main__":
    unittest.main()
