"""A sealed snapshot whose entries are gone, or whose disk is, can be told and
deleted.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pytest

from vsmtest import paths
from vsmtest.qmp import QmpError
from vsmtest.vsm import Refused
from vsmtest.vsmctl import MATCH


def without_entries(machines, two_disks, *disks):
    """The machine, running; these disks have lost "keep" while it was off."""
    guest = machines.copy(two_disks).create()
    for disk in disks:
        paths.run([paths.qemu_img(), "snapshot", "-d", "keep",
                   str(guest.disks[disk])])
    return guest.start(boot=False)


def told(guest, presence, words):
    """By query-vsm-snapshots and by vsmctl list."""
    assert guest.vsm_snapshot("keep")["on-disks"] == presence
    [line] = [line for line in guest.ctl("list", check=MATCH).stdout
              .splitlines() if "keep" in line]
    assert line.endswith(words)


def deleted(guest):
    """With its record; a new one of that name can be made."""
    guest.ctl("delete", "keep", check=MATCH)
    assert guest.vsm_snapshots() == []
    assert guest.vsm_status()["debris"] == []
    records = (guest.state_dir / "vm" / guest.config.uuid).iterdir()
    assert [path for path in records if path.is_dir()] == []
    for disk in range(len(guest.disks)):
        assert guest.qcow2_tags(disk) == []
    guest.savevm("keep")
    assert guest.vsm_snapshot("keep")["on-disks"] == "present"
    assert guest.status() == "running"


def test_snapshot_on_one_disk_of_two_is_partial(machines, two_disks):
    guest = without_entries(machines, two_disks, 1)
    told(guest, "partial", "PARTIAL: a disk lacks it")
    with pytest.raises(Refused, match="has no entry of .*'keep'"):
        guest.rollback("keep")
    # what is stored is whole
    assert guest.verify("keep").result == "match"
    deleted(guest)


def test_snapshot_on_no_disk_is_orphaned(machines, two_disks):
    guest = without_entries(machines, two_disks, 0, 1)
    told(guest, "orphaned", "ORPHANED: on no disk")
    for action in (guest.rollback, guest.verify):
        with pytest.raises(Refused, match="has no entry of .*'keep'"):
            action("keep")
    with pytest.raises(QmpError, match="keep"):
        guest.loadvm("keep")
    deleted(guest)


def test_snapshot_of_a_detached_disk_is_partial_and_swept_later(machines,
                                                                two_disks):
    """Its entry on the other disk goes when that is back."""
    guest = machines.copy(two_disks, extra_disk=False)
    detached = guest.home / "disk2.qcow2"
    guest.start(boot=False)
    identity = guest.vsm_snapshot("keep")["id"]
    told(guest, "partial", "PARTIAL: a disk lacks it")
    guest.ctl("delete", "keep", check=MATCH)
    assert guest.vsm_snapshots() == []
    assert guest.vsm_status()["debris"] == [identity]
    assert [entry.name for entry in type(guest.image)(detached).entries()] \
        == ["keep"]
    guest.quit()
    assert "all of its disks are attached" in guest.stderr()
    guest.config.extra_disk = True
    guest.start(boot=False)
    assert guest.vsm_status()["debris"] == []
    assert guest.qcow2_tags(1) == []
