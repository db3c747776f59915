# SPDX-License-Identifier: Apache-2.0
# The unit under a systemd of its own, first process of its own namespaces on an overlay of this
# machine's files: what it writes is gone with it. Whether the hardening lets weft do its work is
# seen nowhere else.
import os
import signal
import subprocess

import pytest

from conftest import DUT
from lib import wait, wg

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")

# $1: a directory for it. 77: there is no cgroup2 to be had here.
BOOT = """
set -e
root=$1/root
mount -t tmpfs tmpfs "$1"
mkdir "$root" "$1/upper" "$1/work"
mount -t overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" overlay "$root"
mount -t proc proc "$root/proc"
mount -t sysfs sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" || exit 77
for dir in run tmp dev; do mount -t tmpfs -o mode=755 tmpfs "$root/$dir"; done
mkdir "$root/dev/net" "$root/dev/pts" "$root/dev/shm"
for dev in null zero full random urandom tty net/tun; do
    touch "$root/dev/$dev"
    mount --bind "/dev/$dev" "$root/dev/$dev"
done
mount -t devpts devpts "$root/dev/pts"
rm -f "$root/etc/machine-id" "$root"/etc/systemd/system/*.wants/*
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
printf '[Unit]\\nDescription=nothing else\\n' >"$root/etc/systemd/system/weft-test.target"
cp "$WEFT" "$root/usr/bin/weft"
cp "$WEFTD" "$root/usr/sbin/weftd"
cp "$UNIT" "$root/etc/systemd/system/"
ip link set lo up
cd "$root"
mkdir old
pivot_root . old
umount -l /old
mount --make-rshared /
export container=weft
exec chroot . /usr/lib/systemd/systemd --unit=weft-test.target --show-status=no
"""


