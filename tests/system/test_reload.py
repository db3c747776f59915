# SPDX-License-Identifier: Apache-2.0
# `weft reload`: a running interface becomes what a fresh `weft up` would make of the file, by the
# smallest change; what need not stop does not; and what fails leaves no trace.
import fcntl
import json
import os
import random
import re
import socket
import threading
import time

import pytest

from lib import traffic, wait, wg
from test_up import V4, V6, World

KEYS = [wg.Key() for _ in range(4)]
PSK = wg.psk()


def peer(i, allowed="", **more):
    lines = [f"[Peer]\nPublicKey = {KEYS[i].public64}"]
    lines += [f"AllowedIPs = {allowed}"] if allowed else []
    lines += [f"{key} = {value}" for key, value in more.items()]
    return "\n".join(lines) + "\n"


P0, P1 = peer(0, "10.98.0.0/16"), peer(1, "10.97.0.0/16, fd97::/64", Endpoint="192.0.2.77:51820")
BASE = f"Address = {V4}"
# name: (of [Interface], peers) before and after
CHANGES = {
    "nothing": ((BASE, P0 + P1), (BASE, P0 + P1)),
    "peer_comes": ((BASE, P0), (BASE, P0 + P1)),
    "peer_goes": ((BASE, P0 + P1), (BASE, P1)),
    "peers_change_places": ((BASE, P0 + P1), (BASE, P1 + P0)),
    "all_peers_go": ((BASE, P0 + P1), (BASE, "")),
    "other_key_of_a_peer": ((BASE, P0), (BASE, peer(2, "10.98.0.0/16"))),
    "psk_comes": ((BASE, P0), (BASE, peer(0, "10.98.0.0/16", PresharedKey=PSK))),
    "psk_goes": ((BASE, peer(0, "10.98.0.0/16", PresharedKey=PSK)), (BASE, P0)),
    "keepalive": ((BASE, P0), (BASE, peer(0, "10.98.0.0/16", PersistentKeepalive=25))),
    "keepalive_goes": ((BASE, peer(0, "10.98.0.0/16", PersistentKeepalive=25)), (BASE, P0)),
    "endpoint": ((BASE, P1), (BASE, P1.replace("192.0.2.77", "192.0.2.78"))),
    "endpoint_by_name": ((BASE, P1), (BASE, P1.replace("192.0.2.77", "localhost"))),
    "allowed_ips": ((BASE, peer(0, "10.98.0.0/16, 10.90.0.0/16, 10.80.0.0/16")),
                    (BASE, peer(0, "10.98.0.0/16, 10.91.0.0/16, fd98::/64"))),
    "allowed_ips_swap": ((BASE, peer(0, "10.98.0.0/16") + peer(1, "10.97.0.0/16")),
                         (BASE, peer(0, "10.97.0.0/16") + peer(1, "10.98.0.0/16"))),
    "allowed_ips_move": ((BASE, P0 + peer(1, "10.97.0.0/16")),
                         (BASE, peer(0, "10.98.0.0/16, 10.97.0.0/16") + peer(1))),
    "private_key": ((BASE, P0), (BASE + f"\nPrivateKey = {KEYS[3].private64}", P0)),
    "listen_port": ((BASE, P0), (BASE + "\nListenPort = 51822", P0)),
    "mark": ((BASE, P0), (BASE + "\nFwMark = 77", P0)),
    "mark_goes": ((BASE + "\nFwMark = 77", P0), (BASE, P0)),
    "address": ((BASE, P0), (f"Address = 10.95.0.1/24, {V6}", P0)),
    "address_of_the_same_prefix": ((BASE, P0), ("Address = 10.99.0.7/24", P0)),
    "first_of_a_prefix_goes": (("Address = 10.99.0.1/24, 10.99.0.2/24, 10.99.0.3/24", P0),
                               ("Address = 10.99.0.2/24, 10.99.0.3/24", P0)),
    "length_of_an_address": ((f"Address = {V4}, {V6}", P0),
                             ("Address = 10.99.0.1/16, fd99::1/48", P0)),
    "no_address": ((f"Address = {V4}, {V6}", P0), ("", P0)),
    "address_makes_the_route": ((BASE, P0), ("Address = 10.98.0.1/16", P0)),
    "address_made_the_route": (("Address = 10.98.0.1/16", P0), (BASE, P0)),
    "mtu": ((BASE + "\nMTU = 1333", P0), (BASE + "\nMTU = 1280", P0)),
    "mtu_goes": ((BASE + "\nMTU = 1333", P0), (BASE, P0)),
    "table_number": ((BASE, P0), (BASE + "\nTable = 123", P0)),
    "table_off": ((BASE, P0 + P1), (BASE + "\nTable = off", P0 + P1)),
    "table_back": ((BASE + "\nTable = 123", P0), (BASE, P0)),
    "full_tunnel": ((BASE, P0), (BASE, peer(0, "0.0.0.0/0, ::/0, 10.98.0.0/16"))),
    "full_tunnel_goes": ((BASE, peer(0, "0.0.0.0/0, ::/0")), (BASE, P0)),
    "full_tunnel_other_mark": ((BASE, peer(0, "0.0.0.0/0, ::/0")),
                               (BASE + "\nFwMark = 7", peer(0, "0.0.0.0/0, ::/0"))),
    "full_tunnel_other_address": ((f"Address = {V4}, {V6}", peer(0, "0.0.0.0/0, ::/0")),
                                  ("Address = 10.95.0.1/24, fd95::1/64",
                                   peer(0, "0.0.0.0/0, ::/0"))),
    "full_tunnel_v4_alone": ((BASE, peer(0, "0.0.0.0/0, ::/0")), (BASE, peer(0, "0.0.0.0/0"))),
    "dns": ((BASE + "\nDNS = 10.0.0.53", P0), (BASE + "\nDNS = 10.0.0.54, a.example", P0)),
    "dns_comes": ((BASE, P0), (BASE + "\nDNS = 10.0.0.54", P0)),
    "dns_goes": ((BASE + "\nDNS = 10.0.0.53", P0), (BASE, P0)),
    "relay": ((BASE, P0), (BASE + "\nRelay = fast", P0)),
    "relay_goes": ((BASE + "\nRelay = fast", P0), (BASE, P0)),
    "a_peer_in_two_sections": ((BASE, P0), (BASE, P0 + peer(0, "10.91.0.0/16"))),
    "everything": ((f"Address = {V4}, {V6}\nMTU = 1400\nDNS = 10.0.0.53", P0 + P1),
                   ("Address = 10.94.0.1/24, fd94::1/64\nMTU = 1300\nFwMark = 99\n"
                    f"PrivateKey = {KEYS[3].private64}\nListenPort = 51999\nDNS = 10.0.0.54",
                    peer(1, "0.0.0.0/0, ::/0", PresharedKey=PSK,
                         Endpoint="192.0.2.79:51820") + peer(2, "10.91.0.0/16"))),
}


