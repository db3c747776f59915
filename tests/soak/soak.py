#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Mixed load for a given time, and a verdict: is weftd the same at the end as it was at the beginning?

    soak.py [--seconds N] [--seed N] [--out DIR]

A hub and two clients, all weftd, and a machine that is nobody's friend. At once: TCP both ways with
its content checked, UDP in sequence (small and large), pings; peers added and removed, preshared
keys and endpoints changed, sessions begun anew, a client that roams, interfaces down and up, garbage,
replays, floods of handshakes. Memory, descriptors, threads, waits and drops are sampled.

Ends by itself. Exit code 0: steady. Writes soak.json and soak.svg to DIR (build/soak). Everything
is in namespaces of its own and goes with it, also on Ctrl-C. Needs root and WEFT_BUILD.
"""
import argparse
import json
import os
import random
import struct
import sys
import threading
import time
import traceback
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(TOP / "tests" / "system"))

from lib import noise, ns, traffic, wait, wg  # noqa: E402

MB = 1 << 20
HUB, STRANGER = "192.0.2.1", "192.0.2.9"
HIGH_WATER_MB = 64          # of a daemon, under any load
GROWTH_MB, GROWTH = 2, .05  # of resident memory, first third after the warm-up to the last
RECOVERY_S = 60             # within which traffic must be back after any change
FLOOD = TOP / "tests" / "system" / "tools" / "flood.py"


class Soak:
    def __init__(self, seconds, seed):
        self.seconds, self.rng = seconds, random.Random(seed)
        self.net = ns.Network()
        self.stop = threading.Event()
        self.wrong, self.samples, self.counts = [], [], {}
        self.lock = threading.Lock()
        self.psks = {}
        self.waits = []  # ms, of pings since the last sample
        self.begin = time.monotonic()

    # ---- the world ----

    def build(self):
        core = self.net.host("core")
        core.ip("link add br0 type bridge", "link set br0 up")
        self.hosts = {}
        for n, name in ((1, "hub"), (2, "a"), (3, "b"), (9, "x")):
            host = self.hosts[name] = self.net.host(name)
            self.net.link(host, "eth0", [f"192.0.2.{n}/24"], core, f"p{n}", [])
            core.ip(f"link set p{n} master br0")
        self.hosts["b"].ip("addr add 192.0.2.103/24 dev eth0")
        # answers to floods with spoofed sources end at the stranger's
        self.hosts["hub"].ip(f"route add 10.128.0.0/9 via {STRANGER}")
        self.hosts["x"].run("nft", "add table ip f; add chain ip f i { type filter hook prerouting "
                            "priority -300; }; add rule ip f i ip daddr 10.128.0.0/9 drop")
        self.w = {n: wg.Daemon(self.hosts[n], "weftd", env={"LOG_LEVEL": "error"})
                  for n in ("hub", "a", "b")}
        for n, (name, d) in enumerate(self.w.items(), 1):
            d.setup([f"10.99.0.{n}/16"], port=51820)
        hub = self.w["hub"]
        for n, name in ((2, "a"), (3, "b")):
            hub.peer(self.w[name].key, [f"10.99.0.{n}/32"], endpoint=f"192.0.2.{n}:51820")
            self.w[name].peer(hub.key, ["10.99.0.1/32"], endpoint=f"{HUB}:51820")
        self.by_hand = noise.Peer(self.hosts["x"], (HUB, 51820), remote_public=hub.key.public)
        hub.peer(self.by_hand.key, ["10.99.1.1/32"])
        for name in ("a", "b"):
            traffic.until_reaches(self.hosts[name], "10.99.0.1")

    def count(self, what, n=1):
        with self.lock:
            self.counts[what] = self.counts.get(what, 0) + n

    # ---- loads; each is a loop of its own ----

    def tcp(self, source, target, address):
        """One transfer after the other. Changes may slow it; nothing may alter or end it."""
        while not self.stop.is_set():
            nbytes = self.rng.choice((1, 8, 64)) * MB
            try:
                t = traffic.Tcp(self.hosts[source], self.hosts[target], address, nbytes)
            except OSError:  # the interface is down
                self.stop.wait(.2)
                continue
            while t.ended is None and not t._errors and not self.stop.wait(.2):
                pass
            t.stop()
            t.done()
            self.count(f"tcp {source} to {target}, MB", t.received // MB)

    def udp(self, name, size, rate):
        """Numbered datagrams to the hub and back: none twice. What waited for a handshake may be
        overtaken by what came just after it: how many is counted, and no fault."""
        echo = self.echo[size]
        sock = self.hosts[name].socket(timeout=.01)
        sent, last, seen = 0, -1, set()
        begin = time.monotonic()
        while not self.stop.is_set():
            try:
                sock.sendto(struct.pack("!Q", sent) + bytes(size - 8), ("10.99.0.1", echo))
                sent += 1
            except OSError:  # the interface is down
                self.stop.wait(.05)
            while True:
                try:
                    seq, = struct.unpack("!Q", sock.recv(2048)[:8])
                except (TimeoutError, BlockingIOError):
                    break
                except OSError:
                    continue
                if seq in seen:
                    self.wrong.append(f"udp of {size} bytes: {seq} came twice")
                    self.stop.set()
                if seq < last:
                    self.count(f"udp {size} out of order")
                seen.add(seq)
                if len(seen) > 20000:
                    seen = {x for x in seen if x > seq - 10000}
                last = max(last, seq)
                self.count(f"udp {size} answered")
            self.counts[f"udp {size} sent"] = sent
            late = time.monotonic() - begin - sent / rate
            if late < 0:
                self.stop.wait(-late)

    def ping(self, name):
        while not self.stop.is_set():
            got = traffic.ping(self.hosts[name], "10.99.0.1", count=10, interval=.05, deadline=1)
            with self.lock:
                self.waits += got.ms.values()
            self.count("pings sent", got.sent)
            self.count("pings answered", got.received)

    def hostile(self):
        """Garbage, damaged and replayed messages, and now and then a flood of handshakes."""
        p, n = self.by_hand, 0
        while not self.stop.is_set():
            try:
                p.connect(tries=3, timeout=2)
                self.count("sessions by hand")
            except AssertionError:
                continue
            data = [p.session.data(os.urandom(100)) for _ in range(20)]  # no IP packets
            packet = traffic.udp_packet("10.99.1.1", 9, "10.99.0.1", 9, bytes(32))
            data += [p.session.data(packet) for _ in range(20)]
            for message in data + data + [os.urandom(self.rng.randrange(1, 1400))
                                          for _ in range(200)]:
                if self.rng.random() < .3:
                    at = self.rng.randrange(len(message))
                    message = message[:at] + bytes([message[at] ^ 1]) + message[at + 1:]
                try:
                    p.send(message, at_once=True)
                except OSError:
                    pass
            self.count("hostile messages", 2 * len(data) + 200)
            n += 1
            if n % 10 == 5:
                self.flood()
            self.stop.wait(.5)

    def flood(self):
        key = self.w["hub"].key.public
        message = noise.Handshake(wg.Key(), key).initiation()
        self.hosts["x"].run(sys.executable, FLOOD, HUB, 51820, message.hex(),
                            noise.mac1_key(key).hex(), 4000, 1, "10.128.0.1", 1000, check=False)
        self.count("floods")

    # ---- changes ----

    def peers(self):
        """Forty peers come and go."""
        keys = [wg.Key() for _ in range(40)]
        hub = self.w["hub"]
        hub.set(*(line for i, k in enumerate(keys) for line in
                  (f"public_key={k.public_hex}", f"allowed_ip=10.99.2.{i}/32",
                   f"endpoint={STRANGER}:{2000 + i}")))
        sock = self.hosts["hub"].socket()
        for i in range(40):  # packets that wait for handshakes that never come
            sock.sendto(bytes(1200), (f"10.99.2.{i}", 9))
        sock.close()
        hub.set(*(line for k in keys for line in (f"public_key={k.public_hex}", "remove=true")))

    def psk(self):
        name = self.rng.choice("ab")
        text = self.psks[name] = wg.psk()
        self.w["hub"].set_psk(self.w[name].key, text)
        self.w[name].set_psk(self.w["hub"].key, text)

    def endpoint(self):
        name, n = self.rng.choice((("a", 2), ("b", 3)))
        self.w["hub"].peer(self.w[name].key, [f"10.99.0.{n}/32"], endpoint=f"192.0.2.{n}:51820")

    def roam(self):
        self.w["b"].wg("set", "listen-port", str(self.rng.randrange(20000, 30000)))
        self.hosts["b"].sh(f"ip route replace {HUB} dev eth0 "
                           f"src 192.0.2.{self.rng.choice((3, 103))}")

    def new_session(self):
        """One side forgets the session and all that was learned of the other."""
        name = self.rng.choice("ab")
        d = self.w[name]
        d.wg("set", "peer", self.w["hub"].key.public64, "remove")
        d.peer(self.w["hub"].key, ["10.99.0.1/32"], endpoint=f"{HUB}:51820",
               psk=self.psks.get(name))

    def down_up(self):
        d = self.w[self.rng.choice(("hub", "a", "b"))]
        d.host.ip("link set wg0 down")
        time.sleep(self.rng.random() / 5)
        d.host.ip("link set wg0 up")

    def changes(self):
        todo = []
        while not self.stop.wait(1 + self.rng.random()):
            if not todo:  # all of them, in another order each time
                todo = [self.peers, self.psk, self.endpoint, self.roam, self.new_session,
                        self.down_up, self.peers]
                self.rng.shuffle(todo)
            change = todo.pop()
            change()
            self.count(change.__name__)
            for name in ("a", "b"):
                traffic.until_reaches(self.hosts[name], "10.99.0.1", timeout=RECOVERY_S)

    # ---- watching ----

    def sample(self):
        with self.lock:
            waits, self.waits = sorted(self.waits), []
        s = {"t": round(time.monotonic() - self.begin, 1)}
        for name, d in self.w.items():
            status = dict(line.split(":\t", 1) for line in
                          Path(f"/proc/{d.proc.pid}/status").read_text().splitlines())
            s[name] = {"rss_kb": int(status["VmRSS"].split()[0]),
                       "hwm_kb": int(status["VmHWM"].split()[0]),
                       "threads": int(status["Threads"]),
                       "fds": len(os.listdir(f"/proc/{d.proc.pid}/fd")),
                       "drops": d.drops()}
        if waits:
            s["ping_ms"] = {"p50": waits[len(waits) // 2], "p99": waits[len(waits) * 99 // 100],
                            "max": waits[-1]}
        self.samples.append(s)

    def guard(self, what, *args):
        try:
            what(*args)
        except Exception as e:
            if not self.stop.is_set():
                self.wrong.append(f"{what.__name__}: {e!r}\n{traceback.format_exc()}")
            self.stop.set()

    def run(self):
        self.build()
        self.echo = {}
        for size in (64, 1400):
            server = traffic.UdpEcho(self.hosts["hub"], "10.99.0.1")
            server.got = type("Nothing", (), {"append": staticmethod(lambda x: None)})
            self.echo[size] = server.port
        loads = [(self.tcp, "a", "hub", "10.99.0.1"), (self.tcp, "hub", "a", "10.99.0.2"),
                 (self.udp, "b", 64, 500), (self.udp, "b", 1400, 200), (self.ping, "a"),
                 (self.ping, "b"), (self.hostile,), (self.changes,)]
        threads = [threading.Thread(target=self.guard, args=load, daemon=True) for load in loads]
        self.begin = time.monotonic()
        for t in threads:
            t.start()
        every = max(.5, self.seconds / 600)
        try:
            while time.monotonic() - self.begin < self.seconds and not self.stop.wait(every):
                self.sample()
        finally:
            self.stop.set()
        end = time.monotonic() + 180
        for t in threads:
            t.join(max(0, end - time.monotonic()))
            if t.is_alive():
                self.wrong.append("a load did not end")
                break
        for name in ("a", "b"):  # when all is over, it works
            traffic.until_reaches(self.hosts[name], "10.99.0.1", timeout=RECOVERY_S)

    # ---- the verdict ----

    def judge(self):
        """Adds to what is wrong. Returns the figures that were judged."""
        figures = {}
        after = [s for s in self.samples if s["t"] > self.seconds / 4]
        third = len(after) // 3
        if third < 2:
            self.wrong.append("too few samples for a verdict")
            return figures
        first, last = after[:third], after[-third:]
        for name in self.w:
            was = max(s[name]["rss_kb"] for s in first) / 1024
            now = max(s[name]["rss_kb"] for s in last) / 1024
            high = self.samples[-1][name]["hwm_kb"] / 1024
            figures[name] = {"rss_mb_first": round(was, 1), "rss_mb_last": round(now, 1),
                             "high_water_mb": round(high, 1)}
            if now > was + max(GROWTH_MB, GROWTH * was):
                self.wrong.append(f"{name}: resident memory grew from {was:.1f} to {now:.1f} MB")
            if high > HIGH_WATER_MB:
                self.wrong.append(f"{name}: {high:.1f} MB at most, over {HIGH_WATER_MB}")
            for what in ("fds", "threads"):
                was, now = (max(s[name][what] for s in x) for x in (first, last))
                figures[name][what] = now
                if now > was + (2 if what == "fds" else 0):  # a client of the control socket
                    self.wrong.append(f"{name}: {what} grew from {was} to {now}")
        for what in ("tcp a to hub, MB", "tcp hub to a, MB", "udp 64 answered",
                     "udp 1400 answered", "pings answered", "sessions by hand"):
            if not self.counts.get(what):
                self.wrong.append(f"no {what}")
        return figures


def svg(samples, names):
    """Resident memory of each daemon and the pings' p99 over time."""
    width, height, left = 760, 180, 50
    end = max(s["t"] for s in samples) or 1
    series = [("resident memory, MB", {n: [(s["t"], s[n]["rss_kb"] / 1024) for s in samples]
                                       for n in names}),
              ("ping under load, ms", {k: [(s["t"], s["ping_ms"][k]) for s in samples
                                           if "ping_ms" in s] for k in ("p50", "p99")})]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" '
           f'height="{len(series) * (height + 50)}" font-family="sans-serif" font-size="12">',
           "<!-- SPDX-License-Identifier: Apache-2.0 -->",
           '<rect width="100%" height="100%" fill="white"/>']
    for i, (title, lines) in enumerate(series):
        top = 30 + i * (height + 50)
        high = max((v for line in lines.values() for _, v in line), default=1) * 1.1 or 1
        out.append(f'<text x="{left}" y="{top - 10}">{title} (0 to {high:.1f}), over '
                   f'{end:.0f} s</text><rect x="{left}" y="{top}" width="{width - left - 20}" '
                   f'height="{height}" fill="none" stroke="#999"/>')
        for (name, line), color in zip(lines.items(), ("#0a58ca", "#b02a37", "#2b8a3e")):
            points = " ".join(f"{left + t / end * (width - left - 20):.1f},"
                              f"{top + height - v / high * height:.1f}" for t, v in line)
            out.append(f'<polyline points="{points}" fill="none" stroke="{color}"/>')
            at = list(lines).index(name)
            out.append(f'<text x="{left + 10 + 60 * at}" y="{top + 15}" fill="{color}">{name}'
                       "</text>")
    return "\n".join(out + ["</svg>"]) + "\n"


