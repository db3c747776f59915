# SPDX-License-Identifier: Apache-2.0
# `weft` beside Debian's wg(8), on the same interface and the same files. Called by the name wg it
# must give the same bytes on stdout and stderr and the same exit code; called weft, the same output
# wherever scripts read it. Where weft departs on purpose, a test of its own says how.
import ipaddress
import json
import os
import re
import time

import pytest

from conftest import DUT, OTHER
from lib import ns, wait, wg

K1, K2, K3 = (wg.Key(bytes([n]) * 32) for n in (1, 2, 3))
PSK = "ERERERERERERERERERERERERERERERERERERERERERE="
FIELDS = ["public-key", "private-key", "listen-port", "fwmark", "peers", "preshared-keys",
          "endpoints", "allowed-ips", "latest-handshakes", "persistent-keepalive", "transfer",
          "dump"]


class Tools:
    """Debian's wg, and ours under both of its names, on one host."""

    def __init__(self, host):
        self.host = host
        self.fakes = []
        self.dir = os.path.join(host.network.dir.name, host.name + "-tools")
        os.mkdir(self.dir)
        os.symlink(wg.weft(), os.path.join(self.dir, "wg"))
        os.symlink(wg.weft(), os.path.join(self.dir, "weft"))
        hosts = self.file("hosts", "127.0.0.1 localhost\n2001:db8::5 v6host\n")
        resolv = self.file("resolv.conf", "nameserver 127.0.0.1\n")
        host.sh(f"mount --bind {hosts} /etc/hosts; mount --bind {resolv} /etc/resolv.conf")

    def file(self, name, content):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
        return path

    def _run(self, folder, program, args, input, env):
        done = self.host.run(program, *args, input=input, check=False,
                             env=dict(env or {}, PATH=folder))
        return done.returncode, done.stdout, done.stderr

    def debian(self, *args, input=None, env=None):
        return self._run("/usr/bin", "wg", args, input, env)

    def wg(self, *args, input=None, env=None):
        return self._run(self.dir, "wg", args, input, env)

    def weft(self, *args, input=None, env=None):
        return self._run(self.dir, "weft", args, input, env)

    def same(self, *args, input=None, env=None):
        """The same in everything; returns what it was."""
        theirs, ours = self.debian(*args, input=input, env=env), self.wg(*args, input=input, env=env)
        assert ours == theirs, args
        return theirs


class Fake:
    """A device that gives a fixed answer to get and remembers what it was set to."""

    def __init__(self, tools, name, answer):
        script = tools.file(f"fake-{name}.py", FAKE)
        self.log = tools.file(f"fake-{name}.log", "")
        answer = tools.file(f"fake-{name}.txt", answer)
        path = f"/run/wireguard/{name}.sock"
        self.path = tools.host.path(path)
        self.proc = tools.host.popen("/usr/bin/python3", "-S", "-E", script, path, answer, self.log)
        tools.fakes.append(self)
        wait.until(lambda: os.path.exists(tools.host.path(path)), f"{path} is there")

    def close(self):
        self.proc.kill()
        self.proc.wait()
        if os.path.exists(self.path):
            os.unlink(self.path)

    def requests(self):
        """What it was told since the last call."""
        with open(self.log, "r+") as f:
            text = f.read()
            f.truncate(0)
        return text


FAKE = """
import os, socket, sys
path, answer, log = sys.argv[1:]
os.makedirs(os.path.dirname(path), exist_ok=True)
s = socket.socket(socket.AF_UNIX)
s.bind(path + ".new")
s.listen(10)
os.rename(path + ".new", path)
while True:
    c = s.accept()[0]
    got = b""
    while not got.endswith(b"\\n\\n"):
        more = c.recv(65536)
        if not more:
            break
        got += more
    if got.startswith(b"get"):
        c.sendall(open(answer, "rb").read())
    elif got:
        open(log, "ab").write(got)
        c.sendall(b"errno=0\\n\\n")
    c.close()
"""


def peer_text(n, **kwargs):
    keys = {"preshared_key": "00" * 32, "protocol_version": 1, "last_handshake_time_sec": 0,
            "last_handshake_time_nsec": 0, "tx_bytes": 0, "rx_bytes": 0,
            "persistent_keepalive_interval": 0}
    allowed = kwargs.pop("allowed", [])
    keys.update(kwargs)
    return f"public_key={n:02x}" + "ab" * 31 + "\n" + \
        "".join(f"{k}={v}\n" for k, v in keys.items()) + \
        "".join(f"allowed_ip={a}\n" for a in allowed)


