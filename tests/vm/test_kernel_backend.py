# SPDX-License-Identifier: Apache-2.0
"""`weft` beside Debian's wg on interfaces of the kernel, in the guest. Called by the name wg it
gives the same bytes and exit code; what it sets, and what wg sets, leave the same state behind."""

import base64
import json
import os

import pytest

from lab import WEFT, WEFTD, Lab, new_keypair

pytestmark = pytest.mark.skipif(
    os.path.basename(WEFT) == "wg" or os.path.basename(WEFTD) != "weftd", reason="not of weft")

FIELDS = ["public-key", "private-key", "listen-port", "fwmark", "peers", "preshared-keys",
          "endpoints", "allowed-ips", "latest-handshakes", "persistent-keepalive", "transfer",
          "dump"]
PRIVATE, PUBLIC = new_keypair()
K1, K2, K3 = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2, 3))
PSK = base64.b64encode(bytes([17]) * 32).decode()

# wa is set up by wg, wb by weft. `same` compares all that the two say, `alike` the two interfaces.
LIB = """
say() { echo "$*"; exit 1; }
run_wg() { (PATH=/bin; wg "$@"); }
run_as_wg() { (PATH=/tmp/ours:/bin; wg "$@"); }
same() {
	run_wg "$@" >/tmp/o1 2>/tmp/e1; c1=$?
	run_as_wg "$@" >/tmp/o2 2>/tmp/e2; c2=$?
	[ $c1 = $c2 ] && cmp /tmp/o1 /tmp/o2 && cmp /tmp/e1 /tmp/e2 ||
		say "wg $*: $c1, $c2: $(cat /tmp/o1 /tmp/e1) --- $(cat /tmp/o2 /tmp/e2)"
}
alike() {
	wg show wa dump >/tmp/da; wg show wb dump >/tmp/db; weft show wa dump >/tmp/dw
	cmp /tmp/da /tmp/db || say "$*: $(cat /tmp/da) --- $(cat /tmp/db)"
	cmp /tmp/da /tmp/dw || say "$*: $(cat /tmp/da) --- $(cat /tmp/dw)"
}
fresh() {
	ip link del wa 2>/dev/null; ip link del wb 2>/dev/null
	ip link add wa type wireguard && ip link add wb type wireguard || say "no interfaces"
}
"""


class Kernel:
    """The guest's shell, with the functions above at hand."""

    def __init__(self, guest):
        self.guest = guest
        self.run("mkdir -p /tmp/ours; ln -sf /bin/weft /tmp/ours/wg; fresh")

    def run(self, script, timeout=120, check=True):
        return self.guest.run(LIB + script, timeout=timeout, check=check)

    def file(self, name, text):
        self.guest.run(f"cat >/tmp/{name} <<'END'\n{text}END")
        return f"/tmp/{name}"


@pytest.fixture(scope="module", name="lab")
def lab_():
    """A guest without the tunnels of the other tests: what there is is listed here."""
    with Lab() as it:
        yield it


@pytest.fixture(name="kernel")
def kernel_(lab):
    kernel = Kernel(lab.guest)
    kernel.file("private", PRIVATE + "\n")
    kernel.file("psk", PSK + "\n")
    yield kernel
    kernel.run("ip link del wa; ip link del wb", check=False)


FULL = f"""[Interface]
PrivateKey = {PRIVATE}
ListenPort = 51999
FwMark = 0x20

[Peer]
PublicKey = {K1}
PresharedKey = {PSK}
AllowedIPs = 10.0.0.0/24, fd00::/64, 10.1.0.0/16
Endpoint = 192.0.2.1:7
PersistentKeepalive = 25

[Peer]
PublicKey = {K2}
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = [2001:db8::1]:51820
"""


# ---- show

