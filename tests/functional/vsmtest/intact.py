"""What a refusal must leave as it was: the VM, its disks, its snapshots.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import contextlib

# What the guest holds in RAM in each snapshot
HELD = {"boot": "golden", "other": "other"}


def runs(guest):
    return guest.alive() and guest.status() == "running"


@contextlib.contextmanager
def same_disks(guest):
    """What is done within changes nothing that the guest's disks hold.

    A guest that runs writes first, durably: then its disks are those of no
    snapshot, and going back to one shows.  Otherwise it must have written.
    """
    if runs(guest):
        guest.serial.ask("disk 1")
    before = settled_sums(guest)
    yield
    assert settled_sums(guest) == before


def settled_sums(guest):
    if runs(guest):
        guest.serial.ask("sh sync")
    return guest.disk_sums()


def save_other(guest):
    """A second snapshot, "other", for intact()."""
    guest.serial.ask("mem other")
    guest.savevm("other")
    guest.serial.ask("mem golden")


def intact(guest, *others):
    """The guest runs, answers, and "boot" and the others still load."""
    assert guest.status() == "running"
    assert guest.serial.ask("memget") == "golden"
    assert guest.vsm_tags() == sorted(["boot", *others])
    for tag in [*others, "boot"]:
        guest.loadvm(tag)
        assert guest.serial.ask("memget") == HELD[tag]
    assert guest.serial.ask("get") == "golden"
