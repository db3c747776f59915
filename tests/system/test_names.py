# SPDX-License-Identifier: Apache-2.0
# Endpoints that are names: `weft up`, its keeper, and a real dnsmasq(8) that changes its answers.
# The keeper's times are shortened in keep.json, as its reader has it for tests.
import json
import os
import signal
import socket

import pytest

from conftest import DUT
from lib import traffic, wait, wg
from test_wgquick import Net, Quick

TIMES = {"stale_s": 5, "grace_s": 4, "try_s": 7, "look_s": 2, "session_s": 6, "ttl_min_s": 1,
         "backoff_s": 2}
SERVER = "203.0.113.1"
NAME = "hub.example.test"


class World(Net):
    def __init__(self, net, impl=DUT):
        super().__init__(net)
        self.net, self.impl = net, impl
        self.dns_proc = None
        self.b4, self.b6 = "198.51.100.1", "2001:db8:2::1"
        self.resolver(SERVER)
        # the hub only answers: else it depends on who is first whether a name is needed at all
        self.b.run("nft", "-f", "-", input="""
            table inet quiet {
                chain out {
                    type filter hook output priority 0;
                    udp sport 51820 ct state new drop
                }
            }""")

    # ---- names ----

    def resolver(self, address):
        self.a.sh(f"echo nameserver {address} >/run/resolv.conf; umount /etc/resolv.conf || true; "
                  "mount --bind /run/resolv.conf /etc/resolv.conf")

    def dns(self, *records, host=None, ttl=1):
        """Answers with these from now on: ("A", name, address), ("SRV", prio, port, target)."""
        self.no_dns()
        args = []
        for kind, *r in records:
            args.append(f"--srv-host=_wireguard._udp.example.test,{r[2]},{r[1]},{r[0]}"
                        if kind == "SRV" else f"--host-record={r[0]},{r[1]}")
        host = host or self.i
        log = open(self.net.file("dnsmasq.log"), "ab")
        self.net.defer(log.close)
        self.dns_proc = host.popen("dnsmasq", "-k", "-u", "root", "-p", "53", "--no-resolv",
                                   "--no-hosts", "--conf-file=/dev/null", "--pid-file=",
                                   "--local=/test/", "--log-queries", "--log-facility=-",
                                   f"--local-ttl={ttl}", *args, stdout=log, stderr=log)
        wait.until(lambda: ":53 " in host.run("ss", "-Hlun").stdout, "dnsmasq listens")

    def no_dns(self):
        if self.dns_proc:
            self.dns_proc.kill()
            self.dns_proc.wait()
            self.dns_proc = None

    # ---- the hub ----

    def move(self, address):
        """The hub has this IPv4 address instead of the one it has; None: no address at all."""
        if self.b4:
            self.b.ip(f"addr del {self.b4}/24 dev eth0")
        self.b4 = address
        if address:
            self.b.ip(f"addr add {address}/24 dev eth0", "route replace default via 198.51.100.254")

    # ---- weft on the client ----

    def conf(self, *endpoints, allowed="10.99.0.0/24, fd99::/64", interface=""):
        lines = "".join(f"Endpoint = {e}\n" for e in endpoints)
        self.quick.conf(f"[Interface]\nPrivateKey = {self.key.private64}\n"
                        f"Address = 10.99.0.1/24, fd99::1/64\n{interface}\n"
                        f"[Peer]\nPublicKey = {self.wb.key.public64}\nAllowedIPs = {allowed}\n"
                        f"{lines}")

    def env(self, **more):
        return dict({"WG_QUICK_USERSPACE_IMPLEMENTATION": wg.PROGRAMS[self.impl](),
                     "WG_ENDPOINT_RESOLUTION_RETRIES": "0",
                     "PATH": f"{self.quick.dir}:{os.environ['PATH']}"}, **more)

    def weft(self, *args, check=True):
        return self.a.run(wg.weft(), *args, check=check, env=self.env())

    def up(self, hurry=True):
        self.weft("up", "wg0")
        self.net.defer(lambda: self.weft("down", "wg0", check=False))
        if hurry:
            self.hurry()

    def hurry(self, **times):
        path = self.a.path("/run/weft/wg0/keep.json")
        with open(path) as f:
            keep = json.load(f)
        keep["times"] = dict(TIMES, **times)
        with open(path + ".new", "w") as f:
            json.dump(keep, f)
        os.rename(path + ".new", path)

    def ping(self):
        """Wants something of the hub all the time."""
        return self.a.popen("ping", "-q", "-i", "0.5", "10.99.0.2",
                            stdout=-3, stderr=-3)

    def view(self):
        """endpoints.json of the one peer, or None."""
        try:
            with open(self.a.path("/run/weft/wg0/endpoints.json")) as f:
                peers = json.load(f)["peers"]
        except FileNotFoundError:
            return None
        return peers[0] if peers else None

    def endpoint(self):
        return self.a.run("wg", "show", "wg0", "endpoints").stdout.split("\t")[1].strip()

    def keepers(self):
        found = []
        for pid in self.a.processes():
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as f:
                    if f.read().split(b"\0")[1:3] == [b"keep", b"wg0"]:
                        found.append(pid)
            except OSError:
                pass
        return found

    def until_view(self, predicate, what):
        return wait.until(lambda: (v := self.view()) and predicate(v) and v, what)

    def until_works(self, address="10.99.0.2"):
        traffic.until_reaches(self.a, address, timeout=90)


