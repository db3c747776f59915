# SPDX-License-Identifier: Apache-2.0
# A hub's fast path: what goes from spoke to spoke past the host, what must not, and what the spokes
# see of it. Which way a packet took is told by the counters: weftd's own, and the interface's, which
# sees only what went through the host.
import socket
import struct

import pytest

from conftest import DUT
from lib import traffic, wait, wg

pytestmark = pytest.mark.skipif(DUT != "weftd", reason="only weftd relays")

FAST = ("--relay", "fast")


class Hub:
    """A weftd with spokes made by hand, x and y, each with prefixes of both families."""

    def __init__(self, bench, args=FAST, forward=True, mtu=None, x=(), y=(), y_connects=True):
        self.t = bench(args=args, mtu=mtu)
        self.b, self.w = self.t.b, self.t.w
        if forward:
            self.b.forward()
        self.x = self.t.peer("10.50.1.0/24", "fd50:1::/64", *x)
        self.y = self.t.peer("10.50.2.0/24", "fd50:2::/64", *y, connect=y_connects)

    def send(self, packet, peer=None):
        peer = peer or self.x
        peer.send(peer.session.data(packet))

    def relayed(self):
        return self.w.counter("relayed_pkts")

    def through_host(self):
        """Packets that weftd gave to the host."""
        return int(self.b.run("cat", "/sys/class/net/wg0/statistics/rx_packets").stdout)

    def until_through_host(self, packet):
        """The packet takes the way through the host, and is not relayed besides."""
        before, relayed = self.through_host(), self.relayed()
        self.send(packet)
        wait.until(lambda: self.through_host() > before, "the host has the packet")
        assert self.relayed() == relayed

    def get(self, peer, what, timeout=30.0):
        """The next packet to the peer for which `what` is true."""
        def take():
            inner = unpadded(peer.inner(timeout=1))
            return inner if inner and what(inner) else None
        return wait.until(take, "the packet arrives", timeout)


def unpadded(inner):
    """Without what the tunnel added to it, as its header says."""
    if not inner:
        return inner
    v6 = inner[0] >> 4 == 6
    return inner[:40 + struct.unpack("!H", inner[4:6])[0] if v6
                 else struct.unpack("!H", inner[2:4])[0]]


def udp(dst, src=None, payload=b"relayed", ttl=64, frag=0, tos=0, size=None):
    src = src or ("fd50:1::1" if ":" in dst else "10.50.1.1")
    if size:
        payload = bytes(size - (40 if ":" in dst else 20) - 8)
    datagram = traffic.udp(src, 9, dst, 9, payload)
    if ":" in dst:
        return traffic.ipv6(src, dst, 17, datagram, hops=ttl, tos=tos)
    return traffic.ipv4(src, dst, 17, datagram, ttl=ttl, frag=frag, tos=tos)


DF = 0x4000


@pytest.mark.parametrize("dst", ["10.50.2.1", "fd50:2::1"])
def test_goes_across(bench, dst):
    """As a router would forward it: hop limit lowered, all else as it was, ECN included."""
    hub = Hub(bench)
    hub.send(udp(dst, tos=2))
    assert hub.get(hub.y, lambda p: b"relayed" in p) == udp(dst, ttl=63, tos=2)
    assert hub.relayed() == 1
    assert hub.w.counter("relayed_bytes") == len(udp(dst))
    assert hub.through_host() == 0


@pytest.mark.parametrize("dst", ["10.50.2.1", "fd50:2::1"])
def test_off_by_default(bench, dst):
    hub = Hub(bench, args=())
    hub.send(udp(dst))
    assert hub.get(hub.y, lambda p: b"relayed" in p) == udp(dst, ttl=63)
    assert hub.relayed() == 0 and hub.through_host() > 0


@pytest.mark.parametrize("dst, source, kind", [("10.50.2.1", "10.99.0.2", b"\x0b\0"),
                                               ("fd50:2::1", "fd99::2", b"\x03\0")])
def test_hop_limit(bench, dst, source, kind):
    """The last hop is told of by the hub, from its address in the tunnel."""
    hub = Hub(bench)
    packet = udp(dst, ttl=1)
    hub.send(packet)
    answer = hub.get(hub.x, lambda p: True)
    head = 40 if ":" in dst else 20
    assert answer[head:head + 2] == kind
    assert answer[head + 8:] == packet
    family = socket.AF_INET6 if ":" in dst else socket.AF_INET
    at = 8 if ":" in dst else 12
    assert socket.inet_ntop(family, answer[at:at + len(socket.inet_pton(family, dst))]) == source
    hub.w.wait_counter("relay_ttl", 1)
    assert hub.relayed() == 0 and hub.through_host() == 0


