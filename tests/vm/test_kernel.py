# SPDX-License-Identifier: Apache-2.0
"""weftd against the Linux kernel's own WireGuard, which runs in a small guest.

WEFT_BUILD=build/release pytest tests/vm            (root; -m 'not slow' leaves out the two minutes)
"""

import base64
import functools
import hashlib
import http.server
import json
import os
import socket
import subprocess
import threading
import time

import pytest

from lab import (COOKIE_REPLY, INITIATION, RESPONSE, Watcher, endpoint, flood_from_host,
                 new_keypair, run_tool, wait_for)

KEEPALIVE_BYTES = 32  # a transport message with nothing inside
PASSIVE_KEEPALIVE_S = 10
REKEY_AFTER_S = 120


def fresh_handshake(tunnel, before):
    """True when both sides have a handshake later than `before`."""
    return all(now > then for now, then in zip(tunnel.handshakes(), before))


def next_second():
    """Handshake times are whole seconds: lets the next one be told from the last."""
    now = time.time()
    time.sleep(1.05 - now % 1)


# ---- handshakes

@pytest.mark.parametrize("outer", ["10.99.0.1", "fd99::1"])
def test_kernel_begins(long_lived, tunnel, outer):  # long_lived: its two minutes start here
    assert tunnel.handshakes() == (0, 0)
    tunnel.guest_knows_host(outer)
    tunnel.ping_from_guest()
    assert all(tunnel.handshakes())
    assert tunnel.host_peer().endpoint == endpoint(outer[:-1] + "2", tunnel.guest_port)


@pytest.mark.parametrize("outer", ["10.99.0.2", "fd99::2"])
def test_weftd_begins(tunnel, outer):
    tunnel.host_knows_guest(outer)
    tunnel.ping_from_host()
    assert all(tunnel.handshakes())
    assert tunnel.guest_peer().endpoint == endpoint(outer[:-1] + "1", tunnel.host_port)


@pytest.mark.parametrize("outer", ["10.99.0.2", "fd99::2"])
def test_path_is_measured(tunnel, outer):
    """The kernel cuts off what lies behind a short packet, and answers it."""
    tunnel.weft("set", tunnel.host_if, "path-mtu", "probe")
    tunnel.host_knows_guest(outer)
    tunnel.ping_from_host()

    def path():
        shown = tunnel.weft("mtu", "--json", tunnel.host_if).stdout
        return json.loads(shown)["peers"][0]
    wait_for("the path is measured", lambda: path()["state"] not in ("unknown", "searching"))
    assert (path()["state"], path()["path_mtu"]) == ("measured", 1420 if ":" in outer else 1440)


def test_both_begin_at_once(tunnel):
    tunnel.host_knows_guest()
    tunnel.guest_knows_host()
    tunnel.lab.guest.run(f"ping -c 3 -W 3 {tunnel.host4} >/dev/null 2>&1 &")
    tunnel.ping_from_host()
    tunnel.ping_both_ways()


def test_new_handshakes_one_after_the_other(tunnel):
    tunnel.host_knows_guest()
    tunnel.guest_knows_host()
    tunnel.ping_both_ways()
    for side in ("guest", "host") * 2:
        before = tunnel.handshakes()
        next_second()
        # an interface that goes down forgets its sessions, the other side keeps its own
        if side == "guest":
            tunnel.lab.guest.run(f"ip link set {tunnel.guest_if} down; "
                                 f"ip link set {tunnel.guest_if} up")
            tunnel.ping_from_guest()
        else:
            tunnel.lab.host(f"ip link set {tunnel.host_if} down; sleep 0.3; "
                            f"ip link set {tunnel.host_if} up")
            tunnel.ping_from_host()
        assert fresh_handshake(tunnel, before), side
        tunnel.ping_both_ways()


