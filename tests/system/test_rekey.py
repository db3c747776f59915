# SPDX-License-Identifier: Apache-2.0
# New sessions while traffic runs: by peers made by hand as often as allowed, after a restart, and
# after the 120 s that the paper gives.
import concurrent.futures
import struct
import threading
import time

import pytest

from conftest import DUT, OTHER, PAIRS, Pair
from lib import noise, ns, traffic, wait, wg


def test_many_rekeys_under_load(bench):
    """The peer makes a new session every 60 ms: no packet of a stream is lost or doubled."""
    t = bench()
    p = t.peer("10.50.0.0/16", "10.99.0.1/32")
    sessions = {p.session.local_index: p.session}
    got, stop = [], threading.Event()
    sender = t.b.socket()

    seen = []

    def send():
        n = 0
        while not stop.is_set():
            # no more under way than queues hold, whoever is not let run for a while
            if n - len(seen) < 200:
                sender.sendto(struct.pack("!I", n), ("10.50.1.1", 9))
                n += 1
            time.sleep(0.001)
        got.append(n)
    thread = threading.Thread(target=send)
    thread.start()

    def take(message):
        if message[0] != noise.DATA:
            return message
        session = sessions[struct.unpack("<I", message[4:8])[0]]
        inner = session.open(message)[1]
        if inner:
            seen.append(struct.unpack("!I", inner[28:32])[0])
        return None
    try:
        for _ in range(40):
            h = p.handshake()
            p.send(h.initiation())
            begin = time.monotonic()
            while h.index not in sessions or time.monotonic() < begin + 0.06:
                message = p.receive(timeout=0.02)
                response = take(message) if message is not None else None
                if response is not None:
                    s = h.read_response(response)
                    sessions[h.index] = s
                    p.send(s.data())
                assert time.monotonic() < begin + 60, "no response"
    finally:
        stop.set()
        thread.join()
    end = time.monotonic() + 30
    while len(seen) < got[0] and time.monotonic() < end:
        if (message := p.receive(timeout=1)) is not None:
            take(message)
    while (message := p.receive(timeout=0.2)) is not None:
        take(message)  # doubled ones
    assert len(sessions) == 41
    assert sorted(seen) == list(range(got[0])), \
        f"{len(seen)} of {got[0]} arrived, {len(seen) - len(set(seen))} twice"


def test_previous_session_is_still_read(bench):
    """What was sealed under the session before the last is still taken."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    old = p.session
    assert t.echo(p)
    p.connect()
    p.send(old.data(traffic.echo_request("10.99.0.1", "10.99.0.2", 77)))
    inner = p.inner()
    assert inner is not None, "the previous session was dropped at once"
    # two sessions on, it is gone
    for _ in range(2):
        p.connect()
    p.send(old.data(traffic.echo_request("10.99.0.1", "10.99.0.2", 78)))
    assert p.receive(noise.DATA, 0.5) is None
    assert t.echo(p)


def test_answer_under_the_new_session(bench):
    """A peer that began anew knows no older session: already the first answer is under the new."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    for n in range(20):
        p.connect(confirm=False)
        p.forget()
        assert t.echo(p), f"lost after {n} rekeys"


@pytest.mark.parametrize("server", list(dict.fromkeys([DUT, OTHER])))
def test_server_restarts(net, pair, server):
    """The server's daemon dies and comes back: the client finds it again by itself."""
    p = pair(DUT, server).connect()
    p.wb.expect_end = True
    p.wb.proc.kill()
    p.wb.proc.wait()
    p.b.ip("link delete wg0", check=False)
    w = wg.Daemon(p.b, server, key=p.wb.key)
    w.setup(["10.99.0.2/24", "fd99::2/64"], port=51820)
    w.peer(p.wa.key, [f"{p.a4}/32", f"{p.a6}/128"])
    # the client must notice that it is not answered (15 s) and begin anew
    traffic.until_reaches(p.a, p.b4, timeout=120)
    assert traffic.ping(p.b, p.a6).loss == 0


def test_client_restarts(pair, impls):
    """The client's daemon dies and comes back: a newer timestamp is enough."""
    p = pair(*impls).connect()
    p.wa.expect_end = True
    p.wa.proc.kill()
    p.wa.proc.wait()
    p.a.ip("link delete wg0", check=False)
    w = wg.Daemon(p.a, impls[0], key=p.wa.key)
    w.setup(["10.99.0.1/24", "fd99::1/64"], port=51820)
    w.peer(p.wb.key, [f"{p.b4}/32", f"{p.b6}/128"], endpoint=p.endpoint_b)
    traffic.until_reaches(p.a, p.b4)
    assert traffic.ping(p.b, p.a6).loss == 0


def test_simultaneous(pair, impls):
    """Both begin at the same moment, again and again: they always meet."""
    p = pair(*impls)
    p.wb.peer(p.wa.key, [f"{p.a4}/32", f"{p.a6}/128"], endpoint=p.endpoint_a)
    for _ in range(5):
        with concurrent.futures.ThreadPoolExecutor() as both:
            for met in [both.submit(traffic.until_reaches, *args)
                        for args in ((p.a, p.b4), (p.b, p.a4))]:
                met.result()
        # the second of two crossing handshakes may end only now
        wait.until(lambda: traffic.ping(p.a, p.b6, deadline=1).loss == 0, "nothing is lost")
        for d, other, endpoint, inner in ((p.wa, p.wb, p.endpoint_b, (p.b4, p.b6)),
                                          (p.wb, p.wa, p.endpoint_a, (p.a4, p.a6))):
            d.wg("set", "peer", other.key.public64, "remove")
            d.peer(other.key, [f"{inner[0]}/32", f"{inner[1]}/128"], endpoint=endpoint)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_rekey_after_120_s(net):
    """130 s of pings and datagrams through every pair at once: rekeyed, and not one lost."""
    networks, runs = [], []
    pool = concurrent.futures.ThreadPoolExecutor(2 * len(PAIRS))
    try:
        for a, b in PAIRS:
            network = ns.Network()
            networks.append(network)
            p = Pair(network, a, b).connect()
            first = p.wa.handshake_time(p.wb.key)
            pings = [pool.submit(traffic.ping, host, address, count=2620, interval=0.05)
                     for host, address in ((p.a, p.b4), (p.b, p.a6))]
            runs.append((p, first, pings))
        for p, first, pings in runs:
            for ping in pings:
                got = ping.result()
                assert got.sent == 2620 and got.loss == 0, (p.wa, p.wb, got.text)
            assert p.wa.handshake_time(p.wb.key) - first > 115, "it was never rekeyed"
            if p.wa.counts:
                assert p.wa.counter("handshakes_completed", p.wb.key) == 2
    finally:
        pool.shutdown()
        wrong = [w for network in networks for w in network.close()]
    assert not wrong, "\n".join(wrong)
