# SPDX-License-Identifier: Apache-2.0
# `weft up` and `weft down` beside Debian's wg-quick(8): the same files on the same host must leave
# the same links, addresses, routes, rules and nft ruleset, and nothing once they are down.
import os
import re
import signal

import pytest

from conftest import DUT
from lib import traffic, wait, wg
from test_wgquick import Net, Quick

V4, V6 = "10.99.0.1/24", "fd99::1/64"
# name: (lines of [Interface], allowed IPs)
FILES = {
    "usual": (f"Address = {V4}", "10.99.0.2/32"),
    "no_address": ("", "10.99.0.2/32"),
    "nothing": ("", ""),
    "v6_alone": (f"Address = {V6}", "fd99::2/128"),
    "both": (f"Address = {V4}, {V6}", "10.99.0.0/24, fd99::/64, 10.98.0.0/16"),
    "host_addresses": ("Address = 10.99.0.1\nAddress=fd99::1", "10.99.0.1/32, fd99::1/128"),
    "many_addresses": (f"Address = {V4}\nAddress = 10.97.0.1/16,10.96.0.1/31", "10.97.5.0/24"),
    "mtu": (f"Address = {V4}\nMTU = 1333", "10.98.0.0/16"),
    "table_off": (f"Address = {V4}\nTable = off", "0.0.0.0/0, 10.98.0.0/16"),
    "table_auto": (f"Address = {V4}\nTable = auto", "10.98.0.0/16"),
    "table_123": (f"Address = {V4}, {V6}\nTable = 123", "0.0.0.0/0, ::/0, 10.99.0.0/24"),
    "table_1000": (f"Address = {V4}\nTable = 1000", "10.98.0.0/16"),
    "table_main": (f"Address = {V4}\nTable = main", "10.98.0.0/16"),
    "default_v4": (f"Address = {V4}", "0.0.0.0/0"),
    "default_v6": (f"Address = {V6}", "::/0"),
    "defaults": (f"Address = {V4}, {V6}, 10.97.0.1/32", "0.0.0.0/0, ::/0, 10.98.0.0/16"),
    "default_without_address": ("", "0.0.0.0/0, ::/0"),
    "default_and_mark": (f"Address = {V4}\nFwMark = 0x1234", "0.0.0.0/0"),
    "mark": (f"Address = {V4}\nFwMark = 77", "10.98.0.0/16"),
    # with a mark of its own: weft refuses what would lead its packets back into the tunnel
    "halves": (f"Address = {V4}\nFwMark = 77", "0.0.0.0/1, 128.0.0.0/1"),
    "overlapping": (f"Address = {V4}", "10.0.0.0/8, 10.98.0.0/16, 10.98.7.0/24, 10.98.7.7/32"),
    "host_bits": (f"Address = {V4}", "10.98.0.7/16"),
    "dns": (f"Address = {V4}\nDNS = 10.99.0.53, a.example, fd99::53 b.example", "10.98.0.0/16"),
    "search_alone": (f"Address = {V4}\nDNS = a.example", "10.98.0.0/16"),
    "hooks": (f"Address = {V4}\nPreUp = echo preup %i >>/run/hooks; x=1\n"
              "PostUp = echo $((1+1)) %i%i >>/run/hooks\nPreDown = echo a | cat >>/run/hooks\n"
              "PostDown = echo postdown %i >>/run/hooks\nPostDown = echo last >>/run/hooks",
              "10.98.0.0/16"),
}


class Tool(Quick):
    """wg-quick, or weft under that name or its own, with the same environment."""

    def __init__(self, host, *command):
        super().__init__(host)
        self.command = command

    def start(self, *args, out):
        env = dict(os.environ, WG_QUICK_USERSPACE_IMPLEMENTATION=wg.PROGRAMS[DUT](),
                   PATH=f"{self.dir}:{os.environ['PATH']}", LC_ALL="C")
        return self.host.popen(*self.command, *args, stdout=out, stderr=out, env=env)

    def __call__(self, *args, check=True):
        with open(self.host.network.file("tool.out"), "w+") as f:
            self.code = self.start(*args, out=f).wait(180)
            f.seek(0)
            text = f.read()
        assert not check or self.code == 0, text
        return text


