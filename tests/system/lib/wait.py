# SPDX-License-Identifier: Apache-2.0
# Waiting for something to become true, with a deadline. Tests wait for what they need and never
# sleep for "long enough". The deadline is a minute: it costs nothing while all is well, and a busy
# machine that lets nobody run for seconds is no fault of weft.
import time


def until(predicate, what, timeout=60.0, step=0.05):
    """Calls predicate until it returns something true, and returns that; fails after timeout."""
    end = time.monotonic() + timeout
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {timeout} s: {what} (last: {value!r})")
        time.sleep(step)


def stays(predicate, what, seconds=1.0, step=0.1):
    """Fails as soon as predicate returns something false during the given time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = predicate()
        assert value, f"did not stay for {seconds} s: {what} (got {value!r})"
        time.sleep(step)


def held(predicate, seconds=1.0, step=0.05):
    """True if predicate is true during all of the given time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not predicate():
            return False
        time.sleep(step)
    return True
