# SPDX-License-Identifier: Apache-2.0
# The port is flooded with handshake initiations, each with a valid mac1, from many sources: who
# behaves notices little. The paper's sections 5.3 and 5.4.7.
import os
import socket
import sys
import time

import pytest

from conftest import DUT
from lib import noise, traffic, wait, wg

FLOOD = os.path.join(os.path.dirname(os.path.abspath(__file__)), "tools", "flood.py")
RATE = 12000  # a second; more than one core answers


class Field:
    """Server s, honest client c, attacker m and a newcomer x on one wire."""

    def __init__(self, net):
        self.net = net
        self.core = net.host("core")
        self.core.ip("link add br0 type bridge", "link set br0 up")
        self.s, self.c, self.m, self.x = (net.host(n) for n in "scmx")
        for n, host in enumerate((self.s, self.c, self.m, self.x), 1):
            net.link(host, "eth0", [f"192.0.2.{n}/24", f"2001:db8::{n}/64"], self.core, f"p{n}", [])
            self.core.ip(f"link set p{n} master br0")
        # answers to spoofed sources go to the attacker's machine, which drops them
        self.s.ip("route add 10.128.0.0/9 via 192.0.2.3")
        self.m.run("nft", "add table ip f; add chain ip f i { type filter hook prerouting "
                   "priority -300; }; add rule ip f i ip daddr 10.128.0.0/9 drop")
        self.ws = wg.Daemon(self.s, DUT).setup(["10.99.0.1/24"], port=51820)

    def client(self, host, n):
        w = wg.Daemon(host, DUT).setup([f"10.99.0.{n}/24"], port=51820)
        self.ws.peer(w.key, [f"10.99.0.{n}/32"])
        w.peer(self.ws.key, ["10.99.0.1/32"], endpoint="192.0.2.1:51820")
        return w

    def flood(self, seconds, sources=200000, rate=RATE, known=None):
        """Begins to flood. `known`: the public key that the initiations claim."""
        claimed = wg.Key()
        if known is not None:
            claimed.public = known
        h = noise.Handshake(claimed, self.ws.key.public)
        message = h.initiation()
        return self.m.popen(sys.executable, FLOOD, "192.0.2.1", 51820, message.hex(),
                            noise.mac1_key(self.ws.key.public).hex(), rate, seconds, "10.128.0.1",
                            sources, stdout=-1)


@pytest.fixture
def field(net):
    return Field(net)


@pytest.mark.xdist_group("flood")
@pytest.mark.parametrize("known", [False, True], ids=["unknown key", "a peer's key"])
def test_honest_peers_under_flood(field, known):
    """A newcomer connects within 2 s, and a running TCP stream keeps more than half its rate."""
    f = field
    wc = f.client(f.c, 2)
    traffic.until_reaches(f.c, "10.99.0.1")
    stream = traffic.Tcp(f.c, f.s, "10.99.0.1", 1 << 40)
    wait.until(lambda: stream.received > 4 << 20, "the stream runs")
    results = []
    # other tests share the machine: what counts is one undisturbed measurement of five
    for attempt in range(5):
        calm = stream.rate(2)
        flood = f.flood(90, known=wc.key.public if known else None)
        time.sleep(1)
        newcomer = f.client(f.x, 4 + attempt) if attempt == 0 else newcomer
        if attempt:  # forget the session
            f.ws.wg("set", "peer", newcomer.key.public64, "remove")
            newcomer.wg("set", "peer", f.ws.key.public64, "remove")
            f.ws.peer(newcomer.key, ["10.99.0.4/32"])
            newcomer.peer(f.ws.key, ["10.99.0.1/32"], endpoint="192.0.2.1:51820")
        begin = time.monotonic()
        # the ping is sent once; it waits in the daemon until there is a session
        got = traffic.ping(f.x, "10.99.0.1", count=1, deadline=4)
        connected = time.monotonic() - begin if got.received else 99.0
        busy = stream.rate(3)
        still = flood.poll() is None
        flood.terminate()
        sent, refused = map(int, flood.communicate(timeout=30)[0].split())
        results.append(f"connected after {connected:.2f} s, stream {calm / 1e6:.0f} -> "
                       f"{busy / 1e6:.0f} MB/s, {sent} initiations ({refused} refused locally)")
        print(results[-1])
        assert still, "the flood ended before the measurement: the tool is wrong"
        if connected <= 2 and busy > calm / 2:
            break
    else:
        pytest.fail("\n".join(results))
    stream.stop()
    stream.done()
    if f.ws.counts:
        assert f.ws.counter("cookies_sent") > 0 or f.ws.counter("rx_ratelimit") > 0