class World(Net):
    def __init__(self, net):
        super().__init__(net)
        alias = net.file("wg-quick")
        os.symlink(wg.weft(), alias)
        self.theirs = Tool(self.a, "/usr/bin/wg-quick")
        self.ours = Tool(self.a, wg.weft())
        self.alias = Tool(self.a, alias)
        self.clean = self.host_state()

    def host_state(self):
        """Links, addresses, routes, rules, firewall and mark check of the client."""
        say = self.a.run
        links = "".join(re.findall(r"wg0: .*", say("ip", "link").stdout))
        links = re.sub(r"^(wg0:|.*qlen.*)", "", re.sub(r"qdisc.*", "", links))
        routes = [sorted(line.strip() for line in say("ip", f, "route", "show", "table", "all")
                         .stdout.splitlines()) for f in ("-4", "-6")]
        addresses = [re.sub(r"^\d+: ", "", line) for line in
                     say("ip", "-o", "address").stdout.splitlines() if " wg0 " in line]
        return {"link": links, "mtu": re.findall(r"wg0:.*mtu (\d+)", say("ip", "link").stdout),
                "addresses": addresses, "routes": routes,
                "rules": [say("ip", "-d", f, "rule").stdout for f in ("-4", "-6")],
                "nft": say("nft", "list", "ruleset").stdout}

    def whole_state(self):
        return dict(self.host_state(),
                    mark=self.a.run("sysctl", "-n", "net.ipv4.conf.all.src_valid_mark").stdout,
                    conf=self.a.run("wg", "showconf", "wg0").stdout,
                    dns=self.ours.read("/run/resolvconf.input"))

    def reset(self):
        self.a.sh("rm -f /run/resolvconf.* /run/hooks")
        self.a.sysctl("net/ipv4/conf/all/src_valid_mark", 0)

    def file(self, name):
        interface, allowed = FILES[name]
        self.conf_of("ListenPort = 51821\n" + interface, allowed)

    def conf_of(self, interface, allowed, endpoint="198.51.100.1:51820"):
        self.quick.conf(f"[Interface]\nPrivateKey = {self.key.private64}\n{interface}\n[Peer]\n"
                        f"PublicKey = {self.wb.key.public64}\nEndpoint = {endpoint}\n" +
                        (f"AllowedIPs = {allowed}\n" if allowed else ""))

    def gone(self):
        wait.until(lambda: self.host_state() == self.clean, "all of it is gone")
        wait.until(lambda: not os.path.exists(self.a.path(f"{wg.SOCKET_DIR}/wg0.sock")),
                   "the daemon has ended")


@pytest.fixture
def world(net):
    return World(net)


@pytest.mark.parametrize("group", range(5))
def test_same_as_wg_quick(world, group):
    for name in list(FILES)[group::5]:
        seen = []
        for tool in (world.theirs, world.ours, world.alias):
            world.reset()
            world.file(name)
            said = tool("up", "wg0")
            assert ("[#] " in said) == (tool is not world.ours)
            state = world.whole_state()
            tool("down", "wg0")
            world.gone()
            seen.append((state, tool.read("/run/resolvconf.calls"), tool.read("/run/hooks")))
        for other in seen[1:]:
            for key in other[0]:
                assert other[0][key] == seen[0][0][key], f"{name}: {key}"
            assert other[1:] == seen[0][1:], name


def test_other_takes_down(world):
    """What one brings up the other takes down."""
    for up, down in ((world.theirs, world.ours), (world.ours, world.theirs)):
        world.file("defaults")
        up("up", "wg0")
        down("down", "wg0")
        world.gone()


def test_full_tunnel(world):
    w = world
    w.conf("0.0.0.0/0, ::/0")
    w.ours("up", "wg0")
    traffic.until_reaches(w.a, "203.0.113.1")
    traffic.until_reaches(w.a, "2001:db8:3::1")
    traffic.tcp(w.a, w.i, "203.0.113.1", 1 << 20)
    w.ours("down", "wg0")
    w.gone()
    assert traffic.reaches(w.a, "203.0.113.1", deadline=15)


