# SPDX-License-Identifier: Apache-2.0
# `weft doctor`: each fault is really caused, and has to be named first; what is well is left alone.
# The clock cannot be set here (time namespaces leave the wall clock as it is): what is said of this
# host's own is in tests/unit/host/test_doctor.c, and a peer whose clock went back is made by hand.
import json
import os
import signal

import pytest

from conftest import DUT, OTHER
from lib import noise, traffic, wait, wg
from test_nat import behind_nat, make_core, public
from test_status import conf, write


class Said:
    def __init__(self, done):
        assert done.returncode in (0, 3), done.stdout + done.stderr
        self.whole = json.loads(done.stdout)
        self.cause, self.findings = self.whole["cause"], self.whole["findings"]
        assert (done.returncode == 3) == (self.cause is not None)

    def step(self, step):
        """What was found in a step, as one text."""
        return "\n".join(f"{f['severity']}: {f['what']} | {f['to_do']}" for f in self.findings
                         if f["step"] == step)


def doctor(host, what="wg0"):
    return Said(host.run(wg.weft(), "doctor", "--json", what, check=False))


def cause(host, step, *said, what="wg0"):
    """Examines; the cause must be of that step and say that."""
    d = doctor(host, what)
    assert d.cause and d.cause["step"] == step, d.whole
    for text in said:
        assert text in f"{d.cause['what']} | {d.cause['to_do']}", d.whole
    return d


def nft(host, chain, hook, rule, policy="accept"):
    host.run("nft", "-f", "-", input=f"""
        table inet doctor {{
            chain {chain} {{
                type filter hook {hook} priority 0; policy {policy};
                {rule}
            }}
        }}""")


@pytest.mark.parametrize("impls", [(DUT, DUT), (OTHER, DUT), (DUT, OTHER)], ids="-".join)
def test_well(pair, impls):
    p = pair(*impls).connect()
    conf(p.wa, [(p.wb.key, "berlin", p.endpoint_b)])
    for host in (p.a, p.b):
        d = doctor(host)
        assert d.cause is None, d.whole
    text = p.a.run(wg.weft(), "doctor", "wg0").stdout
    assert text.startswith("wg0: nothing is wrong that can be seen from here\n")


# ---- module or daemon, link, key ----

def test_no_interface(net):
    host = net.host()
    d = cause(host, "backend", "there is no interface wg0", "weft up wg0")
    assert "the kernel has no WireGuard" in d.step("backend") or os.path.exists("/sys/module/wireguard")
    write(host, "/etc/wireguard/wg0.conf", "[Interface]\nAdress = 1.2.3.4\n")
    cause(host, "file", "wg0.conf:2:1: [Interface] has no key")


def test_stale_socket(net):
    host = net.host()
    daemon = wg.Daemon(host, DUT)
    daemon.stop(signal.SIGKILL)
    for _ in range(2):  # looking does not remove it
        cause(host, "backend", "its socket is there, but nobody listens")


def test_other_interface(net):
    a, _ = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    cause(a, "backend", "no WireGuard interface", what="eth0")
    a.ip("tuntap add dev tun7 mode tun")
    cause(a, "backend", "a tunnel device that no WireGuard daemon serves", what="tun7")


def test_link_down_no_key_no_address(net):
    host = net.host()
    daemon = wg.Daemon(host, DUT)
    cause(host, "link", "wg0 is down", "ip link set wg0 up")
    host.ip("link set wg0 up")
    cause(host, "link", "wg0 has no address")
    host.ip("addr add 10.99.0.1/24 dev wg0")
    cause(host, "key", "wg0 has no private key")
    daemon.set_key()
    assert doctor(host).cause is None


def test_file_and_device_differ(pair):
    p = pair(DUT, DUT).connect()
    more = wg.Key()
    conf(p.wa, [(p.wb.key, "berlin", p.endpoint_b), (more, "paris", None)])
    d = cause(p.a, "key", "the file has this peer, and the device has not", "weft reload wg0")
    assert d.cause["peer"] == "paris"
    p.wa.set_key(wg.Key())
    write(p.a, "/etc/wireguard/wg0.conf", f"[Interface]\nPrivateKey = {more.private64}\n[Peer]\n"
          f"PublicKey = {p.wb.key.public64}\nPresharedKey = {wg.psk()}\n")
    d = cause(p.a, "key", "another private key than its file")
    assert "another preshared key" in d.step("key")
    for secret in (more.private64, p.wa.key.private64):
        assert secret not in json.dumps(d.whole)


def test_own_key_as_peer(net):
    """weftd passes over a peer with its own key: the file has it, the device not."""
    a, _ = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    w = wg.Daemon(a, DUT).setup(["10.99.0.1/24"])
    conf(w, [(w.key, "berlin", "192.0.2.2:51820")])
    cause(a, "key", "this peer's public key is this host's own")


