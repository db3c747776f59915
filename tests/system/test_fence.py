# SPDX-License-Identifier: Apache-2.0
# Full and split tunnels with ranges outside of them, the kill switch and the MSS clamp: where packets
# really go, seen on the wires.
import json
import os
import re
import signal
import socket
import stat
import struct
import threading
import time

import pytest

from conftest import DUT
from lib import traffic, wait, wg
from test_names import World as Names
from test_up import World

INSIDE = ("203.0.113.1", "2001:db8:3::1")
OUTSIDE = ("203.0.113.129", "2001:db8:3:0:8000::1")
EXCLUDE = "Exclude = 203.0.113.128/25, 2001:db8:3:0:8000::/65"
OTHER = """table inet other {
	counter c { }
	chain out {
		type filter hook output priority 0; policy accept;
		ip daddr 192.0.2.77 drop
	}
}
table ip weft {
	chain forward { }
}
"""


class Fence(World):
    """The client's host has tables of others; the host i has addresses that are to be excluded."""

    def __init__(self, net):
        super().__init__(net)
        self.i.ip(f"addr add {OUTSIDE[0]}/24 dev eth0", f"addr add {OUTSIDE[1]}/64 dev eth0 nodad")
        self.a.run("nft", "-f", "-", input=OTHER)
        self.others = self.tables()
        self.clean = self.host_state()

    def tables(self):
        """All of nft's tables that are not weft's, as nft lists them."""
        text = self.a.run("nft", "list", "ruleset").stdout
        return re.sub(r"table \S+ (weft-|wg-quick-)\S+ \{\n.*?^\}\n", "", text, flags=re.S | re.M)

    def weft_table(self):
        return self.a.run("nft", "list", "table", "inet", "weft-wg0", check=False).stdout

    def weft(self, *args, check=True, env=None):
        return self.a.run(wg.weft(), *args, check=check, env={
            "WG_QUICK_USERSPACE_IMPLEMENTATION": wg.PROGRAMS[DUT](), **(env or {})})

    def up(self, *args):
        self.ours("up", *args, "wg0")

    def kill_daemon(self):
        pid = self.ours.daemon()
        os.kill(pid, signal.SIGKILL)
        wait.until(lambda: not os.path.exists(f"/proc/{pid}"), "the daemon has ended")
        wait.until(lambda: self.a.ip("link show wg0", check=False).returncode, "wg0 is gone")

    def down(self, *args):
        self.ours("down", *args, "wg0")
        wait.until(lambda: self.a.ip("link show wg0", check=False).returncode, "wg0 is gone")


@pytest.fixture
def world(net):
    if os.path.exists("/sys/module/wireguard"):
        pytest.skip("the kernel's WireGuard is loaded: then it would be taken")
    return Fence(net)


def came_from(w, address):
    """Where the host i sees the client's pings to one of its addresses come from."""
    seen = traffic.Capture(w.i, "eth0")
    traffic.until_reaches(w.a, address)
    wait.until(lambda: [p for p in list(seen.packets) if p.dst == address], "the ping is seen")
    found = {p.src for p in seen.stop() if p.dst == address and p.payload[:1] in (b"\x08", b"\x80")}
    return found.pop() if len(found) == 1 else found


def goes_right(w):
    assert [came_from(w, x) for x in INSIDE] == ["198.51.100.1", "2001:db8:2::1"], "in the tunnel"
    assert [came_from(w, x) for x in OUTSIDE] == ["192.0.2.1", "2001:db8:1::1"], "outside"


def test_full_tunnel_with_excludes(world):
    """One line each for the default routes, and what is excluded from them."""
    w = world
    w.conf("0.0.0.0/0, ::/0", EXCLUDE)
    w.up()
    routes = w.a.ip("route show table 51820").stdout
    assert "throw 203.0.113.128/25" in routes and "default dev wg0" in routes
    assert "throw 2001:db8:3:0:8000::/65" in w.a.ip("-6 route show table 51820").stdout
    assert not w.weft_table(), "none of what needs a table was asked for"
    goes_right(w)
    # what a daemon that was killed leaves behind is neither in the way nor there twice
    state = w.host_state()
    w.kill_daemon()
    w.up()
    assert w.host_state() == state
    goes_right(w)
    w.down()
    w.gone()
    assert w.tables() == w.others


