# SPDX-License-Identifier: Apache-2.0
# Hosts made of namespaces. A host is an anonymous network and mount namespace held by one process,
# so nothing has a name that could clash, and everything goes when that process ends: also when the
# test run itself is killed (PR_SET_PDEATHSIG). network_namespaces(7), mount_namespaces(7).
#
# Knows nothing of WireGuard; see wg.py.
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000
_CLONE_NEWNS = 0x00020000
_PR_SET_PDEATHSIG = 1
_TIMEOUT_S = 180

# Private /run (UAPI sockets, resolvconf), /etc/wireguard and /sys; then the network's own settings:
# no duplicate address detection (addresses work at once), no forwarding unless asked for.
_SETUP = """
set -e
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p /etc/wireguard && mount -t tmpfs -o mode=700 tmpfs /etc/wireguard
mount -t sysfs sysfs /sys 2>/dev/null || true
ip link set lo up
cd /proc/sys/net
for f in ipv6/conf/all/accept_dad ipv6/conf/default/accept_dad ipv4/conf/all/rp_filter \
    ipv4/conf/default/rp_filter; do echo 0 >$f; done
for f in ipv6/conf/all/disable_ipv6 ipv6/conf/default/disable_ipv6; do echo 0 >$f; done
echo 'cubic' >ipv4/tcp_congestion_control 2>/dev/null || true
for f in ipv4/conf/all/promote_secondaries ipv4/conf/default/promote_secondaries; do echo 1 >$f; done
echo '0 2147483647' >ipv4/ping_group_range
echo ready
exec sleep infinity
"""


def _setns(fd, kind):
    if _libc.setns(fd, kind) != 0:
        err = ctypes.get_errno()
        raise OSError(err, "setns: " + os.strerror(err))


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Failed(AssertionError):
    """A command that a test needed did not work."""