@pytest.fixture
def world(net):
    if os.path.exists("/sys/module/wireguard"):
        pytest.skip("the kernel's WireGuard is loaded")
    return lambda **kwargs: World(net, **kwargs)


@pytest.mark.parametrize("impl", ["weftd", "wireguard-go"])
def test_name_follows(world, impl):
    """The hub moves, and so does its name: traffic comes back by itself."""
    w = world(impl=impl)
    w.dns(("A", NAME, "198.51.100.1"))
    w.conf(f"{NAME}:51820")
    w.up(hurry=False)
    w.hurry(session_s=600)
    w.ping()
    w.until_works()
    v = w.until_view(lambda v: v["endpoints"][0]["addresses"], "the keeper has resolved it")
    assert v["endpoint"] == "198.51.100.1:51820" and v["from"]["kind"] == "name"
    assert v["from"]["line"] == 8 and v["from"]["text"] == f"{NAME}:51820"
    w.move("198.51.100.7")
    w.dns(("A", NAME, "198.51.100.7"))
    w.until_works()
    assert w.endpoint() == "198.51.100.7:51820"
    v = w.until_view(lambda v: v["endpoint"] == "198.51.100.7:51820" and v["state"] == "idle",
                     "it is said")
    assert v["reason"] == "the one before gave no answer" and v["since"] > 1e9


def test_not_applied_while_it_works(world):
    w = world()
    w.dns(("A", NAME, "198.51.100.1"))
    w.conf(f"{NAME}:51820")
    w.up(hurry=False)
    w.hurry(session_s=60, stale_s=60)
    w.ping()
    w.until_works()
    w.dns(("A", NAME, "198.51.100.9"))
    w.until_view(lambda v: v["endpoints"][0]["addresses"] == ["198.51.100.9:51820"],
                 "the TTL has ended")
    wait.stays(lambda: w.endpoint() == "198.51.100.1:51820", "the endpoint that works", 4)
    assert traffic.reaches(w.a, "10.99.0.2", deadline=15)


def test_idle_peer_follows(world):
    """Nothing is sent: at the end of the TTL the new address is put in, once no session lives."""
    w = world()
    w.dns(("A", NAME, "198.51.100.1"))
    w.conf(f"{NAME}:51820")
    w.up()
    w.until_works()
    w.dns(("A", NAME, "198.51.100.7"))
    wait.until(lambda: w.endpoint() == "198.51.100.7:51820", "it has followed")
    assert w.until_view(lambda v: v["endpoint"] == "198.51.100.7:51820", "it is said")["reason"] \
        == "the one before has left the name"


@pytest.mark.parametrize("dead", [4, 6])
def test_one_family_is_dead(world, dead):
    w = world()
    a4, a6 = ("198.51.100.9" if dead == 4 else "198.51.100.1",
              "2001:db8:2::9" if dead == 6 else "2001:db8:2::1")
    w.dns(("A", NAME, a4), ("A", NAME, a6))
    w.conf(f"{NAME}:51820")
    w.up()
    # whichever is tried first, the dead one is at some time
    w.a.run("wg", "set", "wg0", "peer", w.wb.key.public64, "endpoint",
            wg.endpoint(a4 if dead == 4 else a6, 51820))
    w.ping()
    w.until_works()
    works = wg.endpoint(a6 if dead == 4 else a4, 51820)
    assert w.endpoint() == works
    w.until_view(lambda v: v["endpoint"] == works and len(v["endpoints"][0]["addresses"]) == 2,
                 "both are known")


