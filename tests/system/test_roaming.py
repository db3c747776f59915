# SPDX-License-Identifier: Apache-2.0
# Endpoints that move, sources that stay where they were asked, and endpoints that must not be used.
import time

import pytest

from conftest import DUT, OTHER
from lib import noise, traffic, wait, wg

weft_only = pytest.mark.skipif(DUT != "weftd", reason="wireguard-go behaves otherwise")


@weft_only  # this wireguard-go keeps sending from the address that is gone
@pytest.mark.parametrize("server", [DUT, OTHER])
def test_client_changes_address(pair, server):
    """The client's address goes and another comes; then its port; the server follows."""
    p = pair(DUT, server).connect()
    p.a.ip("addr add 192.0.2.77/24 dev eth0", "addr del 192.0.2.1/24 dev eth0")
    traffic.until_reaches(p.a, p.b4)
    assert p.wb.endpoint_of(p.wa.key) == "192.0.2.77:51820"
    assert traffic.ping(p.b, p.a4).loss == 0
    p.wa.wg("set", "listen-port", "40000")
    traffic.until_reaches(p.a, p.b4)
    assert p.wb.endpoint_of(p.wa.key) == "192.0.2.77:40000"
    assert traffic.ping(p.b, p.a4).loss == 0


@weft_only
@pytest.mark.parametrize("server", [DUT, OTHER])
def test_moves_during_tcp(pair, server):
    """A TCP stream outlives the client's move."""
    p = pair(DUT, server).connect()
    stream = traffic.Tcp(p.a, p.b, p.b4, 1 << 40)
    wait.until(lambda: stream.received > 1 << 20, "the stream runs")
    p.a.ip("addr add 192.0.2.77/24 dev eth0", "addr del 192.0.2.1/24 dev eth0")
    wait.until(lambda: p.wb.endpoint_of(p.wa.key) == "192.0.2.77:51820", "the server follows")
    at = stream.received
    wait.until(lambda: stream.received > at + (1 << 20), "the stream goes on")
    stream.stop()
    stream.done()


def test_client_changes_port(pair, impls):
    p = pair(*impls).connect()
    for port in (40000, 40001):
        p.wa.wg("set", "listen-port", str(port))
        traffic.until_reaches(p.a, p.b4)
        assert p.wb.endpoint_of(p.wa.key) == f"192.0.2.1:{port}"
        assert traffic.ping(p.b, p.a4).loss == 0


def test_v4_to_v6(pair, impls):
    """The client goes from IPv4 to IPv6 in a live session, and back."""
    p = pair(*impls).connect()
    for endpoint, mine in (("[2001:db8::2]:51820", "[2001:db8::1]:51820"),
                           ("192.0.2.2:51820", "192.0.2.1:51820")):
        before = p.wa.handshake_time(p.wb.key)
        p.wa.wg("set", "peer", p.wb.key.public64, "endpoint", endpoint)
        traffic.until_reaches(p.a, p.b4)
        assert p.wb.endpoint_of(p.wa.key) == mine
        assert traffic.ping(p.b, p.a6).loss == 0
        assert p.wa.handshake_time(p.wb.key) == before, "the session was made anew"


