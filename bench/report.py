#!/usr/bin/env python3
"""Turns what compare.py measured into docs/performance.md, .json and .svg.

    bench/report.py docs/performance.json     writes page and chart anew from the figures
"""

import json
import os
import sys
from statistics import median

import chart
from rows import LIMITS, OURS, ROWS, SERVERS

# Beyond this share of the cores, other programs decide who is measured in a quiet moment.
QUIET_MAX = 0.05
NOISY = "other programs used {:.0%} of the cores meanwhile: these ratios show that it works, not how well."


def figure_of(measured):
    return measured.get("cpu_us", measured.get("bytes"))


def figures(results, key):
    return [figure_of(measured) for measured in results.get(key, {}).values()]


def ratios(results, ours, theirs):
    """Per round: nothing is compared across rounds."""
    left, right = results.get(ours, {}), results.get(theirs, {})
    return [figure_of(left[number]) / figure_of(right[number]) for number in left if number in right]


def number(value):
    """Three digits that count, without an exponent."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if value >= 1 else f"{value:.3f}"


def middle(results, key, name):
    values = [measured[name] for measured in results.get(key, {}).values() if name in measured]
    return number(median(values)) if values else ""


def table(head, lines, right_from=1):
    rule = ["---" if i < right_from else "---:" for i in range(len(head))]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *lines]) + "\n"


def row_table(row, results):
    head = ["server", "B" if row.unit == "B" else "CPU µs"]
    if row.mode != "idle":
        head.append("per second")
    exchanges = row.mode in ("echo", "fanout")
    if exchanges:
        head += ["p50 µs", "p99 µs", "p99.9 µs", "server busy", "load busy"]
    lines = []
    for key in row.servers:
        if key not in results:
            continue
        cells = [SERVERS[key].label, number(median(figures(results, key)))]
        if row.mode != "idle":
            cells.append(middle(results, key, "per_second"))
        if exchanges:
            cells += [middle(results, key, name) for name in ("p50_us", "p99_us", "p999_us")]
            cells += [f"{median(m[name] for m in results[key].values()):.0%}"
                      for name in ("server_busy", "load_busy")]
        lines.append(cells)
    return table(head, lines)


def ratio_table(row, results):
    ours = [key for key in row.servers if key in OURS and key in results]
    lines = []
    for theirs in row.servers:
        if theirs in OURS or theirs not in results:
            continue
        cells = [SERVERS[theirs].label]
        for key in ours:
            found = ratios(results, key, theirs)
            cells.append(f"**{median(found):.3f}** ({min(found):.3f}–{max(found):.3f})" if found else "")
        lines.append(cells)
    if not ours or not lines:
        return ""
    return table(["÷"] + [SERVERS[key].label for key in ours], lines)


def row_text(row, results):
    return f"\n{row.title}\n{row_table(row, results)}{ratio_table(row, results)}"


def verdict(value, limit):
    if limit is None:
        return ""
    return f"≤ {limit:g} {'reached' if value <= limit else '**missed**'}"


def limit_lines(measured):
    titles = {row.key: row.title for row in ROWS}
    lines = []
    for limit in LIMITS:
        results = measured["results"].get(limit.row, {})
        if limit.theirs is None:
            values = figures(results, limit.ours)
            against, unit = "", " B"
        else:
            values = ratios(results, limit.ours, limit.theirs)
            against, unit = f" ÷ {SERVERS[limit.theirs].label}", ""
        work = [titles[limit.row], SERVERS[limit.ours].label + against]
        if not values:
            lines.append(work + ["not measured", "", ""])
            continue
        value = median(values)
        shown = f"{value:.0f}" if unit else f"{value:.3f}"
        lines.append(work + [shown + unit, verdict(value, limit.accepted), verdict(value, limit.aim)])
    return lines


def limits_text(measured):
    lines = [line for line in limit_lines(measured) if line[2] != "not measured"]
    return table(["work", "figure", "measured", "limit", "aim"], lines, right_from=2)


METHOD = """\
* **The figure** is the server's CPU time (user and system, every thread and process of it, nanosecond clock) ÷
  messages: echoes, deliveries to a member, or accepted connections. It means something on a machine that is
  not quiet, where throughput and latency do not: those are reported, never judged.