def test_several_endpoints_in_turn(world):
    """A name that is not there, an address that is dead, one that works; then that one goes."""
    w = world()
    w.dns(("A", NAME, "198.51.100.9"))
    w.conf("nowhere.example.test:51820", f"{NAME}:51820", "198.51.100.1:51820", "198.51.100.7:51820")
    w.up()
    assert w.endpoint() == "198.51.100.9:51820"
    w.ping()
    w.until_works()
    v = w.until_view(lambda v: v["endpoint"] == "198.51.100.1:51820" and v["state"] == "idle",
                     "it is said")
    assert v["from"] == {"kind": "address", "text": "198.51.100.1:51820", "line": 10}
    assert "error" in v["endpoints"][0]
    w.move("198.51.100.7")
    w.until_works()
    assert w.endpoint() == "198.51.100.7:51820"


def test_srv(world):
    """The first priority is dead, the second works; both have a port of their own."""
    w = world()
    w.dns(("SRV", 20, 51820, "two.example.test"), ("SRV", 10, 5555, "one.example.test"),
          ("A", "one.example.test", "198.51.100.1"), ("A", "two.example.test", "198.51.100.1"))
    w.conf("_wireguard._udp.example.test")
    w.up()
    assert w.endpoint() == "198.51.100.1:5555"
    w.ping()
    w.until_works()
    v = w.until_view(lambda v: v["endpoint"] == "198.51.100.1:51820" and v["state"] == "idle",
                     "it is said")
    assert v["from"] == {"kind": "srv", "text": "_wireguard._udp.example.test", "line": 8,
                         "target": "two.example.test"}
    assert v["endpoints"][0]["addresses"] == ["198.51.100.1:5555", "198.51.100.1:51820"]


def test_server_away(world):
    """The name server is away when the hub moves; it comes back later."""
    w = world()
    w.dns(("A", NAME, "198.51.100.1"))
    w.conf(f"{NAME}:51820")
    w.up()
    w.ping()
    w.until_works()
    w.no_dns()
    w.move("198.51.100.7")
    w.until_view(lambda v: "error" in v["endpoints"][0] and v["state"] == "waiting",
                 "the name cannot be had")
    assert w.endpoint() == "198.51.100.1:51820"
    w.dns(("A", NAME, "198.51.100.7"))
    w.until_works()
    w.until_view(lambda v: "error" not in v["endpoints"][0], "it is resolved")


def test_full_tunnel(world):
    """Everything goes through the tunnel, but questions for the hub's name go outside."""
    w = world()
    w.dns(("A", NAME, "198.51.100.1"))
    w.conf(f"{NAME}:51820", allowed="0.0.0.0/0, ::/0")
    w.up()
    w.ping()
    w.until_works()
    w.move("198.51.100.7")
    w.dns(("A", NAME, "198.51.100.7"))
    w.until_works(SERVER)
    assert w.endpoint() == "198.51.100.7:51820"
    with open(w.net.file("dnsmasq.log")) as f:
        asked = [line for line in f if f"query[A] {NAME}" in line]
    assert asked and all(line.split()[-1] == "192.0.2.1" for line in asked)


def test_resolver_inside(world):
    """The name server is behind the tunnel: outside nobody answers, so it is asked there."""
    w = world()
    w.dns(("A", NAME, "198.51.100.1"))
    w.conf(f"{NAME}:51820", allowed="0.0.0.0/0, ::/0")
    w.up(hurry=False)
    w.hurry(session_s=600, stale_s=600)
    w.ping()
    w.until_works()
    w.resolver("10.99.0.2")
    w.dns(("A", NAME, "198.51.100.9"), host=w.b)
    w.until_view(lambda v: v["endpoints"][0]["addresses"] == ["198.51.100.9:51820"],
                 "it is asked inside")
    assert w.endpoint() == "198.51.100.1:51820"