class ReloadWorld(World):
    def of(self, interface, peers):
        self.quick.conf(f"[Interface]\nPrivateKey = {self.key.private64}\nListenPort = 51821\n"
                        f"{interface}\n{peers}")

    def state(self):
        """All of it, without what depends on the order in which things came."""
        s = self.whole_state()
        conf = s["conf"].split("[Peer]")
        # what a rule comes to is its place, not its number
        rules = [re.sub(r"^\d+:", ":", r, flags=re.M) for r in s["rules"]]
        nft = sorted(re.split(r"(?m)^(?=table)", s["nft"]))
        return dict(s, conf=[conf[0].strip()] + sorted(map(self.sorted_peer, conf[1:])), rules=rules,
                    nft=nft, addresses=sorted(s["addresses"]), dns=self.dns(s["dns"]),
                    relay="relay" in self.show())

    def dns(self, given):
        calls = self.ours.read("/run/resolvconf.calls").splitlines()
        return given if calls and calls[-1].startswith("-a") else ""

    @staticmethod
    def sorted_peer(text):
        return re.sub(r"AllowedIPs = (.*)", lambda m: ", ".join(sorted(m[1].split(", "))),
                      text.strip())

    def show(self):
        done = self.a.run(wg.weft(), "show", "wg0", "--json")
        return json.loads(done.stdout)["interfaces"][0]

    def plan(self, *args):
        said = self.ours("reload", *args, "--json", "wg0")
        return json.loads(said)["changes"]

    def commands(self, plan):
        return [c["kind"] + " " + c["change"] for c in plan]


