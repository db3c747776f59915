#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What configured peers cost: memory, load, show, one change among many, idle CPU.

Loads 1 to 1,000,000 peers (wireguard-go: up to 65,535) through the control socket, one daemon at a
time, and prints a table; --json FILE writes the figures. Needs root, for the tunnel device. A
program of its own: it shares nothing with the other parts of the bench.
"""
import argparse
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

HZ = os.sysconf("SC_CLK_TCK")
COUNTS = (1, 1000, 20000, 100000, 1000000)
CHANGES = 9  # one peer among many, so often
GO_MOST = 65536 - CHANGES  # what wireguard-go takes, and room for those that are added among them
SOCKETS = "/var/run/wireguard"


def say(*words):
    print(*words, file=sys.stderr, flush=True)


def proc_kb(pid, field):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(field + ":"):
            return int(line.split()[1])
    return 0


def proc_ticks(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


class Daemon:
    """A daemon with an interface in a namespace of its own, ended by close()."""
    count = 0

    def __init__(self, command):
        Daemon.count += 1
        self.ns = self.name = f"ws{os.getpid() % 100000}x{Daemon.count}"
        self.proc = None
        subprocess.run(["ip", "netns", "add", self.ns], check=True)
        try:
            self.proc = subprocess.Popen(
                ["ip", "netns", "exec", self.ns, *command, "-f", self.name],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, "LOG_LEVEL": "error"})
            deadline = time.monotonic() + 20
            while not os.path.exists(f"{SOCKETS}/{self.name}.sock"):
                if self.proc.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{command[0]} did not come up")
                time.sleep(0.05)
            subprocess.run(["ip", "-n", self.ns, "link", "set", self.name, "up"], check=True)
            self.ask(b"set=1\nprivate_key=" + os.urandom(32).hex().encode() + b"\n\n")
        except BaseException:
            self.close()
            raise
        self.pid = self.proc.pid

    def ask(self, request):
        """Sends one request, waits for its answer; returns how many bytes that had."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(f"{SOCKETS}/{self.name}.sock")
            s.sendall(request)
            tail, n = b"", 0
            while not tail.endswith(b"\n\n"):
                got = s.recv(1 << 20)
                if not got:
                    raise SystemExit("the daemon hung up")
                n += len(got)
                tail = (tail + got)[-64:]
        if not tail.endswith(b"errno=0\n\n"):
            raise SystemExit(f"the daemon refused: {tail[-20:]!r}")
        return n

    def close(self):
        if self.proc:
            self.proc.terminate()
            try:
                self.proc.wait(20)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        subprocess.run(["ip", "netns", "del", self.ns], capture_output=True)


def timed(what):
    begin = time.monotonic()
    what()
    return time.monotonic() - begin


def peer(key, i, v6):
    text = (f"public_key={key}\nendpoint=192.0.2.{i % 250 + 1}:51820\n"
            f"allowed_ip=10.{i >> 16}.{i >> 8 & 255}.{i & 255}/32\n")
    return text + (f"allowed_ip=fd00::{i >> 16:x}:{i & 65535:x}/128\n" if v6 else "")


def request(keys, v6):
    return ("set=1\n" + "".join(peer(k, i, v6) for i, k in enumerate(keys)) + "\n").encode()


def one_change(daemon, lines):
    """Milliseconds until the answer to a set of one peer, on a connection of its own."""
    return statistics.median(timed(lambda: daemon.ask(("set=1\n" + t + "\n").encode())) * 1e3
                             for t in (lines(n) for n in range(CHANGES)))


