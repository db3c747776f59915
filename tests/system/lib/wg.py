# SPDX-License-Identifier: Apache-2.0
# WireGuard daemons on hosts: starting and ending them, keys, configuration with Debian's wg(8), and
# the UAPI socket by hand (https://www.wireguard.com/xplatform/).
import base64
import os
import re
import signal
import socket
import subprocess

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from . import wait

SOCKET_DIR = "/run/wireguard"  # not /var/run, whose link would lead out of the host
_REPO = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
_SANITIZER = re.compile(r"(ERROR: (Address|Thread|Memory|Leak|UndefinedBehavior)Sanitizer"
                        r"|WARNING: ThreadSanitizer|: runtime error: )")


# The implementation under test. WEFT_SYSTEM_DUT=wireguard-go tries the tests themselves.
DUT = os.environ.get("WEFT_SYSTEM_DUT", "weftd")
OTHER = "wireguard-go"


def build_dir():
    path = os.environ.get("WEFT_BUILD", "build/release")
    return path if os.path.isabs(path) else os.path.join(_REPO, path)


PROGRAMS = {
    "weftd": lambda: os.path.join(build_dir(), "src/daemon/weftd"),
    "wireguard-go": lambda: "/usr/bin/wireguard-go",
}


def weft():
    """The command line program of the build under test."""
    return os.path.join(build_dir(), "src/cli/weft")


