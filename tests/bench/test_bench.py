# SPDX-License-Identifier: Apache-2.0
"""The bench's own tests: its arithmetic with made-up figures, and one short run of everything.

They assert that figures exist and are sums of what they should be, never how large they are: how
fast a machine is at the moment is not what is tested here.
"""
import json
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import bench  # noqa: E402
import loads  # noqa: E402
import peer  # noqa: E402
import report  # noqa: E402
import world  # noqa: E402

BUILD = Path(os.environ.get("WEFT_BUILD", HERE.parent.parent / "build/check")).resolve()


def run_of(subject, disturbed=None, **figures):
    return {"round": 1, "subject": subject, "figures": figures,
            "disturbed": dict.fromkeys(figures, disturbed) if disturbed else {}}


def result_of(runs):
    return {"date": "2026-01-01", "command": "tests/bench/bench.py", "rounds": 3, "seconds": 3,
            "machine": {"cpu": "made up", "cores": 2, "avx512": False, "kernel": "6.1"},
            "versions": {"wireguard-go": "1"}, "runs": runs}


def by_key(mid):
    return {r["key"]: r for r in report.rows([run_of(s, **f) for s, f in mid.items()])}


# statistics

def test_percentile_is_a_value_that_was_measured():
    v = [float(x) for x in range(1, 101)]
    assert loads.percentile(v, 50) == 50
    assert loads.percentile(v, 99) == 99
    assert loads.percentile(v, 100) == 100
    assert loads.percentile([7.0], 50) == loads.percentile([7.0], 99) == 7


def test_median_of_the_quiet_runs():
    runs = [run_of("weftd", tcp1=4.0), run_of("weftd", tcp1=6.0), run_of("weftd", tcp1=5.0),
            run_of("weftd", "noise", tcp1=1.0)]
    assert report.medians(runs)["weftd"]["tcp1"] == 5.0


def test_median_of_disturbed_runs_where_there_is_no_other():
    runs = [run_of("weftd", "noise", tcp1=1.0), run_of("weftd", "noise", tcp1=3.0)]
    assert report.medians(runs)["weftd"]["tcp1"] == 2.0


def test_a_ratio_is_taken_within_its_round():
    runs = [{**run_of(s, d, tcp1=v), "round": r} for r, s, v, d in (
        (1, "weftd", 8.0, None), (1, "wireguard-go", 2.0, None),   # 4
        (2, "weftd", 10.0, None), (2, "wireguard-go", 5.0, None),  # 2: the machine was faster
        (3, "weftd", 3.0, None), (3, "wireguard-go", 1.0, None),   # 3
        (4, "weftd", 1.0, None), (4, "wireguard-go", 9.0, "noise"))]
    assert report.ratios(runs, "weftd")["tcp1"] == 3.0
    assert report.ratios(runs[:1] + runs[3:4], "weftd")["tcp1"] == pytest.approx(8 / 5)
    assert report.ratios(runs[:1], "weftd") == {}


def test_spread():
    runs = [run_of("weftd", tcp1=4.0), run_of("weftd", tcp1=6.0), run_of("weftd", tcp1=5.0)]
    assert report.spread(runs, "weftd", "tcp1") == pytest.approx(0.4)
    assert report.spread(runs[:1], "weftd", "tcp1") == 0


def test_other_work_is_seen():
    spin = "import time\nend = time.process_time() + 0.5\nwhile time.process_time() < end: pass"
    # asked by a process that is not the parent of what works
    ask = ("import sys; sys.path.insert(0, sys.argv[1]); import world\n"
           "before = world.others_cpu(); print(flush=True); sys.stdin.readline()\n"
           "print(world.others_since(before, world.others_cpu())[0])")

    def seen():
        p = subprocess.Popen([sys.executable, "-c", ask, str(HERE)], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE, text=True)
        p.stdout.readline()
        subprocess.run([sys.executable, "-c", spin], check=True)
        return float(p.communicate("\n", timeout=60)[0])

    # a process elsewhere whose parent does not ask for its times takes them with it: so, not once
    assert any(seen() >= 0.45 for _ in range(5))


def test_what_ends_moves_to_its_parent():
    before = {1: ("init", 5.0), 7: ("make", 1.0), 8: ("cc1", 3.0)}
    now = {1: ("init", 5.0), 7: ("make", 4.5), 9: ("ld", 0.25)}  # cc1 had 3.5 at its end
    seconds, names = world.others_since(before, now)
    assert seconds == pytest.approx(0.75) and names == ["make", "ld"]


