# SPDX-License-Identifier: Apache-2.0
# What a change of configuration does, and to whom: the kernel's semantics.
import errno
import os
import socket
import time

import pytest

from conftest import DUT
from lib import noise, traffic, wait, wg

weft_only = pytest.mark.skipif(DUT != "weftd", reason="wireguard-go behaves otherwise")


# ---- allowed IPs ----

def test_longest_prefix(bench):
    """A prefix inside another's, and a /32 inside that: the longest match decides, both ways."""
    t = bench()
    wide = t.peer("10.50.0.0/16", "10.50.1.7/32", "fd50::/16", "fd50:1::7/128")
    narrow = t.peer("10.50.1.0/24", "fd50:1::/32")
    for peer, mine, other in ((wide, ("10.50.2.1", "10.50.1.7", "fd50:2::1", "fd50:1::7"), narrow),
                              (narrow, ("10.50.1.1", "10.50.1.8", "fd50:1::1"), wide)):
        for address in mine:
            assert t.gets(peer, address), f"{address} went elsewhere"
            assert t.echo(peer, address), f"{address} as a source refused"
            before = t.w.counter("rx_allowed_ips") if t.w.counts else 0
            assert t.no_echo(other, address), f"{address} as a source accepted from the wrong peer"
            t.w.wait_counter("rx_allowed_ips", before + 1)


def test_source_check(bench):
    """An inner source outside the peer's prefixes is dropped and counted."""
    t = bench()
    p = t.peer("10.99.0.1/32", "fd99::1/128")
    assert t.echo(p) and t.echo(p, "fd99::1")
    for source in ("10.99.0.3", "10.99.0.2", "8.8.8.8", "127.0.0.1", "0.0.0.0", "fd99::3", "::1"):
        assert t.no_echo(p, source), source
    t.w.wait_counter("rx_allowed_ips", 7)
    assert t.echo(p)


def test_prefix_moves(bench):
    """A prefix belongs to the last peer that claimed it."""
    t = bench()
    one, two = t.peer("10.50.0.0/24", "10.50.9.0/24"), t.peer("10.50.1.0/24")
    assert t.gets(one, "10.50.0.1")
    t.w.wg("set", "peer", two.key.public64, "allowed-ips", "10.50.1.0/24,10.50.0.0/24")
    assert t.gets(two, "10.50.0.1") and t.echo(two, "10.50.0.1")
    assert t.no_echo(one, "10.50.0.1") and t.echo(one, "10.50.9.1")
    assert t.w.peer_state(one.key)["allowed_ip"] == ["10.50.9.0/24"]
    # and goes when its peer goes, not back
    t.w.wg("set", "peer", two.key.public64, "remove")
    assert t.no_echo(one, "10.50.0.1")
    assert t.w.peer_state(one.key)["allowed_ip"] == ["10.50.9.0/24"]


def test_default_route_prefix(bench):
    """0.0.0.0/0 and ::/0 hold everything that nobody else has."""
    t = bench()
    every, some = t.peer("0.0.0.0/0", "::/0"), t.peer("10.50.1.0/24")
    assert t.gets(every, "10.50.2.1") and t.gets(every, "fd50::1")
    assert t.gets(some, "10.50.1.1")
    assert t.no_echo(every, "203.0.113.9")  # b has no route back into the tunnel
    assert t.echo(every, "10.50.77.1")


# ---- keys ----

def test_psk_change_keeps_the_session(bench):
    """A new PSK counts from the next handshake; the session goes on."""
    t = bench()
    p = t.peer("10.99.0.1/32", psk=b"\1" * 32)
    assert t.echo(p)
    old = p.session
    text = noise.hashlib.blake2s(b"another").digest()
    t.w.wg("set", "peer", p.key.public64, "preshared-key", "/dev/stdin",
           input=noise.wg.base64.b64encode(text).decode() + "\n")
    assert t.echo(p), "the session ended with the PSK"
    # a handshake under the old PSK gives no session any more
    h, response = p.ask()
    with pytest.raises(noise.InvalidTag):
        h.read_response(response)
    assert t.echo(p), "the failed handshake ended the session"
    assert p.session is old
    p.psk = text
    p.connect()
    assert t.echo(p)


