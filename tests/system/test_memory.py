# SPDX-License-Identifier: Apache-2.0
# The daemon's memory is searched for keys: they are gone when they should be.
import os
import re

import pytest

from conftest import DUT
from lib import wait, wg

pytestmark = pytest.mark.skipif(DUT != "weftd", reason="weftd's own promise")


def find(pid, needles):
    """Which of the named byte strings are in the process's memory: {name: [mapping, ...]}."""
    found = {}
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in maps:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+ *(.*)", line)
            begin, end, name = int(m[1], 16), int(m[2], 16), m[4] or "anonymous"
            if "w" not in m[3] or name in ("[vvar]", "[vsyscall]"):
                continue
            if end - begin > 4 << 30:
                continue  # a sanitizer's shadow
            try:
                mem.seek(begin)
                data = mem.read(end - begin)
            except (OSError, OverflowError, ValueError):
                continue
            for what, needle in needles.items():
                if needle in data:
                    found.setdefault(what, []).append(name)
    return found


@pytest.fixture
def plain_build():
    with open(wg.PROGRAMS["weftd"](), "rb") as f:
        if b"__asan_init" in f.read():
            pytest.skip("a sanitizer keeps freed memory")


def session_keys(p, name=""):
    return {name + "receives": p.session.send_key, name + "sends": p.session.receive_key}


def test_session_keys_after_removal(bench, plain_build):
    """While the session lives its keys are found; once the peer is removed they are not."""
    t = bench()
    psk = os.urandom(32)
    p = t.peer("10.99.0.1/32", psk=psk)
    other = t.peer("10.99.0.3/32")
    assert t.echo(p) and t.echo(other, "10.99.0.3")
    keys = dict(session_keys(p), psk=psk)
    there = find(t.w.proc.pid, keys)
    assert set(there) == set(keys), "the search finds nothing: it could not fail"
    wait.until(lambda: all("stack" not in x for where in find(t.w.proc.pid, keys).values()
                           for x in where), "the keys are on no stack", step=0.3)
    t.w.wg("set", "peer", p.key.public64, "remove")
    assert t.echo(other, "10.99.0.3")
    wait.until(lambda: not find(t.w.proc.pid, keys),
               f"the removed peer's keys are gone: {there}", step=0.3)


def test_session_keys_after_rekeys(bench, plain_build):
    """Two rekeys later nothing is left of a session's keys."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    assert t.echo(p)
    first = session_keys(p)
    assert find(t.w.proc.pid, first)
    for _ in range(3):
        p.connect()
        assert t.echo(p)
    wait.until(lambda: not find(t.w.proc.pid, first), "the first session's keys are gone",
               step=0.3)


def test_private_key_after_change(bench, plain_build):
    """The old private key is nowhere, nor what was derived from it."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    assert t.echo(p)
    old = t.w.key
    keys = dict(private=old.private, text=old.private_hex.encode(),
                base64=old.private64.encode())
    sessions = session_keys(p)
    assert "private" in find(t.w.proc.pid, keys)
    t.w.set_key(wg.Key())
    wait.until(lambda: not find(t.w.proc.pid, keys), "the old key is gone", step=0.3)
    # its session can still be read from, as in the kernel, until others have taken its place
    p.remote = t.w.key.public
    for _ in range(3):
        p.connect()
        assert t.echo(p)
    wait.until(lambda: not find(t.w.proc.pid, sessions), "its session is gone", step=0.3)


def test_down_forgets_sessions(bench, plain_build):
    t = bench()
    p = t.peer("10.99.0.1/32")
    assert t.echo(p)
    keys = session_keys(p)
    assert find(t.w.proc.pid, keys)
    t.b.ip("link set wg0 down")
    wait.until(lambda: not find(t.w.proc.pid, keys) or print(find(t.w.proc.pid, keys)),
               "the session's keys are gone", step=0.3)


def test_keys_are_locked(bench, plain_build):
    """The mapping that holds the private key can be neither swapped nor dumped."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    assert t.echo(p)
    with open(f"/proc/{t.w.proc.pid}/status") as f:
        locked = [x for x in f if x.startswith("VmLck")][0].split()[1]
    assert int(locked) > 0
    # each mapping with a key in it is marked "lo" (locked) and "dd" (not dumped); what the
    # library's contexts hold is forgotten when a thread has been idle for a moment
    needles = dict(session_keys(p), private=t.w.key.private)
    assert find(t.w.proc.pid, needles)
    wait.until(lambda: not unlocked(t.w.proc.pid, needles) or
               print(unlocked(t.w.proc.pid, needles)), "keys are in locked memory alone",
               step=0.5)


def unlocked(pid, needles):
    """Mappings that hold a key and are not locked and kept from dumps."""
    bad = []
    with open(f"/proc/{pid}/smaps") as f, open(f"/proc/{pid}/mem", "rb", 0) as mem:
        for line in f:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line)
            if m:
                begin, end, rights, where = int(m[1], 16), int(m[2], 16), m[3], line.strip()
            elif line.startswith("VmFlags:") and "w" in rights:
                try:
                    mem.seek(begin)
                    data = mem.read(end - begin)
                except (OSError, OverflowError, ValueError):
                    continue
                flags = line.split()[1:]
                hits = [k for k, v in needles.items() if v in data]
                if hits and not ("lo" in flags and "dd" in flags):
                    bad.append((hits, where, flags))
    return bad
