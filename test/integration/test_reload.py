"""SIGHUP: the configuration is read again, and what can change while the gateway runs does."""

import json
import os
import signal
import unittest

from control_api import ControlApi
from gateway import Gateway
from raw_client import CLOSE, RawClient
from test_workers import end, spread
from waiting import eventually

ANY = "127.0.0.1:0"


def reload(gateway, text, line):
    """Writes the file anew, sends the signal, and waits for a line of the log."""
    with open(gateway.config_path, "w", encoding="utf-8") as file:
        file.write(text)
    seen = len(gateway.log.all())
    gateway.signal(signal.SIGHUP)
    eventually(lambda: any(line in said for said in gateway.log.all()[seen:]), f"the log says: {line}")
    return gateway.log.all()[seen:]


def hello(size):
    return json.dumps({"type": "hello", "x": "x" * size})


class Reload(unittest.TestCase):
    def closes(self, client, size):
        """Whether a message of this size ends the connection with 1009."""
        client.text(hello(size))
        opcode, payload, _, _ = client.read_frame()
        if opcode == CLOSE:
            self.assertEqual(payload[:2], (1009).to_bytes(2, "big"))
        return opcode == CLOSE

    def test_clients_of_every_worker_meet_the_new_bounds(self):
        with Gateway(workers=2, control=ANY) as gateway:
            api = ControlApi(gateway)
            clients = spread(gateway, api)
            self.assertFalse(any(self.closes(client, 2000) for client in clients))
            said = reload(gateway, '[limits]\nmax_message_size = "1KiB"\n[health]\ninterval = "50ms"\n'
                                   '[server]\ndrain_time = "100ms"\n',
                          "limits.max_message_size changed")
            self.assertFalse(any("restart" in line for line in said), said)
            eventually(lambda: all(worker["state"] == "ready" for worker in api.workers()), "all serve")
            # A worker hears of it a moment after the master has said so.
            fresh = [RawClient.open(gateway) for _ in range(16)]
            eventually(lambda: self.closes(RawClient.open(gateway), 2000) and
                       self.closes(RawClient.open(gateway), 2000), "both workers have heard of it")
            self.assertTrue(all(self.closes(client, 2000) for client in clients + fresh))
            end(clients + fresh)

    def test_a_replaced_worker_begins_with_the_newest(self):
        with Gateway(workers=2, control=ANY) as gateway:
            api = ControlApi(gateway)
            reload(gateway, '[limits]\nmax_message_size = "1KiB"\n[health]\ninterval = "50ms"\n'
                            '[server]\ndrain_time = "100ms"\n', "limits.max_message_size changed")
            for index in range(2):
                os.kill(gateway.worker(index), signal.SIGKILL)
                eventually(lambda index=index: api.workers()[index]["restarts"] == 1 and
                           api.workers()[index]["state"] == "ready", "it is replaced")
            for _ in range(8):
                client = RawClient.open(gateway)
                self.assertTrue(self.closes(client, 2000))
                client.reset()

    def test_a_broken_file_changes_nothing(self):
        with Gateway(workers=2, control=ANY) as gateway:
            said = reload(gateway, '[limits]\nmax_message_size = "1KiB"\njson_depth = "deep"\n',
                          "nothing was changed")
            self.assertTrue(any("wspool.toml:3:14: limits.json_depth" in line for line in said), said)
            for _ in range(8):
                client = RawClient.open(gateway)
                self.assertFalse(self.closes(client, 2000))
                client.reset()
            os.remove(gateway.config_path)
            seen = len(gateway.log.all())
            gateway.signal(signal.SIGHUP)
            eventually(lambda: any("cannot be opened" in line for line in gateway.log.all()[seen:]),
                       "the missing file is told")

    def test_what_cannot_change_is_named(self):
        with Gateway(workers=2, control=ANY) as gateway:
            said = reload(gateway, '[server]\nio = "auto"\nduplicate_id = "allow"\ndrain_time = "100ms"\n'
                                   '[limits]\nmax_connections_per_worker = 5\n[health]\ninterval = "50ms"\n',
                          "limits.max_connections_per_worker needs a restart")
            self.assertTrue(any("server.duplicate_id needs a restart" in line for line in said), said)
            self.assertFalse(any("server.listen" in line for line in said), said)

    def test_the_level_of_the_log_changes_in_all_processes(self):
        with Gateway(workers=2, control=ANY) as gateway:
            quiet = '[health]\ninterval = "50ms"\n[server]\ndrain_time = "100ms"\n[log]\nlevel = "{}"\n'
            reload(gateway, quiet.format("warning") + '[limits]\nmax_connections_per_worker = 5\n',
                   "needs a restart")
            reload(gateway, quiet.format("info"), "log.level changed")
            said = gateway.log.all()
            begin = next(i for i, line in enumerate(said) if "needs a restart" in line)
            last = next(i for i, line in enumerate(said) if "log.level changed" in line)
            self.assertFalse([line for line in said[begin:last] if " info: " in line])

    def test_a_shorter_stall_kills_nobody_who_lives(self):
        with Gateway(workers=2, control=ANY) as gateway:
            before = gateway.children()
            reload(gateway, '[health]\nstall = "200ms"\ninterval = "50ms"\n[server]\ndrain_time = "100ms"\n',
                   "health.stall changed")
            frozen = gateway.worker(0)
            os.kill(frozen, signal.SIGSTOP)
            gateway.log.wait(lambda line: f"worker 0 (pid {frozen}) has shown no sign of life" in line)
            eventually(lambda: gateway.children().get("worker 0") not in (frozen, None), "it is replaced")
            self.assertEqual(gateway.children()["worker 1"], before["worker 1"])

    def test_one_process_alone_reloads_as_well(self):
        with Gateway("--single-process", workers=None) as gateway:
            client = RawClient.open(gateway)
            self.assertFalse(self.closes(client, 2000))
            reload(gateway, '[limits]\nmax_message_size = "1KiB"\n[health]\ninterval = "50ms"\n'
                            '[server]\ndrain_time = "100ms"\n', "limits.max_message_size changed")
            self.assertTrue(self.closes(client, 2000))
            client.reset()


if __name__ == "__main__":
    unittest.main()