@pytest.mark.parametrize("dst", ["10.50.2.1", "fd50:2::1"])
def test_mtu(bench, dst):
    """What does not fit and may not be cut is refused with the MTU; what just fits goes."""
    hub = Hub(bench, mtu=1300)
    v6 = ":" in dst
    hub.send(udp(dst, size=1301, frag=DF))
    answer = hub.get(hub.x, lambda p: True)
    if v6:
        assert answer[40:42] == b"\2\0" and struct.unpack("!I", answer[44:48])[0] == 1300
    else:
        assert answer[20:22] == b"\3\4" and struct.unpack("!H", answer[26:28])[0] == 1300
    hub.w.wait_counter("relay_mtu", 1)
    hub.send(udp(dst, size=1300, frag=DF))
    assert len(hub.get(hub.y, lambda p: True)) == 1300
    assert hub.relayed() == 1 and hub.through_host() == 0


def test_fragmenting_is_the_hosts(bench):
    hub = Hub(bench, mtu=1300)
    hub.until_through_host(udp("10.50.2.1", size=1400))
    assert hub.get(hub.y, lambda p: p[6] & 0x20)[9] == 17


def test_mtu_of_a_route(bench):
    hub = Hub(bench)
    hub.b.ip("route add 10.50.2.0/25 dev wg0 mtu 1000")
    hub.send(udp("10.50.2.200", size=1001, frag=DF))
    hub.get(hub.y, lambda p: len(p) == 1001)
    hub.send(udp("10.50.2.1", size=1001, frag=DF))
    answer = hub.get(hub.x, lambda p: True)
    assert answer[20:22] == b"\3\4" and struct.unpack("!H", answer[26:28])[0] == 1000


def test_the_host_itself(bench):
    """Not even to a peer that may have every address: also one that the host got just now."""
    hub = Hub(bench, y=("0.0.0.0/0", "::/0"))
    assert hub.t.echo(hub.x, "10.50.1.1") and hub.t.echo(hub.x, "fd50:1::1")
    for own in ("10.99.0.2", "192.0.2.2", "fd99::2", "2001:db8::2"):
        hub.until_through_host(udp(own))
    hub.send(udp("10.50.2.9"))
    hub.get(hub.y, lambda p: b"relayed" in p)
    hub.b.ip("addr add 10.50.2.9/32 dev lo")

    def answered():
        hub.send(traffic.echo_request("10.50.1.1", "10.50.2.9"))
        inner = hub.x.inner(timeout=1)
        return inner is not None and inner[20] == 0
    wait.until(answered, "the host answers for its new address")


def test_what_is_no_hosts_address(bench):
    """Of one link, of many hosts, of none: the host decides (and drops most of it)."""
    hub = Hub(bench, x=("169.254.0.0/16", "fe80::/16"), y=("0.0.0.0/0", "::/0"))
    for dst in ("224.0.0.1", "255.255.255.255", "10.99.0.255", "169.254.1.1", "127.0.0.1",
                "0.0.0.0", "240.0.0.1", "ff02::1", "fe80::5", "::1"):
        hub.until_through_host(udp(dst))
    for src, dst in (("169.254.3.3", "10.50.2.1"), ("fe80::3", "fd50:2::1")):
        hub.until_through_host(udp(dst, src=src))


def test_options_are_the_hosts(bench):
    hub = Hub(bench)
    plain = udp("10.50.2.1")
    head = b"\x46" + plain[1:2] + struct.pack("!H", len(plain) + 4) + plain[4:10] + b"\0\0" + \
        plain[12:20] + b"\1\1\1\0"
    head = head[:10] + struct.pack("!H", traffic.checksum(head)) + head[12:]
    hub.until_through_host(head + plain[20:])
    hop_by_hop = traffic.ipv6("fd50:1::1", "fd50:2::1", 0, b"\x11\0\1\4\0\0\0\0" +
                              traffic.udp("fd50:1::1", 9, "fd50:2::1", 9, b"x"))
    hub.until_through_host(hop_by_hop)
    # a wrong header checksum goes no further than the host
    hub.until_through_host(plain[:10] + bytes([plain[10] ^ 1]) + plain[11:])


def test_routes_decide(bench):
    """A peer may have all addresses, and yet the host's routes lead elsewhere: they count."""
    hub = Hub(bench, y=("0.0.0.0/0", "::/0"))
    hub.b.ip("route add 198.51.100.0/24 via 192.0.2.1", "route add blackhole 10.50.2.128/25",
             "route add unreachable fd50:2::dead:0/112")
    for dst in ("198.51.100.7", "203.0.113.1", "10.50.2.129", "fd50:2::dead:1"):
        hub.until_through_host(udp(dst))
    # a rule by interface and source
    hub.b.ip("rule add iif wg0 from 10.50.1.77 unreachable")
    hub.until_through_host(udp("10.50.2.1", src="10.50.1.77"))
    hub.send(udp("10.50.2.1"))
    hub.get(hub.y, lambda p: b"relayed" in p)
    assert hub.relayed() == 1