@pytest.mark.parametrize("endpoints, allowed, column", [
    (["198.51.100.1:51820"], "10.99.0.0/24, 198.51.100.0/24", 12),
    (["198.51.100.1:51820"], "0.0.0.0/0, 198.51.100.0/24", 12),
    (["[2001:db8:2::1]:51820"], "2001:db8::/32", 12),
    (["10.99.0.2:51820"], "10.99.0.2/32", 12),
    ([f"{NAME}:51820"], "198.51.100.0/24", 12),
    ([f"{NAME}:51820", "198.51.100.7:1"], "198.51.100.0/24", 12),
])
def test_loop_is_refused(world, endpoints, allowed, column):
    w = world()
    w.dns(("A", NAME, "198.51.100.1"))
    w.conf(*endpoints, allowed=allowed)
    before = w.a.ip("-o link").stdout
    done = w.weft("up", "wg0", check=False)
    assert done.returncode == 1
    assert f"/etc/wireguard/wg0.conf:8:{column}: Endpoint: {endpoints[0]}: packets to" in done.stderr
    assert " would go into wg0 itself, by A" in done.stderr
    wait.until(lambda: w.a.ip("-o link").stdout == before, "nothing is left")
    assert not w.keepers()


def test_loop_is_passed_over(world):
    """One address of a name, one line of several: the other is taken, at first and later."""
    w = world()
    w.dns(("A", NAME, "203.0.113.1"), ("A", NAME, "198.51.100.1"))
    w.conf("203.0.113.1:51820", f"{NAME}:51820", allowed="10.99.0.0/24, 203.0.113.0/24")
    w.resolver("192.0.2.254")
    w.dns(("A", NAME, "203.0.113.1"), ("A", NAME, "198.51.100.1"), host=w.r)
    w.up()
    assert w.endpoint() == "198.51.100.1:51820"
    w.ping()
    w.until_works()
    w.move(None)
    v = w.until_view(lambda v: v["state"] == "waiting" and "refused" in v, "nothing works")
    assert v["refused"] == "203.0.113.1:51820" and v["endpoint"] == "198.51.100.1:51820"


def test_without_a_loop(world):
    """Longer routes of the host's own, a mark of one's own, no routes: all of that is well."""
    w = world()
    w.a.ip("route add 198.51.100.1 via 192.0.2.254")
    for allowed, interface in (("198.51.100.0/24", ""), ("0.0.0.0/0", ""),
                               ("198.51.100.1/32, 10.99.0.2/32", "Table = off"),
                               ("0.0.0.0/1, 128.0.0.0/1", "FwMark = 7")):
        w.conf("198.51.100.1:51820", allowed=allowed, interface=interface)
        w.weft("up", "wg0")
        assert not w.keepers()  # one address needs none
        w.weft("down", "wg0")


def test_keeper_ends(world):
    """One keeper, with what it needs of rights; it ends with down, and with the interface."""
    w = world()
    w.dns(("A", NAME, "198.51.100.1"))
    w.conf(f"{NAME}:51820")
    w.up(hurry=False)
    w.until_view(lambda v: True, "the keeper is there")
    pid, = w.keepers()
    with open(f"/proc/{pid}/status") as f:
        caps = [int(line.split()[1], 16) for line in f if line.startswith("CapEff")]
    assert caps[0] & ~(1 << 12 | 1 << 10 | 1 << 14) == 0 and caps[0] & 1 << 12
    second = w.a.popen(wg.weft(), "keep", "wg0")
    assert second.wait(60) == 0
    assert w.keepers() == [pid]
    w.weft("down", "wg0")
    wait.until(lambda: not w.keepers(), "it has ended", timeout=10)
    assert not os.path.exists(w.a.path("/run/weft/wg0"))
    w.up(hurry=False)
    w.until_view(lambda v: True, "another is there")
    w.a.ip("link delete wg0")
    wait.until(lambda: not w.keepers(), "it has ended")
    done = w.weft("keep", "wg0", check=False)
    assert done.returncode == 1 and "wg0" in done.stderr
    done = w.weft("keep", "..", check=False)
    assert done.returncode == 1


def test_keeper_costs_nothing(world):
    """With nothing to do it runs for less than a hundredth of a second in ten."""
    w = world()
    w.dns(("A", NAME, "198.51.100.1"), ttl=3600)
    w.conf(f"{NAME}:51820")
    w.up(hurry=False)
    w.until_works()
    w.until_view(lambda v: v["endpoints"][0]["addresses"], "it is resolved")
    pid, = w.keepers()

    def switches():
        with open(f"/proc/{pid}/status") as f:
            return sum(int(line.split()[1]) for line in f if line.startswith("voluntary"))
    before = switches()
    wait.stays(lambda: True, "time", 10)
    assert switches() - before <= 10


