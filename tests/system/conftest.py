# SPDX-License-Identifier: Apache-2.0
# Fixtures of the system tests. They need root, and make everything in namespaces of their own.
import base64
import os
import signal
import socket
import time

import pytest

from lib import noise, ns, traffic, wait, wg

DUT, OTHER = wg.DUT, wg.OTHER
# every pair of implementations that has the one under test in it: (initiator, responder)
PAIRS = list(dict.fromkeys([(DUT, OTHER), (OTHER, DUT), (DUT, DUT)]))


# what `make check` runs again under sanitizers: `-m asan` and `-m tsan`
SANITIZED = {
    "asan": ("test_cli_vs_wg", "test_hostile", "test_import", "test_interop", "test_relay",
             "test_roaming", "test_semantics", "test_threads", "test_uapi"),
    "tsan": ("test_ecn", "test_interop", "test_nat", "test_rekey", "test_threads"),
}


def pytest_configure(config):
    # the end by SIGTERM takes down what was built, as Ctrl-C does
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def pytest_collection_modifyitems(config, items):
    if os.geteuid() != 0:
        skip = pytest.mark.skip(reason="needs root")
        for item in items:
            item.add_marker(skip)
    for item in items:
        for mark, modules in SANITIZED.items():
            if item.module.__name__ in modules and not item.get_closest_marker("slow"):
                item.add_marker(mark)
    # the longest first, so that parallel runs end together
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_report_header(config):
    return f"under test: {DUT} ({wg.PROGRAMS[DUT]()})"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    network = getattr(item, "funcargs", {}).get("net")
    if report.failed and network is not None and report.when == "call":
        for daemon in network.daemons:
            report.sections.append((f"log of {daemon}", daemon.log()[-6000:]))


@pytest.fixture
def net():
    """An empty network. At the end its daemons must be alive, end cleanly and have no report."""
    network = ns.Network()
    try:
        yield network
    finally:
        wrong = network.close()
    if wrong:
        pytest.fail("\n".join(wrong), pytrace=False)


class Pair:
    """Hosts a and b with a tunnel between them; a has an endpoint for b, b learns a's."""

    outer = {4: ("192.0.2.1", "192.0.2.2"), 6: ("2001:db8::1", "2001:db8::2")}
    inner = {4: ("10.99.0.1", "10.99.0.2"), 6: ("fd99::1", "fd99::2")}

    def __init__(self, net, impl_a, impl_b, outer=4, mtu=None, wire_mtu=None, args_a=(), args_b=(),
                 psk=None, keepalive=None, endpoint_b=True):
        self.net = net
        self.a, self.b = net.wire(["192.0.2.1/24", "2001:db8::1/64"],
                                  ["192.0.2.2/24", "2001:db8::2/64"], wire_mtu)
        self.wa = wg.Daemon(self.a, impl_a, args=args_a, wait_ready=False)
        self.wb = wg.Daemon(self.b, impl_b, args=args_b, wait_ready=False)
        self.a4, self.b4 = self.inner[4]
        self.a6, self.b6 = self.inner[6]
        for d, n in ((self.wa, 1), (self.wb, 2)):
            d.wait_ready()
            d.setup([f"10.99.0.{n}/24", f"fd99::{n}/64"], port=51820, mtu=mtu)
        self.endpoint_a = wg.endpoint(self.outer[outer][0], 51820)
        self.endpoint_b = wg.endpoint(self.outer[outer][1], 51820)
        self.wa.peer(self.wb.key, [f"{self.b4}/32", f"{self.b6}/128"], psk=psk,
                     endpoint=self.endpoint_b if endpoint_b else None, keepalive=keepalive)
        self.wb.peer(self.wa.key, [f"{self.a4}/32", f"{self.a6}/128"], psk=psk)

    def connect(self):
        """Waits until the tunnel carries v4 and v6."""
        traffic.until_reaches(self.a, self.b4)
        traffic.until_reaches(self.a, self.b6)
        return self


@pytest.fixture
def pair(net):
    """Makes a Pair: pair("weftd", "wireguard-go", outer=6)."""
    return lambda impl_a=DUT, impl_b=OTHER, **kwargs: Pair(net, impl_a, impl_b, **kwargs)


@pytest.fixture(params=PAIRS, ids=lambda p: "-".join(p))
def impls(request):
    """(implementation of a, implementation of b)"""
    return request.param


class Bench:
    """One daemon `w` on host b, and host x on its wire with any number of peers made by hand."""

    def __init__(self, net, impl=DUT, mtu=None, up=True, args=()):
        self.net = net
        self.x, self.b = net.wire(["192.0.2.1/24", "2001:db8::1/64"],
                                  ["192.0.2.2/24", "2001:db8::2/64"])
        self.w = wg.Daemon(self.b, impl, args=args)
        self.w.setup(["10.99.0.2/24", "fd99::2/64"], port=51820, mtu=mtu, up=up)
        if up:
            self.routes()
        self.inside = "10.99.0.2"

    def routes(self):
        self.b.ip("route add 10.50.0.0/16 dev wg0", "route add fd50::/16 dev wg0")

    def peer(self, *allowed, connect=True, psk=bytes(32), host=None, outer=4, **kwargs):
        """A peer by hand that may use the given prefixes; .allowed is what it has."""
        address = "192.0.2.2" if outer == 4 else "2001:db8::2"
        p = noise.Peer(host or self.x, (address, 51820), remote_public=self.w.key.public, psk=psk)
        self.w.peer(p.key, allowed,
                    psk=base64.b64encode(psk).decode() if any(psk) else None, **kwargs)
        if connect:
            p.connect()
        return p

    def known_peer(self, *allowed, keepalive=None, **kwargs):
        """A peer without a session whose endpoint the daemon has been told."""
        p = self.peer(*allowed, connect=False, **kwargs)
        p.sock.bind(("192.0.2.1", 0))
        self.w.peer(p.key, allowed, keepalive=keepalive,
                    endpoint=f"192.0.2.1:{p.sock.getsockname()[1]}")
        return p

    def send(self, address, payload=b"weft"):
        """The daemon's host sends a UDP datagram into the tunnel."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        sock = self.b.socket(family)
        try:
            sock.sendto(payload, (address, 9))
        finally:
            sock.close()

    def gets(self, peer, address, timeout=30.0):
        """True if a packet to address arrives at that peer."""
        payload = os.urandom(12)
        self.send(address, payload)
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            inner = peer.inner(left)
            if inner is None:
                return False
            if payload in inner:
                return True
        return False

    def echo(self, peer, source="10.99.0.1", timeout=30.0):
        """True if an echo request from the peer is answered through its session."""
        ident = int.from_bytes(os.urandom(2), "big")
        to = "fd99::2" if ":" in source else self.inside
        peer.send(peer.session.data(traffic.echo_request(source, to, ident)))
        end = time.monotonic() + timeout
        while (left := end - time.monotonic()) > 0:
            inner = peer.inner(left)
            if inner is None:
                return False
            head = 40 if ":" in source else 20
            if inner[head] in (0, 129) and inner[head + 4:head + 6] == ident.to_bytes(2, "big"):
                return True
        return False

    def until_echo(self, peer, source="10.99.0.1"):
        """After a flood, of which the last packets may still fill the socket: one of several."""
        wait.until(lambda: self.echo(peer, source, timeout=2), "the tunnel stays")

    def no_echo(self, peer, source="10.99.0.1"):
        return not self.echo(peer, source, timeout=0.5)


@pytest.fixture
def bench(net):
    """Makes a Bench: bench(mtu=1300)."""
    return lambda **kwargs: Bench(net, **kwargs)
