# SPDX-License-Identifier: Apache-2.0
"""The users' documents against the code: every drop counter and log event is explained, none that
does not exist is, and every link leads somewhere."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/*.md")])


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def first_cells(text):
    """The names in backquotes in the first column of tables."""
    rows = re.findall(r"^\| (`[^|]*) \|", text, re.MULTILINE)
    return {name for row in rows for name in re.findall(r"`([a-z0-9_]+)`", row)}


def test_every_drop_counter_is_explained():
    table = read("src/core/drop.h").split("WEFT_DROP_TABLE(X)")[1].split("enum weft_drop")[0]
    in_code = set(re.findall(r'"((?:relay|rx|tx|tun)_[a-z0-9_]+)"', table))
    section = read("docs/troubleshooting.md").split("## Drop counters")[1]
    assert first_cells(section) == in_code


def test_every_log_event_is_explained():
    in_code = set()
    for path in (ROOT / "src" / "daemon").glob("*.c"):
        text = path.read_text(encoding="utf-8")
        in_code |= set(re.findall(r'WEFTD_LOG_[A-Z]+,\s*"([a-z_]+)"', text))
        in_code |= set(re.findall(r'\{"([a-z_]+)", WEFTD_LOG_', text))
    section = read("docs/weftd.md").split("## Log")[1].split("## ")[0]
    assert first_cells(section) == in_code


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), f"{page.name}: {target}"