def test_mtu_of_the_way(world):
    """Of the route's own MTU, of the interface's, and of the default route without a peer."""
    w = world
    for route, endpoint, mtu in (("", "198.51.100.1:51820", "1420"),
                                 ("198.51.100.1 via 192.0.2.254 mtu 1400", "198.51.100.1:51820",
                                  "1320"),
                                 ("", "[2001:db8:2::1]:51820", "1420")):
        w.reset()
        if route:
            w.a.ip(f"route add {route}")
        for tool in (w.theirs, w.ours):
            w.conf_of(f"Address = {V4}", "10.98.0.0/16", endpoint)
            tool("up", "wg0")
            assert w.host_state()["mtu"] == [mtu]
            tool("down", "wg0")
            wait.until(lambda: not w.host_state()["mtu"], "it is gone")
        if route:
            w.a.ip(f"route del {route}")


@pytest.mark.parametrize("line, said", [
    ("PreUp = false # secret", "wg0.conf:4:9: the hook PreUp ended with 1 (bash runs it"),
    ("PostUp = true\nPostUp=  false", "wg0.conf:5:10: the hook PostUp ended with 1 (bash runs it"),
    ("PostUp = true | false | true", "ended with 1"),
    ("Address = 10.99.0.1/24", "File exists"),
    ("Table = nosuch", "No such file"),
    ("DNS = 10.0.0.1\nPostUp = false", "ended with 1"),
    ("Adress = 1.2.3.4", ":4:1: [Interface] has no key"),
])
def test_failure_leaves_nothing(world, line, said):
    w = world
    for tool in (w.ours, w.alias):
        w.reset()
        w.conf_of(f"Address = {V4}\n{line}", "0.0.0.0/0, ::/0, 10.98.0.0/16")
        text = tool("up", "wg0", check=False)
        assert tool.code == 1 and said in text, text
        if tool is w.ours:
            assert "secret" not in text
        w.gone()
        if line.startswith("DNS"):
            assert "-d wg0" in tool.read("/run/resolvconf.calls")


def test_interrupted(world):
    """SIGTERM in a hook: all is taken down again."""
    w = world
    w.conf_of(f"Address = {V4}\nPostUp = touch /run/here; sleep 5 # long enough", "0.0.0.0/0")
    with open(w.a.network.file("out"), "w") as f:
        proc = w.ours.start("up", "wg0", out=f)
        wait.until(lambda: os.path.exists(w.a.path("/run/here")), "the hook runs")
        proc.send_signal(signal.SIGTERM)
        assert proc.wait(60) == 1
    w.gone()


@pytest.mark.parametrize("endpoints", [1, 2])
def test_interrupted_while_it_asks_for_a_name(world, monkeypatch, endpoints):
    w = world
    monkeypatch.setenv("WG_ENDPOINT_RESOLUTION_RETRIES", "infinity")
    w.conf_of(f"Address = {V4}", "10.98.0.0/16",
              "\nEndpoint = ".join(["a.example:51820", "b.example:51820"][:endpoints]))
    path = w.a.network.file("asks")
    with open(path, "w") as f:
        proc = w.ours.start("up", "wg0", out=f)
        wait.until(lambda: "Trying again" in open(path).read(), "it tries again")
        proc.send_signal(signal.SIGTERM)
        assert proc.wait(60) == 1
    w.gone()


def test_twice(world):
    w = world
    w.file("usual")
    w.ours("up", "wg0")
    state = w.whole_state()
    for tool in (w.ours, w.theirs):
        assert "`wg0' already exists" in tool("up", "wg0", check=False)
        assert tool.code == 1
        assert w.whole_state() == state
    w.ours("down", "wg0")
    w.gone()
    for tool in (w.ours, w.theirs):
        assert "`wg0' is not a WireGuard interface" in tool("down", "wg0", check=False)
        assert tool.code == 1


