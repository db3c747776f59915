# SPDX-License-Identifier: Apache-2.0
# Threads: where they run, and more of them than the machine has processors: bulk, order within a flow, flows over queues, keys,
# going down and ending while busy.
import os
import re
import signal
import socket
import struct
import threading
import time

import pytest

from conftest import DUT, OTHER
from lib import proc, traffic, wait, wg
from test_memory import find, plain_build, session_keys  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(DUT != "weftd", reason="weftd's own switch")

MB = 1 << 20
UDP_SEGMENT, SOL_UDP = 103, 17


def threads(n):
    return ("--workers", str(n))


def names(daemon):
    """Its data threads by name, with how often each went to sleep."""
    return {s["Name"]: int(s["voluntary_ctxt_switches"])
            for s in proc.thread_status(daemon.proc.pid) if re.match("weftd-[rt]x", s["Name"])}


@pytest.mark.parametrize("n, tx, rx", [(2, 1, 1), (3, 1, 2), (4, 2, 2), (16, 8, 8)])
def test_names(net, n, tx, rx):
    """So many as were asked for, half of them to send, and as many queues."""
    h = net.host()
    d = wg.Daemon(h, DUT, args=threads(n)).setup(["10.0.0.1/24"])
    kinds = [name[6:8] for name in names(d)]
    assert (kinds.count("tx"), kinds.count("rx")) == (tx, rx)
    shown = h.run("ip", "-d", "link", "show", "wg0").stdout
    assert (f"numqueues {tx} " in shown) if tx > 1 else ("multi_queue" not in shown)


def test_as_many_as_processors(net):
    """Unasked, as many as the process may run on, and at least two."""
    h = net.host()
    first = str(sorted(os.sched_getaffinity(0))[0])
    with open(net.file("log"), "w") as out:
        p = h.popen("taskset", "-c", first, wg.PROGRAMS[DUT](), "-f", "wg0", stdout=out, stderr=out)
    wait.until(lambda: wg.pid_of_socket(h, "wg0"), "it listens")
    kinds = [s["Name"] for s in proc.thread_status(p.pid) if re.match("weftd-[rt]x", s["Name"])]
    assert sorted(kinds) == ["weftd-rx", "weftd-tx"]
    p.send_signal(signal.SIGTERM)
    assert p.wait(60) == 0


@pytest.mark.parametrize("value", ["0", "1", "17", "-2", "4x", "", "two"])
def test_refused(net, value):
    done = net.host().run(wg.PROGRAMS[DUT](), "--workers", value, "wg0", check=False)
    assert done.returncode == 1
    assert "--workers takes a number from 2 to 16" in done.stderr


