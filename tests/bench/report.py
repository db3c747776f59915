#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What a run of the bench says: medians, ratios, table, JSON, plots. Measures nothing.

    report.py BENCH.JSON PAGE.md

puts the table of a run, with its machine and its command, between the two marks in a page.
"""
import json
import math
import statistics
import sys
from pathlib import Path
from xml.sax.saxutils import escape

from floors import AT_LEAST, FLOORS

VETH, GO, WEFT = "veth", "wireguard-go", "weftd"
HIGHER, LOWER = 1, -1
MARKS = ("<!-- figures: begin -->", "<!-- figures: end -->")

# measure, what it is called, unit, which way is better
ROWS = [
    ("tcp1", "TCP, one stream", "Gbit/s", HIGHER),
    ("tcp8", "TCP, eight streams", "Gbit/s", HIGHER),
    ("tcp_reverse", "TCP, reversed", "Gbit/s", HIGHER),
    ("tcp_bidir", "TCP, both ways, sum", "Gbit/s", HIGHER),
    ("tcp1_cpu", "CPU, whole machine, one stream", "s/GB", LOWER),
    ("tcp8_cpu", "CPU, whole machine, eight streams", "s/GB", LOWER),
    ("tcp1_cpu_sender", "CPU, the sender's daemon", "s/GB", LOWER),
    ("tcp1_cpu_receiver", "CPU, the receiver's daemon", "s/GB", LOWER),
    ("plain_tcp1", "TCP, one stream, plain wire", "Gbit/s", HIGHER),
    ("plain_tcp8", "TCP, eight streams, plain wire", "Gbit/s", HIGHER),
    ("plain_tcp1_cpu", "CPU, whole machine, plain wire", "s/GB", LOWER),
    ("udp1400", "UDP 1,400 B, no loss", "packets/s", HIGHER),
    ("udp1400_flood", "UDP 1,400 B, flood, delivered", "packets/s", HIGHER),
    ("udp64", "UDP 64 B, no loss", "packets/s", HIGHER),
    ("udp64_flood", "UDP 64 B, flood, delivered", "packets/s", HIGHER),
    ("udp64_gso", "UDP 64 B, sent by GSO, no loss", "packets/s", HIGHER),
    ("udp64_gso_flood", "UDP 64 B, sent by GSO, flood", "packets/s", HIGHER),
    ("plain_udp64_flood", "UDP 64 B, flood, plain wire", "packets/s", HIGHER),
    ("ping_idle_p50", "ping, idle, p50", "us", LOWER),
    ("ping_idle_p99", "ping, idle, p99", "us", LOWER),
    ("ping_load_p50", "ping beside one TCP stream, p50", "us", LOWER),
    ("ping_load_p99", "ping beside one TCP stream, p99", "us", LOWER),
    ("ping_load_lost", "ping beside one TCP stream, lost", "share", LOWER),
    ("relay_tcp", "relay through a hub, TCP", "Gbit/s", HIGHER),
    ("relay_tcp_cpu", "CPU, whole machine, relay", "s/GB", LOWER),
    ("relay_tcp_cpu_hub", "CPU, the hub's daemon, relay", "s/GB", LOWER),
    ("relay100", "relay, 100 B packets, no loss", "packets/s", HIGHER),
    ("relay100_flood", "relay, 100 B packets, flood", "packets/s", HIGHER),
    ("memory", "memory at most, after TCP", "MB", LOWER),
    ("handshakes", "handshakes, one responder", "per s", HIGHER),
    ("idle_peer_bytes", "memory of an idle peer", "bytes", LOWER),
]
# variants of weftd: each has rows of its own, of the measures that it was run for
VARIANTS = {"weftd-relay": "fast relay", "weftd-openssl": "OpenSSL alone"}


def disturbed(run, measure):
    """What disturbed that measure of a run, or None."""
    return run.get("disturbed", {}).get(measure)


def medians(runs):
    """{subject: {measure: median}}; what was disturbed counts only where there is no other."""
    out = {}
    for subject in dict.fromkeys(r["subject"] for r in runs):
        mine = [r for r in runs if r["subject"] == subject]
        out[subject] = {}
        for measure in dict.fromkeys(m for r in mine for m in r["figures"]):
            have = [r for r in mine if measure in r["figures"]]
            quiet = [r for r in have if not disturbed(r, measure)] or have
            out[subject][measure] = statistics.median(r["figures"][measure] for r in quiet)
    return out


def spread(runs, subject, measure):
    """(largest - smallest) / median of a measure's runs, 0 for less than two."""
    v = [r["figures"][measure] for r in runs
         if r["subject"] == subject and measure in r["figures"]]
    middle = statistics.median(v) if v else 0
    return (max(v) - min(v)) / middle if len(v) > 1 and middle else 0