* **Ratios are paired**: the servers of a row are loaded in turn, every second round in the opposite order, and
  only figures of one round are divided by one another. The table gives the median of the rounds, and in
  brackets the least and the greatest.
* **Places**: loopback; the server on one core, the load on another. A server has one worker.
* **One load generator** for all (`bench/load`): messages are encoded beforehand, the messages in flight of a
  connection leave in one write, the answers are counted by their bytes, and the first ones are compared with
  what they must be. "16 in flight": 16 are written, all 16 answers awaited, then the next 16.
* **Members acknowledge alike.** Who joined by a message of its own delays its acknowledgements (TCP's interactive
  mode), and on loopback the kernel then sends and handles them on the server's core: 6–8 % of a fan-out, and
  only for servers that members speak to. The members of every wire are therefore put in one state
  (`TCP_QUICKACK`, once, after they joined).
* **The raw peers** speak no WebSocket. They move as many bytes as the others and parse nothing: they are the
  limit. *epoll* is the plain way (epoll, recv, send at once); *io_uring* uses the loop that wspool uses
  (poll, recv, one batch of sends with the wait), written separately in `bench/`.
* **Wait 50 µs** is the setting `server.batch_wait`: under load a worker waits so long for more work per system
  call. It saves CPU and costs latency, so both settings are measured.
* **Peers** are what Debian and npm offer, as they come: Bun's server is uWebSockets inside; npm `ws` without its
  optional native add-ons; Beast asynchronous on one thread. uWebSockets by itself and Centrifugo are offered
  by neither and are not guessed at; nchan echoes nothing.
* **The article's server** is run on Node from its own listing, unchanged.
"""


def versions_table(measured):
    versions, machine = measured["versions"], measured["machine"]
    seen, lines = set(), []
    for key, version in versions.items():
        if key in SERVERS and (not version or key.startswith(("raw-", "wspool"))):
            continue
        label = {"ws": "npm ws / Node", "beast": "Boost (Beast)", "article": "the article's server on"}.get(
            key, SERVERS[key].label if key in SERVERS else key)
        if label not in seen:
            seen.add(label)
            lines.append([label, version])
    lines += [["CPU", f"{machine['cpu']}, {machine['cores']} cores"], ["kernel", machine["kernel"]],
              ["system", machine["system"]]]
    return table(["", ""], lines, right_from=2)


def page(measured):
    parts = [
        "# Performance\n",
        "Written by `./dev bench`; the figures lie in `docs/performance.json`. Do not edit.\n",
        f"Measured {measured['date']} at commit {measured['commit']}: {measured['rounds']} rounds of"
        f" {measured['seconds']:g} s each, {measured['elapsed_seconds'] / 60:.0f} minutes in all; other"
        f" programs used {measured['other_work']:.0%} of the cores.\n",
        "**Not to be relied on**: " + NOISY.format(measured["other_work"]) + "\n"
        if measured["other_work"] > QUIET_MAX
        else "",
        "![wspool beside its peers](performance.svg)\n",
        "## Limits\n",
        "`ours ÷ theirs`, less is better. The limit is what is accepted now, the aim what is worked towards.\n",
        table(["work", "figure", "measured", "limit", "aim"], limit_lines(measured), right_from=2),
        "## Method\n",
        METHOD,
        "## Machine and versions\n",
        versions_table(measured),
    ]
    for key, reason in measured["left_out"].items():
        parts.append(f"Left out: {SERVERS[key].label}: {reason}.\n")
    for row in ROWS:
        results = measured["results"].get(row.key)
        if not results:
            continue
        parts.append(f"## {row.title}\n")
        parts.append((row.note + "\n") if row.note else f"{row.connections} connections.\n")
        parts += [row_table(row, results), ratio_table(row, results)]
    return "\n".join(part for part in parts if part)


def write(measured, folder):
    contents = {
        "performance.json": json.dumps(measured, indent=1, ensure_ascii=False) + "\n",
        "performance.md": page(measured),
        "performance.svg": chart.draw(measured),
    }
    for name, text in contents.items():
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], encoding="utf-8") as source:
        write(json.load(source), os.path.dirname(os.path.abspath(sys.argv[1])))