def measure(command, n, a):
    keys = [os.urandom(32).hex() for _ in range(n)]
    text = request(keys, a.v6)
    daemon = Daemon(command)
    out = {"peers": n}
    try:
        before = proc_kb(daemon.pid, "VmRSS")
        out["load_s"] = timed(lambda: daemon.ask(text))
        out["request_MB"] = len(text) / 1e6
        del text
        time.sleep(0.2)
        out["rss_kB"] = proc_kb(daemon.pid, "VmRSS")
        out["high_water_kB"] = proc_kb(daemon.pid, "VmHWM")
        out["bytes_a_peer"] = (out["rss_kB"] - before) * 1024 / n
        new = [os.urandom(32).hex() for _ in range(CHANGES)]
        out["add_ms"] = one_change(daemon, lambda i: peer(new[i], n + i, a.v6))
        out["change_ms"] = one_change(
            daemon, lambda i: f"public_key={keys[i % n]}\nupdate_only=true\n"
                              f"endpoint=192.0.2.99:{1000 + i}\n")
        out["remove_ms"] = one_change(daemon, lambda i: f"public_key={new[i]}\nremove=true\n")
        out["get_s"] = timed(lambda: daemon.ask(b"get=1\n\n"))
        for tool, argv in (("wg", ["wg"]), ("weft", [a.weft])):
            if tool == "wg" or os.path.exists(a.weft):
                out[f"{tool}_show_s"] = timed(lambda argv=argv: subprocess.run(
                    [*argv, "show", daemon.name, "dump"], stdout=subprocess.DEVNULL, check=True))
        if a.idle:
            ticks = proc_ticks(daemon.pid)
            time.sleep(a.idle)
            out["idle_cpu_s"] = (proc_ticks(daemon.pid) - ticks) / HZ
            out["idle_for_s"] = a.idle
        out["after_all_kB"] = proc_kb(daemon.pid, "VmRSS")
    finally:
        daemon.close()
    return out


def newest_go(root):
    """The one that `make bench` has fetched, or the system's."""
    fetched = sorted((root / "build/bench/peer").glob("**/bin/wireguard-go"))
    return str(fetched[-1]) if fetched else "wireguard-go"


COLUMNS = (("peers", "peers", "9d"), ("load_s", "load s", "8.2f"), ("rss_kB", "RSS kB", "9d"),
           ("bytes_a_peer", "B/peer", "9.0f"), ("high_water_kB", "most kB", "9d"),
           ("add_ms", "add ms", "7.2f"), ("change_ms", "chg ms", "7.2f"),
           ("remove_ms", "rem ms", "7.2f"), ("get_s", "get s", "7.2f"),
           ("wg_show_s", "wg show s", "9.2f"), ("weft_show_s", "weft show", "9.2f"),
           ("idle_cpu_s", "idle CPU", "8.2f"))


def table(results):
    for name, rows in results.items():
        print(name)
        print("  " + " ".join(f"{title:>{fmt.split('.')[0].rstrip('df')}}"
                              for _, title, fmt in COLUMNS))
        for row in rows:
            print("  " + " ".join(
                format(row[key], fmt) if key in row else " " * int(fmt.split(".")[0].rstrip("df"))
                for key, _, fmt in COLUMNS))


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    root = Path(__file__).resolve().parents[2]
    build = root / os.environ.get("WEFT_BUILD", "build/release")
    p.add_argument("--weftd", default=str(build / "src/daemon/weftd"), help="the daemon")
    p.add_argument("--weft", default=str(build / "src/cli/weft"), help="the command line program")
    p.add_argument("--wireguard-go", default=newest_go(root), help="what to compare with; '': not")
    p.add_argument("--counts", default=",".join(map(str, COUNTS)), help="numbers of peers")
    p.add_argument("--idle", type=float, default=5, help="seconds to watch idle daemons; 0: not")
    p.add_argument("--v6", action="store_true", help="a /128 for each peer beside its /32")
    p.add_argument("--json", metavar="FILE", help="writes the figures there")
    a = p.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    counts = [int(x) for x in a.counts.split(",")]
    if os.geteuid() != 0:
        p.error("needs root, for the tunnel device")
    if any(not 1 <= n <= 1 << 20 for n in counts):
        p.error("--counts: from 1 to 1048576 peers")
    subjects = {"weftd": ([a.weftd], 1 << 20)}
    if a.wireguard_go:
        subjects["wireguard-go"] = ([a.wireguard_go], GO_MOST)
    results = {}
    for name, (command, most) in subjects.items():
        mine = sorted({min(n, most) for n in counts})
        results[name] = []
        for n in mine:
            say(f"{name}: {n} peers")
            results[name].append(measure(command, n, a))
    table(results)
    if a.json:
        rows = [{"daemon": name, **{k: round(v, 3) if isinstance(v, float) else v
                                    for k, v in row.items()}}
                for name, mine in results.items() for row in mine]
        figures = {name: {"idle_peer_bytes": mine[-1]["bytes_a_peer"]}
                   for name, mine in results.items()}
        Path(a.json).parent.mkdir(parents=True, exist_ok=True)
        Path(a.json).write_text(json.dumps({"figures": figures, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
