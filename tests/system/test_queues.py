# SPDX-License-Identifier: Apache-2.0
# Queues under load: a flood to one peer does not shut out another, flows keep their order, and what
# is given up is counted. How short the queues are is the bench's business, not a test's.
import struct
import sys
import threading

import pytest

from conftest import DUT
from lib import traffic, wait, wg

MB = 1 << 20
# 64 datagrams of 100 bytes a call (udp(7), UDP_SEGMENT), in bursts with pauses in between: more
# than one thread encrypts. Without pauses the sender has the processor and keeps the device's own
# ring full, and what the kernel drops there is not weftd's to share out.
FLOOD = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(17, 103, 100)
s.connect((sys.argv[1], 9))
data = bytes(6400)
while True:
    for _ in range(4):
        try:
            s.send(data)
        except OSError:
            pass
    time.sleep(0.0003)
"""


class Star:
    """Host s with peers a and b."""

    def __init__(self, net, names="ab", args=()):
        self.s = net.host("s")
        self.ws = wg.Daemon(self.s, DUT, args=args).setup(["10.99.0.1/24"], port=51820)
        self.hosts, self.daemons = {}, {}
        for n, name in enumerate(names, 2):
            host = self.hosts[name] = net.host(name)
            net.link(self.s, f"eth{n}", [f"192.0.{n}.1/24"], host, "eth0", [f"192.0.{n}.2/24"])
            w = self.daemons[name] = wg.Daemon(host, DUT).setup([f"10.99.0.{n}/24"], port=51820)
            self.ws.peer(w.key, [f"10.99.0.{n}/32"], endpoint=f"192.0.{n}.2:51820")
            w.peer(self.ws.key, ["10.99.0.1/32"], endpoint=f"192.0.{n}.1:51820")
            traffic.until_reaches(self.s, f"10.99.0.{n}")


@pytest.mark.xdist_group("flood")
def test_flood_to_one_peer(net):
    """While one peer is flooded, another is still reached, and all is well when it is over. Shares
    are the fair queue's unit test's: here the device's own ring drops too, for everybody, whenever
    the sending thread has to wait for a processor."""
    t = Star(net)
    # what arrives at b is not the point: opening it would only take the processor from the rest
    t.hosts["b"].run("nft", "add table ip f; add chain ip f i { type filter hook prerouting "
                     "priority -300; }; add rule ip f i iifname eth0 ip length > 200 drop")
    flood = t.s.popen(sys.executable, "-c", FLOOD, "10.99.0.3")
    if t.ws.counts:
        wait.until(lambda: t.ws.counter("tx_queue") > 0, "the flood is more than can be sent")
    for _ in range(3):
        traffic.until_reaches(t.s, "10.99.0.2")
        traffic.until_reaches(t.hosts["a"], "10.99.0.1")
    assert flood.poll() is None
    flood.kill()
    flood.wait()
    traffic.tcp(t.s, t.hosts["a"], "10.99.0.2", 8 * MB)
    traffic.tcp(t.hosts["a"], t.s, "10.99.0.1", 8 * MB)


def test_order_within_flows(net):
    """Numbered datagrams of several flows, beside TCP that fills the tunnel, arrive in order."""
    t = Star(net)
    bulk = traffic.Tcp(t.s, t.hosts["a"], "10.99.0.2", 1 << 40)
    wait.until(lambda: bulk.received > 4 * MB, "the stream runs")
    arrived = {}

    def receive(sock):
        last, n = -1, 0
        while True:
            try:
                seq, = struct.unpack("!Q", sock.recv(65535)[:8])
            except OSError:
                return
            if seq == 2 ** 64 - 1:
                continue
            if seq <= last:
                arrived[sock] = f"{seq} came after {last}"
                return
            last, n = seq, n + 1
            arrived[sock] = n
    flows = []
    for size in (8, 100, 1000, 1392, 4000):
        into = t.hosts["a"].socket(bind=("10.99.0.2", 0), timeout=60)
        out = t.s.socket()
        out.connect(into.getsockname())
        flows.append((size, into, out))
        threading.Thread(target=receive, args=(into,), daemon=True).start()
    for seq in range(4000):
        for size, _, out in flows:
            out.send(struct.pack("!Q", seq) + bytes(size - 8))
    wait.until(lambda: len(arrived) == len(flows), "something of each flow arrives")
    bulk.stop()
    bulk.done()
    wrong = [x for x in arrived.values() if isinstance(x, str)]
    assert not wrong, wrong