def test_follows_every_authenticated_packet(bench):
    """Data, keepalives and initiations move the endpoint; nothing else does."""
    t = bench()
    p = t.peer("10.50.0.0/16")

    def here(sock):
        return f"192.0.2.1:{sock.getsockname()[1]}"
    first = p.sock
    assert t.w.endpoint_of(p.key) == here(first)
    messages = (
        ("data", lambda: p.session.data(traffic.udp_packet("10.50.0.1", 9, "10.99.0.2", 9, b""))),
        ("keepalive", lambda: p.session.data()),
        # an inner packet that is then refused was authentic all the same
        ("refused source", lambda: p.session.data(traffic.echo_request("8.8.8.8", "10.99.0.2"))),
        ("initiation", lambda: p.handshake().initiation()),
    )
    for name, make in messages:
        p.sock = t.x.socket(bind=("192.0.2.1", 0))
        p.send(make())
        wait.until(lambda: t.w.endpoint_of(p.key) == here(p.sock), f"follows a {name}")
    last = t.w.endpoint_of(p.key)
    p.sock = t.x.socket(bind=("192.0.2.1", 0))
    good = p.session.data()
    p.send(good[:-1] + bytes([good[-1] ^ 1]))
    p.send(p.handshake().initiation()[:-20] + bytes(20))
    p.send(b"\3\0\0\0" + bytes(60))
    p.send(noise.with_macs(b"\2\0\0\0" + bytes(56), t.w.key.public))
    wait.stays(lambda: t.w.endpoint_of(p.key) == last, "does not follow what is not authentic", 0.5)
    t.w.wait_counter("rx_auth", 1)
    t.w.wait_counter("rx_mac1", 1)
    assert t.w.endpoint_of(p.key) == last


def test_no_roaming_on_replay(bench):
    """A packet that was captured and is sent again from elsewhere moves nothing."""
    t = bench()
    p = t.peer("10.50.0.0/16")
    seen = p.session.data()
    p.send(seen)
    endpoint = t.w.endpoint_of(p.key)
    p.sock = t.x.socket(bind=("192.0.2.1", 0))
    p.send(seen)
    wait.stays(lambda: t.w.endpoint_of(p.key) == endpoint, "the endpoint", 0.5)
    t.w.wait_counter("rx_replay", 1)
    assert t.w.endpoint_of(p.key) == endpoint


def test_no_roaming_on_cookie_reply(bench):
    """A cookie reply, even a valid one, comes from who may be anyone: no roaming."""
    t = bench()
    p = t.known_peer("10.50.0.0/16")
    t.send("10.50.1.1")
    endpoint = t.w.endpoint_of(p.key)
    nonce = b"\7" * 24
    other = t.x.socket(bind=("192.0.2.1", 0))
    for _ in range(4):
        initiation = p.receive(noise.INITIATION)
        if initiation[132:] != bytes(16):
            break
        sealed = noise.xseal(noise._hash(b"cookie--", p.key.public), nonce, b"c" * 16,
                             initiation[116:132])
        other.sendto(b"\3\0\0\0" + initiation[4:8] + nonce + sealed, p.target)
    # it was a valid one: the next initiation carries mac2 under that cookie (or the one after, if
    # the cookie came when the next one had been sent)
    assert initiation[132:] == noise.mac(b"c" * 16, initiation[:132])
    assert t.w.endpoint_of(p.key) == endpoint


@weft_only
def test_source_removed(bench):
    """A client whose source address is gone sends from the one that it has now."""
    t = bench()
    t.b.ip("addr add 192.0.2.55/24 dev eth0")
    p = t.peer("10.50.0.0/16", connect=False)
    p.target = ("192.0.2.55", 51820)
    p.connect()
    wire = traffic.Capture(t.x, "eth0")
    assert t.gets(p, "10.50.1.1")
    assert wire.wait(src="192.0.2.55", sport=51820)
    t.b.ip("addr del 192.0.2.55/24 dev eth0")
    wait.until(lambda: t.gets(p, "10.50.1.1", 1), "it sends from elsewhere")
    assert wire.wait(src="192.0.2.2", sport=51820)


@pytest.mark.parametrize("v6", [False, True])
def test_answer_from_the_address_contacted(bench, v6):
    """A multihomed host answers handshakes and data from where it was asked, not by its routes."""
    t = bench()
    addresses = ["2001:db8::55", "2001:db8::66"] if v6 else ["192.0.2.55", "192.0.2.66"]
    t.b.ip(*[f"addr add {a}/{64 if v6 else 24} dev eth0" + (" nodad" if v6 else "")
             for a in addresses])
    p = t.peer("10.99.0.1/32", "10.50.0.0/16", connect=False, outer=6 if v6 else 4)
    wire = traffic.Capture(t.x, "eth0")
    for address in addresses * 2:
        begin = len(wire.packets)
        p.target = (address, 51820)
        p.connect()
        assert t.echo(p)
        assert t.gets(p, "10.50.1.1")
        wait.until(lambda: len([x for x in wire.packets[begin:] if x.sport == 51820]) >= 3, "seen")
        assert {x.src for x in wire.packets[begin:] if x.sport == 51820} == {address}


