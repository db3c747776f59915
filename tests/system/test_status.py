# SPDX-License-Identifier: Apache-2.0
# `weft status`: what it says of peers that are well, quiet and gone, and why they are where they are.
import json
import os
import pty
import re
import signal
import time

import pytest

from conftest import DUT, OTHER
from lib import traffic, wait, wg


def status(host, *args, code=0):
    done = host.run(wg.weft(), "status", *args, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def interface(host, *args, **kwargs):
    return json.loads(status(host, "--json", *args, **kwargs))["interfaces"][0]


def peer_of(host, key, *args, **kwargs):
    return next(p for p in interface(host, *args, **kwargs)["peers"]
                if p["public_key"] == key.public64)


def write(host, path, text):
    host.sh(f"umask 077; mkdir -p $(dirname {path}); cat >{path}", input=text)


def conf(daemon, peers):
    """A file in /etc/wireguard for what runs. `peers`: (key, name, endpoint or None)."""
    text = f"[Interface]\nPrivateKey = {daemon.key.private64}\n"
    for key, name, endpoint in peers:
        text += f"[Peer]\n# Name = {name}\nPublicKey = {key.public64}\nAllowedIPs = 10.99.0.2/32\n"
        text += f"Endpoint = {endpoint}\n" if endpoint else ""
    write(daemon.host, f"/etc/wireguard/{daemon.ifname}.conf", text)


@pytest.mark.parametrize("impl", [DUT, OTHER])
def test_up(pair, impl):
    p = pair(impl, DUT).connect()
    conf(p.wa, [(p.wb.key, "berlin", p.endpoint_b)])
    i = interface(p.a, "wg0")
    assert i["up"] and i["backend"] == "userspace" and i["program"] == impl
    assert i["listen_port"] == 51820 and i["tunnel"] == "split" and not i["kill_switch"]
    assert "10.99.0.1/24" in i["addresses"] and i["mtu"] == 1420
    assert abs(i["since"] - time.time()) < 300
    assert (i["down"], i["quiet"], i["healthy"]) == (0, 0, 1)
    peer = i["peers"][0]
    assert peer["name"] == "berlin" and peer["health"] == "up" and peer["heard_seconds_ago"] < 180
    assert (peer["up_seconds"] is None) == (impl != DUT) and (peer["up_seconds"] or 0) < 300
    assert peer["endpoint"] == p.endpoint_b and peer["endpoint_origin"] == "file"
    text = status(p.a)  # without a name: all of them
    assert f"peer: berlin {p.wb.key.public64}" in text and \
        re.search(r"\n  up: (for \d.*, )?(heard|handshake) (now|\d.* ago)\n", text)
    assert f"endpoint: {p.endpoint_b} (as in the file)" in text and "\x1b" not in text
    assert "peers: 0 down, 0 quiet, 1 up" in text
    # the other side has no file: the peer's key, and an endpoint of which nothing is known
    peer = peer_of(p.b, p.wa.key)
    assert peer["name"] is None and peer["endpoint_origin"] == "unknown"
    assert f"peer: {p.wa.key.public64}\n" in status(p.b, "wg0")


def test_down_and_again(pair):
    """Down by packets that are not answered, long before the session's life ends, and up by one."""
    p = pair(DUT, DUT).connect()
    p.b.run("nft", "-f", "-", input="table inet cut { chain inp { type filter hook input "
            "priority 0; udp dport 51820 drop; }; chain outp { type filter hook output priority 0; "
            "udp sport 51820 drop; }; }")
    sock = p.a.socket()

    def down():
        sock.sendto(b"x", (p.b4, 9))
        peer = peer_of(p.a, p.wb.key)
        assert (peer["up_seconds"] is None) == (peer["health"] != "up")
        return peer["health"] == "down"
    assert peer_of(p.a, p.wb.key)["health"] == "up"
    wait.until(down, "the peer counts as down", timeout=120, step=0.5)
    text = status(p.a, "--check", "wg0", code=3)
    assert "down: nothing heard for" in text and "peers: 1 down" in text
    status(p.a, "wg0")  # without --check it is no error
    p.b.run("nft", "delete", "table", "inet", "cut")
    traffic.until_reaches(p.a, p.b4)
    assert peer_of(p.a, p.wb.key, "--check")["health"] == "up"


@pytest.mark.parametrize("impl", [DUT, OTHER])
def test_never_heard(net, impl):
    a, _ = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    w = wg.Daemon(a, impl).setup(["10.99.0.1/24"])
    quiet, gone = wg.Key(), wg.Key()
    w.peer(quiet, ["10.99.0.3/32"], endpoint="192.0.2.2:51820")
    w.peer(gone, ["10.99.0.2/32"], endpoint="192.0.2.2:51820")
    assert peer_of(a, gone, "--check")["health"] == "quiet", "nothing was sent yet"
    a.socket().sendto(b"x", ("10.99.0.2", 9))
    wait.until(lambda: peer_of(a, gone)["health"] == "down", "it does not answer", step=0.5)
    i = interface(a, "--check", code=3)
    assert [p["health"] for p in i["peers"]] == ["down", "quiet"], "what is wrong comes first"
    assert i["peers"][0]["heard_seconds_ago"] is None
    text = status(a)
    assert "down: never heard\n" in text and "quiet: never heard, and nothing was sent" in text
    # an interface that is down is no health
    a.ip("link set wg0 down")
    assert "link: down" in status(a, "--check", code=3)


def test_why_this_endpoint(pair):
    p = pair(DUT, DUT).connect()
    conf(p.wa, [(p.wb.key, "berlin", "198.51.100.7:51820")])
    peer = peer_of(p.a, p.wb.key)
    assert peer["endpoint_origin"] == "roamed" and "198.51.100.7:51820" in peer["endpoint_why"]
    conf(p.wa, [(p.wb.key, "berlin", "hub.example:51820")])
    assert peer_of(p.a, p.wb.key)["endpoint_origin"] == "name"
    assert f"endpoint: {p.endpoint_b} (the file has hub.example:51820)" in status(p.a)
    conf(p.wa, [(p.wb.key, "berlin", None)])
    assert peer_of(p.a, p.wb.key)["endpoint_origin"] == "learned"

    def note(endpoint):
        write(p.a, "/run/weft/wg0/endpoints.json", json.dumps({"version": 1, "peers": [
            {"public_key": p.wb.key.public64, "endpoint": endpoint, "since": 1700000000,
             "from": {"kind": "name", "text": "hub.example:51820\x1b[2J", "line": 9},
             "reason": "resolved"}]}))
    note(p.endpoint_b)
    peer = peer_of(p.a, p.wb.key)
    assert peer["endpoint_origin"] == "kept" and peer["endpoint_since"] == 1700000000
    assert peer["endpoint_why"] == "hub.example:51820?[2J: resolved", "nothing gets at the terminal"
    note("192.0.2.77:1")
    assert peer_of(p.a, p.wb.key)["endpoint_why"] == "roamed, was 192.0.2.77:1"
    for hostile in ("", "[]", "{", '{"peers": [1]}', '{"peers": {"a": 1}}', "\xff" * 1000,
                    '{"peers": [{"public_key": 5}]}'):
        write(p.a, "/run/weft/wg0/endpoints.json", hostile)
        assert peer_of(p.a, p.wb.key)["endpoint_origin"] == "learned"


def test_full_tunnel(pair):
    p = pair(DUT, DUT)
    for allowed, said in (("0.0.0.0/0", "full"), ("0.0.0.0/1,128.0.0.0/1", "full"),
                          ("::/0", "full"), ("0.0.0.0/1,8000::/1", "split"), ("", "none")):
        p.wa.wg("set", "peer", p.wb.key.public64, "allowed-ips", allowed)
        assert interface(p.a)["tunnel"] == said, allowed


def test_daemon_in_the_background(net):
    """Who serves the socket is known also after it has left its parent."""
    host = net.host()
    host.run(wg.PROGRAMS[DUT](), "wg0")
    pid = wg.pid_of_socket(host, "wg0")
    assert pid in host.processes()
    host.run("wg", "set", "wg0", "private-key", "/dev/stdin", "listen-port", "51820",
             input=wg.Key().private64 + "\n")
    host.ip("addr add 10.99.0.1/24 dev wg0", "link set wg0 up")
    i = interface(host, "wg0")
    assert i["program"] == "weftd" and i["since"] and i["up"]
    assert host.run(wg.weft(), "doctor", "wg0").returncode == 0, "the port is its own"
    host.ip("link del wg0")
    wait.until(lambda: pid not in host.processes(), "it has ended")


def test_of_a_file(pair):
    p = pair(DUT, DUT)
    path = p.net.file("wg0.conf")
    with open(path, "w", encoding="utf-8") as f:
        f.write(f"[Interface]\n[Peer]\n#friendly_name=Köln\nPublicKey={p.wb.key.public64}\n")
    os.chmod(path, 0o600)
    assert peer_of(p.a, p.wb.key, path)["name"] == "Köln"
    with open(path, "w") as f:
        f.write("[Interface]\nAdress = 1.2.3.4\n")
    done = p.a.run(wg.weft(), "status", path)
    assert "wg0.conf:2:1: [Interface] has no key" in done.stderr, "and the rest is shown"
    assert "interface: wg0" in done.stdout


def test_bad_words(pair):
    p = pair(DUT, DUT)
    for args, said in ((("wg7",), "Unable to access interface wg7"),
                       (("eth0",), "Unable to access interface eth0"),
                       (("--fast",), "Usage: weft status"), (("/nonexistent.conf",), "not exist"),
                       (("a/b",), "not exist")):
        done = p.a.run(wg.weft(), "status", *args, check=False)
        assert done.returncode == 1 and said in done.stderr, done
    assert "Usage: weft status" in p.a.run(wg.weft(), "status", "-h").stdout
    assert p.a.run(wg.weft(), "status", "--backend", "kernel").stdout == ""


def test_watch(pair):
    """Rates from one reading to the next; Ctrl-C is a good end."""
    p = pair(DUT, DUT).connect()
    with open(p.net.file("watch"), "w+") as f:
        proc = p.a.popen(wg.weft(), "status", "--json", "--watch", "1", "wg0", stdout=f)

        def lines():
            f.seek(0)
            return [json.loads(line)["interfaces"][0]["peers"][0] for line in f
                    if line.endswith("\n")]

        def busy():
            traffic.ping(p.a, p.b4, count=20, size=1000)
            return any(peer["rx_rate"] for peer in lines())
        wait.until(busy, "a rate is shown")
        assert lines()[0]["rx_rate"] is None
        proc.send_signal(signal.SIGINT)
        assert proc.wait(60) == 0
        last = lines()[-1]
    assert last["tx_rate"] >= 0 and last["rx_bytes"] > 20000


@pytest.mark.parametrize("words, said", [
    (("--watch", "0", "wg0"), 'expected seconds from 1 to 86400, found "0"'),
    (("--watch", "99999999999999999999"), "expected seconds from 1 to 86400"),
    (("--watch", "nosuch"), "nosuch"),
])
def test_watch_what_is_not_there(net, words, said):
    done = net.host("a").run(wg.weft(), "status", *words, check=False)
    assert done.returncode == 1 and said in done.stderr


def test_watch_on_a_terminal(pair):
    """Redrawn in place, in colour unless that is not wanted; an interface that goes is told of."""
    p = pair(DUT, DUT).connect()
    for env, colour in ({}, True), ({"NO_COLOR": "1"}, False):
        master, slave = pty.openpty()
        proc = p.a.popen(wg.weft(), "status", "--watch", "1", "wg0", stdout=slave, stderr=slave,
                         env=dict(os.environ, TERM="xterm", **env))
        os.close(slave)
        got = b""
        while got.count(b"rate\x1b[0m: " if colour else b"rate: ") < 1:
            got += os.read(master, 65536)
        assert got.startswith(b"\x1b[H\x1b[2J") and got.count(b"\x1b[H") >= 2
        assert (b"\x1b[32m" in got) == colour
        if not colour:
            assert p.wa.stop() == 0
            while b"Unable to access interface wg0" not in got:
                got += os.read(master, 65536)
        proc.send_signal(signal.SIGINT)
        assert proc.wait(60) == 0
        os.close(master)