@pytest.fixture
def world(net):
    if wg.DUT != "weftd" or os.path.exists("/sys/module/wireguard"):
        pytest.skip("of weftd, where the kernel has no WireGuard of its own")
    return ReloadWorld(net)


@pytest.mark.parametrize("group", range(6))
def test_same_as_fresh(world, group):
    w = world
    for name in list(CHANGES)[group::6]:
        old, new = CHANGES[name]
        w.reset()
        w.of(*old)
        w.ours("up", "wg0")
        before = w.state()
        w.of(*new)
        dry = w.plan("--dry-run")
        assert w.state() == before, f"{name}: only a plan"
        assert w.plan() == dry, name
        reloaded = w.state()
        assert bool(dry) == (reloaded != before), f"{name}: {dry}"
        assert w.plan() == [], f"{name}: nothing is left"
        w.ours("down", "wg0")
        w.gone()
        w.reset()
        w.ours("up", "wg0")
        fresh = w.state()
        for key, value in fresh.items():
            if key == "mark":  # once set it stays, as with wg-quick
                continue
            assert reloaded[key] == value, f"{name}: {key}"
        w.ours("down", "wg0")
        w.gone()


def stub(w, script):
    """What resolvconf does from here on."""
    with open(os.path.join(w.ours.dir, "resolvconf"), "w") as f:
        f.write(f"#!/bin/sh\n{script}\n")


def server(w, **more):
    """The peer that answers."""
    return (f"[Peer]\nPublicKey = {w.wb.key.public64}\nAllowedIPs = 10.99.0.2/32\n"
            "Endpoint = 198.51.100.1:51820\n" + "".join(f"{k} = {v}\n" for k, v in more.items()))


def failed(w, *args):
    text = w.ours("reload", *args, "wg0", check=False)
    assert w.ours.code == 1, text
    return text


def told(w, act):
    """What the kernel tells of changes while `act` runs."""
    path = w.a.network.file("monitor")
    with open(path, "w") as f:
        proc = w.a.popen("ip", "monitor", "all", stdout=f, stderr=f)

    def mark():
        w.a.ip("address add 127.7.7.7/32 dev lo", "address del 127.7.7.7/32 dev lo")
        return "127.7.7.7" in open(path).read()
    wait.until(mark, "the monitor listens")
    act()
    w.a.ip("address add 127.7.8.8/32 dev lo", "address del 127.7.8.8/32 dev lo")
    wait.until(lambda: "127.7.8.8" in open(path).read(), "all was told")
    proc.kill()
    proc.wait()
    return [line for line in open(path).read().splitlines() if "127.7." not in line and
            "dev lo" not in line and "lft forever" not in line]


def test_nothing_is_nothing(world):
    """No message to the kernel, to the daemon, or to whoever looks after name servers."""
    w = world
    w.of(f"Address = {V4}, {V6}\nDNS = 10.0.0.53", peer(0, "0.0.0.0/0, ::/0") + P1)
    w.ours("up", "wg0")
    calls = w.ours.read("/run/resolvconf.calls")

    def reload():
        assert w.ours("reload", "-v", "wg0") == ""
        assert w.ours("reload", "--dry-run", "wg0") == ""
    assert told(w, reload) == []
    assert w.ours.read("/run/resolvconf.calls") == calls
    w.of(f"Address = {V4}, {V6}\nDNS = 10.0.0.53", peer(0, "0.0.0.0/0, ::/0"))
    assert any("97" in line for line in told(w, lambda: w.ours("reload", "wg0")))