def test_split_tunnel_with_excludes(world):
    """In the main table, and in one by number: what is left of the allowed IPs."""
    w = world
    w.conf("203.0.113.0/24, 2001:db8:3::/64, 10.99.0.0/24", EXCLUDE)
    w.up()
    assert re.findall(r"203\S+", w.a.ip("route show dev wg0").stdout) == ["203.0.113.0/25"]
    assert "2001:db8:3::/65 " in w.a.ip("-6 route show dev wg0").stdout
    goes_right(w)
    allowed = w.a.run("wg", "show", "wg0", "allowed-ips").stdout
    assert "203.0.113.0/24" in allowed, "WireGuard has them whole"
    w.down()
    w.gone()
    w.conf("0.0.0.0/0", "Table = 123")
    w.up("--exclude", "128.0.0.0/1,64.0.0.0/2")
    assert w.a.ip("route show table 123").stdout.split() == ["0.0.0.0/2", "dev", "wg0", "scope",
                                                             "link"]
    w.down()
    w.gone()


@pytest.mark.parametrize("line, said", [
    ("Exclude = 198.18.0.0/15, 10.99.0.0/16", r"wg0.conf:5:26: Exclude: 10.99.0.0/16 holds 10.99.0.1,"),
    ("Exclude = 10.0.0.0/33", r"wg0.conf:5:11: Exclude"),
    ("KillSwitch = maybe", r"wg0.conf:5:14: KillSwitch"),
])
def test_bad(world, line, said):
    w = world
    w.conf("0.0.0.0/0, ::/0", line)
    text = w.ours("up", "wg0", check=False)
    place = re.search(r"wg0.conf:(\d+):", said).group(1)
    with open(w.a.path("/etc/wireguard/wg0.conf")) as f:
        assert line in f.read().splitlines()[int(place) - 1]
    assert w.ours.code == 1 and re.search(said, text), text
    assert w.host_state() == w.clean


def test_excludes_that_do_nothing(world):
    w = world
    w.conf("10.99.0.0/24", "Exclude = 172.16.0.0/12")
    text = w.ours("up", "wg0")
    assert "Warning" in text and "no AllowedIPs have any of 172.16.0.0/12" in text
    w.down()
    text = w.ours("up", "--exclude=fe80::/65,x", "wg0", check=False)
    assert w.ours.code == 1 and "--exclude:" in text and '"x"' in text, text
    w.gone()


def test_reload(world):
    """Each of weft's own keys comes and goes with the file, alone."""
    w = world

    def plan():
        return w.weft("reload", "--dry-run", "wg0").stdout.splitlines()

    def reload(interface, *wanted):
        w.conf("0.0.0.0/0, ::/0, 203.0.113.0/24", interface)
        lines = plan()
        assert len(lines) == len(wanted) and all(x in y for x, y in zip(wanted, lines)), lines
        w.weft("reload", "wg0")
        assert not plan()
    w.conf("0.0.0.0/0, ::/0, 203.0.113.0/24")
    w.up()
    plain = w.host_state()
    reload("Exclude = 203.0.113.128/25", "route add 203.0.113.0/25",
           "route add throw 203.0.113.128/25 table 51820", "route delete 203.0.113.0/24")
    assert came_from(w, OUTSIDE[0]) == "192.0.2.1"
    excluded = w.host_state()
    reload("Exclude = 203.0.113.128/25\nMTU = auto", "path-mtu probe",
           "nft add table inet weft-wg0", "link set mtu 1440")
    reload("Exclude = 203.0.113.128/25\nKillSwitch = on", "path-mtu off",
           "nft add table inet weft-wg0 # kill switch, mark 51820", "link set mtu 1420")
    clear = Clear(w.a)
    refused_addresses = w.a.run("ping", "-c", "1", "-W", "1", "192.0.2.254", check=False)
    assert refused_addresses.returncode
    assert [came_from(w, x) for x in (INSIDE[0], OUTSIDE[0])] == ["198.51.100.1", "192.0.2.1"]
    reload(EXCLUDE + "\nKillSwitch = on", "nft add table inet weft-wg0",
           "route add throw 2001:db8:3:0:8000::/65 table 51820")
    # somebody has been at it
    w.a.run("nft", "flush", "chain", "inet", "weft-wg0", "output")
    w.weft("reload", "wg0")
    assert "reject" in w.weft_table()
    # what fails changes nothing, least of all opens it
    w.conf("0.0.0.0/0, ::/0", "Exclude = 10.99.0.0/24")
    done = w.weft("reload", "wg0", check=False)
    assert done.returncode == 1 and "wg0.conf:5:11" in done.stderr and "Warning" not in done.stderr
    assert "reject" in w.weft_table()
    assert {p.dst for p in clear.packets()} <= set(OUTSIDE)
    reload("Exclude = 203.0.113.128/25", "route delete throw 2001:db8:3:0:8000::/65",
           "nft delete table inet weft-wg0")
    assert w.host_state() == excluded
    reload("", "route add 203.0.113.0/24", "route delete throw", "route delete 203.0.113.0/25")
    assert {k: v for k, v in w.host_state().items() if k != "routes"} == \
        {k: v for k, v in plain.items() if k != "routes"}
    w.down()
    w.gone()
    assert w.tables() == w.others


