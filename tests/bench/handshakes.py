#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Handshakes a second of one responder on one core, and a storm of spokes that come back at once.

Runs weftd and wireguard-go in turn, in a namespace whose loopback has an address for each
initiator, with hsload on the other core. Prints a table; --json FILE writes the figures. Needs
root, two cores and hsload (ninja bench-tools). A program of its own: it shares nothing with the
other parts of the bench.
"""
import argparse
import base64
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from pathlib import Path

SOCKETS = "/var/run/wireguard"
PORT = 51820


def say(*words):
    print(*words, file=sys.stderr, flush=True)


class Responder:
    """A daemon on one core in a namespace of its own; close() ends it."""
    count = 0

    def __init__(self, command, peers):
        Responder.count += 1
        self.ns = self.name = f"wh{os.getpid() % 100000}x{Responder.count}"
        self.proc = None
        ip = ["ip", "-n", self.ns]
        subprocess.run(["ip", "netns", "add", self.ns], check=True)
        try:
            subprocess.run([*ip, "link", "set", "lo", "up"], check=True)
            subprocess.run([*ip, "route", "add", "local", "10.128.0.0/9", "dev", "lo"], check=True)
            self.proc = subprocess.Popen(
                ["ip", "netns", "exec", self.ns, "taskset", "-c", "0", *command, "-f", self.name],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, "LOG_LEVEL": "error"})
            deadline = time.monotonic() + 20
            while not os.path.exists(f"{SOCKETS}/{self.name}.sock"):
                if self.proc.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{command[0]} did not come up")
                time.sleep(0.05)
            secret = subprocess.run(["wg", "genkey"], capture_output=True, check=True).stdout
            self.key = subprocess.run(["wg", "pubkey"], input=secret, capture_output=True,
                                      check=True).stdout.decode().strip()
            subprocess.run([*ip, "link", "set", self.name, "up"], check=True)
            self.set(f"private_key={base64.b64decode(secret).hex()}\nlisten_port={PORT}\n{peers}")
        except BaseException:
            self.close()
            raise

    def set(self, text):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(120)
            s.connect(f"{SOCKETS}/{self.name}.sock")
            s.sendall(f"set=1\n{text}\n".encode())
            answer = b""
            while not answer.endswith(b"\n\n"):
                answer += s.recv(4096) or b"hung up\n\n"
        if answer != b"errno=0\n\n":
            raise SystemExit(f"the daemon refused: {answer!r}")

    def load(self, tool, mode, *options):
        """hsload on the other core; what it printed."""
        p = subprocess.run(
            ["ip", "netns", "exec", self.ns, "taskset", "-c", "1", tool, mode,
             "--to", f"127.0.0.1:{PORT}", "--key", self.key, *map(str, options)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True, timeout=300)
        return json.loads(p.stdout)

    def close(self):
        if self.proc:
            self.proc.terminate()
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                self.proc.kill()
                self.proc.wait()
        subprocess.run(["ip", "netns", "del", self.ns], capture_output=True)


def one(command, a, mode, peers, *options):
    config = subprocess.run([a.hsload, "config", "--peers", str(peers)], capture_output=True,
                            check=True, text=True).stdout
    responder = Responder(command, config)
    try:
        return responder.load(a.hsload, mode, "--peers", peers, *options)
    finally:
        responder.close()


def newest_go(root):
    """The one that `make bench` has fetched, or the system's."""
    fetched = sorted((root / "build/bench/peer").glob("**/bin/wireguard-go"))
    return str(fetched[-1]) if fetched else "wireguard-go"


def main():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0],
                                formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    root = Path(__file__).resolve().parents[2]
    build = root / os.environ.get("WEFT_BUILD", "build/release")
    p.add_argument("--weftd", default=str(build / "src/daemon/weftd"), help="the daemon")
    p.add_argument("--wireguard-go", default=newest_go(root), help="what to compare; '': not")
    p.add_argument("--hsload", default=str(build / "tests/bench/hsload"), help="the generator")
    p.add_argument("--rounds", type=int, default=3, help="of the rate, interleaved")
    p.add_argument("--seconds", type=int, default=4, help="of a round at most")
    p.add_argument("--peers", type=int, default=2000, help="initiators of the rate")
    p.add_argument("--spokes", type=int, default=10000, help="in the storm; 0: no storm")
    p.add_argument("--junk", type=int, default=0, help="strangers' initiations a second, in it")
    p.add_argument("--json", metavar="FILE", help="writes the figures there")
    a = p.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if os.geteuid() != 0:
        p.error("needs root, for a network namespace")
    subjects = {"weftd": [a.weftd]}
    if a.wireguard_go:
        subjects["wireguard-go"] = [a.wireguard_go]
    rates, storms = {n: [] for n in subjects}, {}
    for r in range(a.rounds):
        for name, command in subjects.items():
            say(f"round {r + 1} of {a.rounds}: {name}")
            rates[name].append(one(command, a, "rate", a.peers, "--tries", 12,
                                   "--seconds", a.seconds))
    if a.spokes:
        for name, command in subjects.items():
            say(f"storm: {name}")
            storms[name] = one(command, a, "storm", a.spokes, "--tries", 8, "--seconds", 60,
                               "--junk", a.junk)
    figures = {n: {"handshakes": statistics.median(x["per_second"] for x in v)}
               for n, v in rates.items() if v}
    for name in subjects:
        s = storms.get(name)
        rate = figures.get(name, {}).get("handshakes", 0)
        print(f"{name:13} {rate:8.0f} handshakes/s" + (
            f"   storm: {s['answered']} of {s['peers']} answered, p50 {s['p50_ms']:.0f} ms, "
            f"p99 {s['p99_ms']:.0f} ms, last {s['last_ms']:.0f} ms" if s else ""))
    if a.json:
        Path(a.json).parent.mkdir(parents=True, exist_ok=True)
        Path(a.json).write_text(json.dumps(
            {"figures": figures, "rates": rates, "storms": storms}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