@pytest.mark.parametrize("impl", list(dict.fromkeys([DUT, "wireguard-go"])))
def test_multihomed_bulk(net, impl):
    """The same under bulk, where packets arrive and leave in batches."""
    a, b = net.wire(["192.0.2.1/24"], ["192.0.2.2/24", "192.0.2.55/24"])
    wa, wb = wg.Daemon(a, impl), wg.Daemon(b, DUT)
    wa.setup(["10.99.0.1/24"], port=51820)
    wb.setup(["10.99.0.2/24"], port=51820)
    wa.peer(wb.key, ["10.99.0.2/32"], endpoint="192.0.2.55:51820")
    wb.peer(wa.key, ["10.99.0.1/32"])
    traffic.until_reaches(a, "10.99.0.2")
    wire = traffic.Capture(a, "eth0")
    streams = [traffic.Tcp(a, b, "10.99.0.2", 8 << 20), traffic.Tcp(b, a, "10.99.0.1", 8 << 20)]
    for s in streams:
        s.done()
    assert {x.src for x in wire.stop() if not x.outgoing and x.proto == 17} == {"192.0.2.55"}
    assert wa.endpoint_of(wb.key) == "192.0.2.55:51820"


@weft_only
def test_endpoint_in_the_tunnel_is_refused(bench):
    """An endpoint that is routed into the interface itself: no loop, a counted drop."""
    t = bench()
    p = t.known_peer("10.50.0.0/16", "192.0.2.0/24")
    # the endpoint's network now leads into the tunnel
    t.b.ip("route add 203.0.113.0/24 dev wg0")
    t.w.wg("set", "peer", p.key.public64, "allowed-ips", "0.0.0.0/0", "endpoint",
           "203.0.113.9:51820")
    inside = traffic.Capture(t.b, "wg0")
    t.send("10.50.1.1")
    wait.until(lambda: t.w.counter("tx_loop") > 0, "the loop is refused")
    assert not inside.select(dport=51820), "the outer packet went into the tunnel"
    # a good endpoint again, and all is well
    t.w.wg("set", "peer", p.key.public64, "endpoint",
           f"192.0.2.1:{p.sock.getsockname()[1]}")
    t.send("10.50.1.1")
    p.answer()
    assert t.gets(p, "10.50.1.1")


@weft_only
def test_no_roaming_into_the_tunnel(bench):
    """An authentic packet whose source is routed into the tunnel does not move the endpoint."""
    t = bench()
    p = t.peer("10.50.0.0/16")
    endpoint = t.w.endpoint_of(p.key)
    t.b.ip("route add 203.0.113.0/24 dev wg0")
    packet = traffic.udp_packet("203.0.113.9", 4000, "192.0.2.2", 51820, p.session.data())
    traffic.send_raw(t.x, [packet])
    wait.stays(lambda: t.w.endpoint_of(p.key) == endpoint, "the endpoint", 1)
    assert t.echo(p, "10.50.0.1")


