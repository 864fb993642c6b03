"""Kills under load: a gateway with several workers, clients that know every message (chaos_load), and a
hand that kills workers. Prints what it cost, as one JSON object, and ends with 1 when anything was lost.

    kill.py VARIANT [--seed N] [--workers N] [--seconds N] …     docs/testing.md tells of the variants

A variant is a run with its own options; those given on the command line win.
"""

import argparse
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../integration"))
from gateway import BINARY, IO, Gateway, environment  # noqa: E402  (the path comes first)
from waiting import PATIENCE, Deadline, Lines  # noqa: E402

LOAD = os.environ.get("WSPOOL_CHAOS_LOAD",
                      os.path.join(os.path.dirname(BINARY), "test/chaos_load"))
PROBES = 16  # at random ports: that none of them falls to a given one of four workers is one in 100
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: gateway.test\r\n\r\n"
# Between looks at what cannot be waited for: the state of a process that is not our child.
GLANCE = 0.002


class Failed(Exception):
    """What did not happen as it must, in one sentence."""


def process_state(pid):
    """One letter as ps shows it, or None when the process is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return None


def wait_until(is_so, what, seconds=PATIENCE):
    deadline = Deadline(seconds)
    pause = select.poll()  # of nothing: a wait that ends by its time
    while not is_so():
        if deadline.is_over():
            raise Failed(f"{what}: not within {seconds:g} s")
        pause.poll(GLANCE * 1000)


def is_dead(pid):
    return process_state(pid) in (None, "Z", "X")


class Probe:
    """Connections that ask for /healthz and wait for the answer."""

    def __init__(self, address, count):
        self._poll = select.poll()
        self._waiting = {}
        self.lost = 0
        for _ in range(count):
            sock = socket.create_connection(address)
            sock.sendall(REQUEST)
            self._waiting[sock.fileno()] = sock
            self._poll.register(sock, select.POLLIN)

    def waiting(self):
        return len(self._waiting)

    def take_answers(self, seconds):
        """Until all are answered, or nothing comes for so long."""
        while self._waiting:
            ready = self._poll.poll(seconds * 1000)
            if not ready:
                return
            for fd, _ in ready:
                self._poll.unregister(fd)
                sock = self._waiting.pop(fd)
                try:
                    is_answered = sock.recv(64).startswith(b"HTTP/1.1 200")
                except ConnectionError:
                    is_answered = False
                self.lost += not is_answered
                sock.close()


class Load:
    """chaos_load at work."""

    def __init__(self, gateway, deaths, seed, options):
        command = [LOAD, gateway.addresses[0], "--seed", str(seed), "--deaths", deaths]
        if IO == "epoll":
            options = {**options, "epoll": 1}
        for name, value in options.items():
            command += [f"--{name}", str(value)]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env=environment())
        self.output = Lines(self.process.stdout, "the load's output")
        self.log = Lines(self.process.stderr, "the load's log")
        self._seconds = options["seconds"]
        self.log.wait(lambda line: line == "chaos_load: loading", 4 * PATIENCE)
        self.began = time.monotonic()

    def left(self):
        return self._seconds - (time.monotonic() - self.began)

    def result(self):
        """The report; `exit` is the status."""
        try:
            status = self.process.wait(max(0, self.left()) + 12 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.end()
            raise Failed("chaos_load did not come to its end") from None
        self.output.wait_end()
        lines = self.output.all()
        if status not in (0, 1) or not lines:
            raise Failed(f"chaos_load ended with {status}: {self.log.all()[-5:]}")
        return {"exit": status, **json.loads(lines[-1])}

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class Run:
    """One gateway under one load, and what was done to it."""

    def __init__(self, arguments):
        self.arguments = arguments
        self.random = random.Random(arguments.seed)
        self.replaced, self.served = [], []
        self.kills = []  # who, and when
        self.lost_probes = 0
        self._stopped = []
        self._directory = tempfile.TemporaryDirectory(prefix="wspool-chaos-")
        self.deaths = os.path.join(self._directory.name, "deaths")
        with open(self.deaths, "w", encoding="ascii"):
            pass
        self.gateway = Gateway(workers=arguments.workers, config={
            "health.interval": "1s", "server.drain_time": "1s",
            "limits.max_connections_per_worker": 8000, **arguments.config})
        self.load = None

    def start_load(self, **options):
        names = ("groups", "members", "publishers", "offsets", "directs", "size", "window", "rate",
                 "connects", "jitter", "tail", "seconds", "history")
        given = {name: getattr(self.arguments, name) for name in names}
        given["patience"] = int(2 * PATIENCE)
        self.load = Load(self.gateway, self.deaths, self.arguments.seed, {**given, **options})
        return self.load

    def pids(self):
        return {name: pid for name, pid in self.gateway.children().items()
                if name.startswith("worker ")}

    def note_death(self, name, killed_at, stopped_at=None):
        text = f"killed {killed_at}" + (f" stopped {stopped_at}" if stopped_at else "")
        with open(self.deaths, "a", encoding="ascii") as file:
            file.write(text + "\n")
        self.kills.append(f"{name} {text}")

    def pause(self, seconds):
        select.poll().poll(max(0, seconds) * 1000)

    def choose(self):
        wait_until(lambda: len(self.pids()) == self.arguments.workers, "all workers are there")
        return self.random.choice(sorted(self.pids().items()))

    def stop_process(self, pid):
        """Returns when it has stopped: from then on it accepts nobody."""
        self._stopped.append(pid)
        os.kill(pid, signal.SIGSTOP)
        wait_until(lambda: process_state(pid) == "T", f"process {pid} is stopped")
        return time.monotonic_ns()

    def kill(self, is_stopped_first=False):
        """Kills a worker, and sees it replaced: its process, and whoever connects."""
        name, pid = self.choose()
        stopped_at = None
        if is_stopped_first:
            stopped_at = self.stop_process(pid)
            self.pause(0.03)  # for clients to come into its queue
        killed_at = time.monotonic_ns()
        self.note_death(name, killed_at, stopped_at)
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: is_dead(pid), f"{name} is dead")
        probe = Probe(self.gateway.address, PROBES)
        wait_until(lambda: self.pids().get(name, pid) != pid, f"{name} is replaced")
        self.replaced.append((time.monotonic_ns() - killed_at) / 1e6)
        probe.take_answers(PATIENCE)
        self.served.append((time.monotonic_ns() - killed_at) / 1e6)
        self.lost_probes += probe.lost + probe.waiting()

    def freeze(self):
        """Stops a worker, which then must be found, killed and replaced by the master."""
        name, pid = self.choose()
        stopped_at = self.stop_process(pid)
        wait_until(lambda: is_dead(pid), f"{name} was stopped, and is killed", 3 * PATIENCE)
        # It was dead before this was seen.
        self.note_death(name, time.monotonic_ns() - 500_000_000, stopped_at)
        killed_at = time.monotonic_ns()
        wait_until(lambda: self.pids().get(name, pid) != pid, f"{name} is replaced")
        self.replaced.append((time.monotonic_ns() - killed_at) / 1e6)
        return (killed_at - stopped_at) / 1e9

    def finish(self, **more):
        """The load's report with what was done, and the gateway stopped."""
        report = self.load.result()
        self.gateway.signal(signal.SIGTERM)
        status = self.gateway.wait(2 * PATIENCE)
        violations = dict(report["violations"])
        if self.lost_probes:
            violations["lost_in_queue"] = violations.get("lost_in_queue", 0) + self.lost_probes
        if status != 0:
            violations["exit"] = 1
        # Each member that came back with a position was told what became of it.
        untold = report["returned"] - sum(report[name] for name in (
            "recovered", "told_not_recovered", "returned_no_member", "returned_without_since"))
        if untold:
            violations["untold"] = abs(untold)
        return {**report, "violations": violations, "kills": len(self.kills),
                "replaced_ms": percentiles(self.replaced), "served_ms": percentiles(self.served),
                **more}

    def close(self):
        if self.load:
            self.load.end()
        # Whoever is stopped cannot end by itself.
        for pid in self._stopped:
            if process_state(pid) == "T":
                os.kill(pid, signal.SIGKILL)
        if self.gateway.process.poll() is None:
            self.gateway.abandon()
        self._directory.cleanup()