def ratios(runs, subject):
    """{measure: subject / wireguard-go}: the median of what the rounds say, each for itself.

    What drifts from round to round moves both of a round alike. Where no round has both
    undisturbed, the medians are divided.
    """
    mid = medians(runs)
    mine, other = mid.get(subject, {}), mid.get(GO, {})
    out = {m: mine[m] / other[m] for m in mine if other.get(m)}
    for measure in out:
        pairs = {}
        for r in runs:
            if (r["subject"] in (subject, GO) and measure in r["figures"]
                    and not disturbed(r, measure)):
                pairs.setdefault(r["round"], {})[r["subject"]] = r["figures"][measure]
        each = [p[subject] / p[GO] for p in pairs.values() if p.get(GO) and subject in p]
        if each:
            out[measure] = statistics.median(each)
    return out


def sure(runs, subject, least=2):
    """The measures that at least so many rounds have undisturbed of both to be compared."""
    count = {}
    for number in {r["round"] for r in runs}:
        pair = [r for r in runs if r["round"] == number and r["subject"] in (subject, GO)]
        for m in {m for r in pair for m in r["figures"]}:
            if len([r for r in pair if m in r["figures"] and not disturbed(r, m)]) == 2:
                count[m] = count.get(m, 0) + 1
    return {m for m, n in count.items() if n >= least}


def rows(runs):
    """The table's rows: dicts of key, label, unit, veth, go, weft, others, ratio, floor, met."""
    out, mid = [], medians(runs)
    against = {s: ratios(runs, s) for s in (WEFT, *VARIANTS)}
    for variant, suffix in [(WEFT, ""), *VARIANTS.items()]:
        if variant != WEFT and variant not in mid:
            continue
        for measure, label, unit, better in ROWS:
            have = {s: f[measure] for s, f in mid.items() if measure in f}
            if not have or variant != WEFT and variant not in have:
                continue
            key = measure if variant == WEFT else f"{measure}@{variant}"
            weft = have.get(variant)
            r = against[variant].get(measure)
            floor, met = FLOORS.get(key), None
            if floor:
                kind, sense, bound = floor
                value = r if kind == "ratio" else weft
                if value is not None:
                    met = value >= bound if sense == AT_LEAST else value <= bound
            out.append({"key": key, "label": f"{label}, {suffix}" if suffix else label,
                        "unit": unit, "better": better, "veth": have.get(VETH), "go": have.get(GO),
                        "weft": weft, "others": {s: v for s, v in have.items()
                                                 if s not in (VETH, GO, WEFT, *VARIANTS)},
                        "ratio": r, "spread": spread(runs, variant, measure), "floor": floor,
                        "met": met})
    return out


def number(v):
    if v is None:
        return "-"
    if v != 0 and abs(v) < 0.1:
        return f"{v:.3f}"
    if abs(v) < 100:
        return f"{v:.2f}"
    return f"{v:,.0f}"


def floor_text(floor):
    if not floor:
        return ""
    kind, sense, bound = floor
    if kind == "value":
        return f"{sense} {bound:,}"
    return f"{sense} {bound:.2f}x"


def cells(runs):
    """(header, lines) of the table, as text."""
    table = rows(runs)
    others = list(dict.fromkeys(s for r in table for s in r["others"]))
    head = ["", "unit", VETH, GO, *others, WEFT, "spread", "ratio", "floor", "met"]
    lines = [[r["label"], r["unit"], number(r["veth"]), number(r["go"]),
              *(number(r["others"].get(s)) for s in others), number(r["weft"]),
              f"{100 * r['spread']:.0f} %" if r["spread"] else "",
              f"{r['ratio']:.2f}x" if r["ratio"] is not None else "-", floor_text(r["floor"]),
              {True: "yes", False: "NO", None: ""}[r["met"]]] for r in table]
    return head, lines


def text_table(runs):
    head, lines = cells(runs)
    lines = [head, *lines]
    width = [max(len(x[i]) for x in lines) for i in range(len(head))]
    return "\n".join("  ".join(c.ljust(w) if i < 2 else c.rjust(w)
                               for i, (c, w) in enumerate(zip(x, width))).rstrip()
                     for x in lines) + "\n"


