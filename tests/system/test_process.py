# SPDX-License-Identifier: Apache-2.0
# weftd as a program: how it starts, what it says, how it ends, what rights it keeps.
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

from conftest import DUT
from lib import traffic, wait, wg

pytestmark = pytest.mark.skipif(DUT != "weftd", reason="weftd's own ways")
TUNSETIFF, IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x400454ca, 1, 0x1000, 0x4000


def weftd():
    return wg.PROGRAMS["weftd"]()


def start(host, *args, env=None, check=True, ifname="wg0", **kwargs):
    """Starts weftd without a pipe that a daemon could hold open: (exit code, output)."""
    path = host.network.file(f"start-{time.monotonic_ns()}")
    with open(path, "w+") as out:
        proc = host.popen(weftd(), *args, *([ifname] if ifname else []), stdout=out, stderr=out,
                          env=dict(os.environ, **(env or {})), **kwargs)
        code = proc.wait(20)
        out.seek(0)
        text = out.read()
    assert not check or code == 0, text
    return code, text


def end(host, ifname="wg0", sig=signal.SIGTERM):
    """Ends a daemon that is in the background."""
    pid = wg.pid_of_socket(host, ifname)
    os.kill(pid, sig)
    wait.until(lambda: not os.path.exists(f"/proc/{pid}"), "it ends", 10)
    return pid


def gone(host, ifname="wg0"):
    return (not os.path.exists(host.path(f"{wg.SOCKET_DIR}/{ifname}.sock")) and
            host.ip(f"link show {ifname}", check=False).returncode != 0)


@pytest.fixture
def host(net):
    return net.host("a")


def test_version_and_help(host):
    assert re.match(r"weftd .*\d+\.\d+\.\d+", host.run(weftd(), "--version").stdout)
    text = host.run(weftd(), "--help").stdout
    for word in ("--foreground", "--log-format", "--no-tun-offload", "--no-udp-offload", "IFNAME",
                 "WG_TUN_FD", "WG_UAPI_FD", "LOG_LEVEL"):
        assert word in text, word


@pytest.mark.parametrize("args", [(), ("wg0", "wg1"), ("--no-such-option", "wg0"),
                                  ("--log-format", "xml", "wg0"), ("--log-format",)])
def test_wrong_use(host, args):
    done = host.run(weftd(), *args, check=False)
    assert done.returncode != 0 and done.stderr and not done.stdout


@pytest.mark.parametrize("name", ["", "a" * 16, "a/b", "..", ".", "a b", "x\n"])
def test_bad_names(host, name):
    done = host.run(weftd(), "-f", name, check=False, timeout=10)
    assert done.returncode != 0 and done.stderr


def test_ready_when_parent_returns(host):
    """wg(8) works in the moment in which the parent ends; a dozen times."""
    for n in range(12):
        start(host)
        host.run("wg", "set", "wg0", "listen-port", "5000")
        assert "listening port: 5000" in host.run("wg", "show", "wg0").stdout
        host.ip("link set wg0 up")
        end(host, sig=signal.SIGTERM if n % 2 else signal.SIGINT)
        assert gone(host)


def test_background_keeps_nothing_of_its_parent(host):
    """In the background: a session of its own, no terminal, no inherited files, root directory."""
    r, w = os.pipe()
    os.set_inheritable(w, True)
    start(host, pass_fds=(w,))
    os.close(w)
    pid = wg.pid_of_socket(host, "wg0")
    assert os.getsid(pid) != os.getsid(0)
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    for fd in (0, 1, 2):
        assert os.readlink(f"/proc/{pid}/fd/{fd}") == "/dev/null" or fd
    os.close(r)
    end(host)


def test_fails_before_it_returns(host):
    """A start that cannot work ends with an error, in the foreground and in the background."""
    start(host)
    for args in ((), ("-f",)):
        code, text = start(host, *args, check=False)
        assert code != 0 and "wg0" in text, text
    assert host.run("wg", "show", "wg0").returncode == 0
    end(host)


def test_killed_and_started_again(host):
    """The socket that a killed daemon leaves is taken over."""
    w = wg.Daemon(host, "weftd")
    w.expect_end = True
    w.proc.kill()
    w.proc.wait()
    assert os.path.exists(host.path(w.socket_path))
    start(host)
    host.run("wg", "show", "wg0")
    end(host)
    assert gone(host)


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT])
def test_signals(host, sig):
    w = wg.Daemon(host, "weftd")
    w.setup(["10.99.0.1/24"], port=51820)
    assert w.stop(sig) == 0
    assert gone(host)


def test_foreground_by_environment(host):
    w = wg.Daemon(host, "weftd", foreground=False, env={"WG_PROCESS_FOREGROUND": "1"})
    assert w.alive()
    assert w.wg("show").returncode == 0