def big_answer():
    """Every shape of value that show has words for. Times are exact to the second of a show."""
    now = int(time.time())
    ages = [5, 59, 60, 61, 3600, 3661, 86400, 90061, 31536000, 2 * 31536000 + 266525, -100000]
    sizes = [1, 1023, 1024, 1025, 1536, 1 << 20, (1 << 20) - 1, 1 << 30, 1 << 40, 1 << 50,
             (1 << 64) - 1]
    alive = [25, 60, 61, 120, 3600, 65535, 1, 0, 0, 0, 0]
    text = f"private_key={K1.private_hex}\nlisten_port=51820\nfwmark=51820\n"
    text += peer_text(0)
    for i, (age, size, keepalive) in enumerate(zip(ages, sizes, alive), 1):
        text += peer_text(
            i, last_handshake_time_sec=now - age, last_handshake_time_nsec=i, tx_bytes=size,
            rx_bytes=size // 2, persistent_keepalive_interval=keepalive,
            preshared_key=("11" if i % 2 else "00") * 32,
            endpoint=["1.2.3.4:5", "[2001:db8::1]:0", "[::ffff:1.2.3.4]:65535"][i % 3],
            allowed=[f"10.0.{i}.0/24", "::/0"][:i % 3])
    return text + "future_key=word\nerrno=0\n\n"


@pytest.fixture(scope="module")
def shared():
    """One host for all tests that need no real device."""
    network = ns.Network()
    yield Tools(network.host("a"))
    network.close()


@pytest.fixture
def tools(shared):
    yield shared
    while shared.fakes:
        shared.fakes.pop().close()


@pytest.fixture(params=[DUT, OTHER])
def device(request, net):
    """A real daemon with one peer (wireguard-go lists several in any order it likes)."""
    tools = Tools(net.host("a"))
    d = wg.Daemon(tools.host, request.param)
    d.set_key(K1)
    d.wg("set", "listen-port", "51820", "fwmark", "0x20", "peer", K2.public64, "preshared-key",
         tools.file("psk", PSK), "endpoint", "127.0.0.1:9", "persistent-keepalive", "25",
         "allowed-ips", "10.0.0.0/24,fd00::/64")
    d.tools = tools
    return d


def retry(check):
    """Calls check, and a few times more if it fails: a second may go by between two programs, or a
    real daemon send something."""
    for _ in range(9):
        try:
            return check()
        except AssertionError:
            pass
    return check()


def retry_same(tools, *args, env=None):
    return retry(lambda: tools.same(*args, env=env))


# ---- show and showconf ----

def test_show_real(device):
    tools = device.tools
    for args in ([], ["show"], ["show", "wg0"], ["show", "all"], ["show", "interfaces"],
                 ["showconf", "wg0"]):
        def check(args=args):
            theirs = tools.same(*args)
            assert tools.weft(*args)[:2] == theirs[:2]
            return theirs
        theirs = retry(check)
        assert theirs[0] == 0 and "wg0" in theirs[1] or args == ["showconf", "wg0"]
    for field in FIELDS:
        for name in ("wg0", "all"):
            def check(name=name, field=field):
                theirs = tools.same("show", name, field)
                if (name, field) != ("all", "endpoints"):  # see test_endpoints_of_all
                    assert tools.weft("show", name, field) == theirs
            retry(check)


def test_show_every_shape(tools):
    Fake(tools, "f1", big_answer())
    for env in ({}, {"WG_COLOR_MODE": "always"}, {"WG_COLOR_MODE": "never"},
                {"WG_HIDE_KEYS": "never"}, {"WG_HIDE_KEYS": "always"}):
        for args in (["show"], ["show", "f1"], ["show", "all"]):
            retry_same(tools, *args, env=env)
    out = tools.weft("show", "f1")[1]
    assert "System clock wound backward" in out and "16777216.00 TiB sent" in out
    for field in FIELDS:
        tools.same("show", "f1", field)
        tools.same("show", "all", field)
    tools.same("showconf", "f1")