def test_psk_mismatch(pair, impls):
    """No session under different PSKs; a session as soon as they are the same, live."""
    p = pair(*impls, psk=wg.psk())
    p.connect()
    p.wa.set_psk(p.wb.key, wg.psk())
    assert traffic.ping(p.a, p.b4).loss == 0, "the session ended with the PSK"
    # a forgets the session, so that a new handshake is needed
    p.wa.wg("set", "peer", p.wb.key.public64, "remove")
    p.wa.peer(p.wb.key, [f"{p.b4}/32"], endpoint=p.endpoint_b, psk=wg.psk())
    assert not traffic.reaches(p.a, p.b4)
    text = wg.psk()
    for d, peer in ((p.wa, p.wb), (p.wb, p.wa)):
        d.set_psk(peer.key, text)
    traffic.until_reaches(p.a, p.b4)


def test_private_key_change(bench):
    """Sessions under the old key end; the new one is used at once."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    assert t.echo(p)
    t.w.set_key(wg.Key())
    assert t.no_echo(p), "the session outlived the key"
    h = p.handshake()
    p.send(h.initiation())  # to the old key: its mac1 is wrong now
    assert p.receive(noise.RESPONSE, 0.5) is None
    p.remote = t.w.key.public
    p.connect()
    assert t.echo(p)


def test_private_key_cleared(bench):
    """Without a private key nothing is answered; everything else stays."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    t.w.wg("set", "private-key", "/dev/null")
    device, peers = t.w.get()
    assert int(device.get("private_key", "0"), 16) == 0 and len(peers) == 1
    assert t.no_echo(p)
    t.w.set_key()
    p.connect()
    assert t.echo(p)


def test_own_key_as_peer(bench):
    """A peer with our own public key is ignored without an error."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    t.w.wg("set", "peer", t.w.key.public64, "allowed-ips", "10.50.0.0/16")
    assert list(t.w.get()[1]) == [p.key.public_hex]
    assert t.echo(p)
    # the other way round: our key becomes that of a peer
    other = wg.Key()
    t.w.wg("set", "peer", other.public64, "allowed-ips", "10.50.0.0/16")
    t.w.set_key(other)
    assert list(t.w.get()[1]) == [p.key.public_hex]


# ---- peers come and go ----

def test_peer_removal(bench):
    """A removed peer is out at once; the others notice nothing."""
    t = bench()
    one, two = t.peer("10.50.1.0/24"), t.peer("10.50.2.0/24")
    t.w.wg("set", "peer", one.key.public64, "remove")
    assert t.no_echo(one, "10.50.1.1")
    one.send(one.handshake().initiation())
    assert one.receive(timeout=0.5) is None
    t.w.wait_counter("rx_unknown_peer", 1)
    t.w.wait_counter("rx_no_index", 1)
    assert t.echo(two, "10.50.2.1")
    # and it can come back
    t.w.peer(one.key, ["10.50.1.0/24"])
    one.connect()
    assert t.echo(one, "10.50.1.1") and t.echo(two, "10.50.2.1")


def test_set_of_one_peer_leaves_others(bench):
    t = bench()
    one, two = t.peer("10.50.1.0/24"), t.peer("10.50.2.0/24", keepalive=30)
    # what confirms the handshake may still be on its way
    wait.until(lambda: t.w.peer_state(two.key)["last_handshake_time_sec"] != "0", "a session")
    before = t.w.peer_state(two.key)
    t.w.wg("set", "peer", one.key.public64, "allowed-ips", "10.50.3.0/24",
           "persistent-keepalive", "40")
    after = t.w.peer_state(two.key)
    for ages in (before, after):
        for name in [x for x in ages if "_age_" in x]:
            del ages[name]
    assert after == before
    assert t.echo(two, "10.50.2.1") and t.echo(one, "10.50.3.1")


def test_replace_peers(bench):
    """setconf leaves exactly what it was given."""
    t = bench()
    one, two = t.peer("10.50.1.0/24"), t.peer("10.50.2.0/24")
    t.w.wg("setconf", "/dev/stdin", input=f"""[Interface]