def test_failing_hooks_of_down(world):
    """Before: all stays. After: it is gone, and the exit code says so."""
    w = world
    w.file("usual")
    w.ours("up", "wg0")
    w.conf_of(f"Address = {V4}\nPreDown = exit 7", "10.99.0.2/32")
    assert "wg0.conf:4:11: the hook PreDown ended with 7" in w.ours("down", "wg0", check=False)
    assert w.ours.code == 1 and w.host_state()["mtu"]
    w.conf_of(f"Address = {V4}\nPostDown = exit 7", "10.99.0.2/32")
    w.ours("down", "wg0", check=False)
    assert w.ours.code == 1
    w.gone()


def test_name_servers_that_left_the_file(world):
    w = world
    w.conf_of(f"Address = {V4}\nDNS = 10.0.0.1", "10.99.0.2/32")
    w.ours("up", "wg0")
    w.conf_of(f"Address = {V4}", "10.99.0.2/32")
    w.ours("down", "wg0")
    w.gone()
    assert "-d wg0" in w.ours.read("/run/resolvconf.calls")


def test_no_resolvconf(world):
    w = world
    os.unlink(os.path.join(w.ours.dir, "resolvconf"))
    w.a.sh("mkdir /run/bin; for p in bash weftd; do ln -s $(command -v $p) /run/bin/; done || true")
    w.conf_of(f"Address = {V4}\nDNS = 10.0.0.1", "10.99.0.2/32")
    done = w.a.run(wg.weft(), "up", "-v", "wg0", check=False,
                   env={"PATH": "/run/bin", "WG_QUICK_USERSPACE_IMPLEMENTATION": wg.PROGRAMS[DUT]()})
    assert done.returncode == 0 and "there is no resolvconf here, and no resolvectl" in done.stderr
    assert "[#] ip -4 address add 10.99.0.1/24 dev wg0" in done.stderr
    w.ours.dir = "/nonexistent"
    done = w.a.run(wg.weft(), "down", "wg0", check=False, env={"PATH": "/run/bin"})
    assert done.returncode == 0 and not done.stderr
    w.gone()


def test_resolvectl(world):
    """Where there is no resolvconf: a double, which takes what resolvectl(1) does."""
    w = world
    os.unlink(os.path.join(w.ours.dir, "resolvconf"))
    w.a.sh("mkdir /run/bin; for p in bash weftd; do ln -s $(command -v $p) /run/bin/; done || true")
    w.a.sh("""cat >/run/bin/resolvectl <<'END'
#!/bin/bash
case $1 in dns|domain|revert) [ -n "$2" ] && echo "$*" >>/run/resolvectl.calls ;; *) exit 1 ;; esac
END
chmod +x /run/bin/resolvectl""")
    env = {"PATH": "/run/bin", "WG_QUICK_USERSPACE_IMPLEMENTATION": wg.PROGRAMS[DUT]()}
    w.conf_of(f"Address = {V4}\nDNS = 10.0.0.1, fd00::53, corp.example", "10.99.0.2/32")
    done = w.a.run(wg.weft(), "up", "wg0", env=env)
    assert not done.stderr
    calls = w.ours.read("/run/resolvectl.calls").splitlines()
    assert calls == ["dns wg0 10.0.0.1 fd00::53", "domain wg0 corp.example ~."]
    w.conf_of(f"Address = {V4}\nDNS = 10.0.0.2", "10.99.0.2/32")
    w.a.run(wg.weft(), "reload", "wg0", env=env)
    w.a.run(wg.weft(), "down", "wg0", env=env)
    calls = w.ours.read("/run/resolvectl.calls").splitlines()[2:]
    assert calls[:2] == ["dns wg0 10.0.0.2", "domain wg0 ~."], calls
    assert calls[-1] == "revert wg0"
    w.gone()


def test_table_that_is_taken(world):
    w = world
    w.a.ip("route add 10.1.0.0/16 via 192.0.2.254 table 51820")
    w.a.ip("-6 route add fd01::/64 via 2001:db8:1::ff table 51821")
    clean = w.host_state()
    seen = []
    for tool in (w.theirs, w.ours):
        w.file("defaults")
        tool("up", "wg0")
        seen.append(w.host_state())
        assert "lookup 51822" in seen[-1]["rules"][0]
        tool("down", "wg0")
        wait.until(lambda: w.host_state() == clean, "all of it is gone")
    assert seen[0] == seen[1]