def test_a_new_key_on_either_side(tunnel):
    tunnel.guest_knows_host()
    tunnel.ping_from_guest()
    lab = tunnel.lab

    private, public = new_keypair()
    tunnel.set_on_host("remove")
    tunnel.guest_public = public
    tunnel.set_on_host("allowed-ips", f"{tunnel.guest4}/32,{tunnel.guest6}/128")
    lab.guest.run(f"echo {private} >/tmp/key; wg set {tunnel.guest_if} private-key /tmp/key")
    tunnel.ping_from_guest()
    tunnel.ping_both_ways()

    private, public = new_keypair()
    tunnel.set_on_guest("remove")
    tunnel.host_public = public
    tunnel.set_on_guest(f"allowed-ips {tunnel.host4}/32,{tunnel.host6}/128")
    tunnel.weft("set", tunnel.host_if, "private-key", "/dev/stdin", input=private)
    tunnel.host_knows_guest()
    tunnel.ping_from_host()
    tunnel.ping_both_ways()


# ---- traffic

@pytest.mark.parametrize("outer", ["10.99.0.1", "fd99::1"], ids=["outer4", "outer6"])
@pytest.mark.parametrize("inner", [4, 6], ids=["inner4", "inner6"])
def test_pings_of_all_sizes(tunnel, outer, inner):
    tunnel.guest_knows_host(outer)
    host, guest = (tunnel.host4, tunnel.guest4) if inner == 4 else (tunnel.host6, tunnel.guest6)
    tunnel.ping_from_guest(host, count=1)
    for size in (0, 1, 15, 16, 17, 1372, 4000, 30000):
        tunnel.ping_from_guest(host, count=2, size=size)
        tunnel.ping_from_host(guest, count=2, size=size)


class Content(http.server.BaseHTTPRequestHandler):
    def __init__(self, content, *args, **kwargs):
        self.content = content
        super().__init__(*args, **kwargs)

    def do_GET(self):  # pylint: disable=invalid-name
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_):  # pylint: disable=arguments-differ
        pass


@pytest.mark.parametrize("outer,inner", [("10.99.0.1", 4), ("fd99::1", 6)], ids=["v4", "v6"])
def test_tcp_carries_the_content_both_ways(tunnel, outer, inner):
    tunnel.guest_knows_host(outer)
    tunnel.ping_from_guest(count=1)
    lab = tunnel.lab
    host, guest = (tunnel.host4, tunnel.guest4) if inner == 4 else \
        (f"[{tunnel.host6}]", f"[{tunnel.guest6}]")

    content = os.urandom(4 << 20)
    family = socket.AF_INET if inner == 4 else socket.AF_INET6
    server = http.server.HTTPServer((host.strip("[]"), 0), functools.partial(Content, content),
                                    bind_and_activate=False)
    server.socket.close()
    server.socket = lab.socket(family, socket.SOCK_STREAM)
    server.socket.bind((host.strip("[]"), 8080))
    server.socket.listen()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        out = lab.guest.run(f"wget -q -O /tmp/index http://{host}:8080/ && sha256sum /tmp/index",
                            timeout=180).out
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert hashlib.sha256(content).hexdigest() in out

    lab.guest.run("mkdir -p /tmp/www; mv /tmp/index /tmp/www/data; "
                  "httpd -p 8081 -h /tmp/www")
    try:
        # the content comes back as it went
        got = lab.host(f"wget -q -O - http://{guest}:8081/data | sha256sum", timeout=180).stdout
    finally:
        lab.guest.run("killall httpd; rm -r /tmp/www")
    assert hashlib.sha256(content).hexdigest() in got


# ---- preshared keys