# ---- kill switch ----

ND = {133, 135, 136, 143}


class Clear:
    """What leaves a wire that is not the tunnel's: all but its messages and neighbour discovery."""

    def __init__(self, host, ifname="eth0"):
        self.capture = traffic.Capture(host, ifname)

    @staticmethod
    def is_own(p):
        return p.wg_type and p.dport == 51820

    def tunnel(self):
        return [p for p in list(self.capture.packets) if p.outgoing and self.is_own(p)]

    def packets(self):
        return [p for p in list(self.capture.packets)
                if p.outgoing and p.proto and not self.is_own(p) and
                not (p.proto == 58 and p.payload and p.payload[0] in ND) and
                not (p.proto == 0 and p.dst.startswith("ff02::"))]


class Chatter:
    """Programs that talk all the time, to both families, whatever becomes of it."""

    def __init__(self, host):
        self.socks = []
        for family, to in ((socket.AF_INET, INSIDE[0]), (socket.AF_INET6, INSIDE[1])):
            self.socks.append((host.socket(family, socket.SOCK_DGRAM), (to, 9)))
        self.sent, self.refused, self._run = 0, 0, True
        self._thread = threading.Thread(target=self._talk, daemon=True)
        self._thread.start()
        host.network.defer(self.stop)

    def _talk(self):
        while self._run:
            for sock, to in self.socks:
                try:
                    sock.sendto(b"in clear", to)
                    self.sent += 1
                except OSError:
                    self.refused += 1
            time.sleep(0.005)

    def stop(self):
        self._run = False
        self._thread.join(10)


def connect(host, address, port, timeout=30):
    sock = host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM,
                       timeout=timeout)
    sock.connect((address, port))
    return sock


def serve(host, address, port):
    """Listens, and sends back what it gets."""
    sock = host.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM,
                       bind=(address, port), timeout=120)
    sock.listen(8)

    def one(conn):
        try:
            while data := conn.recv(4096):
                conn.sendall(data)
        except OSError:
            pass

    def accept():
        try:
            while True:
                conn, _ = sock.accept()
                conn.settimeout(120)
                host.network.defer(conn.close)
                threading.Thread(target=one, args=(conn,), daemon=True).start()
        except OSError:
            pass
    threading.Thread(target=accept, daemon=True).start()


def echo(sock):
    sock.sendall(b"hello")
    assert sock.recv(100) == b"hello"


def refused(w):
    """A program fails at once and need not wait for a timeout."""
    for address in INSIDE:
        with pytest.raises(OSError) as e:
            connect(w.a, address, 7, timeout=20)
        assert not isinstance(e.value, TimeoutError), "it had to wait"


