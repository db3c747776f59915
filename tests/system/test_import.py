# SPDX-License-Identifier: Apache-2.0
# `weft import`: files of systemd-networkd and of wg-quick, and the interface that weft up makes of
# what comes out.
import os
import stat
import subprocess

import pytest

from conftest import DUT
from lib import wg


@pytest.fixture
def keys(tmp_path):
    """Two keys and a preshared one, and files with some of them."""
    own, peer, psk = wg.Key(), wg.Key(), wg.psk()
    for name, text in (("own.key", own.private64), ("psk.key", psk), ("peer.pub", peer.public64)):
        (tmp_path / name).write_text(text + "\n")
    return own, peer, psk


def write_pair(tmp_path, own, peer, more_netdev="", more_network="", name="wg0"):
    (tmp_path / f"50-{name}.netdev").write_text(f"""
# made by hand
[NetDev]
Name={name}
Kind=wireguard
MTUBytes=1387

[WireGuard]
PrivateKeyFile={tmp_path}/own.key
ListenPort=51833
FirewallMark=0x77
{more_netdev}
[WireGuardPeer]
PublicKeyFile={tmp_path}/peer.pub
PresharedKeyFile={tmp_path}/psk.key
AllowedIPs=10.7.0.0/24,fd07::/64
Endpoint=192.0.2.9:51820
PersistentKeepalive=25
""")
    (tmp_path / f"50-{name}.network").write_text(f"""
[Match]
Name={name[:-1]}*
[Network]
Address=10.7.0.2/24
Address=fd07::2/64
DNS=10.7.0.1
{more_network}
[Route]
Destination=10.7.0.0/24
[Route]
Destination=fd07::/64
""")
    return [tmp_path / f"50-{name}.netdev", tmp_path / f"50-{name}.network"]


def run(*args):
    return subprocess.run([wg.weft(), "import", *map(str, args)], capture_output=True, text=True)


def test_a_networkd_pair_comes_up(net, tmp_path, keys):
    own, peer, psk = keys
    host, _ = net.wire(["192.0.2.1/24"], ["192.0.2.9/24"])
    done = host.run(wg.weft(), "import", "-o", "/etc/wireguard",
                    *write_pair(tmp_path, own, peer))
    assert done.stdout == "" and done.stderr == ""
    path = host.path("/etc/wireguard/wg0.conf")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    host.sh("sed -i '/^DNS/d' /etc/wireguard/wg0.conf")  # the machine's own is left alone
    bin_dir = os.path.dirname(os.path.abspath(wg.PROGRAMS[DUT]()))
    env = {"PATH": f"{bin_dir}:{os.environ['PATH']}",
           "WG_QUICK_USERSPACE_IMPLEMENTATION": wg.PROGRAMS[DUT]()}
    log = net.file("up.log")
    with open(log, "w") as out:  # a daemon that goes on would hold a pipe open
        code = host.popen(wg.weft(), "up", "wg0", stdout=out, stderr=out,
                          env=dict(os.environ, **env)).wait(120)
    assert code == 0, open(log).read()
    try:
        dump = host.run(wg.weft(), "show", "wg0", "dump").stdout.splitlines()
        assert dump[0].split("\t") == [own.private64, own.public64, "51833", "0x77"]
        assert len(dump) == 2
        fields = dump[1].split("\t")
        assert fields[:3] == [peer.public64, psk, "192.0.2.9:51820"]
        assert sorted(fields[3].split(",")) == ["10.7.0.0/24", "fd07::/64"]
        assert fields[7] == "25"
        link = host.run("ip", "-o", "addr", "show", "dev", "wg0").stdout
        assert "10.7.0.2/24" in link and "fd07::2/64" in link
        assert "mtu 1387" in host.run("ip", "-o", "link", "show", "wg0").stdout
        routes = host.run("ip", "route", "show", "dev", "wg0").stdout
        assert "10.7.0.0/24" in routes
        assert "default" not in routes and host.run("ip", "rule").stdout.count("\n") == 3
    finally:
        host.run(wg.weft(), "down", "wg0", env=env)