def test_preshared_key_right_changed_and_wrong(tunnel):
    lab = tunnel.lab

    def set_psk(side, psk):
        if side == "host":
            tunnel.set_on_host("preshared-key", "/dev/stdin", input=psk)
        else:
            lab.guest.run(f"echo {psk} >/tmp/psk")
            tunnel.set_on_guest("preshared-key /tmp/psk")

    def restart_session():
        next_second()
        before = tunnel.handshakes()
        lab.guest.run(f"ip link set {tunnel.guest_if} down; ip link set {tunnel.guest_if} up")
        return before

    right, changed, wrong = (run_tool("genpsk") for _ in range(3))
    set_psk("host", right)
    set_psk("guest", right)
    tunnel.guest_knows_host()
    tunnel.host_knows_guest()
    tunnel.ping_from_guest()

    # changed on both sides: the session goes on, the next handshake uses the new key
    set_psk("host", changed)
    set_psk("guest", changed)
    tunnel.ping_both_ways()
    before = restart_session()
    tunnel.ping_from_guest()
    assert fresh_handshake(tunnel, before)

    # wrong on one side: no session, whoever begins
    set_psk("host", wrong)
    before = restart_session()
    lab.guest.run(f"! ping -q -c 1 -W 2 {tunnel.host4}")
    lab.host(f"ip link set {tunnel.host_if} down; sleep 0.3; ip link set {tunnel.host_if} up")
    lab.host(f"! ping -q -c 1 -W 2 {tunnel.guest4}")
    assert tunnel.handshakes()[1] == before[1]

    # right again: it heals by itself (a handshake is tried again after 5 s)
    set_psk("host", changed)
    wait_for("a session with the right key again",
             lambda: tunnel.ping_from_guest(count=1, check=False))
    tunnel.ping_both_ways()


# ---- roaming

@pytest.mark.parametrize("family", [4, 6])
def test_the_guest_moves(tunnel, family):
    old, new = ("10.99.0.20", "10.99.0.21") if family == 4 else ("fd99::20", "fd99::21")
    bits, nodad = (24, "") if family == 4 else (64, "nodad")
    host = "10.99.0.1" if family == 4 else "fd99::1"
    flag = "-4" if family == 4 else "-6"
    lab = tunnel.lab

    def use(address):
        lab.guest.run(f"""
            ip addr add {address}/{bits} dev eth0 {nodad}
            ip {flag} route replace {host} dev eth0 src {address}""")

    try:
        use(old)
        tunnel.guest_knows_host(host)
        tunnel.ping_from_guest()
        assert tunnel.host_peer().endpoint == endpoint(old, tunnel.guest_port)
        use(new)
        lab.guest.run(f"ip addr del {old}/{bits} dev eth0")
        before = tunnel.handshakes()
        tunnel.ping_from_guest(count=1)
        assert tunnel.host_peer().endpoint == endpoint(new, tunnel.guest_port)
        assert tunnel.handshakes() == before, "moving takes no new handshake"
        tunnel.ping_both_ways()
        # another port is another endpoint, too
        lab.guest.run(f"wg set {tunnel.guest_if} listen-port {tunnel.guest_port + 500}")
        tunnel.ping_from_guest(count=1)
        assert tunnel.host_peer().endpoint == endpoint(new, tunnel.guest_port + 500)
        tunnel.ping_both_ways()
    finally:
        lab.guest.run(f"""
            ip {flag} route del {host}
            ip addr del {old}/{bits} dev eth0
            ip addr del {new}/{bits} dev eth0""", check=False)


@pytest.mark.parametrize("family", [4, 6])
def test_weftd_moves(tunnel, family):
    old, new = ("10.99.0.30", "10.99.0.31") if family == 4 else ("fd99::30", "fd99::31")
    bits, nodad = (24, "") if family == 4 else (64, "nodad")
    guest = "10.99.0.2" if family == 4 else "fd99::2"
    flag = "-4" if family == 4 else "-6"
    lab = tunnel.lab

    def use(address):
        lab.host(f"""
            ip addr add {address}/{bits} dev tap0 {nodad}
            ip {flag} route replace {guest} dev tap0 src {address}""")

    try:
        use(old)
        tunnel.host_knows_guest(guest)
        tunnel.ping_from_host()
        assert tunnel.guest_peer().endpoint == endpoint(old, tunnel.host_port)
        # the old address goes; weftd had answered from it and must let go of it
        use(new)
        lab.host(f"ip addr del {old}/{bits} dev tap0")
        before = tunnel.handshakes()
        tunnel.ping_from_host(count=1)
        assert tunnel.guest_peer().endpoint == endpoint(new, tunnel.host_port)
        assert tunnel.handshakes() == before, "moving takes no new handshake"
        tunnel.ping_both_ways()
        tunnel.weft("set", tunnel.host_if, "listen-port", str(tunnel.host_port + 500))
        tunnel.ping_from_host(count=1)
        assert tunnel.guest_peer().endpoint == endpoint(new, tunnel.host_port + 500)
        tunnel.ping_both_ways()
    finally:
        lab.host(f"""
            ip {flag} route del {guest} || true
            ip addr del {old}/{bits} dev tap0 || true
            ip addr del {new}/{bits} dev tap0 || true""", check=False)