def test_show_in_every_form(kernel):
    kernel.file("full", FULL)
    kernel.run("""
        wg setconf wa /tmp/full
        same; same show; same show wa; same show all; same showconf wa; same showconf wb
        same show interfaces
        for f in %s; do
            same show wa $f; same show wb $f; same show all $f
            [ "$(weft show wa $f)" = "$(wg show wa $f)" ] || say weft show $f
        done""" % " ".join(FIELDS))
    doc = json.loads(kernel.run("weft show wa --json").out)["interfaces"][0]
    assert (doc["public_key"], doc["listen_port"], doc["fwmark"]) == (PUBLIC, 51999, 32)
    assert [p["public_key"] for p in doc["peers"]] == [K1, K2]
    assert doc["peers"][0]["allowed_ips"] == ["10.0.0.0/24", "fd00::/64", "10.1.0.0/16"]
    assert PSK not in json.dumps(doc) and PRIVATE not in json.dumps(doc)


def test_show_after_a_handshake(tunnel):
    tunnel.guest_knows_host()
    tunnel.ping_from_guest()
    Kernel(tunnel.lab.guest).run(f"""
        for i in 1 2 3 4 5 6; do  # a keepalive may go out between two programs
            [ $i = 6 ] && say differs
            wg show {tunnel.guest_if} dump >/tmp/1; weft show {tunnel.guest_if} dump >/tmp/2
            cmp /tmp/1 /tmp/2 && break
        done
        [ "$(cut -f 5 /tmp/2 | tail -n 1)" -gt 0 ] || say no handshake""")


# ---- set

SETS = [
    "listen-port 51821", "listen-port 0 listen-port 7", "fwmark 0xff", "fwmark off",
    "private-key /dev/null", "private-key /tmp/private fwmark 5",
    f"peer {K3}", f"peer {K1} remove", f"peer {K3} remove", f"peer {PUBLIC}",
    f"peer {K2} preshared-key /tmp/psk", f"peer {K1} preshared-key /dev/null",
    f"peer {K1} endpoint 198.51.100.1:65535", f"peer {K1} endpoint [2001:db8::7]:1",
    f"peer {K3} endpoint [fe80::1%eth0]:5", f"peer {K1} persistent-keepalive off",
    f"peer {K2} persistent-keepalive 65535", f"peer {K1} allowed-ips ''",
    f"peer {K2} allowed-ips 10.0.0.0/24",  # moves
    f"peer {K3} allowed-ips 10.9.0.0/16,10.9.0.0/24,fd09::/16,10.9.0.1",
    f"peer {K1} allowed-ips 172.16.0.0/12 peer {K2} remove peer {K3} endpoint 1.2.3.4:5 "
    "persistent-keepalive 9 preshared-key /tmp/psk allowed-ips 0.0.0.0/0",
]


def test_set_leaves_what_wg_leaves(kernel):
    kernel.file("full", FULL)
    kernel.run("\n".join(f"""
        fresh; wg setconf wa /tmp/full; wg setconf wb /tmp/full
        wg set wa {words} || say wg
        weft set wb {words} || say weft
        alike "{words}" """ for words in SETS), timeout=300)


def test_errors_are_those_of_wg(kernel):
    """An interface that is not there, one of another kind, and a port that another socket has."""
    kernel.file("full", FULL)
    kernel.run(f"""
        same show lo; same set lo fwmark 5; same syncconf lo /tmp/full  # not of WireGuard
        same show wx; same showconf wx; same set wx fwmark 5; same set wx peer {K1} remove
        same setconf wx /dev/null; same syncconf wx /tmp/full
        wg set wa listen-port 52999; ip link set wa up; ip link set wb up
        same set wb listen-port 52999
        run_as_wg set wb listen-port 52999 2>&1 | grep 'Address already in use' || say no error""")


def test_without_rights(kernel):
    kernel.file("full", FULL)
    kernel.run(f"""
        echo u:x:1000:1000::/:/bin/sh >/etc/passwd; chmod 644 /tmp/full
        run_wg() {{ su u -c "PATH=/bin; wg $*"; }}
        run_as_wg() {{ su u -c "PATH=/tmp/ours:/bin; wg $*"; }}
        same show interfaces; same show wa; same show; same set wa fwmark 5
        same syncconf wa /tmp/full; same show wa dump
        run_as_wg show wa 2>&1 | grep 'Operation not permitted' || say permitted""")


