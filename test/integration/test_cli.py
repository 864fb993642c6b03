"""The command line, the configuration file, the signals: what an operator meets."""

import os
import re
import signal
import socket
import subprocess
import tempfile
import unittest

from gateway import BINARY, Gateway, environment, parse_address
from raw_client import CLOSE, RawClient, close_payload, upgrade_request
from waiting import PATIENCE


def run(*arguments, env=None, text=True):
    return subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=text,
                          timeout=PATIENCE, env=environment(env), check=False)


class Refusals(unittest.TestCase):
    def refused(self, *arguments, says, env=None):
        """Nothing starts, the status is 2, and standard error says why."""
        result = run(*arguments, env=env)
        self.assertEqual((result.returncode, result.stdout), (2, ""), result.stderr)
        for text in [says] if isinstance(says, str) else says:
            self.assertIn(text, result.stderr)

    def test_unusable_options(self):
        for arguments, says in {
            ("serve", "--no-such"): "--no-such",
            ("serve", "--listen", "nonsense"): "nonsense",
            ("serve", "--listen", "127.0.0.1:70000"): "70000",
            ("serve", "--io", "kqueue"): "kqueue",
            ("serve", "--log-level", "loud"): "loud",
            ("serve", "--log-format", "xml"): "xml",
            ("serve", "--workers", "0"): "workers",
            ("serve", "--workers", "x"): "workers",
            ("serve", "--max-connections", "-1"): "--max-connections",
            ("serve", "--config", "/no/such/file"): "/no/such/file",
            ("serve", "extra"): "extra",
            ("no-such-verb",): "no-such-verb",
            ("connect",): "url",
            ("check",): "file",
        }.items():
            with self.subTest(arguments):
                self.refused(*arguments, says=says)

    def test_more_connections_than_descriptors(self):
        self.refused("serve", "--listen", "127.0.0.1:0", "--max-connections", "10000000",
                     says=["max_connections", "10000000"])

    def test_an_address_in_use(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            address = f"127.0.0.1:{taken.getsockname()[1]}"
            result = run("serve", "--listen", address, "--control", "off")
            self.assertIn(result.returncode, (1, 2))
            self.assertEqual(result.stdout, "")
            self.assertIn(address, result.stderr)

    def test_unusable_environment(self):
        self.refused("serve", says="WSPOOL_LOG_LEVEL", env={"WSPOOL_LOG_LEVEL": "loud"})


class Configuration(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "wspool.toml")

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def test_check_accepts_a_good_file(self):
        self.write('[server]\nlisten = ["127.0.0.1:0"]\n[limits]\nmax_message_size = "128KiB"\nrate = "off"\n')
        result = run("check", self.path)
        self.assertEqual((result.returncode, result.stderr), (0, ""))

    def test_every_error_is_told_with_its_line(self):
        self.write('[server]\nlistn = ["127.0.0.1:0"]\n\n[limits]\nmax_message_size = 65536\n'
                   'handshake_timeout = "5 parsecs"\n\n[limitz]\nx = 1\n')
        for arguments in (("check", self.path), ("serve", "--config", self.path)):
            result = run(*arguments)
            self.assertEqual((result.returncode, result.stdout), (2, ""))
            for line, says in ((2, "listen"), (5, "65536"), (6, "handshake_timeout"), (8, "limits")):
                self.assertRegex(result.stderr, rf"{re.escape(self.path)}:{line}:.*{says}")

    def test_what_is_no_toml_is_told_with_its_line(self):
        self.write('[server]\necho = true\necho = \n')
        for arguments in (("check", self.path), ("serve", "--config", self.path)):
            result = run(*arguments)
            self.assertEqual(result.returncode, 2)
            self.assertRegex(result.stderr, rf"{re.escape(self.path)}:3:")

    def test_what_a_later_version_will_know_is_told_as_such(self):
        self.write('[cluster]\nurl = "nats://127.0.0.1"\n')
        result = run("check", self.path)
        self.assertEqual(result.returncode, 2)
        self.assertRegex(result.stderr, r":1:.*cluster")

    def test_later_wins_file_environment_option(self):
        def limit(gateway):
            client = RawClient.open(gateway, "/echo")
            for size in (100, 200, 300, 400):
                client.text("x" * size)
                kind = client.read_frame()[0]
                if kind == CLOSE:
                    return size - 100
            return 400

        config = {"limits.max_message_size": "100B", "server.echo": True}
        with Gateway(config=config) as gateway:
            self.assertEqual(limit(gateway), 100)
        with Gateway(config=config, env={"WSPOOL_LIMITS_MAX_MESSAGE_SIZE": "200B"}) as gateway:
            self.assertEqual(limit(gateway), 200)
        with Gateway("--max-message-size", "300B", config=config, env={"WSPOOL_MAX_MESSAGE_SIZE": "200B"}) as gateway:
            self.assertEqual(limit(gateway), 300)


class Information(unittest.TestCase):
    def test_the_version_is_told(self):
        result = run("--version")
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        self.assertRegex(result.stdout, r"^wspool \d+\.\d+\.\d+\n$")

    def test_help_names_every_verb_and_option(self):
        self.assertEqual(run("--help").returncode, 0)
        for verb in ("serve", "connect", "bench", "check"):
            self.assertIn(verb, run("--help").stdout)
        told = run("serve", "--help").stdout
        for option in ("--config", "--listen", "--workers", "--max-connections", "--control", "--io", "--echo",
                       "--log-level", "--log-format"):
            self.assertIn(option, told)


class Listening(unittest.TestCase):
    def serves(self, address):
        client = RawClient(address)
        client.upgrade()
        client.check_echo()
        client.finish()

    def test_the_ready_line_says_what_runs(self):
        with Gateway() as gateway:
            self.assertEqual(list(gateway.ready), ["clients", "control", "workers", "io", "pid"])
            self.assertEqual((gateway.ready["control"], gateway.ready["workers"]), ("off", "1"))
            self.assertEqual(gateway.ready["pid"], str(gateway.process.pid))
            self.assertRegex(gateway.ready["clients"], r"^127\.0\.0\.1:[1-9]\d*$")
            self.serves(gateway.address)
        self.assertEqual(len(gateway.output.all()), 1)

    def test_ipv6(self):
        with Gateway(listen="[::1]:0") as gateway:
            self.assertRegex(gateway.ready["clients"], r"^\[::1\]:[1-9]\d*$")
            self.serves(gateway.address)

    def test_a_unix_socket_which_is_removed_at_the_end(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "gateway.sock")
            for _ in range(2):
                with Gateway(listen=f"unix:{path}") as gateway:
                    self.assertEqual(gateway.ready["clients"], f"unix:{path}")
                    self.serves(gateway.address)
                self.assertFalse(os.path.exists(path))

    def test_several_addresses_serve_the_same_groups(self):
        with tempfile.TemporaryDirectory() as directory:
            listen = ["127.0.0.1:0", "[::1]:0", f"unix:{directory}/s"]
            with Gateway(listen=listen) as gateway:
                self.assertEqual(len(gateway.addresses), 3)
                clients = [RawClient.open(parse_address(address)) for address in gateway.addresses]
                for client in clients:
                    client.request('{"type":"join","group":"g","id":1}')
                clients[0].text('{"type":"broadcast","group":"g","payload":1}')
                for client in clients[1:]:
                    self.assertEqual(client.read_text(), '{"type":"broadcast","group":"g","payload":1}')
                for client in clients:
                    client.finish()

    def test_an_address_that_others_can_reach_is_warned_of(self):
        with Gateway(listen="0.0.0.0:0") as gateway:
            gateway.log.wait(lambda line: "warning" in line and "0.0.0.0" in line)

    def test_too_few_files_for_all_who_may_wait_are_warned_of(self):
        with Gateway("--max-connections", "1000", nofile=2000) as gateway:
            warning = gateway.log.wait(lambda line: "may open 2000 files" in line)
            self.assertRegex(warning, r"beside 1000 seats .* room for \d+ of the 4096 clients that may wait")
            RawClient.open(gateway).finish()

    def test_healthz(self):
        with Gateway() as gateway:
            client = RawClient(gateway)
            client.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            self.assertEqual(client.expect_refusal(200).headers["content-type"].split(";")[0], "text/plain")


class Signals(unittest.TestCase):
    LONG = {"server.drain_time": "1h"}

    def test_either_signal_stops_it_when_nobody_is_there(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with Gateway(config=self.LONG) as gateway:
                gateway.signal(number)
                self.assertEqual(gateway.wait(), 0)

    def test_during_a_drain_new_clients_get_503_and_old_ones_are_served(self):
        with Gateway(config=self.LONG) as gateway:
            clients = [RawClient.open(gateway) for _ in range(3)]
            waiting = RawClient(gateway)
            gateway.signal(signal.SIGTERM)
            gateway.wait_draining()
            waiting.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            waiting.expect_refusal(503)
            refused = RawClient(gateway)
            refused.send(upgrade_request())
            self.assertGreater(int(refused.expect_refusal(503).headers["retry-after"]), 0)
            codes = self.second_signal(gateway, clients, signal.SIGTERM)
        # The first one is due at once, the others over the next hour: the second signal cut that short.
        self.assertEqual(sorted(codes), [1001, 1001, 1012])
        self.assertEqual(gateway.rejected("draining"), 1)
        self.assertEqual((gateway.closed("drained"), gateway.closed("shutdown")), (1, 2))

    def second_signal(self, gateway, clients, number):
        kinds = {}
        gateway.wait_closed("drained")
        gateway.signal(number)
        for client in clients:
            code, _ = client.read_close()
            kinds[client] = code
            client.send_frame(CLOSE, close_payload(code))
            client.expect_end()
            client.sock.close()
        self.assertEqual(gateway.wait(), 0)
        return kinds.values()

    def test_a_second_signal_of_either_kind_closes_the_rest_at_once(self):
        with Gateway(config=self.LONG) as gateway:
            clients = [RawClient.open(gateway) for _ in range(2)]
            gateway.signal(signal.SIGINT)
            codes = self.second_signal(gateway, clients, signal.SIGTERM)
            self.assertEqual(sorted(codes), [1001, 1012])

    def test_a_drain_is_spread_over_its_time(self):
        with Gateway(config={"server.drain_time": "600ms"}) as gateway:
            clients = [RawClient.open(gateway) for _ in range(4)]
            gateway.signal(signal.SIGTERM)
            gateway.wait_closed("drained", 1)
            gateway.wait_closed("drained", 2)
            for client in clients:
                client.expect_close(1012)
            self.assertEqual(gateway.wait(), 0)
        counts = [int(found.group(1)) for line in gateway.log.all()
                  if (found := re.search(r'closed_total\{reason="drained"\}=(\d+)', line))]
        self.assertIn(1, counts)  # the log caught them one by one
        self.assertEqual(counts[-1], 4)

    def test_silent_connections_do_not_hold_up_the_end(self):
        config = {"limits.handshake_timeout": "200ms", "limits.close_timeout": "200ms"}
        with Gateway(config=config) as gateway:
            silent = RawClient(gateway)
            RawClient.open(gateway).finish()
            gateway.signal(signal.SIGTERM)
            self.assertEqual(gateway.wait(), 0)
            silent.sock.close()

    def test_signals_of_later_versions_do_no_harm(self):
        with Gateway() as gateway:
            for number in (signal.SIGUSR2, signal.SIGPIPE):
                gateway.signal(number)
            gateway.log.wait(lambda line: "SIGUSR2" in line)
            client = RawClient.open(gateway)
            client.check_echo()
            client.finish()

    def test_a_closed_standard_error_does_no_harm(self):
        with open("/dev/full", "wb") as full:
            process = subprocess.Popen(
                [BINARY, "serve", "--listen", "127.0.0.1:0", "--control", "off"], stdout=subprocess.PIPE,
                stderr=full, env=environment())
            with process:
                line = process.stdout.readline().decode()
                port = int(re.search(r"clients=127\.0\.0\.1:(\d+)", line).group(1))
                client = RawClient(("127.0.0.1", port))
                client.upgrade()
                client.check_echo()
                client.finish()
                process.terminate()
                self.assertEqual(process.wait(PATIENCE), 0)


if __name__ == "__main__":
    unittest.main()
