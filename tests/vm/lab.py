# SPDX-License-Identifier: Apache-2.0
"""The host's side of the guest tests: a network namespace with a tap device to the guest, tunnels
between weftd there and the kernel's WireGuard in the guest, a packet watcher, a flooder.

WEFT_BUILD names the build directory (default build/release); WEFTD and WEFT name other programs
to use in place of weftd and weft, such as wireguard-go and wg.
"""

import ctypes
import hashlib
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import time

from guest import ROOT, Guest

BUILD = pathlib.Path(ROOT, os.environ.get("WEFT_BUILD", "build/release"))
WEFTD = os.environ.get("WEFTD", str(BUILD / "src" / "daemon" / "weftd"))
WEFT = os.environ.get("WEFT", str(BUILD / "src" / "cli" / "weft"))

CLONE_NEWNET = 0x40000000
INITIATION, RESPONSE, COOKIE_REPLY = 1, 2, 3


def wait_for(what, predicate, timeout=60.0, step=0.1):
    """The first true value of `predicate`, or an AssertionError that names `what`."""
    deadline = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {timeout:g} s: {what}"
        time.sleep(step)


class Lab:
    """Namespace, tap device and guest. Outer networks: 10.99.0.0/24 and fd99::/64, the host .1,
    the guest .2."""

    count = 0

    def __init__(self):
        Lab.count += 1
        self.ns = f"weft-vm-{os.getpid()}-{Lab.count}"
        self.guest = None

    def __enter__(self):
        if os.geteuid() != 0:
            raise RuntimeError("these tests need root: they make a network namespace")
        for program in (WEFTD, WEFT):
            if not os.access(program, os.X_OK):
                raise RuntimeError(f"{program} is not there: build first, or set WEFT_BUILD")
        try:
            self.host("ip netns add " + self.ns, inside=False)
            self.host("""
                ip link set lo up
                sysctl -qw net.ipv6.conf.default.accept_dad=0
                ip tuntap add tap0 mode tap
                ip addr add 10.99.0.1/24 dev tap0
                ip addr add fd99::1/64 dev tap0 nodad
                ip link set tap0 up""")
            self.guest = Guest("tap0", self.prefix(),
                               programs={"weft": WEFT, "weftd": WEFTD}).__enter__()
            self.guest.run("""
                ip addr add 10.99.0.2/24 dev eth0
                ip addr add fd99::2/64 dev eth0 nodad
                ip link set eth0 up
                ping -c 1 -w 30 10.99.0.1
                ping -c 1 -w 30 fd99::1""", timeout=90)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        if self.guest:
            self.guest.__exit__()
        self.host("ip netns del " + self.ns, inside=False, check=False)

    def prefix(self):
        return ["ip", "netns", "exec", self.ns]

    def host(self, script, inside=True, check=True, timeout=120, **kwargs):
        command = ["sh", "-ec", script]
        done = subprocess.run((self.prefix() if inside else []) + command, text=True, check=False,
                              capture_output=True, timeout=timeout, **kwargs)
        if check and done.returncode:
            raise AssertionError(f"on the host: {script}: exit {done.returncode}: "
                                 f"{done.stdout}{done.stderr}")
        return done

    def popen(self, command, **kwargs):
        # pylint: disable=consider-using-with
        return subprocess.Popen(self.prefix() + command, stdin=subprocess.DEVNULL, **kwargs)

    def socket(self, *args):
        """A socket that lives in the namespace."""
        libc = ctypes.CDLL(None, use_errno=True)

        def enter(fd):
            if libc.setns(fd, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "setns")

        with open("/proc/thread-self/ns/net", "rb") as home, \
             open(f"/run/netns/{self.ns}", "rb") as there:
            enter(there.fileno())
            try:
                return socket.socket(*args)
            finally:
                enter(home.fileno())


