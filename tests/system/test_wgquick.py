# SPDX-License-Identifier: Apache-2.0
# Debian's wg-quick with the daemon under test as its userspace implementation.
import os
import stat

import pytest

from conftest import DUT
from lib import traffic, wait, wg

STUB = """#!/bin/sh
# stands in for resolvconf: keeps what it is told
echo "$@" >>/run/resolvconf.calls
[ "$1" = -a ] && cat >/run/resolvconf.input
exit 0
"""


class Quick:
    """wg-quick on a host; /etc/wireguard and /run are the host's own."""

    def __init__(self, host):
        self.host = host
        self.dir = host.network.file("bin")
        os.makedirs(self.dir, exist_ok=True)
        path = os.path.join(self.dir, "resolvconf")
        with open(path, "w") as f:
            f.write(STUB)
        os.chmod(path, stat.S_IRWXU)
        host.network.defer(lambda: self("down", "wg0", check=False))

    def __call__(self, *args, check=True):
        """Runs wg-quick and returns what it printed."""
        out = self.host.network.file("quick.out")
        env = dict(os.environ, WG_QUICK_USERSPACE_IMPLEMENTATION=wg.PROGRAMS[DUT](),
                   PATH=f"{self.dir}:{os.environ['PATH']}", LC_ALL="C")
        with open(out, "w+") as f:
            proc = self.host.popen("wg-quick", *args, stdout=f, stderr=f, env=env)
            code = proc.wait(180)
            f.seek(0)
            text = f.read()
        assert not check or code == 0, text
        self.code = code
        return text

    def conf(self, text, name="wg0"):
        self.host.run("tee", f"/etc/wireguard/{name}.conf", input=text)
        self.host.run("chmod", "600", f"/etc/wireguard/{name}.conf")

    def read(self, path):
        return self.host.run("cat", path, check=False).stdout

    def daemon(self):
        return wg.pid_of_socket(self.host, "wg0")


class Net:
    """Client a, a router, server b (weft too) that masquerades to a host i in the internet."""

    def __init__(self, net):
        self.a, self.r, self.b, self.i = (net.host(n) for n in ("a", "r", "b", "i"))
        net.link(self.a, "eth0", ["192.0.2.1/24", "2001:db8:1::1/64"], self.r, "eth0",
                 ["192.0.2.254/24", "2001:db8:1::ff/64"])
        net.link(self.b, "eth0", ["198.51.100.1/24", "2001:db8:2::1/64"], self.r, "eth1",
                 ["198.51.100.254/24", "2001:db8:2::ff/64"])
        net.link(self.i, "eth0", ["203.0.113.1/24", "2001:db8:3::1/64"], self.r, "eth2",
                 ["203.0.113.254/24", "2001:db8:3::ff/64"])
        self.r.forward()
        self.a.ip("route add default via 192.0.2.254", "route add default via 2001:db8:1::ff")
        self.b.ip("route add default via 198.51.100.254", "route add default via 2001:db8:2::ff")
        self.i.ip("route add default via 203.0.113.254", "route add default via 2001:db8:3::ff")
        self.b.nat("eth0")
        self.b.run("nft", "flush", "chain", "inet", "nat", "inp")
        self.key = wg.Key()
        self.wb = wg.Daemon(self.b, DUT).setup(["10.99.0.2/24", "fd99::2/64"], port=51820)
        self.wb.peer(self.key, ["10.99.0.1/32", "fd99::1/128"])
        self.quick = Quick(self.a)

    def conf(self, allowed, interface="", peer="", endpoint="198.51.100.1:51820"):
        self.quick.conf(f"""# a comment
[Interface]
PrivateKey = {self.key.private64}
Address = 10.99.0.1/24, fd99::1/64
{interface}
[Peer]
PublicKey = {self.wb.key.public64}
AllowedIPs = {allowed}
Endpoint = {endpoint}
{peer}
""")


@pytest.fixture
def world(net):
    if os.path.exists("/sys/module/wireguard"):
        pytest.skip("the kernel's WireGuard is loaded: wg-quick takes no other")
    return Net(net)