def test_kill_switch(world):
    """From before the interface until it is taken off: nothing leaves in clear, whatever happens."""
    w = world
    for address in INSIDE:
        serve(w.i, address, 7)
    before = [connect(w.a, address, 7) for address in INSIDE]
    for sock in before:
        echo(sock)
    w.conf("0.0.0.0/0, ::/0", "KillSwitch = on")
    # the daemon is the first thing that makes the interface
    starter = w.a.network.file("starter")
    with open(starter, "w") as f:
        f.write(f"""#!/bin/sh
ip link show wg0 >/dev/null 2>&1 && echo "the link is there" >>/run/early
ping -c 1 -W 1 {INSIDE[0]} >/dev/null && echo v4 >>/run/early
ping -c 1 -W 1 {INSIDE[1]} >/dev/null && echo v6 >>/run/early
nft list table inet weft-wg0 >/run/table
exec {wg.PROGRAMS[DUT]()} "$@"
""")
    os.chmod(starter, stat.S_IRWXU)
    chatter = Chatter(w.a)
    w.weft("up", "wg0", env={"WG_QUICK_USERSPACE_IMPLEMENTATION": starter})
    assert "kill" not in w.ours.read("/run/early") and not w.ours.read("/run/early")
    assert "reject" in w.ours.read("/run/table"), "it was there before the interface"
    assert w.tables() == w.others

    clear = Clear(w.a)
    assert [came_from(w, x) for x in INSIDE] == ["198.51.100.1", "2001:db8:2::1"]
    for sock in before:  # its packets would now be routed into the tunnel, from an outer address
        with pytest.raises(OSError):
            sock.settimeout(2)
            echo(sock)
            echo(sock)
    for address in INSIDE:
        echo(connect(w.a, address, 7))

    w.kill_daemon()
    chatter.refused = 0
    refused(w)
    wait.until(lambda: chatter.refused > 20, "packets are refused")
    assert not traffic.reaches(w.a, INSIDE[0], deadline=1)
    w.up()
    for address in INSIDE:
        traffic.until_reaches(w.a, address)

    w.down("--keep-kill-switch")
    refused(w)
    assert w.tables() == w.others
    text = w.ours("down", "wg0", check=False)
    assert w.ours.code == 1 and "weft killswitch off wg0" in text, text
    refused(w)

    w.conf("0.0.0.0/0, ::/0", "KillSwitch = on\nPostUp = false")
    text = w.ours("up", "wg0", check=False)
    assert w.ours.code == 1 and "weft killswitch off wg0" in text, text
    refused(w)
    w.conf("0.0.0.0/0, ::/0", "KillSwitch = on")
    w.up()
    traffic.until_reaches(w.a, INSIDE[0])
    assert len(clear.tunnel()) > 10
    assert not clear.packets()
    assert w.tables() == w.others

    w.down()
    wait.until(clear.packets, "it is open: the same talk is seen in clear")
    chatter.stop()
    w.gone()
    assert not w.weft_table() and w.tables() == w.others
    for address in INSIDE:
        echo(connect(w.a, address, 7))


def test_kill_switch_and_excludes(world):
    """With split tunnel: what is neither in it nor excluded goes nowhere, and who manages the host
    does so from an excluded range."""
    w = world
    w.conf("10.99.0.0/24, fd99::/64, 198.18.0.0/15", "KillSwitch = on\n" + EXCLUDE)
    serve(w.a, "192.0.2.1", 22)
    serve(w.a, "2001:db8:1::1", 22)
    for address in INSIDE:
        serve(w.i, address, 8)
    before = [connect(w.a, address, 8) for address in INSIDE]
    for sock in before:
        echo(sock)
    w.up()
    mark = int(w.a.run("wg", "show", "wg0", "fwmark").stdout, 0)
    assert mark == 51820 and f"mark 0x{mark:08x}" in w.weft_table()
    assert "fwmark" not in w.a.ip("rule show").stdout
    clear = Clear(w.a)
    for sock in before:  # they are ended at once, and in silence
        with pytest.raises(ConnectionError):
            echo(sock)
    for _ in range(2):  # with the daemon, and without
        for address in OUTSIDE:
            traffic.until_reaches(w.a, address)
        refused(w)
        for source, to in zip(OUTSIDE, ("192.0.2.1", "2001:db8:1::1")):
            sock = w.i.socket(socket.AF_INET6 if ":" in to else socket.AF_INET,
                              socket.SOCK_STREAM, bind=(source, 0))
            sock.connect((to, 22))
            echo(sock)
        with pytest.raises(TimeoutError):  # its answers stay here
            sock = w.i.socket(socket.AF_INET, socket.SOCK_STREAM, bind=(INSIDE[0], 0), timeout=2)
            sock.connect(("192.0.2.1", 22))
        if w.ours.daemon():
            traffic.until_reaches(w.a, "10.99.0.2")
            w.kill_daemon()
    assert {p.dst for p in clear.packets()} == set(OUTSIDE)
    w.up()
    w.down()
    w.gone()


