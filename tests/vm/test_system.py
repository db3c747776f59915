# SPDX-License-Identifier: Apache-2.0
"""The system tests of the host layer, once more where the kernel has WireGuard: the same files, run
in a guest that sees the host's programs. There wg-quick and weft both take the kernel's."""

import os
import re
import shlex

import pytest

from guest import ROOT, Guest
from lab import BUILD, WEFT, WEFTD

pytestmark = pytest.mark.skipif(
    os.path.basename(WEFT) == "wg" or os.path.basename(WEFTD) != "weftd", reason="not of weft")

# Of each file what shows most for its time: emulated, a whole test_up takes seven minutes. With
# WEFT_VM_WHOLE=1 in the environment all of it is run.
WHOLE = bool(os.environ.get("WEFT_VM_WHOLE"))
FILES = {"test_up": ("test_same_as_wg_quick[0]", "test_full_tunnel")}


@pytest.fixture(scope="module", name="guest")
def guest_():
    with Guest(None, host_files=True) as it:
        it.run("echo 1 >/proc/sys/net/ipv6/conf/all/accept_dad")
        yield it


@pytest.mark.parametrize("name", FILES)
def test_file(guest, name):
    """Those tests of the file pass, and none is skipped."""
    tests = [f"tests/system/{name}.py::{test}" for test in FILES[name]]
    count = str(len(tests))
    if WHOLE:
        tests, count = [f"tests/system/{name}.py"], r"\d+"
    command = (f"cd {shlex.quote(str(ROOT))} && WEFT_BUILD={shlex.quote(str(BUILD))} "
               f"/usr/bin/python3 -m pytest -q -p no:cacheprovider {shlex.join(tests)}")
    # not chroot alone: who enters another mount namespace there would be back at the old root
    done = guest.run("unshare -m sh -c 'cd /host && mount --move . / && exec chroot . "
                     "/usr/bin/env -i HOME=/root "
                     "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "
                     f"/bin/bash -c \"$0\"' {shlex.quote(command)}", timeout=900, check=False)
    assert done.code == 0 and re.search(rf"^{count} passed in", done.out, re.M), done.out