@pytest.mark.parametrize("which", ["first", "last", "all"])
def test_cpus(net, which):
    """All threads run on the processors of the list alone, and are as many as those want; wherever
    it was started."""
    h = net.host()
    cpus = sorted(os.sched_getaffinity(0))
    chosen = {"first": cpus[:1], "last": cpus[-1:], "all": cpus}[which]
    text = ",".join(map(str, chosen))
    with open(net.file("log"), "w") as out:
        p = h.popen("taskset", "-c", str(cpus[0]), wg.PROGRAMS[DUT](), "-f", "--cpus", text, "wg0",
                    stdout=out, stderr=out)
    wait.until(lambda: wg.pid_of_socket(h, "wg0"), "it listens")
    for tid in os.listdir(f"/proc/{p.pid}/task"):
        assert sorted(os.sched_getaffinity(int(tid))) == chosen
    workers = [s for s in proc.thread_status(p.pid) if re.match("weftd-[rt]x", s["Name"])]
    assert len(workers) == min(16, max(2, (len(chosen) + 1) // 2 * 2))
    p.send_signal(signal.SIGTERM)
    assert p.wait(60) == 0


@pytest.mark.parametrize("value, said", [
    ("", "--cpus takes a list of processors as in 0-3,5, not ''"),
    ("3-1", "--cpus takes a list of processors as in 0-3,5, not '3-1'"),
    ("0-3:2", "not '0-3:2'"), ("1024", "not '1024'"),
    ("0,1023", "--cpus: 1023 not to be had, there are "),
])
def test_cpus_refused(net, value, said):
    h = net.host()
    done = h.run(wg.PROGRAMS[DUT](), "--cpus", value, "wg0", check=False)
    assert done.returncode == 1 and said in done.stderr
    assert h.run("ip", "link", "show", "wg0", check=False).returncode != 0


@pytest.mark.parametrize("n", [3, 4, 8])
@pytest.mark.parametrize("impl_b", dict.fromkeys([DUT, OTHER]))
def test_bulk(pair, impl_b, n):
    """TCP both ways, one after the other and at once."""
    args = threads(n)
    p = pair(DUT, impl_b, args_a=args, args_b=args if impl_b == DUT else ()).connect()
    traffic.tcp(p.a, p.b, p.b4, 16 * MB)
    traffic.tcp(p.b, p.a, p.a6, 16 * MB)
    streams = [traffic.Tcp(p.a, p.b, p.b6, 8 * MB), traffic.Tcp(p.b, p.a, p.a4, 8 * MB),
               traffic.Tcp(p.a, p.b, p.b4, 8 * MB), traffic.Tcp(p.b, p.a, p.a6, 8 * MB)]
    for s in streams:
        s.done()


@pytest.mark.parametrize("off", ["--no-tun-offload", "--no-udp-offload"])
def test_without_offload(pair, off):
    """Many small slots instead of few large ones."""
    args = threads(8) + (off,)
    p = pair(DUT, DUT, args_a=args, args_b=args).connect()
    traffic.tcp(p.a, p.b, p.b4, 8 * MB)
    traffic.tcp(p.b, p.a, p.a6, 8 * MB)
    assert traffic.ping(p.a, p.b4, count=20).loss == 0


def test_helpers_help(pair):
    """The threads beside the receiver have work when much comes."""
    p = pair(DUT, DUT, args_a=threads(4), args_b=threads(4)).connect()

    def helped():
        before = names(p.wb)["weftd-rx1"]
        for s in [traffic.Tcp(p.a, p.b, p.b4, 8 * MB) for _ in range(3)]:
            s.done()
        return names(p.wb)["weftd-rx1"] > before + 5
    wait.until(helped, "the second rx thread was woken", 120)


class Stream:
    """Numbered datagrams in trains; what arrives is looked at for its order."""

    def __init__(self, source, target, address, trains, size=1000):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.into = target.socket(family, bind=(address, 0), timeout=1.0)
        self.into.setsockopt(socket.SOL_SOCKET, 33, 8 * MB)  # SO_RCVBUFFORCE
        self.out = source.socket(family)
        self.out.setsockopt(SOL_UDP, UDP_SEGMENT, size)
        self.out.connect(self.into.getsockname())
        self.trains, self.size = trains, size
        self.received, self.backwards = 0, 0
        self.sent = None
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self._send, self._take)]
        for t in self.threads:
            t.start()

    def _send(self):
        a_train, number = 40, 1
        for _ in range(self.trains):
            self.out.send(b"".join(struct.pack("<Q", number + i).ljust(self.size, b"w")
                                   for i in range(a_train)))
            number += a_train
            time.sleep(0.001)  # the others too want to be sent
        self.sent = time.monotonic()

    def _take(self):
        last = 0
        while True:
            try:
                number = struct.unpack_from("<Q", self.into.recv(2048))[0]
            except TimeoutError:
                if self.sent and time.monotonic() > self.sent + 5:
                    return
                continue
            self.received += 1
            self.backwards += number <= last
            last = max(last, number)

    def done(self):
        for t in self.threads:
            t.join(120)
        assert not any(t.is_alive() for t in self.threads)
        return self


@pytest.mark.parametrize("n", [4, 8])
def test_order(pair, n):
    """Datagrams of a flow stay in order, whoever opened them, and whatever is lost. (The kernel's
    own queues may exchange a few when it moves a thread to another processor in between.)"""
    p = pair(DUT, DUT, args_a=threads(n), args_b=threads(n)).connect()
    flows = [Stream(p.a, p.b, p.b4, 250), Stream(p.a, p.b, p.b6, 250, size=1200),
             Stream(p.a, p.b, p.b4, 250, size=200), Stream(p.b, p.a, p.a4, 250)]
    for f in flows:
        f.done()
    for f in flows:
        print(f"received {f.received}, backwards {f.backwards}")
        assert f.received > 1000
        assert f.backwards <= f.received / 100