PrivateKey = {t.w.key.private64}
ListenPort = 51820
[Peer]
PublicKey = {two.key.public64}
AllowedIPs = 10.50.2.0/24
""")
    assert list(t.w.get()[1]) == [two.key.public_hex]
    assert t.no_echo(one, "10.50.1.1")
    two.connect()
    assert t.echo(two, "10.50.2.1")


def test_syncconf_keeps_sessions(bench):
    t = bench()
    one, two = t.peer("10.50.1.0/24"), t.peer("10.50.2.0/24")
    three = wg.Key()
    conf = f"""[Interface]
PrivateKey = {t.w.key.private64}
ListenPort = 51820
[Peer]
PublicKey = {two.key.public64}
AllowedIPs = 10.50.2.0/24
[Peer]
PublicKey = {three.public64}
AllowedIPs = 10.50.4.0/24
"""
    t.w.wg("syncconf", "/dev/stdin", input=conf)
    assert sorted(t.w.get()[1]) == sorted([two.key.public_hex, three.public_hex])
    assert t.echo(two, "10.50.2.1"), "the session was lost"
    assert t.no_echo(one, "10.50.1.1")


def test_update_only(bench):
    """update_only changes a peer that is there, and never makes one."""
    t = bench()
    p = t.peer("10.50.1.0/24")
    absent = wg.Key()
    assert t.w.set(f"public_key={absent.public_hex}", "update_only=true",
                   "allowed_ip=10.50.1.0/24", "persistent_keepalive_interval=9") == 0
    assert list(t.w.get()[1]) == [p.key.public_hex]
    assert t.w.peer_state(p.key)["allowed_ip"] == ["10.50.1.0/24"]
    assert t.w.set(f"public_key={p.key.public_hex}", "update_only=true",
                   "persistent_keepalive_interval=9") == 0
    assert t.w.peer_state(p.key)["persistent_keepalive_interval"] == "9"
    assert t.echo(p, "10.50.1.1")


# ---- keepalive ----

def test_keepalive_on_sends_at_once(bench):
    """From 0 to more: one packet at once, an initiation if there is no session."""
    t = bench()
    p = t.known_peer("10.50.1.0/24")
    assert p.receive(timeout=0.5) is None
    t.w.wg("set", "peer", p.key.public64, "persistent-keepalive", "25")
    p.answer()
    # with a session: an empty data packet. First drain what the handshake itself brought
    t.w.wg("set", "peer", p.key.public64, "persistent-keepalive", "off")

    def sent():
        return int(t.w.peer_state(p.key)["tx_bytes"])
    before = sent()
    while p.receive(timeout=0.5):
        before = sent()
    t.w.wg("set", "peer", p.key.public64, "persistent-keepalive", "25")
    message = p.receive(noise.DATA)
    assert message and p.session.open(message)[1] == b""
    assert sent() == before + 32


def test_keepalive_repeats(bench):
    t = bench()
    begin = time.monotonic()  # read before and after: a test that is held up sees it take longer
    p = t.known_peer("10.50.1.0/24", keepalive=1)
    p.answer()
    for _ in range(4):
        assert p.receive(noise.DATA)
    assert time.monotonic() - begin > 1.5, "more often than asked for"


def test_passive_keepalive(bench):
    """After data, and only after data: an empty packet within about 10 s if nothing else goes."""
    t = bench()
    quiet = t.peer("10.50.2.0/24")
    busy = t.peer("10.50.1.0/24")
    # a datagram that nobody answers: the answer would count as traffic
    t.b.run("nft", "add table inet f; add chain inet f i { type filter hook input priority 0; }; "
            "add rule inet f i iifname wg0 udp dport 9 drop")
    payload = traffic.udp_packet("10.50.1.1", 9, "10.99.0.2", 9, b"x")
    begin = time.monotonic()
    busy.send(busy.session.data(payload))
    message = busy.receive(noise.DATA, timeout=60)
    assert message and busy.session.open(message)[1] == b""
    assert time.monotonic() - begin > 8
    # the other one sent nothing but the empty packet that confirmed its handshake
    assert quiet.receive(timeout=0.2) is None
    busy.send(busy.session.data())  # an empty packet is not answered


# ---- fwmark, ports ----

def test_fwmark(bench):
    """Everything that goes out carries the mark; a new mark counts at once."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    t.b.run("nft", "-f", "-", input="""
        table inet m {
            counter a { }
            counter b { }
            counter none { }
            chain out {
                type filter hook output priority 0;
                udp sport 51820 meta mark 0x1234 counter name a
                udp sport 51820 meta mark 0xffff0000 counter name b
                udp sport 51820 meta mark 0 counter name none
            }
        }""")

    def count(name):
        text = t.b.run("nft", "list", "counter", "inet", "m", name).stdout
        return int(text.split("packets ")[1].split()[0])
    assert t.echo(p) and count("none") > 0
    for mark, name in (("0x1234", "a"), ("0xffff0000", "b")):
        t.w.wg("set", "fwmark", mark)
        before = count(name)
        others = [count(x) for x in ("a", "b", "none") if x != name]
        assert t.echo(p) and t.gets(p, "10.99.0.1")
        p.connect()
        assert count(name) > before
        assert [count(x) for x in ("a", "b", "none") if x != name] == others
    t.w.wg("set", "fwmark", "off")
    before = count("none")
    assert t.echo(p) and count("none") > before
    assert t.w.get()[0].get("fwmark", "0") == "0"


def test_listen_port_change(bench):
    """The new port answers, the old one is closed, sessions go on."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    t.w.wg("set", "listen-port", "51999")
    assert t.w.port() == 51999
    assert t.gets(p, "10.99.0.1"), "the session was lost"
    p.target = ("192.0.2.2", 51999)
    assert t.echo(p)
    six = noise.Peer(t.x, ("2001:db8::2", 51999), key=p.key, remote_public=t.w.key.public)
    six.connect()
    wait.until(lambda: t.echo(six, timeout=1), "it answers over IPv6")
    sock = t.x.socket()
    sock.connect(("192.0.2.2", 51820))
    sock.send(b"x")
    with pytest.raises(ConnectionRefusedError):
        sock.recv(1)


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_listen_port_conflict(bench, family):
    """A port that another has: an error, and the old one stays."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    any_address = "::" if family == socket.AF_INET6 else "0.0.0.0"
    taken = t.b.socket(family)
    if family == socket.AF_INET6:
        taken.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    taken.bind((any_address, 5000))
    got = t.w.wg("set", "listen-port", "5000", check=False)
    assert got.returncode != 0 and "in use" in got.stderr.lower(), got.stderr
    if DUT == "weftd":
        assert t.w.port() == 51820
        assert t.echo(p)


def test_listen_port_zero(bench):
    """Port 0 picks one that works for both families."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    t.w.wg("set", "listen-port", "0")
    port = wait.until(t.w.port, "a port is chosen")
    assert port != 51820
    for address in ("192.0.2.2", "2001:db8::2"):
        q = noise.Peer(t.x, (address, port), key=p.key, remote_public=t.w.key.public)
        q.connect()
        # until the new session is taken, answers come under the one of the peer before
        wait.until(lambda: t.echo(q, timeout=1), "the port answers")


