# SPDX-License-Identifier: Apache-2.0
"""Makes texts for C of files: embed.py HEADER FILE...  The name of each is its file's, without
anything but letters: completion.bash becomes text_completion_bash."""
import re
import sys
from pathlib import Path


def text(line):
    return '"' + line.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t") + '\\n"'


out = ["/* Made by embed.py. */"]
for path in map(Path, sys.argv[2:]):
    out.append(f"static const char text_{re.sub('[^a-z]', '_', path.name)}[] =")
    out += [f"\t{text(line)}" for line in path.read_text(encoding="utf-8").splitlines()]
    out[-1] += ";"
Path(sys.argv[1]).write_text("\n".join(out) + "\n", encoding="utf-8")
