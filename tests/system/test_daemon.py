# SPDX-License-Identifier: Apache-2.0
# weftd as a process: starting, what the caller is told and when, what it is given by environment,
# signals, what it logs and leaves behind, its rights, and where in its memory keys are.
import base64
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

from lib import proc, traffic, wait, wg

pytestmark = pytest.mark.skipif(wg.DUT != "weftd", reason="about weftd itself")
WEFTD = wg.PROGRAMS["weftd"]()
TUNSETIFF, IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x400454ca, 1, 0x1000, 0x4000
KEPT = 1 << 12 | 1 << 10 | 1 << 14  # CAP_NET_ADMIN, CAP_NET_BIND_SERVICE, CAP_IPC_LOCK


def gone(pid):
    try:
        return proc.status(pid)["State"].startswith("Z")
    except (FileNotFoundError, ProcessLookupError):
        return True


def sanitized():
    with open(WEFTD, "rb") as f:
        program = f.read()
    return b"__asan_init" in program or b"__tsan_init" in program


def background(host, *args, ifname="wg0", **kwargs):
    """Starts a daemon into the background; returns what the parent said and the daemon's pid."""
    done = host.run(WEFTD, *args, ifname, **kwargs)
    return done, wg.pid_of_socket(host, ifname)


# ---- start ----

def test_help_and_version(net):
    h = net.host()
    done = h.run(WEFTD, "--help")
    for word in ("usage: weftd", "--foreground", "--log-format", "--no-tun-offload",
                 "--no-udp-offload", "IFNAME", "WG_TUN_FD", "WG_UAPI_FD", "LOG_LEVEL"):
        assert word in done.stdout, word
    assert h.run(WEFTD, "-h").stdout == done.stdout
    assert h.run(WEFTD, "--version").stdout.startswith("weftd ")


@pytest.mark.parametrize("args", [[], ["a", "b"], ["a/b"], [".."], ["x" * 16], ["--what", "wg0"],
                                  ["--log-format", "xml", "wg0"], ["--log-format"], [""],
                                  ["."], ["a b"], ["x\n"], ["-f", "a/b"]],
                         ids=lambda a: repr(" ".join(a)))
