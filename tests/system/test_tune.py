# SPDX-License-Identifier: Apache-2.0
# `weft tune` on real devices: what it shows, changes and puts back, and what it refuses. The NICs are
# veth with several queues; what other machines would be told is in tests/unit/host.
import json

import pytest

from conftest import DUT
from lib import wg

pytestmark = pytest.mark.skipif(DUT != "weftd", reason="weft's own")

STATE = "/run/weft/tune/wg0.json"
QUEUES = "/sys/class/net/eth0/queues"
N = 4


def online():
    with open("/sys/devices/system/cpu/online") as f:
        text = f.read().strip()
    return [n for part in text.split(",") for low, _, high in [part.partition("-")]
            for n in range(int(low), int(high or low) + 1)]


def best():
    """The masks of N transmit queues that are to be had here: processor after processor in turn."""
    cpus = online()
    return [sum(1 << cpu for cpu in cpus[i::N]) for i in range(N)]


needs_processors = pytest.mark.skipif(len(online()) < 2, reason="one processor")


class World:
    def __init__(self, net):
        self.h, other = net.host(), net.host()
        queues = f"numtxqueues {N} numrxqueues {N}".split()
        self.h.run("ip", "link", "add", "eth0", *queues, "type", "veth", "peer", "name", "eth0",
                   *queues, "netns", other.pid)
        self.h.ip("addr add 192.0.2.1/24 dev eth0", "link set eth0 up")
        self.wg = wg.Daemon(self.h, DUT).setup(["10.0.0.1/24"])
        self.wg.set("listen_port=51820")
        self.peer("192.0.2.2")

    def peer(self, address):
        self.h.run(wg.weft(), "set", "wg0", "peer", wg.Key().public64, "endpoint",
                   wg.endpoint(address, 51820))

    def tune(self, *words, code=0):
        done = self.h.run(wg.weft(), "tune", *words, check=False)
        assert done.returncode == code, done.stdout + done.stderr
        self.said = done.stderr
        return done.stdout

    def rows(self, on, setting):
        shown = json.loads(self.tune("--json", "wg0"))
        return [r for r in shown["settings"] if r["on"] == on and r["setting"] == setting]

    def masks(self):
        return [int(self.read(f"{QUEUES}/tx-{i}/xps_cpus").replace(",", ""), 16) for i in range(N)]

    def write(self, path, text):
        self.h.run("tee", path, input=text)

    def read(self, path):
        """None where there is no such file."""
        done = self.h.run("cat", path, check=False)
        return done.stdout.strip() if done.returncode == 0 else None


@pytest.fixture
def world(net):
    return World(net)


@needs_processors
def test_shows(world):
    before = world.masks()
    table = world.tune("wg0")
    assert "wg0: carried by eth0; processors " in table
    assert f"{N} rx, {N} tx" in table and "xps_cpus tx-0" in table and "scaling.rst" in table
    assert "weft tune --apply wg0 makes" in table and "weft tune --revert" not in table
    shown = json.loads(world.tune("--json", "wg0"))
    assert shown["carriers"] == ["eth0"] and shown["applied"] is False
    for i, row in enumerate(world.rows("eth0", "xps_cpus")):
        assert (row["part"], row["now"]) == (f"tx-{i}", "none")
        assert (row["better"] is not None) == row["applies"] == (best()[i] != 0)
        assert not row["applies"] or "XPS" in row["why"]
    assert [r["better"] for r in world.rows("eth0", "rps_cpus")] == [None] * N
    for row in world.rows("host", "weftd's receive buffer"):
        assert int(row["now"]) >= 7 << 20
    assert world.masks() == before == [0] * N and world.read(STATE) is None


@needs_processors
def test_apply_and_revert(world):
    world.tune("--apply", "wg0")
    assert world.masks() == best()
    state = world.read(STATE)
    assert world.tune("--apply", "wg0") == "Nothing to change.\n"
    assert world.read(STATE) == state
    table = world.tune("wg0")
    assert "Nothing to change." in table and "weft tune --revert wg0" in table
    assert json.loads(world.tune("--json", "wg0"))["applied"] is True
    world.tune("--revert", "wg0")
    assert world.masks() == [0] * N and world.read(STATE) is None
    assert world.tune("--revert", "wg0") == "Nothing to put back.\n"