# the search for the rate without loss

def link(capacity, generator=1e9):
    """A made-up link: what is over its capacity is lost."""
    def trial(rate):
        sent = min(rate, generator)
        return {"sent": sent, "sent_pps": sent, "loss": max(0, 1 - capacity / sent)}
    return trial


@pytest.mark.parametrize("capacity", [700, 40000, 123456, 1e6])
@pytest.mark.parametrize("guess", [0.2, 0.9, 3])
def test_no_loss_rate_finds_the_capacity(capacity, guess):
    found = loads.no_loss_rate(link(capacity), capacity * guess)
    assert capacity * 0.95 <= found <= capacity * (1 + 2 * loads.NO_LOSS)


def test_no_loss_rate_stops_where_the_generator_does():
    assert loads.no_loss_rate(link(1e9, generator=50000), 40000) == 50000


def test_no_loss_rate_of_a_link_that_loses_always():
    assert loads.no_loss_rate(lambda rate: {"sent": 10, "sent_pps": rate, "loss": 0.5}, 1000) == 0


def test_one_lossy_trial_is_forgiven():
    steady, calls = link(40000), []

    def trial(rate):
        calls.append(rate)
        t = steady(rate)
        return {**t, "loss": 0.3} if calls.count(rate) == 1 else t

    assert loads.no_loss_rate(trial, 30000) >= 38000


# the table

def test_ratio_and_floor():
    rows = by_key({"veth": {"tcp1": 15.0}, "wireguard-go": {"tcp1": 1.5, "ping_load_p99": 30000.0},
                   "weftd": {"tcp1": 6.6, "ping_load_p99": 6000.0}})
    assert rows["tcp1"]["ratio"] == pytest.approx(4.4) and rows["tcp1"]["met"] is True
    assert rows["ping_load_p99"]["ratio"] == pytest.approx(0.2)
    assert rows["ping_load_p99"]["met"] is False


def test_floor_of_a_value_needs_no_wireguard_go():
    rows = by_key({"weftd": {"memory": 65.0, "idle_peer_bytes": 1024}})
    assert rows["memory"]["met"] is False and rows["idle_peer_bytes"]["met"] is True
    assert rows["memory"]["ratio"] is None


def test_a_variant_has_rows_and_floors_of_its_own():
    rows = by_key({"wireguard-go": {"relay_tcp": 1.0, "tcp1": 1.0},
                   "weftd": {"relay_tcp": 3.6, "tcp1": 4.5}, "weftd-relay": {"relay_tcp": 4.5}})
    assert rows["relay_tcp"]["met"] is True
    assert rows["relay_tcp@weftd-relay"]["met"] is False
    assert "tcp1@weftd-relay" not in rows


def test_every_floor_has_a_row():
    assert {k.partition("@")[0] for k in report.FLOORS} <= {r[0] for r in report.ROWS}
    assert {k.partition("@")[2] for k in report.FLOORS} <= {"", *report.VARIANTS}


