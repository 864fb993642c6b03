#!/usr/bin/env python3
"""What a second worker costs: CPU of all workers for each delivery, with one worker and with two that
share the members of one group, round by round in turn.

    workers.py --wspool PROGRAM [--rounds N] [--seconds S] [--json FILE]

The gateway has one processor to itself and the load another, so that nothing is gained or lost by the
workers running at the same time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
sys.path.insert(0, os.path.join(ROOT, "test/integration"))
MEMBERS = 1000
IN_FLIGHT = (1, 16)
# The most that two workers may take of what one does (docs/testing.md).
LIMIT = 1.10


def measure(gateway, args, processor, in_flight):
    """Microseconds of CPU for each delivery."""
    command = [args.wspool, "bench", "fanout", gateway.url("/"), "--members", str(MEMBERS), "--warmup", "500ms",
               "--duration", f"{int(args.seconds * 1000)}ms", "--in-flight", str(in_flight), "--json"]
    for pid in [gateway.process.pid, *gateway.children().values()]:
        command += ["--server-pid", str(pid)]
    done = subprocess.run(["taskset", "-c", str(processor), *command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"workers: {done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])["server_cpu_us_per_delivery"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--wspool", required=True)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--json")
    args = parser.parse_args()
    os.environ["WSPOOL_BINARY"] = args.wspool
    os.environ.setdefault("WSPOOL_TEST_IO", "auto")
    from gateway import Gateway  # pylint: disable=import-outside-toplevel

    processors = sorted(os.sched_getaffinity(0))
    if len(processors) < 2:
        raise SystemExit("workers: the gateway and the load need a processor each")
    os.sched_setaffinity(0, {processors[0]})  # the gateways inherit it
    report = []
    with Gateway(workers=1) as one, Gateway(workers=2) as two:
        for in_flight in IN_FLIGHT:
            rounds = []
            for number in range(args.rounds):
                pair = [one, two] if number % 2 else [two, one]
                taken = {gateway: measure(gateway, args, processors[1], in_flight) for gateway in pair}
                rounds.append((taken[one], taken[two]))
            ratios = [with_two / with_one for with_one, with_two in rounds]
            report.append({"in_flight": in_flight, "ratio": statistics.median(ratios),
                           "least": min(ratios), "greatest": max(ratios),
                           "one_us": statistics.median(pair[0] for pair in rounds),
                           "two_us": statistics.median(pair[1] for pair in rounds)})
    print(f"{'in flight':<10} {'one worker':>12} {'two workers':>12} {'two ÷ one':>10}")
    for row in report:
        print(f"{row['in_flight']:<10} {row['one_us']:>9.3f} µs {row['two_us']:>9.3f} µs {row['ratio']:>10.3f}"
              f"  [{row['least']:.3f} … {row['greatest']:.3f}]")
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=1)
    keeps_limit = all(row["ratio"] <= LIMIT for row in report)
    print(f"{'within' if keeps_limit else 'beyond'} {LIMIT:.2f}")
    return 0 if keeps_limit else 1


if __name__ == "__main__":
    sys.exit(main())