@pytest.mark.parametrize("dst, switch", [("10.50.2.1", "net/ipv4/ip_forward"),
                                         ("fd50:2::1", "net/ipv6/conf/all/forwarding")])
def test_only_where_the_host_forwards(bench, dst, switch):
    hub = Hub(bench, forward=False)
    hub.until_through_host(udp(dst))
    hub.b.sysctl(switch, 1)

    def across():
        before = hub.relayed()
        hub.send(udp(dst))
        hub.get(hub.y, lambda p: b"relayed" in p)
        return hub.relayed() > before
    wait.until(across, "it goes across once the host forwards")
    hub.b.sysctl(switch, 0)

    def at_the_host():
        before = hub.through_host()
        hub.send(udp(dst))
        return hub.through_host() > before
    wait.until(at_the_host, "it does not once the host no longer forwards")


def test_same_peer(bench):
    """Back to where it came from: the host's matter (it may redirect, or forward it back)."""
    hub = Hub(bench)
    hub.until_through_host(udp("10.50.1.2"))


def test_source_check(bench):
    hub = Hub(bench)
    for spoofed, dst in (("10.50.2.7", "10.50.2.1"), ("10.99.0.2", "10.50.2.1"),
                         ("fd50:2::7", "fd50:2::1")):
        hub.send(udp(dst, src=spoofed))
    hub.w.wait_counter("rx_allowed_ips", 3)
    hub.send(udp("10.50.2.1", payload=b"honest"))
    assert b"honest" in hub.get(hub.y, lambda p: True)
    assert hub.relayed() == 1 and hub.through_host() == 0


def test_waits_for_a_session(bench):
    """Without a session what comes first waits, and arrives."""
    hub = Hub(bench, y_connects=False)
    hub.y.sock.bind(("192.0.2.1", 0))
    hub.w.peer(hub.y.key, ["10.50.2.0/24"],
               endpoint=f"192.0.2.1:{hub.y.sock.getsockname()[1]}")
    for i in range(5):
        hub.send(udp("10.50.2.1", payload=b"waits%d" % i))
    hub.y.answer()
    for i in range(5):
        assert b"waits%d" % i in hub.get(hub.y, lambda p: True)
    assert hub.through_host() == 0


def test_unreachable_peer(bench):
    """A peer without an endpoint: the host's way ends in the error that is due."""
    hub = Hub(bench, y_connects=False)
    hub.send(udp("10.50.2.1"))
    assert hub.get(hub.x, lambda p: True)[20:22] == b"\3\1"
    assert hub.relayed() == 0


def test_follows_the_sender(bench):
    """A relayed packet moves its sender's endpoint like any other, and the answer goes there."""
    hub = Hub(bench)
    hub.x.sock = hub.t.x.socket(socket.AF_INET)
    hub.send(udp("10.50.2.1"))
    hub.get(hub.y, lambda p: b"relayed" in p)
    here = f"192.0.2.1:{hub.x.sock.getsockname()[1]}"
    assert hub.w.endpoint_of(hub.x.key) == here
    hub.send(udp("10.50.1.1", src="10.50.2.1", payload=b"back"), hub.y)
    assert b"back" in hub.get(hub.x, lambda p: True)


def weft(hub, *args, input=None, check=True):
    return hub.b.run(wg.weft(), *args, input=input, check=check)