def test_missing_figures_leave_holes_not_faults(tmp_path):
    runs = [run_of("veth", tcp1=15.0), run_of("wireguard-go", "noise", udp64=40000.0),
            run_of("weftd", tcp1=5.0, ping_load_lost=0.0, relay_tcp=2.0)]
    report.write(result_of(runs), tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert "| TCP, one stream | Gbit/s | 15.00 | - | 5.00 |  | - | >= 4.30x |" in text
    assert "1 of 5 single figures were disturbed" in text


def test_results_are_written(tmp_path):
    runs = [run_of(s, tcp1=v, ping_idle_p50=10 * v) for s, v in
            (("veth", 15.0), ("wireguard-go", 1.5), ("weftd", 6.0), ("boringtun", 0.5))]
    table = report.write(result_of(runs), tmp_path)
    assert "4.00x" in table and "boringtun" in table
    kept = json.loads((tmp_path / "bench.json").read_text())
    assert kept["medians"]["weftd"]["tcp1"] == 6.0 and len(kept["runs"]) == 4
    for name in ("tcp.svg", "ping.svg"):
        bars = [e for e in ET.parse(tmp_path / name).getroot() if e.tag.endswith("rect")]
        assert len(bars) == 1 + 4


def test_scale_figures_become_a_table_and_a_plot():
    scale = {"rows": [{"daemon": "weftd", "peers": 1, "bytes_a_peer": 9e9, "load_s": 0.01},
                      {"daemon": "weftd", "peers": 1000000, "bytes_a_peer": 700.5,
                       "load_s": 4.25},
                      {"daemon": "wireguard-go", "peers": 1, "bytes_a_peer": 9e9}]}
    text = report.markdown({**result_of([run_of("weftd", tcp1=1.0)]), "scale": scale})
    assert "| weftd | 1,000,000 | 4.25 | 700 |" in text and "| wireguard-go | 1 | - |" in text
    assert "scale.svg" in report.plots({}, scale)


def test_a_page_gets_the_figures_and_keeps_the_rest():
    page = f"# before\n{report.MARKS[0]}\nold\n{report.MARKS[1]}\nafter\n"
    text = report.into_page(result_of([run_of("weftd", tcp1=1.0)]), page)
    assert text.startswith("# before\n") and text.endswith("\nafter\n")
    assert "old" not in text and "made up" in text
    assert report.into_page(result_of([run_of("weftd", tcp1=1.0)]), text) == text
    with pytest.raises(ValueError):
        report.into_page(result_of([]), "no marks")


def test_the_documents_page_has_the_marks():
    page = (HERE.parent.parent / "docs/performance.md").read_text()
    assert report.into_page(result_of([run_of("weftd", tcp1=1.0)]), page)


# bench-quick's comparison

KEPT = {"A": {"tcp1": 4.0, "ping_load_p99": 0.2}}


@pytest.mark.parametrize("now, fell", [
    ({"tcp1": 4.0, "ping_load_p99": 0.2}, False),
    ({"tcp1": 3.5, "ping_load_p99": 0.2}, False),   # 12 % less
    ({"tcp1": 3.3, "ping_load_p99": 0.2}, True),    # 17 % less
    ({"tcp1": 4.0, "ping_load_p99": 0.22}, False),  # lower is better: 9 % worse
    ({"tcp1": 4.0, "ping_load_p99": 0.25}, True),   # 20 % worse
    ({"tcp1": 9.0, "ping_load_p99": 0.01}, False),
    ({"tcp1": 4.0}, True),                          # a figure that is missing is no good news
])
def test_a_fall_is_seen(now, fell):
    lines, bad = report.compare(now, KEPT, "A")
    assert bad is fell
    assert ("MORE THAN ALLOWED" in "\n".join(lines)) is (fell and len(now) == 2)


def test_what_was_disturbed_is_not_judged():
    lines, bad = report.compare({"tcp1": 1.0, "ping_load_p99": 0.2}, KEPT, "A",
                                sure={"ping_load_p99"})
    assert bad is False and "too much was disturbed" in lines[0]
    runs = [{**run_of(s, d, tcp1=1.0), "round": r} for r, s, d in (
        (1, "weftd", None), (1, "wireguard-go", None), (2, "weftd", None),
        (2, "wireguard-go", "noise"))]
    assert report.sure(runs, "weftd") == set()
    assert report.sure(runs, "weftd", least=1) == {"tcp1"}


def test_another_machines_ratios_are_information():
    lines, bad = report.compare({"tcp1": 1.0, "ping_load_p99": 9.0}, KEPT, "B")
    assert bad is False and "as information" in lines[0]


def test_without_committed_ratios():
    lines, bad = report.compare({"tcp1": 1.0}, {}, "A")
    assert bad is False and "--update" in lines[0]


def test_the_committed_ratios_can_be_read():
    kept = json.loads(bench.RATIOS.read_text())["machines"]
    for ratios in kept.values():
        assert set(ratios) == set(bench.QUICK) and all(r > 0 for r in ratios.values())


# where wireguard-go comes from

def test_apt_sources_in_both_formats(tmp_path):
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list").write_text(
        "# deb http://old.example/debian stable main\n"
        "deb [arch=amd64 signed-by=/k.gpg] http://one.example/debian trixie main contrib\n")
    (tmp_path / "sources.list.d/x.sources").write_text(
        "Types: deb-src\nURIs: http://src.example/d\nSuites: bookworm\nComponents: main\n\n"
        "Types: deb\n# a comment\nURIs: http://two.example/debian\nSuites: bookworm\n"
        " bookworm-updates\nComponents: main\nSigned-By: /usr/share/k.gpg\n")
    assert peer.source_of("trixie", tmp_path) == ("http://one.example/debian", "/k.gpg")
    assert peer.source_of("bookworm", tmp_path) == ("http://two.example/debian", "/usr/share/k.gpg")
    assert peer.source_of("stable", tmp_path) is None