def markdown_table(runs):
    head, lines = cells(runs)
    out = ["| " + " | ".join(head) + " |",
           "| --- | --- |" + " ---: |" * (len(head) - 2)]
    return "\n".join(out + ["| " + " | ".join(x) + " |" for x in lines]) + "\n"


def about(result):
    """Markdown lines on where and how the figures came about."""
    m = result["machine"]
    out = [f"- machine: {m['cpu']}, {m['cores']} cores, AVX-512 {'yes' if m['avx512'] else 'no'}, "
           f"kernel {m['kernel']}",
           f"- command: `{result['command']}` ({result['rounds']} rounds, interleaved, "
           f"{result['seconds']} s a TCP run), {result['date']}"]
    out += [f"- {name}: {version}" for name, version in result["versions"].items()]
    bad = sum(len(r.get("disturbed", {})) for r in result["runs"])
    if bad:
        every = sum(len(r["figures"]) for r in result["runs"])
        out.append(f"- {bad} of {every} single figures were disturbed by other work on the machine "
                   "or its host; they count only where there is no other")
    return "\n".join(out) + "\n"


SCALE = {"peers": "peers", "load_s": "load, s", "bytes_a_peer": "bytes a peer",
         "high_water_kB": "at most, kB", "add_ms": "add one, ms", "change_ms": "change one, ms",
         "remove_ms": "remove one, ms", "wg_show_s": "`wg show`, s",
         "weft_show_s": "`weft show`, s", "idle_cpu_s": "CPU, idle, s"}


def named(row):
    """The subject of a row of scale.py."""
    return row.get("daemon") or row.get("subject") or row.get("name") or "?"


def scale_table(result):
    """Markdown of scale.py's figures, if they are there: a line a daemon and number of peers."""
    out = []
    for x in (result.get("scale") or {}).get("rows", []):
        cells = (f"{x[k]:,}" if isinstance(x.get(k), int) else number(x.get(k)) for k in SCALE)
        out.append(f"| {named(x)} | " + " | ".join(cells) + " |")
    if not out:
        return ""
    head = ["", "| | " + " | ".join(SCALE.values()) + " |", "| --- |" + " ---: |" * len(SCALE)]
    return "\n".join(head + out) + "\n"


def markdown(result):
    return about(result) + "\n" + markdown_table(result["runs"]) + scale_table(result)


# plots

COLOURS = {VETH: "#9aa0a6", GO: "#00838f", WEFT: "#c2410c", "boringtun": "#6a1b9a",
           "weftd-relay": "#e08a3c", "weftd-openssl": "#8d6e63"}
PLOTS = {
    "tcp": ("TCP, Gbit/s", ["tcp1", "tcp8", "tcp_reverse", "tcp_bidir", "plain_tcp1", "relay_tcp"]),
    "packets": ("UDP packets a second", ["udp1400", "udp64", "udp64_flood", "udp64_gso",
                                         "relay100", "relay100_flood"]),
    "ping": ("ping, microseconds", ["ping_idle_p50", "ping_idle_p99", "ping_load_p50",
                                    "ping_load_p99"]),
    "cpu": ("CPU seconds per GB, whole machine", ["tcp1_cpu", "tcp8_cpu", "plain_tcp1_cpu",
                                                  "relay_tcp_cpu"]),
}


def svg(title, groups, log=False):
    """Horizontal bars. groups: [(label, [(subject, value), ...]), ...]"""
    bar, gap, left, right, width = 16, 14, 250, 160, 940
    values = [v for _, bars in groups for _, v in bars if v and v > 0]
    if not values:
        return None
    low, high = min(values), max(values)

    def length(v):
        if not v or v <= 0:
            return 0
        if log:
            base = math.log10(low) - 0.3
            return (math.log10(v) - base) / (math.log10(high) - base) * (width - left - right)
        return v / high * (width - left - right)

    out, y = [], 46
    for label, bars in groups:
        middle = y + len(bars) * bar / 2 + 5
        out.append(f'<text x="{left - 10}" y="{middle:.0f}" text-anchor="end">'
                   f'{escape(label)}</text>')
        for subject, v in bars:
            n = length(v)
            out.append(f'<rect x="{left}" y="{y}" width="{max(n, 1):.1f}" height="{bar - 2}" '
                       f'fill="{COLOURS.get(subject, "#455a64")}"/>'
                       f'<text x="{left + n + 5:.1f}" y="{y + 12}" class="v">{number(v)} '
                       f'{escape(subject)}</text>')
            y += bar
        y += gap
    note = " (logarithmic)" if log else ""
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {y}" '
            f'font-family="sans-serif" font-size="13">'
            f'<style>.v{{font-size:11px;fill:#333}}</style>'
            f'<rect width="{width}" height="{y}" fill="#fff"/>'
            f'<text x="{width / 2:.0f}" y="24" text-anchor="middle" font-size="16">'
            f'{escape(title)}{note}</text>' + "".join(out) + "</svg>\n")


