"""Debian's Prometheus scrapes a real gateway, with nothing between them."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.parse
import urllib.request

from control_api import ControlApi
from gateway import Gateway
from raw_client import RawClient
from waiting import PATIENCE, Lines, eventually

CONFIG = """
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: wspool
    static_configs:
      - targets: ["{target}"]
"""


class Prometheus:
    """One of its own: data in a folder that goes with it. It cannot choose its port itself, so one that is
    free now is asked for, and another one where somebody else was quicker."""

    def __init__(self, target):
        self._directory = tempfile.TemporaryDirectory(prefix="wspool-prometheus-")
        config = os.path.join(self._directory.name, "prometheus.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(target=target))
        for _ in range(5):
            self._start(config)
            if self._is_up():
                return
            self.stop_process()
        raise AssertionError(f"prometheus does not start: {self.log.all()}")

    def _start(self, config):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{probe.getsockname()[1]}"
        self.process = subprocess.Popen(
            [shutil.which("prometheus"), f"--config.file={config}", f"--web.listen-address={self.address}",
             f"--storage.tsdb.path={self._directory.name}/data", "--log.level=warn"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.log = Lines(self.process.stderr, "the log of prometheus")

    def _is_up(self):
        def is_ready():
            if self.process.poll() is not None:
                return "ended"
            try:
                with urllib.request.urlopen(f"http://{self.address}/-/ready", timeout=PATIENCE) as answer:
                    return answer.status == 200 and "ready"
            except (urllib.error.URLError, ConnectionError):
                return None
        return eventually(is_ready, "prometheus is ready", 6 * PATIENCE) == "ready"

    def ask(self, path, **query):
        url = f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}"
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            body = json.load(answer)
        assert body["status"] == "success", body
        return body["data"]

    def value(self, query):
        """The value of a query's only series, or None when there is none yet."""
        found = self.ask("query", query=query)["result"]
        assert len(found) <= 1, found
        return float(found[0]["value"][1]) if found else None

    def stop_process(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.wait_end()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop_process()
        self._directory.cleanup()


class Scraping(unittest.TestCase):
    def test_prometheus_finds_the_figures_of_a_gateway(self):
        self.assertIsNotNone(shutil.which("prometheus"), "it is in Debian's package prometheus")
        with Gateway(workers=2, control="127.0.0.1:0") as gateway, Prometheus(gateway.ready["control"]) as prometheus:
            clients = [RawClient.open(gateway) for _ in range(5)]
            api = ControlApi(gateway)
            eventually(lambda: sum(api.connections()) == 5, "the gateway counts them")
            target = eventually(lambda: [each for each in prometheus.ask("targets")["activeTargets"]
                                         if each["health"] != "unknown"], "it has been scraped", 6 * PATIENCE)[0]
            self.assertEqual((target["health"], target["lastError"]), ("up", ""))
            eventually(lambda: prometheus.value("sum(wspool_connections)") == 5, "the figure is there",
                       6 * PATIENCE)
            self.assertEqual(prometheus.value('count(wspool_worker_up{worker=~"[0-9]+"} == 1)'), 2)
            names = prometheus.ask("label/__name__/values")
            scraped = {name for name in names if name.startswith("wspool_")}
            exposed = {name.partition("{")[0] for name in api.metrics()}
            self.assertLessEqual({"wspool_connections", "wspool_messages_received_total"}, scraped)
            self.assertLessEqual(exposed, scraped)
            for client in clients:
                client.finish()


if __name__ == "__main__":
    unittest.main()
