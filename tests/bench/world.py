# SPDX-License-Identifier: Apache-2.0
"""Namespaces, wires and daemons to measure in. Knows nothing of what is measured.

A Pair is two hosts on a wire with a tunnel between them; a Hub is two spokes and the hub that
forwards between them. Both clean up after themselves in close(), whatever happened.
"""
import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

HZ = os.sysconf("SC_CLK_TCK")
# what a plain wire does not do: large packets pass it cut into what fits
OFFLOADS = ("tso", "gso", "gro", "tx", "rx", "tx-udp-segmentation", "sg")
INNER = "10.8.0"
PORT = "51820"
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class BenchError(Exception):
    """Something that the bench needs did not work; the text is for the user."""


@dataclass
class Subject:
    """What is measured. `daemon` is its command without the interface, None for the bare wire."""
    name: str
    daemon: list = None
    env: dict = field(default_factory=dict)
    hub_args: list = field(default_factory=list)  # for the daemon on a hub alone


def run(*argv, ns=None, stdin=None, timeout=60, check=True):
    """Runs a command to its end, in a namespace if one is named. Returns what it printed."""
    if ns:
        argv = ("ip", "netns", "exec", ns, *argv)
    try:
        p = subprocess.run(argv, text=True, input=stdin, timeout=timeout, capture_output=True,
                           **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))
    except subprocess.TimeoutExpired:
        raise BenchError(f"no end after {timeout} s: {' '.join(argv)}") from None
    if check and p.returncode:
        raise BenchError(f"{' '.join(argv)}: {(p.stderr or p.stdout).strip()[-500:]}")
    return p.stdout


