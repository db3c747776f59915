# SPDX-License-Identifier: Apache-2.0
# The soak, for half a minute: that it runs, ends by itself and finds a steady weftd. An hour of it is
# `make soak`.
import json
import os
import subprocess
import sys

import pytest

from lib import wg

SOAK = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "soak", "soak.py")


@pytest.mark.slow
@pytest.mark.skipif(wg.DUT != "weftd", reason="weftd's own promise")
def test_soak(tmp_path):
    done = subprocess.run([sys.executable, SOAK, "--seconds", "30", "--out", tmp_path],
                          capture_output=True, text=True, timeout=390,
                          env=dict(os.environ, WEFT_BUILD=wg.build_dir()))
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads((tmp_path / "soak.json").read_text())
    assert result["wrong"] == [] and len(result["samples"]) > 10
    assert (tmp_path / "soak.svg").read_text().startswith("<svg")


def test_memory_too_small(net):
    """More threads than the packet memory is enough for: refused, and said why."""
    host = net.host()
    done = host.run(wg.PROGRAMS["weftd"](), "-f", "--workers", "16", "--packet-memory", "16",
                    "wg0", check=False)
    assert done.returncode == 1 and "--packet-memory" in done.stderr