def test_show_poor_devices(tools):
    """No key, no port, no peer; an error; nonsense; nobody behind the socket."""
    for name, answer in (("empty", "errno=0\n\n"), ("fails", "errno=1\n\n"), ("lies", "x\n\n"),
                         ("odd", "listen_port=99999\nerrno=0\n\n")):
        fake = Fake(tools, name, answer)
        for args in (["show"], ["show", name], ["showconf", name],
                     *(["show", name, f] for f in FIELDS), *(["show", "all", f] for f in FIELDS)):
            if name == "odd":  # wg takes a port modulo 65536
                assert tools.wg(*args)[0] == 1
            else:
                tools.same(*args)
        fake.proc.kill()
        fake.proc.wait()
        assert tools.wg("show", "interfaces") == (0, "", "")
        assert not os.path.exists(tools.host.path(f"/run/wireguard/{name}.sock"))


def test_several_interfaces(tools):
    """wg lists them as the folder does, weft by name; each one's text is the same."""
    for name in ("f2", "f1", "f3"):
        Fake(tools, name, "errno=1\n\n" if name == "f3" else "listen_port=7\nerrno=0\n\n")
    assert tools.weft("show", "interfaces")[1] == "f1 f2 f3\n"
    code, out, err = tools.wg("show")
    assert (code, out) == (0, "interface: f1\n  listening port: 7\n\n"
                              "interface: f2\n  listening port: 7\n\n")
    assert err == "Unable to access interface f3: Operation not permitted\n"
    assert tools.wg("show", "all", "listen-port")[1] == "f1\t7\nf2\t7\n"
    assert sorted(tools.debian("show", "all", "listen-port")[1].split()) == \
        sorted(tools.wg("show", "all", "listen-port")[1].split())


def test_endpoints_of_all(tools):
    """wg forgets the interface before all but the first endpoint; as weft we do not."""
    Fake(tools, "f1", peer_text(1) + peer_text(2, endpoint="1.2.3.4:5") + "errno=0\n\n")
    tools.same("show", "all", "endpoints")
    lines = tools.weft("show", "all", "endpoints")[1].splitlines()
    assert len(lines) == 2 and all(line.startswith("f1\t") for line in lines)


def test_json(device):
    tools = device.tools
    code, out, err = tools.weft("show", "--json")
    assert (code, err) == (0, "")
    doc = json.loads(out)["interfaces"][0]
    assert doc == json.loads(tools.weft("show", "wg0", "--json")[1])["interfaces"][0]
    assert (doc["name"], doc["public_key"], doc["listen_port"], doc["fwmark"]) == \
        ("wg0", K1.public64, 51820, 32)
    peer = doc["peers"][0]
    assert peer["public_key"] == K2.public64 and peer["has_preshared_key"] is True
    assert peer["endpoint"] == "127.0.0.1:9" and peer["persistent_keepalive"] == 25
    assert peer["allowed_ips"] == ["10.0.0.0/24", "fd00::/64"]
    assert peer["latest_handshake"] is None
    assert "private_key" not in doc and "preshared_key" not in peer
    assert PSK not in out and K1.private64 not in out
    secret = json.loads(tools.weft("show", "all", "--json", env={"WG_HIDE_KEYS": "never"})[1])
    assert secret["interfaces"][0]["private_key"] == K1.private64
    assert secret["interfaces"][0]["peers"][0]["preshared_key"] == PSK
    if device.impl == "weftd":
        assert doc["weft_version"] and "rx_mac1" in doc["drops"]
        assert "handshakes_initiated" in peer["counters"]
    assert tools.wg("show", "--json")[0] == 1


# ---- what is wrong on the command line ----

