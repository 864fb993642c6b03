"""Many workers under a master: who is replaced, what survives, how all end."""

import ctypes
import errno
import os
import re
import signal
import socket
import stat
import subprocess
import tempfile
import unittest

from control_api import ControlApi
from gateway import BINARY, Gateway, environment, parse_address, read_proc
from raw_client import RawClient, upgrade_request
from waiting import PATIENCE, eventually

ANY = "127.0.0.1:0"


def is_gone(pid):
    """Ended, and waited for or about to be."""
    state = read_proc(pid, "stat").rsplit(")", 1)[-1].split()
    return not state or state[0] in "ZX"


def spread(gateway, api, at_least=3):
    """Clients, so many that each worker holds some."""
    clients = []
    while min(api.connections()) < at_least:
        assert len(clients) < 1000, api.connections()
        clients += [RawClient.open(gateway) for _ in range(8)]
        eventually(lambda: sum(api.connections()) == len(clients), f"{len(clients)} are counted")
    return clients


def is_alive(client):
    """Whether it is still served; a broken one may also tell by its end."""
    try:
        client.check_echo()
        return True
    except (OSError, EOFError, AssertionError):
        return False


def unix_sockets(pid):
    """Duplicates of those that another process has: of its links a stream and a seqpacket socket each, and
    one more seqpacket socket, its line to the master."""
    libc = ctypes.CDLL(None, use_errno=True)
    process = os.pidfd_open(pid)
    for name in os.listdir(f"/proc/{pid}/fd"):
        fd = libc.syscall(438, process, int(name), 0)  # pidfd_getfd
        if fd < 0 and ctypes.get_errno() == errno.EBADF:
            continue  # closed meanwhile
        assert fd >= 0, os.strerror(ctypes.get_errno())
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            os.close(fd)
            continue
        with socket.socket(fileno=fd) as sock:
            if sock.family == socket.AF_UNIX:
                yield sock
    os.close(process)


def say_to_peers(pid, noise):
    """As if the process had said it. Returns to how many."""
    return sum(sock.send(noise) > 0 for sock in unix_sockets(pid) if sock.type == socket.SOCK_STREAM)


def end(clients):
    for client in clients:
        client.reset()