def test_one_peer_alone(world):
    w = world
    many = "".join(f"[Peer]\nPublicKey = {wg.Key().public64}\nAllowedIPs = 10.1.{n}.0/24\n"
                   for n in range(20))
    w.of(BASE, server(w) + P0 + many)
    w.ours("up", "wg0")
    traffic.until_reaches(w.a, "10.99.0.2")
    def session():
        p = next(p for p in w.show()["peers"] if p["public_key"] == w.wb.key.public64)
        return p["latest_handshake"], p["counters"]["handshakes_completed"]
    before = session()
    assert before[0]
    changed = peer(0, "10.98.0.0/17", PresharedKey=PSK)
    w.of(BASE, server(w) + changed + many)
    plan = w.plan()
    assert plan[0] == {"kind": "peer", "change": "change", "public_key": KEYS[0].public64,
                       "preshared_key": "(changed)", "allowed_ips_added": ["10.98.0.0/17"],
                       "allowed_ips_removed": ["10.98.0.0/16"]}
    assert w.commands(plan[1:]) == ["route add", "route remove"]
    assert PSK not in json.dumps(plan)
    assert traffic.reaches(w.a, "10.99.0.2")
    assert session() == before


def test_a_peer_that_moved(world):
    """Where it is now is known better to the device, until the file says something new."""
    w = world
    w.of(BASE, P1)
    w.ours("up", "wg0")
    w.a.run("wg", "set", "wg0", "peer", KEYS[1].public64, "endpoint", "192.0.2.99:9")
    assert w.plan() == []
    w.of(BASE + "\nMTU = 1300", P1 + P0)
    w.ours("reload", "wg0")
    assert "192.0.2.99:9" in w.a.run("wg", "show", "wg0", "endpoints").stdout
    w.of(BASE + "\nMTU = 1300", P0 + P1.replace("192.0.2.77", "192.0.2.78"))
    assert w.plan() == [{"kind": "peer", "change": "change", "public_key": KEYS[1].public64,
                         "endpoint": "192.0.2.78:51820"}]
    # a name that does not change is not asked for again
    w.of(BASE, P1.replace("192.0.2.77", "localhost"))
    w.ours("reload", "wg0")
    w.a.sh("echo >/run/hosts; mount --bind /run/hosts /etc/hosts")
    assert w.plan() == []


def test_what_others_put_there(world):
    """A hook's route, somebody's address: not of the file, and they stay."""
    w = world
    w.of(f"{BASE}\nPostUp = ip route add 10.50.0.0/16 dev %i", P0)
    w.ours("up", "wg0")
    w.a.ip("address add 10.51.0.1/24 dev wg0")
    w.of(f"{BASE}\nMTU = 1300", P1)
    w.ours("reload", "wg0")
    s = w.host_state()
    assert "10.50.0.0/16" in str(s["routes"]) and "10.51.0.1" in str(s["addresses"])
    assert "10.98.0.0/16" not in str(s["routes"]) and s["mtu"] == ["1300"]
    # but if the file asks for them they are its own from then on
    w.of(f"{BASE}\nMTU = 1300\nAddress = 10.51.0.1/24", P1)
    assert w.plan() == []
    w.of(f"{BASE}\nMTU = 1300", P1)
    assert w.commands(w.plan()) == ["address remove"]


def test_of_wg_quick(world):
    """What wg-quick brought up: nothing is known of its file."""
    w = world
    w.of(BASE, P0 + P1)
    w.theirs("up", "wg0")
    assert w.plan() == []
    w.a.run("wg", "set", "wg0", "peer", KEYS[1].public64, "endpoint", "192.0.2.99:9")
    w.of(BASE, P1)
    w.theirs("down", "wg0")
    w.of(BASE, P0)
    w.theirs("up", "wg0")
    w.of("Address = 10.90.0.1/24", P1)
    assert "route remove" in w.commands(w.plan())
    assert w.plan() == []
    w.theirs("down", "wg0")