@pytest.mark.parametrize("args", [
    ["help"], ["-h"], ["--help"], ["foo"], ["show", "-h"], ["show", "--help"], ["show", "help"],
    ["show", "f1", "foo"], ["show", "f1", "peers", "x"], ["show", "interfaces", "dump"],
    ["showconf"], ["showconf", "f1", "x"], ["set"], ["set", "f1"], ["set", "-h"],
    ["setconf"], ["setconf", "f1"], ["setconf", "-h"], ["addconf", "f1"], ["syncconf", "f1"],
    ["setconf", "f1", "/nonexistent"], ["addconf", "f1", "a", "b"],
    ["genkey", "x"], ["genkey", "-h"], ["genpsk", "x"], ["pubkey", "x"],
    ["set", "f1", "foo"], ["set", "f1", "foo", "bar"], ["set", "f1", "listen-port"],
    ["set", "f1", "listen-port", "foo"], ["set", "f1", "listen-port", "-1"],
    ["set", "f1", "fwmark", "foo"], ["set", "f1", "fwmark", "0xzz"],
    ["set", "f1", "fwmark", "4294967296"], ["set", "f1", "private-key", "/nonexistent"],
    ["set", "f1", "peer"], ["set", "f1", "peer", "abc"], ["set", "f1", "remove"],
    *(["set", "f1", "peer", K2.public64, *rest] for rest in (
        ["endpoint", "foo"], ["endpoint", "1.2.3.4"], ["endpoint", "1.2.3.4:"],
        ["endpoint", "[::1:5"], ["endpoint", "[::1]"], ["endpoint", ""],
        ["allowed-ips", "foo"], ["allowed-ips", "10.0.0.1/33"], ["allowed-ips", "10.0.0.1/"],
        ["allowed-ips", "10.0.0.1,"], ["allowed-ips", ",10.0.0.1"],
        ["allowed-ips", "10.0.0.1/0x10"], ["persistent-keepalive", "foo"],
        ["persistent-keepalive", "65536"], ["remove", "x"], ["endpoint"], ["listen-port", "5"])),
], ids=" ".join)
def test_bad_arguments(tools, args):
    """The same complaint, and nothing is changed."""
    fake = Fake(tools, "f1", "errno=0\n\n")
    tools.same(*args)
    ours = tools.weft(*args)
    wanted = 0 if any(a in ("help", "-h", "--help") for a in args) else 1
    if args != ["show", "help"]:
        assert ours[0] == wanted
    assert fake.requests() == ""


@pytest.mark.parametrize("args, words", [
    (["sohw"], ["sohw", "did you mean show?"]),
    (["show", "f1", "endpoint"], ["did you mean endpoints?"]),
    (["set", "f1", "listen-prt", "5"], ["did you mean listen-port?"]),
    (["set", "f1", "listen-port", "65536"], ["listen-port", "0 to 65535", "65536"]),
    (["set", "f1", "endpoint", "1.2.3.4:5"], ["comes after peer"]),
    (["set", "f1", "peer", K2.public64, "fwmark", "5"], ["comes before the first peer"]),
    (["set", "f1", "peer", K2.public64, "allowed-ips", "10.0.0.0/8,x"], ["allowed-ips", '"x"']),
    (["show", "nosuch"], ["interface nosuch: ", "No such device"]),
    (["showconf", "nosuch"], ["interface nosuch: ", "No such device"]),
    (["set", "nosuch", "fwmark", "5"], ["No such device"]),
], ids=lambda x: " ".join(x))
def test_own_errors(tools, args, words):
    fake = Fake(tools, "f1", "errno=0\n\n")
    code, out, err = tools.weft(*args)
    assert code == 1 and out == "" and err.startswith("weft: ") and err.count("\n") == 1
    for word in words:
        assert word in err
    assert fake.requests() == ""


def test_listen_port_beyond_the_end(tools):
    """wg takes 65536 for 0. We do not."""
    fake = Fake(tools, "f1", "errno=0\n\n")
    assert tools.wg("set", "f1", "listen-port", "65536")[0] == 1
    assert fake.requests() == ""


# ---- set, and the same request from both ----

def same_request(tools, fake, *args, input=None):
    theirs = tools.debian(*args, input=input)
    asked = fake.requests()
    assert tools.wg(*args, input=input) == theirs
    # we clear host bits, wg leaves that to the device
    masked = re.sub(r"(?m)(?<=^allowed_ip=).*$",
                    lambda m: str(ipaddress.ip_network(m.group(), strict=False)), asked)
    assert fake.requests() == masked != ""
    assert theirs[0] == 0
    return asked, theirs[2]