def main():
    ap = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    ap.add_argument("--seconds", type=int, default=3600)
    ap.add_argument("--seed", type=int, default=None)
    ap.add_argument("--out", default=str(TOP / "build" / "soak"))
    a = ap.parse_args()
    if os.geteuid():
        print("soak: needs root, for network namespaces", file=sys.stderr)
        return 2
    if a.seconds < 10:
        print("soak: --seconds is at least 10", file=sys.stderr)
        return 2
    seed = a.seed if a.seed is not None else random.SystemRandom().randrange(1 << 32)
    print(f"soak: {a.seconds} s, seed {seed}", flush=True)
    s = Soak(a.seconds, seed)
    figures = {}
    try:
        s.run()
        figures = s.judge()
    except KeyboardInterrupt:
        s.wrong.append("interrupted")
    except Exception as e:
        s.wrong.append(f"{e!r}\n{traceback.format_exc()}")
    finally:
        s.stop.set()
        s.wrong += s.net.close()
    out = Path(a.out)
    out.mkdir(parents=True, exist_ok=True)
    (out / "soak.json").write_text(json.dumps(
        {"seconds": a.seconds, "seed": seed, "wrong": s.wrong, "figures": figures,
         "counts": s.counts, "samples": s.samples}, indent=1) + "\n")
    if s.samples:
        (out / "soak.svg").write_text(svg(s.samples, list(s.w)))
    for what, n in sorted(s.counts.items()):
        print(f"  {what:24} {n}")
    for name, f in figures.items():
        print(f"  {name:4} " + ", ".join(f"{k} {v}" for k, v in f.items()))
    if s.samples:
        print("  drops of the hub: " + ", ".join(
            f"{k.removeprefix('weft_drop_')} {v}" for k, v in s.samples[-1]["hub"]["drops"].items()))
    print("soak: steady" if not s.wrong else "soak: NOT steady\n" + "\n".join(s.wrong), flush=True)
    return 1 if s.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