# ---- port ----

def test_port_taken(net):
    host = net.host()
    sock = host.popen("python3", "-c", "import socket, time; s = socket.socket(2, 2); "
                      "s.bind(('0.0.0.0', 51820)); print(1, flush=True); time.sleep(600)",
                      stdout=-1)
    sock.stdout.readline()
    write(host, "/etc/wireguard/wg0.conf", f"[Interface]\nListenPort = 51820\nPrivateKey = "
          f"{wg.Key().private64}\n")
    d = doctor(host)
    assert d.cause["step"] == "backend"
    assert f"UDP port 51820 belongs to another process: python3 (pid {sock.pid})" in d.step("port")
    # a daemon that was given the port while its interface was down finds it taken
    host.run("rm", "/etc/wireguard/wg0.conf")
    daemon = wg.Daemon(host, DUT).setup(["10.99.0.1/24"], up=False)
    sock.kill()
    sock.wait()
    daemon.wg("set", "listen-port", "51820")
    sock = host.popen("python3", "-c", "import socket, time; s = socket.socket(2, 2); "
                      "s.bind(('0.0.0.0', 51820)); print(1, flush=True); time.sleep(600)",
                      stdout=-1)
    sock.stdout.readline()
    host.ip("link set wg0 up")
    cause(host, "port", "belongs to another process: python3", "another ListenPort")


def test_firewall_drops(pair):
    """Nobody can begin; and a chain that lets answers in is no cause for one that we write to."""
    p = pair(DUT, DUT)
    nft(p.b, "input", "input", "iifname { lo, wg0 } accept; tcp dport 22 accept", "drop")
    cause(p.b, "port", "may drop what comes to UDP port 51820 (nft chain inet doctor input)")
    d = cause(p.a, "answered", "it has never answered a handshake", p.wa.key.public64)
    assert not d.step("port")
    p.b.run("nft", *"insert rule inet doctor input udp dport 51820-51821 accept".split())
    p.connect()
    assert doctor(p.b).cause is None


def test_firewall_for_answers(pair):
    p = pair(DUT, DUT)
    nft(p.a, "input", "input", "ct state established,related accept", "drop")
    nft(p.b, "other", "input", "udp dport 51820 drop")
    d = cause(p.a, "answered", "never answered")
    assert d.step("port").startswith("note: ") and "answers to what this host sends" in d.step("port")
    p.a.run("nft", "flush", "chain", "inet", "doctor", "input")
    cause(p.a, "port", "may drop")


# ---- names ----

@pytest.fixture
def resolver(net):
    """Host a with dnsmasq of its own: resolver(lines) gives it answers."""
    a, b = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    a.sh("echo nameserver 127.0.0.1 >/run/resolv.conf; mount --bind /run/resolv.conf "
         "$(readlink -f /etc/resolv.conf)")

    def start(*lines):
        a.run("tee", "/run/dns.conf", input="\n".join(
            ("no-resolv", "no-hosts", "bind-interfaces", "listen-address=127.0.0.1", "user=root",
             "pid-file=/run/dns.pid", "local=/example/") + lines) + "\n")
        proc = a.popen("dnsmasq", "--keep-in-foreground", "-C", "/run/dns.conf")
        wait.until(lambda: "127.0.0.1:53 " in a.run("ss", "-lun").stdout, "dnsmasq answers")
        return proc
    return a, b, start


def test_names(resolver):
    a, b, start = resolver
    wa = wg.Daemon(a, DUT).setup(["10.99.0.1/24"])
    wb = wg.Daemon(b, DUT).setup(["10.99.0.2/24"], port=51820)
    wa.peer(wb.key, ["10.99.0.2/32"], endpoint="192.0.2.77:51820")
    conf(wa, [(wb.key, "berlin", "hub.example:51820")])
    cause(a, "dns", "no name server answers for hub.example")
    dns = start()
    cause(a, "dns", "the name hub.example has no address", "Endpoint =")
    dns.kill()
    dns.wait()
    start("address=/hub.example/192.0.2.2")
    cause(a, "dns", "hub.example is 192.0.2.2 now, and the endpoint is still 192.0.2.77")
    wa.peer(wb.key, ["10.99.0.2/32"], endpoint="192.0.2.2:51820")
    wb.peer(wa.key, ["10.99.0.1/32"])
    assert doctor(a).cause is None


# ---- the way there ----

