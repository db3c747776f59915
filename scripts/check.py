#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Everything that `make check` runs, in order, each counted; the last line is the sum.

Stages can be named to run only those: scripts/check.py lint unit ...  (-h lists them).
Build trees go to build/; logs and JUnit files to build/check-logs/.

System tests run beside each other on whatever cores there are, and a deadline that one of them
misses then may say nothing about weft. So up to three that failed are run once more, alone and one
after the other; who fails again has failed. Who passes is named in the closing lines, so that a
rare fault of weft's stays in sight. More than three fail at once. docs/decisions/0008 says why.
"""
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
OUT = TOP / "build" / "check-logs"
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-rfE", "--tb=short", "-p", "no:cacheprovider"]
# four at once: they wait more than they compute
SYSTEM = ["tests/system", "-n", "4", "--dist", "loadgroup"]
SECOND_TRIES = 3  # tests of one stage that may be run again; more are no accident
passed = failed = skipped = 0
notes = []
second_tries = []


def say(text):
    print(text, flush=True)


def run(argv, log, env=None, echo=False):
    """Runs argv at the top of the tree, its output to a log. Returns its exit code."""
    e = dict(os.environ, **(env or {}))
    with open(OUT / log, "wb") as f:
        p = subprocess.Popen(argv, cwd=TOP, env=e, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in p.stdout:
            f.write(line)
            f.flush()
            if echo:
                sys.stdout.write(line.decode(errors="replace"))
                sys.stdout.flush()
        return p.wait()


def tail(log, n=40):
    for line in (OUT / log).read_text(errors="replace").splitlines()[-n:]:
        say("    " + line)


def count(ok, what, log=None):
    """One check that is no test runner: counts as one test."""
    global passed, failed
    if ok:
        passed += 1
        return
    failed += 1
    notes.append(what)
    say(f"  FAILED: {what}")
    if log:
        tail(log)


def results(path):
    """The test cases of a JUnit file."""
    return list(ET.parse(path).getroot().iter("testcase"))


def is_bad(case):
    return case.find("failure") is not None or case.find("error") is not None


def key(case):
    return case.get("classname", ""), case.get("name", "")


def junit(path, what, code, log, again=None):
    """Adds a runner's JUnit file to the sums. `again`, if given, runs those that failed once more,
    if they are few: it takes a list of cases, and returns those that passed this time."""
    global passed, failed, skipped
    try:
        cases = results(path)
    except (OSError, ET.ParseError) as e:
        count(False, f"{what}: no result file ({e})", log)
        return
    bad = [c for c in cases if is_bad(c)]
    if bad and again and len({key(c) for c in bad}) <= SECOND_TRIES:
        tail(log, 80)
        mended = {key(c) for c in again(bad)}
        second_tries.extend(f"{what}: {' '.join(k)}" for k in sorted(mended))
        bad = [c for c in bad if key(c) not in mended]
        # a test that failed and whose end failed too stands there twice
        cases = [c for c in cases if c in bad or not is_bad(c)]
        passed += len(mended)
        if not bad and code == 1:  # what pytest ends with because of failed tests, and no more
            code = 0
    skip = [c for c in cases if c.find("skipped") is not None and c not in bad]
    good = len(cases) - len(bad) - len(skip)
    passed += good
    failed += len(bad)
    skipped += len(skip)
    for c in bad:
        notes.append(f"{what}: {' '.join(key(c))}")
    for c in skip:
        say(f"  skipped: {what}: {c.get('name', '')}")
    say(f"  {what}: {good} passed, {len(bad)} failed" + (f", {len(skip)} skipped" if skip else ""))
    if bad:
        tail(log, 80)
    elif code != 0:
        count(False, f"{what}: the runner ended with {code} though no test failed", log)
    elif not cases:
        count(False, f"{what}: no test was run", log)


built = {}


def build(name, *options, cc="gcc"):
    """Configures and builds build/NAME, once. True if that worked; a failure is counted."""
    if name in built:
        return built[name]
    tree = f"build/{name}"
    ok = True
    if not (TOP / tree / "build.ninja").exists():
        ok = run(["meson", "setup", tree, *options], f"setup-{name}.log", env={"CC": cc}) == 0
        if not ok:
            count(False, f"meson setup of {tree}", f"setup-{name}.log")
    if ok:
        ok = run(["ninja", "-C", tree], f"build-{name}.log") == 0
        count(ok, f"{cc} builds {tree} without a warning", f"build-{name}.log")
    built[name] = ok
    return ok


def meson_test(name, what, suite, env=None, multiplier=1):
    argv = ["meson", "test", "-C", f"build/{name}", "--no-rebuild", "--print-errorlogs",
            "--logbase", f"log-{suite}", "-t", str(multiplier), "--suite", suite]
    log = f"test-{name}-{suite}.log"
    xml = TOP / f"build/{name}/meson-logs/log-{suite}.junit.xml"
    xml.unlink(missing_ok=True)
    junit(xml, what, run(argv, log, env), log)


def pytest(what, args, env=None, second_try=False):
    """Runs pytest. `second_try`: a few that failed are run once more, alone."""
    stem = re.sub(r"[^a-z0-9]+", "-", what.lower()).strip("-")

    def once(stem, args):
        xml, log = OUT / f"{stem}.xml", f"{stem}.log"
        xml.unlink(missing_ok=True)
        return xml, run([*PYTEST, f"--junit-xml={xml}", *args], log, env), log

    def again(cases):
        ids = sorted({f"{c.get('classname').replace('.', '/')}.py::{c.get('name')}" for c in cases})
        say(f"  {what}: {len(ids)} failed; once more, alone: {', '.join(ids)}")
        xml, code, log = once(f"{stem}-second-try", ids)
        try:
            tried = results(xml)
        except (OSError, ET.ParseError):
            tried = []
        still = {key(c) for c in tried if is_bad(c) or c.find("skipped") is not None}
        good = {key(c) for c in tried} - still
        if code != 0:
            tail(log, 80)
        return [c for c in cases if key(c) in good]
    xml, code, log = once(stem, args)
    junit(xml, what, code, log, again if second_try else None)


SAN = {"ASAN_OPTIONS": "abort_on_error=1:detect_stack_use_after_return=1",
       "UBSAN_OPTIONS": "halt_on_error=1:abort_on_error=1:print_stacktrace=1",
       "TSAN_OPTIONS": "halt_on_error=1"}


def check_build():
    return build("check", "--buildtype=release", "-Ddebug=true")


def asan_build():
    return build("asan", "--buildtype=debugoptimized", "-Db_sanitize=address,undefined",
                 "-Db_lundef=false", cc="clang")


def tsan_build():
    return build("tsan", "--buildtype=debugoptimized", "-Db_sanitize=thread", "-Db_lundef=false",
                 cc="clang")


def stage_lint():
    """licence lines, format, shell, man pages, cppcheck, clang-tidy"""
    count(run(["scripts/lint.sh"], "lint.log") == 0, "lint", "lint.log")


def stage_unit():
    """gcc and clang builds; unit, vector and simulation tests; the core's symbols"""
    if check_build():
        meson_test("check", "unit and vectors (gcc)", "fast")
        meson_test("check", "simulation (gcc)", "sim", multiplier=3)
        count(run(["scripts/check-core-symbols.sh", "build/check"], "symbols.log") == 0,
              "the core makes no system call, reads no clock, allocates nothing", "symbols.log")
    # without the tests: clang builds them in the next stage
    build("clang", "--buildtype=release", "-Ddebug=true", "-Dtests=disabled", cc="clang")


