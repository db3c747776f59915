#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Instructions per packet in weft's own code, against the committed budget.

usage: budget.py [--update] BUILD_DIR

Runs BUILD_DIR/tests/budget/budget-replay under callgrind: a fixed replay of packets through core,
crypto and offload code. Counted is what weft's own functions execute; libraries (the cipher itself,
the C library's copying) are not, since what they execute depends on the processor. So the same
compiler gives the same figures on any machine, to within a fraction of a percent; another version
of it does not, and is given more room. data/instructions.json holds the budget and the compiler that it
was counted with.

More than 3 % over it is a failure. If the instructions are worth what they do, or there are fewer
of them now, commit a new budget: budget.py --update BUILD_DIR.
"""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
BUDGET = HERE / "data/instructions.json"
OVER = 0.03         # more is a failure
OVER_OTHER = 0.20   # with another compiler, or other options, than the budget's
UNDER = 0.05        # less is worth a new budget
WORST = 8           # functions named when a kind is over its budget


def options(build):
    """What the build tree's options do to the number of instructions."""
    o = {x["name"]: x["value"] for x in
         json.loads((build / "meson-info/intro-buildoptions.json").read_text())}
    return " ".join([f"-O{o['optimization']}", *o["c_args"]])


def self_costs(dump, exe):
    """{function: instructions} of weft's own files, out of one dump of callgrind.

    The file is the one that the function is in; what was inlined from others is its own cost.
    """
    costs = collections.Counter()
    ob = file = fn = ""
    skip = False
    for line in dump.read_text(errors="replace").splitlines():
        if line[:1].isdigit():
            if skip:
                skip = False  # what a call cost belongs to what was called
            elif ob == exe and "/tests/" not in file:
                costs[fn] += int(line.split()[1])
        elif line.startswith("calls="):
            skip = True
        elif line.startswith("ob="):
            ob = line[3:]
        elif line.startswith("fl="):
            file = line[3:]
        elif line.startswith("fn="):
            fn = re.sub(r"'\d+$", "", line[3:])
    return costs


def count(build):
    """What it was compiled with, and {kind: (instructions per packet, {function: the same})}."""
    exe = (build / "tests/budget/budget-replay").resolve()
    if not exe.exists():
        raise SystemExit(f"budget: no {exe}: build it (valgrind's headers are needed)")
    with tempfile.TemporaryDirectory() as d:
        out = Path(d) / "out"
        p = subprocess.run(["valgrind", "--tool=callgrind", "--compress-strings=no",
                            "--compress-pos=no", f"--callgrind-out-file={out}", str(exe)],
                           capture_output=True, text=True, timeout=300,
                           env={k: v for k, v in os.environ.items() if k != "WEFT_TEST_SEED"})
        if p.returncode:
            raise SystemExit(f"budget: the replay ended with {p.returncode}\n{p.stderr[-2000:]}")
        packets = dict(re.findall(r"^([a-z-]+) (\d+)$", p.stdout, re.M))
        result = {}
        for dump in sorted(Path(d).glob("out.*")):
            kind = re.search(r"^desc: Trigger: Client Request: (\S+)", dump.read_text(), re.M)
            if kind:
                n = int(packets[kind[1]])
                costs = {f: c / n for f, c in self_costs(dump, str(exe)).items()}
                result[kind[1]] = (sum(costs.values()), costs)
    if set(result) != set(packets) or not all(v[0] > 10 for v in result.values()):
        raise SystemExit("budget: callgrind's dumps do not match the replay: nothing was counted")
    with_ = re.search(r"^compiler: (.+)$", p.stdout, re.M)
    if not with_:
        raise SystemExit("budget: the replay does not say what compiled it: build it again")
    return f"{with_[1]} {options(build)}", result


def compare(now, budget, same):
    """Lines to print, and whether a kind is over its budget."""
    allowed = OVER if same else OVER_OTHER
    lines, over, under = [], False, False
    for kind, (total, costs) in now.items():
        if kind not in budget:
            lines.append(f"{kind:14} {total:7.0f}  has no budget")
            over = True
            continue
        want = budget[kind]["instructions"]
        change = total / want - 1
        word = "over budget" if change > allowed else "under budget" if change < -UNDER else "ok"
        over |= change > allowed
        under |= change < -UNDER
        lines.append(f"{kind:14} {total:7.0f}  budget {want:7.0f}  {change * 100:+6.1f} %  {word}")
        if change > allowed:
            before = budget[kind].get("functions", {})
            grown = sorted(costs, key=lambda f: before.get(f, 0) - costs[f])[:WORST]
            lines += [f"    {costs[f]:7.1f}  was {before.get(f, 0):7.1f}  {f}"
                      for f in grown if costs[f] - before.get(f, 0) > 0.5]
    for kind in sorted(set(budget) - set(now)):
        lines.append(f"{kind:14} is in the budget and is not counted any more")
        over = True
    if over:
        lines.append("over budget by more than "
                     f"{allowed * 100:.0f} %: make it cheaper, or say why it is worth it and run "
                     "tests/budget/budget.py --update build/check")
    elif under:
        lines.append("well under budget: commit the gain with "
                     "tests/budget/budget.py --update build/check")
    return lines, over


def main(argv):
    args = [a for a in argv if a != "--update"]
    if len(args) != 1 or args[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if args[:1] in (["-h"], ["--help"]) else 2
    build = Path(args[0]).resolve()
    with_, now = count(build)
    if "--update" in argv:
        kinds = {k: {"instructions": round(total), "functions": {
            f: round(c, 1) for f, c in sorted(costs.items(), key=lambda x: -x[1]) if c >= 1}}
                 for k, (total, costs) in now.items()}
        BUDGET.write_text(json.dumps({"compiler": with_, "kinds": kinds}, indent=1) + "\n")
        print(f"{BUDGET.name}: " + ", ".join(f"{k} {v['instructions']}" for k, v in kinds.items()))
        return 0
    budget = json.loads(BUDGET.read_text())
    same = budget["compiler"] == with_
    if not same:
        print(f"counted with {with_}, the budget with {budget['compiler']}: "
              f"{OVER_OTHER * 100:.0f} % are allowed instead of {OVER * 100:.0f} %")
    lines, over = compare(now, budget["kinds"], same)
    print("\n".join(lines))
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