def test_peer_through_peer(net):
    """A peer whose endpoint is reached through another peer of the same interface works."""
    a, b, c = net.host("a"), net.host("b"), net.host("c")
    net.link(a, "eth0", ["192.0.2.1/24"], b, "eth0", ["192.0.2.2/24"])
    net.link(b, "eth1", ["198.51.100.2/24"], c, "eth0", ["198.51.100.3/24"])
    b.forward()
    c.ip("route add default via 198.51.100.2")
    wa, wb, wc = (wg.Daemon(h, DUT) for h in (a, b, c))
    for n, w in enumerate((wa, wb, wc), 1):
        w.setup([f"10.99.0.{n}/24"], port=51820)
    wa.peer(wb.key, ["10.99.0.2/32", "198.51.100.0/24"], endpoint="192.0.2.2:51820")
    # c is reached by outer packets that go through b's tunnel, from an address of their own: c has
    # a route to a's inner address, which leads into its tunnel
    wb.peer(wa.key, ["10.99.0.1/32", "10.98.0.1/32"])
    a.ip("addr add 10.98.0.1/32 dev wg0", "route add 198.51.100.0/24 dev wg0 src 10.98.0.1")
    wa.peer(wc.key, ["10.99.0.3/32"], endpoint="198.51.100.3:51820")
    wc.peer(wa.key, ["10.99.0.1/32"])
    b.ip("route add 10.98.0.1/32 dev wg0")
    traffic.until_reaches(a, "10.99.0.2")
    traffic.until_reaches(a, "10.99.0.3")
    traffic.tcp(a, c, "10.99.0.3", 2 << 20)


def two_uplinks(net):
    """Client a with two uplinks to a router, the first in use, and server b: (a, b, wa, wb)."""
    a, r, b = net.host("a"), net.host("r"), net.host("b")
    net.link(a, "eth0", ["192.0.2.1/24"], r, "eth0", ["192.0.2.254/24"])
    net.link(a, "eth1", ["198.51.100.1/24"], r, "eth1", ["198.51.100.254/24"])
    net.link(r, "eth2", ["203.0.113.254/24"], b, "eth0", ["203.0.113.1/24"])
    r.forward()
    a.ip("route add default via 192.0.2.254")
    b.ip("route add default via 203.0.113.254")
    wa, wb = wg.Daemon(a, DUT), wg.Daemon(b, DUT)
    wa.setup(["10.99.0.1/24"], port=51820)
    wb.setup(["10.99.0.2/24"], port=51820)
    wa.peer(wb.key, ["10.99.0.2/32"], endpoint="203.0.113.1:51820")
    wb.peer(wa.key, ["10.99.0.1/32"])
    traffic.until_reaches(a, "10.99.0.2")
    assert traffic.ping(b, "10.99.0.1").loss == 0
    assert wb.endpoint_of(wa.key) == "192.0.2.1:51820"
    return a, b, wa, wb


def test_client_follows_route_change(net):
    """A client with two uplinks: when its route changes, it sends from the new uplink's address."""
    a, b, wa, wb = two_uplinks(net)
    # the address of the old uplink stays: only the route says that it is not to be used
    a.ip("route replace default via 198.51.100.254")
    wait.until(lambda: traffic.reaches(a, "10.99.0.2") and
               wb.endpoint_of(wa.key) == "198.51.100.1:51820", "it sends from the new uplink")
    a.ip("route replace default via 192.0.2.254")
    wait.until(lambda: traffic.reaches(a, "10.99.0.2") and
               wb.endpoint_of(wa.key) == "192.0.2.1:51820", "and back")


@weft_only
def test_route_changes_under_traffic(net):
    """Two uplinks, and a stream while the route goes from one to the other: what was on its way
    to the old address must not bring it back."""
    a, b, wa, wb = two_uplinks(net)
    stream = traffic.Tcp(a, b, "10.99.0.2", 1 << 40)
    for _ in range(3):
        for via, mine in (("198.51.100.254", "198.51.100.1"), ("192.0.2.254", "192.0.2.1")):
            at = stream.received
            wait.until(lambda: stream.received > at + (4 << 20), "the stream runs")
            a.ip(f"route replace default via {via}")
            wait.until(lambda: wb.endpoint_of(wa.key) == f"{mine}:51820", f"it sends from {mine}")
            # and stays there, whatever was still under way
            wait.until(lambda: wait.held(lambda: wb.endpoint_of(wa.key) == f"{mine}:51820", 0.5),
                       f"it goes on sending from {mine}")
    stream.stop()
    stream.done()
