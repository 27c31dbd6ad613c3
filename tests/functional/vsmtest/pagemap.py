"""Which of a process's memory has pages: /proc/PID/pagemap.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import array
import pathlib

PAGE = 4096
PRESENT = 1 << 63
SWAPPED = 1 << 62


def largest_anonymous(pid):
    """(first, end) of the largest private anonymous mapping: guest RAM."""
    found = []
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        words = line.split()
        if words[1] == "rw-p" and words[4] == "0":
            first, end = (int(word, 16) for word in words[0].split("-"))
            found.append((end - first, first, end))
    return max(found)[1:]


def pages_with_memory(pid):
    """How many pages of the guest's RAM were ever touched."""
    first, end = largest_anonymous(pid)
    with open(f"/proc/{pid}/pagemap", "rb") as pagemap:
        pagemap.seek(first // PAGE * 8)
        words = array.array("Q", pagemap.read((end - first) // PAGE * 8))
    return sum(1 for word in words if word & (PRESENT | SWAPPED))
