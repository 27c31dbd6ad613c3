"""A guest's memory as dump-guest-memory writes it, and a walker of its own
over x86 page tables, to compare libvsm's with.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import re
import struct

WRITE, EXEC, USER = 1, 2, 4
ADDRESS = 0x000ffffffffff000


class Dump:
    """An ELF core of physical memory, and registers of the first vCPU."""

    def __init__(self, path, registers):
        self._file = open(path, "rb")
        header = self._file.read(64)
        offset, = struct.unpack_from("<Q", header, 32)
        count, = struct.unpack_from("<H", header, 56)
        self._file.seek(offset)
        table = self._file.read(56 * count)
        self._segments = []
        for n in range(count):
            fields = struct.unpack_from("<IIQQQQQQ", table, 56 * n)
            if fields[0] == 1:
                self._segments.append((fields[4], fields[5], fields[2]))
        first = registers.split("CPU#1")[0]
        self.cr3 = int(re.search(r"CR3=([0-9a-f]+)", first)[1], 16) & ADDRESS
        cr4 = int(re.search(r"CR4=([0-9a-f]+)", first)[1], 16)
        self.levels = 5 if cr4 & 0x1000 else 4

    def close(self):
        self._file.close()

    def read(self, physical, count):
        """Bytes of memory; None where there is none."""
        for start, size, offset in self._segments:
            if start <= physical and physical + count <= start + size:
                self._file.seek(offset + physical - start)
                return self._file.read(count)
        return None

    def kernel_pages(self):
        """{virtual page: (physical page, permissions)} of the upper half,
        for what is executable, or is read-only above the kernel's image.
        """
        pages = {}
        root = self.cr3
        # KPTI: the user's root is the odd page and maps less
        if root & 0x1000 and self._filled(root & ~0x1000) > self._filled(root):
            root &= ~0x1000
        entries = self._entries(root)
        for index in range(256, 512):
            self._walk(entries[index], self.levels,
                       index << (12 + 9 * (self.levels - 1)),
                       WRITE | EXEC | USER, pages, set())
        return pages

    def _entries(self, physical):
        page = self.read(physical, 4096)
        return struct.unpack("<512Q", page) if page else (0,) * 512

    def _filled(self, physical):
        return sum(entry & 1 for entry in self._entries(physical)[256:])

    def _walk(self, entry, level, address, allowed, pages, above):
        """No set of all tables seen: only a table within itself ends it."""
        if not entry & 1:
            return
        allowed &= ((entry & 2 and WRITE) | (entry & 4 and USER) |
                    (0 if entry >> 63 else EXEC))
        target = entry & ADDRESS
        if level == 1 or entry & 0x80:
            self._leaf(target, level, address, allowed, pages)
            return
        # Linux repeats the tables of espfix thousands of times
        if target in above or not allowed & EXEC and address >> 39 == 510:
            return
        shift = 12 + 9 * (level - 2)
        for index, below in enumerate(self._entries(target)):
            if below & 1:
                self._walk(below, level - 1, address | index << shift,
                           allowed, pages, above | {target})

    def _leaf(self, target, level, address, allowed, pages):
        count = 1 << (9 * (level - 1))
        address |= -1 << (12 + 9 * self.levels) & (1 << 64) - 1
        wanted = allowed & EXEC or (not allowed & WRITE and
                                    address >= 0xffffffff80000000)
        if not wanted:
            return
        target &= ~(count * 4096 - 1)
        for page in range(count):
            pages[address + page * 4096] = (target + page * 4096, allowed)