def test_what_the_kernel_cannot(kernel):
    done = kernel.run("weft set wa relay fast fwmark 9", check=False)
    assert done.code == 1 and "Operation not supported" in done.out
    assert kernel.run("wg show wa fwmark").out == "off\n"


# ---- allowed IPs one by one: newer than Debian's wg

SIGNED = [
    ("-10.0.0.0/24", "fd00::/64 10.1.0.0/16"),
    ("-fd00::/64,-10.1.0.0/16", "10.0.0.0/24"),
    ("-10.0.0.0/24,-10.1.0.0/16,-fd00::/64", ""),
    ("-10.0.0.0/25,-10.2.0.0/16", "10.0.0.0/24 fd00::/64 10.1.0.0/16"),  # has none of these
    ("-0.0.0.0/0", "10.0.0.0/24 fd00::/64 10.1.0.0/16"),  # the other peer's
    ("+10.3.0.0/16", "10.0.0.0/24 fd00::/64 10.1.0.0/16 10.3.0.0/16"),
    ("+10.3.0.0/16,-10.3.0.0/16,-10.1.0.0/16", "10.0.0.0/24 fd00::/64"),
    ("-10.1.0.0/16,+10.1.0.0/16,+10.4.0.0/16", "10.0.0.0/24 fd00::/64 10.1.0.0/16 10.4.0.0/16"),
]


def test_signed_allowed_ips(kernel):
    kernel.file("full", FULL)
    for signed, left in SIGNED:
        out = kernel.run(f"""
            fresh; wg setconf wa /tmp/full
            weft set wa peer {K1} allowed-ips {signed} || say failed
            wg show wa dump""").out
        _, first, second = (line.split("\t") for line in out.splitlines())
        assert first[0] == K1 and set(first[3].split(",")) == set((left or "(none)").split()), out
        # nothing else of it has changed, nor of the other
        assert (first[1], first[2], first[7]) == (PSK, "192.0.2.1:7", "25")
        assert second[3] == "0.0.0.0/0,::/0"


def test_take_away_where_there_is_nothing(kernel):
    """A peer that is not there is made, as without the sign; then there is nothing to take."""
    kernel.run(f"weft set wa peer {K3} allowed-ips -10.0.0.0/24 persistent-keepalive 5")
    assert kernel.run("wg show wa dump").out.splitlines()[1].split("\t")[3:8:4] == ["(none)", "5"]


# ---- files

FILES = {
    "empty": "", "full": FULL, "port": "[Interface]\nListenPort = 5\n",
    "peer": f"[Peer]\nPublicKey = {K2}\n",
    "host bits": f"[Peer]\nPublicKey = {K3}\nAllowedIPs = 10.7.0.1/24, fd07::1/64\n",
    "twice": f"[Peer]\nPublicKey = {K1}\nAllowedIPs = 10.0.0.0/8\n"
             f"[Peer]\nPublicKey = {K1}\nAllowedIPs = fd00::/8\n",
    "moved": f"[Peer]\nPublicKey = {K2}\nAllowedIPs = 10.0.0.0/24\n"
             f"[Peer]\nPublicKey = {K1}\nPresharedKey = {PSK}\nPersistentKeepalive = 3\n",
    "own key": f"[Interface]\nPrivateKey = {PRIVATE}\n[Peer]\nPublicKey = {PUBLIC}\n",
}


@pytest.mark.parametrize("command", ["setconf", "addconf", "syncconf"])
def test_files_leave_what_wg_leaves(kernel, command):
    kernel.file("full", FULL)
    for name, text in FILES.items():
        if command == "syncconf" and name in ("empty", "port", "peer", "twice"):
            continue  # Debian's wg keeps peers if there is none, and does not clear what has left
        kernel.file("conf", text)
        kernel.run(f"""
            fresh; wg setconf wa /tmp/full; wg setconf wb /tmp/full
            wg {command} wa /tmp/conf 2>/tmp/e1 || say wg
            run_as_wg {command} wb /tmp/conf 2>/tmp/e2 || say weft
            cmp /tmp/e1 /tmp/e2 || say stderr
            # ports that were left to the kernel are two
            p=$(wg show wa listen-port); wg set wa listen-port 9; wg set wb listen-port 9
            alike '{command} {name}'""")


