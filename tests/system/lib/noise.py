# SPDX-License-Identifier: Apache-2.0
# A small WireGuard of its own, written from the paper (sections 5.4.1 to 5.4.7) and shared with
# nothing: it plays peers that are wrong, hostile or very exact. No timers, no threads: messages are
# made and read when a test says so.
import hashlib
import hmac as _hmac
import os
import socket
import struct
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from . import traffic, wg

INITIATION, RESPONSE, COOKIE, DATA = 1, 2, 3, 4
# A responder takes two initiations of one peer that come within 20 ms for a flood, and drops the
# second. It reads its clock when it gets to run, not when they arrive: so the gap is counted from
# our last initiation and from the last answer to one, by which the responder was done with it.
INITIATION_GAP_S = 0.03
_not_before = {}  # (our public key, the responder's): when the next initiation may go
_CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
_IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"


def _hash(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def _hmac_hash(key, data):
    return _hmac.new(key, data, hashlib.blake2s).digest()


def kdf(n, key, data):
    secret, out, last = _hmac_hash(key, data), [], b""
    for i in range(1, n + 1):
        last = _hmac_hash(secret, last + bytes([i]))
        out.append(last)
    return out


def dh(private, public):
    return X25519PrivateKey.from_private_bytes(private).exchange(
        X25519PublicKey.from_public_bytes(public))


def _nonce(counter):
    return b"\0\0\0\0" + struct.pack("<Q", counter)


def seal(key, counter, plain, ad=b""):
    return ChaCha20Poly1305(key).encrypt(_nonce(counter), plain, ad)


def unseal(key, counter, sealed, ad=b""):
    return ChaCha20Poly1305(key).decrypt(_nonce(counter), sealed, ad)


def _hchacha20(key, nonce):
    def quarter(s, a, b, c, d):
        for x, y, z, r in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xffffffff
            v = s[z] ^ s[x]
            s[z] = (v << r | v >> (32 - r)) & 0xffffffff
    s = list(struct.unpack("<4I8I4I", b"expand 32-byte k" + key + nonce))
    for _ in range(10):
        for i in range(4):
            quarter(s, i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(s, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return struct.pack("<8I", *s[:4], *s[12:])


def xunseal(key, nonce24, sealed, ad):
    sub = _hchacha20(key, nonce24[:16])
    return ChaCha20Poly1305(sub).decrypt(b"\0\0\0\0" + nonce24[16:], sealed, ad)


def xseal(key, nonce24, plain, ad):
    sub = _hchacha20(key, nonce24[:16])
    return ChaCha20Poly1305(sub).encrypt(b"\0\0\0\0" + nonce24[16:], plain, ad)


def tai64n(offset_s=0.0):
    now = time.time() + offset_s
    return struct.pack(">QI", 0x400000000000000a + int(now), int(now % 1 * 1e9))


def mac1_key(public):
    return _hash(b"mac1----", public)


def with_macs(message, remote_public, cookie=None):
    """Appends mac1, and mac2 under a cookie if there is one."""
    message += mac(mac1_key(remote_public), message)
    return message + (mac(cookie, message) if cookie else bytes(16))


class Session:
    """Transport keys. `send_key` seals what we send; indices are as they stand in packets."""

    def __init__(self, send_key, receive_key, local_index, remote_index):
        self.send_key, self.receive_key = send_key, receive_key
        self.local_index, self.remote_index = local_index, remote_index
        self.counter = 0

    def data(self, inner=b"", counter=None, pad=True):
        """A transport message with an inner packet. Without `counter`: the next one."""
        if counter is None:
            counter, self.counter = self.counter, self.counter + 1
        if pad:
            inner += bytes(-len(inner) % 16)
        return struct.pack("<IIQ", DATA, self.remote_index, counter) + \
            seal(self.send_key, counter, inner)

    def open(self, message):
        """(counter, inner packet with its padding); raises InvalidTag."""
        kind, index, counter = struct.unpack("<IIQ", message[:16])
        assert kind == DATA and index == self.local_index
        return counter, unseal(self.receive_key, counter, message[16:])


class Handshake:
    """One handshake, as the initiator or as the responder. `key` and `remote` hold keys."""

    def __init__(self, key, remote_public, psk=bytes(32)):
        self.key, self.remote, self.psk = key, remote_public, psk
        self.index = int.from_bytes(os.urandom(4), "little")
        self.ephemeral = wg.Key()
        self.last_mac1 = None
        self.cookie = None

    def _begin(self, responder_public):
        self.c = _hash(_CONSTRUCTION)
        self.h = _hash(_hash(self.c, _IDENTIFIER), responder_public)

    def _mix(self, data):
        self.c, k = kdf(2, self.c, data)
        return k

    def _note(self, data):
        self.h = _hash(self.h, data)
        return data

    def initiation(self, timestamp=None, ephemeral=None):
        self.ephemeral = ephemeral or wg.Key()
        self._begin(self.remote)
        e = self._note(self.ephemeral.public)
        self.c, = kdf(1, self.c, e)
        k = self._mix(dh(self.ephemeral.private, self.remote))
        static = self._note(seal(k, 0, self.key.public, self.h))
        k = self._mix(dh(self.key.private, self.remote))
        stamp = self._note(seal(k, 0, timestamp or tai64n(), self.h))
        return self._macs(struct.pack("<II", INITIATION, self.index) + e + static + stamp)

    def _macs(self, message):
        message = with_macs(message, self.remote, self.cookie)
        self.last_mac1 = message[-32:-16]
        return message

    def read_response(self, message):
        """Reads the answer to our initiation: a Session, or InvalidTag."""
        assert len(message) == 92, len(message)
        kind, sender, receiver = struct.unpack("<III", message[:12])
        assert kind == RESPONSE and receiver == self.index
        assert message[-32:-16] == mac(mac1_key(self.key.public), message[:-32]), "mac1"
        e = self._note(message[12:44])
        self.c, = kdf(1, self.c, e)
        self.c, = kdf(1, self.c, dh(self.ephemeral.private, e))
        self.c, = kdf(1, self.c, dh(self.key.private, e))
        self.c, tau, k = kdf(3, self.c, self.psk)
        self._note(tau)
        assert unseal(k, 0, message[44:60], self.h) == b""
        send, receive = kdf(2, self.c, b"")
        return Session(send, receive, self.index, sender)

    def read_initiation(self, message):
        """Reads an initiation to us; returns its timestamp. The sender must be `remote`."""
        assert len(message) == 148 and message[:4] == b"\1\0\0\0"
        assert message[-32:-16] == mac(mac1_key(self.key.public), message[:-32]), "mac1"
        self.remote_index, = struct.unpack("<I", message[4:8])
        self._begin(self.key.public)
        self.remote_ephemeral = self._note(message[8:40])
        self.c, = kdf(1, self.c, self.remote_ephemeral)
        k = self._mix(dh(self.key.private, self.remote_ephemeral))
        static = unseal(k, 0, message[40:88], self.h)
        self._note(message[40:88])
        assert static == self.remote, "another peer"
        k = self._mix(dh(self.key.private, static))
        stamp = unseal(k, 0, message[88:116], self.h)
        self._note(message[88:116])
        return stamp

    def response(self):
        """The answer to what read_initiation read, and the session."""
        e = self._note(self.ephemeral.public)
        self.c, = kdf(1, self.c, e)
        self.c, = kdf(1, self.c, dh(self.ephemeral.private, self.remote_ephemeral))
        self.c, = kdf(1, self.c, dh(self.ephemeral.private, self.remote))
        self.c, tau, k = kdf(3, self.c, self.psk)
        self._note(tau)
        empty = self._note(seal(k, 0, b"", self.h))
        receive, send = kdf(2, self.c, b"")
        message = self._macs(struct.pack("<III", RESPONSE, self.index, self.remote_index) + e +
                             empty)
        return message, Session(send, receive, self.index, self.remote_index)

    def read_cookie(self, message):
        """Takes a cookie reply to our last message; later messages carry mac2."""
        assert len(message) == 64 and message[:4] == b"\3\0\0\0"
        receiver, = struct.unpack("<I", message[4:8])
        assert receiver == self.index
        key = _hash(b"cookie--", self.remote)
        self.cookie = xunseal(key, message[8:32], message[32:], self.last_mac1)
        return self.cookie


class Peer:
    """A peer by hand: a socket on a host, and sessions with one WireGuard interface."""

    def __init__(self, host, target, key=None, remote_public=None, psk=bytes(32), bind=None):
        """`target` is (address, port); `remote_public` the public key behind it."""
        family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self.host, self.target, self.psk = host, target, psk
        self.key, self.remote = key or wg.Key(), remote_public
        self.sock = host.socket(family, bind=bind)
        self.sock.setsockopt(socket.SOL_SOCKET, traffic.SO_RCVBUFFORCE, 8 << 20)
        self._session, self._sessions, self._pending = None, {}, []

    @property
    def session(self):
        """The newest session. Older ones are kept: the other side may use them for a while."""
        return self._session

    @session.setter
    def session(self, session):
        self._session = session
        self._sessions[session.local_index] = session

    def send(self, message, at_once=False):
        """An initiation waits for its time after the one before, unless it goes `at_once`."""
        if message[:1] == b"\1" and len(message) == 148:
            left = _not_before.get((self.key.public, self.remote), 0) - time.monotonic()
            if left > 0 and not at_once:
                time.sleep(left)
            self._keep_gap()
        self.sock.sendto(message, self.target)

    def _keep_gap(self):
        _not_before[self.key.public, self.remote] = time.monotonic() + INITIATION_GAP_S

    def receive(self, kind=None, timeout=30.0):
        """The next message of a kind (others are passed over), or None."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                message = self.sock.recv(65535)
            except (TimeoutError, ConnectionRefusedError):
                continue
            if message[:1] == b"\2":
                self._keep_gap()
            if kind is None or message[0] == kind:
                return message
        return None

    def handshake(self, **kwargs):
        return Handshake(self.key, self.remote, self.psk, **kwargs)

    def ask(self, tries=6, timeout=5.0):
        """Initiates, again after `timeout` or with the cookie asked for, until there is a response
        to the newest initiation. Returns the handshake and the response, not yet read."""
        cookie = None
        for _ in range(tries):
            h = self.handshake()
            h.cookie = cookie
            self.send(h.initiation())
            end = time.monotonic() + timeout
            while (left := end - time.monotonic()) > 0:
                message = self.receive(timeout=left)
                if message is None:
                    break
                if message[4:8] != h.index.to_bytes(4, "little") and message[0] == COOKIE or \
                        message[8:12] != h.index.to_bytes(4, "little") and message[0] == RESPONSE:
                    continue  # to an earlier one: it is worth nothing any more
                if message[0] == COOKIE:
                    cookie = h.read_cookie(message)
                    break
                if message[0] == RESPONSE:
                    return h, message
        raise AssertionError("no handshake response")

    def connect(self, confirm=True, **kwargs):
        """A handshake as the initiator, a cookie answered if there is one."""
        h, response = self.ask(**kwargs)
        self.session = h.read_response(response)
        if confirm:
            self.send(self.session.data())
        return self.session

    def answer(self, timeout=60.0):
        """Waits for an initiation, answers it, and waits for the packet that confirms it. Initiations
        that come meanwhile are answered too: nobody was quick enough for the one before."""
        end, made = time.monotonic() + timeout, {}
        while (left := end - time.monotonic()) > 0:
            message = self.receive(timeout=left)
            if message is None:
                break
            if message[0] == INITIATION:
                h = self.handshake()
                h.read_initiation(message)
                reply, self.session = h.response()
                made[self.session.local_index] = self.session
                self.send(reply)
            elif message[0] == DATA and int.from_bytes(message[4:8], "little") in made:
                # a responder sends nothing before this: the session may not be there yet
                self.session = made[int.from_bytes(message[4:8], "little")]
                self._pending.append(message)
                return self.session
        raise AssertionError("the session was not confirmed" if made else "no initiation came")

    def inner(self, timeout=30.0):
        """The next non-empty inner packet, or None."""
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            message = self._pending.pop(0) if self._pending else self.receive(DATA, left)
            if message is None:
                return None
            session = self._sessions.get(int.from_bytes(message[4:8], "little"))
            try:
                plain = session.open(message)[1] if session else None
            except InvalidTag:
                continue
            if plain:
                return plain
        return None

    def forget(self):
        """Only the newest session is left, as after a restart."""
        self._sessions = {self.session.local_index: self.session}