def test_a_peer_that_moves_meanwhile(world):
    w = world
    w.of(BASE, P1)
    w.ours("up", "wg0")
    stub(w, f"wg set wg0 peer {KEYS[1].public64} endpoint 192.0.2.99:9; exit 0")
    w.of(f"{BASE}\nDNS = 10.0.0.53", P0 + P1)
    w.ours("reload", "wg0")
    assert "192.0.2.99:9" in w.a.run("wg", "show", "wg0", "endpoints").stdout


def test_secondaries(world):
    """Where they go with the first address of their prefix they come back."""
    w = world
    w.a.sh("for f in all default; do echo 0 >/proc/sys/net/ipv4/conf/$f/promote_secondaries; done")
    w.of("Address = 10.99.0.1/24, 10.99.0.2/24, 10.99.0.3/24", P0)
    w.ours("up", "wg0")
    w.a.sysctl("net/ipv4/conf/wg0/promote_secondaries", 0)
    w.of("Address = 10.99.0.2/24, 10.99.0.3/24", P0)
    w.ours("reload", "wg0")
    assert re.findall(r"inet ([\d./]+)", str(w.host_state()["addresses"])) == \
        ["10.99.0.2/24", "10.99.0.3/24"]


NEW = "Address = 10.94.0.1/24\nDNS = 10.0.0.54\nMTU = 1300\nListenPort = 51888"


def test_failure_takes_all_back(world):
    w = world
    w.of(f"{BASE}, {V6}\nDNS = 10.0.0.53", server(w) + P0)
    w.ours("up", "wg0")
    traffic.until_reaches(w.a, "10.99.0.2")
    before = w.state()
    # a route that somebody else has
    w.a.ip("route add 10.60.0.0/16 via 192.0.2.254")
    with_route = w.state()
    w.of(NEW, server(w) + peer(2, "10.60.0.0/16, 10.61.0.0/16") + peer(1, "0.0.0.0/0, ::/0"))
    text = failed(w)
    assert "ip -4 route add 10.60.0.0/16 dev wg0: File exists" in text, text
    assert "(all is as it was before)" in text
    assert w.state() == with_route
    w.a.ip("route del 10.60.0.0/16")
    # a port that somebody else has
    with w.a.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("0.0.0.0", 51888))
        assert "Address already in use" in failed(w)
        assert w.state() == before
    # the process that does it is killed in the middle, and the one that waits for it takes over
    stub(w, "[ -e /run/killed ] || { touch /run/killed; kill -9 $PPID; sleep 1; late=1; }; echo $* "
         ">>/run/resolvconf.calls; [ $1 = -a ] && cat >/run/resolvconf.input; "
         "[ -z \"$late\" ] || touch /run/late; exit 0")
    text = failed(w)
    assert os.path.exists(w.a.path("/run/late")), "what it ran has ended by then"
    assert "was killed" in text and "(all is as it was before)" in text
    assert w.state() == before
    assert traffic.reaches(w.a, "10.99.0.2", deadline=15)
    w.ours("reload", "wg0")
    assert w.plan() == []


def test_daemon_that_dies(world):
    """In the middle there is nothing to take back to, and that is said; before, nothing is done."""
    w = world
    w.of(f"{BASE}\nDNS = 10.0.0.53", P0)
    w.ours("up", "wg0")
    pid = w.quick.daemon()
    stub(w, f"kill -9 {pid}; while kill -0 {pid} 2>/dev/null; do sleep 0.1; done")
    w.of(NEW, P0 + P1)
    assert "(not all of it could be taken back)" in failed(w)
    assert "is not a WireGuard interface" in failed(w)