def test_syncconf_keeps_sessions(tunnel):
    """And clears a keepalive that left the file."""
    tunnel.guest_knows_host()
    tunnel.set_on_guest("persistent-keepalive 100")
    tunnel.ping_from_guest()
    before = tunnel.guest_peer()
    assert before.keepalive == "100"
    tunnel.lab.guest.run(f"weft showconf {tunnel.guest_if} | grep -v Keepalive >/tmp/conf; "
                         f"weft syncconf {tunnel.guest_if} /tmp/conf")
    after = tunnel.guest_peer()
    assert after.handshake == before.handshake and after.keepalive == "off"
    tunnel.ping_from_guest()


# ---- many

# Peers with twenty allowed IPs each, but for the thousandth, which has 4,000: 2,000 of them are far
# more than a message of a device holds, and that one more than a message of a peer.
MANY = """
	BEGIN {
		print "[Interface]\\nPrivateKey = %s\\nListenPort = 51999\\n"
		for (p = 1; p <= peers; p++) {
			printf "[Peer]\\nPublicKey = %%042dA=\\nPersistentKeepalive = %%d\\n", p, p
			if (p %% 3 == 0)
				printf "PresharedKey = %%042dE=\\n", p
			if (p %% 2)
				printf "Endpoint = 192.0.2.%%d:%%d\\n", p %% 250, p
			else
				printf "Endpoint = [2001:db8::%%x]:%%d\\n", p, p
			n = p == 1000 ? 4000 : 20
			for (i = 0; i < n; i++) {
				if (i %% 2)
					printf "AllowedIPs = 10.%%d.%%d.%%d/32\\n", p / 100, i / 100 + (p %% 100) * 2, i %% 100
				else
					printf "AllowedIPs = fd00:%%x:%%x::/64\\n", p, i
			}
		}
	}
""" % PRIVATE


def test_dumps_and_changes_of_many_messages(kernel):
    kernel.file("many.awk", MANY)
    kernel.run("""
        awk -v peers=2000 -f /tmp/many.awk >/tmp/many
        wg setconf wa /tmp/many || say wg
        weft setconf wb /tmp/many || say weft
        alike; same show wa dump; same showconf wa; same show wb allowed-ips
        [ $(wc -l </tmp/dw) = 2001 ] || say lines
        weft show wa allowed-ips | tr '\\t' ' ' | awk '{ n += NF - 1 } END { print n }' >/tmp/n""",
               timeout=400)
    assert 40000 < int(kernel.run("cat /tmp/n").out) <= 43980
    # as it is already: nothing changes; then all but 500 leave
    kernel.run("""
        cp /tmp/dw /tmp/before
        weft syncconf wb /tmp/many && weft addconf wb /tmp/many || say sync
        alike
        head -n $(grep -n '^.Peer' /tmp/many | sed -n 501p | cut -d : -f 1) /tmp/many |
            sed '$d' >/tmp/few
        wg syncconf wa /tmp/few || say wg
        weft syncconf wb /tmp/few || say weft
        [ $(wg show wb peers | wc -l) = 500 ] || say peers
        alike""", timeout=400)


def test_a_long_list_taken_away(kernel):
    kernel.run(f"""
        list=$(awk 'BEGIN {{ for (i = 0; i < 3000; i++)
            printf "%s10.%d.%d.0/24", i ? "," : "", i / 100, i % 100 }}')
        gone=$(awk 'BEGIN {{ for (i = 0; i < 3000; i += 2)
            printf "%s-10.%d.%d.0/24", i ? "," : "", i / 100, i % 100 }}')
        weft set wa peer {K1} allowed-ips "$list" persistent-keepalive 5 || say set
        weft set wa peer {K1} allowed-ips "$gone" || say taken
        [ "$(wg show wa allowed-ips | tr ' ' '\\n' | wc -l)" = 1500 ] || say left
        wg show wa allowed-ips | grep -q '10[.]0[.]0[.]0/24' && say even
        wg show wa allowed-ips | grep -q '10[.]29[.]99[.]0/24' || say odd""", timeout=200)