# the command line

@pytest.mark.parametrize("argv", [["--only", "tcp,nonsense"], ["--rounds", "-1"], ["--update"],
                                  ["--nonsense"]])
def test_wrong_options_are_refused(argv, capsys):
    with pytest.raises(SystemExit) as e:
        bench.arguments(argv)
    assert e.value.code == 2 and "error" in capsys.readouterr().err


# everything once, as short as it goes

def start(out, *options):
    return subprocess.Popen([sys.executable, str(HERE / "bench.py"), "--offline", "--out", str(out),
                             *options], env={**os.environ, "WEFT_BUILD": str(BUILD)}, text=True,
                            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def namespaces(p):
    """Those that a bench made and that are there still."""
    said = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    return [n for n in said.split() if n.startswith(f"wb{p.pid}n")]


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    if os.geteuid():
        pytest.skip("needs root")
    out = tmp_path_factory.mktemp("bench")
    p = start(out, "--rounds", "1", "--seconds", "1", "--only", "tcp,udp,ping,plain,relay",
              "--subjects", "veth,weftd")
    try:
        _, err = p.communicate(timeout=220)
    finally:
        p.terminate()
        p.wait()
    assert p.returncode == 0, err[-3000:]
    return out, p


def test_a_short_run_has_every_figure(smoke):
    out, p = smoke
    result = json.loads((out / "bench.json").read_text())
    have = result["medians"]["weftd"]
    missing = [r[0] for r in report.ROWS if r[0] not in have]
    assert set(missing) <= {"handshakes", "idle_peer_bytes"}
    assert have["tcp1"] > 0 and have["udp64_flood"] > 0 and have["memory"] > 0
    of_daemons = ["memory", "tcp1_cpu_sender", "tcp1_cpu_receiver", "relay_tcp_cpu_hub"]
    assert set(missing + of_daemons) >= \
        {r[0] for r in report.ROWS if r[0] not in result["medians"]["veth"]}
    for name in ("table.txt", "table.md", "tcp.svg", "packets.svg", "ping.svg", "cpu.svg"):
        assert (out / name).stat().st_size > 0


def test_a_run_leaves_nothing_behind(smoke):
    assert namespaces(smoke[1]) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
@pytest.mark.parametrize("later", [0, 0.4, 2])
def test_an_interrupted_run_leaves_nothing_behind(tmp_path, later):
    p = start(tmp_path, "--seconds", "60", "--only", "tcp", "--subjects", "weftd")
    try:
        for _ in range(600):
            if namespaces(p):
                break
            assert p.poll() is None
            time.sleep(0.1)
        assert namespaces(p)
        time.sleep(later)
        p.terminate()
        _, err = p.communicate(timeout=60)
    finally:
        if p.poll() is None:
            p.kill()
            p.wait()
    assert p.returncode == 130 and "interrupted" in err
    assert namespaces(p) == []


@pytest.mark.skipif(not (BUILD / "tests/bench/udpload").exists(), reason="udpload is not built")
@pytest.mark.parametrize("rate, group", [(0, 1), (2000, 1), (2000, 8), (0, 64)])
def test_udpload_counts_what_it_sends(rate, group):
    p = subprocess.run([str(BUILD / "tests/bench/udpload"), "-s", "100", "-r", str(rate), "-t",
                        "0.2", "-g", str(group), "-", "-", "127.0.0.1"],
                       capture_output=True, text=True, timeout=60)
    t = json.loads(p.stdout)
    assert t["size"] == 100 and t["sent"] > 0
    assert 0 < t["received"] <= t["sent"] and t["sent"] % group == 0
    assert t["loss"] == pytest.approx(1 - t["received"] / t["sent"], abs=1e-5)
    if rate:
        assert t["sent"] <= rate * t["seconds"] + 1 + group


@pytest.mark.skipif(not (BUILD / "tests/bench/udpload").exists(), reason="udpload is not built")
@pytest.mark.parametrize("argv", [["-s", "1", "-", "-", "127.0.0.1"], ["-", "-", "nowhere"], ["-"],
                                  ["-g", "64", "-s", "1400", "-", "-", "127.0.0.1"]])
def test_udpload_refuses_nonsense(argv):
    p = subprocess.run([str(BUILD / "tests/bench/udpload"), *argv], capture_output=True, text=True,
                       timeout=20)
    assert p.returncode == 2 and "udpload" in p.stderr