class Key:
    """An X25519 key pair in the shapes that programs want it."""

    def __init__(self, private=None):
        self.private = private or os.urandom(32)
        clamped = bytearray(self.private)
        clamped[0] &= 248
        clamped[31] = (clamped[31] & 127) | 64
        self.private = bytes(clamped)
        self.public = X25519PrivateKey.from_private_bytes(self.private).public_key().public_bytes(
            serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    @property
    def private64(self):
        return base64.b64encode(self.private).decode()

    @property
    def public64(self):
        return base64.b64encode(self.public).decode()

    @property
    def private_hex(self):
        return self.private.hex()

    @property
    def public_hex(self):
        return self.public.hex()


def psk():
    return base64.b64encode(os.urandom(32)).decode()


def endpoint(address, port):
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


class Daemon:
    """One daemon with its interface. `impl` names the program (see PROGRAMS)."""

    def __init__(self, host, impl, ifname="wg0", args=(), env=None, key=None, foreground=True,
                 wait_ready=True):
        self.host, self.impl, self.ifname = host, impl, ifname
        self.key = key or Key()
        self.expect_end = False
        self.log_path = host.network.file(f"{host.name}-{ifname}-{len(host.network.daemons)}.log")
        program = PROGRAMS[impl]()
        full_env = dict(os.environ, **{"LOG_LEVEL": "verbose", **(env or {})})
        full_env.setdefault("ASAN_OPTIONS", "abort_on_error=0:detect_leaks=1")
        self.checked = 0
        with open(self.log_path, "wb") as log:
            self.proc = host.popen(program, *(["-f"] if foreground else []), *args, ifname,
                                   stdout=log, stderr=log, env=full_env)
        host.network.daemons.append(self)
        if wait_ready:
            self.wait_ready()

    def __repr__(self):
        return f"<{self.impl} {self.ifname} on {self.host.name}>"

    # ---- life ----

    def wait_ready(self):
        def ready():
            assert self.proc.poll() is None, f"{self} ended at start:\n{self.log()}"
            try:
                self.host.unix(self.socket_path).close()
                return True
            except OSError:
                return False
        wait.until(ready, f"{self} takes connections", step=0.02)

    def log(self):
        with open(self.log_path, "rb") as f:
            return f.read().decode(errors="replace")

    def alive(self):
        return self.proc.poll() is None

    def stop(self, sig=signal.SIGTERM):
        """Ends it and returns its exit code."""
        self.expect_end = True
        if self.alive():
            self.proc.send_signal(sig)
        return self.proc.wait(60)

    def wait_end(self, timeout=60):
        """Waits until it has ended by itself and returns its exit code."""
        self.expect_end = True
        return self.proc.wait(timeout)

    def finish(self):
        """End of the test: what was wrong with this daemon, as sentences."""
        wrong, expected = [], self.expect_end
        if not expected and not self.alive():
            wrong.append(f"{self} died during the test, code {self.proc.returncode}")
        try:
            code = self.stop()
            if not wrong and not expected and code not in (0, -signal.SIGTERM) and self.impl == "weftd":
                wrong.append(f"{self} ended with {code}")
        except subprocess.TimeoutExpired:
            wrong.append(f"{self} did not end within 60 s of SIGTERM")
            self.proc.kill()
            self.proc.wait()
        report = _SANITIZER.search(self.log())
        if report:
            wrong.append(f"{self}: sanitizer report:\n{self.log()[report.start():][:4000]}")
        if wrong:
            wrong.append(f"log of {self}:\n{self.log()[-4000:]}")
        return wrong

    # ---- configuration ----

    @property
    def socket_path(self):
        return f"{SOCKET_DIR}/{self.ifname}.sock"

    def wg(self, *args, input=None, check=True):
        """wg(8) on the host: d.wg("set", "fwmark", "1") adds the interface's name by itself."""
        return self.host.run("wg", args[0], self.ifname, *args[1:], input=input, check=check)

    def set_key(self, key=None):
        self.key = key or self.key
        self.wg("set", "private-key", "/dev/stdin", input=self.key.private64 + "\n")

    def set_psk(self, peer, text):
        self.wg("set", "peer", peer.public64, "preshared-key", "/dev/stdin", input=text + "\n")

    def setup(self, addresses=(), port=None, mtu=None, up=True, key=True):
        """Key, port, addresses, up: what comes before peers."""
        if key:
            self.set_key()
        if port is not None:
            self.wg("set", "listen-port", str(port))
        commands = [f"addr add {a} dev {self.ifname}" + (" nodad" if ":" in a else "")
                    for a in addresses]
        if mtu:
            commands.insert(0, f"link set {self.ifname} mtu {mtu}")
        if up:
            commands.append(f"link set {self.ifname} up")
        if commands:
            self.host.ip(*commands)
        return self

    def peer(self, key, allowed, endpoint=None, keepalive=None, psk=None):
        """Adds or changes a peer."""
        args = ["peer", key.public64, "allowed-ips", ",".join(allowed)]
        if endpoint:
            args += ["endpoint", endpoint]
        if keepalive is not None:
            args += ["persistent-keepalive", str(keepalive)]
        if psk:
            args += ["preshared-key", "/dev/stdin"]
        self.wg("set", *args, input=(psk + "\n") if psk else None)

    # ---- UAPI by hand ----

    def uapi(self, request, timeout=60.0):
        """Sends a request and returns the answer without its last, empty line."""
        with self.host.unix(self.socket_path, timeout) as sock:
            sock.sendall(request.encode() if isinstance(request, str) else request)
            return read_answer(sock)

    def set(self, *lines):
        """A set request; returns errno as the daemon said it."""
        answer = self.uapi("set=1\n" + "".join(line + "\n" for line in lines) + "\n")
        return int(re.fullmatch(r"errno=(-?\d+)\n", answer).group(1))

    def get(self):
        """The get answer: (device keys, {public key hex: peer keys}); allowed_ip is a list."""
        device, peers, here = {}, {}, None
        here = device
        answer = self.uapi("get=1\n\n")
        for line in answer.splitlines():
            key, _, value = line.partition("=")
            if key == "errno":
                assert int(value) == 0, answer
            elif key == "public_key":
                here = peers.setdefault(value, {"allowed_ip": []})
            elif key == "allowed_ip":
                here["allowed_ip"].append(value)
            else:
                here[key] = value
        return device, peers

    def peer_state(self, key):
        return self.get()[1].get(key.public_hex)

    def port(self):
        return int(self.get()[0].get("listen_port", 0))

    def endpoint_of(self, key):
        return self.peer_state(key).get("endpoint")

    def handshake_time(self, key):
        p = self.peer_state(key)
        return int(p["last_handshake_time_sec"]) + int(p["last_handshake_time_nsec"]) / 1e9

    @property
    def counts(self):
        """True if it has weft's own counters."""
        return self.impl == "weftd"

    def counter(self, name, peer=None):
        """One of weft's own counters. An unknown name is an error, not 0."""
        device, peers = self.get()
        keys = peers[peer.public_hex] if peer else device
        for key in (name, "drop_" + name, "weft_" + name, "weft_drop_" + name):
            if key in keys:
                return int(keys[key])
        raise AssertionError(f"{self} has no counter {name}; it has {sorted(keys)}")

    def wait_counter(self, name, value, peer=None):
        """Waits until a counter has a value; it must not go beyond. Does nothing if there are no
        counters. What a test has sent may still wait for the daemon to run."""
        if self.counts:
            wait.until(lambda: self.counter(name, peer) >= value, f"{name} is {value}")
            assert self.counter(name, peer) == value, name

    def drops(self):
        """All drop counters that are not 0."""
        device, _ = self.get()
        return {k: int(v) for k, v in device.items() if "drop_" in k and v != "0"}

    def ifindex(self):
        return int(self.host.run("cat", f"/sys/class/net/{self.ifname}/ifindex").stdout)


def read_answer(sock):
    """Reads from a UAPI socket up to and without the empty line that ends an answer."""
    got = b""
    while not got.endswith(b"\n\n"):
        chunk = sock.recv(1 << 20)
        if not chunk:
            raise ConnectionError(f"closed within an answer: {got[-200:]!r}")
        got += chunk
    return got[:-1].decode()


def pid_of_socket(host, ifname):
    """Process that listens on an interface's UAPI socket, or None."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        try:
            sock.connect(host.path(f"{SOCKET_DIR}/{ifname}.sock"))
        except OSError:
            return None
        cred = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return int.from_bytes(cred[:4], "little")
