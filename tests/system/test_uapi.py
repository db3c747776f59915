# SPDX-License-Identifier: Apache-2.0
# The UAPI socket spoken to by hand (https://www.wireguard.com/xplatform/): conformance, all or
# nothing, and clients that misbehave.
import os
import socket
import threading
import time

import pytest

from conftest import DUT
from lib import wait, wg

weft_only = pytest.mark.skipif(DUT != "weftd", reason="wireguard-go behaves otherwise")


@pytest.fixture
def w(net):
    return wg.Daemon(net.host("a"), DUT)


def hexkey(n):
    return wg.Key(bytes([n]) * 32).public_hex


def test_get_answer(w):
    """Keys, order and shape of a get answer."""
    w.set_key()
    k = wg.Key()
    assert w.set("listen_port=5555", "fwmark=77", f"public_key={k.public_hex}",
                 f"preshared_key={'ab' * 32}", "endpoint=[2001:db8::1]:99",
                 "persistent_keepalive_interval=25", "allowed_ip=10.0.0.0/8",
                 "allowed_ip=fd00::/8") == 0
    text = w.uapi("get=1\n\n")
    lines = [x for x in text.splitlines()]
    assert lines[-1] == "errno=0"
    at = lines.index(f"public_key={k.public_hex}")
    device, peer = lines[:at], lines[at:-1]
    for line in (f"private_key={w.key.private_hex}", "listen_port=5555", "fwmark=77"):
        assert line in device
    for line in (f"preshared_key={'ab' * 32}", "protocol_version=1", "endpoint=[2001:db8::1]:99",
                 "last_handshake_time_sec=0", "last_handshake_time_nsec=0", "tx_bytes=0",
                 "rx_bytes=0", "persistent_keepalive_interval=25", "allowed_ip=10.0.0.0/8",
                 "allowed_ip=fd00::/8"):
        assert line in peer, line
    assert all("=" in x for x in lines)


def test_empty_device(w):
    device, peers = w.get()
    assert not peers and "private_key" not in device and "fwmark" not in device


@weft_only
def test_pipelined(w):
    """Several operations on one connection, all sent before the first answer is read."""
    with w.host.unix(w.socket_path) as s:
        s.sendall(f"set=1\npublic_key={hexkey(1)}\n\nget=1\n\nset=1\nfwmark=5\n\nget=1\n\n".encode())
        got = b""
        while got.count(b"errno=") < 4 or not got.endswith(b"\n\n"):
            got += s.recv(65536)
    parts = got.decode().split("\n\n")
    assert parts[0] == "errno=0" and parts[2] == "errno=0"
    assert hexkey(1) in parts[1] and "fwmark" not in parts[1] and "fwmark=5" in parts[3]


def test_byte_by_byte(w):
    with w.host.unix(w.socket_path) as s:
        for c in f"set=1\npublic_key={hexkey(1)}\nallowed_ip=10.0.0.0/8\n\n".encode():
            s.send(bytes([c]))
        assert wg.read_answer(s) == "errno=0\n"
    assert len(w.get()[1]) == 1


def test_errno_signs(w):
    """Negative for set, positive for get, as wg(8) wants them."""
    assert w.set("no_such_key=1") == -22
    done = w.host.run("wg", "set", "wg0", "fwmark", "1", check=False)
    assert done.returncode == 0
    assert "errno=0\n" in w.uapi("get=1\n\n")