def test_a_dump_that_changes_is_read_again(kernel):
    kernel.file("many.awk", MANY)
    kernel.run(f"""
        awk -v peers=400 -f /tmp/many.awk >/tmp/many; weft setconf wa /tmp/many
        rm -f /tmp/stop
        (i=0; while [ ! -e /tmp/stop ]; do
            i=$((i + 1)); wg set wa peer {K1} persistent-keepalive $((i % 9 + 1)); usleep 150000
        done) &
        sleep 1
        for i in 1 2 3 4 5 6 7 8; do
            n=$(weft show wa dump | cut -f 1 | sort -u | wc -l)
            [ "$n" = 402 ] || bad="$bad $n"
        done
        touch /tmp/stop; wait
        [ -z "$bad" ] || say peers:$bad""", timeout=200)


# ---- which of them

def test_backend_by_name(kernel):
    kernel.run("""
        weft show --backend kernel wa >/dev/null && weft show wa --backend=auto dump >/dev/null ||
            say there
        weft show --backend userspace wa && say not there
        weft set wa fwmark 5 --backend userspace && say not there
        [ "$(weft show interfaces --backend kernel)" = "wa wb" ] || say list
        [ "$(weft show interfaces --backend userspace)" = "" ] || say no list
        weft set --backend kernel wa fwmark 6 || say set
        [ "$(wg show wa fwmark)" = 0x6 ] || say mark""")
    done = kernel.run("weft show --backend other wa", check=False)
    assert done.code == 1 and "expected auto, kernel or userspace" in done.out
    assert kernel.run("run_as_wg show --backend kernel", check=False).code == 1


def test_a_name_that_both_have(kernel):
    """weftd's interface gets another name, and the kernel's gets the one that it had."""
    kernel.run("""
        mkdir -p /var/run; weftd wc || say weftd
        weft set wc fwmark 1 || say set
        ip link set wc name wc-tun; ip link add wc type wireguard
        weft set wc fwmark 2
        [ "$(weft show interfaces)" = "wa wb wc" ] || say "list $(weft show interfaces)"
        [ "$(weft show wc fwmark)" = 0x2 ] || say auto
        [ "$(weft show --backend kernel wc fwmark)" = 0x2 ] || say kernel
        [ "$(weft show --backend userspace wc fwmark)" = 0x1 ] || say userspace
        ip link del wc
        [ "$(weft show wc fwmark)" = 0x1 ] || say the other
        ip link del wc-tun""")


# ---- up, reload, save, down

OLD = f"""[Interface]
PrivateKey = {PRIVATE}
ListenPort = 51999
Address = 10.0.0.1/24, fd00::1/64

[Peer]
PublicKey = {K1}
PresharedKey = {PSK}
AllowedIPs = 10.1.0.0/16, 10.2.0.0/16
Endpoint = 192.0.2.1:7

[Peer]
PublicKey = {K2}
AllowedIPs = 10.3.0.0/16
"""
NEW = f"""[Interface]
PrivateKey = {PRIVATE}
ListenPort = 51998
Address = 10.0.0.2/24
MTU = 1300

[Peer]
PublicKey = {K1}
AllowedIPs = 10.1.0.0/16, 10.3.0.0/16, fd03::/64
Endpoint = 192.0.2.1:7
PersistentKeepalive = 25

[Peer]
PublicKey = {K3}
AllowedIPs = 10.2.0.0/16
"""
STATE = """
state() {
	wg showconf wk | sort; ip -o address show dev wk | sed 's/^[0-9]*: //' | sort
	ip route show dev wk | sort; ip -6 route show dev wk | sort
	ip link show wk | grep -o 'mtu [0-9]*'
}
file() { mkdir -p /run /var/run /etc/wireguard; chmod 700 /etc/wireguard; cp /tmp/$1 /etc/wireguard/wk.conf; }
"""


