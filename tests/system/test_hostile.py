# SPDX-License-Identifier: Apache-2.0
# What arrives on the port from nobody's friend, and what a legitimate peer with bad intentions
# seals: each a counted drop, no crash, and the tunnel stays.
import os
import random
import socket
import struct
import time

import pytest

from conftest import DUT
from lib import noise, traffic, wait, wg

SEED = int(os.environ.get("WEFT_SYSTEM_SEED", "0")) or random.SystemRandom().getrandbits(32)
weft_only = pytest.mark.skipif(DUT != "weftd", reason="wireguard-go behaves otherwise")
UDP_SEGMENT = 103


@pytest.fixture
def rng():
    print(f"WEFT_SYSTEM_SEED={SEED}")
    return random.Random(SEED)


def throw(t, packets, counted=True, pause=0.0):
    """Sends datagrams to the port; with `counted`, each must become exactly one drop."""
    counted = counted and t.w.counts

    def drops():
        return sum(t.w.drops().values())
    before = drops() if counted else 0
    sock = t.x.socket()
    n = waiting = 0
    for data in packets:
        sock.sendto(data, ("192.0.2.2", 51820))
        n += 1
        waiting += 1024 + len(data)
        if waiting > 256 << 10 or n % 64 == 0:
            # no more than fits into its socket, however long the daemon does not run
            if counted:
                wait.until(lambda: drops() - before >= n, f"{n} drops are counted", step=0.002)
            else:
                time.sleep(0.002)
            waiting = 0
        if pause:
            time.sleep(pause)
    sock.close()
    if counted:
        wait.until(lambda: drops() - before >= n, f"{n} drops are counted", step=0.005)
        assert drops() - before == n, t.w.drops()
    assert t.w.alive()


def test_random_bytes(bench, rng):
    t = bench()
    p = t.peer("10.99.0.1/32")
    throw(t, [rng.randbytes(rng.randrange(0, 300)) for _ in range(1000)])
    throw(t, [bytes([k, 0, 0, 0]) + rng.randbytes(rng.choice((28, 60, 88, 144, 200, 1400)))
              for k in (1, 2, 3, 4) for _ in range(200)])
    assert t.echo(p)


def test_every_length(bench, rng):
    """Every type with every length around the right one, and none at all."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    throw(t, [bytes([kind, 0, 0, 0]) + rng.randbytes(n)
              for kind in range(0, 7) for n in list(range(0, 160, 3)) + [n - 4 for n in
              (31, 32, 33, 63, 64, 65, 91, 92, 93, 147, 148, 149)]])
    throw(t, [bytes([1])[:n] for n in (0, 1)])
    throw(t, [b"\4\0\0", b"\1\0", b""])
    assert t.echo(p)


def test_truncated_and_flipped(bench, rng):
    """Real messages, cut at every place and with single bits turned over."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    h = p.handshake()
    data = p.session.data(traffic.echo_request("10.99.0.1", "10.99.0.2"))
    for message in (h.initiation(), data):
        throw(t, [message[:n] for n in range(len(message))])
        flipped = []
        for bit in rng.sample(range(len(message) * 8), 200):
            if len(message) == 148 and bit >= (148 - 16) * 8:
                continue  # mac2 is looked at under load only
            m = bytearray(message)
            m[bit // 8] ^= 1 << bit % 8
            flipped.append(bytes(m))
        throw(t, flipped)
    # with a mac1 that fits the damage: the handshake itself must refuse it
    damaged = []
    for bit in rng.sample(range(8 * 8, 116 * 8), 60):
        m = bytearray(h.initiation()[:116])
        m[bit // 8] ^= 1 << bit % 8
        damaged.append(noise.with_macs(bytes(m), t.w.key.public))
    throw(t, damaged, counted=False, pause=0.06)  # below the limit of 20 a second and source
    assert t.echo(p)
    assert p.receive(noise.RESPONSE, 0.1) is None
    p.send(data)
    assert t.echo(p)


def test_low_order_points(bench):
    """Ephemerals of low order give a shared secret of zeros: refused."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    points = [bytes(32), b"\1" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f",
              bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
              bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157")]
    for point in points:
        message = b"\1\0\0\0" + os.urandom(4) + point + os.urandom(76)
        throw(t, [noise.with_macs(message, t.w.key.public)])
    t.w.wait_counter("rx_handshake", len(points))
    assert t.echo(p)


@pytest.mark.parametrize("size", [65507, 65500, 32768, 9000, 2048])
def test_oversized(bench, rng, size):
    """Datagrams as big as UDP allows, alone and in numbers, junk and well sealed."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    throw(t, [b"\4\0\0\0" + struct.pack("<I", p.session.remote_index) + rng.randbytes(size - 8)
              for _ in range(20)])
    throw(t, [bytes([k, 0, 0, 0]) + rng.randbytes(size - 4) for k in (1, 2, 3, 5)])
    inner_len = size - 32 - 16
    for length in (inner_len, 1400, 20):
        inner = traffic.ipv4("10.99.0.1", "10.99.0.2", 17, bytes(inner_len - 20))
        inner = inner[:2] + struct.pack("!H", length) + inner[4:10] + b"\0\0" + inner[12:]
        p.send(p.session.data(inner))
    assert t.echo(p)


