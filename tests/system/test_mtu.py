# SPDX-License-Identifier: Apache-2.0
# Paths that carry less than the interfaces at their ends: what weftd finds out, and what becomes of
# packets that are too long. Between a and the others is a router; its link to each may be narrow.
import json
import socket

import pytest

from conftest import DUT, OTHER
from lib import traffic, wait, wg

pytestmark = pytest.mark.skipif(DUT != "weftd", reason="only weftd measures paths")

OVERHEAD = {4: 60, 6: 80}
UNKNOWN, SEARCHING, MEASURED, BLACK_HOLE, UNANSWERED = range(5)


def carries(path, outer, link=1420):
    """What probing finds on a path of so many bytes: all of it, the tunnel's MTU, or whole steps."""
    inner = path - OVERHEAD[outer]
    return inner if inner in (1500 - OVERHEAD[outer], link) else inner // 16 * 16


class World:
    """a and, behind a router, b (and c): the link between router and each has an MTU of its own."""

    def __init__(self, net, paths, outer=4, impl=DUT, icmp=True, mtu=1420, allowed=None):
        self.net, self.outer = net, outer
        self.a, self.r = net.host("a"), net.host("r")
        self.r.forward()
        net.link(self.a, "eth0", ["192.0.2.1/24", "2001:db8::1/64"],
                 self.r, "in0", ["192.0.2.254/24", "2001:db8::fe/64"])
        self.a.ip("route add default via 192.0.2.254", "route add default via 2001:db8::fe")
        if not icmp:
            self.r.run("nft", "-f", "-", input="""
                table inet quiet {
                    chain out {
                        type filter hook output priority 0;
                        icmp type destination-unreachable drop
                        icmpv6 type packet-too-big drop
                    }
                }
                """)
        self.wa = wg.Daemon(self.a, DUT).setup(["10.99.0.1/24", "fd99::1/64"], port=51820, mtu=mtu)
        self.peers = []
        for i, path in enumerate(paths, 2):
            host = net.host("abcd"[i - 1])
            net.link(self.r, f"out{i}", [f"198.51.{i}.254/24", f"2001:db8:{i}::fe/64"],
                     host, "eth0", [f"198.51.{i}.1/24", f"2001:db8:{i}::1/64"])
            self.narrow(i, path)
            host.ip(f"route add default via 198.51.{i}.254",
                    f"route add default via 2001:db8:{i}::fe")
            d = wg.Daemon(host, impl).setup([f"10.99.0.{i}/24", f"fd99::{i}/64"], port=51820,
                                            mtu=mtu)
            d.peer(self.wa.key, ["10.99.0.1/32", "fd99::1/128"])
            self.wa.peer(d.key, allowed or [f"10.99.0.{i}/32", f"fd99::{i}/128"], wg.endpoint(
                f"198.51.{i}.1" if outer == 4 else f"2001:db8:{i}::1", 51820))
            self.peers.append(d)
        assert self.wa.set("weft_path_mtu=probe") == 0

    def narrow(self, i, path):
        # the router's end alone: what comes from b is not measured
        self.r.ip(f"link set out{i} mtu {path}")

    def figure(self, d, name):
        return int(self.wa.peer_state(d.key).get("weft_" + name, 0))

    def state(self, d):
        return self.figure(d, "path_mtu_state")

    def measured(self, d):
        """Waits until the search is over; returns what it found."""
        wait.until(lambda: self.state(d) >= MEASURED, "the path is measured", timeout=120)
        return self.figure(d, "path_mtu")

    def start(self, i=2):
        traffic.until_reaches(self.a, f"10.99.0.{i}")


@pytest.mark.parametrize("impl", [DUT, OTHER])
@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("path", [1500, 1400, 1280])
def test_measures(net, impl, outer, path):
    """Weftd finds what a path carries, whoever the peer is."""
    w = World(net, [path], outer, impl)
    w.start()
    d = w.peers[0]
    assert w.measured(d) == carries(path, outer)
    assert w.state(d) == MEASURED
    assert w.figure(d, "path_mtu_route") == 1500


