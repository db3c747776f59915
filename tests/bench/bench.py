#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""weftd against wireguard-go and the bare wire, in turn, in one run; figures to compare are ratios.

Writes table.txt, table.md, bench.json and plots to build/bench/. docs/performance.md says what each
measure means. Nothing else should run meanwhile. Needs root, iperf3, wg, ethtool, ping.
"""
import argparse
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import loads  # noqa: E402
import peer  # noqa: E402
import report  # noqa: E402
import world  # noqa: E402
from world import BenchError, Subject  # noqa: E402

TOP = HERE.parent.parent
RATIOS = HERE / "ratios.json"
GROUPS = ("tcp", "plain", "udp", "ping", "relay", "handshakes", "scale")
QUICK_SECONDS = 85  # no further round begins after that
QUICK = ("tcp1", "tcp1_cpu", "udp64_flood", "ping_load_p99")


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def machine():
    """What the figures depend on. `type` is what makes two machines alike."""
    info = Path("/proc/cpuinfo").read_text()

    def field(name):
        m = re.search(rf"^{name}\s*:\s*(.*)$", info, re.M)
        return m[1].strip() if m else "?"

    cores = len(os.sched_getaffinity(0))
    wide = "avx512f" in field("flags").split()
    cpu = f"{field('model name')} (family {field('cpu family')} model {field('model')})"
    return {"cpu": cpu, "cores": cores, "avx512": wide, "kernel": os.uname().release,
            "type": f"{cpu}, {cores} cores"}


def pair_figures(subject, load, only, quick):
    """Yields (name, function of the Pair) of what is to be measured in a Pair."""
    if quick:
        yield "TCP", lambda w: load.tcp(w, "tcp1")
        yield "UDP 64 B, flood", lambda w: load.flood(w, "udp64", loads.SMALL)
        yield "ping beside TCP", load.ping_loaded
        return
    if "tcp" in only:
        yield "TCP", lambda w: load.tcp(w, "tcp1")
        if subject.name != "weftd-openssl":
            yield "TCP, eight streams", lambda w: load.tcp(w, "tcp8", "-P", "8")
            yield "TCP, reversed", lambda w: load.tcp(w, "tcp_reverse", "-R")
            yield "TCP, both ways", lambda w: load.tcp(w, "tcp_bidir", "--bidir")
            yield "memory", load.memory
    if subject.name == "weftd-openssl":
        return
    if "udp" in only:
        yield "UDP 1,400 B", lambda w: load.udp(w, "udp1400", loads.BIG)
        yield "UDP 64 B", lambda w: load.udp(w, "udp64", loads.SMALL)
        yield "UDP 64 B by GSO", lambda w: load.udp(w, "udp64_gso", loads.SMALL, loads.GROUP)
    if "ping" in only:
        yield "ping, idle", load.ping_idle
        yield "ping beside TCP", load.ping_loaded
    if "plain" in only:
        yield "plain wire", lambda w: w.plain_wire(True) or {}
        yield "plain wire: TCP", lambda w: load.tcp(w, "plain_tcp1")
        yield "plain wire: TCP, eight streams", lambda w: load.tcp(w, "plain_tcp8", "-P", "8")
        yield "plain wire: UDP 64 B", lambda w: load.flood(w, "plain_udp64", loads.SMALL)


def hub_figures(load):
    yield "relay: TCP", lambda w: load.tcp(w, "relay_tcp")
    yield "relay: 100 B packets", lambda w: load.udp(w, "relay100", loads.RELAYED)


def measure(w, jobs, where, entry):
    """Runs the jobs in a world; their figures, and what disturbed which, go to the entry."""
    for name, job in jobs:
        watch = world.Watch()
        got = job(w)
        if not got:
            continue
        why = watch.why()
        entry["figures"].update(got)
        if why:
            entry["disturbed"].update(dict.fromkeys(got, why))
        first = next(iter(got))
        unit = next((r[2] for r in report.ROWS if r[0] == first), "")
        say(f"{where}: {name}: {report.number(got[first])} {unit}"
            + (f" (DISTURBED: {why})" if why else ""))


def one_run(subject, load, only, quick, where):
    """One subject in one round. Returns its entry for the JSON file."""
    entry = {"subject": subject.name, "figures": {}, "disturbed": {}}
    jobs = list(pair_figures(subject, load, only, quick)) if subject.name != "weftd-relay" else []
    if jobs:
        with world.Pair(subject) as w:
            measure(w, jobs, where, entry)
    if not quick and "relay" in only and subject.name != "weftd-openssl":
        with world.Hub(subject) as w:
            measure(w, hub_figures(load), where, entry)
    return entry


def subjects(build, go, quick):
    weftd = build / "src/daemon/weftd"
    if not weftd.exists():
        raise BenchError(f"no {weftd}: build it (make build), or set WEFT_BUILD")
    out = [Subject("veth")] if not quick else []
    out += [Subject("wireguard-go", [str(go)]), Subject("weftd", [str(weftd)])]
    can = world.run(str(weftd), "--help", check=False)
    if "--crypto" in can and not quick:
        out.append(Subject("weftd-openssl", [str(weftd), "--crypto", "openssl"]))
    if "--relay" in can and not quick:
        out.append(Subject("weftd-relay", [str(weftd)], hub_args=["--relay", "fast"]))
    boringtun = world.which("boringtun-cli")
    if boringtun and not quick:
        out.append(Subject("boringtun", [boringtun, "--disable-drop-privileges"],
                           env={"WG_SUDO": "1"}))
    return out


class Alone(world.World):
    """One daemon that says what it is."""

    def build(self):
        p = self.start(*self.subject.daemon, "-f", f"{self.tag}w", ns=self.namespace(), text=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                       env={**os.environ, "LOG_LEVEL": "info"})
        first = p.stderr.readline()
        p.stderr.close()
        self.said = dict(w.split("=", 1) for w in shlex.split(first) if "=" in w)


def weftd_version(weftd):
    """Version, commit and cipher library of weftd, as far as it and git say."""
    out = [world.run(str(weftd), "--version", check=False).strip().removeprefix("weftd ")]
    commit = world.run("git", "-C", str(TOP), "describe", "--always", "--dirty",
                       check=False).strip()
    out += [commit] if commit else []
    with Alone(Subject("weftd", [str(weftd)])) as w:
        if "crypto" in w.said:
            out.append(f"AEAD by {w.said['crypto']}")
    return ", ".join(out)


def program(name, build, seconds, *args):
    """The JSON of one of the programs beside this one (scale.py, handshakes.py), or None."""
    script, out = HERE / name, TOP / "build/bench" / f"{Path(name).stem}.json"
    if not script.exists():
        return None
    say(f"running {name}")
    out.unlink(missing_ok=True)
    with world.undisturbed():
        p = subprocess.Popen([sys.executable, str(script), "--json", str(out), *args],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             start_new_session=True,  # Ctrl-C reaches it once, from here
                             env={**os.environ, "WEFT_BUILD": str(build)})
    try:
        p.wait(seconds)
    finally:
        with world.undisturbed():
            p.terminate()  # it takes its own namespaces down
            p.wait()
    if p.returncode or not out.exists():
        say(f"{name} failed with code {p.returncode}: its figures are left out")
        return None
    return json.loads(out.read_text())


def quick_verdict(result, update):
    ratios = report.ratios(result["runs"], "weftd")
    now = {m: round(ratios[m], 3) for m in QUICK if ratios.get(m)}
    kept = json.loads(RATIOS.read_text())["machines"] if RATIOS.exists() else {}
    kind = result["machine"]["type"]
    sure = report.sure(result["runs"], "weftd")
    lines, fell = report.compare(now, kept, kind, sure=sure)
    print("\n".join(lines))
    if update:
        kept[kind] = now
        RATIOS.write_text(json.dumps({
            "_": "SPDX-License-Identifier: Apache-2.0. weftd / wireguard-go, by type of machine; "
                 "written by bench.py --quick --update.", "machines": kept}, indent=1) + "\n")
        print(f"{RATIOS.name} now has these figures for {kind}")
        return 0
    if fell:
        print("bench-quick: weftd has become slower by more than 15 % against wireguard-go")
    return 1 if fell else 0


def arguments(argv):
    ap = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                 epilog=" ".join(__doc__.split("\n\n")[1].split()))
    ap.add_argument("--rounds", type=int, help="how often each is measured (default 3; quick 4)")
    ap.add_argument("--seconds", type=int, help="length of a TCP run (default 3; quick 2)")
    ap.add_argument("--only", default=",".join(GROUPS), metavar="A,B",
                    help="only these of " + ", ".join(GROUPS))
    ap.add_argument("--subjects", metavar="A,B", help="only these of those there are")
    ap.add_argument("--quick", action="store_true",
                    help="four measures, compared with ratios.json; ends with 1 if one fell by "
                         "more than 15 %%")
    ap.add_argument("--update", action="store_true", help="with --quick: write ratios.json anew")
    ap.add_argument("--offline", action="store_true", help="take the installed wireguard-go")
    ap.add_argument("--out", type=Path, default=TOP / "build/bench", metavar="FOLDER",
                    help="where the results go (default build/bench)")
    a = ap.parse_args(argv)
    a.rounds = a.rounds or (4 if a.quick else 3)
    a.seconds = a.seconds or (2 if a.quick else 3)
    a.only = a.only.split(",")
    for g in a.only:
        if g not in GROUPS:
            ap.error(f"--only: '{g}' is none of {', '.join(GROUPS)}")
    if a.rounds < 1 or a.seconds < 1:
        ap.error("--rounds and --seconds must be at least 1")
    if a.update and not a.quick:
        ap.error("--update goes with --quick")
    return a


def bench(a, argv):
    build = Path(os.environ.get("WEFT_BUILD", TOP / "build/release")).resolve()
    udpload = build / "tests/bench/udpload"
    if not udpload.exists():
        raise BenchError(f"no {udpload}: build it (ninja -C {build} bench-tools)")
    for tool in ("iperf3", "wg", "ethtool", "ping", "ip"):
        if not world.which(tool):
            raise BenchError(f"no {tool} (scripts/deps.sh check installs it)")
    go, version = peer.newest(TOP / "build/bench", say, a.offline)
    say(f"wireguard-go {version}")
    every = subjects(build, go, a.quick)
    if a.subjects:
        names = a.subjects.split(",")
        for n in names:
            if n not in [s.name for s in every]:
                raise BenchError(f"no subject {n} here: there are "
                                 f"{', '.join(s.name for s in every)}")
        every = [s for s in every if s.name in names]
    load1 = os.getloadavg()[0]
    if load1 > 0.5:
        say(f"WARNING: the load average is {load1:.1f}: something else has been running")
    load = loads.Loads(a.seconds, udpload)
    result = {"date": time.strftime("%Y-%m-%d", time.gmtime()), "machine": machine(),
              "command": shlex.join(["tests/bench/bench.py", *argv]), "rounds": a.rounds,
              "seconds": load.seconds, "load_average": load1,
              "versions": {"wireguard-go": version,
                           "weftd": weftd_version(build / "src/daemon/weftd")},
              "runs": []}
    began = time.monotonic()
    clean = r = 0
    # quick: a round that was disturbed is made again while there is time
    while r < a.rounds or a.quick and clean < a.rounds and time.monotonic() - began < QUICK_SECONDS:
        r += 1
        for s in every:
            entry = one_run(s, load, a.only, a.quick, f"round {r}: {s.name}")
            result["runs"].append({"round": r, **entry})
        clean += not any(x["disturbed"] for x in result["runs"] if x["round"] == r)
    result["rounds"] = r
    if a.quick:
        (a.out / "quick").mkdir(parents=True, exist_ok=True)
        print(report.write(result, a.out / "quick"), end="")
        return quick_verdict(result, a.update) if not a.subjects else 0
    extra(result, a, build, go)
    print(report.write(result, a.out), end="")
    say(f"took {time.monotonic() - began:.0f} s; results are in {a.out}")
    return 0


def extra(result, a, build, go):
    """Figures of the programs beside this one, in their own terms and as rows of the table."""
    for name, limit in (("handshakes", 240), ("scale", 600)):
        if name not in a.only:
            continue
        try:
            got = program(f"{name}.py", build, limit, "--wireguard-go", str(go))
        except (subprocess.TimeoutExpired, ValueError) as e:
            say(f"{name}.py: {e}")
            continue
        if got:
            result[name] = got
            for subject, figures in got.get("figures", {}).items():
                result["runs"].append({"round": 0, "subject": subject, "figures": figures})


def main(argv):
    a = arguments(argv)
    if os.geteuid():
        say("needs root, for network namespaces")
        return 1
    for number in world.SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        return bench(a, argv)
    except BenchError as e:
        say(str(e))
        return 1
    except KeyboardInterrupt:
        say("interrupted: everything is taken down")
        return 130
    finally:
        world.World.close_all()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
