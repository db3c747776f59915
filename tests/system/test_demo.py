# SPDX-License-Identifier: Apache-2.0
"""The demo: works, says so, and leaves nothing behind, however it ends. Needs root; about two
minutes. WEFT_BUILD names the build directory (default build/release)."""

import os
import pathlib
import re
import signal
import subprocess
import time

import pytest

# a machine has room for one demo
pytestmark = pytest.mark.xdist_group("demo")

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DEMO = str(ROOT / "scripts" / "demo.sh")
STATE = pathlib.Path("/run/weft-demo")


MARK = f"WEFT_DEMO_TEST={os.getpid()}"  # in the environment of all that a demo starts


def traces():
    """What a demo could leave: its directory, its mounts (which hold its namespaces), processes."""
    processes = []
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if MARK.encode() in (path / "environ").read_bytes().split(b"\0"):
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                processes.append(f"{path.name} {command}")
        except OSError:
            pass  # it has ended
    mounts = pathlib.Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    left = processes + [line for line in mounts if "weft-demo" in line]
    return left + ([str(STATE)] if STATE.exists() else [])


@pytest.fixture(autouse=True)
def nothing_is_left():
    assert not STATE.exists(), f"a demo stands here: {DEMO} --clean"
    yield
    subprocess.run([DEMO, "--clean"], check=False, stdout=subprocess.DEVNULL)
    assert traces() == []


def hear_interrupts():
    """What runs in the background of a script begins with SIGINT ignored, and hands that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def demo(*args, **env):
    # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
    return subprocess.Popen([DEMO, *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True, preexec_fn=hear_interrupts,
                            env=dict(os.environ, **env, **dict([MARK.split("=")])))


def finish(process, timeout=240):
    try:
        out, _ = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, out


def read_until(process, text):
    """The output up to the line that contains `text`."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if text in line:
            return "".join(lines)
    raise AssertionError(f"the demo ended before it said {text!r}:\n{''.join(lines)}")


def test_it_works_and_leaves_nothing():
    code, out = finish(demo())
    assert code == 0, out
    assert "\033" not in out, "colour, though this is no terminal"
    assert "Everything worked" in out
    # every pair but a host with itself, for each family
    assert len(re.findall(r"\d ms", out[out.index("IPv4  "):out.index("The NAT")])) == 24
    assert re.search(r"iperf3 -C cubic +\d+\.\d\d Gbit/s", out)
    for host in ("hub", "one", "two", "three"):
        assert f"{host}# weft show" in out
    assert out.count("interface: wg0") == 4
    assert traces() == []


@pytest.mark.parametrize("number,code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("moment", ["cables and addresses", "handshake: one", "The NAT in front"])
def test_stopped_midway(number, code, moment):
    process = demo()
    try:
        read_until(process, moment)
        started = time.monotonic()
        process.send_signal(number)
        got, out = finish(process, 60)
    finally:
        process.kill()
    assert got == code, out
    assert time.monotonic() - started < 30
    assert traces() == []


def test_kept_entered_and_taken_away():
    code, out = finish(demo(KEEP="1"))
    assert code == 0, out
    assert "--enter hub" in out
    try:
        entered = subprocess.run([DEMO, "--enter", "two", "ping", "-c", "1", "-W", "15",
                                  "fd08::13"], text=True, capture_output=True, check=False)
        assert entered.returncode == 0, entered.stdout + entered.stderr
        shown = subprocess.run([DEMO, "--enter", "hub", "sh", "-c", "hostname; ip -br link"],
                               text=True, capture_output=True, check=True).stdout
        assert shown.startswith("hub\n") and "wg0" in shown
        assert any("weftd" in trace or "wg0" in trace for trace in traces())

        code, out = finish(demo(), 120)
        assert code == 1
        assert "demo-clean" in out, "it says how to remove the one that stands"
    finally:
        code, out = finish(demo("--clean"), 120)
    assert code == 0, out
    assert traces() == []
    code, out = finish(demo("--clean"), 120)
    assert code == 0 and "nothing" in out


def test_killed_outright_then_cleaned():
    process = demo()
    read_until(process, "handshake: two")
    process.kill()
    process.wait()
    process.stdout.close()
    assert STATE.exists() and len(traces()) > 3
    code, out = finish(demo("--clean"), 120)
    assert code == 0, out
    assert traces() == []


def test_a_broken_part_is_named(tmp_path):
    """A weftd that does not start: the demo ends with 1, says who, and still cleans up."""
    broken = tmp_path / "weftd"
    broken.write_text("#!/bin/sh\necho no such luck >&2\nexit 3\n", encoding="ascii")
    broken.chmod(0o755)
    code, out = finish(demo(WEFTD=str(broken)), 120)
    assert code == 1
    assert "weftd on hub does not answer" in out and "no such luck" in out
    assert traces() == []


def test_not_root():
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
                           "bash", "-c", "exec bash -s", "demo"],
                          stdin=open(DEMO, "rb"), capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "root" in done.stderr