@pytest.mark.parametrize("rest", [
    ["listen-port", "0"], ["listen-port", "51820", "fwmark", "0xCA6C"], ["fwmark", "off"],
    ["private-key", "/dev/null"],
    *(["peer", K2.public64, *words] for words in (
        [], ["remove"], ["remove", "peer", K3.public64], ["preshared-key", "/dev/null"],
        ["endpoint", "192.0.2.1:51820"], ["endpoint", "[2001:db8::1]:1"],
        ["endpoint", "2001:db8::1:1"], ["endpoint", "localhost:7"], ["endpoint", "v6host:7"],
        ["endpoint", "[fe80::1%lo]:7"],
        ["persistent-keepalive", "off"], ["persistent-keepalive", "65535"], ["allowed-ips", ""],
        ["allowed-ips", "10.0.0.1, fd00::1/64 ,10.1.0.0/16"], ["allowed-ips", "10.0.0.1/8"],
        ["allowed-ips", "1.2.3.4", "allowed-ips", "::/0"],
        ["persistent-keepalive", "5", "peer", K3.public64, "endpoint", "1.2.3.4:5",
         "allowed-ips", "::/0"])),
], ids=" ".join)
def test_set(tools, rest):
    fake = Fake(tools, "f1", "errno=0\n\n")
    same_request(tools, fake, "set", "f1", *rest)


@pytest.mark.parametrize("content, code", [
    (K1.private64, 0), (K1.private64 + "\n", 0), (K1.private64 + "\n \t\n", 0),
    (K1.private64 + "\r\n", 0), ("", 0), ("abc", 1), (K1.private64[:-1], 1),
    (K1.private64 + "x", 1), (K1.private64[:-2] + "h=", 1), ("=" * 44, 1), ("\n", 1),
    (" " + K1.private64, 1),
], ids=range(12))
def test_key_files(tools, content, code):
    """The request is the same; bytes of a key file that is wrong are never shown by us."""
    fake = Fake(tools, "f1", "errno=0\n\n")
    path = tools.file("key", content)
    for args in (["set", "f1", "private-key", path],
                 ["set", "f1", "peer", K2.public64, "preshared-key", path]):
        theirs = tools.debian(*args)
        asked = fake.requests()
        for run in (tools.wg, tools.weft):
            ours = run(*args)
            assert ours[0] == theirs[0] == code and ours[1] == ""
            assert fake.requests() == asked and bool(asked) == (code == 0)
            assert (ours[2] == "") == (code == 0)
            assert len(content) < 5 or content[:-2] not in ours[2]


@pytest.mark.parametrize("before", [["private-key"], ["peer", K2.public64, "preshared-key"]])
def test_a_key_in_place_of_its_file_is_not_shown(tools, before):
    fake = Fake(tools, "f1", "errno=0\n\n")
    code, out, err = tools.weft("set", "f1", *before, K1.private64)
    assert (code, out) == (1, "") and "name of a file" in err and K1.private64 not in err
    assert not fake.requests()


def test_signed_allowed_ips(tools):
    """Newer than Debian's wg: + and - change the list instead of replacing it."""
    fake = Fake(tools, "f1", "errno=0\n\n")
    assert tools.weft("set", "f1", "peer", K2.public64, "allowed-ips",
                      "+10.0.0.0/8,-fd00::/64") == (0, "", "")
    assert fake.requests() == (f"set=1\npublic_key={K2.public_hex}\nallowed_ip=10.0.0.0/8\n"
                               "allowed_ip=-fd00::/64\n\n")


def test_resolution(tools):
    """A name that is not there: final at once, or tried again as often as we are told."""
    fake = Fake(tools, "f1", "errno=0\n\n")
    args = ["set", "f1", "peer", K2.public64, "endpoint", "name.example:5"]
    env = {"WG_ENDPOINT_RESOLUTION_RETRIES": "1"}
    tools.same(*args, env={"WG_ENDPOINT_RESOLUTION_RETRIES": "0"})
    theirs = tools.same(*args, env=env)
    assert "Trying again in 1.00 seconds..." in theirs[2]
    tools.same(*args, env={"WG_ENDPOINT_RESOLUTION_RETRIES": "often"})
    assert fake.requests() == ""


# ---- setconf, addconf, syncconf ----