def test_reload(world):
    """What the keeper has found stays with a reload; a loop is refused; without names it ends."""
    w = world()
    w.dns(("A", NAME, "198.51.100.9"))
    w.conf(f"{NAME}:51820", "198.51.100.1:51820")
    w.up()
    w.ping()
    w.until_works()
    pid, = w.keepers()
    w.conf(f"{NAME}:51820", "198.51.100.1:51820", allowed="10.99.0.0/24, fd99::/64, 10.98.0.0/16")
    w.weft("reload", "wg0")
    assert w.endpoint() == "198.51.100.1:51820" and traffic.reaches(w.a, "10.99.0.2", deadline=15)
    wait.until(lambda: w.keepers() == [pid], "the same keeper")
    before = w.a.ip("route show").stdout
    w.conf(f"{NAME}:51820", "198.51.100.1:51820", allowed="10.99.0.0/24, 198.51.100.0/24")
    done = w.weft("reload", "wg0", check=False)
    assert done.returncode == 1 and "would go into wg0 itself, by AllowedIPs" in done.stderr
    assert w.a.ip("route show").stdout == before and w.endpoint() == "198.51.100.1:51820"
    w.conf("198.51.100.1:51820")
    w.weft("reload", "wg0")
    wait.until(lambda: not w.keepers(), "nothing is left to keep")
    w.conf(f"{NAME}:51820", "198.51.100.1:51820")
    w.weft("reload", "wg0")
    wait.until(w.keepers, "there is again")
    # the first line has another address, but what works is one of the file's
    assert w.endpoint() == "198.51.100.1:51820"
    assert traffic.reaches(w.a, "10.99.0.2", deadline=15)


# ---- weft run ----

class Service:
    """`weft run wg0` with somebody who listens to what it says."""

    def __init__(self, w, **env):
        self.w = w
        self.said = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        name = f"weft-test-{os.getpid()}-{id(self)}"
        # an abstract name belongs to a network namespace
        with w.a.inside():
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(f"\0{name}")
        w.net.defer(self.sock.close)
        self.log = open(w.net.file("run.log"), "w+")
        w.net.defer(self.log.close)
        self.proc = w.a.popen(wg.weft(), "run", "wg0", stdout=self.log, stderr=self.log,
                              env=dict(os.environ, **w.env(NOTIFY_SOCKET=f"@{name}", **env)))

    def hears(self, word, timeout=60):
        """Waits for a message with that line, and returns it."""
        self.sock.settimeout(timeout)
        while True:
            message = self.sock.recv(4096).decode()
            self.said.append(message)
            if word in message.split("\n"):
                return message

    def text(self):
        self.log.flush()
        with open(self.log.name) as f:
            return f.read()


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return f.read().split()


def test_run(world):
    w = world()
    w.dns(("A", NAME, "198.51.100.1"))
    w.conf(f"{NAME}:51820")
    s = Service(w, WATCHDOG_USEC="400000")
    s.hears("READY=1")
    assert not any("MAINPID" in m for m in s.said)  # the daemon's
    w.until_works()
    wait.until(w.keepers, "the keeper is there")
    s.hears("WATCHDOG=1")
    w.conf(f"{NAME}:51820", "198.51.100.7:51820")
    s.proc.send_signal(signal.SIGHUP)
    assert "MONOTONIC_USEC=" in s.hears("RELOADING=1")
    s.hears("READY=1")
    assert s.proc.poll() is None
    s.proc.send_signal(signal.SIGTERM)
    s.hears("STOPPING=1")
    assert s.proc.wait(60) == 0, s.text()
    assert w.a.ip("link show wg0", check=False).returncode != 0
    wait.until(lambda: not w.keepers(), "the keeper has ended")