def stage_san():
    """unit tests and simulation under ASan and UBSan, threads under TSan"""
    if asan_build():
        meson_test("asan", "unit and vectors (ASan, UBSan)", "fast", SAN, 5)
        meson_test("asan", "simulation (ASan, UBSan)", "sim", SAN, 10)
    if tsan_build():
        meson_test("tsan", "threads (TSan)", "threads", SAN, 5)


def stage_ct():
    """no branch and no index on a secret, under valgrind"""
    if check_build():
        meson_test("check", "constant time (valgrind)", "ct", multiplier=5)


def stage_budget():
    """instructions per packet, under callgrind, against the committed budget"""
    if check_build():
        ok = run(["tests/budget/budget.py", "build/check"], "budget.log", echo=True) == 0
        count(ok, "no kind of packet costs more instructions than its budget", "budget.log")


def stage_fuzz():
    """some seconds for each fuzz target (the committed corpora are part of the unit tests)"""
    count(run(["scripts/fuzz.sh", os.environ.get("FUZZ_SECONDS", "3")], "fuzz.log") == 0,
          "fuzzing finds nothing in some seconds a target", "fuzz.log")


def stage_system():
    """real tunnels in namespaces"""
    if check_build():
        env = {"WEFT_BUILD": str(TOP / "build/check")}
        alone = ["tests/system/test_flood.py", "tests/system/test_demo.py"]
        pytest("system", [*SYSTEM, *(f"--ignore={f}" for f in alone)], env, second_try=True)
        pytest("system, floods and the demo", alone, env)
        pytest("the bench's tools", ["tests/bench"], env)


def stage_system_asan():
    """the system tests that handle packets and texts, with weftd and weft under ASan and UBSan"""
    if asan_build():
        pytest("system (ASan, UBSan)", [*SYSTEM, "-m", "asan"],
               {"WEFT_BUILD": str(TOP / "build/asan"), **SAN}, second_try=True)


def stage_system_tsan():
    """the system tests that move traffic while things change, with weftd under TSan"""
    if tsan_build():
        pytest("system (TSan)", [*SYSTEM, "-m", "tsan"],
               {"WEFT_BUILD": str(TOP / "build/tsan"), **SAN}, second_try=True)


def stage_vm():
    """against the kernel's own WireGuard, in a virtual machine"""
    if check_build():
        pytest("kernel (VM)", ["tests/vm"], {"WEFT_BUILD": str(TOP / "build/check")})


STAGES = {n[len("stage_"):]: f for n, f in list(globals().items()) if n.startswith("stage_")}


def main():
    names = sys.argv[1:]
    if any(a in ("-h", "--help") for a in names):
        say(__doc__ + "\nStages:")
        for n, f in STAGES.items():
            say(f"  {n:12} {f.__doc__}")
        return 0
    unknown = [n for n in names if n not in STAGES]
    if unknown:
        print(f"check.py: no stage named {unknown[0]}: there are {', '.join(STAGES)}",
              file=sys.stderr)
        return 2
    if os.geteuid():
        print("check.py: needs root, for tunnels and network namespaces", file=sys.stderr)
        return 1
    OUT.mkdir(parents=True, exist_ok=True)
    for n in names or STAGES:
        say(f"== {n}: {STAGES[n].__doc__}")
        t = time.monotonic()
        STAGES[n]()
        say(f"   {n} took {time.monotonic() - t:.0f} s")
    for n in second_tries:
        say(f"PASSED ALONE AT THE SECOND TRY: {n}")
    for n in notes:
        say(f"failed: {n}")
    say(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


sys.exit(main())