def test_trains(bench, rng):
    """Junk as one super-packet, cut by the kernel and put together again by GRO."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    sock = t.x.socket()
    sock.connect(("192.0.2.2", 51820))
    for segment in (1, 31, 32, 64, 92, 148, 1000, 1472):
        sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, segment)
        for last in (0, 1, segment // 2):
            n = min(60, 60000 // segment) * segment + last
            for kind in (1, 2, 3, 4):
                sock.send((bytes([kind, 0, 0, 0]) + rng.randbytes(segment))[:segment] * (n // segment) +
                          rng.randbytes(n % segment))
    assert t.w.alive()
    t.until_echo(p)


def test_train_mixed_with_good(bench):
    """Good data packets between bad ones of the same size in one train: the good ones arrive."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    good = [p.session.data(traffic.echo_request("10.99.0.1", "10.99.0.2", 7, n, bytes(68)))
            for n in range(20)]
    bad = [bytes(x[:20]) + os.urandom(len(x) - 20) for x in good]
    p.sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(good[0]))
    p.send(b"".join(x for pair in zip(bad, good) for x in pair))
    p.sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
    got = set()
    while len(got) < 20 and (inner := p.inner()) is not None:
        if inner[20] == 0:
            got.add(struct.unpack("!H", inner[26:28])[0])
    assert got == set(range(20))


def test_replayed_handshake(bench):
    """A captured initiation works once; so does a response."""
    t = bench()
    p = t.peer("10.99.0.1/32", connect=False)
    h = p.handshake()
    initiation = h.initiation()
    p.send(initiation)
    p.session = h.read_response(p.receive(noise.RESPONSE))
    p.send(p.session.data())
    assert t.echo(p)
    for _ in range(3):
        p.send(initiation)
    assert p.receive(noise.RESPONSE, 0.5) is None
    # older, though never seen
    p.send(p.handshake().initiation(timestamp=noise.tai64n(-60)))
    assert p.receive(noise.RESPONSE, 0.5) is None
    t.w.wait_counter("rx_timestamp", 4)
    assert t.echo(p), "the session was hurt"


def test_replayed_response(bench):
    t = bench()
    p = t.known_peer("10.99.0.1/32", "10.50.0.0/16")
    t.send("10.50.1.1")
    h = p.handshake()
    h.read_initiation(p.receive(noise.INITIATION))
    reply, p.session = h.response()
    p.send(reply)
    assert p.inner() is not None
    for _ in range(3):
        p.send(reply)
    assert t.echo(p)
    if t.w.counts:
        wait.until(lambda: sum(t.w.drops().values()) == 3, "three drops")


def test_late_response(bench):
    """A response that took two seconds is as good as any."""
    t = bench()
    p = t.known_peer("10.50.0.0/16")
    t.send("10.50.1.1")
    h = p.handshake()
    h.read_initiation(p.receive(noise.INITIATION))
    time.sleep(2)
    reply, p.session = h.response()
    p.send(reply)
    assert p.inner() is not None


def test_replayed_data(bench):
    """Each counter once, in any order within 8192, and never again."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    inside = traffic.Capture(t.b, "wg0")

    def message(counter):
        return p.session.data(traffic.echo_request("10.99.0.1", "10.99.0.2", 9, counter & 0xffff),
                              counter=counter)

    def accepted(counter):
        return [x for x in inside.select(outgoing=False, proto=1)
                if x.payload[6:8] == struct.pack("!H", counter & 0xffff)]
    # the newest first; then what lies just inside and just outside of the window behind it
    top = 20000
    p.send(message(top))
    wait.until(lambda: accepted(top), "the newest")
    # the kernel's window of 8192 holds one word less than its bits: 8192 - 64 behind the newest
    # are taken by everybody; more than 8192 behind by nobody
    for counter in (top - 1, top - 100, top - 4000, top - 7900, top - 8100):
        p.send(message(counter))
        wait.until(lambda: accepted(counter), f"{counter} in the window")
    for counter in (top - 8193, top - 9000, 5):
        p.send(message(counter))
    for counter in (top, top - 1, top - 100, top - 8100):
        p.send(message(counter))
    if t.w.counts:
        wait.until(lambda: t.w.counter("rx_replay") == 7, "seven are refused")
    # a far jump forwards empties the window
    p.send(message(top + 100000))
    wait.until(lambda: accepted(top + 100000), "a jump")
    p.send(message(top + 1))
    p.send(message(top + 99999))
    wait.until(lambda: accepted(top + 99999), "behind the jump")
    assert len(accepted(top)) == 1 and not accepted(top - 9000) and not accepted(top + 1)


def test_unauthentic_counter_moves_no_window(bench):
    """A forged packet with a huge counter must not move the window."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    forged = struct.pack("<IIQ", 4, p.session.remote_index, 1 << 40) + os.urandom(64)
    for _ in range(10):
        p.send(forged)
    assert t.echo(p)
    t.w.wait_counter("rx_auth", 10)