@weft_only
@pytest.mark.parametrize("lines,code", [
    (["no_such_key=1"], -22),
    (["listen_port=65536"], -22),
    (["listen_port=-1"], -22),
    (["listen_port="], -22),
    (["listen_port=1x"], -22),
    (["fwmark=4294967296"], -22),
    (["private_key=12"], -22),
    (["private_key=" + "g" * 64], -22),
    (["private_key=" + "0" * 65], -22),
    (["replace_peers=false"], -22),
    (["replace_peers=1"], -22),
    (["public_key=" + "0" * 63], -22),
    (["allowed_ip=10.0.0.0/8"], -22),                # of no peer
    (["preshared_key=" + "0" * 64], -22),
    (["KEY", "allowed_ip=10.0.0.0"], -22),
    (["KEY", "allowed_ip=10.0.0.0/33"], -22),
    (["KEY", "allowed_ip=fd00::/129"], -22),
    (["KEY", "allowed_ip=/8"], -22),
    (["KEY", "allowed_ip="], -22),
    (["KEY", "allowed_ip=10.0.0.0/ 8"], -22),
    (["KEY", "endpoint=10.0.0.1"], -22),
    (["KEY", "endpoint=10.0.0.1:"], -22),
    (["KEY", "endpoint=10.0.0.1:65536"], -22),
    (["KEY", "endpoint=fd00::1:99"], -22),
    (["KEY", "endpoint=example.org:99"], -22),
    (["KEY", "persistent_keepalive_interval=65536"], -22),
    (["KEY", "protocol_version=2"], -22),
    (["KEY", "remove=yes"], -22),
    (["KEY", "update_only=no"], -22),
    (["KEY", "replace_allowed_ips=0"], -22),
    (["KEY", "no_such_key=1"], -22),
    (["listen_port"], -71),
    (["KEY", "nonsense without the sign"], -71),
])
def test_bad_set(w, lines, code):
    """A bad line is the error it should be, and leaves everything as it was, before and after."""
    w.set_key()
    assert w.set("fwmark=9", f"public_key={hexkey(1)}", "allowed_ip=10.1.0.0/16") == 0
    before = w.get()
    lines = [f"public_key={hexkey(2)}" if x == "KEY" else x for x in lines]
    assert w.set("fwmark=10", "replace_peers=true", *lines) == code
    if lines[0].startswith("public_key="):
        assert w.set("fwmark=10", f"public_key={hexkey(1)}", "allowed_ip=10.2.0.0/16",
                     "remove=true", *lines) == code
    assert w.get() == before
    # and the daemon is well
    assert w.set(f"public_key={hexkey(3)}") == 0


def test_allowed_ip_minus(w):
    """`allowed_ip=-` takes away exactly that prefix of that peer."""
    if DUT != "weftd":
        pytest.skip("too old for allowed_ip=-")
    one, two = hexkey(1), hexkey(2)
    assert w.set(f"public_key={one}", "allowed_ip=10.0.0.0/8", "allowed_ip=10.1.0.0/16",
                 "allowed_ip=fd00::/8", f"public_key={two}", "allowed_ip=10.2.0.0/16") == 0
    assert w.set(f"public_key={one}", "allowed_ip=-10.0.0.0/8", "allowed_ip=-10.2.0.0/16",
                 "allowed_ip=-10.1.0.0/24", "allowed_ip=-fd00::/8") == 0
    peers = w.get()[1]
    assert peers[one]["allowed_ip"] == ["10.1.0.0/16"]
    assert peers[two]["allowed_ip"] == ["10.2.0.0/16"]
    # it makes no peer that is not there and ends none that is
    assert w.set(f"public_key={one}", "update_only=true", "allowed_ip=-10.1.0.0/16") == 0
    assert w.get()[1][one]["allowed_ip"] == []


def test_host_bits(w):
    k = hexkey(1)
    assert w.set(f"public_key={k}", "allowed_ip=10.1.2.3/8", "allowed_ip=fd00:1::5/16") == 0
    assert w.get()[1][k]["allowed_ip"] == ["10.0.0.0/8", "fd00::/16"]


def test_zero_keys(w):
    """A private key of zeros clears; a preshared key of zeros clears."""
    w.set_key()
    k = hexkey(1)
    assert w.set(f"public_key={k}", f"preshared_key={'11' * 32}") == 0
    assert w.set(f"private_key={'0' * 64}", f"public_key={k}", f"preshared_key={'0' * 64}") == 0
    device, peers = w.get()
    assert "private_key" not in device and peers[k]["preshared_key"] == "0" * 64


def test_remove_and_readd_in_one(w):
    k = hexkey(1)
    assert w.set(f"public_key={k}", "allowed_ip=10.0.0.0/8") == 0
    assert w.set(f"public_key={k}", "remove=true", f"public_key={k}",
                 "allowed_ip=10.9.0.0/16") == 0
    assert w.get()[1][k]["allowed_ip"] == ["10.9.0.0/16"]


@pytest.mark.parametrize("first", [b"put=1\n\n", b"get=2\n\n", b"\n", b"set=0\n\n", b"\0\0\0\0\n",
                                   b"GET / HTTP/1.0\r\n\r\n"])
def test_unknown_operation_closes(w, first):
    with w.host.unix(w.socket_path) as s:
        s.sendall(first)
        s.settimeout(30)
        try:
            while s.recv(4096):
                pass
        except ConnectionResetError:
            pass
    assert w.get() is not None