def sealed_cookie_mode(f):
    """True if a fresh initiation is answered with a cookie at this moment."""
    p = noise.Peer(f.x, ("192.0.2.1", 51820), remote_public=f.ws.key.public)
    f.ws.peer(p.key, ["10.99.0.99/32"])
    try:
        p.send(p.handshake().initiation())
        message = p.receive(timeout=1)
        return message is not None and message[0] == noise.COOKIE
    finally:
        f.ws.wg("set", "peer", p.key.public64, "remove")
        p.sock.close()


@pytest.mark.xdist_group("flood")
def test_cookie_mode(field):
    """Under load a cookie is asked for; it binds address and port; later none is needed."""
    f = field
    flood = f.flood(300, rate=40000)
    wait.until(lambda: sealed_cookie_mode(f), "cookie mode is entered")
    p = noise.Peer(f.x, ("192.0.2.1", 51820), remote_public=f.ws.key.public,
                   bind=("192.0.2.4", 0))
    f.ws.peer(p.key, ["10.99.0.4/32"])
    own, other = p.sock, f.x.socket(bind=("192.0.2.4", 0))

    def ask(sock, cookie=None):
        """A handshake and the answer to it, a response or a cookie; asked until there is one."""
        p.sock = sock
        for _ in range(60):
            h = p.handshake()
            h.cookie = cookie
            p.send(h.initiation())
            end = time.monotonic() + 1
            while (message := p.receive(timeout=max(end - time.monotonic(), 0.001))) is not None:
                at = 4 if message[0] == noise.COOKIE else 8
                if message[at:at + 4] == h.index.to_bytes(4, "little"):
                    return h, message
        pytest.fail("no answer at all")

    def refused(sock, cookie):
        # a flood that is held up for a moment is none, and then everybody is answered: so often
        return any(ask(sock, cookie)[1][0] == noise.COOKIE for _ in range(20))

    def fresh_cookie():
        for _ in range(20):
            h, message = ask(own)
            if message[0] == noise.COOKIE:
                return h.read_cookie(message)
        pytest.fail("not under load any more")
    cookie = fresh_cookie()
    assert refused(other, cookie), "a cookie of another port was taken"
    # from its own it is worth something
    h, message = ask(own, cookie)
    assert message[0] == noise.RESPONSE
    p.session = h.read_response(message)
    p.send(p.session.data())
    assert refused(own, bytes(16)), "a wrong mac2 was taken"
    assert flood.poll() is None, "the flood ended before the measurement: the tool is wrong"
    flood.terminate()
    flood.communicate(timeout=30)
    if f.ws.counts:
        assert f.ws.counter("under_load_ns") > 0 and f.ws.counter("cookies_sent") > 0
    # and it ends: within seconds handshakes are answered at once
    wait.until(lambda: ask(own)[1][0] == noise.RESPONSE, "cookie mode is left")
    wait.until(lambda: not sealed_cookie_mode(f), "for everybody")


def test_rate_limit_per_source(bench):
    """One source that asks too often is limited, other sources are not touched."""
    t = bench()
    t.x.ip("addr add 192.0.2.200/24 dev eth0")
    noisy = noise.Peer(t.x, ("192.0.2.2", 51820), remote_public=t.w.key.public,
                       bind=("192.0.2.200", 0))
    for _ in range(400):
        noisy.send(noisy.handshake().initiation(ephemeral=noisy.key), at_once=True)
    if t.w.counts:
        wait.until(lambda: t.w.counter("rx_ratelimit") + t.w.counter("rx_unknown_peer") +
                   t.w.counter("rx_cookie_sent") >= 400, "all are counted")
    p = t.peer("10.99.0.1/32", connect=False)
    p.connect(tries=2, timeout=30)  # at the first, or the second if that is to show a cookie
    assert t.echo(p)


def test_rate_limit_ipv6_prefix(bench):
    """An IPv6 /64 is one source."""
    t = bench()
    t.x.ip(*[f"addr add 2001:db8::a:{n}/64 dev eth0 nodad" for n in range(1, 9)])
    socks = [t.x.socket(socket.AF_INET6, bind=(f"2001:db8::a:{n}", 0)) for n in range(1, 9)]
    p = noise.Peer(t.x, ("2001:db8::2", 51820), remote_public=t.w.key.public)
    for n in range(240):
        socks[n % 8].sendto(p.handshake().initiation(ephemeral=p.key), p.target)
    if t.w.counts:
        wait.until(lambda: t.w.counter("rx_ratelimit") + t.w.counter("rx_unknown_peer") +
                   t.w.counter("rx_cookie_sent") >= 240, "all are counted")
    assert t.w.alive()