def test_routes(pair):
    p = pair(DUT, DUT)
    p.wa.peer(p.wb.key, [f"{p.b4}/32"], endpoint="203.0.113.7:51820")
    cause(p.a, "route", "there is no route to its endpoint 203.0.113.7:51820")
    p.a.ip("route add 203.0.113.0/24 dev wg0")
    cause(p.a, "route", "is routed into wg0 itself")
    p.wa.peer(p.wb.key, [f"{p.b4}/32"], endpoint="192.0.2.1:51820")
    cause(p.a, "route", "is an address of this host")
    p.wa.peer(p.wb.key, [f"{p.b4}/32"], endpoint="192.0.2.2:5")
    cause(p.a, "route", "nobody listens: the port is refused")
    p.wa.peer(p.wb.key, [f"{p.b4}/32"], endpoint="192.0.2.2:51820")
    nft(p.a, "output", "output", "udp dport 51820 drop")
    cause(p.a, "route", "this host's own firewall lets nothing out to its endpoint")


def test_not_sent(net):
    a, _ = net.wire(["192.0.2.1/24"], ["192.0.2.2/24"])
    w = wg.Daemon(a, DUT).setup(["10.99.0.1/24"], port=51820)
    w.peer(wg.Key(), ["10.99.0.2/32"])
    d = doctor(a)
    assert d.cause is None and "has no endpoint and never came" in d.step("sent")


# ---- keys ----

def test_wrong_key_of_the_peer(pair):
    """a has another key for b: a is not answered, and b sees handshakes for somebody else."""
    p = pair(DUT, DUT)
    p.wa.wg("set", "peer", p.wb.key.public64, "remove")
    p.wa.peer(wg.Key(), [f"{p.b4}/32"], endpoint=p.endpoint_b)
    cause(p.a, "answered", "it has never answered a handshake", p.wa.key.public64)
    cause(p.b, "keys", "meant for another public key than this host's", "PublicKey for this host")


def test_unknown_peer(pair):
    """b does not know a's key."""
    p = pair(DUT, DUT)
    p.wb.wg("set", "peer", p.wa.key.public64, "remove")
    p.wb.peer(wg.Key(), [f"{p.a4}/32"])
    cause(p.a, "answered", "it has never answered a handshake")
    cause(p.b, "keys", "from a public key that no peer here has")


def test_wrong_psk(pair):
    p = pair(DUT, DUT, psk=wg.psk())
    p.wb.set_psk(p.wa.key, wg.psk())
    cause(p.a, "keys", "preshared keys differ", "PresharedKey")


def test_clock_of_a_peer_went_back(bench):
    """Its first handshake was dated tomorrow, the next one today: a replay, seen from here."""
    b = bench()
    peer = b.known_peer("10.50.0.1/32")
    peer.send(peer.handshake().initiation(timestamp=noise.tai64n(86400)))
    b.w.wait_counter("handshakes_answered", 1, peer.key)
    assert "keys" not in str(doctor(b.b).cause)
    peer.send(peer.handshake().initiation(timestamp=noise.tai64n()))
    b.w.wait_counter("rx_timestamp", 1)
    cause(b.b, "keys", "whose time is not newer than the last", "clock")


# ---- allowed IPs ----

def test_same_prefix(pair):
    p = pair(DUT, DUT).connect()
    conf(p.wa, [(wg.Key(), "paris", None), (p.wb.key, "berlin", p.endpoint_b)])
    d = doctor(p.a)
    assert "10.99.0.2/32: another peer has it, in line" in \
        d.step("allowed-ips")
    assert not d.step("answered")


def test_allowed_ips(pair):
    p = pair(DUT, DUT).connect()
    p.wa.peer(p.wb.key, [f"{p.b4}/32", "10.50.0.0/16"])
    cause(p.a, "allowed-ips", "no route leads to its allowed IP 10.50.0.0/16",
          "ip route add 10.50.0.0/16 dev wg0")
    p.a.ip("route add 10.50.0.0/16 dev wg0")
    assert doctor(p.a).cause is None
    p.a.ip("route add 10.50.0.0/24 via 192.0.2.2")
    cause(p.a, "allowed-ips", "10.50.0.0/16 goes out by eth0 instead (route 10.50.0.0/24)")
    p.a.ip("route del 10.50.0.0/24 via 192.0.2.2")
    p.wa.peer(p.wb.key, [f"{p.b4}/32", "10.99.0.1/32"])
    cause(p.a, "allowed-ips", "10.99.0.1/32 is this host's own address")


def test_source_that_is_not_allowed(pair):
    """The peer's other address, of which this side's allowed IPs do not know."""
    p = pair(DUT, DUT).connect()
    p.a.ip("address add 10.60.0.1/32 dev wg0")
    ping = p.a.popen("ping", "-q", "-i", "0.2", "-I", "10.60.0.1", p.b4)
    d = doctor(p.b)  # which counts while it looks
    ping.terminate()
    ping.wait(30)
    assert "whose source is not among their peer's" in d.step("allowed-ips"), d.whole


# ---- MTU ----

def test_mtu_over_the_route(pair):
    p = pair(DUT, DUT, wire_mtu=1400, mtu=1420).connect()
    cause(p.a, "mtu", "wg0 has an MTU of 1420, but the way to this peer carries 1400 less 60",
          "ip link set wg0 mtu 1340")


