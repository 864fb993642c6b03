"""Draws the chart of docs/performance.md and the README: CPU per message beside that of raw TCP."""

from statistics import median

PANELS = [
    ("echo-1", "Echo, 1 in flight", "raw-epoll"),
    ("echo-16", "Echo, 16 in flight", "raw-epoll"),
    ("fanout-1", "Fan-out to 1,000, 1 in flight", "raw-loop"),
    ("fanout-16", "Fan-out to 1,000, 16 in flight", "raw-loop"),
]
BARS = {
    "wspool-uring-wait": "wspool",
    "wspool-epoll-wait": "wspool, --io epoll",
    "bun": "Bun",
    "beast": "Boost.Beast",
    "ws": "ws on Node",
    "article": "the article's server",
}

LABEL_WIDTH, BAR_WIDTH, BAR_HEIGHT, GAP = 150, 190, 14, 6
PANEL_WIDTH, MARGIN, HEAD = LABEL_WIDTH + BAR_WIDTH + 60, 12, 48
SCALE_MAX = 4.0  # longer bars are cut and say their figure: else the short ones could not be told apart

STYLE = """
text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-weight: 600 }
.note { fill: #777; font-size: 11px } .ours { fill: #2468c8 } .theirs { fill: #9aa5b1 }
.raw { stroke: #c0392b; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .note { fill: #999 } .theirs { fill: #66707c } }
"""


def bars_of(results, raw):
    """Server and median ratio to the raw peer, for all that were measured."""
    for key in BARS:
        rounds, limits = results.get(key, {}), results.get(raw, {})
        found = [rounds[n]["cpu_us"] / limits[n]["cpu_us"] for n in rounds if n in limits]
        if found:
            yield key, median(found)


def bar(key, ratio, x, y):
    width = BAR_WIDTH * min(ratio, SCALE_MAX) / SCALE_MAX
    kind = "ours" if key.startswith("wspool") else "theirs"
    end = x + LABEL_WIDTH + width
    parts = [
        f'<text x="{x + LABEL_WIDTH - 8}" y="{y + 11}" text-anchor="end">{BARS[key]}</text>',
        f'<rect class="{kind}" x="{x + LABEL_WIDTH}" y="{y}" width="{width:.1f}" height="{BAR_HEIGHT}"/>',
        f'<text x="{end + 6:.1f}" y="{y + 11}">{ratio:.2f}{" ▸" if ratio > SCALE_MAX else ""}</text>',
    ]
    return parts


def panel(results, title, raw, x, y):
    parts = [f'<text class="title" x="{x + LABEL_WIDTH}" y="{y}">{title}</text>']
    top = y + 12
    bars = list(bars_of(results, raw))
    for index, (key, ratio) in enumerate(bars):
        parts += bar(key, ratio, x, top + index * (BAR_HEIGHT + GAP))
    at = x + LABEL_WIDTH + BAR_WIDTH / SCALE_MAX
    bottom = top + len(bars) * (BAR_HEIGHT + GAP)
    parts.append(f'<line class="raw" x1="{at}" x2="{at}" y1="{top - 4}" y2="{bottom}"/>')
    return parts


def draw(measured):
    panel_height = 34 + len(BARS) * (BAR_HEIGHT + GAP)
    shown = [entry for entry in PANELS if measured["results"].get(entry[0])]
    width = 2 * PANEL_WIDTH + 2 * MARGIN
    height = HEAD + panel_height * ((len(shown) + 1) // 2) + MARGIN
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}"'
        f' height="{height}" role="img" aria-label="Server CPU per message beside raw TCP">',
        f"<style>{STYLE}</style>",
        f'<text class="title" x="{MARGIN}" y="20">Server CPU per 64-byte message, raw TCP = 1 (dashed);'
        " less is better</text>",
        f'<text class="note" x="{MARGIN}" y="36">medians of {measured["rounds"]} paired rounds,'
        f' {measured["date"][:10]}; ▸ longer than drawn</text>',
    ]
    for index, (key, title, raw) in enumerate(shown):
        x = MARGIN + index % 2 * PANEL_WIDTH
        y = HEAD + 16 + index // 2 * panel_height
        parts += panel(measured["results"][key], title, raw, x, y)
    return "\n".join(parts) + "\n</svg>\n"
