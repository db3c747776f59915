# SPDX-License-Identifier: Apache-2.0
# What is installed, by meson and as a Debian package, and the units of systemd. The package is
# installed and purged in a file system of its own, laid over the machine's.
import os
import pathlib
import re
import subprocess

import pytest

from conftest import DUT
from lib import wg

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
UNITS = ["weft@.service", "weftd@.service"]
# in tenths, 100 being a service with no protection at all
MOST_EXPOSED = 31

# $1: the package. The tmpfs goes with the namespace.
IN_OVERLAY = r"""
set -eu
mount -t tmpfs tmpfs "$2"
mkdir "$2/upper" "$2/work" "$2/tree"
mount -t overlay overlay -o "lowerdir=/,upperdir=$2/upper,workdir=$2/work" "$2/tree"
mount -t proc proc "$2/tree/proc"
mount --rbind /dev "$2/tree/dev"
cp "$1" "$2/tree/weft.deb"
chroot "$2/tree" /bin/sh -eu <<'END'
cd /
export DEBIAN_FRONTEND=noninteractive LC_ALL=C PATH=/usr/sbin:/usr/bin:/sbin:/bin
touch /marker
apt-get install -y -q --no-install-recommends ./weft.deb >/apt.log 2>&1 ||
	{ cat /apt.log >&2; exit 1; }
echo "version: $(weft version)"
echo "daemon: $(weftd --version)"
echo "as wg: $(/usr/lib/weft/wg version)"
echo "wg: $(readlink -f "$(command -v wg || echo none)")"
systemd-analyze verify --man=no weft@wg0.service weftd@wg0.service 2>&1 | grep weft |
	sed 's/^/unit: /'
dpkg -L weft | sed 's/^/has: /'
find /etc -cnewer /marker -path '*weft*' | sed 's/^/in etc: /'
dpkg -P weft >/dpkg.log 2>&1 || { cat /dpkg.log >&2; exit 1; }
find /etc /usr /lib/systemd /var -xdev -cnewer /marker -path '*weft*' | sed 's/^/left: /'
find /usr/bin /usr/sbin /usr/lib/weft /lib/systemd /usr/share/man -name 'weft*' 2>/dev/null |
	sed 's/^/left: /'
END
"""


def meson(*args):
    return subprocess.run(["meson", *map(str, args)], check=True, capture_output=True, text=True,
                          cwd=ROOT)


def man_pages():
    return {f"share/man/man{p.suffix[1:]}/{p.name}" for p in (ROOT / "docs/man").glob("*.[58]")}


def test_meson_installs_all_of_it(tmp_path):
    meson("install", "-C", os.path.abspath(wg.build_dir()), "--no-rebuild", "--destdir", tmp_path,
          "--quiet")
    top = tmp_path / "usr/local"
    found = {str(p.relative_to(top)) for p in top.rglob("*") if p.is_file()}
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == \
        {f"usr/local/{p}" for p in found}
    assert found == man_pages() | {
        "bin/weft", "sbin/weftd",
        "lib/systemd/system/weft@.service", "lib/systemd/system/weftd@.service",
        "share/bash-completion/completions/weft.bash", "share/zsh/site-functions/_weft",
        "share/fish/vendor_completions.d/weft.fish"}
    for unit in UNITS:
        text = (top / "lib/systemd/system" / unit).read_text()
        assert re.search(r"^ExecStart=/usr/local/s?bin/weft", text, re.MULTILINE)
        assert not re.search(r"=/usr/s?bin/", text)
    bash = (top / "share/bash-completion/completions/weft.bash").read_text()
    assert bash == subprocess.run([wg.weft(), "completion", "bash"], capture_output=True,
                                  text=True).stdout