@needs_processors
def test_json_of_changes(world):
    done = json.loads(world.tune("--json", "--apply", "wg0"))
    assert {c["outcome"] for c in done["changes"]} == {"changed"}
    assert done["changes"][0]["path"] == f"{QUEUES}/tx-0/xps_cpus"
    done = json.loads(world.tune("--revert", "--json", "wg0"))
    assert {c["outcome"] for c in done["changes"]} == {"changed"}
    assert json.loads(world.tune("--revert", "--json", "wg0"))["changes"] == []


@needs_processors
def test_changed_since(world):
    """What somebody else has set since stays, and they are told."""
    world.tune("--apply", "wg0")
    other = best()[0] ^ (1 << online()[1])
    world.write(f"{QUEUES}/tx-0/xps_cpus", f"{other:x}\n")
    world.tune("--revert", "wg0")
    assert "tx-0/xps_cpus: somebody has made it" in world.said
    assert world.masks() == [other] + [0] * (N - 1) and world.read(STATE) is None


@needs_processors
def test_revert_without_the_interface(world):
    """The tunnel has gone, and with a device its settings."""
    world.tune("--apply", "wg0")
    world.wg.stop()
    world.h.ip("link set eth0 name eth1")
    world.tune("--revert", "wg0")
    assert "not there any more" in world.said and world.read(STATE) is None


@needs_processors
def test_tampered(world):
    world.tune("--apply", "wg0")
    good = world.read(STATE)
    victim = "/run/victim"
    world.write(victim, "mine\n")
    for old, new, said in (('"eth0"', '"../../../run"', "not an interface's name"),
                           ('"xps_cpus"', f'"{victim}"', "not a setting that weft tune changes"),
                           ('"wg0"', '"wg1"', "not what weft tune has written for this interface"),
                           ("}", "", "not JSON")):
        world.write(STATE, good.replace(old, new))
        for verb in ("--apply", "--revert"):
            world.tune(verb, "wg0", code=1)
            assert said in world.said and STATE in world.said
        assert world.masks() == best() and world.read(victim) == "mine"
    world.write(STATE, good)
    world.h.run("chmod", "666", STATE)
    world.tune("--revert", "wg0", code=1)
    assert "others than this user may write to it" in world.said
    world.h.run("chmod", "600", STATE)
    world.tune("--revert", "wg0")
    assert world.masks() == [0] * N


def test_only_for_root(world):
    world.h.sh(f"cp {wg.weft()} /run/copy; chmod 755 /run/copy")
    done = world.h.run("setpriv", "--reuid", "65534", "--clear-groups", "/run/copy", "tune",
                       "--revert", "wg0", check=False)
    assert done.returncode == 1 and "run as root" in done.stderr


@pytest.mark.parametrize("words, said", [
    ((), "Usage: weft tune"),
    (("wg0", "wg1"), "expected one interface"),
    (("--aply", "wg0"), "did you mean --apply?"),
    (("--apply", "--revert", "wg0"), "one of them at a time"),
    (("--json",), "expected an interface"),
    (("--revert", "../wg0"), "expected the name of an interface"),
    (("--revert", ""), "expected the name of an interface"),
    (("nothere",), "Unable to access interface nothere"),
    (("--apply", "eth0"), "Unable to access interface eth0"),
])
def test_bad_words(world, words, said):
    world.tune(*words, code=1)
    assert said in world.said
    assert world.masks() == [0] * N and world.read("/run/weft") is None


def test_no_endpoint(world):
    """Without a route to any peer there is nothing to look at but the host."""
    world.h.ip("link set eth0 down")
    assert "nothing carries it" in world.tune("wg0")
    assert json.loads(world.tune("--json", "wg0"))["carriers"] == []
    assert world.tune("--apply", "wg0") == "Nothing to change.\n"


def test_below_a_bond(world):
    """What a bond or a bridge is made of is looked at, not itself."""
    h = world.h
    done = h.run("ip", "link", "add", "bond0", "type", "bond", check=False)
    if done.returncode:
        done = h.run("ip", "link", "add", "bond0", "type", "bridge", check=False)
    if done.returncode:
        pytest.skip("the kernel has neither bonds nor bridges")
    h.ip("link set eth0 down", "addr flush dev eth0")
    h.ip("link set eth0 master bond0", "addr add 192.0.2.1/24 dev bond0", "link set eth0 up",
         "link set bond0 up")
    world.peer("192.0.2.3")
    assert json.loads(world.tune("--json", "wg0"))["carriers"] == ["eth0"]