INTERFACE = f"[Interface]\nPrivateKey = {K1.private64}\nListenPort = 51820\n"
PEER = f"[Peer]\nPublicKey = {K2.public64}\n"
GOOD = {
    "empty": "",
    "comment": "# nothing\n\n",
    "all": INTERFACE + "FwMark = 0x20\n\n" + PEER + f"PresharedKey = {PSK}\n"
           "AllowedIPs = 10.0.0.0/24, fd00::/64\nEndpoint = 192.0.2.1:7\nPersistentKeepalive = 25\n",
    "case": f"[iNTERFACE]\nlistenport=5\n[PEER]\npublickey={K2.public64}\nALLOWEDIPS=::/0\n",
    "white": f"  [ Inter face ]\n\tListen Port = 5 1\n [Peer] # c\n Public Key={K2.public64} #c\n",
    "crlf": f"[Interface]\r\nListenPort = 5\r\n[Peer]\r\nPublicKey = {K2.public64}\r\n",
    "no newline": "[Interface]\nListenPort = 5",
    "only peer": PEER,
    "off": "[Interface]\nFwMark = off\n" + PEER + "PersistentKeepalive = off\n",
    "host bits": PEER + "AllowedIPs = 10.0.0.1/24, fd00::1/64\n",
    "two lines": PEER + "AllowedIPs = 10.0.0.0/8\nAllowedIPs = fd00::/8, 192.168.1.1\n",
    "v6": PEER + "Endpoint = [2001:db8::1]:51820\n",
    "name": PEER + "Endpoint = localhost:51820\n",
    "two peers": PEER + f"[Peer]\nPublicKey={K3.public64}\nAllowedIPs=0.0.0.0/0\n",
    "peer first": PEER + "Endpoint=1.2.3.4:5\n" + INTERFACE,
    "same peer twice": PEER + "AllowedIPs=10.0.0.0/8\n" + PEER + "AllowedIPs=fd00::/8\n",
}


@pytest.mark.parametrize("command", ["setconf", "addconf"])
@pytest.mark.parametrize("name", GOOD)
def test_good_files(tools, command, name):
    fake = Fake(tools, "f1", "errno=0\n\n")
    path = tools.file("conf", GOOD[name])
    _, err = same_request(tools, fake, command, "f1", path)
    assert ("nonzero host part" in err) == (name == "host bits")


BAD = {
    "key": "[Interface]\nFoo = bar # c\n",
    "line 7": INTERFACE + "\n" + PEER + "AllowdIPs = ::/0\n",
    "section": "[Foo]\n",
    "no section": "ListenPort = 5\n",
    "other section": INTERFACE + f"PublicKey = {K2.public64}\n",
    "no equals": PEER + "Endpoint\n",
    "wg-quick": INTERFACE + "Address = 10.0.0.1/24\n",
    "port": "[Interface]\nListenPort = x\n",
    "no port": "[Interface]\nListenPort =\n",
    "mark": "[Interface]\nFwMark = y\n",
    "public key": "[Peer]\nPublicKey = abc\n",
    "address": PEER + "AllowedIPs = x\n",
    "length": PEER + "AllowedIPs = 10.0.0.0/8, ::/129\n",
    "comma": PEER + "AllowedIPs = 10.0.0.0/8,\n",
    "endpoint": PEER + "Endpoint = host\n",
    "brace": PEER + "Endpoint = [::1\n",
    "keepalive": PEER + "PersistentKeepalive = 65536\n",
    "no public key": "[Peer]\nAllowedIPs = ::/0\n",
    "no public key first": "[Peer]\nAllowedIPs = ::/0\n" + PEER,
}


@pytest.mark.parametrize("command", ["setconf", "addconf", "syncconf"])
@pytest.mark.parametrize("name", BAD)
def test_bad_files(tools, command, name):
    fake = Fake(tools, "f1", "errno=0\n\n")
    path = tools.file("conf", BAD[name])
    assert tools.same(command, "f1", path)[0] == 1
    code, out, err = tools.weft(command, "f1", path)
    assert (code, out) == (1, "") and err.startswith(f"weft: {path}:")
    assert fake.requests() == ""


def test_bad_key_on_line_7(tools):
    path = tools.file("conf", BAD["line 7"])
    err = tools.weft("setconf", "f1", path)[2]
    assert err == (f'weft: {path}:7:1: [Peer] has no key "AllowdIPs" '
                   "(did you mean AllowedIPs?)\n")
    err = tools.weft("setconf", "f1", tools.file("quick", BAD["wg-quick"]))[2]
    assert "weft strip" in err


def test_secrets_are_not_repeated(tools):
    for line in ("[Interface]\nPrivateKey = hunter2\n", PEER + "PresharedKey = hunter2\n"):
        path = tools.file("conf", line)
        for run in (tools.wg, tools.weft):
            code, out, err = run("setconf", "f1", path)
            assert code == 1 and "hunter2" not in out + err and err