def test_run_bad_reload(world):
    """A file that will not do leaves the interface as it is."""
    w = world()
    w.conf("198.51.100.1:51820")
    s = Service(w)
    s.hears("READY=1")
    w.quick.conf("[Interface]\nAdress = x\n")
    s.proc.send_signal(signal.SIGHUP)
    s.hears("RELOADING=1")
    assert "the last reload failed" in s.hears("READY=1")
    other = wg.Key()
    w.conf("198.51.100.1:51820")
    w.quick.conf(w.quick.read("/etc/wireguard/wg0.conf") +
                 f"[Peer]\nPublicKey = {other.public64}\nAllowedIPs = 10.99.0.0/24\n"
                 f"[Peer]\nPublicKey = {wg.Key().public64}\nAllowedIPs = 10.99.0.0/24\n")
    s.proc.send_signal(signal.SIGHUP)
    s.hears("RELOADING=1")
    assert "the last reload failed" in s.hears("READY=1")
    assert "10.99.0.0/24: another peer has it" in s.text()
    assert other.public64 not in w.a.run("wg", "show", "wg0", "peers").stdout
    w.until_works()
    s.proc.send_signal(signal.SIGTERM)
    assert s.proc.wait(60) == 0, s.text()
    assert w.a.ip("link show wg0", check=False).returncode != 0


def test_run_stopped_in_reload(world):
    """SIGTERM while a reload is busy ends it, and then everything: it is not lost."""
    w = world()
    w.conf("198.51.100.1:51820")
    s = Service(w)
    s.hears("READY=1")
    w.dns()
    w.dns_proc.send_signal(signal.SIGSTOP)  # takes questions and answers none
    w.conf(f"{NAME}:51820")
    s.proc.send_signal(signal.SIGHUP)
    s.hears("RELOADING=1")
    wait.until(lambda: children(s.proc.pid), "the reload has begun")
    s.proc.send_signal(signal.SIGTERM)
    s.hears("STOPPING=1")
    assert s.proc.wait(60) == 0, s.text()
    assert w.a.ip("link show wg0", check=False).returncode != 0


@pytest.mark.parametrize("how", ["daemon", "link"])
def test_run_interface_goes(world, how):
    w = world()
    w.dns(("A", NAME, "198.51.100.1"))
    w.conf(f"{NAME}:51820")
    s = Service(w)
    s.hears("READY=1")
    if how == "daemon":
        os.kill(wg.pid_of_socket(w.a, "wg0"), signal.SIGKILL)
    else:
        w.a.ip("link delete wg0")
    assert s.proc.wait(60) == 1
    assert "wg0 is gone" in s.text()
    wait.until(lambda: not w.keepers(), "the keeper has ended")


def test_run_again(world):
    """What a daemon that was killed has left is taken over by the next run, and taken away."""
    w = world()
    before = w.a.ip("rule").stdout, w.a.ip("-6 rule").stdout
    w.conf("198.51.100.1:51820", allowed="0.0.0.0/0, ::/0")
    s = Service(w)
    s.hears("READY=1")
    up = w.a.ip("rule").stdout, w.a.ip("-6 rule").stdout
    assert up != before
    os.kill(wg.pid_of_socket(w.a, "wg0"), signal.SIGKILL)
    assert s.proc.wait(60) == 1
    s = Service(w)
    s.hears("READY=1")
    now = w.a.ip("rule").stdout, w.a.ip("-6 rule").stdout
    assert [len(r.splitlines()) for r in now] == [len(r.splitlines()) for r in up]
    s.proc.send_signal(signal.SIGTERM)
    assert s.proc.wait(60) == 0, s.text()
    assert (w.a.ip("rule").stdout, w.a.ip("-6 rule").stdout) == before
    assert "wg" not in w.a.run("nft", "list", "tables").stdout


def test_run_twice(world):
    """The second says who was first, and changes nothing."""
    w = world()
    w.conf("198.51.100.1:51820")
    s = Service(w)
    s.hears("READY=1")
    other = w.a.run(wg.weft(), "run", "wg0", check=False)
    assert other.returncode == 1
    assert f"`wg0' is served by weft run (process {s.proc.pid}) already" in other.stderr
    s.proc.send_signal(signal.SIGTERM)
    assert s.proc.wait(60) == 0, s.text()
    assert not os.path.exists(w.a.path("/run/weft/run:wg0"))


def test_run_cannot(world):
    w = world()
    w.conf("198.51.100.1:51820", interface="PostUp = false")
    s = Service(w)
    assert s.proc.wait(60) == 1
    w.sock = s.sock
    s.sock.setblocking(False)
    with pytest.raises(BlockingIOError):
        s.sock.recv(100)
    assert w.a.ip("link show wg0", check=False).returncode != 0