def percentiles(values):
    if not values:
        return {}
    ordered = sorted(values)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {"count": len(ordered)} | {
        name: round(ordered[min(len(ordered) - 1, int(part * len(ordered)))], 1)
        for name, part in at.items()}


# ---- variants

def kill(run):
    """A random worker is killed every --every seconds; every second time it is stopped before."""
    run.start_load()
    return kill_on(run)


def kill_on(run, **more):
    while run.load.left() > run.arguments.every + 1:
        next_at = time.monotonic() + run.arguments.every
        run.kill(is_stopped_first=len(run.kills) % 2 == 1)
        run.pause(next_at - time.monotonic())
    if run.load.process.poll() is None:
        run.pause(run.load.left())
    return run.finish(**more)


def long(run):
    """The same at half of the most that this gateway carries."""
    load = run.start_load(rate=0, seconds=5)
    best = load.result()
    if best["exit"] != 0:
        return {**best, "when": "measuring the maximum"}
    most = best["published_per_second"]
    run.start_load(rate=max(1, int(most / 2)))
    return kill_on(run, maximum_per_second=most, maximum_delivered=best["delivered_per_second"])


def freeze(run):
    """A worker is stopped under load: it must be found by its heartbeat, killed and replaced."""
    run.start_load()
    stalls = []
    while run.load.left() > run.arguments.stall + 2:
        stalls.append(run.freeze())
        run.pause(1)
    return run.finish(stall_s=percentiles(stalls))