def test_killswitch_command(world):
    w = world
    w.conf("0.0.0.0/0", "KillSwitch = on\nFwMark = 0x77\n" + EXCLUDE)

    def show():
        return json.loads(w.weft("killswitch", "show", "wg0", "--json").stdout)
    off = {"interface": "wg0", "kill_switch": False, "mark": None, "exclude": [],
           "mss_clamp": False, "intact": True, "rejected_pkts": 0, "dropped_pkts": 0}
    assert show() == off
    w.weft("killswitch", "on", "wg0")
    refused(w)
    seen = show()
    assert seen.pop("rejected_pkts") >= 2
    assert seen == {"interface": "wg0", "kill_switch": True, "mark": 0x77, "mss_clamp": True,
                    "intact": True, "dropped_pkts": 0,
                    "exclude": ["203.0.113.128/25", "2001:db8:3:0:8000::/65"]}
    text = w.weft("killswitch", "show", "wg0").stdout
    assert "wg0: kill switch on" in text and "203.0.113.128/25" in text
    # nothing is done where nothing is to be done; what somebody changed is made again
    handles = w.a.run("nft", "-a", "list", "table", "inet", "weft-wg0").stdout
    w.weft("killswitch", "on", "/etc/wireguard/wg0.conf")
    again = w.a.run("nft", "-a", "list", "table", "inet", "weft-wg0").stdout
    assert re.sub(r"packets.*?bytes \d+", "", handles) == re.sub(r"packets.*?bytes \d+", "", again)
    w.a.run("nft", "add", "element", "inet", "weft-wg0", "exclude4", "{ 203.0.113.0/25 }")
    assert not show()["intact"]
    traffic.until_reaches(w.a, INSIDE[0])
    w.weft("killswitch", "on", "wg0")
    assert show()["intact"]
    w.a.run("nft", "insert", "rule", "inet", "weft-wg0", "output", "accept")
    assert not show()["intact"]
    w.weft("killswitch", "on", "wg0")
    refused(w)
    w.weft("killswitch", "off", "wg0")
    assert show() == off and w.host_state() == w.clean
    traffic.until_reaches(w.a, INSIDE[0])
    # beside a running interface that has no mark yet, by a file that does not ask for it
    w.conf("10.99.0.0/24")
    w.up()
    done = w.weft("killswitch", "on", "wg0")
    assert "does not say KillSwitch = on" in done.stderr
    assert w.a.run("wg", "show", "wg0", "fwmark").stdout.strip() == "0xca6c"
    traffic.until_reaches(w.a, "10.99.0.2")
    refused(w)
    w.weft("killswitch", "off", "wg0")
    assert show()["mss_clamp"]
    traffic.until_reaches(w.a, INSIDE[0])
    w.down()
    w.gone()
    for args in (("on",), ("of", "wg0"), ("off", "a/b"), ("on", "wg7"), ("show", "-x")):
        done = w.weft("killswitch", *args, check=False)
        assert done.returncode == 1 and done.stderr and not done.stdout, args


class Named(Fence):
    """The name server is outside of the tunnel, and what asks it is seen."""

    dns, no_dns, resolver = Names.dns, Names.no_dns, Names.resolver

    def __init__(self, net):
        super().__init__(net)
        self.net, self.dns_proc = net, None
        self.resolver(INSIDE[0])
        self.dns(("A", "hub.example.test", "198.51.100.1"), ("A", "other.example.test", "10.1.1.1"))