class Host:
    """One machine. `run` and `popen` run programs on it, `socket` opens sockets on it."""

    def __init__(self, network, name):
        self.network, self.name = network, name
        self._children = []
        self._anchor = subprocess.Popen(
            ["unshare", "--net", "--mount", "--propagation", "private", "/bin/sh", "-c", _SETUP],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=_die_with_parent, start_new_session=True)
        said = self._anchor.stdout.readline()
        if said != b"ready\n":
            said += self._anchor.stdout.read()
            raise Failed(f"host {name}: namespaces cannot be made: {said.decode()}")
        self.pid = self._anchor.pid
        self._net_fd = os.open(f"/proc/{self.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self._mnt_fd = os.open(f"/proc/{self.pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)

    def __repr__(self):
        return f"<host {self.name}>"

    def path(self, inside):
        """The path under which this test process sees the host's file."""
        return f"/proc/{self.pid}/root{inside}"

    def _enter(self):
        _die_with_parent()
        _setns(self._net_fd, _CLONE_NEWNET)
        _setns(self._mnt_fd, _CLONE_NEWNS)

    def popen(self, *args, **kwargs):
        """subprocess.Popen on the host. It is killed at the end of the test at the latest."""
        kwargs.setdefault("stdin", subprocess.DEVNULL)
        proc = subprocess.Popen([str(a) for a in args], preexec_fn=self._enter, **kwargs)
        self._children.append(proc)
        return proc

    def run(self, *args, input=None, check=True, timeout=_TIMEOUT_S, env=None):
        """Runs a program to its end; `.stdout` and `.stderr` are text."""
        full_env = dict(os.environ, LC_ALL="C", **(env or {}))
        kwargs = {"input": input} if input is not None else {"stdin": subprocess.DEVNULL}
        done = subprocess.run([str(a) for a in args], capture_output=True, text=True,
                              timeout=timeout, preexec_fn=self._enter, env=full_env, **kwargs)
        if check and done.returncode != 0:
            raise Failed(f"{self.name}: {' '.join(map(str, args))}: ended with {done.returncode}\n"
                         f"{done.stdout}{done.stderr}")
        return done

    def sh(self, script, **kwargs):
        """Runs a shell script on the host, ended by its first error."""
        return self.run("/bin/sh", "-ec", script, **kwargs)

    def ip(self, *commands, check=True):
        """ip(8); several commands go in one batch."""
        if len(commands) == 1:
            return self.run("ip", *commands[0].split(), check=check)
        return self.run("ip", "-batch", "-", input="\n".join(commands) + "\n", check=check)

    def sysctl(self, name, value):
        """Writes a setting of the host's network, such as "net/ipv4/ip_forward"."""
        # /proc/sys/net shows the namespace of whoever looks
        self.sh(f"echo {value} >/proc/sys/{name}")

    def forward(self):
        """Makes it a router."""
        self.sh("cd /proc/sys/net; echo 1 >ipv4/ip_forward; echo 1 >ipv6/conf/all/forwarding")

    def nat(self, out_ifname, udp_timeout_s=None):
        """Masquerades IPv4 and IPv6 that leaves through an interface."""
        self.forward()
        self.run("nft", "-f", "-", input=f"""
            table inet nat {{
                chain post {{
                    type nat hook postrouting priority 100;
                    oifname "{out_ifname}" masquerade random
                }}
                chain forw {{
                    type filter hook forward priority 0;
                    ct state established,related accept
                    iifname "{out_ifname}" drop
                }}
                chain inp {{
                    # unasked for: dropped without a trace, so that no mapping is in the way
                    type filter hook input priority 0;
                    iifname "{out_ifname}" meta l4proto udp ct state new drop
                }}
            }}""")
        if udp_timeout_s is not None:
            for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
                self.sysctl(f"net/netfilter/{name}", udp_timeout_s)

    @contextlib.contextmanager
    def inside(self):
        """The calling thread is on the host's network for the length of a `with`."""
        home = os.open(f"/proc/self/task/{threading.get_native_id()}/ns/net",
                       os.O_RDONLY | os.O_CLOEXEC)
        try:
            _setns(self._net_fd, _CLONE_NEWNET)
            try:
                yield self
            finally:
                _setns(home, _CLONE_NEWNET)
        finally:
            os.close(home)

    def socket(self, family=socket.AF_INET, kind=socket.SOCK_DGRAM, proto=0, bind=None,
               timeout=30.0):
        """A socket of the host, for use in this process."""
        with self.inside():
            sock = socket.socket(family, kind, proto)
            try:
                if kind == socket.SOCK_STREAM:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if bind is not None:
                    sock.bind(bind)
            except OSError:
                sock.close()
                raise
        sock.settimeout(timeout)
        self.network.defer(sock.close)
        return sock

    def unix(self, inside_path, timeout=60.0):
        """Connects to a unix socket in the host's file system."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(self.path(inside_path))
        except OSError:
            sock.close()
            raise
        return sock

    def processes(self):
        """Process ids of everything that runs in the host's network namespace."""
        mine = os.fstat(self._net_fd)
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                ns = os.stat(f"/proc/{pid}/ns/net")
            except OSError:
                continue
            if (ns.st_dev, ns.st_ino) == (mine.st_dev, mine.st_ino):
                found.append(int(pid))
        return found

    def close(self):
        for proc in self._children:
            if proc.poll() is None:
                proc.kill()
            proc.wait()
            for stream in (proc.stdin, proc.stdout, proc.stderr):
                if stream:
                    stream.close()
        # what made itself a daemon is not our child any more, but still on our network
        for pid in self.processes():
            if pid not in (self.pid, os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        self._anchor.kill()
        self._anchor.wait()
        self._anchor.stdout.close()
        os.close(self._net_fd)
        os.close(self._mnt_fd)


class Network:
    """All hosts of one test, and everything that must be undone at its end."""

    def __init__(self):
        self.hosts = []
        self._deferred = []
        self._links = 0
        self.daemons = []
        self.dir = tempfile.TemporaryDirectory(prefix=f"weft-system-{os.getpid()}-")

    def defer(self, undo):
        self._deferred.append(undo)

    def host(self, name=None):
        host = Host(self, name or f"h{len(self.hosts) + 1}")
        self.hosts.append(host)
        return host

    def link(self, a, a_if, a_addresses, b, b_if, b_addresses, mtu=None):
        """A cable between two hosts; addresses are lists of "address/length", v4 and v6."""
        self._links += 1
        # both ends are made in place under their final names
        a.run("ip", "link", "add", a_if, "type", "veth", "peer", "name", b_if, "netns", b.pid)
        for host, ifname, addresses in ((a, a_if, a_addresses), (b, b_if, b_addresses)):
            commands = [f"addr add {x} dev {ifname}" + (" nodad" if ":" in x else "")
                        for x in addresses]
            if mtu:
                commands.insert(0, f"link set {ifname} mtu {mtu}")
            commands.append(f"link set {ifname} up")
            host.ip(*commands)

    def wire(self, a_addresses, b_addresses, mtu=None):
        """Two hosts "a" and "b", joined by one cable, eth0 on both sides."""
        a, b = self.host("a"), self.host("b")
        self.link(a, "eth0", a_addresses, b, "eth0", b_addresses, mtu)
        return a, b

    def file(self, name):
        return os.path.join(self.dir.name, name)

    def close(self):
        """Ends everything. Returns what daemons did wrong: a list of sentences."""
        wrong = []
        for daemon in self.daemons:
            try:
                wrong += daemon.finish()
            except Exception as e:  # the rest must be taken down whatever happens
                wrong.append(f"{daemon}: {e!r}")
        for undo in reversed(self._deferred):
            with contextlib.suppress(OSError):
                undo()
        for host in self.hosts:
            host.close()
        self.dir.cleanup()
        return wrong