def test_answers_leave_from_the_address_that_was_contacted(tunnel):
    """The host has two addresses on one network; the kernel contacts the second."""
    lab = tunnel.lab
    lab.host("ip addr add 10.99.0.40/24 dev tap0")
    try:
        tunnel.guest_knows_host("10.99.0.40")
        tunnel.ping_both_ways()
        assert tunnel.guest_peer().endpoint == endpoint("10.99.0.40", tunnel.host_port)
    finally:
        lab.host("ip addr del 10.99.0.40/24 dev tap0")


# ---- keepalives

def test_persistent_keepalives(tunnels):
    from_guest, from_host = tunnels(), tunnels()
    from_guest.guest_knows_host()
    from_guest.set_on_guest("persistent-keepalive 1")
    from_host.host_knows_guest()
    from_host.set_on_host("persistent-keepalive", "1")
    # it begins a session by itself, without any data
    wait_for("a session by the kernel's keepalive", lambda: all(from_guest.handshakes()))
    wait_for("a session by weftd's keepalive", lambda: all(from_host.handshakes()))
    begin = time.monotonic()
    first = from_guest.host_peer().rx, from_host.guest_peer().rx

    def grown():
        return from_guest.host_peer().rx - first[0], from_host.guest_peer().rx - first[1]
    wait_for("three keepalives each", lambda: min(grown()) >= 3 * KEEPALIVE_BYTES)
    for name, value in zip(("kernel's", "weftd's"), grown()):
        took = time.monotonic() - begin
        assert value % KEEPALIVE_BYTES == 0, f"{name}: {value} bytes, not keepalives alone"
        assert value // KEEPALIVE_BYTES <= took + 2, f"{name}: {value} bytes in {took:.1f} s"


def test_passive_keepalives(tunnels):
    """Who received data and has nothing to send answers with one keepalive after 10 s, no more."""
    to_weftd, to_kernel = tunnels(), tunnels()
    lab = to_weftd.lab
    to_weftd.guest_knows_host()
    to_weftd.ping_from_guest(count=1)
    to_kernel.host_knows_guest()
    to_kernel.ping_from_host(count=1)
    # addresses that nobody has: the packet is carried, and the other side drops it in silence
    nobody = [f"10.77.{t.n}.9" for t in (to_weftd, to_kernel)]
    to_weftd.set_on_guest(f"allowed-ips {to_weftd.host4}/32,{nobody[0]}/32")
    to_kernel.set_on_host("allowed-ips", f"{to_kernel.guest4}/32,{nobody[1]}/32")
    first = to_weftd.guest_peer().rx, to_kernel.host_peer().rx
    sent = time.monotonic()
    lab.guest.run(f"! ping -q -c 1 -W 1 {nobody[0]}")
    lab.host(f"! ping -q -c 1 -W 1 {nobody[1]}")

    def pass_time_until(seconds):
        time.sleep(max(0, seconds - (time.monotonic() - sent)))

    def grown():
        return to_weftd.guest_peer().rx - first[0], to_kernel.host_peer().rx - first[1]
    pass_time_until(PASSIVE_KEEPALIVE_S - 1.5)
    early = grown()
    if time.monotonic() - sent < PASSIVE_KEEPALIVE_S:  # else it was read too late to say anything
        assert early == (0, 0), "too early"
    wait_for("a keepalive from each", lambda: min(grown()) > 0)
    pass_time_until(PASSIVE_KEEPALIVE_S + 3)
    assert grown() == (KEEPALIVE_BYTES, KEEPALIVE_BYTES), "(weftd's, kernel's)"