class Replacement(unittest.TestCase):
    def kill(self, gateway, name, number=signal.SIGKILL):
        """Ends a child and waits for the next one of that name."""
        old = gateway.children()[name]
        os.kill(old, number)
        new = eventually(lambda: gateway.children().get(name, old) not in (old, None) and
                         gateway.children()[name], f"{name} is replaced")
        return old, new

    def test_a_killed_worker_is_replaced_and_the_others_clients_notice_nothing(self):
        with Gateway(workers=3, control=ANY) as gateway:
            api = ControlApi(gateway)
            clients = spread(gateway, api)
            lost = api.connections()[1]
            old, new = self.kill(gateway, "worker 1")
            eventually(lambda: api.workers()[1]["state"] == "ready", "the new one serves")
            alive = [client for client in clients if is_alive(client)]
            self.assertEqual(len(alive), len(clients) - lost)
            facts = api.workers()
            self.assertEqual([worker["restarts"] for worker in facts], [0, 1, 0])
            self.assertEqual((facts[1]["pid"], facts[1]["connections"]["current"]), (new, 0))
            self.assertEqual(facts[1]["lastDeath"]["kind"], "signal")
            self.assertEqual(facts[1]["lastDeath"]["detail"], signal.SIGKILL)
            self.assertEqual(len({worker["incarnation"] for worker in facts}), 3)
            self.assertGreater(facts[1]["incarnation"], facts[2]["incarnation"])
            gateway.log.wait(lambda line: f"worker 1 (pid {old}) was killed by signal 9" in line)
            end(clients)
        self.assertEqual(gateway.closed("worker_lost"), lost)

    def test_figures_survive_the_worker_that_counted_them(self):
        with Gateway(workers=2, control=ANY) as gateway:
            api = ControlApi(gateway)
            clients = spread(gateway, api)
            for client in clients:
                client.check_echo()
            eventually(lambda: api.stats()["messages"]["delivered"] == len(clients), "all is delivered")
            before = api.workers()[0]
            self.kill(gateway, "worker 0")
            eventually(lambda: api.workers()[0]["restarts"] == 1, "the death is told")
            after = api.workers()[0]
            for figure in ("created", "peak"):
                self.assertEqual(after["connections"][figure], before["connections"][figure])
            self.assertEqual(after["messages"]["received"], before["messages"]["received"])
            self.assertEqual(after["connections"]["closed"], before["connections"]["created"])
            self.assertEqual(after["connections"]["current"], 0)
            end(clients)

    def test_what_waits_at_a_dead_worker_is_served_by_the_next(self):
        with Gateway(workers=2, control=ANY, config={"health.stall": "60s"}) as gateway:
            api = ControlApi(gateway)
            frozen = gateway.worker(0)
            os.kill(frozen, signal.SIGSTOP)
            clients = [RawClient(gateway) for _ in range(400)]
            for client in clients:
                client.send(upgrade_request())
            served = eventually(lambda: api.connections()[1] > 50 and api.connections()[1],
                                "the living one serves its part")
            os.kill(frozen, signal.SIGKILL)
            self.assertEqual([client.read_response().status for client in clients], [101] * 400)
            self.assertLess(served, 400)
            self.assertEqual(sum(api.connections()), 400)
            end(clients)

    def test_a_worker_that_stands_still_is_killed_and_replaced(self):
        with Gateway(workers=2, control=ANY, config={"health.stall": "400ms"}) as gateway:
            api = ControlApi(gateway)
            frozen = gateway.worker(0)
            os.kill(frozen, signal.SIGSTOP)
            gateway.log.wait(lambda line: f"worker 0 (pid {frozen}) has shown no sign of life" in line)
            eventually(lambda: api.workers()[0]["state"] == "ready" and api.workers()[0]["pid"] != frozen,
                       "another one serves")
            self.assertEqual(api.workers()[0]["lastDeath"]["kind"], "stalled")
            self.assertEqual(api.workers()[1]["restarts"], 0)

    def test_nonsense_between_two_workers_replaces_one_of_them(self):
        with Gateway(workers=2) as gateway:
            speaker, hearer = gateway.worker(0), gateway.worker(1)
            eventually(lambda: say_to_peers(speaker, b"\xee" * 64), "they are linked")
            gateway.log.wait(lambda line: "broken invariant: the link to incarnation" in line)
            gateway.log.wait(lambda line: f"worker 1 (pid {hearer}) was killed by signal 6" in line)
            eventually(lambda: gateway.children().get("worker 1", hearer) != hearer, "it is replaced")
            self.assertEqual(gateway.worker(0), speaker)
            # They are linked again: whoever is on one hears who is on the other.
            clients = [RawClient.open(gateway) for _ in range(24)]
            for client in clients:
                self.assertIn('"type":"ack"', client.request('{"type":"join","group":"g","id":1}'))
            clients[0].text('{"type":"broadcast","group":"g","payload":1}')
            for client in clients[1:]:
                self.assertIn('"payload":1', client.read_text())
            end(clients)

    def test_idle_workers_are_not_taken_for_dead(self):
        with Gateway(workers=2, control=ANY, config={"health.stall": "300ms"}) as gateway:
            api = ControlApi(gateway)
            before = gateway.children()
            eventually(lambda: min(worker["uptime"] for worker in api.workers()) > 1.2, "time passes")
            self.assertEqual(gateway.children(), before)

    def test_one_that_keeps_dying_is_put_off(self):
        with Gateway(workers=2, control=ANY) as gateway:
            api = ControlApi(gateway)
            for _ in range(3):
                pid = eventually(lambda: gateway.children().get("worker 0"), "it is started")
                os.kill(pid, signal.SIGKILL)
                eventually(lambda: gateway.children().get("worker 0") != pid, "it is dead")
            line = gateway.log.wait(lambda line: "worker 0 keeps dying" in line)
            self.assertRegex(line, r"the next start is in 0\.5 s")
            self.assertEqual(api.metrics()['wspool_worker_crash_loops_total{worker="0"}'], 1)
            self.assertEqual(api.workers()[0]["state"], "dead")
            eventually(lambda: api.workers()[0]["state"] == "ready", "it is started again")
            self.assertEqual(api.workers()[1]["restarts"], 0)

    def test_the_control_process_is_replaced_at_its_address(self):
        with Gateway(workers=1, control=ANY) as gateway:
            api = ControlApi(gateway)
            client = RawClient.open(gateway)
            _, new = self.kill(gateway, "control")
            facts = eventually(lambda: api.control()["state"] == "ready" and api.control(), "it serves")
            self.assertEqual((facts["pid"], facts["restarts"]), (new, 1))
            client.check_echo()
            client.finish()

    def test_a_worker_that_is_asked_to_end_drains_and_is_replaced(self):
        with Gateway(workers=1, control=ANY) as gateway:
            client = RawClient.open(gateway)
            os.kill(gateway.worker(), signal.SIGTERM)
            client.expect_close(1012)
            api = ControlApi(gateway)
            facts = eventually(lambda: api.workers()[0]["restarts"] == 1 and api.workers()[0], "replaced")
            self.assertEqual((facts["lastDeath"]["kind"], facts["lastDeath"]["detail"]), ("exited", 0))
            eventually(lambda: api.workers()[0]["state"] == "ready", "the new one serves")
            RawClient.open(gateway).finish()

    def test_workers_at_a_unix_socket_share_what_comes(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "gateway.sock")
            with Gateway(workers=2, control=ANY, listen=f"unix:{path}") as gateway:
                for _ in range(2):
                    client = RawClient.open(gateway)
                    client.check_echo()
                    client.finish()
                    self.kill(gateway, "worker 0")
            self.assertFalse(os.path.exists(path))


