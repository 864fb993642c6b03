#!/usr/bin/env python3
"""Measures wspool beside its peers and writes docs/performance.md (bench/run builds and installs first).

Every row starts its servers on one core and loads them in turn from another, round after round, each
second round in the opposite order. What is compared is the server's CPU time per message; a ratio is the
median over the rounds of the ratios within each round.
"""

import argparse
import datetime
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time

import report
from rows import ARTICLE, BUN, FOLDER, ROWS, SERVERS

ROOT = os.path.dirname(FOLDER)


class Failure(Exception):
    """A server or a load that did not work; the sentence says what."""


class Running:
    """A server that runs on the server's core until stop()."""

    def __init__(self, server, row, places, core):
        self.log = tempfile.TemporaryFile()
        words = server.arguments(row, places)
        try:
            self.process = subprocess.Popen(
                words,
                stdout=subprocess.PIPE,
                stderr=self.log,
                text=True,
                env={**os.environ, **server.environment(row)},
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )
        except OSError as error:
            raise Failure(f"{words[0]} cannot be started: {error.strerror}") from error
        watchdog = signal.alarm(20)
        try:
            self.pid, self.port, self.version = self.wait_ready()
        except Failure:
            self.stop()
            raise
        finally:
            signal.alarm(watchdog)

    def wait_ready(self):
        try:
            for line in self.process.stdout:
                if "ready " not in line:
                    continue
                said = dict(word.split("=", 1) for word in line.split() if "=" in word)
                port = said.get("port") or said["clients"].rsplit(":", 1)[1]
                return int(said["pid"]), int(port), said.get("version", "")
        except TimeoutError:
            raise Failure(f"no ready line in 20 s; {self.complaint()}") from None
        raise Failure(f"it ended before it was ready; {self.complaint()}")

    def complaint(self):
        self.log.seek(0)
        lines = self.log.read().decode(errors="replace").strip().splitlines()
        return f"it said: {lines[-1]}" if lines else "it said nothing"

    def pids(self):
        """The server and all processes below it, with commas."""
        children = {}
        for name in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(name))
        found = [self.pid]
        for pid in found:
            found += children.get(pid, [])
        return ",".join(map(str, found))

    def stop(self):
        # Nothing is owed to anyone here: a paced drain would only cost time.
        for sign in (signal.SIGTERM, signal.SIGKILL):
            self.process.send_signal(sign)
            try:
                self.process.wait(1)
                break
            except subprocess.TimeoutExpired:
                continue
        self.process.stdout.close()
        self.log.close()


class Comparison:
    def __init__(self, options):
        self.options = options
        cores = sorted(os.sched_getaffinity(0))
        self.load_core, self.server_core = cores[0], cores[-1]
        if len(cores) == 1:
            say("only one core may be used: load and server share it, and no figure is worth much")
        self.places = {"programs": options.programs, "wspool": options.wspool}
        self.versions = {}
        self.left_out = {}
        self.failures = []
        self.steps_done = 0
        rows = [row for row in ROWS if not options.rows or row.key in options.rows]
        self.rows = rows
        self.steps = sum(len(row.servers) * self.rounds_of(row) for row in rows)

    def run(self):
        self.find_absent()
        busy, own, started = busy_seconds(self.cores()), own_seconds(), time.monotonic()
        results = {row.key: self.run_row(row) for row in self.rows}
        elapsed = time.monotonic() - started
        other = busy_seconds(self.cores()) - busy - (own_seconds() - own)
        return {
            "machine": machine(),
            "commit": commit(),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "versions": {**self.versions, **tool_versions(self.options.wspool)},
            "rounds": self.options.rounds,
            "seconds": self.options.seconds,
            "elapsed_seconds": round(elapsed),
            "other_work": max(0, round(other / elapsed / len(set(self.cores())), 3)),
            "left_out": self.left_out,
            "results": results,
        }

    def rounds_of(self, row):
        # Memory is counted, not timed: rounds differ by a few bytes.
        return 1 if row.mode == "idle" and self.options.quick else self.options.rounds

    def cores(self):
        return self.load_core, self.server_core

    def find_absent(self):
        absent = {}
        if not os.environ.get(ARTICLE):
            absent["article"] = f"its listing is not part of this project, and {ARTICLE} names no article"
        if not os.path.exists(BUN):
            absent["bun"] = "npm has no build of it for this machine"
        if not os.path.exists(self.options.wspool):
            for key in filter(lambda key: key.startswith("wspool"), SERVERS):
                absent[key] = f"{self.options.wspool} is not built"
        taking_part = {key for row in self.rows for key in row.servers}
        for key, reason in absent.items():
            if key in taking_part:
                self.left_out[key] = reason
                say(f"left out: {SERVERS[key].label}: {reason}")

    def run_row(self, row):
        say(f"{row.key}: {row.title}")
        running = {}
        results = {}
        try:
            if row.mode != "idle":
                for key in row.servers:
                    self.start(key, row, running)
            for number in range(self.rounds_of(row)):
                order = row.servers if number % 2 == 0 else row.servers[::-1]
                for key in order:
                    self.steps_done += 1
                    if key in self.left_out or (row.mode != "idle" and key not in running):
                        continue
                    measured = self.measure(key, row, running, number)
                    if measured is not None:
                        results.setdefault(key, {})[str(number)] = measured
        finally:
            for server in running.values():
                server.stop()
        print(report.row_text(row, results), flush=True)
        return results

    def start(self, key, row, running):
        if key in self.left_out:
            return
        try:
            running[key] = Running(SERVERS[key], row, self.places, self.server_core)
            self.versions[key] = running[key].version
        except Failure as failure:
            self.complain(row, key, failure)

    def measure(self, key, row, running, number):
        try:
            if row.mode == "idle":
                self.start(key, row, running)
            measured = self.load(SERVERS[key], row, running[key])
        except (Failure, KeyError) as failure:
            if isinstance(failure, Failure):
                self.complain(row, key, failure)
            return None
        finally:
            if row.mode == "idle" and key in running:
                running.pop(key).stop()
        figure = measured.get("cpu_us", measured.get("bytes"))
        percent = 100 * self.steps_done // self.steps
        say(f"[{percent:3} %] {row.key} round {number + 1} {SERVERS[key].label}: {figure:.4g} {row.unit}")
        return measured

    def load(self, server, row, running):
        words = [os.path.join(self.options.programs, "bench_load"), "--mode", row.mode]
        words += ["--port", str(running.port), "--pids", running.pids()]
        words += ["--connections", str(row.connections), "--size", str(row.size)]
        words += ["--in-flight", str(row.in_flight), "--seconds", str(self.options.seconds)]
        words += ["--warmup", str(self.options.warmup), "--settle", str(self.options.settle)]
        if row.mode == "connect":
            words += ["--warm-connections", "2000"]
        words += server.load_arguments(row)
        done = subprocess.run(
            words,
            capture_output=True,
            text=True,
            check=False,
            preexec_fn=lambda: os.sched_setaffinity(0, {self.load_core}),
        )
        if done.returncode != 0:
            raise Failure(f"the load ended with: {done.stderr.strip()}; {running.complaint()}")
        return json.loads(done.stdout)

    def complain(self, row, key, failure):
        sentence = f"{row.key}, {SERVERS[key].label}: {failure}"
        self.failures.append(sentence)
        say(sentence)