def test_black_hole(net):
    """A router in the middle drops what is long, and says nothing."""
    a, r, b = (net.host(n) for n in "arb")
    net.link(a, "eth0", ["192.0.2.1/24"], r, "eth0", ["192.0.2.254/24"])
    net.link(b, "eth0", ["198.51.100.1/24"], r, "eth1", ["198.51.100.254/24"])
    a.ip("route add default via 192.0.2.254")
    b.ip("route add default via 198.51.100.254")
    r.forward()
    wa = wg.Daemon(a, DUT).setup(["10.99.0.1/24"], mtu=1420)
    wb = wg.Daemon(b, DUT).setup(["10.99.0.2/24"], port=51820, mtu=1420)
    wb.peer(wa.key, ["10.99.0.1/32"])
    wa.peer(wb.key, ["10.99.0.2/32"], endpoint="198.51.100.1:51820")
    traffic.until_reaches(a, "10.99.0.2")
    assert doctor(a).cause is None
    nft(r, "forward", "forward", "meta length > 1410 drop")
    cause(a, "mtu", "those of 1420 bytes are not: a black hole", "ip link set wg0 mtu 1340")


# ---- NAT, and settings of the host ----

def test_nat(net):
    make_core(net)
    a, _ = behind_nat(net, "a", 1)
    b = public(net, "b", 2)
    wa, wb = (wg.Daemon(h, DUT).setup([f"10.99.0.{n}/24"], port=51820)
              for h, n in ((a, 1), (b, 2)))
    wb.peer(wa.key, ["10.99.0.1/32"])
    wa.peer(wb.key, ["10.99.0.2/32"], endpoint="203.0.113.2:51820")
    traffic.until_reaches(a, "10.99.0.2")
    cause(a, "nat", "behind a NAT and keeps no way open", "PersistentKeepalive = 25")
    wa.peer(wb.key, ["10.99.0.2/32"], keepalive=25)
    assert doctor(a).cause is None


def test_strict_sources(pair):
    p = pair(DUT, DUT).connect()
    p.wa.peer(p.wb.key, ["0.0.0.0/0"])
    p.wa.wg("set", "fwmark", "51820")
    p.a.sysctl("net/ipv4/conf/eth0/rp_filter", 1)
    p.a.sysctl("net/ipv4/conf/all/src_valid_mark", 0)
    cause(p.a, "firewall", "rp_filter", "src_valid_mark=1")
    p.a.sysctl("net/ipv4/conf/all/src_valid_mark", 1)
    assert doctor(p.a).cause is None


def test_hub_that_does_not_forward(pair):
    p = pair(DUT, DUT).connect()
    p.wb.peer(wg.Key(), ["10.99.0.3/32"])
    assert "does not forward: its 2 peers" in doctor(p.b).step("firewall")
    p.b.forward()
    assert not doctor(p.b).step("firewall")


def test_kill_switch_is_closed(net):
    """It outlives its interface, and then nothing leaves."""
    host = net.host()
    write(host, "/etc/wireguard/wg0.conf", "[Interface]\nAddress = 10.99.0.1/24\nKillSwitch = on\n"
          f"PrivateKey = {wg.Key().private64}\n[Peer]\nPublicKey = {wg.Key().public64}\n"
          "AllowedIPs = 0.0.0.0/0\n")
    env = {"WG_QUICK_USERSPACE_IMPLEMENTATION": wg.PROGRAMS[DUT]()}
    host.run(wg.weft(), "up", "wg0", env=env)
    assert json.loads(host.run(wg.weft(), "status", "--json").stdout)["interfaces"][0]["kill_switch"]
    host.ip("link del wg0")
    wait.until(lambda: wg.pid_of_socket(host, "wg0") is None, "the daemon has ended")
    d = doctor(host)
    assert "the kill switch of wg0 is closed" in d.step("firewall")
    assert d.cause["step"] == "backend"


def test_words(pair):
    p = pair(DUT, DUT)
    for args in ((), ("a", "b"), ("--json",)):
        done = p.a.run(wg.weft(), "doctor", *args, check=False)
        assert done.returncode == 1 and "Usage: weft doctor" in done.stderr
    assert "Usage: weft doctor" in p.a.run(wg.weft(), "doctor", "--help").stdout
    done = p.a.run(wg.weft(), "doctor", "/nonexistent.conf", check=False)
    assert done.returncode == 1 and "does not exist" in done.stderr
    p.wb.stop()
    done = p.a.run(wg.weft(), "doctor", "wg0", check=False)
    assert done.returncode == 3
    assert done.stdout.splitlines()[0].startswith("wg0: peer ")
    assert done.stdout.splitlines()[1].startswith("  do: ")