class Tunnel:
    """One tunnel, number `n`: interface wg<n> in the guest, run by the kernel, and one run by
    weftd on the host. Inner networks 10.77.<n>.0/24 and fd77:<n>::/64, the host .1, the guest .2.
    Neither side has an endpoint at first."""

    def __init__(self, lab, n):
        self.lab = lab
        self.n = n
        self.guest_if = f"wg{n}"
        self.host_if = f"wv{os.getpid() % 1000000}-{n}"
        self.host_port = 51000 + n
        self.guest_port = 52000 + n
        self.host4, self.guest4 = f"10.77.{n}.1", f"10.77.{n}.2"
        self.host6, self.guest6 = f"fd77:{n}::1", f"fd77:{n}::2"
        self.daemon = None
        self.host_private, self.host_public = new_keypair()
        self.guest_private, self.guest_public = new_keypair()

    def __enter__(self):
        try:
            self._start()
            return self
        except BaseException:
            self.__exit__()
            raise

    def _start(self):
        self.daemon = self.lab.popen([WEFTD, "-f", self.host_if],
                                     env=dict(os.environ, LOG_LEVEL="error"))
        wait_for("weftd's socket answers",
                 lambda: self.weft("show", self.host_if, check=False).returncode == 0)
        self.weft("set", self.host_if, "listen-port", str(self.host_port),
                  "private-key", "/dev/stdin", "peer", self.guest_public,
                  "allowed-ips", f"{self.guest4}/32,{self.guest6}/128", input=self.host_private)
        self.lab.host(f"""
            ip addr add {self.host4}/24 dev {self.host_if}
            ip addr add {self.host6}/64 dev {self.host_if} nodad
            ip link set {self.host_if} mtu 1420 up""")
        self.lab.guest.run(f"""
            echo {self.guest_private} >/tmp/key
            ip link add {self.guest_if} type wireguard &&
            wg set {self.guest_if} listen-port {self.guest_port} private-key /tmp/key \\
                peer {self.host_public} allowed-ips {self.host4}/32,{self.host6}/128 &&
            ip addr add {self.guest4}/24 dev {self.guest_if} &&
            ip addr add {self.guest6}/64 dev {self.guest_if} nodad &&
            ip link set {self.guest_if} mtu 1420 up""")

    def __exit__(self, *_):
        self.lab.guest.run(f"ip link del {self.guest_if}", check=False)
        if self.daemon:
            self.daemon.send_signal(signal.SIGTERM)
            try:
                self.daemon.wait(60)
            except subprocess.TimeoutExpired:
                self.daemon.kill()
                self.daemon.wait()
                raise AssertionError("weftd did not end within 60 s of SIGTERM") from None

    # ---- configuration

    def weft(self, *args, **kwargs):
        command = " ".join(f"'{a}'" for a in (WEFT,) + args)
        return self.lab.host(command, **kwargs)

    def set_on_host(self, *args, **kwargs):
        return self.weft("set", self.host_if, "peer", self.guest_public, *args, **kwargs)

    def set_on_guest(self, args):
        return self.lab.guest.run(f"wg set {self.guest_if} peer {self.host_public} {args}")

    def host_knows_guest(self, address="10.99.0.2"):
        self.set_on_host("endpoint", endpoint(address, self.guest_port))

    def guest_knows_host(self, address="10.99.0.1"):
        self.set_on_guest("endpoint " + endpoint(address, self.host_port))

    # ---- state

    def host_peer(self):
        out = self.weft("show", self.host_if, "dump").stdout
        return Peer(out.splitlines()[1])

    def guest_peer(self):
        return Peer(self.lab.guest.run(f"wg show {self.guest_if} dump").out.splitlines()[1])

    def handshakes(self):
        """(at the host, at the guest): unix seconds of the latest handshake, 0 for none."""
        return self.host_peer().handshake, self.guest_peer().handshake

    # ---- traffic

    def ping_from_guest(self, address=None, count=3, size=56, check=True):
        seconds = ping_seconds(count, check)
        done = self.lab.guest.run(f"ping -c {count} -i 0.2 -w {seconds} -s {size} -q "
                                  f"{address or self.host4}", check=False, timeout=seconds + 20)
        ok = f"{count} packets received" in done.out
        assert ok or not check, done.out
        return ok

    def ping_from_host(self, address=None, count=3, size=56, check=True):
        done = self.lab.host(f"ping -c {count} -i 0.2 -w {ping_seconds(count, check)} -s {size} -q "
                             f"{address or self.guest4}", check=False)
        ok = f" {count} received" in done.stdout
        assert ok or not check, done.stdout + done.stderr
        return ok

    def ping_both_ways(self):
        self.ping_from_guest()
        self.ping_from_host()