def test_counter_limit(bench):
    """Counters from 2^64 - 2^13 - 1 on are refused, though well sealed."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    inside = traffic.Capture(t.b, "wg0")
    request = traffic.echo_request("10.99.0.1", "10.99.0.2")
    for counter in ((1 << 64) - 1, (1 << 64) - (1 << 13) - 1, (1 << 64) - (1 << 13)):
        p.send(p.session.data(request, counter=counter))
    wait.stays(lambda: not inside.select(outgoing=False), "nothing is taken", 0.5)
    assert t.echo(p)
    p.send(p.session.data(request, counter=(1 << 64) - (1 << 13) - 2))
    inside.wait(2, outgoing=False, proto=1)


def test_flood_interval(bench):
    """Initiations of one peer that follow each other within 20 ms: only the first is answered."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    gap, each = 0.02, 5
    for _ in range(20):
        # five in one train, so that they are read together
        train = b"".join(p.handshake().initiation() for _ in range(each))
        time.sleep(0.05)
        refused = t.w.counter("rx_flood") if t.w.counts else 0
        p.sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 148)
        begin = time.monotonic()
        p.send(train, at_once=True)
        p.sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 0)
        answers = []

        def all_seen():
            while (message := p.receive(noise.RESPONSE, 0.2)) is not None:
                answers.append(message)
            if t.w.counts:
                return t.w.counter("rx_flood") - refused + len(answers) == each
            return answers
        wait.until(all_seen, "each is answered or dropped")
        took, answered = time.monotonic() - begin, len(answers)
        if answered == 1:
            break
        # a daemon that is held up between two of them may answer both
        assert answered <= 1 + took / gap
    else:
        pytest.fail("never only the first")
    t.w.wait_counter("rx_flood", refused + each - 1)
    assert t.echo(p)


def hostile_inner(rng):
    """Inner packets that a host should never have to see."""
    v4 = traffic.echo_request("10.99.0.1", "10.99.0.2", payload=bytes(40))
    v6 = traffic.echo_request("fd99::1", "fd99::2", payload=bytes(40))
    for n in range(0, 45):
        yield v4[:n]
        yield v6[:n]
    for version in range(16):
        yield bytes([version << 4 | 5]) + v4[1:]
        yield bytes([version << 4]) + v6[1:]
    for length in (0, 1, 19, 20, 21, len(v4) + 1, 1500, 65535):
        yield v4[:2] + struct.pack("!H", length) + v4[4:]
    for length in (0, 1, len(v6), 65535):
        yield v6[:4] + struct.pack("!H", length) + v6[6:]
    for ihl in range(16):
        yield bytes([0x40 | ihl]) + v4[1:]
    for frag in (0x2000, 0x1fff, 0x3fff, 0x8000, 0x4001):
        yield v4[:6] + struct.pack("!H", frag) + v4[8:]
    tcp = bytearray(traffic.ipv4("10.99.0.1", "10.99.0.2", 6, struct.pack(
        "!HHIIBBHHH", 1, 2, 3, 4, 0x50, 0x10, 99, 0, 0) + bytes(100)))
    for offset in (0, 0x10, 0x40, 0xf0):  # data offsets that lie
        tcp[32] = offset
        yield bytes(tcp)
    udp = traffic.udp_packet("10.99.0.1", 1, "10.99.0.2", 2, bytes(100))
    for length in (0, 1, 7, 8, 200, 65535):
        yield udp[:24] + struct.pack("!H", length) + udp[26:]
    for head in (0, 43, 44, 50, 51, 59, 60, 135):  # extension headers that lead nowhere
        yield v6[:6] + bytes([head]) + v6[7:40] + bytes([head, 255]) + rng.randbytes(30)
    for _ in range(300):
        yield rng.randbytes(rng.randrange(0, 200))
        m = bytearray(rng.choice((v4, v6, udp, bytes(tcp))))
        for _ in range(rng.randrange(1, 6)):
            m[rng.randrange(len(m))] = rng.randrange(256)
        yield bytes(m)


