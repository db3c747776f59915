# SPDX-License-Identifier: Apache-2.0
# `weft reload`: a running interface becomes what a fresh `weft up` would make of the file, by the
# smallest change; what need not stop does not; and what fails leaves no trace.
import json
import re

import pytest

from lib import wg
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

    def monitor(self):
        """What the kernel tells of changes, in a file, until it is ended."""
        path = self.a.network.file("monitor")
        with open(path, "w") as f:
            proc = self.a.popen("ip", "monitor", "all", stdout=f, stderr=f)
        return path, proc


def make(net):
    if wg.DUT != "weftd":
        pytest.skip("of weft")
    return ReloadWorld(net)


@pytest.fixture
def world(net):
    return make(net)


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