def test_listen_port_unset(net):
    """Without a port the interface gets one when it comes up."""
    a, b = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    w = wg.Daemon(b, DUT).setup(["10.99.0.2/24"])
    assert wait.until(w.port, "a port is chosen") > 0


# ---- nowhere to go ----

@pytest.mark.parametrize("address", ["10.50.1.1", "fd50::1"])
@pytest.mark.parametrize("case", ["no peer", "no endpoint"])
def test_unreachable(bench, case, address):
    """The sender is told by ICMP; the drop is counted."""
    t = bench()
    if case == "no endpoint":
        t.peer("10.50.0.0/16", "fd50::/16", connect=False)
    v6 = ":" in address
    sock = t.b.socket(socket.AF_INET6 if v6 else socket.AF_INET)
    # IP_RECVERR, IPV6_RECVERR: a UDP socket is told of "host unreachable" only if it asks
    sock.setsockopt(*((socket.IPPROTO_IPV6, 25) if v6 else (socket.IPPROTO_IP, 11)), 1)
    sock.connect((address, 9))
    # ICMP errors are rate-limited by nobody here, but give the first ones another chance
    for _ in range(10):
        sock.settimeout(2)
        try:
            sock.send(b"x")
            sock.recv(1)
        except TimeoutError:
            continue
        except OSError as e:
            assert e.errno == errno.EHOSTUNREACH, e
            break
    else:
        if DUT == "weftd":
            pytest.fail("no ICMP error came")
    if t.w.counts:
        name = "tx_no_peer" if case == "no peer" else "tx_no_endpoint"
        wait.until(lambda: t.w.counter(name) >= 1, "the drop is counted")


