# SPDX-License-Identifier: Apache-2.0
# `weft save` and SaveConfig beside Debian's wg-quick(8): from the same interface both write the same
# file; and what wg-quick would lose of it, weft keeps.
import os
import re
import stat

import pytest

from lib import wg
from test_up import V4, V6, World

OTHER = wg.Key()


@pytest.fixture
def world(net):
    if os.path.exists("/sys/module/wireguard"):
        pytest.skip("the kernel's WireGuard is loaded: wg-quick takes no other")
    w = World(net)
    # one that says what it was told, as openresolv does
    stub = os.path.join(w.ours.dir, "resolvconf")
    with open(stub, "w") as f:
        f.write('#!/bin/sh\n[ "$1" = -a ] && cat >/run/dns\n[ "$1" = -d ] && rm -f /run/dns\n'
                '[ "$1" = -l ] && cat /run/dns 2>/dev/null\nexit 0\n')
    return w


def read(w):
    return w.ours.read("/etc/wireguard/wg0.conf")


def change(w):
    """What an interface lives through."""
    w.a.run("wg", "set", "wg0", "peer", OTHER.public64, "allowed-ips", "10.55.0.0/16", "endpoint",
            "192.0.2.9:9", "persistent-keepalive", "7")
    w.a.ip("address add 10.44.0.1/24 dev wg0", "address add fd44::1/64 dev wg0",
           "link set mtu 1350 dev wg0")


FILES = {
    "usual": f"Address = {V4}, {V6}\nListenPort = 51821\nSaveConfig = true",
    "no_address": "ListenPort = 51821",
    "all": f"Address = {V4}\nListenPort = 51821\nMTU = 1380\nTable = 123\nFwMark = 0x77\n"
           "DNS = 10.0.0.53, fd99::53\nSaveConfig = true\nPreUp = true %i\nPostUp = echo a; x=1\n"
           "PreDown = true\nPostDown = true 1\nPostDown = true 2",
    "table_off": f"Address = {V4}\nListenPort = 51821\nTable = off",
    "default_route": f"Address = {V4}\nListenPort = 51821",
}


def test_same_as_wg_quick(world):
    w = world
    for name, interface in FILES.items():
        w.reset()
        w.conf_of(interface, "0.0.0.0/0" if name == "default_route" else "10.98.0.0/16")
        before = read(w)
        w.ours("up", "wg0")
        change(w)
        saved = []
        for tool in (w.theirs, w.ours, w.alias):
            w.quick.conf(before)
            w.a.run("chmod", "640", "/etc/wireguard/wg0.conf")
            tool("save", "wg0")
            saved.append(read(w))
            mode = os.stat(w.a.path("/etc/wireguard/wg0.conf")).st_mode
            assert stat.S_IMODE(mode) == 0o600
            assert os.listdir(w.a.path("/etc/wireguard")) == ["wg0.conf"]
        assert saved[1] == saved[0], name
        assert saved[2] == saved[0], name
        assert "10.44.0.1/24" in saved[0] and OTHER.public64 in saved[0]
        # what was saved brings up the same again
        state = w.host_state()
        w.ours("down", "wg0")
        w.gone()
        w.ours("up", "wg0")
        assert sorted(w.host_state()["addresses"]) == sorted(state["addresses"]), name
        assert OTHER.public64 in w.a.run("wg", "show", "wg0", "peers").stdout
        w.ours("down", "wg0")
        w.gone()


def test_down_saves(world):
    w = world
    for tool in (w.ours, w.alias):
        w.conf_of(f"Address = {V4}\nSaveConfig = true", "10.98.0.0/16")
        tool("up", "wg0")
        change(w)
        assert OTHER.public64 not in read(w)
        tool("down", "wg0")
        w.gone()
        assert OTHER.public64 in read(w) and "SaveConfig = true" in read(w)
        assert re.search("ListenPort = [0-9]+", read(w))
    # what cannot be saved is not taken down
    w.ours("up", "wg0")
    w.a.sh("mount -o remount,ro /etc/wireguard")
    assert "Read-only file system" in w.ours("down", "wg0", check=False)
    assert w.ours.code == 1 and w.host_state()["mtu"]
    w.a.sh("mount -o remount,rw /etc/wireguard")
    w.ours("down", "wg0")
    w.gone()


def test_keeps_what_wg_quick_loses(world):
    w = world
    w.conf_of(f"Address = {V4}\nDNS = 10.0.0.53, a.example\nMTU = 1400\nBackend = userspace\n"
              "PostUp = echo \"# & %i\" # kept", "10.98.0.0/16", "localhost:51820")
    text = read(w).replace("[Peer]\n", "[Peer]\n# Name = hub of Rome\n")
    w.quick.conf(text)
    w.ours("up", "wg0")
    w.ours("save", "wg0")
    saved = read(w)
    for line in ("# Name = hub of Rome", "Endpoint = localhost:51820", "DNS = a.example",
                 "Backend = userspace", "MTU = 1400", 'PostUp = echo "# & %i" # kept'):
        assert f"{line}\n" in saved, saved
    assert w.ours("reload", "--dry-run", "wg0") == ""
    w.ours("save", "wg0")
    assert read(w) == saved
    w.ours("down", "wg0")
    w.gone()
    # without a resolvconf that could be asked, the file's own name servers stay
    os.unlink(os.path.join(w.ours.dir, "resolvconf"))
    w.ours("up", "wg0")
    w.ours("save", "wg0")
    assert "DNS = 10.0.0.53\nDNS = a.example\n" in read(w)
    w.ours("down", "wg0")
    w.gone()


def test_no_interface(world):
    w = world
    w.file("usual")
    before = read(w)
    for tool in (w.theirs, w.ours):
        assert "`wg0' is not a WireGuard interface" in tool("save", "wg0", check=False)
        assert tool.code == 1
    assert read(w) == before
    assert not os.path.exists(w.a.path("/run/weft/wg0"))