def test_bad_arguments(net, args):
    done = net.host().run(WEFTD, *args, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("weftd: ") and done.stdout == ""


def test_parent_returns_when_wg_can_talk(net):
    h = net.host()
    for i in range(5):
        # not a moment between: one shell, one line
        out = h.sh(f"{WEFTD} wg{i} && wg show wg{i} dump && wg set wg{i} fwmark 5 && "
                   f"wg show wg{i} fwmark").stdout
        assert out.splitlines()[-1] == "0x5"
    assert sorted(h.run("wg", "show", "interfaces").stdout.split()) == \
        [f"wg{i}" for i in range(5)]
    for i in range(8):  # and gone at once when it ends, to begin again
        background(h, ifname="again")
        pid = wg.pid_of_socket(h, "again")
        os.kill(pid, signal.SIGINT if i % 2 else signal.SIGTERM)
        wait.until(lambda: gone(pid), "it ends")
        assert not os.path.exists(h.path("/run/wireguard/again.sock"))


def test_background(net):
    h = net.host()
    # capture_output: run() returns only when nobody holds stdout and stderr any more
    done, pid = background(h, timeout=60)
    assert done.stdout == done.stderr == ""
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.getsid(pid) == pid
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null"
    os.kill(pid, signal.SIGTERM)
    wait.until(lambda: gone(pid), "the daemon ends")


def test_background_keeps_no_stranger_open(net):
    h = net.host()
    r, w = os.pipe()
    proc_ = h.popen(WEFTD, "wg0", pass_fds=[w], stdout=subprocess.DEVNULL)
    assert proc_.wait(60) == 0
    os.close(w)
    assert os.read(r, 1) == b""  # the end of the file: the daemon does not have it
    os.close(r)


def test_background_log(net):
    h = net.host()
    log = net.file("log")
    with open(log, "w") as f:
        p = h.popen(WEFTD, "--log-format", "json", "wg0", stderr=f, stdout=f,
                    env=dict(os.environ, LOG_LEVEL="info"))
        assert p.wait(60) == 0
    h.ip("link set wg0 up")
    wait.until(lambda: "interface_up" in open(log).read(), "it logs from the background")
    lines = [json.loads(line) for line in open(log)]
    assert [x["event"] for x in lines] == ["started", "interface_up"]
    assert all(x["interface"] == "wg0" and x["level"] == "info" for x in lines)


def test_name_in_use(net):
    h = net.host()
    background(h)
    before = h.run("wg", "show", "wg0", "dump").stdout
    for args in (["wg0"], ["-f", "wg0"]):
        done = h.run(WEFTD, *args, check=False, timeout=60)
        assert done.returncode == 1
        assert done.stderr.startswith("weftd: wg0: ")
    assert h.run("wg", "show", "wg0", "dump").stdout == before


def test_start_fails_loudly(net):
    h = net.host()
    h.sh("mkdir -p /run/wireguard/wg0.sock")  # a directory cannot be replaced by a socket
    done = h.run(WEFTD, "wg0", check=False, timeout=60)
    assert done.returncode == 1
    assert "control socket" in done.stderr
    assert h.run("ip", "link", "show", "wg0", check=False).returncode != 0


def test_without_rights(net):
    h = net.host()
    done = h.run("setpriv", "--reuid", "65534", "--clear-groups", "--inh-caps=-all", WEFTD, "wg0",
                 check=False, timeout=60)
    assert done.returncode == 1
    assert "tunnel device" in done.stderr


def test_stale_socket_is_replaced(net):
    h = net.host()
    _, pid = background(h)
    os.kill(pid, signal.SIGKILL)
    wait.until(lambda: h.run("ip", "link", "show", "wg0", check=False).returncode, "killed")
    assert os.path.exists(h.path("/run/wireguard/wg0.sock"))
    background(h)
    h.run("wg", "show", "wg0")


def test_ready_is_told(net):
    h = net.host()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(h.path("/run/notify"))
    sock.settimeout(60)
    d = wg.Daemon(h, "weftd", env={"NOTIFY_SOCKET": "/run/notify"}, wait_ready=False)
    said = sock.recv(4096).decode().split("\n")
    h.run("wg", "show", "wg0")  # at once: it said so
    assert "READY=1" in said and f"MAINPID={d.proc.pid}" in said
    d.stop()
    assert sock.recv(4096) == b"STOPPING=1"
    sock.close()


# ---- environment ----

OPEN_AND_EXEC = """
import fcntl, os, socket, struct, sys
tun = os.open("/dev/net/tun", os.O_RDWR)
fcntl.ioctl(tun, 0x400454ca, struct.pack("16sH22x", b"given0", 0x1001))
sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
os.makedirs("/run/wireguard", exist_ok=True)
sock.bind("/run/wireguard/given0.sock")
sock.listen(8)
os.set_inheritable(tun, True)
os.set_inheritable(sock.fileno(), True)
os.environ.update(WG_TUN_FD=str(tun), WG_UAPI_FD=str(sock.fileno()))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("foreground", [True, False])
def test_given_descriptors(net, foreground):
    h = net.host()
    env = dict(os.environ, WG_PROCESS_FOREGROUND="1" if foreground else "0")
    p = h.popen("/usr/bin/python3", "-c", OPEN_AND_EXEC, WEFTD, "othername", env=env)
    if not foreground:
        assert p.wait(60) == 0
    wait.until(lambda: h.run("wg", "show", "given0", check=False).returncode == 0, "wg can talk")
    h.ip("addr add 10.1.1.1/24 dev given0", "link set given0 up")
    h.run("wg", "set", "given0", "private-key", "/dev/stdin", input=wg.Key().private64 + "\n")
    assert h.run("wg", "show", "given0", "listen-port").stdout != "0\n"
    assert "mtu 1420" in h.run("ip", "link", "show", "given0").stdout
    h.ip("link del given0")
    if foreground:
        assert p.wait(60) == 0


@pytest.mark.parametrize("flags", [IFF_NO_PI, IFF_NO_PI | IFF_VNET_HDR], ids=["plain", "vnet"])
def test_given_tun_carries_traffic(net, flags):
    """A given descriptor works with vnet headers and without."""
    a, b = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    with a.inside():
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"wg0", IFF_TUN | flags))
    os.set_inheritable(tun, True)
    with open(net.file("log"), "w") as out:
        proc = a.popen(WEFTD, "-f", "wg0", stdout=out, stderr=out, pass_fds=(tun,),
                       env=dict(os.environ, WG_TUN_FD=str(tun)))
    os.close(tun)
    wait.until(lambda: wg.pid_of_socket(a, "wg0"), "it listens")
    key, wb = wg.Key(), wg.Daemon(b, "weftd").setup(["10.99.0.2/24"], port=51820)
    a.run("wg", "set", "wg0", "listen-port", 51820, "private-key", "/dev/stdin", "peer",
          wb.key.public64, "allowed-ips", "10.99.0.2/32", "endpoint", "192.0.2.2:51820",
          input=key.private64 + "\n")
    a.ip("addr add 10.99.0.1/24 dev wg0", "link set wg0 mtu 1420", "link set wg0 up")
    wb.peer(key, ["10.99.0.1/32"])
    traffic.until_reaches(a, "10.99.0.2")
    traffic.tcp(a, b, "10.99.0.2", 4 << 20)
    traffic.tcp(b, a, "10.99.0.1", 4 << 20)
    proc.send_signal(signal.SIGTERM)
    assert proc.wait(60) == 0


@pytest.mark.parametrize("name", ["WG_TUN_FD", "WG_UAPI_FD"])
@pytest.mark.parametrize("value", ["x", "-1", "99", "0"])
def test_bad_descriptors(net, name, value):
    done = net.host().run(WEFTD, "wg0", env={name: value}, check=False, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("weftd: ")


def test_foreground_by_environment(net):
    h = net.host()
    d = wg.Daemon(h, "weftd", foreground=False, env={"WG_PROCESS_FOREGROUND": "1"})
    assert wg.pid_of_socket(h, "wg0") == d.proc.pid


@pytest.mark.parametrize("level, words", [("silent", []), ("error", []), (None, []),
                                          ("info", ["started", "interface_up"]),
                                          ("verbose", ["started", "interface_up"])])
def test_log_level(net, level, words):
    h = net.host()
    log = net.file("log")
    env = {k: v for k, v in os.environ.items() if k != "LOG_LEVEL"}
    if level:
        env["LOG_LEVEL"] = level
    with open(log, "w") as f:
        p = h.popen(WEFTD, "-f", "wg0", env=env, stderr=f)
    wait.until(lambda: wg.pid_of_socket(h, "wg0"), "it serves")
    h.ip("link set wg0 up")
    wait.until(lambda: h.run("wg", "show", "wg0", "listen-port").stdout != "0\n", "it is up")
    p.terminate()
    assert p.wait(60) == 0
    text = open(log).read()
    assert all(f"event={w}" in text for w in words)
    if not words:
        assert text == ""


def test_unknown_log_level(net):
    """It is said, and weftd starts: the variable may be meant for others."""
    d = wg.Daemon(net.host(), "weftd", env={"LOG_LEVEL": "chatty"})
    assert "event=log_level_unknown value=chatty" in d.log()


def test_name_of_another_interface(net):
    h, _ = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    done = h.run(WEFTD, "eth0", check=False)
    assert done.returncode == 1
    assert "eth0: " in done.stderr and "an interface of this name" in done.stderr


# ---- log ----

def test_log(pair):
    """Lifecycle events are told, with interface and peer; keys are not."""
    p = pair("weftd", "weftd", args_a=("--log-format", "json"), args_b=("--log-format", "text"),
             psk=wg.psk()).connect()
    p.a.ip("addr add 192.0.2.77/24 dev eth0", "addr del 192.0.2.1/24 dev eth0")
    traffic.until_reaches(p.a, p.b4)
    wait.until(lambda: "192.0.2.77" in p.wb.log(), "the move is told")
    lines = [json.loads(x) for x in p.wa.log().splitlines()]
    assert lines and all(isinstance(x, dict) for x in lines)
    assert any("wg0" in json.dumps(x) for x in lines)
    short = p.wb.key.public64[:4]
    assert any(short in json.dumps(x) for x in lines), "no line about the peer"
    assert all(re.search(r"\w+=", x) for x in p.wb.log().splitlines() if x.strip())
    for d in (p.wa, p.wb):
        psks = [x["preshared_key"] for x in d.get()[1].values()]
        for secret in (d.key.private_hex, d.key.private64, *psks):
            assert secret not in d.log()


def test_log_is_rate_limited(bench):
    """What packets can trigger does not fill the log."""
    t = bench()
    p = t.peer("10.50.0.0/16")
    socks = [t.x.socket(bind=("192.0.2.1", 0)) for _ in range(2)]
    for n in range(2000):  # the endpoint moves with every packet
        socks[n % 2].sendto(p.session.data(), p.target)
        if n % 50 == 0:
            time.sleep(0.001)
    assert t.w.get()[1]
    assert len(t.w.log().splitlines()) < 300, len(t.w.log().splitlines())


# ---- end ----

@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("up", [False, True])
def test_signals_clean_up(net, sig, up):
    h = net.host()
    d = wg.Daemon(h, "weftd").setup(["10.0.0.1/24"], up=up)
    assert d.stop(sig) == 0
    assert not os.path.exists(h.path("/run/wireguard/wg0.sock"))
    assert h.run("ip", "link", "show", "wg0", check=False).returncode != 0
    assert h.run("ss", "-Hlun").stdout == ""


def test_hangup_is_harmless(net):
    d = wg.Daemon(net.host(), "weftd")
    d.proc.send_signal(signal.SIGHUP)
    wait.stays(d.alive, "alive", 0.5)
    d.get()


@pytest.mark.parametrize("how", ["interface", "socket"])
def test_deletion_ends_it(net, how):
    h = net.host()
    d = wg.Daemon(h, "weftd").setup(["10.0.0.1/24"])
    if how == "interface":
        h.ip("link del wg0")
    else:
        os.unlink(h.path("/run/wireguard/wg0.sock"))
    assert d.wait_end() == 0
    assert h.run("ip", "link", "show", "wg0", check=False).returncode != 0
    assert not os.path.exists(h.path("/run/wireguard/wg0.sock"))


def test_in_another_namespace(net):
    """ip link set netns: the outer sockets stay where they were made."""
    a, b = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    inner = net.host("inner")
    wa, wb = wg.Daemon(a, "weftd"), wg.Daemon(b, "weftd")
    wb.setup(["10.9.0.2/24"], port=51820)
    wa.setup(port=51820, up=False)
    wb.peer(wa.key, ["10.9.0.1/32"])
    wa.peer(wb.key, ["10.9.0.2/32"], endpoint="192.0.2.2:51820")
    a.ip(f"link set wg0 netns {inner.pid}")
    inner.ip("addr add 10.9.0.1/24 dev wg0", "link set wg0 up")
    traffic.until_reaches(inner, "10.9.0.2")
    inner.ip("link set wg0 down")
    wait.until(lambda: not a.run("ss", "-Hlun").stdout, "down closes the sockets")
    inner.ip("link set wg0 up")
    traffic.until_reaches(inner, "10.9.0.2")
    inner.ip("link del wg0")
    assert wa.wait_end() == 0


def test_idle_costs_nothing(pair):
    p = pair("weftd", "weftd").connect()
    pid = p.wa.proc.pid
    if sanitized():
        pytest.skip("a sanitizer's thread wakes up by itself")

    def switches():
        return sum(int(s["voluntary_ctxt_switches"]) for s in proc.thread_status(pid))

    def sleeps():
        before = switches()
        time.sleep(1)
        return switches() - before <= 4
    wait.until(sleeps, "it sleeps")


# ---- sockets ----

def test_sockets_only_while_up(net):
    h = net.host()
    d = wg.Daemon(h, "weftd").setup(port=7000, up=False)
    listening = lambda: sorted(x.split()[3] for x in h.run("ss", "-Hlun").stdout.splitlines())
    assert listening() == []
    h.ip("link set wg0 up")
    wait.until(lambda: listening() == ["0.0.0.0:7000", "[::]:7000"], "both families listen")
    assert d.set("listen_port=7001") == 0
    assert listening() == ["0.0.0.0:7001", "[::]:7001"]
    h.ip("link set wg0 down")
    wait.until(lambda: listening() == [], "down closes them")


def test_port_taken_at_up(net):
    h = net.host()
    blocker = h.socket(bind=("0.0.0.0", 7000))
    d = wg.Daemon(h, "weftd").setup(port=7000)
    wait.until(lambda: "sockets_failed" in d.log(), "it says so")
    blocker.close()
    wait.until(lambda: h.run("ss", "-Hlun").stdout, "it tries again")
    assert d.port() == 7000


def test_set_is_all_or_nothing(net):
    h = net.host()
    h.socket(bind=("0.0.0.0", 7000))
    d = wg.Daemon(h, "weftd").setup(["10.0.0.1/24"], port=7001)
    d.peer(wg.Key(), ["10.0.0.2/32"])
    before = d.get()
    k = wg.Key()
    assert d.set(f"private_key={k.private_hex}", "fwmark=7", "listen_port=7000",
                 "replace_peers=true", f"public_key={k.public_hex}") < 0
    assert d.get() == before


def test_no_ipv6_stack(net):
    """Without IPv6 sockets: IPv4 only, and no complaint that matters."""
    if shutil.which("cc") is None:
        pytest.skip("no compiler")
    a, b = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    shim = net.file("nov6.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", shim, "-x", "c", "-"], check=True, text=True,
                   input="""
        #define _GNU_SOURCE
        #include <dlfcn.h>
        #include <errno.h>
        #include <sys/socket.h>
        int socket(int domain, int type, int protocol)
        {
            int (*real)(int, int, int) = dlsym(RTLD_NEXT, "socket");
            if (domain == AF_INET6) {
                errno = EAFNOSUPPORT;
                return -1;
            }
            return real(domain, type, protocol);
        }""")
    wa = wg.Daemon(a, "weftd", env={"LD_PRELOAD": shim, "ASAN_OPTIONS": "verify_asan_link_order=0"})
    wa.setup(["10.99.0.1/24"])
    wb = wg.Daemon(b, "weftd").setup(["10.99.0.2/24"], port=51820)
    wa.peer(wb.key, ["10.99.0.2/32"], endpoint="192.0.2.2:51820")
    wb.peer(wa.key, ["10.99.0.1/32"])
    traffic.until_reaches(a, "10.99.0.2")
    wa.wg("set", "listen-port", "7000")
    assert wa.port() == 7000
    traffic.until_reaches(a, "10.99.0.2")
    assert ":7000" not in a.run("ss", "-Huln6").stdout


def test_many_interfaces(net):
    """Several daemons on one host do not disturb each other."""
    host = net.host()
    daemons = [wg.Daemon(host, "weftd", ifname=f"wg{n}", wait_ready=False) for n in range(5)]
    for n, w in enumerate(daemons):
        w.wait_ready()
        w.setup([f"10.{n}.0.1/24"], port=6000 + n)
    assert len(host.run("wg", "show", "interfaces").stdout.split()) == 5
    assert daemons[2].stop() == 0
    assert sorted(host.run("wg", "show", "interfaces").stdout.split()) == ["wg0", "wg1", "wg3",
                                                                           "wg4"]


# ---- rights ----

def test_rights(net):
    d = wg.Daemon(net.host(), "weftd").setup(["10.0.0.1/24"])
    threads = proc.thread_status(d.proc.pid)
    assert len(threads) >= 3  # a sanitizer has one more
    for s in threads:
        for field in ("CapEff", "CapPrm", "CapBnd"):
            assert int(s[field], 16) == KEPT, (s["Name"], field)
        assert int(s["CapInh"], 16) == int(s["CapAmb"], 16) == 0
        assert s["NoNewPrivs"] == "1"
    with open(f"/proc/{d.proc.pid}/limits") as f:
        core = [x for x in f if x.startswith("Max core file size")][0].split()
    assert core[4] == core[5] == "0"


def test_what_needs_rights_still_works(bench):
    t = bench()
    p = t.peer("10.99.0.1/32")
    t.w.wg("set", "fwmark", "7")
    t.w.wg("set", "listen-port", "600")
    t.b.ip("link set wg0 mtu 1300")
    p.target = ("192.0.2.2", 600)
    assert t.echo(p)


def test_low_port(net):
    d = wg.Daemon(net.host(), "weftd").setup(["10.0.0.1/24"], port=500)
    assert d.port() == 500
    assert d.set("listen_port=501") == 0


# ---- keys in memory ----

@pytest.fixture
def plain_build():
    if sanitized():
        pytest.skip("a sanitizer keeps freed memory")


def shapes(key):
    """A secret as bytes, and as the texts that it comes and goes in."""
    return key, key.hex().encode(), base64.b64encode(key)


def nowhere(pid, *secrets):
    needles = [s for secret in secrets for s in shapes(secret)]
    wait.until(lambda: not proc.find(pid, *needles), "the secret is gone")


def only_in_key_memory(pid, secret):
    raw, *texts = shapes(secret)
    places = proc.find(pid, raw)
    assert places, "the secret is not there at all: the search does not work"
    # what a thread has just worked with may still be on its way out
    wait.until(lambda: not [p for p in proc.find(pid, raw) if not p[0].for_keys],
               "the secret is in key memory alone")
    wait.until(lambda: not proc.find(pid, *texts), "no text of the secret is left behind")


def shared(private, public):
    return X25519PrivateKey.from_private_bytes(private).exchange(
        X25519PublicKey.from_public_bytes(public))


def test_keys_in_memory(pair, plain_build):
    psk = wg.psk()
    p = pair("weftd", "weftd", psk=psk).connect()
    pid = p.wa.proc.pid
    psk_raw = base64.b64decode(psk)
    static = shared(p.wa.key.private, p.wb.key.public)
    p.wa.get()
    for secret in (p.wa.key.private, psk_raw):
        only_in_key_memory(pid, secret)
    wait.until(lambda: all(m.for_keys for m, _ in proc.find(pid, static)),
               "what was derived from it is in key memory alone")

    p.wa.set(f"public_key={p.wb.key.public_hex}", "remove=true")
    nowhere(pid, psk_raw, static)
    only_in_key_memory(pid, p.wa.key.private)

    new = wg.Key()
    old = p.wa.key
    p.wa.set_key(new)
    nowhere(pid, old.private)
    only_in_key_memory(pid, new.private)
    assert p.wa.set("private_key=" + "00" * 32) == 0
    nowhere(pid, new.private)


def test_refused_key_leaves_nothing(net, plain_build):
    d = wg.Daemon(net.host(), "weftd")
    k, psk = wg.Key(), os.urandom(32)
    assert d.set(f"private_key={k.private_hex}", f"public_key={wg.Key().public_hex}",
                 f"preshared_key={psk.hex()}", "nonsense=1") < 0
    nowhere(d.proc.pid, k.private, psk)


def test_key_memory_is_locked_and_undumpable(net):
    d = wg.Daemon(net.host(), "weftd").setup()
    mine = [m for m in proc.mappings(d.proc.pid) if m.for_keys]
    assert mine
    assert any("wf" in m.flags for m in mine)  # the core's: wiped in a forked child
    assert int(proc.status(d.proc.pid)["VmLck"].split()[0]) > 0