def test_two_paths(net):
    """Each peer has its own: one is held, the other is not."""
    w = World(net, [1500, 1300])
    w.start(2)
    w.start(3)
    wide, narrow = w.peers
    assert (w.measured(wide), w.measured(narrow)) == (1440, carries(1300, 4))
    # pings that may not be fragmented: as long as goes through, and one byte more
    for address, most in (("10.99.0.2", 1420), ("10.99.0.3", carries(1300, 4))):
        assert traffic.ping(w.a, address, size=most - 28, df=True).received, address
    dropped = w.wa.counter("tx_path_mtu")
    assert not traffic.ping(w.a, "10.99.0.3", count=1, size=carries(1300, 4) - 27, df=True,
                            deadline=2).received
    # the first one was answered by Packet Too Big, and the host knows by then
    assert "mtu 1232" in w.a.ip("route get 10.99.0.3").stdout
    assert w.wa.counter("tx_path_mtu") == dropped + 1
    assert "mtu" not in w.a.ip("route get 10.99.0.2").stdout


@pytest.mark.parametrize("outer", [4, 6])
def test_black_hole(net, outer):
    """A router that says nothing: measured all the same, and told apart."""
    w = World(net, [1400], outer, OTHER, icmp=False)
    w.start()
    d = w.peers[0]
    assert w.measured(d) == carries(1400, outer)
    assert w.state(d) == BLACK_HOLE
    shown = w.a.run(wg.weft(), "mtu", "wg0").stdout
    assert "black hole: packets in the tunnel of more than" in shown
    assert f"path: {carries(1400, outer)} bytes, measured" in shown
    out = json.loads(w.a.run(wg.weft(), "mtu", "--json", "wg0").stdout)
    assert (out["interface"], out["mtu"], out["measures"]) == ("wg0", 1420, True)
    [peer] = out["peers"]
    assert peer["public_key"] == d.key.public64
    assert (peer["route_mtu"], peer["overhead"]) == (1500, OVERHEAD[outer])
    assert (peer["path_mtu"], peer["state"]) == (carries(1400, outer), "black-hole")
    assert len(peer["warnings"]) == 2  # and that the interface's MTU is over it


@pytest.mark.parametrize("inner", [4, 6])
@pytest.mark.parametrize("outer", [4, 6])
def test_tcp_without_fragments(net, outer, inner):
    """TCP gets through a path of 1400 bytes, and no datagram is fragmented for it."""
    w = World(net, [1400], outer)
    w.start()
    w.measured(w.peers[0])
    capture = traffic.Capture(w.peers[0].host, "eth0")
    traffic.tcp(w.a, w.peers[0].host, "10.99.0.2" if inner == 4 else "fd99::2", 4 << 20)
    seen = [p for p in capture.stop() if not p.outgoing]
    assert sum(len(p.data) for p in seen) > 4 << 20
    assert not [p for p in seen if p.fragment]
    assert w.wa.counter("tx_path_mtu") > 0


def test_fragments_without_measuring(net):
    """The same path without probes: the datagrams come in pieces, as of any WireGuard."""
    w = World(net, [1400])
    assert w.wa.set("weft_path_mtu=off") == 0
    w.start()
    capture = traffic.Capture(w.peers[0].host, "eth0")
    traffic.tcp(w.a, w.peers[0].host, "10.99.0.2", 1 << 20)
    assert [p for p in capture.stop() if p.fragment and not p.outgoing]


def udp_error(host, address, size):
    """What a connected UDP socket that must not fragment gets for a datagram of so many bytes:
    the PMTU that it is told of."""
    v6 = ":" in address
    s = host.socket(socket.AF_INET6 if v6 else socket.AF_INET)
    level, discover, mtu = ((socket.IPPROTO_IPV6, 23, 24) if v6 else (socket.IPPROTO_IP, 10, 14))
    s.setsockopt(level, discover, 2)  # PMTUDISC_DO
    s.connect((address, 9))
    s.send(bytes(size))

    def told():
        got = s.getsockopt(level, mtu)
        return got if got < 1420 else None
    return wait.until(told, "the sender is told")


@pytest.mark.parametrize("address", ["10.99.0.2", "fd99::2"])
def test_udp_is_told(net, address):
    w = World(net, [1400])
    w.start()
    most = w.measured(w.peers[0])
    assert udp_error(w.a, address, 1380 - (20 if ":" in address else 0)) == most


