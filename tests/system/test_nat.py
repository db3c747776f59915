# SPDX-License-Identifier: Apache-2.0
# Peers behind address translators with short memories.
from conftest import DUT, OTHER
from lib import traffic, wait, wg


def behind_nat(net, name, n, udp_timeout_s=3):
    """A host behind a translator on the wire "core": (host, router)."""
    host, nat = net.host(name), net.host(f"nat-{name}")
    net.link(host, "eth0", ["192.168.1.2/24"], nat, "in0", ["192.168.1.1/24"])
    host.ip("route add default via 192.168.1.1")
    nat.nat("out0", udp_timeout_s)
    net.link(nat, "out0", [f"203.0.113.{n}/24"], net.core, f"port{n}", [])
    net.core.ip(f"link set port{n} master br0")
    return host, nat


def make_core(net):
    net.core = net.host("core")
    net.core.ip("link add br0 type bridge", "link set br0 up")


def public(net, name, n):
    host = net.host(name)
    net.link(host, "eth0", [f"203.0.113.{n}/24"], net.core, f"port{n}", [])
    net.core.ip(f"link set port{n} master br0")
    return host


def one_behind_nat(net, impls):
    """a behind a NAT with a keepalive of 1 s, and b in public, which learns where a is."""
    make_core(net)
    a, nat = behind_nat(net, "a", 1)
    b = public(net, "b", 2)
    wa, wb = wg.Daemon(a, impls[0]), wg.Daemon(b, impls[1])
    wa.setup(["10.99.0.1/24"])
    wb.setup(["10.99.0.2/24"], port=51820)
    wb.peer(wa.key, ["10.99.0.1/32"])
    wa.peer(wb.key, ["10.99.0.2/32"], endpoint="203.0.113.2:51820", keepalive=1)
    return nat, b, wa, wb


def test_one_side(net, impls):
    """Behind a NAT that forgets after 3 s: the keepalive keeps it open from outside."""
    _, b, wa, wb = one_behind_nat(net, impls)
    # nobody pings from a: the keepalive alone opens the way
    wait.until(lambda: traffic.reaches(b, "10.99.0.1"), "b reaches a by itself")
    assert wb.endpoint_of(wa.key).startswith("203.0.113.1:")
    # longer than the translator's memory, without traffic
    sent = int(wa.peer_state(wb.key)["tx_bytes"])
    wait.until(lambda: int(wa.peer_state(wb.key)["tx_bytes"]) >= sent + 5 * 32, "5 keepalives")
    # b's packets alone never get in; a keepalive that comes 3 s late on a busy machine may
    wait.until(lambda: traffic.ping(b, "10.99.0.1", deadline=1).loss == 0, "it is kept open")


def test_mapping_forgotten(net, impls):
    """The translator forgets and then maps to another port: recovered by the next keepalive."""
    nat, b, wa, wb = one_behind_nat(net, impls)
    wait.until(lambda: traffic.reaches(b, "10.99.0.1"), "b reaches a")
    handshake = wb.handshake_time(wa.key)
    for _ in range(3):
        before = wb.endpoint_of(wa.key)
        nat.run("conntrack", "-F")
        wait.until(lambda: wb.endpoint_of(wa.key) != before, "the server follows the mapping")
        assert traffic.ping(b, "10.99.0.1").loss == 0
    assert wb.handshake_time(wa.key) == handshake, "it took a new handshake"


def test_both_sides(net):
    """Both behind NAT, both talking to a hub; the hub passes packets between them."""
    make_core(net)
    a, nat_a = behind_nat(net, "a", 1)
    c, _ = behind_nat(net, "c", 3)
    hub = public(net, "hub", 2)
    hub.forward()
    wa, wc, wh = wg.Daemon(a, DUT), wg.Daemon(c, OTHER), wg.Daemon(hub, DUT)
    wa.setup(["10.99.0.1/24"])
    wc.setup(["10.99.0.3/24"])
    wh.setup(["10.99.0.2/24"], port=51820)
    wh.peer(wa.key, ["10.99.0.1/32"])
    wh.peer(wc.key, ["10.99.0.3/32"])
    for w in (wa, wc):
        w.peer(wh.key, ["10.99.0.0/24"], endpoint="203.0.113.2:51820", keepalive=1)
    wait.until(lambda: traffic.reaches(a, "10.99.0.3"), "a reaches c through the hub")
    traffic.tcp(c, a, "10.99.0.1", 4 << 20)
    nat_a.run("conntrack", "-F")
    wait.until(lambda: traffic.reaches(c, "10.99.0.1"), "found again")


def test_punched(net):
    """Both behind NAT with mappings that keep the port: each other's endpoint given, they meet."""
    make_core(net)
    sides = []
    for name, n, impl in (("a", 1, DUT), ("c", 3, OTHER)):
        host, nat = behind_nat(net, name, n)
        # the source port is kept, as by most home routers
        nat.sh("nft flush chain inet nat post;"
               "nft add rule inet nat post oifname out0 masquerade persistent")
        sides.append(wg.Daemon(host, impl).setup([f"10.99.0.{n}/24"], port=51820 + n))
    wa, wc = sides
    wa.peer(wc.key, ["10.99.0.3/32"], endpoint="203.0.113.3:51823", keepalive=1)
    wc.peer(wa.key, ["10.99.0.1/32"], endpoint="203.0.113.1:51821", keepalive=1)
    wait.until(lambda: traffic.reaches(wa.host, "10.99.0.3"), "they meet")
    assert traffic.ping(wc.host, "10.99.0.1").loss == 0
    traffic.tcp(wa.host, wc.host, "10.99.0.3", 2 << 20)
