"""A sealed snapshot whose entries are gone, are there twice, or whose disk is
gone, can be told and deleted.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pytest

from vsmtest import paths
from vsmtest.guest import Exited
from vsmtest.qcow2 import Image
from vsmtest.qmp import QmpError
from vsmtest.vsm import Refused
from vsmtest.vsmctl import MATCH

pytestmark = pytest.mark.full_with_daemon(
    "QEMU's part is the same")


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
    told(guest, "partial", "PARTIAL: a disk lacks it, or has it twice")
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
    told(guest, "partial", "PARTIAL: a disk lacks it, or has it twice")
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


# Two entries

def add_entry(disk):
    """A second "keep" by qemu-img, without VM state and first in the table."""
    paths.run([paths.qemu_img(), "snapshot", "-c", "keep", str(disk)])
    image = Image(disk)
    sealed, other = image.entries()
    size = other.at - sealed.at     # of each: their texts are as long
    first = image.read(other.at, size).ljust(size, b"\0")  # the file's end
    image.write(sealed.at, first + image.read(sealed.at, size))
    return image


def entries(guest):
    """(id, tag) of the entries, on each disk."""
    return [[(entry.id, entry.name) for entry in Image(disk).entries()]
            for disk in guest.disks]


def test_the_sealed_one_of_two_entries_is_loaded_and_overwritten(machines,
                                                                 two_disks):
    """Whichever comes first; the other goes with what is overwritten."""
    guest = machines.copy(two_disks).create()
    for disk in guest.disks:
        add_entry(disk)
    guest.start(loadvm="keep")
    assert guest.serial.ask("memget") == "old"
    for load in (guest.loadvm, guest.snapshot_load, guest.rollback):
        guest.serial.ask("mem new")
        load("keep")
        assert guest.serial.ask("memget") == "old"
    assert guest.verify("keep").result == "match"
    told(guest, "present", "keep")
    assert entries(guest) == [[("2", "keep"), ("1", "keep")]] * 2
    guest.savevm("keep")
    assert entries(guest) == [[("3", "keep")]] * 2
    assert guest.vsm_snapshot("keep")["on-disks"] == "present"


def test_the_sealed_one_of_two_entries_is_deleted(machines, two_disks):
    """The other is the user's own, and goes when asked for again."""
    guest = machines.copy(two_disks).create()
    for disk in guest.disks:
        add_entry(disk)
    guest.start(boot=False)
    guest.delvm("keep")
    assert entries(guest) == [[("2", "keep")]] * 2
    assert guest.vsm_snapshots() == []
    assert guest.vsm_status()["debris"] == []
    guest.delvm("keep")
    assert entries(guest) == [[], []]


def same_mark(image):
    """Date and clock, and in the extra data the other clock."""
    other, sealed = image.entries()
    for offset, size in ((16, 16), (56, 8)):
        image.write(other.at + offset, image.read(sealed.at + offset, size))


def same_id(image):
    other, sealed = image.entries()
    image.write(other.name_at - len(other.id), sealed.id.encode())


@pytest.mark.parametrize("imitate", [same_mark, same_id])
def test_entry_like_the_sealed_one_is_refused_and_can_be_deleted(
        machines, two_disks, imitate):
    guest = machines.copy(two_disks).create()
    imitate(add_entry(guest.disks[0]))
    why = "has 2 entries that look like the sealed snapshot 'keep'"
    with pytest.raises(Exited, match=why):
        guest.start(loadvm="keep")
    guest.start(boot=False)
    told(guest, "partial", "PARTIAL: a disk lacks it, or has it twice")
    for action in (guest.loadvm, guest.snapshot_load, guest.rollback,
                   guest.verify):
        with pytest.raises(QmpError, match=why):
            action("keep")
        assert guest.vsm_status()["last-refusal"]["code"] == "tampered"
    assert guest.qmp.seen("STOP") == []
    assert guest.status() == "running"
    deleted(guest)