# ---- the protocol's own rekey

@pytest.mark.slow
@pytest.mark.timeout(400)
def test_rekey_after_two_minutes_loses_nothing(long_lived):
    for lived in long_lived:
        tunnel = lived.tunnel

        def second_handshake(tunnel=tunnel, began=lived.began):
            now = tunnel.handshakes()
            return all(n > began + 10 for n in now) and now

        now = wait_for(f"a rekey of {tunnel.host_if}", second_handshake, timeout=180, step=1)
        # not before its time, and not late (both clocks tell whole seconds, and start apart)
        assert all(n - lived.began >= REKEY_AFTER_S - 3 for n in now), (lived.began, now)
        assert all(time.time() - n <= REKEY_AFTER_S + 30 for n in now), (time.time(), now)
        tunnel.ping_both_ways()
        assert lived.lost_pings() == [], tunnel.host_if


# ---- cookies; last, since they keep the guest busy

def follow_handshake_under_load(watcher, initiator_port, responder_port):
    """Sees on the wire: a cookie reply, then an initiation that uses it, then the response."""
    awaited = ["cookie reply", "initiation with mac2", "response"]
    deadline = time.monotonic() + 120
    while awaited and time.monotonic() < deadline:
        for source, target, message in watcher.messages():
            if (source, target) == (responder_port, initiator_port):
                seen = {COOKIE_REPLY: "cookie reply", RESPONSE: "response"}.get(message[0])
            elif (source, target) == (initiator_port, responder_port) and \
                    message[0] == INITIATION and any(message[132:148]):
                seen = "initiation with mac2"
            else:
                continue
            if awaited and seen == awaited[0]:
                awaited.pop(0)
        time.sleep(0.05)
    assert not awaited, f"not seen within 120 s: {', '.join(awaited)}"


def flooded(lab, address, port, public_key, per_second, source="10.99.0.50"):
    return flood_from_host(lab, address, port, source,
                           base64.b64decode(public_key).hex(), per_second)


@pytest.fixture(name="flooder")
def flooder_(lab):
    lab.host("ip addr add 10.99.0.50/24 dev tap0")
    yield
    lab.host("ip addr del 10.99.0.50/24 dev tap0")


@pytest.mark.usefixtures("flooder")
def test_weftd_uses_the_kernels_cookie(tunnel):
    lab = tunnel.lab
    with Watcher(lab) as watcher:
        # more than the emulated processor gets through on a fast machine: 3,000 were too few on one
        with flooded(lab, "10.99.0.2", tunnel.guest_port, tunnel.guest_public, 10000):
            time.sleep(1)
            tunnel.host_knows_guest()
            ping = lab.popen(["ping", "-q", "-c", "120", tunnel.guest4], stdout=subprocess.DEVNULL)
            try:
                follow_handshake_under_load(watcher, tunnel.host_port, tunnel.guest_port)
            finally:
                ping.kill()
                ping.wait()
    wait_for("the guest has caught up",
             lambda: tunnel.ping_from_host(count=1, check=False))
    tunnel.ping_both_ways()


@pytest.mark.usefixtures("flooder")
def test_the_kernel_uses_weftds_cookie(tunnel):
    lab = tunnel.lab
    with Watcher(lab) as watcher:
        with flooded(lab, "127.0.0.1", tunnel.host_port, tunnel.host_public, 50000, "many"):
            time.sleep(1)
            tunnel.guest_knows_host()
            lab.guest.run(f"ping -c 120 {tunnel.host4} >/dev/null 2>&1 &")
            try:
                follow_handshake_under_load(watcher, tunnel.guest_port, tunnel.host_port)
            finally:
                lab.guest.run("killall ping", check=False)
    tunnel.ping_both_ways()