def test_another_prefix(tmp_path):
    meson("setup", tmp_path / "build", "--prefix=/opt/weft", "-Dtests=disabled")
    text = (tmp_path / "build/packaging/weft@.service").read_text()
    assert "ExecStart=/opt/weft/bin/weft run %i\n" in text
    assert "ExecReload=/opt/weft/bin/weft reload %i\n" in text


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_takes_the_unit(unit, tmp_path):
    text = (ROOT / "packaging" / unit).read_text()
    # with a program that is there; manual pages need not be
    text = re.sub(r"/usr/s?bin/weftd?", "/bin/true", text)
    text = re.sub(r"^Documentation=.*\n", "", text, flags=re.MULTILINE)
    path = tmp_path / unit
    path.write_text(text)
    done = subprocess.run(["systemd-analyze", "verify", path], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout + done.stderr == ""
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager",
                           f"--threshold={MOST_EXPOSED}", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-600:] + done.stderr


def test_the_unit_waits_for_the_network():
    text = (ROOT / "packaging/weft@.service").read_text()
    for line in ("Type=notify", "After=network-online.target nss-lookup.target",
                 "Wants=network-online.target nss-lookup.target", "ExecStart=/usr/bin/weft run %i",
                 "ExecReload=/usr/bin/weft reload %i", "KillMode=mixed"):
        assert f"\n{line}\n" in text


def test_a_key_from_a_credential(net, tmp_path):
    """What LoadCredential= of the unit leads to: a folder with the key, and a hook that names it."""
    host = net.host("a")
    key = wg.Key()
    (tmp_path / "wg-private").write_text(key.private64 + "\n")
    host.run("tee", "/etc/wireguard/wg0.conf", input="""[Interface]
Address = 10.7.0.2/24
PostUp = weft set %i private-key ${CREDENTIALS_DIRECTORY}/wg-private
""")
    host.run("chmod", "600", "/etc/wireguard/wg0.conf")
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "weft").symlink_to(os.path.abspath(wg.weft()))
    env = dict(os.environ, PATH=f"{bin_dir}:{os.environ['PATH']}",
               CREDENTIALS_DIRECTORY=str(tmp_path),
               WG_QUICK_USERSPACE_IMPLEMENTATION=os.path.abspath(wg.PROGRAMS[DUT]()))
    with open(net.file("up.log"), "w+") as out:
        code = host.popen("weft", "up", "wg0", stdout=out, stderr=out, env=env).wait(120)
        out.seek(0)
        assert code == 0, out.read()
    try:
        assert host.run(wg.weft(), "show", "wg0", "public-key").stdout.strip() == key.public64
        # a file without a key leaves it as it is
        host.run("weft", "reload", "wg0", env=env)
        assert host.run(wg.weft(), "show", "wg0", "public-key").stdout.strip() == key.public64
        assert key.private64 not in host.run("cat", "/etc/wireguard/wg0.conf").stdout
    finally:
        host.run(wg.weft(), "down", "wg0", env=env)


@pytest.mark.slow
def test_the_debian_package(tmp_path):
    done = subprocess.run([ROOT / "scripts/deb.sh"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr  # lintian's word, too
    packages = list((ROOT / "build/deb").glob("weft_*.deb"))
    assert len(packages) == 1
    done = subprocess.run(["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
                           IN_OVERLAY, "-", packages[0], tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    version = re.search(r"version: '(.*)'", (ROOT / "meson.build").read_text())[1]
    assert f"version: weft {version}" in said
    assert any(re.fullmatch(rf"daemon: weftd {re.escape(version)}.*", line) for line in said)
    assert any(line.startswith("as wg: wireguard-tools v") for line in said)
    assert "wg: /usr/lib/weft/wg" not in said  # wireguard-tools' names are its own
    has = {line[5:] for line in said if line.startswith("has: ")}
    assert {"/usr/bin/weft", "/usr/sbin/weftd", "/lib/systemd/system/weft@.service",
            "/usr/share/bash-completion/completions/weft.bash",
            "/usr/share/zsh/vendor-completions/_weft",
            "/usr/share/fish/vendor_completions.d/weft.fish"} <= has
    assert {f"/usr/{p}.gz" for p in man_pages()} <= has
    # nothing is enabled, nothing stays
    assert not [line for line in said if line.startswith(("unit: ", "in etc: ", "left: "))]
