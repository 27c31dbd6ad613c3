"""The judging core of the runtime scope on dumps of Debian's kernels, compared
with the kernel's own symbols and with a walker that shares no code with it.

Neither symbols nor that walker exist outside of the tests.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import collections
import re
import struct

import pytest

from vsmtest import paths
from vsmtest.dump import Dump, EXEC
from vsmtest.guest import KERNEL_LINE, Config, Guest

pytestmark = pytest.mark.full_with_daemon(
    "what is measured is the same")

SYMBOLS = ("_text", "_etext", "__start_rodata", "__end_rodata",
           "__start___jump_table", "__stop___jump_table")
GUESTS = {
    "6.1": ("cloud", KERNEL_LINE, ()),
    "6.12": ("cloud-6.12", KERNEL_LINE, ()),
    "6.1-5level-kpti": ("cloud", KERNEL_LINE + " pti=on", ("-cpu", "max")),
}
Run = collections.namedtuple("Run", "kind va pa pages perms")
Site = collections.namedtuple("Site", "va target key flags state")


class Taken:
    """A dump, its kernel's symbols, and what scope-dump says of it."""

    def __init__(self, name, folder):
        flavour, line, extra = GUESTS[name]
        self.path = folder / "dump"
        self.registers = folder / "registers"
        guest = Guest(Config(flavour=flavour, object="", memory_mib=256,
                             vcpus=2, kernel_line=line, extra=extra))
        try:
            guest.start()
            self.symbols = self._symbols(guest)
            guest.stop()
            guest.qmp.command("dump-guest-memory", paging=False,
                              protocol=f"file:{self.path}")
            self.registers.write_text(guest.hmp("info registers -a"))
        finally:
            guest.cleanup()
        self.runs, self.sites = self._parse(self.run())

    @staticmethod
    def _symbols(guest):
        words = guest.serial.ask(
            "sh grep -E \"[ ](" + "|".join(SYMBOLS) + ")$\" /proc/kallsyms")
        return {name: int(address, 16) for address, name in
                re.findall(r"([0-9a-f]{16}) \w (\w+)", words)}

    def run(self, *more):
        """scope-dump's lines."""
        tool = paths.BUILD / "libvsm/tests/tools/scope-dump"
        return paths.run([str(tool), str(self.path), str(self.registers),
                          *map(str, more)]).stdout.splitlines()

    @staticmethod
    def _parse(lines):
        runs, sites = [], []
        for line in lines:
            word, *rest = line.split()
            if word == "run":
                runs.append(Run(rest[0], int(rest[1], 16), int(rest[2], 16),
                                int(rest[3]), int(rest[4], 16) & 7))
            elif word == "site":
                sites.append(Site(*(int(n, 0) for n in rest)))
        return runs, sites

    def bounds(self, kind):
        """First address and the one behind the last of a class."""
        runs = [run for run in self.runs if run.kind == kind]
        assert runs, kind
        return runs[0].va, runs[-1].va + runs[-1].pages * 4096


@pytest.fixture(scope="module", params=list(GUESTS))
def taken(request, tmp_path_factory):
    result = Taken(request.param, tmp_path_factory.mktemp("dump"))
    yield result
    result.path.unlink()


def up(address):
    return (address + 4095) & ~4095


def test_classes_are_the_kernels_own_sections(taken):
    symbols = taken.symbols
    assert taken.bounds("kernel-text") == (symbols["_text"],
                                           up(symbols["_etext"]))
    assert taken.bounds("kernel-rodata") == (symbols["__start_rodata"],
                                             up(symbols["__end_rodata"]))


def test_witnesses_are_the_kernels_live_jump_labels(taken):
    first, end = taken.bounds("kernel-text")
    found = {site.va: (site.target, site.key) for site in taken.sites
             if first <= site.va < end}
    live = live_sites(taken)
    assert not [va for va in found if found[va] != live.get(va)]
    assert len(found) >= 0.995 * len(live) > 1000


def live_sites(taken):
    """{site: (target, key)} of the kernel's jump table, by its symbols."""
    dump = Dump(taken.path, taken.registers.read_text())
    rodata = next(run for run in taken.runs if run.kind == "kernel-rodata")
    start = taken.symbols["__start___jump_table"]
    count = taken.symbols["__stop___jump_table"] - start
    table = dump.read(rodata.pa + start - rodata.va, count)
    dump.close()
    live = {}
    for at in range(0, count, 16):
        code, target, key = struct.unpack_from("<iiq", table, at)
        code += start + at
        if taken.symbols["_text"] <= code < taken.symbols["_etext"]:
            live[code] = (start + at + 4 + target,
                          start + at + 8 + (key & ~3))
    return live


def test_walk_equals_an_independent_walker(taken):
    dump = Dump(taken.path, taken.registers.read_text())
    pages = dump.kernel_pages()
    dump.close()
    sealed = {run.va + n * 4096: (run.pa + n * 4096, run.perms)
              for run in taken.runs if run.kind != "firmware"
              for n in range(run.pages)}
    executable = {va: page for va, page in pages.items() if page[1] & EXEC}
    assert {va: page for va, page in sealed.items()
            if page[1] & EXEC} == executable
    # what is sealed read-only is mapped so; stale pages are not sealed
    for va, page in sealed.items():
        assert pages[va] == page, hex(va)


def test_unchanged_dump_matches_and_a_changed_byte_does_not(taken):
    sealed = taken.path.with_name("dump.scope")
    for profile in ("standard", "strict"):
        assert "result match" in taken.run(sealed, profile)
    text = next(run for run in taken.runs if run.kind == "kernel-text")
    dump = Dump(taken.path, taken.registers.read_text())
    page = dump.read(text.pa + 0x5000, 4096)
    dump.close()
    with open(taken.path, "r+b") as file:
        place = file.read().index(page)
        file.seek(place)
        file.write(bytes([page[0] ^ 1]))
        file.flush()
        lines = taken.run(sealed)
        file.seek(place)
        file.write(page[:1])
    assert "result mismatch" in lines
    findings = [line for line in lines if line.startswith("finding ")]
    assert len(findings) == 1
    assert findings[0].startswith(
        f"finding text-bytes kernel-text {text.va + 0x5000:#x} ")
