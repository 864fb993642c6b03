#!/usr/bin/env python3
"""What a hop between workers adds to a message at low load: one publisher, one member, one message at a
time, with a pause between them, so that every process sleeps when it comes.

    hop.py --wspool PROGRAM [--rounds N] [--samples N] [--json FILE]

The publisher is on worker A. The member is on A as well, or on B; the group is homed on A, B or C. All
ways are measured in turn, round after round; what is told is the median of the rounds' medians, and of
their differences from the way within one worker, with the least and the greatest round. The client's own
time is in all of them alike, and falls out of the differences.

All of it runs twice: on one processor, which is awake when the message comes (what a hop itself adds), and
free to use all, where a hop may wake one that sleeps (on a virtual machine that alone takes a hundred
microseconds and more, whoever sends). The limit is for both.
"""

import argparse
import json
import os
import statistics
import sys
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "test/integration"))
WORKERS = 3
# Between messages: long against a message's way, so that nothing waits in a batch.
PAUSE = 0.001
# The most that a hop may add (docs/testing.md).
LIMIT_US = 100
ATTEMPTS = 400


class Client:
    """A connection, and the worker that serves it."""

    def __init__(self, gateway, api, raw_client):
        before = opened(api)
        self.raw = raw_client.open(gateway)
        after = opened(api)
        while after == before:
            after = opened(api)
        self.worker = next(worker for worker in after if after[worker] != before.get(worker, 0))

    def say(self, **fields):
        self.raw.text(json.dumps(fields, separators=(",", ":")))

    def ask(self, **fields):
        self.say(**fields)
        return json.loads(self.raw.read_text())


def by_worker(api, name):
    start = name + '{worker="'
    return {key[len(start):-2]: value for key, value in api.metrics().items()
            if key.startswith(start)}


def opened(api):
    return by_worker(api, "wspool_connections_opened_total")


def homes_of(api, member, wanted):
    """Groups that `member` has joined, by home, one for each of `wanted`."""
    found = {}
    for number in range(ATTEMPTS):
        if set(wanted) <= set(found):
            return found
        before = by_worker(api, "wspool_exchange_groups_homed")
        group = f"hop {member.worker} {number}"
        member.ask(type="join", group=group, id="j")
        after = before
        while after == before:
            after = by_worker(api, "wspool_exchange_groups_homed")
        home = next(worker for worker in after if after[worker] != before[worker])
        if home in found:
            member.ask(type="leave", group=group, id="l")
        else:
            found[home] = group
    raise SystemExit("hop: no group was homed where it is wanted")


def measure(publisher, member, group, samples):
    """Microseconds from a broadcast to its delivery."""
    text = json.dumps({"type": "broadcast", "group": group, "payload": "x" * 64},
                      separators=(",", ":"))
    taken = []
    for _ in range(samples):
        time.sleep(PAUSE)
        start = time.perf_counter_ns()
        publisher.raw.text(text)
        member.raw.read_message()
        taken.append((time.perf_counter_ns() - start) / 1000)
    return statistics.median(taken)


def ways_of(gateway, api, raw_client):
    """(name, publisher, member, group) of each way; the first is that without a hop."""
    clients = {}
    for _ in range(ATTEMPTS):
        client = Client(gateway, api, raw_client)
        clients.setdefault(client.worker, []).append(client)
        if len(clients) == WORKERS and max(map(len, clients.values())) > 1:
            break
    a = max(clients, key=lambda worker: len(clients[worker]))
    b, c = (worker for worker in clients if worker != a)
    publisher, near, far = clients[a][0], clients[a][1], clients[b][0]
    near_homes, far_homes = homes_of(api, near, [a]), homes_of(api, far, [a, b, c])
    return [("one worker", publisher, near, near_homes[a]),
            ("to the member's worker, home at the publisher's", publisher, far, far_homes[a]),
            ("to the member's worker, home there", publisher, far, far_homes[b]),
            ("by a third worker, the home", publisher, far, far_homes[c])]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--wspool", required=True)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--samples", type=int, default=200)
    parser.add_argument("--json")
    args = parser.parse_args()
    os.environ["WSPOOL_BINARY"] = args.wspool
    os.environ.setdefault("WSPOOL_TEST_IO", "auto")
    from control_api import ControlApi  # pylint: disable=import-outside-toplevel
    from gateway import Gateway  # pylint: disable=import-outside-toplevel
    from raw_client import RawClient  # pylint: disable=import-outside-toplevel

    def run(title):
        report = measure_all(args, Gateway, ControlApi, RawClient)
        print(title)
        print(f"{'way':<50} {'p50 µs':>8} {'added µs':>9}")
        for row in report:
            print(f"{row['way']:<50} {row['p50_us']:>8.1f} {row['added_us']:>9.1f}"
                  f"  [{row['least']:.1f} … {row['greatest']:.1f}]")
        return report

    everything = os.sched_getaffinity(0)
    free = run("on all processors")
    os.sched_setaffinity(0, {min(everything)})  # the gateway inherits it
    pinned = run("on one processor")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"free": free, "pinned": pinned}, file, indent=1)
    # The last way has two hops.
    def keeps_limit(report):
        return max(row["added_us"] for row in report[1:3]) <= LIMIT_US and report[3]["added_us"] <= 2 * LIMIT_US

    for title, report in (("on all processors", free), ("on one processor", pinned)):
        print(f"{title}: {'within' if keeps_limit(report) else 'beyond'} {LIMIT_US} µs a hop")
    return 0 if keeps_limit(free) and keeps_limit(pinned) else 1


def measure_all(args, Gateway, ControlApi, RawClient):  # pylint: disable=invalid-name
    rounds = []
    with Gateway(workers=WORKERS, control="127.0.0.1:0") as gateway:
        ways = ways_of(gateway, ControlApi(gateway), RawClient)
        for number in range(args.rounds + 1):
            order = ways if number % 2 else list(reversed(ways))
            medians = {way[0]: measure(*way[1:], args.samples) for way in order}
            if number > 0:  # the first one warms up
                rounds.append(medians)
    report = []
    for name, *_ in ways:
        added = [medians[name] - medians["one worker"] for medians in rounds]
        report.append({"way": name, "p50_us": statistics.median(m[name] for m in rounds),
                       "added_us": statistics.median(added), "least": min(added),
                       "greatest": max(added)})
    return report


if __name__ == "__main__":
    sys.exit(main())