def test_up_reload_save_down(kernel):
    kernel.file("old", OLD)
    kernel.file("new", NEW)
    kernel.file("saving", NEW.replace("MTU = 1300", "SaveConfig = true"))
    kernel.file("clash", OLD.replace("10.2.0.0/16", "10.9.0.0/16"))
    kernel.file("userspace", OLD.replace("Address", "Backend = userspace\nAddress"))
    kernel.run(STATE + """
        file old; weft up -v wk >/tmp/said 2>&1 || say "up: $(cat /tmp/said)"
        grep -q '^.#. ip link add wk type wireguard' /tmp/said || say "said: $(cat /tmp/said)"
        [ -z "$(weft show interfaces --backend userspace)" ] || say a daemon
        state >/tmp/was
        [ -z "$(weft reload --dry-run wk)" ] || say "a plan: $(weft reload --dry-run wk)"
        ip route add 10.9.0.0/16 dev lo
        file clash; weft reload wk 2>/tmp/said && say no clash
        grep -q 'File exists (all is as it was before)' /tmp/said || say "said: $(cat /tmp/said)"
        state | cmp - /tmp/was || say "taken back: $(state)"
        ip route del 10.9.0.0/16 dev lo
        file new; weft reload wk || say reload
        [ -z "$(weft reload --dry-run wk)" ] || say "a plan: $(weft reload --dry-run wk)"
        state >/tmp/reloaded
        weft down wk || say down; ip link show wk 2>/dev/null && say still there
        weft up wk || say up; state | cmp - /tmp/reloaded || say "$(cat /tmp/reloaded) --- $(state)"
        weft down wk""")
    kernel.run(STATE + f"""
        file saving; weft up --backend kernel wk || say up
        wg set wk peer {K2} allowed-ips 10.7.0.0/16; weft down wk || say down
        grep -q '^PublicKey = {K2}$' /etc/wireguard/wk.conf || say "$(cat /etc/wireguard/wk.conf)"
        weft up wk || say up again; wg show wk peers | grep -q {K2} || say no peer; weft down wk
        file userspace; weft up wk || say weftd
        [ "$(weft show interfaces --backend userspace)" = wk ] || say "whose is it"
        weft reload wk && weft down wk || say down""")


# ---- status and doctor

def test_status_and_doctor(kernel):
    """What they say of an interface of the kernel, which counts less than weftd."""
    def doctor():
        done = kernel.run("weft doctor --json wa", check=False)
        assert done.code in (0, 3), done
        doc = json.loads(done.out)
        assert not [f for f in doc["findings"] if f["step"] == "port" and "not known" not in f["what"]]
        return (doc["cause"] or {"step": None})["step"]

    def peer():
        return json.loads(kernel.run("weft status --json wa").out)["interfaces"][0]["peers"][0]
    kernel.run("ip addr add 10.77.0.1/24 dev wa && ip link set wa up && wg set wa listen-port 51999")
    assert doctor() == "key"
    kernel.run("wg set wa private-key /tmp/private")
    assert doctor() is None, "the port is the kernel's own"
    view = json.loads(kernel.run("weft status --json wa").out)["interfaces"][0]
    assert (view["backend"], view["up"], view["listen_port"]) == ("kernel", True, 51999)
    assert view["program"] is None and view["since"] is None and view["addresses"] == ["10.77.0.1/24"]
    kernel.run(f"wg set wa peer {K1} allowed-ips 10.77.0.2/32")
    assert peer()["health"] == "quiet"
    kernel.run(f"wg set wa peer {K1} endpoint 127.0.0.1:9 persistent-keepalive 1; sleep 2")
    assert peer()["health"] == "down" and peer()["handshakes_unanswered"] is None
    assert doctor() == "route", "127.0.0.1 is this host itself"