@contextlib.contextmanager
def undisturbed():
    """Holds signals back until what must not be left half done is done."""
    came = []
    before = {n: signal.signal(n, lambda *_: came.append(1)) for n in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


class World:
    """Namespaces and processes that end with it."""
    count = 0
    standing = []

    def __init__(self, subject):
        World.count += 1
        World.standing.append(self)
        self.tag = f"wb{os.getpid()}"
        self.subject = subject
        self.spaces = []
        self.procs = []
        self.daemons = []
        self.roles = []  # of the daemons, in their order

    def namespace(self):
        name = f"{self.tag}n{World.count}{chr(ord('a') + len(self.spaces))}"
        self.spaces.append(name)
        with undisturbed():
            run("ip", "netns", "add", name)
        run("ip", "link", "set", "lo", "up", ns=name)
        # iperf3 -C sets the algorithm after it has connected: what bbr began as the machine's
        # default, to pace the sender by a timer, would stay.
        run("sysctl", "-q", "-w", "net.ipv4.tcp_congestion_control=reno", ns=name)
        return name

    def wire(self, a, b, net):
        """A veth pair between two namespaces, `net`.1 at a and `net`.2 at b. Returns its names."""
        ends = (f"v{net.split('.')[-1]}a", f"v{net.split('.')[-1]}b")
        run("ip", "link", "add", ends[0], "netns", a, "type", "veth", "peer", ends[1], "netns", b)
        for i, ns in enumerate((a, b)):
            run("ip", "addr", "add", f"{net}.{i + 1}/24", "dev", ends[i], ns=ns)
            run("ip", "link", "set", ends[i], "up", ns=ns)
        return ends

    def start(self, *argv, ns, **kw):
        with undisturbed():
            p = subprocess.Popen(["ip", "netns", "exec", ns, *argv], stdin=subprocess.DEVNULL, **kw)
            self.procs.append(p)
        return p

    def stop(self, p):
        """Ends a process that start() began, by force if it does not listen."""
        if p.poll() is None:
            p.terminate()
        try:
            p.wait(5)
        except subprocess.TimeoutExpired:
            p.kill()
            p.wait()
        self.procs.remove(p)

    def daemon(self, ns, role, *args):
        """Starts the subject's daemon. Returns its interface's name."""
        name = f"{self.tag}w{len(self.daemons)}"
        p = self.start(*self.subject.daemon, *args, "-f", name, ns=ns, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL,
                       env={**os.environ, "LOG_LEVEL": "error", **self.subject.env})
        deadline = time.monotonic() + 20
        while subprocess.run(["wg", "show", name], capture_output=True).returncode:
            if time.monotonic() > deadline or p.poll() is not None:
                raise BenchError(f"{self.subject.name} did not come up ({self.subject.daemon[0]})")
            time.sleep(0.05)
        self.daemons.append(p)
        self.roles.append(role)
        return name

    def configure(self, name, key, peers):
        """peers: (public key, allowed IPs, endpoint or None)"""
        argv = ["wg", "set", name, "private-key", "/dev/stdin", "listen-port", PORT]
        for public, allowed, endpoint in peers:
            argv += ["peer", public, "allowed-ips", allowed]
            argv += ["endpoint", endpoint] if endpoint else []
        run(*argv, stdin=key)

    def address(self, ns, name, host):
        run("ip", "addr", "add", f"{INNER}.{host}/24", "dev", name, ns=ns)
        run("ip", "link", "set", name, "mtu", "1420", "up", ns=ns)

    def reach(self, ns, address):
        deadline = time.monotonic() + 20
        while "1 received" not in run("ping", "-c", "1", "-W", "1", address, ns=ns, check=False):
            if time.monotonic() > deadline:
                raise BenchError(f"{self.subject.name}: no ping comes through to {address}")

    def offloads(self, ns, device, on):
        """Switches a veth end's offloads; what a kernel does not have or fixes is passed over."""
        for feature in OFFLOADS:
            run("ethtool", "-K", device, feature, "on" if on else "off", ns=ns, check=False)
        said = run("ethtool", "-k", device, ns=ns)
        if not on and "tcp-segmentation-offload: on" in said:
            raise BenchError(f"the offloads of {device} cannot be switched off")

    def close(self):
        """Takes everything down. A signal waits until that is done."""
        with undisturbed():
            self.take_down()

    def take_down(self):
        for p in reversed(self.procs):
            try:
                p.terminate()
            except OSError:
                pass
        for p in list(self.procs):
            self.stop(p)
        for ns in self.spaces:
            subprocess.run(["ip", "netns", "del", ns], capture_output=True)
        self.spaces, self.procs, self.daemons = [], [], []
        if self in World.standing:
            World.standing.remove(self)

    @staticmethod
    def close_all():
        for w in list(World.standing):
            w.close()

    def __enter__(self):
        try:
            self.build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        self.close()


def keypairs(n):
    keys = [run("wg", "genkey").strip() for _ in range(n)]
    return keys, [run("wg", "pubkey", stdin=k).strip() for k in keys]


class Pair(World):
    """a and b on one wire; `target` is b as a reaches it: through the tunnel if there is one."""

    def build(self):
        self.a, self.b = self.namespace(), self.namespace()
        self.veth = self.wire(self.a, self.b, "10.9.0")
        self.target = "10.9.0.2"
        if self.subject.daemon:
            keys, publics = keypairs(2)
            for i, ns in enumerate((self.a, self.b)):
                name = self.daemon(ns, ("sender", "receiver")[i])
                self.configure(name, keys[i], [
                    (publics[1 - i], f"{INNER}.0/24", f"10.9.0.{2 - i}:{PORT}")])
                self.address(ns, name, i + 1)
            self.target = f"{INNER}.2"
        self.reach(self.a, self.target)

    def plain_wire(self, plain):
        for ns, device in zip((self.a, self.b), self.veth):
            self.offloads(ns, device, not plain)


class Hub(World):
    """Spokes a and b, and a hub between them on a wire to each."""

    def build(self):
        self.a, self.hub, self.b = self.namespace(), self.namespace(), self.namespace()
        self.wire(self.a, self.hub, "10.9.1")
        self.wire(self.b, self.hub, "10.9.2")
        run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1", ns=self.hub)
        if self.subject.daemon:
            self.tunnels()
            self.target = f"{INNER}.3"
        else:
            for ns, net in ((self.a, "10.9.1"), (self.b, "10.9.2")):
                run("ip", "route", "add", "default", "via", f"{net}.2", ns=ns)
            self.target = "10.9.2.1"
        self.reach(self.a, self.target)

    def tunnels(self):
        keys, publics = keypairs(3)
        hub = self.daemon(self.hub, "hub", *self.subject.hub_args)
        self.configure(hub, keys[0], [(publics[1], f"{INNER}.2/32", None),
                                      (publics[2], f"{INNER}.3/32", None)])
        self.address(self.hub, hub, 1)
        for i, (ns, net) in enumerate(((self.a, "10.9.1"), (self.b, "10.9.2"))):
            name = self.daemon(ns, ("sender", "receiver")[i])
            self.configure(name, keys[i + 1], [
                (publics[0], f"{INNER}.0/24", f"{net}.2:{PORT}")])
            self.address(ns, name, i + 2)
            self.reach(ns, f"{INNER}.1")


def which(program):
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


# What the machine says of itself.

def cpu_times():
    """(busy, stolen, all) seconds of all CPUs since the start."""
    f = [int(x) for x in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(f) - f[3] - f[4] - f[7]) / HZ, f[7] / HZ, sum(f) / HZ


def others_cpu():
    """{pid: (name, CPU seconds)} of all but this process, what it started, and the kernel.

    Each process counts with those of its children that have ended, so what ends meanwhile is not
    lost: it moves to its parent. Only differences of the sum mean anything.
    """
    parent, used = {}, {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        try:
            name, _, rest = Path(entry.path, "stat").read_text().rpartition(")")
        except OSError:
            continue  # it has just ended
        pid, f = int(entry.name), rest.split()
        parent[pid] = int(f[1])
        used[pid] = name.partition("(")[2], sum(int(x) for x in f[11:15]) / HZ
    mine = {os.getpid(), 2}  # 2 is the kernel's: its threads work for whoever has work

    def is_mine(pid):
        seen = set()
        while pid in parent and pid not in seen:
            if pid in mine:
                return True
            seen.add(pid)
            pid = parent[pid]
        return False

    return {pid: v for pid, v in used.items() if not is_mine(pid)}


def others_since(before, now):
    """CPU seconds of others between two answers of others_cpu(), and the names of the busiest."""
    gone = sum(v for _, v in now.values()) - sum(v for _, v in before.values())
    by_name = {}
    for pid, (name, v) in now.items():
        by_name[name] = by_name.get(name, 0) + v - before.get(pid, (name, 0))[1]
    busiest = sorted(by_name, key=by_name.get, reverse=True)[:2]
    return gone, [n for n in busiest if by_name[n] > 0]


class Watch:
    """What disturbs a measure: other processes, and the machine's host."""
    OTHERS = 0.04  # of the machine's time
    STOLEN = 0.05

    def __init__(self):
        self.others, self.times = others_cpu(), cpu_times()

    def why(self):
        """Says what disturbed since, or None."""
        _, stolen, total = (now - then for now, then in zip(cpu_times(), self.times))
        if total <= 0:
            return None
        others, names = others_since(self.others, others_cpu())
        if others / total > self.OTHERS:
            return (f"other work took {100 * others / total:.0f} % of the machine: "
                    f"{', '.join(names)}")
        if stolen / total > self.STOLEN:
            return f"{100 * stolen / total:.0f} % of the machine's time was stolen by its host"
        return None


def process_cpu(pid):
    """CPU seconds of a process and its threads."""
    try:
        f = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError as e:
        raise BenchError(f"a daemon ended while it was measured ({e})") from None
    return (int(f[11]) + int(f[12])) / HZ


def high_water_mb(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    raise BenchError(f"no VmHWM of process {pid}")