def test_syncconf(tools):
    """As wg where Debian's does it: the same request for the same state and file."""
    state = f"private_key={K1.private_hex}\nlisten_port=1\n" + \
        "".join(peer_text(n) for n in (1, 2, 3)) + "errno=0\n\n"
    fake = Fake(tools, "f1", state)
    path = tools.file("conf", INTERFACE + PEER)
    theirs = tools.debian("syncconf", "f1", path)
    asked = fake.requests()
    assert tools.wg("syncconf", "f1", path) == theirs == (0, "", "")
    mine = fake.requests()

    def parts(request):
        """The device's part, and the set of its peers' parts: order says nothing here."""
        device, *peers = request.replace("\n\n", "\n").split("public_key=")
        return device, sorted(peers)
    assert parts(mine) == parts(asked)
    assert mine.count("remove=true") == 3


def test_syncconf_clears_what_left(tools):
    """Newer than Debian's: a preshared key and a keepalive that left the file are cleared."""
    state = f"public_key={K2.public_hex}\npreshared_key={'11' * 32}\n" \
        "persistent_keepalive_interval=25\nerrno=0\n\n"
    fake = Fake(tools, "f1", state)
    assert tools.weft("syncconf", "f1", tools.file("conf", PEER)) == (0, "", "")
    asked = fake.requests()
    assert f"preshared_key={'00' * 32}\npersistent_keepalive_interval=0\n" in asked
    assert "replace_peers" not in asked and "remove" not in asked


def test_files_on_a_real_device(device):
    """What setconf, addconf and syncconf leave behind is what wg's would have."""
    tools = device.tools
    full = tools.file("full", GOOD["all"])
    for command, name in (("setconf", "all"), ("addconf", "two lines"), ("syncconf", "v6"),
                          ("syncconf", "all"), ("setconf", "only peer"), ("addconf", "host bits")):
        path = tools.file("conf", GOOD[name])
        states = []
        for run in (tools.debian, tools.weft):
            run("setconf", "wg0", full)
            code, out, err = run(command, "wg0", path)
            assert (code, out) == (0, ""), err
            states.append(tools.debian("showconf", "wg0")[1].replace(
                *(f"ListenPort = {device.port()}", "ListenPort")))
        if not (command == "syncconf" and name == "v6"):  # see test_syncconf_clears_what_left
            assert states[0] == states[1]
    before = tools.debian("showconf", "wg0")
    assert tools.weft("setconf", "wg0", tools.file("bad", BAD["line 7"]))[0] == 1
    assert tools.debian("showconf", "wg0") == before


# ---- keys ----

def test_keys(tools):
    for command in ("genkey", "genpsk"):
        seen = set()
        for _ in range(8):
            code, out, err = tools.weft(command)
            assert (code, len(out), err) == (0, 45, "")
            seen.add(out)
        assert len(seen) == 8
    private = tools.weft("genkey")[1]
    for text in (private, private.strip(), private + "\n", private + " \t\n"):
        assert tools.same("pubkey", input=text)[0] == 0
        assert tools.weft("pubkey", input=text) == tools.debian("pubkey", input=text)
    for text in ("", "\n", "abc\n", private.strip() + "x", private + "x", " " + private,
                 private[:-3] + "==\n", "=" * 44):
        theirs, ours = tools.debian("pubkey", input=text), tools.wg("pubkey", input=text)
        assert ours == theirs and ours[0] == 1
        code, out, err = tools.weft("pubkey", input=text)
        assert (code, out) == (1, "") and "expected" in err


def test_genkey_warns(tools):
    for program in ("/usr/bin/wg", wg.weft()):
        path = tools.file("key", "")
        os.chmod(path, 0o644)
        assert "world accessible" in tools.host.sh(f"{program} genkey >{path}").stderr
        os.chmod(path, 0o600)
        assert tools.host.sh(f"{program} genkey >{path}").stderr == ""
    assert tools.host.run("/bin/sh", "-c", f"{wg.weft()} genkey >/dev/full",
                          check=False).returncode == 1
    assert tools.host.run("/bin/sh", "-c", f"{wg.weft()} help >/dev/full",
                          check=False).returncode == 1