def returning(run):
    """One worker dies with its share of many clients, and these come back with `since`."""
    run.start_load()
    run.pause(min(2.0, run.load.left() / 3))
    run.kill()
    return run.finish()


def queue(run):
    """Clients in the accept queue of a worker that dies are served by its replacement."""
    run.start_load()
    name, pid = run.choose()
    stopped_at = run.stop_process(pid)
    probe = Probe(run.gateway.address, run.arguments.queued * run.arguments.workers)
    probe.take_answers(0.5)
    queued = probe.waiting()
    killed_at = time.monotonic_ns()
    run.note_death(name, killed_at, stopped_at)
    os.kill(pid, signal.SIGKILL)
    probe.take_answers(PATIENCE)
    run.served.append((time.monotonic_ns() - killed_at) / 1e6)
    run.lost_probes += probe.lost + probe.waiting()
    return run.finish(queued=queued)


def master(run):
    """The master is killed: its workers drain, tell their clients, and end."""
    load = run.start_load(drains=1)
    run.pause(1.0)
    pids = run.gateway.children()
    os.kill(run.gateway.process.pid, signal.SIGKILL)
    killed_at = time.monotonic()
    run.gateway.process.wait(PATIENCE)
    report = load.result()
    for name, pid in pids.items():
        wait_until(lambda pid=pid: is_dead(pid), f"{name} ended after its master")
    report["ended_s"] = round(time.monotonic() - killed_at, 2)
    if report["drained"] < report["clients"]:
        report["violations"]["drain"] = report["clients"] - report["drained"]
    return report


VARIANTS = {
    kill: {},
    long: {"seconds": 62, "replaced_max_ms": 200},
    freeze: {"seconds": 13, "tail": 8000},
    returning: {"seconds": 6, "members": 4000, "groups": 40, "publishers": 1, "offsets": 100,
                "rate": 200, "directs": 0, "jitter": 500},
    queue: {"seconds": 4, "rate": 300},
    master: {"seconds": 30, "rate": 500},
}
DEFAULTS = {"workers": 4, "seconds": 11, "every": 2.0, "groups": 8, "members": 64, "publishers": 2,
            "offsets": 50, "directs": 10, "size": 64, "window": 16, "rate": 1000, "connects": 20,
            "jitter": 250, "tail": 1000, "history": 100, "queued": 400, "stall": 3.0,
            "replaced_max_ms": 0}


def parse(words):
    variants = {variant.__name__: variant for variant in VARIANTS}
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("variant", choices=variants)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    for name, value in DEFAULTS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=None)
    arguments = parser.parse_args(words)
    variant = variants[arguments.variant]
    for name, value in {**DEFAULTS, **VARIANTS[variant]}.items():
        if getattr(arguments, name) is None:
            setattr(arguments, name, value)
    arguments.config = {"health.stall": f"{int(arguments.stall * 1000)}ms"}
    return variant, arguments


def judge(report, arguments):
    """Sentences on what is wrong; none is well."""
    wrong = [f"{count} × {kind}" for kind, count in report["violations"].items()]
    limit = arguments.replaced_max_ms
    if limit and report.get("served_ms", {}).get("p99", 0) >= limit:
        wrong.append(f"replacements took {report['served_ms']['p99']} ms at p99, not {limit}")
    return wrong + report["sentences"]


def main(words):
    variant, arguments = parse(words)
    run = Run(arguments)
    try:
        report = variant(run)
    except (Failed, AssertionError) as failure:
        print(f"kill.py {arguments.variant} --seed {arguments.seed}: {failure}", file=sys.stderr)
        print("\n".join(run.gateway.log.all()[-30:]), file=sys.stderr)
        return 1
    finally:
        run.close()
    wrong = judge(report, arguments)
    print(json.dumps({"variant": arguments.variant, **report}, indent=1))
    if wrong:  # who looks for the cause needs both, and gets them only now
        print("\n".join(run.gateway.log.all() + run.load.log.all() + run.kills), file=sys.stderr)
    for sentence in wrong:
        print(f"kill.py {arguments.variant} --seed {arguments.seed}: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
