# SPDX-License-Identifier: Apache-2.0
# `weft completion`: the scripts in the shells that they are for. bash and fish are asked as they ask
# when somebody presses Tab; of zsh, whose completion needs a terminal, the function is called with
# words that it has read.
import os
import re
import subprocess

import pytest

from conftest import DUT
from lib import wg

BASH = r"""
. /usr/share/bash-completion/bash_completion
. "$1"
shift
COMP_LINE="$*" COMP_POINT=${#COMP_LINE} COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
COMP_TYPE=9 COMP_KEY=9
_weft "$WEFT" "${@: -1}" "${@: -2:1}"
[ ${#COMPREPLY[@]} -eq 0 ] || printf '%s\n' "${COMPREPLY[@]}"
"""
# what zsh's own functions are given, printed
ZSH = r"""
compadd() { shift; print -l -- $@ }
_files() { print -l -- *(N) }
_describe() { print -l -- ${${(P)2}%%:*} }
_call_program() { eval $2 2>/dev/null }
file=$1
shift
words=("$@")
words[1]=$WEFT
CURRENT=$#
. $file
"""
# the shell keeps to what begins with the word at hand: here, not zsh's function
FISH = """
source $argv[1]
complete -C (string join ' ' -- $argv[2..-1]) | string replace -r '\\t.*' ''
true
"""


def script(shell):
    return subprocess.run([wg.weft(), "completion", shell], capture_output=True, text=True,
                          check=True).stdout


@pytest.fixture(params=["bash", "zsh", "fish"])
def complete(request, net, tmp_path):
    """complete(host, words...): what the shell offers for the last of them, in order."""
    shell = request.param
    (tmp_path / "script").write_text(script(shell), encoding="utf-8")
    bin_dir = tmp_path / "bin"
    bin_dir.mkdir()
    (bin_dir / "weft").symlink_to(os.path.abspath(wg.weft()))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "some.conf").touch()
    command = {"bash": ["bash", "--norc", "-c", BASH, "-"], "zsh": ["zsh", "-f", "-c", ZSH, "-"],
               "fish": ["fish", "--no-config", "-c", FISH]}[shell]

    def run(host, *words):
        # in a folder with one file
        said = host.run("env", "-C", tmp_path / "here", f"WEFT={bin_dir}/weft",
                        f"PATH={bin_dir}:{os.environ['PATH']}", f"HOME={tmp_path}", *command,
                        tmp_path / "script", "weft", *words)
        assert said.stderr == "", said.stderr
        return sorted(w for w in said.stdout.split() if w.startswith(words[-1]))

    run.shell = shell
    return run


def test_what_a_shell_offers(net, complete):
    host = net.host("a")
    peers = [wg.Key().public64 for _ in range(2)]
    for name in ("wg-one", "two"):
        wg.Daemon(host, DUT, ifname=name)
    for key in peers:
        host.run(wg.weft(), "set", "wg-one", "peer", key)
    host.run("touch", "/etc/wireguard/office.conf", "/etc/wireguard/other.txt")

    assert complete(host, "sho") == ["show", "showconf"]
    assert {"up", "down", "strip", "genkey", "completion"} <= set(complete(host, ""))
    # interfaces as they are now, and the words beside them
    assert complete(host, "show", "") == ["all", "interfaces", "two", "wg-one"]
    assert complete(host, "showconf", "wg") == ["wg-one"]
    assert complete(host, "show", "wg-one", "tra") == ["transfer"]
    assert complete(host, "show", "wg-one", "transfer", "") == []
    # options anywhere, and their values
    assert complete(host, "show", "--") == ["--backend", "--help", "--json"]
    assert complete(host, "show", "--backend", "") == ["auto", "kernel", "userspace"]
    assert complete(host, "show", "--backend", "kernel", "two", "lis") == ["listen-port"]
    # words that repeat, and take a value
    assert complete(host, "set", "wg-one", "p") == \
        ["path-mtu", "peer", "persistent-keepalive", "preshared-key", "private-key"]
    assert complete(host, "set", "wg-one", "relay", "") == ["fast", "off"]
    assert complete(host, "set", "wg-one", "relay", "fast", "listen") == ["listen-port"]
    assert complete(host, "set", "wg-one", "listen-port", "") == []
    assert complete(host, "set", "wg-one", "private-key", "so") == ["some.conf"]
    assert complete(host, "set", "wg-one", "peer", "") == sorted(peers)
    assert complete(host, "set", "wg-one", "peer", peers[0], "rem") == ["remove"]
    # files of interfaces, by name and here
    assert complete(host, "up", "") == ["office", "some.conf"]
    assert complete(host, "up", "-v", "off") == ["office"]
    assert complete(host, "setconf", "two", "s") == ["some.conf"]
    # no such subcommand
    assert complete(host, "shw", "") == []
    for key in peers:
        assert key not in script(complete.shell)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_shell_reads_it(shell, tmp_path):
    path = tmp_path / f"weft.{shell}"
    path.write_text(script(shell), encoding="utf-8")
    assert "@" not in re.sub(r"[$\[{(\"]+@|@:|\[@\]", "", path.read_text(encoding="utf-8"))
    subprocess.run([shell, "-n", path], check=True)
    if shell == "bash":
        subprocess.run(["shellcheck", "-s", "bash", path], check=True)


def test_another_shell_is_refused():
    done = subprocess.run([wg.weft(), "completion", "tcsh"], capture_output=True, text=True)
    assert done.returncode == 1 and done.stdout == ""
    assert 'expected bash, zsh or fish, found "tcsh"' in done.stderr


def rows():
    """The table: subcommand -> its words."""
    return dict(re.findall(r"^\t([a-z-]+)\) echo '(.*)' ;;$", script("bash"), re.MULTILINE))


def test_the_table_and_the_usage_have_the_same_options():
    table = rows()
    helped = subprocess.run([wg.weft(), "help"], capture_output=True, text=True).stdout
    assert list(table) == re.findall(r"^  ([a-z-]+): ", helped, re.MULTILINE)
    for name, words in table.items():
        usage = subprocess.run([wg.weft(), name, "-h"], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL).stdout
        if name in ("help", "version"):  # which have none
            assert words == "", name
            continue
        option = r"(?<![\w-])--?[a-z][a-z-]*"
        offered = {entry.split("=")[0] for entry in words.split() if entry[0] == "-"}
        assert offered == set(re.findall(option, re.sub(r"<[^>]*>", "", usage))), name
        # an entry that is neither a kind nor a word of the usage would be of no use
        for word in re.split(r"[|, ]", re.sub(r"=", ",", words)):
            if re.fullmatch(r"[a-z][a-z-]*", word) and word != "off":
                assert word in usage, f"{name}: {word}"
            else:
                assert word in ("", "...", "off", "INTERFACE", "CONFIG", "PEER", "FILE", "DIR") \
                    or word[0] == "-", f"{name}: {word}"
