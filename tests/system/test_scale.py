# SPDX-License-Identifier: Apache-2.0
# Many peers: set, read, and traffic on some of them. Times are printed; the bounds are generous.
import os
import time

from conftest import DUT
from lib import wg


def request(keys, replace=True):
    lines = ["set=1"] + (["replace_peers=true"] if replace else [])
    for i, key in enumerate(keys):
        lines += [f"public_key={key}", "replace_allowed_ips=true",
                  f"allowed_ip=10.{50 + (i >> 16)}.{i >> 8 & 255}.{i & 255}/32",
                  f"allowed_ip=fd50::{i >> 16:x}:{i & 65535:x}/128"]
    return ("\n".join(lines) + "\n\n").encode()


def resident_kb(w):
    with open(f"/proc/{w.proc.pid}/status") as f:
        return int([x for x in f if x.startswith("VmRSS")][0].split()[1])


def sanitized():
    """Sanitizers pad every object, and shadow it."""
    with open(wg.PROGRAMS["weftd"](), "rb") as f:
        return b"__asan_init" in (text := f.read()) or b"__tsan_init" in text


def test_thousand_peers(bench):
    """1,000 peers, 20 of them with traffic, a few changed while it runs."""
    t = bench()
    hands = [t.peer(f"10.50.200.{n}/32", connect=False) for n in range(1, 21)]
    others = [os.urandom(32).hex() for _ in range(980)]
    assert t.w.uapi(request(others, replace=False), timeout=60) == "errno=0\n"
    assert len(t.w.get()[1]) == 1000
    for n, p in enumerate(hands, 1):
        p.connect()
        assert t.echo(p, f"10.50.200.{n}")
        assert t.gets(p, f"10.50.200.{n}")
    shown = t.w.wg("show", "dump").stdout.splitlines()
    assert len(shown) == 1001
    for key in others[::10]:
        assert t.w.set(f"public_key={key}", "remove=true") == 0
    for n, p in enumerate(hands, 1):
        assert t.echo(p, f"10.50.200.{n}")
    assert len(t.w.get()[1]) == 902


def test_twenty_thousand_peers(bench, record_property):
    """20,000 peers are set, read, read by wg(8), and replaced, while a tunnel works."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    keys = [os.urandom(32).hex() for _ in range(20000)]
    figures = {}

    def cpu_s():
        with open(f"/proc/{t.w.proc.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def timed(name, what):
        begin, cpu = time.monotonic(), cpu_s()
        result = what()
        figures[name] = round(time.monotonic() - begin, 3)
        figures[name + "_cpu"] = round(cpu_s() - cpu, 3)
        record_property(name, figures[name])
        return result
    assert timed("set_s", lambda: t.w.uapi(request(keys, replace=False), 120)) == "errno=0\n"
    for n in range(3):
        text = timed(f"get_{n}_s", lambda: t.w.uapi("get=1\n\n", 120))
    assert text.count("public_key=") == 20001
    shown = timed("wg_show_dump_s", lambda: t.w.wg("show", "dump").stdout)
    assert len(shown.splitlines()) == 20002
    assert t.echo(p)
    timed("set_one_s", lambda: t.w.set(f"public_key={keys[7]}", "persistent_keepalive_interval=9"))
    assert timed("replace_s", lambda: t.w.uapi(request(keys[:10]), 120)) == "errno=0\n"
    assert len(t.w.get()[1]) == 10
    with open(f"/proc/{t.w.proc.pid}/status") as f:
        figures["peak_kB"] = int([x for x in f if x.startswith("VmHWM")][0].split()[1])
    print(figures)
    if DUT == "weftd":
        # what the daemon itself has worked: how long it took depends on who else did
        assert min(figures[f"get_{n}_s_cpu"] for n in range(3)) < 3
        assert figures["set_s_cpu"] < 20
        assert figures["peak_kB"] < 1 << 20


def test_hundred_thousand_peers(bench):
    """100,000 peers in one set: at most 1 KB each, all there, a tunnel works beside them."""
    t = bench()
    p = t.peer("10.99.0.1/32")
    keys = [os.urandom(32).hex() for _ in range(50000 if DUT != "weftd" else 100000)]
    before = resident_kb(t.w)
    assert t.w.uapi(request(keys, replace=False), 120) == "errno=0\n"
    after = resident_kb(t.w)
    assert t.echo(p)
    text = t.w.uapi("get=1\n\n", 120)
    assert text.count("public_key=") == len(keys) + 1
    for key in (keys[0], keys[777], keys[-1]):
        assert t.w.set(f"public_key={key}", "remove=true") == 0
    assert t.w.uapi("get=1\n\n", 120).count("public_key=") == len(keys) - 2
    assert t.echo(p)
    print("bytes a peer:", (after - before) * 1024 / len(keys))
    if DUT == "weftd" and not sanitized():
        assert (after - before) * 1024 / len(keys) < 1280  # two allowed IPs each; arenas are large


def test_many_prefixes_of_one_peer(bench):
    """A peer with 5,000 prefixes: all listed, all routed, moved to another in one set."""
    t = bench()
    one, two = t.peer("10.99.0.1/32"), t.peer("10.99.0.3/32")
    prefixes = [f"10.50.{i >> 8}.{i & 255}/32" for i in range(5000)]
    for p in (one, two):
        assert t.w.set(f"public_key={p.key.public_hex}", *[f"allowed_ip={x}" for x in prefixes]) == 0
        assert len(t.w.peer_state(p.key)["allowed_ip"]) == 5001
        assert t.gets(p, "10.50.0.7") and t.gets(p, "10.50.19.7")
    assert t.w.peer_state(one.key)["allowed_ip"] == ["10.99.0.1/32"]
