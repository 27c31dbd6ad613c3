"""Fixtures: machines, made once and copied.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from vsmtest.guest import Config, Guest  # noqa: E402

BOOT = "boot"


class Machines:
    """Makes machines for one test and ends them after it."""

    def __init__(self):
        self.made = []

    def add(self, guest):
        self.made.append(guest)
        return guest

    def new(self, **options):
        """A machine that was never started."""
        return self.add(Guest(Config(**options)))

    def copy(self, guest, **changes):
        """A machine that is off, copied."""
        return self.add(guest.copy(**changes))

    def end(self):
        for guest in self.made:
            guest.cleanup()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows what QEMU wrote when a test fails."""
    outcome = yield
    report = outcome.get_result()
    machines = item.funcargs.get("machines")
    if report.failed and machines:
        for guest in machines.made:
            if (guest.home / "stderr").exists():
                report.sections.append((f"QEMU in {guest.home}",
                                        guest.stderr()))


@pytest.fixture
def machines():
    """For tests that make machines of their own."""
    made = Machines()
    yield made
    made.end()


@pytest.fixture(scope="session")
def golden():
    """A machine that is off, with the sealed snapshot "boot".

    In "boot" the guest is idle, holds "golden" in RAM and on its disk;
    afterwards it wrote "later" to the disk, so going back shows.
    """
    guest = Guest(Config())
    try:
        guest.start()
        guest.serial.ask("mem golden")
        guest.serial.ask("put golden")
        guest.snapshot_save(BOOT)
        guest.serial.ask("put later")
        guest.quit()
        guest.tpm.stop()
        yield guest
    finally:
        guest.cleanup()


@pytest.fixture
def off(machines, golden):
    """A copy of the golden machine, not started; its TPM runs."""
    return machines.copy(golden).create()


@pytest.fixture
def guest(off):
    """A copy of the golden machine, running on from "boot"."""
    off.start(loadvm=BOOT)
    off.serial.ask("ping")
    return off


@pytest.fixture
def paused(off):
    """A copy of the golden machine, loaded from "boot", never run since."""
    return off.start(loadvm=BOOT, paused=True)