def test_udp_without_df(net):
    """IPv4 that may be fragmented is not held: it arrives, in pieces outside."""
    w = World(net, [1400])
    w.start()
    w.measured(w.peers[0])
    b = w.peers[0].host
    here, there = w.a.socket(bind=("10.99.0.1", 0)), b.socket(bind=("10.99.0.2", 0))
    here.setsockopt(socket.IPPROTO_IP, 10, 0)  # PMTUDISC_DONT
    here.sendto(bytes(1390), there.getsockname())
    assert len(there.recv(2000)) == 1390
    assert w.wa.counter("tx_path_mtu") == 0


def test_small_path_and_ipv6(net):
    """A path on which IPv6's 1280 bytes do not fit: they go, in pieces outside."""
    w = World(net, [1300])
    w.start()
    assert w.measured(w.peers[0]) == 1232
    here = w.a.socket(socket.AF_INET6, bind=("fd99::1", 0))
    there = w.peers[0].host.socket(socket.AF_INET6, bind=("fd99::2", 0))
    here.sendto(bytes(1280 - 48), there.getsockname())
    assert len(there.recv(2000)) == 1280 - 48
    assert w.wa.counter("tx_path_mtu") == 0
    assert udp_error(w.a, "fd99::2", 1372) == 1280


def test_answers_do_not_come_out(net):
    """The far side sees pings from our address, nothing of their zeros; ours sees no answer."""
    w = World(net, [1400])
    far, near = traffic.Capture(w.peers[0].host, "wg0"), traffic.Capture(w.a, "wg0")
    w.wa.set(f"public_key={w.peers[0].key.public_hex}", "persistent_keepalive_interval=1")
    assert w.measured(w.peers[0]) == 1328
    pings = [p for p in far.stop() if p.proto in (1, 58)]
    requests = [p for p in pings if not p.outgoing]
    assert len(requests) >= 4
    assert {(p.src, p.dst, len(p.data)) for p in requests} == {("10.99.0.1", "10.99.0.2", 28)}
    assert len(pings) == 2 * len(requests)
    assert not [p for p in near.stop() if not p.outgoing]


def test_whoever_forwards_answers(net):
    """A peer behind whom everything lies: our hop limit ends there, and that is an answer."""
    w = World(net, [1400], impl=OTHER, allowed=["0.0.0.0/0"])
    w.peers[0].host.forward()
    w.peers[0].host.ip("route add default via 198.51.2.254", check=False)
    w.start()
    assert w.measured(w.peers[0]) == 1328


def test_no_answer(net):
    """A peer that answers no ping: the route's MTU holds, and that is said."""
    w = World(net, [1400], impl=OTHER)
    w.start()
    w.wa.set("weft_path_mtu=off")
    w.peers[0].host.sh("echo 1 >/proc/sys/net/ipv4/icmp_echo_ignore_all;"
                       "echo 1 >/proc/sys/net/ipv6/icmp/echo_ignore_all")
    w.wa.set("weft_path_mtu=probe")
    wait.until(lambda: w.state(w.peers[0]) == UNANSWERED, "it is given up", timeout=120)
    assert w.figure(w.peers[0], "path_mtu") == 0
    shown = w.a.run(wg.weft(), "mtu", "wg0").stdout
    assert "path: 1440 bytes, by the route, the peer answers no probe" in shown
    assert "warning" not in shown


def test_route_changes(net):
    """The host's own MTU changes: found out at once, and no datagram is refused."""
    w = World(net, [1500])
    w.start()
    assert w.measured(w.peers[0]) == 1440
    w.a.ip("link set eth0 mtu 1400")
    wait.until(lambda: w.figure(w.peers[0], "path_mtu") == 1340, "measured anew")
    w.a.ip("link set eth0 mtu 1500")
    wait.until(lambda: w.figure(w.peers[0], "path_mtu") == 1440, "and again")
    w.a.ip("route change default via 192.0.2.254 mtu 1300")
    wait.until(lambda: w.figure(w.peers[0], "path_mtu") == 1240, "by the route")


