# SPDX-License-Identifier: Apache-2.0
# Traffic between hosts, and looking at it: ping, TCP with a content check, UDP echo, raw packets,
# capture. Sockets belong to the hosts' networks but are served by threads of the test process.
import hashlib
import ipaddress
import os
import socket
import struct
import threading
import time

from . import wait

SO_RCVBUFFORCE = 33  # beyond net.core.rmem_max


# ---- ping ----

class Ping:
    """Echo requests that were sent, and how long each answer took."""

    def __init__(self, address, size):
        self.address, self.size = address, size
        self.sent, self.errors = 0, []
        self.ms = {}  # sequence number: milliseconds

    @property
    def received(self):
        return len(self.ms)

    @property
    def loss(self):
        return self.sent - self.received

    @property
    def min_ms(self):
        return min(self.ms.values(), default=None)

    @property
    def avg_ms(self):
        return sum(self.ms.values()) / len(self.ms) if self.ms else None

    @property
    def max_ms(self):
        return max(self.ms.values(), default=None)

    @property
    def text(self):
        """What there is to say of them, for a failed test."""
        lost = sorted(set(range(1, self.sent + 1)) - set(self.ms))
        text = f"{self.address}: {self.sent} echo requests of {self.size} bytes sent, " \
               f"{self.received} answered"
        if self.ms:
            text += f" in {self.min_ms:.1f} to {self.max_ms:.1f} ms"
        if lost:
            text += f"; without an answer: {lost[:20]}"
        return "; ".join([text, *dict.fromkeys(self.errors)])


def _ping_socket(host, v6, df, source, tos, mark):
    # a ping socket (icmp(7)): the kernel keeps apart whose answers are whose, by the identifier
    sock = host.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM,
                       socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
    level = socket.IPPROTO_IPV6 if v6 else socket.IPPROTO_IP
    sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
    if df:
        sock.setsockopt(level, 23 if v6 else 10, 2)  # IPV6_MTU_DISCOVER, IP_MTU_DISCOVER: _DO
    if tos is not None:
        sock.setsockopt(level, socket.IPV6_TCLASS if v6 else socket.IP_TOS, tos)
    if mark is not None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
    if source:
        sock.bind((source, 0))
    return sock


def ping(host, address, count=3, size=56, interval=0.02, deadline=15, df=False, source=None,
         tos=None, mark=None, enough=None):
    """Sends echo requests and waits up to `deadline` seconds for the answer to each, however long
    the others took; returns as soon as all are there, or `enough` of them. ping(8) waits for the
    last ones no longer than the first ones took, which on a busy machine counts answers as lost.
    An answer counts if it comes from that address with the request's content."""
    v6 = ":" in address
    got = Ping(address, size)
    content, sent_at = {}, {}
    sock = _ping_socket(host, v6, df, source, tos, mark)

    def take(until):
        """Reads answers up to a moment, or until none is awaited."""
        while True:
            sock.settimeout(max(until - time.monotonic(), 0.0001))
            try:
                data, sender = sock.recvfrom(65535)
            except TimeoutError:
                return
            except OSError as e:  # an ICMP error
                got.errors.append(str(e))
                continue
            now = time.monotonic()
            seq = struct.unpack("!H", data[6:8])[0] if len(data) >= 8 else 0
            if data[:1] == (b"\x81" if v6 else b"\0") and content.get(seq) == data[8:] and \
                    ipaddress.ip_address(sender[0]) == ipaddress.ip_address(address):
                got.ms[seq] = (now - sent_at[seq]) * 1000
                del content[seq]
            if done() or got.sent == count and not content:
                return

    def done():
        return enough is not None and got.received >= enough
    try:
        while got.sent < count and not done():
            begin = time.monotonic()
            seq = got.sent = got.sent + 1
            content[seq], sent_at[seq] = os.urandom(size), begin
            try:
                # the kernel fills in the identifier and the checksum
                sock.sendto(struct.pack("!BBHHH", 128 if v6 else 8, 0, 0, 0, seq) + content[seq],
                            (address, 0))
            except OSError as e:
                got.errors.append(str(e))
                del content[seq]
            if got.sent < count:
                take(begin + interval)
        while content and not done():
            # the one whose time is up next
            seq = min(content, key=sent_at.get)
            take(sent_at[seq] + deadline)
            if time.monotonic() >= sent_at[seq] + deadline:
                content.pop(seq, None)
    finally:
        sock.close()
    return got


def reaches(host, address, **kwargs):
    """True if one of two echo requests is answered."""
    kwargs.setdefault("deadline", 1)
    return ping(host, address, count=2, enough=1, **kwargs).received > 0


def until_reaches(host, address, timeout=60, **kwargs):
    wait.until(lambda: reaches(host, address, **kwargs), f"{host} reaches {address}", timeout)


# ---- TCP ----