@weft_only
def test_half_requests(w):
    """Requests that stop anywhere hold up nobody and change nothing."""
    text = f"set=1\nreplace_peers=true\npublic_key={hexkey(9)}\nallowed_ip=10.0.0.0/8\n\n".encode()
    assert w.set(f"public_key={hexkey(1)}") == 0
    held = []
    for cut in range(1, len(text) - 1, 4):
        s = w.host.unix(w.socket_path)
        s.sendall(text[:cut])
        if cut % 3 == 0:
            s.close()
        elif len(held) < 20:
            held.append(s)
        else:
            s.close()
    assert list(w.get()[1]) == [hexkey(1)]
    for s in held:
        s.close()
    assert list(w.get()[1]) == [hexkey(1)]


def test_hundreds_of_connections(w):
    """Idle connections by the hundred, and then one that wants something."""
    held = []
    try:
        for _ in range(300):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(2)
            try:
                s.connect(w.host.path(w.socket_path))
                held.append(s)
            except (OSError, TimeoutError):
                s.close()
                break
        assert len(held) >= 16
        assert w.alive()
    finally:
        for s in held:
            s.close()

    def answers():
        try:
            return w.uapi("get=1\n\n", timeout=5)
        except OSError:
            return None
    wait.until(answers, "it answers again")


def many_peers(n):
    lines = ["set=1", "replace_peers=true"]
    for i in range(n):
        lines += [f"public_key={os.urandom(32).hex()}",
                  f"allowed_ip=10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}/32"]
    return ("\n".join(lines) + "\n\n").encode()


def test_slow_reader(w):
    """A client that asks for much and reads nothing does not hold up the others."""
    assert w.uapi(many_peers(3000), timeout=60) == "errno=0\n"
    slow = [w.host.unix(w.socket_path) for _ in range(5)]
    for s in slow:
        s.sendall(b"get=1\n\n" * 3)
    for _ in range(5):
        assert len(w.get()[1]) == 3000
    for s in slow[:3]:
        s.close()  # vanishes in the middle of an answer
    for s in slow[3:]:
        got = b""
        while got.count(b"errno=0\n\n") < 3:
            chunk = s.recv(1 << 16)
            assert chunk
            got += chunk
        s.close()
    assert len(w.get()[1]) == 3000


def test_concurrent(w):
    """Readers and writers at once; each get sees whole sets only."""
    keys = [hexkey(1), hexkey(2)]
    stop, wrong = threading.Event(), []

    def write():
        n = 0
        while not stop.is_set():
            n += 1
            if w.set(*[x for k in keys for x in (f"public_key={k}",
                                                 f"persistent_keepalive_interval={n % 60000}")]):
                wrong.append("set failed")

    def read():
        while not stop.is_set():
            seen = {p["persistent_keepalive_interval"] for p in w.get()[1].values()}
            if len(seen) > 1:
                wrong.append(f"half a set was seen: {seen}")
    threads = [threading.Thread(target=f) for f in (write, read, read, read)]
    for t in threads:
        t.start()
    time.sleep(2)
    stop.set()
    for t in threads:
        t.join()
    if DUT == "weftd":
        assert not wrong, wrong[:3]


def test_long_lines(w):
    """A line without an end is not kept for ever."""
    with w.host.unix(w.socket_path) as s:
        s.settimeout(30)
        try:
            for _ in range(64):
                s.sendall(b"a" * 65536)
        except OSError:
            pass
    assert w.get() is not None
    with w.host.unix(w.socket_path) as s:
        try:
            s.sendall(b"set=1\nfwmark=" + b"1" * 100000 + b"\n\n")
            answer = s.recv(100)
            assert answer == b"" or answer.startswith(b"errno=-"), answer
        except OSError:
            pass
    assert "fwmark" not in w.get()[0]


def test_socket_rights(w):
    """The socket is its owner's alone; the directory is not secret."""
    assert os.stat(w.host.path(w.socket_path)).st_mode & 0o077 == 0
    assert os.stat(w.host.path(wg.SOCKET_DIR)).st_mode & 0o777 == 0o755


@weft_only
def test_extra_keys(w):
    """What wg(8) cannot show, and what it still shows beside them."""
    w.set_key()
    k = wg.Key()
    assert w.set(f"public_key={k.public_hex}", "endpoint=192.0.2.9:9") == 0
    for name in ("rx_malformed", "rx_mac1", "rx_replay", "rx_allowed_ips", "tx_no_peer"):
        assert w.counter(name) == 0
    shown = w.wg("show", "dump").stdout.splitlines()
    assert len(shown) == 2 and shown[1].startswith(k.public64)