def test_endpoint_changes(net):
    """The peer moves to another path: measured at once."""
    w = World(net, [1300])
    w.start()
    assert w.measured(w.peers[0]) == carries(1300, 4)
    w.narrow(2, 1500)
    w.peers[0].host.ip("addr add 198.51.2.7/24 dev eth0")
    w.wa.peer(w.peers[0].key, ["10.99.0.2/32", "fd99::2/128"], "198.51.2.7:51820")
    wait.until(lambda: w.figure(w.peers[0], "path_mtu") == 1440, "measured anew")


def test_set_and_show(net):
    """weft set, weft show and weft mtu agree; wireguard-go has no such word."""
    a = net.host("a")
    w = wg.Daemon(a, DUT).setup()
    assert "weft_path_mtu" not in w.get()[0]
    a.run(wg.weft(), "set", "wg0", "path-mtu", "probe")
    assert w.get()[0]["weft_path_mtu"] == "probe"
    assert "paths: measured\n" in a.run(wg.weft(), "mtu", "wg0").stdout
    a.run(wg.weft(), "set", "wg0", "path-mtu", "off")
    assert "weft_path_mtu" not in w.get()[0]
    bad = a.run(wg.weft(), "set", "wg0", "path-mtu", "on", check=False)
    assert bad.returncode == 1 and '"probe" or "off"' in bad.stderr
    missing = a.run(wg.weft(), "mtu", "wg7", check=False)
    assert missing.returncode == 1 and "wg7" in missing.stderr
    other = wg.Daemon(a, OTHER, ifname="go0").setup()
    assert a.run(wg.weft(), "set", "go0", "path-mtu", "probe", check=False).returncode == 1
    other.peer(wg.Key(), ["10.0.0.1/32"], "127.0.0.1:9")
    shown = a.run(wg.weft(), "mtu", "go0").stdout
    assert "paths: not measured (only weftd does)" in shown and "route: 65536 bytes" in shown


@pytest.mark.parametrize("impl", [DUT, OTHER])
def test_auto(net, impl):
    """MTU = auto: with weftd the widest route decides, and narrower paths are held; with others the
    narrowest."""
    a, r = net.host("a"), net.host("r")
    net.link(a, "eth0", ["192.0.2.1/24"], r, "eth0", ["192.0.2.254/24"])
    net.link(a, "eth1", ["198.51.100.1/24"], r, "eth1", ["198.51.100.254/24"], mtu=1300)
    key = wg.Key()
    with open(a.path("/etc/wireguard/wg0.conf"), "w") as f:
        f.write(f"[Interface]\nPrivateKey = {key.private64}\nMTU = auto\nBackend = userspace\n"
                f"[Peer]\nPublicKey = {wg.Key().public64}\nEndpoint = 192.0.2.254:1\n"
                f"AllowedIPs = 10.0.0.1\n"
                f"[Peer]\nPublicKey = {wg.Key().public64}\nEndpoint = 198.51.100.254:1\n"
                f"AllowedIPs = 10.0.0.2\n")
    env = {"WG_QUICK_USERSPACE_IMPLEMENTATION": wg.PROGRAMS[impl]()}
    up = a.run(wg.weft(), "up", "wg0", env=env)
    mtu = a.run("cat", "/sys/class/net/wg0/mtu").stdout.strip()
    out = json.loads(a.run(wg.weft(), "mtu", "wg0", "--json").stdout)
    warned = [bool(p["warnings"]) for p in out["peers"]]
    if impl == DUT:
        assert (mtu, out["measures"]) == ("1440", True)
        assert sorted(warned) == [False, True]
        # a reload changes nothing, and takes it back with the line
        assert a.run(wg.weft(), "reload", "-v", "wg0").stderr.count("[#]") == 0
        a.sh("sed -i '/MTU/d' /etc/wireguard/wg0.conf")
        a.run(wg.weft(), "reload", "wg0")
        out = json.loads(a.run(wg.weft(), "mtu", "wg0", "--json").stdout)
        assert (out["mtu"], out["measures"]) == (1220, False)
    else:
        assert (mtu, out["measures"]) == ("1220", False)
        assert "only weftd measures paths" in up.stderr
        assert warned == [False, False]
    a.run(wg.weft(), "down", "wg0")
