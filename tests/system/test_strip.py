# SPDX-License-Identifier: Apache-2.0
# `weft strip` beside Debian's wg-quick(8), on the same files: called by the name wg-quick it must
# give the same bytes on stdout and stderr and the same exit code; called weft, the same stdout.
import os
import random
import subprocess

import pytest

from lib import wg

SEED = int(os.environ.get("WEFT_SYSTEM_SEED", "0")) or random.SystemRandom().getrandbits(32)
KEY, PEER = (wg.Key(bytes([n]) * 32) for n in (1, 2))
IF = f"[Interface]\nPrivateKey = {KEY.private64}\n"
TO = f"\n[Peer]\nPublicKey = {PEER.public64}\nAllowedIPs = 10.0.0.2/32\n"

FILES = {
    "usual": IF + "Address = 10.0.0.1/24\nListenPort = 51820\n" + TO,
    "no_address": IF + TO,
    "v6_alone": IF + "Address = fd00::1/64\n" + TO,
    "both_families": IF + "Address = 10.0.0.1/24, fd00::1/64\n" + TO,
    "many_addresses": IF + "Address = 10.0.0.1\nAddress=10.0.1.1/24,10.0.2.1\nAddress =\n" + TO,
    "table_off": IF + "Table = off\n" + TO,
    "table_auto": IF + "Table = auto\n" + TO,
    "table_number": IF + "Table = 123\n" + TO,
    "table_name": IF + "Table = main\n" + TO,
    "two_defaults": IF + TO.replace("10.0.0.2/32", "0.0.0.0/0, ::/0"),
    "default_twice": IF + TO.replace("10.0.0.2/32", "0.0.0.0/0") +
    TO.replace("10.0.0.2/32", "0.0.0.0/0"),
    "overlapping": IF + TO.replace("10.0.0.2/32", "10.0.0.0/8, 10.0.0.0/16, 10.0.0.5"),
    "hooks": IF + "PreUp = true\nPostUp = iptables -A FORWARD -i %i -j ACCEPT; x=1\n"
    "PostUp = second\nPreDown = a\nPostDown = b\n" + TO,
    "hooks_with_hash": IF + "PostUp = echo 1 # two\nPostDown = # three\n#PostUp = four\n"
    "PreUp # = five\n" + TO,
    "dns": IF + "DNS = 1.1.1.1, example.org 2606:4700::1111\nDNS=\n" + TO,
    "mtu": IF + "MTU = 1380\nMTU = \n" + TO,
    "save": IF + "SaveConfig = true\n" + TO,
    "save_in_capitals": IF + "saveconfig = FALSE # x\n" + TO,
    "save_wrong": IF + "SaveConfig = yes # x\n" + TO,
    "save_empty": IF + "SaveConfig =\n" + TO,
    "save_bare": IF + "SaveConfig\n" + TO,
    "any_case": "[iNTERFACE]\nPRIVATEKEY = x\naddress = 1\nmTu=5\nPOSTUP=x\n[pEER]\nADDRESS = y\n",
    "crlf": (IF + "Address = 10.0.0.1/24\nPostUp = x\n" + TO).replace("\n", "\r\n"),
    "comments": "# a file\n" + IF + "Address = 10.0.0.1 # here\nListenPort = 5 # there\n  # alone\n" + TO,
    "indented": "\t [Interface] \t\n   ListenPort =  5 \t\n\tMTU\t=\t5\n" + TO,
    "vertical_space": IF + "\v ListenPort = 5 \f\n\fMTU\v=5\n" + TO,
    "keys_with_spaces": IF + "M TU = 5\nListen Port = 5\n[ Interface ]\nMTU = 6\n" + TO,
    "in_peer": IF + TO + "Address = 10.0.0.1\nMTU = 5\nPostUp = x\n",
    "interface_again": IF + TO + "[Interface]\nAddress = 10.0.0.9\nListenPort = 5\n",
    "before_sections": "Address = 1\nMTU = 2\n" + IF + TO,
    "unknown": IF + "Adress = 10.0.0.1\nNoSuch = \\n %s $(id) `id` * \\\nX\n[Foo]\nMTU = 5\n" + TO,
    "section_with_value": "[Interface] = x\nMTU = 5\n[Interface]x\nMTU = 6\n[]\n",
    "keys_without_values": IF + "MTU\nAddress\nTable\nPostUp\nDNS\nListenPort\n" + TO,
    "no_newline": IF + TO + "PersistentKeepalive = 25",
    "blanks_at_end": IF + TO + " \t ",
    "empty": "",
    "one_newline": "\n",
    "only_blanks": "  \n\t\n  ",
    "options_of_echo": "-n\n",
    "only_ours": "[Interface]\nMTU = 5\n",
    "nul": IF + "M\0TU = 5\nListen\0Port = 5\n\0\n" + TO,
    "utf8": "# Größe\n" + IF + "ÄMTU = 5\nPostUp = echo ü\n" + TO,
    "latin1": b"# Gr\xf6\xdfe\n[Interface]\n\xe4MTU = 5\nMTU\xa0= 6\nPostUp = \xff\n",
    "equals": IF + "= 5\n==\nMTU==5\nPostUp=a=b=c\n",
}