def test_names_while_it_is_closed(net):
    """The endpoint is a name: it is found at the first start and at the next, and nothing else is
    asked for."""
    if os.path.exists("/sys/module/wireguard"):
        pytest.skip("the kernel's WireGuard is loaded: then it would be taken")
    w = Named(net)
    # not the default route: the name server's own address stays outside
    w.conf("10.99.0.0/24", "KillSwitch = on", endpoint="hub.example.test:51820")
    clear = Clear(w.a)
    for restart in range(2):
        w.up()
        traffic.until_reaches(w.a, "10.99.0.2")
        assert w.a.run("getent", "ahosts", "other.example.test", check=False).returncode
        if not restart:
            w.kill_daemon()
            refused(w)
    w.weft("reload", "wg0")
    w.down("--keep-kill-switch")
    assert clear.packets() and {(p.dst, p.proto, p.dport) for p in clear.packets()} == {
        (INSIDE[0], 17, 53)}
    assert all(b"\3hub\7example\4test" in p.payload for p in clear.packets())
    w.weft("killswitch", "off", "wg0")
    assert w.host_state() == w.clean


# ---- a router ----

def mss_of(packet):
    """The MSS option of a TCP segment, or None."""
    data = packet.data
    tcp = data[(data[0] & 15) * 4:] if data[0] >> 4 == 4 else data[40:]
    options = tcp[20:(tcp[12] >> 4) * 4]
    while options and options[0]:
        if options[0] == 1:
            options = options[1:]
        elif options[0] == 2:
            return struct.unpack("!H", options[2:4])[0]
        else:
            options = options[options[1]:]
    return None


def syns(capture, answer):
    return {(p.data[0] >> 4, mss_of(p)) for p in list(capture.packets)
            if p.proto == 6 and (p.data[33] if p.data[0] >> 4 == 4 else p.data[53]) & 0x12 ==
            (0x12 if answer else 2)}


@pytest.mark.parametrize("line, mss", [("KillSwitch = on\nExclude = 10.50.0.0/24, fd50::/64",
                                        (1380, 1360)),
                                       ("MTU = auto", (1400, 1380)), ("", (1460, 1440))],
                         ids=["kill_switch", "mtu_auto", "plain"])
def test_mss_clamp(world, line, mss):
    """A host behind the client, which knows nothing of the tunnel's MTU."""
    w = world
    c = w.a.network.host("c")
    w.a.network.link(c, "eth0", ["10.50.0.2/24", "fd50::2/64"], w.a, "eth1",
                     ["10.50.0.1/24", "fd50::1/64"])
    c.ip("route add default via 10.50.0.1", "route add default via fd50::1")
    w.a.forward()
    w.wb.peer(w.key, ["10.99.0.1/32", "fd99::1/128", "10.50.0.0/24", "fd50::/64"])
    w.b.ip("route add 10.50.0.0/24 dev wg0", "route add fd50::/64 dev wg0")
    for address in INSIDE:
        serve(w.i, address, 7)
    w.conf("0.0.0.0/0, ::/0", line)
    w.up()
    at_tunnel, at_lan = traffic.Capture(w.a, "wg0"), traffic.Capture(w.a, "eth1")
    for address in INSIDE:
        echo(connect(c, address, 7))
    wanted = {(4, mss[0]), (6, mss[1])}
    wait.until(lambda: len(syns(at_tunnel, False)) >= 2 and len(syns(at_lan, True)) >= 2, "SYNs")
    assert syns(at_tunnel, False) == wanted
    assert syns(at_lan, True) == wanted
    assert bool(w.weft_table()) == bool(line)
    if "Kill" in line:  # and forwarded packets stay here, too
        clear = Clear(w.a)
        w.kill_daemon()
        for address in INSIDE:
            assert not traffic.reaches(c, address, deadline=1)
        assert traffic.reaches(c, "10.50.0.1", deadline=15)
        assert json.loads(w.weft("killswitch", "show", "--json", "wg0").stdout)["dropped_pkts"] > 0
        assert not clear.packets()
        w.weft("killswitch", "off", "wg0")
    else:
        w.down()
        assert not w.weft_table()
    assert w.tables() == w.others