def test_full_disk(world):
    """What could not be recorded as weft's own is not made."""
    w = world
    w.a.sh("mkdir -p /run/weft; mount -t tmpfs -o size=64k tmpfs /run/weft")
    w.of(BASE, P0)
    w.ours("up", "wg0")
    before = w.state()
    w.a.sh("cat /dev/zero >/run/weft/fill 2>/dev/null || true")
    w.of(BASE, P0 + P1)
    assert "No space left on device (nothing was changed)" in failed(w)
    assert w.state() == before
    assert not os.path.exists(w.a.path("/run/weft/wg0/record.new"))
    w.a.sh("rm /run/weft/fill")
    w.ours("reload", "wg0")
    w.of(BASE, P0)
    w.ours("reload", "wg0")
    assert w.state() == before


def test_one_at_a_time(world):
    w = world
    w.of(BASE, P0)
    w.ours("up", "wg0")
    stub(w, "touch /run/in; while [ ! -e /run/out ]; do sleep 0.05; done")
    w.of(f"{BASE}\nDNS = 10.0.0.53", P0 + P1)
    with open(w.a.network.file("first"), "w") as f:
        proc = w.ours.start("reload", "wg0", out=f)
        wait.until(lambda: os.path.exists(w.a.path("/run/in")), "the first is at it")
        for command in ("reload", "down", "save"):
            text = w.ours(command, "wg0", check=False)
            assert w.ours.code == 1
            assert f"wg0 is being changed by weft reload (process {proc.pid})" in text
        # killed, it goes on, and still nobody else may
        proc.kill()
        proc.wait()
        assert "is being changed" in failed(w)
        w.a.sh("touch /run/out")
    until_unlocked(w)
    stub(w, "exit 0")
    assert w.plan() == []


def until_unlocked(w):
    def free():
        with open(w.a.path("/run/weft/wg0/lock")) as f:
            try:
                fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except BlockingIOError:
                return False
    wait.until(free, "whoever changes it is done", step=0.01)


@pytest.mark.parametrize("interface, peers, said", [
    ("Adress = 1.2.3.4", "", r"wg0\.conf:4:1: \[Interface\] has no key .*Address\?"),
    ("Address = 10.0.0.1/33", "", r"wg0\.conf:4:11: Address: expected"),
    ("Address = fd00::1/129", "", r"wg0\.conf:4:11: Address: expected"),
    (BASE, P0 + peer(2, "10.98.0.0/16"), r"wg0\.conf:10:14: 10\.98\.0\.0/16: another peer has it, "
     r"in line 7, column 14 \(.*leave it with one"),
    (BASE, peer(0, Endpoint="nowhere.invalid:1"), r"wg0\.conf:7:12: endpoint nowhere.invalid"),
    (f"{BASE}\nTable = nosuch", P0, r"wg0: No such file"),
], ids=["key", "ipv4_length", "ipv6_length", "claimed_twice", "no_such_name", "no_such_table"])
def test_bad_files(world, monkeypatch, interface, peers, said):
    w = world
    monkeypatch.setenv("WG_ENDPOINT_RESOLUTION_RETRIES", "0")
    w.of(BASE, P0)
    w.ours("up", "wg0")
    before = w.state()
    w.of(interface, peers)
    assert re.search(said, failed(w))
    assert re.search(said, failed(w, "--dry-run", "--json"))
    assert w.state() == before
    w.of(BASE, P0)
    w.ours("down", "wg0")
    w.gone()
    assert "is not a WireGuard interface (`weft up` makes one)" in failed(w)
    assert not os.path.exists(w.a.path("/run/weft/wg0"))
    if "another peer" in said:
        w.of(interface, peers)
        assert re.search(said, w.ours("up", "wg0", check=False))
        assert "Warning: " in w.alias("up", "wg0")  # as wg-quick, which has it with the last