def ping_seconds(count, check):
    """How long a ping may take: long where it has to succeed, for the guest is slow when the host
    is busy; not so where it is tried again and again."""
    return count + (30 if check else 3)


class Peer:
    """A peer's line of `wg show dump`."""

    def __init__(self, line):
        (self.public_key, self.psk, self.endpoint, self.allowed_ips, handshake, rx, tx,
         self.keepalive) = line.split("\t")
        self.handshake, self.rx, self.tx = int(handshake), int(rx), int(tx)


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def run_tool(*args, **kwargs):
    return subprocess.run([WEFT, *args], text=True, capture_output=True, check=True,
                          **kwargs).stdout.strip()


def new_keypair():
    private = run_tool("genkey")
    return private, run_tool("pubkey", input=private + "\n")


class Watcher:
    """Sees the WireGuard handshake messages on the tap device, v4 outside."""

    def __init__(self, lab):
        self._sock = lab.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
        self._sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
        self._sock.bind(("tap0", 3))
        self._sock.setblocking(False)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._sock.close()

    def messages(self):
        """What came since the last call: (source port, destination port, message)."""
        found = []
        while True:
            try:
                packet = self._sock.recv(65536)
            except BlockingIOError:
                return found
            if len(packet) < 32 or packet[0] >> 4 != 4 or packet[9] != 17:
                continue
            udp = packet[(packet[0] & 15) * 4:]
            if len(udp) > 12 and udp[8] in (INITIATION, RESPONSE, COOKIE_REPLY):
                found.append((int.from_bytes(udp[0:2], "big"), int.from_bytes(udp[2:4], "big"),
                              udp[8:]))


class LongLived:
    """A tunnel with a ping five times a second, and a record of those that got lost. The host
    pings, the guest answers: both have data to send, so either may begin the rekey."""

    def __init__(self, tunnel, log_dir):
        self.tunnel = tunnel
        self.began = min(tunnel.handshakes())
        self._log = log_dir / f"ping-{tunnel.n}"
        with open(self._log, "wb") as log:
            self._ping = tunnel.lab.popen(["ping", "-i", "0.2", tunnel.guest4], stdout=log)

    def lost_pings(self):
        text = self._log.read_text(encoding="ascii")
        seen = {int(n) for n in re.findall(r"icmp_seq=(\d+)", text)}
        assert seen, text
        return sorted(set(range(1, max(seen))) - seen)

    def end(self):
        self._ping.terminate()
        self._ping.wait()


def initiation_with_mac1(public_key_bytes):
    """A handshake initiation that passes the check of mac1 and no later one."""
    message = bytes([INITIATION, 0, 0, 0]) + os.urandom(112)
    key = hashlib.blake2s(b"mac1----" + public_key_bytes).digest()
    return message + hashlib.blake2s(message, key=key, digest_size=16).digest() + bytes(16)


def flood(address, port, source, public_key_hex, per_second):
    """Sends such initiations until it is killed. Runs as a process of its own, see Flood."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((source, 0) if source != "many" else ("", 0))
    message = initiation_with_mac1(bytes.fromhex(public_key_hex))
    burst = max(1, per_second // 100)
    due = time.monotonic()
    count = 0
    while True:
        for _ in range(burst):
            count += 1
            control = []
            if source == "many":  # of loopback's sixteen million addresses, another each time
                info = struct.pack("!i4s4x", 0, struct.pack("!I", 0x7F010000 + count % 4000000))
                control = [(socket.IPPROTO_IP, 8, info)]  # IP_PKTINFO
            try:
                sock.sendmsg([message], control, 0, (address, port))
            except OSError:
                pass  # the other side's port is not open, or the queue is full
        due = max(due + 0.01, time.monotonic() - 0.1)
        time.sleep(max(0.0, due - time.monotonic()))


class Flood:
    def __init__(self, command):
        # pylint: disable=consider-using-with
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()


def flood_from_host(lab, address, port, source, public_key_hex, per_second):
    return Flood(lab.prefix() + [sys.executable, __file__, address, str(port), source,
                                 public_key_hex, str(per_second)])


if __name__ == "__main__":
    flood(sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4], int(sys.argv[5]))
