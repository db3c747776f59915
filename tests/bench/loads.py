# SPDX-License-Identifier: Apache-2.0
"""What is measured in a world, and how. Each load returns {measure: figure}.

Figures are raw, of one run; report.py knows their names, units and what they are compared with.
"""
import json
import math
import re
import subprocess
import time

import world
from world import BenchError, run

NO_LOSS = 0.005       # share of packets that may be lost in a "no loss" figure
SLOWER = 0.9          # a generator below this share of the asked rate is itself the limit
GROUP = 8             # datagrams in a buffer, for the sender that uses UDP GSO
BIG, SMALL, RELAYED = 1372, 64, 72  # UDP payloads: 1,400, 92 and 100 bytes with IP and UDP


class Loads:
    def __init__(self, seconds, udpload):
        self.seconds = seconds
        self.udpload = udpload

    # TCP

    def server(self, w):
        """An iperf3 at w.b that listens, for one client."""
        server = w.start("iperf3", "-s", "-1", "--forceflush", ns=w.b, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in server.stdout:
            if "listening" in line:
                return server
        raise BenchError("iperf3 -s did not start")

    def iperf(self, w, *options):
        """Runs one iperf3 from w.a to w.b. Returns its JSON."""
        server = self.server(w)
        try:
            said = run("iperf3", "-c", w.target, "-C", "cubic", "-t", str(self.seconds), "-J",
                       *options, ns=w.a, timeout=self.seconds + 30, check=False)
            try:
                r = json.loads(said)
            except ValueError:
                raise BenchError(f"iperf3 printed no JSON: {said[-300:]}") from None
            if "error" in r or "sum_received" not in r.get("end", {}):
                raise BenchError(f"iperf3: {r.get('error', 'no result')}")
            return r["end"]
        finally:
            w.stop(server)
            server.stdout.close()

    def tcp(self, w, name, *options):
        """Gbit/s, and CPU seconds per GB: of the machine, and of the daemons at both ends."""
        before, each = world.cpu_times()[0], [world.process_cpu(d.pid) for d in w.daemons]
        end = self.iperf(w, *options)
        busy = world.cpu_times()[0] - before
        each = [world.process_cpu(d.pid) - b for d, b in zip(w.daemons, each)]
        sums = [end["sum_received"]] + [end[k] for k in ("sum_received_bidir_reverse",) if k in end]
        gb = sum(s["bytes"] for s in sums) / 1e9
        figures = {name: sum(s["bits_per_second"] for s in sums) / 1e9}
        if gb > 0:
            figures[name + "_cpu"] = busy / gb
            for role, seconds in zip(w.roles, each):
                figures[f"{name}_cpu_{role}"] = seconds / gb
        return figures

    def memory(self, w):
        """The larger of the daemons' high-water marks."""
        marks = [world.high_water_mb(d.pid) for d in w.daemons]
        return {"memory": max(marks)} if marks else {}

    # UDP

    def trial(self, w, size, rate, seconds, group=1):
        said = run(str(self.udpload), "-s", str(size), "-r", f"{rate:.0f}", "-t", f"{seconds:.2f}",
                   "-g", str(group), w.a, w.b, w.target, timeout=seconds + 30)
        return json.loads(said)

    def udp(self, w, name, size, group=1):
        """The highest rate without loss, found by trials; and what a flood gets through."""
        length = min(max(self.seconds / 6, 0.2), 2)
        flood = self.trial(w, size, 0, length, group)
        best = no_loss_rate(lambda rate: self.trial(w, size, rate, length, group),
                            flood["received_pps"])
        return {name: best, name + "_flood": flood["received_pps"]}

    def flood(self, w, name, size):
        return {name + "_flood": self.trial(w, size, 0, max(self.seconds / 3, 0.2))["received_pps"]}

    # ping

    def ping(self, w, name, seconds, interval=0.005):
        count = max(int(seconds / interval), 20)
        said = run("ping", "-i", str(interval), "-c", str(count), "-W", "2", "-s", "56", w.target,
                   ns=w.a, timeout=seconds * 4 + 30, check=False)
        times = sorted(float(t) * 1000 for t in re.findall(r"time=([\d.]+) ms", said))
        if not times:
            raise BenchError(f"ping: no answer: {said.strip()[-200:]}")
        return {name + "_p50": percentile(times, 50), name + "_p99": percentile(times, 99),
                name + "_lost": 1 - len(times) / count}

    def ping_idle(self, w):
        return self.ping(w, "ping_idle", min(max(self.seconds / 2, 0.3), 2))

    def ping_loaded(self, w):
        """While one TCP stream fills the tunnel."""
        server = self.server(w)
        client = w.start("iperf3", "-c", w.target, "-C", "cubic", "-t", str(self.seconds + 30),
                         ns=w.a, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            figures = self.ping(w, "ping_load", self.seconds)
            if client.poll() is not None:
                raise BenchError("the TCP stream under the ping ended early")
            return figures
        finally:
            w.stop(client)
            w.stop(server)
            server.stdout.close()


def percentile(ordered, p):
    """The smallest value that at least p per cent of them do not exceed."""
    return ordered[max(math.ceil(len(ordered) * p / 100), 1) - 1]


def no_loss_rate(trial, guess, step=1.4, halvings=3):
    """The most datagrams a second that arrive with at most NO_LOSS lost.

    `trial(rate)` returns udpload's figures; a trial that loses is repeated once, since anything on
    the machine may have been the cause. Goes up or down from below the guess by `step` until one
    rate holds and the next does not, then halves between them: with the defaults to within 4 %.
    """
    def holds(rate):
        for _ in range(2):
            t = trial(rate)
            if t["sent"] and t["loss"] <= NO_LOSS:
                return t["sent_pps"] if t["sent_pps"] >= SLOWER * rate else -t["sent_pps"]
        return 0

    rate, best = max(guess * 0.7, 100), 0
    low = high = None
    while (low is None or high is None) and rate >= 50:
        got = holds(rate)
        if got < 0:  # nothing lost, and the generator cannot offer more
            return max(best, -got)
        if got:
            best, low, rate = max(best, got), rate, rate * step
        else:
            high, rate = rate, rate / step
    if low is None:
        return 0
    for _ in range(halvings):
        rate = math.sqrt(low * high)
        got = holds(rate)
        if got:
            best, low = max(best, abs(got)), rate
        else:
            high = rate
    return best