def test_unreachable_is_quiet_about_icmp(bench):
    """No ICMP error for an ICMP error, for multicast, or for a source that is none."""
    t = bench()
    seen = traffic.Capture(t.b, "wg0")
    sock = t.b.socket()
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("10.99.0.2"))
    sock.sendto(b"x", ("239.1.2.3", 9))
    with t.b.inside():
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    error = b"\3\1\0\0" + bytes(4) + traffic.udp_packet("10.50.1.1", 9, "10.99.0.2", 9, b"x")
    error = error[:2] + traffic.struct.pack("!H", traffic.checksum(error)) + error[4:]
    raw.sendto(traffic.ipv4("10.99.0.2", "10.50.1.1", 1, error), ("10.50.1.1", 0))
    seen.wait(2, outgoing=True)
    t.send("10.50.1.1")
    if DUT == "weftd":
        seen.wait(1, outgoing=False)
        assert len(seen.select(outgoing=False)) == 1
    raw.close()


# ---- the interface ----

def wait_running(t, up):
    """The daemon has seen that the interface went up or down."""
    def listening():
        return ":51820" in t.b.run("ss", "-Huln").stdout
    wait.until(lambda: listening() == up, f"sockets are {'open' if up else 'closed'}")


@weft_only
def test_down_is_silent(bench):
    """Down: no socket is open, nothing leaves, nothing is taken. Up: everything as before."""
    t = bench()
    p = t.peer("10.99.0.1/32", "10.50.0.0/16", keepalive=1)
    assert t.echo(p)
    t.b.ip("link set wg0 down")
    wait_running(t, False)
    wire = traffic.Capture(t.b, "eth0")
    p.send(p.session.data(traffic.echo_request("10.99.0.1", "10.99.0.2")))
    p.send(p.handshake().initiation())
    with pytest.raises(OSError):
        t.send("10.50.1.1")  # its route went with the interface
    wait.stays(lambda: not wire.select(outgoing=True, proto=17), "nothing leaves", 2)
    t.b.ip("link set wg0 up")
    t.routes()
    wait_running(t, True)
    # the keepalive comes by itself, with a new session
    p.answer()
    assert t.echo(p)


@weft_only
def test_nothing_before_up(bench):
    """Configured before it was ever up: not a packet; then keepalives begin."""
    t = bench(up=False)
    wire = traffic.Capture(t.b, "eth0")
    p = t.known_peer("10.50.1.0/24", keepalive=1)
    q = t.known_peer("10.50.2.0/24")
    wait.stays(lambda: not wire.select(outgoing=True, proto=17), "nothing leaves", 1.5)
    assert ":51820" not in t.b.run("ss", "-Huln").stdout
    t.b.ip("link set wg0 up")
    p.answer()
    assert q.receive(timeout=0.3) is None