class Endings(unittest.TestCase):
    LONG = {"server.drain_time": "1h"}

    def test_workers_end_with_their_master_paced(self):
        gateway = Gateway(workers=2, control=ANY, config={"server.drain_time": "300ms"})
        try:
            children = gateway.children()
            self.assertEqual(sorted(children), ["control", "worker 0", "worker 1"])
            clients = spread(gateway, ControlApi(gateway), 1)
            os.kill(gateway.process.pid, signal.SIGKILL)
            for client in clients:
                client.expect_close(1012)
            for pid in children.values():
                eventually(lambda pid=pid: is_gone(pid), "it ends")
        finally:
            gateway.abandon()

    def test_readiness_turns_before_anything_is_closed(self):
        with Gateway(workers=2, control=ANY, config=self.LONG) as gateway:
            api = ControlApi(gateway)
            self.assertEqual((api.status("/readyz"), api.status("/healthz")), (200, 200))
            first = spread(gateway, api, 2)
            gateway.signal(signal.SIGTERM)
            eventually(lambda: api.status("/readyz") == 503, "it is not ready")
            self.assertEqual(api.status("/healthz"), 200)
            self.assertTrue(api.stats()["draining"])
            gateway.signal(signal.SIGTERM)
            self.assertLessEqual({client.read_close()[0] for client in first}, {1001, 1012})
            end(first)
            self.assertEqual(gateway.wait(), 0)

    def test_newcomers_get_503_from_every_worker_until_the_last_has_drained(self):
        with Gateway(workers=2, control=ANY, config=self.LONG) as gateway:
            api = ControlApi(gateway)
            clients = []
            while max(api.connections()) < 2:  # somebody who stays an hour, so one worker drains on
                clients.append(RawClient.open(gateway))
                eventually(lambda: sum(api.connections()) == len(clients), "it is counted")
            gateway.signal(signal.SIGTERM)
            gateway.wait_draining(2)
            for _ in range(40):
                client = RawClient(gateway)
                client.send(upgrade_request())
                self.assertGreater(int(client.expect_refusal(503).headers["retry-after"]), 0)
            gateway.signal(signal.SIGINT)
            end(clients)
            self.assertEqual(gateway.wait(), 0)
        self.assertEqual(gateway.rejected("draining"), 40)

    def test_a_drain_is_not_held_up_by_a_worker_that_stands_still(self):
        with Gateway(workers=2, config={"health.stall": "400ms"}) as gateway:
            os.kill(gateway.worker(1), signal.SIGSTOP)
            gateway.signal(signal.SIGTERM)
            self.assertEqual(gateway.wait(), 0)

    def test_a_signal_to_all_processes_is_a_drain_like_any_other(self):
        with Gateway(workers=2, control=ANY) as gateway:
            children = gateway.children()
            client = RawClient.open(gateway)
            for pid in (*children.values(), gateway.process.pid):
                os.kill(pid, signal.SIGTERM)
            client.expect_close(1012)
            self.assertEqual(gateway.wait(), 0)
            self.assertTrue(all(is_gone(pid) for pid in children.values()))


