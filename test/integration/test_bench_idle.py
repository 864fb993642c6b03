"""`wspool bench idle` over several load processes, against a gateway of several workers."""

import json
import subprocess
import unittest

from gateway import BINARY, Gateway, environment
from waiting import PATIENCE


def bench_idle(*options):
    return subprocess.run([BINARY, "bench", "idle", *options], capture_output=True, text=True,
                          env=environment(), timeout=6 * PATIENCE, check=False)


class BenchIdle(unittest.TestCase):
    def test_tells_what_it_holds_and_how_it_is_spread(self):
        with Gateway(workers=2) as gateway:
            done = bench_idle(gateway.url(), "--connections", "301", "--processes", "3", "--duration",
                              "100ms", "--json", "--server-pid", str(gateway.process.pid))
            self.assertEqual(done.returncode, 0, done.stderr)
            report = json.loads(done.stdout)
            self.assertEqual((report["connections"], report["processes"]), (301, 3))
            self.assertEqual(report["spread_processes"], 2)
            spread = [value for name, value in report.items() if name.startswith("connections_of_")]
            self.assertEqual(sum(spread), 301, report)
            self.assertGreater(report["anonymous_per_connection"], 0)
            gateway.wait_figure("wspool_connections_opened_total", 301)

    def test_comes_from_further_addresses_when_one_has_no_more_ports(self):
        with Gateway("--max-connections", "13000") as gateway:
            done = bench_idle(gateway.url(), "--connections", "12100", "--duration", "1ms", "--json",
                              "--server-pid", str(gateway.process.pid))
            self.assertEqual(done.returncode, 0, done.stderr)

    def test_what_a_load_process_cannot_do_is_told(self):
        with Gateway("--max-connections", "10", config={"admission.max_waiters": 0}) as gateway:
            done = bench_idle(gateway.url(), "--connections", "20", "--processes", "2")
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn("503", done.stderr)

    def test_more_than_a_process_may_open_needs_more_of_them(self):
        done = bench_idle("ws://127.0.0.1:9/", "--connections", "9000000", "--processes", "2")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("too many for 2 processes", done.stderr)


if __name__ == "__main__":
    unittest.main()