class Machine:
    def __init__(self, tmp):
        env = dict(os.environ, WEFT=wg.weft(), WEFTD=wg.PROGRAMS[DUT](),
                   UNIT=os.path.join(ROOT, "packaging", "weft@.service"))
        self.log = open(os.path.join(tmp, "boot.log"), "w+", encoding="utf-8")
        os.mkdir(os.path.join(tmp, "machine"))
        self.proc = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--cgroup", "--ipc", "--uts", "--fork",
             "--kill-child", "--propagation", "private", "/bin/sh", "-c", BOOT, "sh",
             os.path.join(tmp, "machine")],
            env=env, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        self.pid = None
        try:
            wait.until(self.is_booted, "systemd answers", timeout=60)
        except BaseException:
            self.close()
            raise

    def is_booted(self):
        if self.proc.poll() is not None:
            self.log.seek(0)
            if self.proc.returncode == 77:
                pytest.skip("no cgroup2 to be had: " + self.log.read())
            raise AssertionError(f"ended with {self.proc.returncode}: {self.log.read()}")
        with open(f"/proc/{self.proc.pid}/task/{self.proc.pid}/children") as f:
            children = f.read().split()
        if not children:
            return False
        self.pid = int(children[0])
        # until it has its own root, what answers may be the host's
        return os.path.exists(self.path("/etc/systemd/system/weft-test.target")) and \
            os.path.exists(self.path("/run/systemd/private")) and \
            self.run("systemctl", "list-units", check=False).returncode == 0

    def path(self, inside):
        return f"/proc/{self.pid}/root{inside}"

    def run(self, *args, check=True):
        done = subprocess.run(["nsenter", "-t", str(self.pid), "-a", "-r", *args], text=True,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=120)
        assert not check or done.returncode == 0, \
            done.stdout + done.stderr + self.run("journalctl", "--no-pager", check=False).stdout
        return done.stdout if check else done

    def write(self, path, text):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(os.open(self.path(path), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(text)

    def main_pid(self, unit):
        return int(self.run("systemctl", "show", "-P", "MainPID", unit))

    def is_active(self, unit):
        return self.run("systemctl", "is-active", unit, check=False).stdout.strip() == "active"

    def addresses(self, name):
        return self.run("ip", "-o", "-4", "address", "show", "dev", name, check=False).stdout

    def close(self):
        self.proc.send_signal(signal.SIGKILL)  # and with it all that is in there
        self.proc.wait(60)
        self.log.close()


@pytest.fixture
def machine(tmp_path):
    if DUT != "weftd" or any(s in os.environ.get("WEFT_BUILD", "") for s in ("asan", "tsan")):
        pytest.skip("of weft's unit, and without sanitizers, which its hardening would break")
    it = Machine(str(tmp_path))
    try:
        yield it
    finally:
        it.close()


def conf(interface, key=None, address="10.44.0.1/24"):
    private = f"PrivateKey = {key.private64}\n" if key else ""
    return f"[Interface]\n{private}Address = {address}\n{interface}\n[Peer]\n" \
           f"PublicKey = {wg.Key(bytes([7]) * 32).public64}\nAllowedIPs = 10.44.0.2/32, 0.0.0.0/0\n"


def test_unit(machine):
    m, unit, key = machine, "weft@wg0", wg.Key()
    m.write("/etc/wireguard/wg0.conf", conf("PostUp = echo %i >/run/hooked", key))
    m.run("systemctl", "start", unit)
    assert "10.44.0.1/24" in m.addresses("wg0") and os.path.exists(m.path("/run/hooked"))
    assert "wg-quick-wg0" in m.run("nft", "list", "tables")
    assert "Serving" in m.run("systemctl", "show", "-P", "StatusText", unit)
    # reload: the same process, the file's address
    pid = m.main_pid(unit)
    m.write("/etc/wireguard/wg0.conf", conf("", key, "10.44.0.9/24"))
    m.run("systemctl", "reload", unit)
    assert "10.44.0.9/24" in m.addresses("wg0") and "10.44.0.1" not in m.addresses("wg0")
    assert m.main_pid(unit) == pid
    # one that fails says so, and changes nothing
    m.write("/etc/wireguard/wg0.conf", "[Interface]\nAdress = 1.2.3.4\n")
    assert m.run("systemctl", "reload", unit, check=False).returncode != 0
    assert "10.44.0.9/24" in m.addresses("wg0") and m.is_active(unit)
    assert "did you mean Address?" in m.run("journalctl", "--no-pager", "-u", unit)
    m.write("/etc/wireguard/wg0.conf", conf("", key))
    # the daemon dies: it is begun again
    m.run("kill", "-9", m.run("pgrep", "-x", "weftd").strip())
    wait.until(lambda: m.main_pid(unit) not in (0, pid) and m.is_active(unit), "it runs again",
               timeout=60)
    assert "10.44.0.1/24" in m.addresses("wg0")
    m.run("systemctl", "stop", unit)
    assert not m.addresses("wg0") and not m.run("nft", "list", "tables")
    assert not m.run("pgrep", "-x", "weftd", check=False).stdout
    assert m.run("systemctl", "is-failed", unit, check=False).stdout.strip() == "inactive"


def test_credential(machine):
    """As docs/install.md has it."""
    m, unit, key = machine, "weft@wg1", wg.Key()
    m.write("/etc/credstore/wg1", key.private64 + "\n")
    m.write("/etc/systemd/system/weft@wg1.service.d/key.conf",
            "[Service]\nLoadCredential=wg-private:/etc/credstore/wg1\n")
    m.write("/etc/wireguard/wg1.conf",
            conf("PostUp = weft set %i private-key ${CREDENTIALS_DIRECTORY}/wg-private"))
    m.run("systemctl", "daemon-reload")
    m.run("systemctl", "start", unit)
    assert m.run("weft", "show", "wg1", "public-key").strip() == key.public64
    m.run("systemctl", "reload", unit)
    assert m.run("weft", "show", "wg1", "public-key").strip() == key.public64
    assert key.private64 not in m.run("journalctl", "--no-pager")