class Tcp:
    """A TCP transfer whose content is checked. Starts at once; `done()` waits and compares."""

    def __init__(self, source, target, address, nbytes, bind=None, port=0, mss=None):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.nbytes, self.received = nbytes, 0
        self.started = time.monotonic()
        self.ended = None
        self._errors, self._sums = [], {}
        self._stop = False
        listener = target.socket(family, socket.SOCK_STREAM, bind=(address, port), timeout=60)
        listener.listen(1)
        out = source.socket(family, socket.SOCK_STREAM, bind=(bind, 0) if bind else None,
                            timeout=60)
        if mss:
            out.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, mss)
        out.connect(listener.getsockname()[:2])
        into, _ = listener.accept()
        listener.close()
        into.settimeout(60)
        source.network.defer(into.close)
        self._threads = [threading.Thread(target=self._guard, args=(f, s), daemon=True)
                         for f, s in ((self._send, out), (self._receive, into))]
        for t in self._threads:
            t.start()

    def _guard(self, what, sock):
        try:
            what(sock)
        except Exception as e:
            self._errors.append(e)
        finally:
            sock.close()

    def _send(self, sock):
        block = os.urandom(1 << 20)
        digest, left = hashlib.blake2b(), self.nbytes
        while left > 0 and not self._stop:
            # a different cut each time, so that a repeated or lost block changes the sum
            part = memoryview(block)[left % 4096:][:left]
            sock.sendall(part)
            digest.update(part)
            left -= len(part)
        self._sums["sent"] = digest.digest()
        sock.shutdown(socket.SHUT_WR)

    def _receive(self, sock):
        digest, buf = hashlib.blake2b(), bytearray(1 << 18)
        while n := sock.recv_into(buf):
            digest.update(memoryview(buf)[:n])
            self.received += n
        self._sums["received"] = digest.digest()
        self.ended = time.monotonic()

    def stop(self):
        """Sends no more; then done()."""
        self._stop = True

    def rate(self, seconds):
        """Bytes a second over the next seconds."""
        begin, t = self.received, time.monotonic()
        time.sleep(seconds)
        return (self.received - begin) / (time.monotonic() - t)

    def done(self, timeout=150):
        """Waits for the end; what arrived must be what was sent. Returns seconds."""
        end = time.monotonic() + timeout
        for t in self._threads:
            t.join(max(0, end - time.monotonic()))
        assert not any(t.is_alive() for t in self._threads), \
            f"TCP transfer not done in {timeout} s: {self.received} of {self.nbytes} bytes"
        assert not self._errors, f"TCP transfer failed: {self._errors}"
        assert self._sums["sent"] == self._sums["received"], "TCP content differs"
        if not self._stop:
            assert self.received == self.nbytes
        return self.ended - self.started


def tcp(source, target, address, nbytes, timeout=150, **kwargs):
    """A whole transfer; returns bytes a second."""
    return nbytes / Tcp(source, target, address, nbytes, **kwargs).done(timeout)


# ---- UDP ----

class UdpEcho:
    """Sends every datagram back to where it came from, and keeps what it got."""

    def __init__(self, host, address, port=0):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.sock = host.socket(family, bind=(address, port), timeout=0.2)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        self.port = self.sock.getsockname()[1]
        self.got = []
        self._run = True
        thread = threading.Thread(target=self._serve, daemon=True)
        thread.start()
        host.network.defer(self.stop)

    def stop(self):
        self._run = False

    def _serve(self):
        while self._run:
            try:
                data, sender = self.sock.recvfrom(65535)
                self.got.append((data, sender))
                self.sock.sendto(data, sender)
            except TimeoutError:
                continue
            except OSError:
                return


# ---- raw packets ----

def checksum(data):
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ipv4(src, dst, proto, payload, tos=0, ttl=64, ident=0, frag=0):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, tos, 20 + len(payload), ident, frag, ttl, proto, 0,
                       socket.inet_aton(src), socket.inet_aton(dst))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(src, dst, proto, payload, tos=0, hops=64):
    return struct.pack("!IHBB", 6 << 28 | tos << 20, len(payload), proto, hops) + \
        socket.inet_pton(socket.AF_INET6, src) + socket.inet_pton(socket.AF_INET6, dst) + payload


def udp(src, sport, dst, dport, payload):
    """A UDP header with a good checksum, and its payload."""
    a, b = ipaddress.ip_address(src).packed, ipaddress.ip_address(dst).packed
    length = 8 + len(payload)
    head = struct.pack("!HHHH", sport, dport, length, 0)
    pseudo = a + b + struct.pack("!II", length, 17)
    return head[:6] + struct.pack("!H", checksum(pseudo + head + payload) or 0xffff) + payload


def udp_packet(src, sport, dst, dport, payload, tos=0):
    """A whole IPv4 or IPv6 packet."""
    make = ipv6 if ":" in src else ipv4
    return make(src, dst, 17, udp(src, sport, dst, dport, payload), tos=tos)


