#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What each step of a train's way costs here: perf's samples beside one TCP stream between two
weftd, by what the sampled thread was doing. For model.py; needs root, perf and iperf3."""
import argparse
import collections
import json
import re
import subprocess
import tempfile

import model
import world
from loads import Loads

# what a thread is in the kernel for, by a function somewhere in the call chain
CALLS = [
    ("tun_read", r"tun_chr_read_iter|tun_do_read|do_readv"),
    ("deliver", r"tun_chr_write_iter|tun_get_user|do_writev"),
    ("send", r"__sys_sendmsg|__sys_sendmmsg|udp_sendmsg"),
    ("recv", r"__sys_recvmmsg|do_recvmmsg|udp_recvmsg"),
]
STEPS = ("tun_read", "split", "seal", "send", "recv", "open", "deliver")


def kind(comm, chain):
    """What a sample is counted as. Outside the kernel the innermost function alone is known for
    sure, and a library's often has no name: cryptography, which is most of it."""
    if comm.startswith("iperf3"):
        return "app"
    if not comm.startswith("weftd-"):
        return "other"
    for name, pattern in CALLS:
        if any(re.fullmatch(pattern, f) for f in chain):
            return name
    sends = comm.startswith("weftd-tx")
    if re.match(r"weft_split|weft_csum|add_copy|weft_coalesce|can_join|checksums|weft_rx_accept",
                chain[0] if chain else ""):
        return "split" if sends else "deliver"
    return "seal" if sends else "open"


def samples(text):
    """perf script's output as (thread's name, [functions, innermost first])."""
    for block in text.split("\n\n"):
        lines = block.strip().splitlines()
        if lines:
            yield lines[0].split()[0], [f[1].split("+")[0] for f in
                                        (x.split() for x in lines[1:]) if len(f) > 1]


def main():
    p = argparse.ArgumentParser(description="measures the steps' costs for model.py")
    p.add_argument("weftd")
    p.add_argument("--seconds", type=int, default=6)
    p.add_argument("--json", default="/dev/stdout")
    args = p.parse_args()
    hertz = 4999
    subject = world.Subject("weftd", [args.weftd])
    with world.Pair(subject) as w, tempfile.NamedTemporaryFile() as data:
        loads = Loads(args.seconds, None)
        perf = subprocess.Popen(["perf", "record", "-q", "-a", "-g", "-F", str(hertz), "-o",
                                 data.name, "sleep", str(args.seconds)],
                                stderr=subprocess.DEVNULL)
        end = loads.iperf(w)
        perf.wait()
        text = subprocess.run(["perf", "script", "-F", "comm,ip,sym", "-i", data.name],
                              capture_output=True, text=True, check=True).stdout
    gbits = end["sum_received"]["bits_per_second"] / 1e9
    trains = gbits * 1e9 / 8 * args.seconds / model.TRAIN_BYTES
    counts = collections.Counter(kind(c, s) for c, s in samples(text) if not c.startswith("swapper"))
    us = {k: n / hertz / trains * 1e6 for k, n in counts.items()}
    steps = {k: round(us.get(k, 0), 1) for k in STEPS}
    steps["app_send"] = steps["app_recv"] = round(us.get("app", 0) / 2, 1)
    both = model.gbits(2, 1, False, dict(model.STEPS, **steps))
    result = {"measured_gbits": round(gbits, 2), "modelled_gbits": round(both, 2),
              "other_us": round(us.get("other", 0), 1), "steps": steps}
    with open(args.json, "w") as f:
        json.dump(result, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
