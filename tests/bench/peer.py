# SPDX-License-Identifier: Apache-2.0
"""Finds the newest wireguard-go that Debian has for this machine, without touching its apt.

A package list of its own, under the bench's folder, names the suite CODENAME-backports at the
server that the machine's own sources name; what it has is unpacked there and never installed.
"""
import re
import shutil
import subprocess
import time
from pathlib import Path

from world import BenchError, run, which

PACKAGE = "wireguard-go"
FRESH_SECONDS = 86400  # a package list of today is not fetched again


def os_release(path="/etc/os-release"):
    """Its keys and values, without quotes."""
    try:
        lines = Path(path).read_text().splitlines()
    except OSError:
        return {}
    return {k: v.strip('"') for k, _, v in (line.partition("=") for line in lines) if k}


def entries(text, deb822):
    """Yields (URI, suites, components, signed-by or None) of each binary source in an apt file."""
    if not deb822:
        for line in text.splitlines():
            m = re.match(r"\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.*)", line.split("#")[0])
            if m:
                key = re.search(r"signed-by=(\S+)", m[1] or "")
                yield m[2], [m[3]], m[4].split(), key and key[1]
        return
    for stanza in re.split(r"\n\s*\n", text):
        fields, last = {}, None
        for line in stanza.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace() and last:
                fields[last] += " " + line.strip()
            elif ":" in line:
                last, _, value = line.partition(":")
                last = last.strip().lower()
                fields[last] = value.strip()
        if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes") == "no":
            continue
        key = fields.get("signed-by", "")
        for uri in fields.get("uris", "").split():
            yield (uri, fields.get("suites", "").split(), fields.get("components", "").split(),
                   key if key.startswith("/") else None)


def source_of(codename, etc="/etc/apt"):
    """(URI, signed-by or None) of the machine's source of that suite's main, or None."""
    etc = Path(etc)
    for f in [etc / "sources.list", *sorted(etc.glob("sources.list.d/*"))]:
        if f.suffix not in (".list", ".sources") or not f.is_file():
            continue
        for uri, suites, components, key in entries(f.read_text(), f.suffix == ".sources"):
            if codename in suites and "main" in components:
                return uri, key
    return None


def backport(folder, note):
    """Path of the suite's wireguard-go unpacked under `folder`, and its version; or None."""
    system = os_release()
    codename = system.get("VERSION_CODENAME")
    if system.get("ID") != "debian" or not codename:
        return note("not Debian: no backports")
    source = source_of(codename)
    if not source:
        return note(f"no source of {codename} among the machine's apt sources")
    uri, key = source
    apt, peer = folder / "apt", folder / "peer"
    for d in (apt / "lists/partial", apt / "cache/archives/partial", peer):
        d.mkdir(parents=True, exist_ok=True)
    lists = apt / "sources.list"
    lists.write_text(f"deb {f'[signed-by={key}] ' if key else ''}{uri} {codename}-backports main\n")
    options = []
    for o in (f"Dir::Etc::sourcelist={lists}", "Dir::Etc::sourceparts=-",
              f"Dir::State::lists={apt}/lists", f"Dir::Cache={apt}/cache",
              "APT::Sandbox::User=root", "Acquire::Retries=1", "Acquire::http::Timeout=20"):
        options += ["-o", o]
    stamp = apt / "updated"
    if not stamp.exists() or time.time() - stamp.stat().st_mtime > FRESH_SECONDS:
        p = subprocess.run(["apt-get", "update", "-q", *options], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL)
        if p.returncode or re.search(r"^(W|E|Err)", p.stdout + p.stderr, re.M):
            note(f"the list of {codename}-backports cannot be fetched")
        else:
            stamp.touch()
    said = run("apt-cache", "madison", PACKAGE, *options, check=False)
    found = re.search(r"\|\s*(\S+)\s*\|", said)
    if not found:
        return note(f"{codename}-backports has no {PACKAGE}")
    version = found[1]
    program, mark = peer / "usr/bin" / PACKAGE, peer / "version"
    if not program.exists() or not mark.exists() or mark.read_text().strip() != version:
        shutil.rmtree(peer)
        peer.mkdir()
        p = subprocess.run(["apt-get", "download", "-q", *options, f"{PACKAGE}={version}"],
                           cwd=peer, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        debs = list(peer.glob("*.deb"))
        if p.returncode or not debs:
            return note(f"{PACKAGE} {version} cannot be fetched from {codename}-backports")
        run("dpkg", "-x", str(debs[0]), str(peer))
        mark.write_text(version + "\n")
    return program, version


def installed():
    """(path, version) of the installed one, or None."""
    path = which(PACKAGE)
    if not path:
        return None
    version = run("dpkg-query", "-W", "-f", "${Version}", PACKAGE, check=False).strip()
    return Path(path), version or "of unknown version"


def newest(folder, say, offline=False):
    """(path, version) of the newest wireguard-go to be had. Says what it could not get."""
    here = installed()

    def note(text):
        say(f"{text}; the installed wireguard-go is used")

    there = None if offline else backport(folder.resolve(), note)
    if there and here and subprocess.run(
            ["dpkg", "--compare-versions", there[1], "le", here[1]]).returncode == 0:
        there = None
    if not there and not here:
        raise BenchError("no wireguard-go to compare with: install it (scripts/deps.sh check)")
    return there or here
