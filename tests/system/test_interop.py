# SPDX-License-Identifier: Apache-2.0
# weftd speaks with wireguard-go in both roles, and with itself: addresses, sizes, bulk.
import pytest

from conftest import DUT, OTHER
from lib import traffic, wg

MB = 1 << 20
OFFLOADS = {"on": (), "no-tun": ("--no-tun-offload",), "no-udp": ("--no-udp-offload",),
            "none": ("--no-tun-offload", "--no-udp-offload")}
flags = pytest.mark.skipif(DUT != "weftd", reason="weftd's own switches")


@pytest.mark.parametrize("outer", [4, 6])
def test_addresses(pair, impls, outer):
    """v4 and v6 inside over v4 and over v6 outside; both sides may begin."""
    p = pair(*impls, outer=outer)
    for address in (p.b4, p.b6):
        traffic.until_reaches(p.a, address)
        got = traffic.ping(p.a, address, count=20, interval=0.01)
        assert got.loss == 0, got.text
    for address in (p.a4, p.a6):
        assert traffic.ping(p.b, address, count=5, interval=0.01).loss == 0
    assert p.wb.endpoint_of(p.wa.key) == p.endpoint_a
    assert p.wa.handshake_time(p.wb.key) > 0


def test_responder_begins(pair, impls):
    """The side that did not begin the first session begins the second one."""
    p = pair(*impls).connect()
    p.wa.wg("set", "peer", p.wb.key.public64, "remove")
    p.wa.peer(p.wb.key, [f"{p.b4}/32", f"{p.b6}/128"])  # no endpoint: only b can begin
    before = p.wb.handshake_time(p.wa.key)
    p.wb.wg("set", "peer", p.wa.key.public64, "remove")
    p.wb.peer(p.wa.key, [f"{p.a4}/32", f"{p.a6}/128"], endpoint=p.endpoint_a)
    traffic.until_reaches(p.b, p.a4)
    assert p.wb.handshake_time(p.wa.key) > before
    assert p.wa.endpoint_of(p.wb.key) == p.endpoint_b


@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1000, 1391, 1392, 1393, 4000, 20000])
def test_sizes(net, pair, size, outer):
    """Every size arrives whole; above the tunnel's MTU the inner packet comes in fragments."""
    p = pair(DUT, OTHER, outer=outer).connect()
    for host, address in ((p.a, p.b4), (p.b, p.a4), (p.a, p.b6), (p.b, p.a6)):
        got = traffic.ping(host, address, count=3, size=size, interval=0.01)
        assert got.loss == 0, got.text


def test_small_mtu(pair, impls):
    p = pair(*impls, mtu=1280).connect()
    for size in (1200, 1252, 1253, 3000):
        assert traffic.ping(p.a, p.b4, size=size).loss == 0
    traffic.tcp(p.a, p.b, p.b6, 4 * MB)
    traffic.tcp(p.b, p.a, p.a4, 4 * MB)


@pytest.mark.parametrize("outer", [4, 6])
def test_jumbo(pair, impls, outer):
    p = pair(*impls, outer=outer, mtu=8920, wire_mtu=9000).connect()
    for size in (8000, 8892, 8893, 30000):
        assert traffic.ping(p.a, p.b4, size=size, df=size <= 8892).loss == 0
    traffic.tcp(p.a, p.b, p.b4, 16 * MB)
    traffic.tcp(p.b, p.a, p.a6, 16 * MB)


@pytest.mark.parametrize("outer", [4, 6])
def test_outer_fragments(pair, impls, outer):
    """The wire is narrower than the tunnel believes: the outer packets go in fragments."""
    p = pair(*impls, outer=outer, mtu=1420).connect()
    for host in (p.a, p.b):
        host.ip("link set eth0 mtu 1300")
    wire = traffic.Capture(p.b, "eth0")
    for host, address in ((p.a, p.b4), (p.b, p.a6)):
        assert traffic.ping(host, address, size=1372).loss == 0
    assert any(x.fragment for x in wire.stop()), "nothing was fragmented: not the case meant"
    traffic.tcp(p.a, p.b, p.b4, 4 * MB)
    traffic.tcp(p.b, p.a, p.a6, 4 * MB)