def echo_request(src, dst, ident=1, seq=1, payload=b"weft", tos=0):
    """A whole ICMP or ICMPv6 echo request."""
    body = struct.pack("!HH", ident, seq) + payload
    if ":" in src:
        head = b"\x80\0\0\0" + body
        pseudo = ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed + \
            struct.pack("!II", len(head), 58)
        return ipv6(src, dst, 58, b"\x80\0" + struct.pack("!H", checksum(pseudo + head)) + body,
                    tos=tos)
    return ipv4(src, dst, 1, b"\x08\0" + struct.pack("!H", checksum(b"\x08\0\0\0" + body)) + body,
                tos=tos)


def send_raw(host, packets):
    """Sends whole IPv4 packets with any source address from a host, as its routing says."""
    sock = host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    try:
        for p in packets:
            sock.sendto(p, (socket.inet_ntoa(p[16:20]), 0))
    finally:
        sock.close()


# ---- capture ----

class Packet:
    """One captured packet; fields that do not apply are None."""

    def __init__(self, time_s, data, outgoing):
        self.time, self.data, self.outgoing = time_s, data, outgoing
        self.src = self.dst = self.proto = self.tos = self.sport = self.dport = None
        self.payload = b""
        self.fragment = False
        version = data[0] >> 4 if data else 0
        if version == 4 and len(data) >= 20:
            self.tos, self.proto = data[1], data[9]
            self.src, self.dst = socket.inet_ntoa(data[12:16]), socket.inet_ntoa(data[16:20])
            frag = struct.unpack("!H", data[6:8])[0]
            self.df, self.fragment = bool(frag & 0x4000), bool(frag & 0x3fff)
            body = data[(data[0] & 15) * 4:struct.unpack("!H", data[2:4])[0] or None]
            if frag & 0x1fff:
                return
        elif version == 6 and len(data) >= 40:
            self.tos = (data[0] & 15) << 4 | data[1] >> 4
            self.proto = data[6]
            self.src = socket.inet_ntop(socket.AF_INET6, data[8:24])
            self.dst = socket.inet_ntop(socket.AF_INET6, data[24:40])
            self.fragment = self.proto == 44
            body = data[40:]
        else:
            return
        if self.proto == 17 and len(body) >= 8:
            self.sport, self.dport = struct.unpack("!HH", body[:4])
            self.payload = body[8:]
        elif self.proto in (1, 58):
            self.payload = body

    @property
    def wg_type(self):
        """1 to 4 if this looks like a WireGuard message, else 0."""
        p = self.payload
        if self.proto != 17 or len(p) < 32 or p[1:4] != b"\0\0\0" or not 1 <= p[0] <= 4:
            return 0
        return p[0] if {1: 148, 2: 92, 3: 64}.get(p[0], len(p)) == len(p) else 0

    def __repr__(self):
        return (f"<{'out' if self.outgoing else 'in'} {self.src}:{self.sport} -> "
                f"{self.dst}:{self.dport} proto {self.proto} wg {self.wg_type} "
                f"len {len(self.payload)}>")


class Capture:
    """Packets of an interface, both ways, from the moment of construction on.

    On a sender with offloads one "packet" may be a train that hardware would cut; handshakes and
    single packets are always whole.
    """

    def __init__(self, host, ifname):
        with host.inside():
            # SOCK_DGRAM: without the link layer's header, also on tun
            self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0)
            self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
            self.sock.bind((ifname, 3))
        self.sock.settimeout(0.1)
        self.packets = []
        self._run, self._until = True, 0
        self._thread = threading.Thread(target=self._collect, daemon=True)
        self._thread.start()
        host.network.defer(self.stop)

    def _collect(self):
        while self._run or time.monotonic() < self._until:
            try:
                data, where = self.sock.recvfrom(65535)
            except TimeoutError:
                if not self._run:
                    return  # nothing is left in the socket
                continue
            except OSError:
                return
            self.packets.append(Packet(time.time(), data, where[2] == socket.PACKET_OUTGOING))

    def stop(self):
        if self._run:
            self._until = time.monotonic() + 10  # at most, if traffic goes on
            self._run = False
            self._thread.join(15)
            self.sock.close()
        return self.packets

    def select(self, **fields):
        """Packets whose attributes have these values."""
        return [p for p in list(self.packets)
                if all(getattr(p, k) == v for k, v in fields.items())]

    def wait(self, n=1, timeout=60, **fields):
        return wait.until(lambda: len(self.select(**fields)) >= n and self.select(**fields),
                          f"{n} packets with {fields} captured", timeout)

    def write_pcap(self, path):
        """pcap with link type 101 (raw IP)."""
        with open(path, "wb") as f:
            f.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 101))
            for p in list(self.packets):
                f.write(struct.pack("<IIII", int(p.time), int(p.time % 1 * 1e6), len(p.data),
                                    len(p.data)) + p.data)
