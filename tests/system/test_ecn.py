# SPDX-License-Identifier: Apache-2.0
# The DS field: ECN is carried in and out as RFC 6040 says, DSCP stays inside, handshakes are AF41.
import pytest

from conftest import DUT
from lib import noise, traffic, wait

weft_only = pytest.mark.skipif(DUT != "weftd", reason="wireguard-go carries no ECN")
NOT_ECT, ECT1, ECT0, CE = range(4)


def test_handshakes_are_af41(pair):
    for outer in (4, 6):
        p = pair(DUT, DUT, outer=outer)
        wire = traffic.Capture(p.b, "eth0")
        p.connect()
        found = [x for x in wire.stop() if x.wg_type in (1, 2)]
        assert {x.wg_type for x in found} == {1, 2}
        if DUT == "weftd":
            assert {x.tos for x in found} == {0x88}, found


@weft_only
@pytest.mark.parametrize("outer", [4, 6])
@pytest.mark.parametrize("inner", [4, 6])
def test_encapsulation(bench, inner, outer):
    """Outgoing: the inner ECN bits outside, and not one bit of the DSCP."""
    t = bench()
    p = t.peer("10.50.0.0/16", "fd50::/16", outer=outer)
    wire = traffic.Capture(t.x, "eth0")
    family = noise.socket.AF_INET if inner == 4 else noise.socket.AF_INET6
    sock = t.b.socket(family)
    level, option = ((noise.socket.IPPROTO_IP, noise.socket.IP_TOS) if inner == 4 else
                     (noise.socket.IPPROTO_IPV6, noise.socket.IPV6_TCLASS))
    for dscp in (0, 0x2e, 0x3f):
        for ecn in (NOT_ECT, ECT1, ECT0, CE):
            begin = len(wire.packets)
            sock.setsockopt(level, option, dscp << 2 | ecn)
            sock.sendto(b"x", ("10.50.1.1" if inner == 4 else "fd50::1", 9))
            data = wait.until(lambda: [x for x in wire.packets[begin:] if x.wg_type == 4
                                       and not x.outgoing], "the packet is seen")
            assert data[0].tos == ecn, (dscp, ecn, data)


@weft_only
@pytest.mark.parametrize("source", ["10.99.0.1", "fd99::1"])
def test_decapsulation(bench, source):
    """Incoming: RFC 6040 figure 4; an impossible mark is a counted drop. The DSCP stays."""
    t = bench()
    p = t.peer("10.99.0.1/32", "fd99::1/128")
    inside = traffic.Capture(t.b, "wg0")
    to = "fd99::2" if ":" in source else "10.99.0.2"
    table = {  # (inner, outer): what the host sees; None: dropped
        (NOT_ECT, NOT_ECT): NOT_ECT, (NOT_ECT, ECT0): NOT_ECT, (NOT_ECT, ECT1): NOT_ECT,
        (NOT_ECT, CE): None,
        (ECT0, NOT_ECT): ECT0, (ECT0, ECT0): ECT0, (ECT0, ECT1): ECT1, (ECT0, CE): CE,
        (ECT1, NOT_ECT): ECT1, (ECT1, ECT0): ECT1, (ECT1, ECT1): ECT1, (ECT1, CE): CE,
        (CE, NOT_ECT): CE, (CE, ECT0): CE, (CE, ECT1): CE, (CE, CE): CE,
    }
    for n, ((inner, outer), want) in enumerate(table.items()):
        p.sock.setsockopt(noise.socket.IPPROTO_IP, noise.socket.IP_TOS, 0xe0 | outer)
        before = t.w.counter("rx_ecn")
        mark = b"case%04d" % n
        p.send(p.session.data(traffic.echo_request(source, to, payload=mark,
                                                   tos=0xb8 | inner)))
        if want is None:
            wait.until(lambda: t.w.counter("rx_ecn") == before + 1, "the drop is counted")
            assert not [x for x in inside.packets if mark in x.data]
        else:
            got = wait.until(lambda: [x for x in inside.packets if mark in x.data
                                      and not x.outgoing], f"inner {inner} outer {outer}")[0]
            assert got.tos == 0xb8 | want, (inner, outer, got.tos)
            if got.src == "10.99.0.1":
                assert traffic.checksum(got.data[:20]) == 0, "the header's checksum"


@weft_only
def test_congestion_mark_through_bulk(pair):
    """A TCP stream with ECN through the tunnel: its marks come out at the other end."""
    p = pair(DUT, DUT).connect()
    for host in (p.a, p.b):
        host.sysctl("net/ipv4/tcp_ecn", 1)
    wire = traffic.Capture(p.b, "eth0")
    inside = traffic.Capture(p.b, "wg0")
    traffic.tcp(p.a, p.b, p.b4, 4 << 20)
    outer = [x for x in wire.stop() if x.wg_type == 4 and not x.outgoing and len(x.payload) > 1000]
    inner = [x for x in inside.stop() if not x.outgoing and len(x.data) > 1000]
    assert outer and inner
    assert ECT0 in {x.tos & 3 for x in outer} and ECT0 in {x.tos & 3 for x in inner}