def test_flows_over_queues(pair):
    """Flows are spread over the sending threads, and stay so when answers come."""
    p = pair(DUT, DUT, args_a=threads(8), args_b=threads(8)).connect()
    echo = traffic.UdpEcho(p.b, p.b4)
    flows = [p.a.socket(timeout=0.2) for _ in range(64)]

    def round_trip():
        before = names(p.wa)
        for k in flows:
            k.sendto(b"weft", (p.b4, echo.port))
        for k in flows:
            try:
                k.recv(64)
            except TimeoutError:
                pass
        after = names(p.wa)
        return {k: after[k] - before[k] for k in after if k.startswith("weftd-tx")}
    for _ in range(5):  # every flow has had answers
        round_trip()
    worked = [round_trip() for _ in range(5)]
    assert len(worked[0]) == 4
    assert all(any(w[k] for w in worked) for k in worked[0]), worked


@pytest.mark.parametrize("kind, tx", [("multi_queue", 4), ("one_queue", 1)])
def test_existing_device(net, kind, tx):
    """A device that was there is taken as it is, and still there afterwards."""
    h = net.host()
    h.run("ip", "tuntap", "add", "wg0", "mode", "tun",
          *(["multi_queue"] if kind == "multi_queue" else []))
    d = wg.Daemon(h, DUT, args=threads(8)).setup(["10.0.0.1/24"])
    assert len([x for x in names(d) if x.startswith("weftd-tx")]) == tx
    again = h.run(wg.PROGRAMS[DUT](), *threads(8), "wg0", check=False)
    assert again.returncode == 1 and "another daemon" in again.stderr
    assert ("event=single_queue" in d.log()) == (tx == 1)
    assert d.stop() == 0
    assert h.run("ip", "link", "show", "wg0").returncode == 0
    assert wg.Daemon(h, DUT, args=threads(2)).stop() == 0


def test_keys_are_forgotten(bench, plain_build):  # noqa: F811
    """No thread keeps a removed peer's keys."""
    t = bench(args=threads(8))
    p, other = t.peer("10.50.0.1/32"), t.peer("10.50.0.3/32")
    for k in range(40):  # flows that go through all threads
        assert t.gets(p, "10.50.0.1") and t.gets(other, "10.50.0.3")
        for i in range(20):
            p.send(p.session.data(traffic.udp_packet("10.50.0.1", 1000 + k, "10.99.0.2", i, b"x")))
    keys = session_keys(p)
    there = find(t.w.proc.pid, keys)
    assert set(there) == set(keys), "the search finds nothing: it could not fail"
    t.w.wg("set", "peer", p.key.public64, "remove")
    wait.until(lambda: not find(t.w.proc.pid, keys), f"the removed peer's keys are gone: {there}",
               step=0.3)
    assert t.gets(other, "10.50.0.3")
    keys = session_keys(other)
    t.b.ip("link set wg0 down")
    wait.until(lambda: not find(t.w.proc.pid, keys), "the other's too, when it goes down",
               step=0.3)


def test_idle_costs_nothing(pair):
    p = pair(DUT, DUT, args_a=threads(8), args_b=threads(8)).connect()
    if len(proc.thread_status(p.wa.proc.pid)) != 9:
        pytest.skip("a sanitizer's thread wakes up by itself")
    traffic.tcp(p.a, p.b, p.b4, 4 * MB)

    def sleeps():
        before = sum(names(p.wa).values())
        time.sleep(1)
        return sum(names(p.wa).values()) - before <= 4
    wait.until(sleeps, "it sleeps", step=0.5)


def test_down_and_up_while_busy(pair):
    p = pair(DUT, DUT, args_a=threads(8), args_b=threads(8)).connect()
    stream = traffic.Tcp(p.a, p.b, p.b4, 1 << 40)
    for _ in range(3):
        at = stream.received
        wait.until(lambda: stream.received > at + MB, "the stream goes on")
        p.b.ip("link set wg0 down")
        p.b.ip("link set wg0 up")
        p.b.ip("route replace 10.99.0.0/24 dev wg0 src 10.99.0.2")
    traffic.until_reaches(p.a, p.b4)
    stream.stop()
    stream.done()


@pytest.mark.parametrize("n", [2, 8])
def test_end_while_busy(pair, n):
    p = pair(DUT, DUT, args_a=threads(n), args_b=threads(n)).connect()
    streams = [traffic.Tcp(p.a, p.b, p.b4, 1 << 40), traffic.Tcp(p.b, p.a, p.a4, 1 << 40)]
    for s in streams:
        wait.until(lambda: s.received > MB, "the stream goes on")
    assert p.wb.stop() == 0
    assert p.wa.stop() == 0