def test_nothing_is_written_if_anything_is_wrong(tmp_path, keys):
    own, peer, psk = keys
    out = tmp_path / "out"
    out.mkdir()
    good = write_pair(tmp_path, own, peer)
    bad = write_pair(tmp_path, own, peer, more_netdev="RouteTable=a/b", name="xg1")
    done = run("-o", out, *good, *bad)
    assert done.returncode == 1
    assert f"{bad[0]}:12:12: RouteTable: expected" in done.stderr
    assert os.listdir(out) == []
    (tmp_path / "psk.key").write_text(psk[:-1] + "x\n")
    done = run("-o", out, *good)
    assert done.returncode == 1 and os.listdir(out) == []
    assert "psk.key" in done.stderr and f"{good[0]}:15:18: names that file" in done.stderr
    assert psk[:20] not in done.stderr
    assert own.private64 not in done.stderr


def test_what_is_there_stays(tmp_path, keys):
    own, peer, psk = keys
    out = tmp_path / "out"
    out.mkdir()
    first, second = write_pair(tmp_path, own, peer), write_pair(tmp_path, own, peer, name="xg1")
    (out / "xg1.conf").write_text("mine")
    done = run("-o", out, *first, *second)
    assert done.returncode == 1 and "xg1.conf: is there already" in done.stderr
    assert os.listdir(out) == ["xg1.conf"] and (out / "xg1.conf").read_text() == "mine"
    assert run("-o", out, "--force", *first, *second).returncode == 0
    assert sorted(os.listdir(out)) == ["wg0.conf", "xg1.conf"]
    for name in os.listdir(out):
        assert stat.S_IMODE(os.stat(out / name).st_mode) == 0o600
        assert f"PrivateKey = {own.private64}" in (out / name).read_text()
    done = run(*first, *second)
    assert done.returncode == 1 and "name a folder" in done.stderr and done.stdout == ""


def test_warnings_say_where(tmp_path, keys):
    own, peer, psk = keys
    netdev, network = write_pair(tmp_path, own, peer, more_network="IPForward=yes")
    done = run(netdev, network)
    assert done.returncode == 0
    assert done.stderr == f"Warning: {network}:8:1: IPForward in [Network] is left out\n"
    assert done.stdout.startswith("[Interface]\nPrivateKey = ")
    assert "no .network file" in run(netdev).stderr
    done = run(network)
    assert done.returncode == 1 and "no [NetDev]" in done.stderr


def test_a_file_of_wg_quick(tmp_path, keys):
    own, peer, psk = keys
    path = tmp_path / "wg0.conf"
    path.write_text(f"""[interface]
privatekey={own.private64}
Address=10.0.0.1/24
PostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark 1 -j REJECT
[peer]
# Name = gateway
publickey = {peer.public64}
endpoint = 192.0.2.9:1
""")
    done = run(path)
    assert done.returncode == 0
    assert done.stdout == f"""[Interface]
PrivateKey = {own.private64}
Address = 10.0.0.1/24
PostUp = iptables -I OUTPUT ! -o %i -m mark ! --mark 1 -j REJECT
[Peer]
# Name = gateway
PublicKey = {peer.public64}
Endpoint = 192.0.2.9:1
"""
    assert done.stderr.startswith(f"Note: {path}:4:10: PostUp: a kill switch: KillSwitch = on")
    path.write_text(path.read_text() + "AllowedIP = ::/0\n")
    done = run(path)
    assert done.returncode == 1 and done.stdout == ""
    assert f"{path}:9:1: [Peer] has no key" in done.stderr
    assert "did you mean AllowedIPs?" in done.stderr
    # what it is if the name does not say so
    other = tmp_path / "wg0.txt"
    path.rename(other)
    assert "--from says what it is" in run(other).stderr
    assert "named like an interface" in run("--from", "wg-quick", other).stderr


def test_wg_has_no_import(tmp_path):
    (tmp_path / "wg").symlink_to(os.path.abspath(wg.weft()))
    for word in ("import", "completion", "up"):
        done = subprocess.run([tmp_path / "wg", word], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith(f"Invalid subcommand: `{word}'\n")
    assert subprocess.run([tmp_path / "wg", "version"], capture_output=True).returncode == 0