def say(text):
    print(text, file=sys.stderr, flush=True)


def busy_seconds(cores):
    """What the cores have worked since the machine started, whoever for."""
    total = 0
    with open("/proc/stat", encoding="utf-8") as file:
        for line in file:
            name, *ticks = line.split()
            if name in {f"cpu{core}" for core in cores}:
                user, nice, system, _, _, irq, softirq, steal = map(int, ticks[:8])
                total += user + nice + system + irq + softirq + steal
    return total / os.sysconf("SC_CLK_TCK")


def own_seconds():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def machine():
    model = "unknown"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "kernel": f"Linux {platform.release()}",
        "system": platform.freedesktop_os_release().get("PRETTY_NAME", "unknown"),
    }


def first_line(*words):
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
        return done.stdout.strip().splitlines()[0] if done.stdout.strip() else ""
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def commit():
    changed = first_line("git", "status", "--porcelain", "--untracked-files=no", "--", "src")
    return first_line("git", "rev-parse", "--short=12", "HEAD") + (" with changes in src/" if changed else "")


def tool_versions(wspool):
    return {
        "wspool": first_line(wspool, "--version"),
        "compiler": first_line("c++", "--version"),
        "liburing": first_line("pkg-config", "--modversion", "liburing"),
    }


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    keys = [row.key for row in ROWS]
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"only these: {', '.join(keys)}")
    parser.add_argument("--quick", action="store_true", help="3 short rounds: a look, not a measurement")
    parser.add_argument("--rounds", type=int, help="5 unless said otherwise")
    parser.add_argument("--seconds", type=float, help="of each measurement; 1.5 unless said otherwise")
    parser.add_argument("--programs", default=os.path.join(ROOT, "build/release/bench"))
    parser.add_argument("--wspool", default=os.path.join(ROOT, "build/release/wspool"))
    parser.add_argument("--out", help="folder of the report; docs for a whole run, else build/performance")
    options = parser.parse_args()
    for row in options.rows:
        if row not in keys:
            parser.error(f"there is no row {row}; there are {', '.join(keys)}")
    options.programs, options.wspool = map(os.path.abspath, (options.programs, options.wspool))
    if options.rounds is not None and options.rounds < 1:
        parser.error("--rounds wants at least 1")
    is_whole = not options.quick and not options.rows and (options.rounds or 5) >= 5
    options.rounds = options.rounds or (3 if options.quick else 5)
    seconds, options.warmup, options.settle = (0.5, 0.2, 0.5) if options.quick else (1.5, 0.4, 1)
    options.seconds = options.seconds or seconds
    if options.seconds <= 0:
        parser.error("--seconds wants more than 0")
    options.out = options.out or os.path.join(ROOT, "docs" if is_whole else "build/performance")
    return options


def on_alarm(_number, _frame):
    raise TimeoutError


def on_terminate(_number, _frame):
    raise KeyboardInterrupt


def main():
    options = parse_options()
    signal.signal(signal.SIGALRM, on_alarm)
    signal.signal(signal.SIGTERM, on_terminate)
    comparison = Comparison(options)
    try:
        measured = comparison.run()
    except KeyboardInterrupt:
        say("stopped; nothing was written")
        return 130
    os.makedirs(options.out, exist_ok=True)
    report.write(measured, options.out)
    print(report.limits_text(measured))
    say(f"written: {os.path.relpath(options.out, ROOT)}/performance.md, .json and .svg"
        f" ({measured['elapsed_seconds']} s)")
    if measured["other_work"] > report.QUIET_MAX:
        say(report.NOISY.format(measured["other_work"]))
    for sentence in comparison.failures:
        say(f"failed: {sentence}")
    return 1 if comparison.failures else 0


if __name__ == "__main__":
    sys.exit(main())