@pytest.mark.parametrize("args", [(), ("--no-tun-offload",)], ids=["offload", "plain"])
def test_hostile_inner(bench, rng, args):
    """A peer seals whatever it likes, from its own addresses too: nothing breaks."""
    if args and DUT != "weftd":
        pytest.skip("weftd's own switch")
    t = bench(args=args)
    p = t.peer("0.0.0.0/0", "::/0")
    good = t.peer("10.99.0.1/32")
    packets = list(hostile_inner(rng))
    for n, inner in enumerate(packets):
        p.send(p.session.data(inner, pad=n % 2 == 0))
        if n % 32 == 0:
            time.sleep(0.002)
    # and in trains, as fast as it goes, so that neighbours could be put together
    for inner in packets[:400]:
        p.send(p.session.data(inner))
    assert t.w.alive()
    t.until_echo(good)
    t.until_echo(p, "10.50.0.1")
    if t.w.counts:
        assert t.w.counter("rx_inner") > 0


@weft_only
def test_coalescing_keeps_flows_apart(bench):
    """What may be put together for the TUN is not mixed: each segment arrives with its content."""
    t = bench()
    p = t.peer("10.50.0.0/16")
    inside = traffic.Capture(t.b, "wg0")
    packets, want = [], {}
    for seq in range(8):
        for flow in range(4):
            body = bytes([flow]) * 200 + bytes([seq])
            packets.append(p.session.data(traffic.udp_packet(
                f"10.50.0.{flow + 1}", 1000, "10.99.0.2", 9, body)))
            want.setdefault(flow, b"")
            want[flow] += body
    p.sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, len(packets[0]))
    p.send(b"".join(packets))

    def together():
        got = {}
        for x in inside.select(outgoing=False, proto=17):
            flow = int(x.src.rsplit(".", 1)[1]) - 1
            got[flow] = got.get(flow, b"") + x.payload
        return got == want
    wait.until(together, "all flows arrive in order and whole")


def test_bad_checksums_stay_bad(bench):
    """A wrong inner checksum is not repaired on the way through: the receiver must see it."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    echo = traffic.UdpEcho(t.b, "10.99.0.2")
    good = traffic.udp_packet("10.99.0.1", 5000, "10.99.0.2", echo.port, b"good")
    bad = traffic.udp_packet("10.99.0.1", 5000, "10.99.0.2", echo.port, b"evil")
    bad = bad[:26] + bytes([bad[26] ^ 0x55]) + bad[27:]
    for packet in (bad, good):
        p.send(p.session.data(packet))
    wait.until(lambda: echo.got, "the good one arrives")
    assert [d for d, _ in echo.got if d == b"good"]


def test_confirmation_needed(bench):
    """The responder uses a new session only after the initiator has proven that it has it."""
    t = bench()
    p = t.peer("10.50.0.0/16", connect=False)
    p.connect(confirm=False)
    t.send("10.50.1.1", b"secret")
    message = p.receive(noise.DATA, 1)
    assert message is None, "data was sent under an unconfirmed session"
    p.send(p.session.data())
    assert b"secret" in p.inner()


def test_wrong_peer_index(bench):
    """One peer's session index with another's key: refused, and no cross-talk."""
    t = bench()
    one, two = t.peer("10.50.1.0/24"), t.peer("10.50.2.0/24")
    mixed = noise.Session(one.session.send_key, one.session.receive_key,
                          one.session.local_index, two.session.remote_index)
    mixed.counter = 1000
    before = t.w.peer_state(two.key)["rx_bytes"]
    two.send(mixed.data(traffic.echo_request("10.50.2.1", "10.99.0.2")))
    assert two.receive(noise.DATA, 0.5) is None
    assert t.w.peer_state(two.key)["rx_bytes"] == before
    assert t.echo(one, "10.50.1.1") and t.echo(two, "10.50.2.1")


@weft_only
def test_no_growth(bench, rng):
    """Tens of thousands of bad packets leave the daemon as big as it was."""
    t = bench()
    p = t.peer("10.99.0.1/32")

    def rss():
        with open(f"/proc/{t.w.proc.pid}/statm") as f:
            return int(f.read().split()[1]) * 4096
    sock = t.x.socket()
    sock.connect(("192.0.2.2", 51820))
    sock.setsockopt(socket.IPPROTO_UDP, UDP_SEGMENT, 148)
    key = t.w.key.public

    def burst(n):
        for _ in range(n):
            sock.send(b"".join(noise.with_macs(b"\1\0\0\0" + rng.randbytes(112), key)
                               for _ in range(20)) + (b"\4\0\0\0" + rng.randbytes(144)) * 20)
    burst(200)
    before = rss()
    burst(1500)
    assert rss() - before < 16 << 20, (before, rss())
    t.until_echo(p)