def plots(mid, scale=None):
    """{file name: SVG} of what was measured; scale: scale.py's JSON."""
    labels = {r[0]: r[1] for r in ROWS}
    out = {}
    for name, (title, measures) in PLOTS.items():
        groups = [(labels[m], [(s, f[m]) for s, f in mid.items() if m in f])
                  for m in measures if any(m in f for f in mid.values())]
        picture = svg(title, groups, log=name == "ping")
        if picture:
            out[f"{name}.svg"] = picture
    groups = []
    for key, label in (("bytes_a_peer", "bytes a peer"), ("load_s", "load, s")):
        lines = (scale or {}).get("rows", [])
        for n in sorted({x["peers"] for x in lines}):
            bars = [(named(x), x[key]) for x in lines if x["peers"] == n and key in x]
            groups.append((f"{label}, {n:,} peers", bars))
    picture = svg("Peers configured at once", [g for g in groups if g[1]], log=True)
    return {**out, "scale.svg": picture} if picture else out


def write(result, folder):
    """Writes bench.json, table.txt, table.md and the plots. Returns the table as text."""
    folder.mkdir(parents=True, exist_ok=True)
    mid = medians(result["runs"])
    table = text_table(result["runs"])
    files = {"bench.json": json.dumps({**result, "medians": mid}, indent=1) + "\n",
             "table.txt": table, "table.md": markdown(result),
             **plots(mid, result.get("scale"))}
    for name, text in files.items():
        (folder / name).write_text(text)
    return table


# bench-quick

def compare(now, kept, machine, allowed=0.15, sure=None):
    """Compares ratios with the committed ones.

    now: {measure: ratio}; kept: {machine: {measure: ratio}}; better is told by ROWS; sure: the
    measures of which enough was undisturbed, None for all: others are information. Returns
    (lines to say, whether something fell by more than `allowed` on the same type of machine).
    """
    if not kept:
        return ["no ratios are committed yet (--update writes them)"], False
    like = machine in kept
    other = machine if like else next(iter(kept))
    lines, fell = [], False
    if not like:
        lines.append(f"no ratios are committed for this type of machine ({machine}); those of "
                     f"{other}, as information:")
    better = {r[0]: r[3] for r in ROWS}
    for measure, was in kept[other].items():
        if measure not in now or not was or not now[measure]:
            lines.append(f"{measure}: was {was:.2f}x, not measured now")
            fell = fell or like
            continue
        change = (now[measure] / was) ** better[measure] - 1
        known = sure is None or measure in sure
        bad = known and change < -allowed
        fell = fell or bad and like
        lines.append(f"{measure}: {now[measure]:.2f}x against wireguard-go, committed {was:.2f}x: "
                     f"{'better' if change >= 0 else 'worse'} by {abs(change) * 100:.0f} %"
                     + ("" if known else " (too much was disturbed to tell)")
                     + (" -- MORE THAN ALLOWED" if bad and like else ""))
    return lines, fell


def into_page(result, page):
    """The page's text with the run's figures between the marks."""
    head, _, rest = page.partition(MARKS[0])
    _, found, tail = rest.partition(MARKS[1])
    if not found:
        raise ValueError(f"no {MARKS[0]} ... {MARKS[1]} in the page")
    return f"{head}{MARKS[0]}\n{markdown(result)}{MARKS[1]}{tail}"


def main():
    if len(sys.argv) != 3 or sys.argv[1] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if "-h" in sys.argv or "--help" in sys.argv else 2
    try:
        page = Path(sys.argv[2])
        page.write_text(into_page(json.loads(Path(sys.argv[1]).read_text()), page.read_text()))
    except (OSError, ValueError) as e:
        print(f"report: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