def test_narrow_hop(net):
    """A router in the middle has the narrow link: no black hole, DF is not set outside."""
    a, r, b = net.host("a"), net.host("r"), net.host("b")
    net.link(a, "eth0", ["192.0.2.1/24"], r, "eth0", ["192.0.2.254/24"])
    net.link(r, "eth1", ["198.51.100.254/24"], b, "eth0", ["198.51.100.1/24"], mtu=1300)
    r.forward()
    a.ip("route add default via 192.0.2.254")
    b.ip("route add default via 198.51.100.254")
    wa, wb = wg.Daemon(a, DUT), wg.Daemon(b, DUT)
    wa.setup(["10.99.0.1/24"], port=51820, mtu=1420)
    wb.setup(["10.99.0.2/24"], port=51820, mtu=1420)
    wa.peer(wb.key, ["10.99.0.2/32"], endpoint="198.51.100.1:51820")
    wb.peer(wa.key, ["10.99.0.1/32"], endpoint="192.0.2.1:51820")
    traffic.until_reaches(a, "10.99.0.2")
    # wireguard-go sets DF, and so loses the packets by which it learns the path's MTU
    assert traffic.ping(a, "10.99.0.2", size=1372).loss <= (0 if DUT == "weftd" else 2)
    traffic.tcp(a, b, "10.99.0.2", 4 * MB)
    traffic.tcp(b, a, "10.99.0.1", 4 * MB)


def test_bulk(pair, impls):
    """TCP in both directions, one after the other and at once, v4 and v6."""
    p = pair(*impls).connect()
    traffic.tcp(p.a, p.b, p.b4, 32 * MB)
    traffic.tcp(p.b, p.a, p.a6, 32 * MB)
    streams = [traffic.Tcp(p.a, p.b, p.b6, 16 * MB), traffic.Tcp(p.b, p.a, p.a4, 16 * MB),
               traffic.Tcp(p.a, p.b, p.b4, 16 * MB), traffic.Tcp(p.b, p.a, p.a6, 16 * MB)]
    for s in streams:
        s.done()


@flags
@pytest.mark.parametrize("b", OFFLOADS)
@pytest.mark.parametrize("a", OFFLOADS)
def test_offloads(pair, a, b):
    """Each offload off on either side."""
    p = pair(DUT, DUT, args_a=OFFLOADS[a], args_b=OFFLOADS[b]).connect()
    traffic.tcp(p.a, p.b, p.b4, 16 * MB)
    traffic.tcp(p.b, p.a, p.a6, 16 * MB)
    for size in (56, 1392, 4000):
        assert traffic.ping(p.a, p.b4, size=size).loss == 0


@flags
@pytest.mark.parametrize("off", OFFLOADS)
def test_offloads_with_other(pair, off):
    p = pair(DUT, OTHER, args_a=OFFLOADS[off], outer=6).connect()
    traffic.tcp(p.a, p.b, p.b4, 16 * MB)
    traffic.tcp(p.b, p.a, p.a6, 16 * MB)


@pytest.mark.parametrize("wire", ["tx-udp-segmentation", "gso", "tso"])
def test_wire_without_offload(pair, wire):
    """The wire's own offloads are off: what is sent in trains is cut by the kernel."""
    p = pair(DUT, DUT)
    for host in (p.a, p.b):
        host.run("ethtool", "-K", "eth0", wire, "off", check=False)
    p.connect()
    traffic.tcp(p.a, p.b, p.b4, 16 * MB)
    traffic.tcp(p.b, p.a, p.a6, 16 * MB)


def test_inner_udp(pair, impls):
    """Datagrams keep their borders and content, in bursts of one flow and of sizes mixed."""
    p = pair(*impls).connect()
    echo = traffic.UdpEcho(p.b, p.b4)
    sock = p.a.socket()
    sock.setsockopt(traffic.socket.SOL_SOCKET, traffic.SO_RCVBUFFORCE, 4 << 20)
    sock.connect((p.b4, echo.port))
    for round_ in range(20):
        sizes = [1 + (i * 7 + round_ * 131) % 1390 for i in range(20)]
        if round_ % 2:
            sizes = [100 + round_] * 20  # of one size: what offloads put together
        sent = [bytes([round_, i]) + bytes([i]) * n for i, n in enumerate(sizes)]
        for data in sent:
            sock.send(data)
        got = []
        try:
            while len(got) < len(sent):
                got.append(sock.recv(65535))
        except TimeoutError:
            pass
        assert sorted(got) == sorted(sent), f"round {round_}: {len(got)} of {len(sent)} came back"
