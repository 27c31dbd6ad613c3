"""Overwriting that fails after the VM was stopped leaves the old snapshot.

SPDX-License-Identifier: GPL-2.0-or-later
"""
import pytest

from vsmtest.proxy import CREATE, NV_CERTIFY, NV_EXTEND
from vsmtest.qcow2 import Image
from vsmtest.qmp import QmpError

pytestmark = pytest.mark.full_with_daemon(
    "QEMU's part is the same")

# What the TPM refuses, and how many of these it does first: sealing, before
# any disk has the new entry; evidence and commit, when all have it
LATE = ((CREATE, 1), (NV_CERTIFY, 0), (NV_EXTEND, 0))


def what_is_kept(guest):
    """All that a failed save must not change."""
    records = guest.state_dir / "vm" / guest.config.uuid
    return (guest.vsm_snapshots(), guest.vsm_status()["debris"],
            sorted(path.name for path in records.iterdir()),
            [[(entry.id, entry.name) for entry in Image(disk).entries()]
             for disk in guest.disks])


def overwriting_fails(guest, code, skip):
    """The TPM refuses that command until this has returned."""
    before = guest.status(), what_is_kept(guest)
    guest.tpm.proxy.fail(code, 0x101, times=1000, skip=skip)
    with pytest.raises(QmpError, match="(?i)tpm"):
        guest.savevm("keep")
    guest.tpm.proxy.fail(code, 0, times=0)
    assert (guest.status(), what_is_kept(guest)) == before


def is_old(guest):
    """Still loads, and is what it was."""
    guest.loadvm("keep")
    guest.cont()
    assert guest.serial.ask("memget") == "old"


@pytest.fixture
def keep(machines, two_disks):
    """A copy of the machine with two disks, running on from "keep"."""
    return machines.copy(two_disks).start(loadvm="keep")


def test_failing_after_the_stop_keeps_the_old_snapshot_and_runs_on(keep):
    for code, skip in LATE:
        keep.serial.ask("mem new")
        keep.qmp.events.clear()
        overwriting_fails(keep, code, skip)
        assert keep.qmp.seen("STOP"), "failed too early to count"
        assert keep.serial.ask("memget") == "new"
        is_old(keep)


def test_failing_with_a_paused_vm_keeps_the_old_snapshot_and_the_pause(keep):
    keep.serial.ask("mem new")
    keep.stop()
    keep.qmp.events.clear()
    for code, skip in LATE:
        overwriting_fails(keep, code, skip)
    assert keep.qmp.seen("RESUME") == []
    is_old(keep)
