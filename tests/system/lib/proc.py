# SPDX-License-Identifier: Apache-2.0
# Looking into a running process from outside: its status, and its memory, through proc(5).
import re


def status(pid):
    """Fields of /proc/PID/status as text."""
    with open(f"/proc/{pid}/status") as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def thread_status(pid):
    """status() of each thread."""
    import os
    return [status(f"{pid}/task/{tid}") for tid in os.listdir(f"/proc/{pid}/task")]


class Mapping:
    def __init__(self, start, end, perms, name):
        self.start, self.end, self.perms, self.name, self.flags = start, end, perms, name, ()

    @property
    def for_keys(self):
        """Locked in memory and left out of dumps."""
        return "lo" in self.flags and "dd" in self.flags

    def __repr__(self):
        return f"<{self.start:x}-{self.end:x} {self.perms} {self.name or 'anonymous'} " \
               f"{' '.join(self.flags)}>"


def mappings(pid):
    found = []
    with open(f"/proc/{pid}/smaps") as f:
        for line in f:
            m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
            if m:
                found.append(Mapping(int(m[1], 16), int(m[2], 16), m[3], m[4].strip()))
            elif line.startswith("VmFlags:"):
                found[-1].flags = tuple(line.split()[1:])
    return found


def find(pid, *needles):
    """Every place in the process's memory that holds one of the byte strings: [(mapping, address)].
    Only what is there: pages that were never touched are not made."""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem, \
            open(f"/proc/{pid}/pagemap", "rb", buffering=0) as pagemap:
        for m in mappings(pid):
            if "r" not in m.perms or m.name in ("[vvar]", "[vsyscall]"):
                continue
            for start, end in _present(pagemap, m):
                try:
                    mem.seek(start)
                    data = mem.read(end - start)
                except OSError:
                    continue
                for needle in needles:
                    at = data.find(needle)
                    while at >= 0:
                        found.append((m, start + at))
                        at = data.find(needle, at + 1)
    return found


def _present(pagemap, m):
    """Runs of pages of a mapping that are in memory or swapped out."""
    pagemap.seek(m.start // 4096 * 8)
    entries = pagemap.read((m.end - m.start) // 4096 * 8)
    run = None
    for i in range(0, len(entries), 8):
        address = m.start + i // 8 * 4096
        if entries[i + 7] & 0xc0:
            run = address if run is None else run
        elif run is not None:
            yield run, address
            run = None
    if run is not None:
        yield run, m.start + len(entries) // 8 * 4096
