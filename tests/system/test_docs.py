# SPDX-License-Identifier: Apache-2.0
"""The users' documents against the code: every drop counter and log event is explained, none that
does not exist is, every subcommand has a manual page with all that its usage names, and every link
leads somewhere."""

import pathlib
import re
import subprocess

import pytest

from lib import wg

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


def subcommands():
    text = subprocess.run([wg.weft(), "help"], capture_output=True, text=True, check=True)
    return re.findall(r"^  ([a-z-]+): ", text.stdout, re.MULTILINE)


# whose page is still a part of weft.8
WITHOUT_PAGE = {"up", "down", "strip"}


def manual(name):
    page = ROOT / f"docs/man/weft-{name}.8"
    if name in WITHOUT_PAGE and not page.exists():
        page = ROOT / "docs/man/weft.8"
    return page.read_text(encoding="utf-8")


def test_every_subcommand_has_a_manual_page():
    names = subcommands()
    assert len(names) > 10
    for name in names:
        page = manual(name)
        if name not in WITHOUT_PAGE:
            assert f".Nm weft-{name}\n" in page, name
        assert re.search(rf"^\.Cm (\w+ \| )*{name}\b|^\.It Cm (\w+ \| )*{name}\b", page,
                         re.MULTILINE), f"{name}: its own use is not in its page"
        assert re.search(rf"^\.It (Xr weft-{name} 8|Cm {name}\b)", read("docs/man/weft.8"),
                         re.MULTILINE), f"{name}: not in the list in weft.8"


def test_every_manual_page_is_of_a_program_and_installed():
    pages = {p.name for p in (ROOT / "docs/man").glob("*.[58]")}
    others = {"weft.8", "weftd.8", "weft.conf.5"}
    assert others <= pages
    assert pages - others <= {f"weft-{n}.8" for n in subcommands()}
    assert set(re.findall(r"'(.*)'", read("docs/man/meson.build"))) == pages


def test_every_manual_page_names_what_the_usage_does():
    for name in subcommands():
        shown = subprocess.run([wg.weft(), name, "-h"], capture_output=True, text=True,
                               stdin=subprocess.DEVNULL, check=True).stdout
        if name in ("help", "version"):  # which take nothing
            continue
        assert shown.startswith(f"Usage: weft {name}"), shown
        words = re.sub(r"<[^>]*>", " ", shown.split("\n")[0].split(name, 1)[1])
        page = manual(name)
        for option in re.findall(r"(?<![\w-])-(-?[a-z][a-z-]*)", words):
            assert re.search(rf"\bFl {re.escape(option)}\b", page), f"{name}: -{option}"
        for word in re.findall(r"(?<![\w.-])[a-z][a-z-]*", words):
            assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", page), f"{name}: {word}"


def test_every_key_of_a_file_is_in_its_manual_page():
    page = read("docs/man/weft.conf.5")
    table = read("src/conf/ini.c").split("weft_ini_quick_keys[] = {")[1].split("};")[0]
    keys = set(re.findall(r'"(\w+)"', table))
    assert {"Address", "SaveConfig"} <= keys
    items = " ".join(re.findall(r"^\.It Li (.*)", page, re.MULTILINE))
    assert keys <= set(re.findall(r"\w+", items))