class Strip:
    """wg-quick and weft under both of its names, on a host with an empty /etc/wireguard."""

    def __init__(self, net):
        self.host = net.host("a")
        self.dir = os.path.join(net.dir.name, "files")
        os.mkdir(self.dir, 0o700)
        self.tool = os.path.join(net.dir.name, "wg-quick")
        os.symlink(wg.weft(), self.tool)

    def file(self, text, name="wg0.conf", mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "wb") as f:
            f.write(text if isinstance(text, bytes) else text.encode())
        os.chmod(path, mode)
        return path

    def run(self, *args):
        """(exit code, stdout, stderr), in bytes."""
        # a host's programs begin in its root
        proc = self.host.popen("/bin/sh", "-c", 'cd "$0" && exec "$@"', self.dir, *args,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"})
        out, err = proc.communicate(timeout=60)
        return proc.returncode, out, err

    def same(self, *args):
        """Compares the tools and returns what they said."""
        theirs = self.run("/usr/bin/wg-quick", *args)
        assert self.run(self.tool, *args) == theirs
        return theirs

    def weft(self, *args):
        return self.run(wg.weft(), *args)


@pytest.fixture
def strip(net):
    return Strip(net)


@pytest.mark.parametrize("name", FILES)
def test_same_as_wg_quick(strip, name):
    path = strip.file(FILES[name])
    code, out, _ = strip.same("strip", path)
    assert code == (1 if name in ("save_wrong", "save_empty", "save_bare") else 0)
    ours = strip.weft("strip", path)
    assert ours[:2] == (code, out)
    if code:
        assert f"{path}:3:".encode() in ours[2] and b'"true" or "false"' in ours[2]


def test_random_files(strip):
    """Pieces of files in any order."""
    print(f"WEFT_SYSTEM_SEED={SEED}")
    rng = random.Random(SEED)
    pieces = ["[Interface]", "[interface]", "[Peer]", "[", "]", "=", "#", " ", "\t", "\n", "\r\n",
              "\n", "\n", "\v", "\f", "\0", "Address", "mtu", "PostUp", "DNS", "Table",
              "SaveConfig", "true", "false", "x", "\\", "*", "%s", "'", '"', "$", "\x7f", "é"]
    stripped = 0
    for _ in range(150):
        text = "".join(rng.choice(pieces) for _ in range(rng.randrange(60)))
        if rng.random() < 0.7:
            text = "[Interface]\n" + text
        code, out, _ = strip.same("strip", strip.file(text))
        stripped += code == 0 and len(out) < len(text)
    assert stripped > 10


def test_finding_the_file(strip):
    strip.file(FILES["usual"])
    strip.file(FILES["mtu"], "wg_=+.-9.conf.conf")
    strip.file("", "1234567890123456.conf")
    strip.file("", "a b.conf")
    strip.file("", "wg0.txt")
    strip.file("", ".conf")
    os.symlink("wg0.txt", os.path.join(strip.dir, "link.conf"))
    os.symlink("nothing", os.path.join(strip.dir, "dangling.conf"))
    strip.host.run("tee", "/etc/wireguard/wg7.conf", input=FILES["table_off"])
    strip.host.run("chmod", "600", "/etc/wireguard/wg7.conf")
    found = 0
    for word in ("wg7", "wg0", "wg0.conf", "./wg0.conf", f"{strip.dir}/wg0.conf", "nosuch", "",
                 ".", "..", "./1234567890123456.conf", "1234567890123456", "./a b.conf", "wg0.txt",
                 "./wg0.txt", "./.conf", "./link.conf", "./dangling.conf", "--help", "-h",
                 "./wg_=+.-9.conf.conf", "./wg0.conf/x.conf", "/etc/wireguard/wg7.conf"):
        found += strip.same("strip", word)[0] == 0
    assert found == 6
    # a file that is here, but taken for an interface's name
    code, _, err = strip.weft("strip", "wg0.conf")
    assert code == 1 and b"./wg0.conf" in err


def test_world_accessible(strip):
    warned = 0
    for folder in (0o700, 0o705, 0o755, 0o701):
        for mode in (0o600, 0o604, 0o644, 0o601, 0o640):
            path = strip.file(IF, mode=mode)
            os.chmod(strip.dir, folder)
            code, _, err = strip.same("strip", path)
            assert code == 0
            warned += b"is world accessible" in err
            assert strip.weft("strip", path)[2] == err
    assert warned == 7


def test_usage(strip):
    path = strip.file(IF)
    for args in ((), ("strip",), ("strip", path, "x"), ("nosuch", path), ("show", path)):
        theirs, ours = strip.run("/usr/bin/wg-quick", *args), strip.run(strip.tool, *args)
        assert ours[:2] == theirs[:2] == (1, b"")
        assert ours[2].startswith(b"Usage: wg-quick ")
    for args in (("help",), ("--help",), ("-h",)):
        theirs, ours = strip.run("/usr/bin/wg-quick", *args), strip.run(strip.tool, *args)
        assert ours[:2] == theirs[:2] == (0, b"")
    assert strip.weft("strip", "--help")[0] == 0
    assert strip.weft("strip")[0] == 1
    os.symlink(wg.weft(), os.path.join(strip.dir, "wg"))
    assert b"Invalid subcommand" in strip.run("./wg", "strip", path)[2]


def test_weft_warns(strip):
    """What is let through is named; what is right is not."""
    for text, place, said in (
            (IF + "Adress = 10.0.0.1\n", "3:1", "did you mean Address?"),
            (IF + "Table = Off\n", "3:9", "it is written off"),
            (IF + TO + "MTU = 1400\n", "7:1", "MTU belongs to [Interface]"),
            (IF + "DNS = 1.1.1\n", "3:7", "an IPv4 or IPv6 address")):
        path = strip.file(text)
        code, _, err = strip.weft("strip", path)
        assert code == 0
        assert err.decode().startswith(f"Warning: {path}:{place}: ") and said in err.decode()
        assert strip.same("strip", path)[2] == b""
    for name in ("usual", "hooks_with_hash", "both_families", "two_defaults", "crlf", "comments"):
        text = FILES[name].replace("PreUp # = five\n", "")
        assert strip.weft("strip", strip.file(text))[::2] == (0, b""), name


def test_stripped_file_is_taken(strip):
    """What strip prints is for setconf, syncconf and addconf."""
    daemon = wg.Daemon(strip.host, "weftd")
    strip.file(FILES["hooks_with_hash"].replace("PreUp # = five\n", "") + "PersistentKeepalive = 7")
    strip.host.sh(f"{wg.weft()} strip {strip.dir}/wg0.conf | {wg.weft()} setconf wg0 /dev/stdin")
    assert daemon.host.run("wg", "show", "wg0", "peers").stdout.strip() == PEER.public64
    assert "7" in daemon.host.run("wg", "show", "wg0", "persistent-keepalive").stdout