def test_configuration(bench):
    """On and off while it runs, by weft and UAPI; wg sees nothing of it and is not disturbed."""
    hub = Hub(bench, args=())
    before = hub.w.wg("show", "dump").stdout.split("\t")[:4]
    assert "relay" not in weft(hub, "show", "wg0").stdout
    assert '"relay"' not in weft(hub, "show", "wg0", "--json").stdout
    assert "weft_relay" not in hub.w.get()[0]
    weft(hub, "set", "wg0", "relay", "fast")
    hub.send(udp("10.50.2.1"))
    hub.get(hub.y, lambda p: b"relayed" in p)
    assert hub.relayed() == 1
    assert "relay: fast" in weft(hub, "show", "wg0").stdout
    assert '"relay":"fast"' in weft(hub, "show", "wg0", "--json").stdout.replace(" ", "")
    assert hub.w.get()[0]["weft_relay"] == "fast"
    assert hub.w.wg("show", "dump").stdout.split("\t")[:4] == before
    assert "elay" not in hub.w.wg("showconf").stdout + hub.w.wg("show").stdout
    conf = weft(hub, "showconf", "wg0").stdout
    assert "\nRelay = fast\n" in conf
    # a change of something else leaves it, and what it does not know is refused
    hub.w.wg("set", "fwmark", "7")
    assert hub.w.get()[0]["weft_relay"] == "fast"
    for bad in ("slow", "", "1", "FAST"):
        assert hub.w.set(f"weft_relay={bad}") != 0
        assert weft(hub, "set", "wg0", "relay", bad, check=False).returncode != 0
    assert hub.w.set("weft_relay=off") == 0
    hub.until_through_host(udp("10.50.2.1"))
    # whole configurations: what a file does not say is off
    for command in ("setconf", "syncconf"):
        for text, on in ((conf, True), (conf.replace("Relay = fast\n", ""), False),
                         (conf, True), (conf.replace("Relay = fast", "Relay = off"), False)):
            weft(hub, command, "wg0", "/dev/stdin", input=text)
            assert (hub.w.get()[0].get("weft_relay") == "fast") == on, (command, on)
    weft(hub, "addconf", "wg0", "/dev/stdin", input="[Interface]\nRelay = fast\n")
    weft(hub, "addconf", "wg0", "/dev/stdin", input="[Interface]\nFwMark = 9\n")
    assert hub.w.get()[0]["weft_relay"] == "fast"
    hub.w.wg("setconf", "/dev/stdin", input=hub.w.wg("showconf").stdout)
    assert "weft_relay" not in hub.w.get()[0]
    assert hub.w.wg("setconf", "/dev/stdin", input=conf, check=False).returncode != 0


def test_default_of_the_daemon(bench):
    """weftd --relay fast: stays where a configuration does not say otherwise, wg's neither."""
    hub = Hub(bench)
    for command in (["wg"], [wg.weft()]):
        hub.b.run(*command, "setconf", "wg0", "/dev/stdin", input=hub.w.wg("showconf").stdout)
        assert hub.w.get()[0]["weft_relay"] == "fast"
        hub.b.run(*command, "syncconf", "wg0", "/dev/stdin", input=hub.w.wg("showconf").stdout)
        assert hub.w.get()[0]["weft_relay"] == "fast"
    weft(hub, "setconf", "wg0", "/dev/stdin",
         input=hub.w.wg("showconf").stdout.replace("[Interface]", "[Interface]\nRelay = off"))
    assert "weft_relay" not in hub.w.get()[0]


@pytest.mark.parametrize("args", [FAST, ()], ids=["fast", "host"])
def test_spokes(net, args):
    """Three daemons on two wires: TCP both ways and families, its content whole; ping at a hub's
    last hop; a spoke that moves goes on."""
    hub, a, b = net.host("hub"), net.host("a"), net.host("b")
    net.link(a, "eth0", ["192.0.2.1/24"], hub, "eth1", ["192.0.2.254/24"])
    net.link(b, "eth0", ["198.51.100.1/24"], hub, "eth2", ["198.51.100.254/24"])
    hub.forward()
    w = wg.Daemon(hub, DUT, args=args)
    w.setup(["10.99.0.254/24", "fd99::254/64"], port=51820)
    spokes = []
    for n, (host, gateway) in enumerate(((a, "192.0.2.254"), (b, "198.51.100.254")), 1):
        s = wg.Daemon(host, DUT)
        s.setup([f"10.99.0.{n}/24", f"fd99::{n}/64"], port=51820)
        s.peer(w.key, ["10.99.0.0/24", "fd99::/64"], endpoint=f"{gateway}:51820", keepalive=1)
        w.peer(s.key, [f"10.99.0.{n}/32", f"fd99::{n}/128"])
        spokes.append(s)
    traffic.until_reaches(a, "10.99.0.2")
    traffic.until_reaches(b, "fd99::1")
    for address in ("10.99.0.2", "fd99::2"):
        assert traffic.ping(a, address, size=1000, df=True).loss == 0
        traffic.tcp(a, b, address, 32 << 20)
    traffic.tcp(b, a, "10.99.0.1", 32 << 20)
    a.ip("addr add 192.0.2.77/24 dev eth0", "addr del 192.0.2.1/24 dev eth0")
    traffic.until_reaches(a, "10.99.0.2")
    assert w.endpoint_of(spokes[0].key) == "192.0.2.77:51820"
    assert traffic.ping(b, "10.99.0.1").loss == 0
    told = a.run("ping", "-n", "-c", "1", "-W", "30", "-t", "1", "10.99.0.2", check=False).stdout
    assert "From 10.99.0.254" in told and "Time to live exceeded" in told
    if args:
        assert w.counter("relayed_bytes") > 96 << 20
        assert w.counter("relay_ttl") >= 1
    else:
        assert w.counter("relayed_pkts") == 0