def test_split_tunnel(world):
    w = world
    w.conf("10.99.0.0/24, fd99::/64", "DNS = 10.99.0.53, example.org\nMTU = 1380\n"
           "PostUp = echo up %i >>/run/hooks\nPreDown = echo down %i >>/run/hooks")
    said = w.quick("up", "wg0")
    assert f"[#] {wg.PROGRAMS[DUT]()} wg0" in said
    pid = w.quick.daemon()
    assert pid
    traffic.until_reaches(w.a, "10.99.0.2")
    traffic.until_reaches(w.a, "fd99::2")
    assert "mtu 1380" in w.a.ip("link show wg0").stdout
    assert "nameserver 10.99.0.53" in w.quick.read("/run/resolvconf.input")
    assert traffic.reaches(w.a, "203.0.113.1", deadline=15), "the rest goes past the tunnel"
    assert w.quick("up", "wg0", check=False) and w.quick.code != 0
    w.quick("down", "wg0")
    wait.until(lambda: not os.path.exists(f"/proc/{pid}"), "the daemon has ended")
    assert w.quick.read("/run/hooks") == "up wg0\ndown wg0\n"
    assert "-d" in w.quick.read("/run/resolvconf.calls")
    assert not os.path.exists(w.a.path(f"{wg.SOCKET_DIR}/wg0.sock"))
    # and again
    w.quick("up", "wg0")
    traffic.until_reaches(w.a, "10.99.0.2")
    w.quick("down", "wg0")


@pytest.mark.parametrize("endpoint", ["198.51.100.1:51820", "[2001:db8:2::1]:51820"],
                         ids=["v4", "v6"])
def test_full_tunnel(world, endpoint):
    """0.0.0.0/0 and ::/0 with policy routing: all goes through, the tunnel's own packets do not."""
    w = world
    w.conf("0.0.0.0/0, ::/0", endpoint=endpoint)
    w.quick("up", "wg0")
    pid = w.quick.daemon()
    assert "51820" in w.a.ip("rule show").stdout
    assert w.a.run("wg", "show", "wg0", "fwmark").stdout.strip() == "0xca6c"
    seen = traffic.Capture(w.i, "eth0")
    traffic.until_reaches(w.a, "203.0.113.1")
    traffic.until_reaches(w.a, "2001:db8:3::1")

    def pinged_from():
        return {x.src for x in list(seen.packets)
                if not x.outgoing and x.payload[:1] in (b"\x08", b"\x80")}
    wait.until(lambda: len(pinged_from()) >= 2, "the pings are seen")
    assert pinged_from() == {"198.51.100.1", "2001:db8:2::1"}
    got = traffic.ping(w.a, "203.0.113.1", count=10)
    assert got.loss == 0
    traffic.tcp(w.a, w.i, "203.0.113.1", 8 << 20)
    traffic.tcp(w.a, w.i, "2001:db8:3::1", 8 << 20)
    assert "wg-quick-wg0" in w.a.run("nft", "list", "tables").stdout
    w.quick("down", "wg0")
    wait.until(lambda: not os.path.exists(f"/proc/{pid}"), "the daemon has ended")
    assert "51820" not in w.a.ip("rule show").stdout
    assert "wg-quick-wg0" not in w.a.run("nft", "list", "tables").stdout
    assert traffic.reaches(w.a, "203.0.113.1", deadline=15), "the way around is open again"


def test_save_and_strip(world):
    w = world
    w.conf("10.99.0.0/24", "SaveConfig = true\nPostUp = true")
    strip = w.quick("strip", "wg0")
    assert "PrivateKey" in strip and "Address" not in strip and "PostUp" not in strip
    w.quick("up", "wg0")
    other = wg.Key()
    w.a.run("wg", "set", "wg0", "peer", other.public64, "allowed-ips", "10.77.0.0/16",
            "persistent-keepalive", "33")
    w.quick("down", "wg0")
    text = w.quick.read("/etc/wireguard/wg0.conf")
    assert other.public64 in text and "10.77.0.0/16" in text and "PersistentKeepalive = 33" in text
    assert w.key.private64 in text
    w.quick("up", "wg0")
    assert other.public64 in w.a.run("wg", "show", "wg0", "peers").stdout
    w.quick("down", "wg0")


def test_syncconf_of_strip(world):
    """The reload that the unit file makes: wg syncconf with what strip says."""
    w = world
    w.conf("10.99.0.0/24")
    w.quick("up", "wg0")
    traffic.until_reaches(w.a, "10.99.0.2")
    w.conf("10.99.0.0/24", peer="PersistentKeepalive = 21")
    w.a.run("wg", "syncconf", "wg0", "/dev/stdin", input=w.quick("strip", "wg0"))
    assert "21" in w.a.run("wg", "show", "wg0", "persistent-keepalive").stdout
    assert traffic.ping(w.a, "10.99.0.2").loss == 0
    w.quick("down", "wg0")


def test_failed_up_leaves_nothing(world):
    """A bad line or a failing hook: an error, and no interface and no daemon is left."""
    w = world
    for interface, peer in (("PostUp = false", ""), ("", "PresharedKey = notakey")):
        w.conf("10.99.0.0/24", interface, peer)
        w.quick("up", "wg0", check=False)
        assert w.quick.code != 0
        wait.until(lambda: w.quick.daemon() is None, "no daemon is left")
        assert w.a.ip("link show wg0", check=False).returncode != 0
