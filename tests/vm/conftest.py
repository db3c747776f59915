# SPDX-License-Identifier: Apache-2.0
"""One guest for the whole run, tunnels for each test."""

import contextlib
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lab import Lab, LongLived, Tunnel  # noqa: E402  pylint: disable=wrong-import-position


@pytest.fixture(scope="session")
def lab():
    with Lab() as it:
        yield it


class Tunnels:
    """Hands out tunnels with numbers of their own."""

    last = 0

    def __init__(self, lab_, stack):
        self._lab, self._stack = lab_, stack

    def __call__(self):
        Tunnels.last += 1
        return self._stack.enter_context(Tunnel(self._lab, Tunnels.last))


@pytest.fixture(name="tunnels")
def tunnels_(lab):  # pylint: disable=redefined-outer-name
    with contextlib.ExitStack() as stack:
        yield Tunnels(lab, stack)


@pytest.fixture(name="tunnel")
def tunnel_(tunnels):
    return tunnels()


@pytest.fixture(scope="session")
def long_lived(lab, tmp_path_factory):  # pylint: disable=redefined-outer-name
    """Two tunnels that stay for the whole run, so that the two minutes to a rekey pass while
    other tests run. In the first the kernel began, in the second weftd."""
    with contextlib.ExitStack() as stack:
        make = Tunnels(lab, stack)
        by_kernel, by_weftd = make(), make()
        by_kernel.guest_knows_host()
        by_weftd.host_knows_guest()
        by_kernel.ping_from_guest(count=1)
        by_weftd.ping_from_host(count=1)
        logs = tmp_path_factory.mktemp("pings")
        both = LongLived(by_kernel, logs), LongLived(by_weftd, logs)
        try:
            yield both
        finally:
            for lived in both:
                lived.end()