def test_ready_notification(host, net):
    """READY=1 goes to systemd once wg(8) can talk to it."""
    path = net.file("notify")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.settimeout(10)
    wg.Daemon(host, "weftd", env={"NOTIFY_SOCKET": path}, wait_ready=False)
    said = listener.recv(4096).decode()
    assert "READY=1" in said.split("\n")
    assert host.run("wg", "show", "wg0").returncode == 0
    listener.close()


def test_given_descriptors(host):
    """WG_TUN_FD and WG_UAPI_FD: ready-made descriptors instead of own ones."""
    with host.inside():
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"wg0", IFF_TUN | IFF_NO_PI |
                                                IFF_VNET_HDR))
    host.sh("mkdir -p -m 755 /run/wireguard")
    uapi = socket.socket(socket.AF_UNIX)
    uapi.bind(host.path(wg.SOCKET_DIR) + "/wg0.sock")
    uapi.listen(8)
    log = host.network.file("fds.log")
    for fd in (tun, uapi.fileno()):
        os.set_inheritable(fd, True)
    with open(log, "w") as out:
        proc = host.popen(weftd(), "-f", "wg0", stdout=out, stderr=out, pass_fds=(tun, uapi.fileno()),
                          env=dict(os.environ, WG_TUN_FD=str(tun), WG_UAPI_FD=str(uapi.fileno())))
    os.close(tun)
    uapi.close()
    host.run("wg", "set", "wg0", "listen-port", "5001")
    assert "5001" in host.run("wg", "show", "wg0", "listen-port").stdout
    proc.send_signal(signal.SIGTERM)
    assert proc.wait(10) == 0, open(log).read()


@pytest.mark.parametrize("flags", [IFF_NO_PI, IFF_NO_PI | IFF_VNET_HDR], ids=["plain", "vnet"])
def test_given_tun_carries_traffic(net, flags):
    """A given descriptor works with vnet headers and without."""
    a, b = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    with a.inside():
        tun = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"wg0", IFF_TUN | flags))
    os.set_inheritable(tun, True)
    with open(net.file("log"), "w") as out:
        proc = a.popen(weftd(), "-f", "wg0", stdout=out, stderr=out, pass_fds=(tun,),
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
    assert proc.wait(10) == 0


def test_rights_are_given_up(bench):
    """Few capabilities, no new privileges, not dumpable; and it works."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    tasks = os.listdir(f"/proc/{t.w.proc.pid}/task")
    assert len(tasks) >= 2
    for task in tasks:
        with open(f"/proc/{t.w.proc.pid}/task/{task}/status") as f:
            status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
        assert status["NoNewPrivs"] == "1", task
        # NET_BIND_SERVICE (a low port), NET_ADMIN (SO_MARK), IPC_LOCK (keys) at the most
        allowed = 1 << 10 | 1 << 12 | 1 << 14
        for kind in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
            assert int(status[kind], 16) & ~allowed == 0, (task, kind, status[kind])
    # what needs rights later on still works
    t.w.wg("set", "fwmark", "7")
    t.w.wg("set", "listen-port", "600")
    t.b.ip("link set wg0 mtu 1300")
    p.target = ("192.0.2.2", 600)
    assert t.echo(p)


def test_log(pair):
    """Lifecycle events are told, with interface and peer; keys are not."""
    p = pair(DUT, DUT, args_a=("--log-format", "json"), args_b=("--log-format", "text"),
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


@pytest.mark.parametrize("level,lines", [("silent", False), ("verbose", True)])
def test_log_level(host, level, lines):
    w = wg.Daemon(host, "weftd", env={"LOG_LEVEL": level})
    w.setup(["10.99.0.1/24"], port=51820)
    w.stop()
    assert bool(w.log().strip()) == lines, w.log()


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


def test_idle_costs_nothing(bench):
    """An idle interface uses no processor."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    assert t.echo(p)

    def ticks():
        with open(f"/proc/{t.w.proc.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    time.sleep(0.5)
    before = ticks()
    time.sleep(3)
    assert ticks() - before <= 3, "it is busy with nothing"


def test_many_interfaces(host):
    """Several daemons on one host do not disturb each other."""
    daemons = [wg.Daemon(host, "weftd", ifname=f"wg{n}", wait_ready=False) for n in range(5)]
    for n, w in enumerate(daemons):
        w.wait_ready()
        w.setup([f"10.{n}.0.1/24"], port=6000 + n)
    assert len(host.run("wg", "show", "interfaces").stdout.split()) == 5
    assert daemons[2].stop() == 0
    assert sorted(host.run("wg", "show", "interfaces").stdout.split()) == ["wg0", "wg1", "wg3",
                                                                           "wg4"]