class Processes(unittest.TestCase):
    def test_the_ready_line_tells_workers_and_control(self):
        with Gateway(workers=3, control=ANY) as gateway:
            self.assertEqual(gateway.ready["workers"], "3")
            self.assertRegex(gateway.ready["control"], r"^127\.0\.0\.1:[1-9]\d*$")
            self.assertEqual(sorted(gateway.children()), ["control", "worker 0", "worker 1", "worker 2"])
            self.assertEqual(read_proc(gateway.worker(2), "comm"), "wspool/w2\n")

    def test_by_itself_it_takes_one_worker_per_core(self):
        with Gateway(workers=None) as gateway:
            self.assertEqual(gateway.ready["workers"], str(len(os.sched_getaffinity(0))))

    def test_connections_are_spread_over_the_workers(self):
        with Gateway(workers=2, control=ANY) as gateway:
            api = ControlApi(gateway)
            clients = [RawClient.open(gateway) for _ in range(200)]
            eventually(lambda: sum(api.connections()) == 200, "all are counted")
            self.assertGreater(min(api.connections()), 50)
            health = re.compile(r"health workers=2 connections=200 distribution=(\d+),(\d+) deviation=[\d.]+%")
            self.assertTrue(gateway.log.wait(health.search))
            end(clients)

    def test_a_child_holds_nothing_of_its_masters_or_its_siblings(self):
        with Gateway(workers=3, control=ANY) as gateway:
            listeners = listening_inodes(gateway.address[1])
            self.assertEqual(len(listeners), 3)
            control = listening_inodes(parse_address(gateway.ready["control"])[1])
            children = gateway.children()
            held = {name: open_files(pid) for name, pid in children.items()}
            for name, files in held.items():
                mine = [file for file in files if file in listeners]
                self.assertEqual(len(mine), 0 if name == "control" else 1, (name, files))
                self.assertEqual(len([file for file in files if file in control]),
                                 1 if name == "control" else 0, (name, files))
                loops = [file for file in files if "eventpoll" in file or "io_uring" in file]
                self.assertEqual(len(loops), 1, (name, files))
                self.assertEqual(files.count("anon_inode:[signalfd]"), 1, (name, files))
            sockets = [file for files in held.values() for file in files if file.startswith("socket:")]
            self.assertEqual(len(sockets), len(set(sockets)), held)
            self.assertTrue(listeners | control <= set(open_files(gateway.process.pid)))

    def test_deaths_leave_no_descriptor_behind(self):
        with Gateway(workers=2, control=ANY) as gateway:
            api = ControlApi(gateway)

            def count():
                return [len(open_files(pid)) for pid in (gateway.process.pid, gateway.worker(0))]

            eventually(lambda: sum(1 for _ in unix_sockets(gateway.worker(0))) == 5,
                       "it is linked to the other and to the control process")
            before = count()
            for restarts in range(1, 3):
                os.kill(gateway.worker(1), signal.SIGKILL)
                eventually(lambda restarts=restarts: api.workers()[1]["restarts"] == restarts and
                           api.workers()[1]["state"] == "ready", "it is replaced")
            eventually(lambda: count() == before, f"{count()} is {before} again")

    def test_a_single_process_has_no_children(self):
        with Gateway("--single-process", workers=None) as gateway:
            self.assertEqual((gateway.ready["workers"], gateway.ready["control"]), ("1", "off"))
            self.assertEqual(gateway.children(), {})
            client = RawClient.open(gateway)
            client.check_echo()
            client.finish()


class Refusals(unittest.TestCase):
    def refused(self, *arguments, says):
        run = subprocess.run([BINARY, "serve", *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, timeout=PATIENCE, env=environment(), check=False)
        self.assertEqual((run.returncode, run.stdout), (2, ""), run.stderr)
        self.assertIn(says, run.stderr)

    def test_an_address_that_another_gateway_has_is_not_shared_with_it(self):
        with Gateway(workers=2, control=ANY) as gateway:
            for option in ("clients", "control"):
                with self.subTest(option):
                    other = {"clients": ANY, "control": ANY, option: gateway.ready[option]}
                    self.refused("--listen", other["clients"], "--control", other["control"],
                                 says=gateway.ready[option])

    def test_a_control_address_that_others_can_reach(self):
        self.refused("--listen", ANY, "--control", "0.0.0.0:0", says="loopback")

    def test_a_single_process_with_many_workers(self):
        self.refused("--listen", ANY, "--single-process", "--workers", "2", says="single_process")


def listening_inodes(port):
    """The sockets that listen on this port, as /proc/PID/fd names them."""
    found = set()
    with open("/proc/net/tcp", encoding="ascii") as file:
        for line in list(file)[1:]:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].split(":")[1], 16) == port:
                found.add(f"socket:[{fields[9]}]")
    return found


def open_files(pid):
    folder = f"/proc/{pid}/fd"
    return [os.readlink(os.path.join(folder, name)) for name in os.listdir(folder)]


if __name__ == "__main__":
    unittest.main()
