#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""weftd against wireguard-go and the bare veth, in turn, in one run: figures are ratios.

    bench.py [--rounds N] [--seconds N] [--json FILE]

Two namespaces joined by a veth pair (MTU 1500), both daemons on this machine. For each subject and
round: one TCP stream (iperf3, cubic), its throughput and the whole machine's CPU seconds per GB.
Nothing else should run meanwhile. Needs root, WEFT_BUILD (default build/release), wg, wireguard-go.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

BUILD = Path(os.environ.get("WEFT_BUILD", "build/release")).resolve()
TAG = f"wb{os.getpid()}"
NS = [f"{TAG}a", f"{TAG}b"]
IF = [f"{TAG}w0", f"{TAG}w1"]
HZ = os.sysconf("SC_CLK_TCK")


def sh(*argv, ns=None, **kw):
    if ns:
        argv = ("ip", "netns", "exec", ns, *argv)
    return subprocess.run(argv, check=True, text=True, stdout=subprocess.PIPE, **kw).stdout


def busy_seconds():
    """CPU time of the whole machine that was not idle, in seconds."""
    f = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(f) - f[3] - f[4]) / HZ


class Pair:
    """Two hosts and what joins them; `daemon` is None for the bare veth."""

    def __init__(self, daemon):
        self.procs = []
        for ns in NS:
            sh("ip", "netns", "add", ns)
        sh("ip", "link", "add", "v0", "netns", NS[0], "type", "veth", "peer", "v1", "netns", NS[1])
        for i, ns in enumerate(NS):
            sh("ip", "link", "set", "lo", "up", ns=ns)
            sh("ip", "addr", "add", f"10.9.0.{i + 1}/24", "dev", f"v{i}", ns=ns)
            sh("ip", "link", "set", f"v{i}", "up", ns=ns)
        self.target = "10.9.0.2"
        if daemon:
            self.tunnel(daemon)
            self.target = "10.8.0.2"

    def tunnel(self, daemon):
        keys = [sh("wg", "genkey").strip() for _ in NS]
        pubs = [sh("wg", "pubkey", input=k).strip() for k in keys]
        for i, ns in enumerate(NS):
            self.procs.append(subprocess.Popen(
                ["ip", "netns", "exec", ns, *daemon, "-f", IF[i]],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env=dict(os.environ, LOG_LEVEL="error")))
            deadline = time.monotonic() + 10
            while subprocess.run(["wg", "show", IF[i]], capture_output=True).returncode:
                if time.monotonic() > deadline:
                    raise SystemExit(f"bench: {daemon[0]} did not come up")
                time.sleep(0.05)
            sh("wg", "set", IF[i], "private-key", "/dev/stdin", "listen-port", "51820", "peer",
               pubs[1 - i], "allowed-ips", "10.8.0.0/24", "endpoint", f"10.9.0.{2 - i}:51820",
               input=keys[i])
            sh("ip", "addr", "add", f"10.8.0.{i + 1}/24", "dev", IF[i], ns=ns)
            sh("ip", "link", "set", IF[i], "mtu", "1420", "up", ns=ns)
        sh("ping", "-c", "1", "-W", "5", "10.8.0.2", ns=NS[0])

    def tcp(self, seconds):
        """(Gbit/s, whole-machine CPU seconds per GB, high-water memory of a daemon in MB)"""
        server = subprocess.Popen(["ip", "netns", "exec", NS[1], "iperf3", "-s", "-1"],
                                  stdout=subprocess.DEVNULL)
        self.procs.append(server)
        time.sleep(0.3)
        before = busy_seconds()
        r = json.loads(sh("iperf3", "-c", self.target, "-C", "cubic", "-t", str(seconds), "-J",
                          ns=NS[0]))
        cpu = busy_seconds() - before
        server.wait()
        end = r["end"]["sum_received"]
        rss = 0
        for p in self.procs[:2]:
            for line in self.status(p.pid):
                if line.startswith("VmHWM"):
                    rss = max(rss, int(line.split()[1]) / 1024)
        return end["bits_per_second"] / 1e9, cpu / (end["bytes"] / 1e9), rss

    @staticmethod
    def status(pid):
        try:
            return Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            return []

    def close(self):
        for p in self.procs:
            if p.poll() is None:
                p.terminate()
        for p in self.procs:
            try:
                p.wait(5)
            except subprocess.TimeoutExpired:
                p.kill()
        for ns in NS:
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--seconds", type=int, default=5)
    ap.add_argument("--json", help="write the raw figures here")
    a = ap.parse_args()
    if os.geteuid():
        print("bench: needs root, for network namespaces", file=sys.stderr)
        return 1
    subjects = {"veth": None, "wireguard-go": ["wireguard-go"],
                "weftd": [str(BUILD / "src/daemon/weftd")]}
    raw = {n: [] for n in subjects}
    for r in range(a.rounds):
        for name, daemon in subjects.items():
            print(f"round {r + 1} of {a.rounds}: {name}", file=sys.stderr, flush=True)
            pair = None
            try:
                pair = Pair(daemon)
                raw[name].append(pair.tcp(a.seconds))
            finally:
                if pair:
                    pair.close()
                else:
                    for ns in NS:
                        subprocess.run(["ip", "netns", "del", ns], capture_output=True)
    mid = {n: [statistics.median(x) for x in zip(*v)] for n, v in raw.items()}
    go = mid["wireguard-go"]
    print(f"{'one TCP stream':14} {'Gbit/s':>8} {'CPU s/GB':>9} {'MB at most':>10}"
          "   against wireguard-go")
    for n, (gbit, cpu, mem) in mid.items():
        print(f"{n:14} {gbit:8.2f} {cpu:9.2f} {mem:10.0f}   {gbit / go[0]:.2f}x rate, "
              f"{cpu / go[1]:.2f}x CPU")
    if a.json:
        Path(a.json).write_text(json.dumps(raw, indent=1) + "\n")
    return 0


sys.exit(main())