class Stream:
    """Numbered datagrams from a to b through the tunnel, and which of them arrived."""

    def __init__(self, w):
        self.out = w.a.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.into = w.b.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.into.setsockopt(socket.SOL_SOCKET, traffic.SO_RCVBUFFORCE, 8 << 20)
        self.into.bind(("10.99.0.2", 5555))
        self.into.settimeout(0.2)
        self.sent, self.seen, self.ending = 0, set(), False
        self.threads = [threading.Thread(target=f) for f in (self.send, self.receive)]
        for t in self.threads:
            t.start()

    def send(self):
        while not self.ending:
            self.out.sendto(self.sent.to_bytes(8, "big") + bytes(500), ("10.99.0.2", 5555))
            self.sent += 1
            time.sleep(0.002)

    def receive(self):
        while not self.ending or len(self.seen) < self.sent:
            try:
                self.seen.add(int.from_bytes(self.into.recv(600)[:8], "big"))
            except TimeoutError:
                if self.ending:
                    return

    def lost(self):
        self.ending = True
        for t in self.threads:
            t.join()
        self.out.close()
        self.into.close()
        return sorted(set(range(self.sent)) - self.seen)


def test_no_packet_is_lost(world):
    """Through the peer that stays, while all around it changes; TCP goes on, too."""
    w = world
    w.of(BASE, server(w) + P0)
    w.ours("up", "wg0")
    traffic.until_reaches(w.a, "10.99.0.2")
    files = [(BASE, server(w) + P1),
             (f"Address = {V4}, 10.93.0.1/24\nMTU = 1400", server(w) + peer(2, "10.96.0.0/16")),
             (f"{BASE}, {V6}\nDNS = 10.0.0.53", P0 + server(w) + peer(3, "fd96::/64")),
             (f"{BASE}\nMTU = 1380", server(w) + peer(0, "10.98.0.0/17", PresharedKey=PSK)),
             (f"{BASE}", server(w) + peer(2, "0.0.0.0/0, ::/0")),
             (f"{BASE}\nTable = 123", server(w)),
             (BASE, server(w) + P0)]
    stream = Stream(w)
    for _ in range(3):
        for interface, peers in files:
            w.of(interface, peers)
            assert w.plan()
    traffic.tcp(w.a, w.b, "10.99.0.2", 1 << 20)
    lost = stream.lost()
    assert stream.sent > 100 and not lost, f"{len(lost)} of {stream.sent}: {lost[:20]}"


def seen(w):
    """The state without the sysctl, which stays once it is set, as with wg-quick."""
    return {key: value for key, value in w.state().items() if key != "mark"}


def test_killed_at_random(world):
    """50 peers, under load: what is left is the old or the new, never something between."""
    w = world
    keys = [wg.Key() for _ in range(50)]

    def peers(first, last, third):
        return "".join(f"[Peer]\nPublicKey = {keys[n].public64}\nAllowedIPs = 10.{third}.{n}.0/24, "
                       f"fd{third}:{n}::/32\nEndpoint = 192.0.2.{third}:{1000 + n}\n"
                       for n in range(first, last))
    files = [(f"{BASE}, 10.30.0.1/16\nDNS = 10.0.0.53", server(w) + peers(0, 40, 31)),
             (f"{BASE}, 10.40.0.1/16, {V6}\nMTU = 1350\nDNS = 10.0.0.54",
              server(w) + peers(10, 50, 41) + peer(0, "0.0.0.0/0"))]
    states, took = [], []
    for n in (0, 1):
        w.of(*files[n])
        begin = time.monotonic()
        w.ours(*(["reload"] if n else ["up"]), "wg0")
        took.append(time.monotonic() - begin)
        states.append(seen(w))
    assert states[0] != states[1]
    traffic.until_reaches(w.a, "10.99.0.2")
    seed = int(os.environ.get("WEFT_SEED", time.time_ns() % 100000))
    print(f"WEFT_SEED={seed}")
    rng, n = random.Random(seed), 1
    stream = Stream(w)
    for _ in range(20):
        w.of(*files[1 - n])
        with open(w.a.network.file("killed"), "w") as f:
            proc = w.ours.start("reload", "wg0", out=f)
            time.sleep(rng.random() * took[1] * 1.2)
            proc.kill()
            proc.wait()
        until_unlocked(w)
        state = seen(w)
        assert state in states, f"WEFT_SEED={seed}: a mixture"
        n = states.index(state)
    stream.lost()
    w.of(*files[n])
    assert w.plan() == []