def test_down_up_many(bench):
    """Up and down quickly, under traffic."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    for _ in range(15):
        t.b.ip("link set wg0 down", "link set wg0 up")
        p.send(p.session.data(traffic.echo_request("10.99.0.1", "10.99.0.2")))
    wait_running(t, True)
    p.connect()
    assert t.echo(p)


def test_mtu_change(bench):
    """A new MTU counts at once, also for the padding."""
    t = bench()
    p = t.peer("10.50.0.0/16")
    for mtu in (1419, 1280, 1500, 1421):
        t.b.ip(f"link set wg0 mtu {mtu}")

        def padded():
            # an inner packet of exactly the MTU must not be padded past it
            t.send("10.50.1.1", bytes(mtu - 28))
            message = p.receive(noise.DATA, 3)
            while message and p.session.open(message)[1] == b"":
                message = p.receive(noise.DATA, 3)
            return message is not None and len(message) - 32 == mtu
        wait.until(padded, f"a full packet at MTU {mtu}")


def test_padding(bench):
    """Inner packets are padded to 16 with zeros, but not past the MTU."""
    t = bench(mtu=1419)
    p = t.peer("10.50.0.0/16")
    for length in list(range(28, 62)) + [1400, 1407, 1408, 1409, 1415, 1416, 1418, 1419]:
        t.send("10.50.1.1", b"\xff" * (length - 28))
        message = p.receive(noise.DATA)
        inner = p.session.open(message)[1]
        assert len(inner) == min((length + 15) // 16 * 16, 1419), length
        assert inner[length:] == bytes(len(inner) - length)


def test_trimmed(bench):
    """Of a padded packet the host sees the inner length, no more."""
    t = bench()
    p = t.peer("10.99.0.1/32", "fd99::1/128")
    seen = traffic.Capture(t.b, "wg0")
    for n in range(0, 40, 3):
        for src, dst in (("10.99.0.1", "10.99.0.2"), ("fd99::1", "fd99::2")):
            packet = traffic.echo_request(src, dst, payload=bytes(n))
            p.send(p.session.data(packet + bytes(16)))
            wait.until(lambda: any(x.data == packet for x in seen.select(outgoing=False)),
                       f"{n} bytes arrive exactly")


def test_deleted_interface_ends_daemon(bench):
    t = bench()
    t.peer("10.99.0.1/32")
    t.b.ip("link delete wg0")
    assert t.w.wait_end() == 0
    assert not os.path.exists(t.b.path(t.w.socket_path))


def test_deleted_socket_ends_daemon(bench):
    t = bench()
    t.peer("10.99.0.1/32")
    os.unlink(t.b.path(t.w.socket_path))
    assert t.w.wait_end() == 0
    assert t.b.ip("link show wg0", check=False).returncode != 0


def test_quiet_interface(bench):
    """No link-local address, no router solicitation, no redirects: nothing unasked for."""
    t = bench(up=False)
    seen = traffic.Capture(t.b, "wg0") if t.b.ip("link set wg0 up") else None
    wait.stays(lambda: not seen.select(outgoing=True), "nothing is sent", 2)
    text = t.b.run("ip", "-6", "addr", "show", "dev", "wg0").stdout
    if DUT == "weftd":
        assert "fe80" not in text, text
        base = "/proc/sys/net/ipv4/conf/wg0"
        assert t.b.run("cat", f"{base}/send_redirects").stdout == "0\n"


def test_default_mtu(net):
    host = net.host("a")
    wg.Daemon(host, DUT)
    assert "mtu 1420" in host.run("ip", "link", "show", "wg0").stdout


def test_staged_packets(bench):
    """What was sent before the session arrives when there is one: the newest 128, in order."""
    t = bench()
    p = t.known_peer("10.50.0.0/16")
    sock = t.b.socket()
    for i in range(200):
        sock.sendto(b"n%03d" % i, ("10.50.1.1", 9))
    t.w.wait_counter("tx_stage_full", 72)  # all have been read, and none may go yet
    p.answer()
    got = []
    while (not got or got[-1] != 199) and (inner := p.inner()) is not None:
        got.append(int(inner[29:32]))
    assert got == sorted(got) and got[-1] == 199, got
    assert p.inner(0.3) is None
    if t.w.counts:
        assert got == list(range(200 - 128, 200)), (len(got), got[:3])
        assert t.w.counter("tx_stage_full") == 72


def test_retry_until_answered(bench):
    """An initiation is sent again after 5 s and a little, with new keys and a new index."""
    t = bench()
    p = t.known_peer("10.50.0.0/16")
    t.send("10.50.1.1")
    first = p.receive(noise.INITIATION)
    second = p.receive(noise.INITIATION, 60)
    assert first[4:8] != second[4:8] and first[8:40] != second[8:40]
    h = p.handshake()
    # by the times that stand in them: when they arrive says more about the machine
    old, new = (int.from_bytes(x[4:8], "big") + int.from_bytes(x[8:], "big") / 1e9
                for x in (h.read_initiation(first), h.read_initiation(second)))
    assert 4.9 < new - old < 30
    reply, p.session = h.response()
    p.send(reply)
    assert p.inner(), "the packet that waited came"


def test_random_indices(bench):
    """Session indices are random, neither counted nor repeated."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    seen = []
    for _ in range(12):
        p.connect()
        seen.append(p.session.remote_index)
    assert len(set(seen)) == len(seen)
    gaps = [abs(x - y) for x, y in zip(seen, seen[1:])]
    assert min(gaps) > 256 and max(gaps) > 1 << 24
